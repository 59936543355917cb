package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

// served is `almanac serve` in a process of its own.
type served struct {
	cmd    *exec.Cmd
	stderr *bytes.Buffer
	url    string
	token  string

	addrFile string
	http     *http.Client
}

func startServe(tb testing.TB, data string, args ...string) *served {
	tb.Helper()
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	addrFile := filepath.Join(tb.TempDir(), "addr")
	s := &served{cmd: exec.Command(self), stderr: &bytes.Buffer{}, addrFile: addrFile, http: http.DefaultClient}
	s.cmd.Args = append([]string{"almanac", "serve", "--data", data, "--listen", "127.0.0.1:0", "--addr-file", addrFile}, args...)
	s.cmd.Stderr = s.stderr
	if err := s.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.cmd.Process.Kill() })
	for range 2000 {
		if content, err := os.ReadFile(addrFile); err == nil {
			s.url = strings.TrimSpace(string(content))
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if s.url == "" {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		tb.Fatalf("it does not listen; stderr:\n%s", s.stderr)
	}
	if content, err := os.ReadFile(filepath.Join(data, adminFile)); err == nil {
		s.token = strings.TrimSpace(string(content))
	}
	return s
}

// stop sends SIGTERM and waits for the end.
func (s *served) stop(tb testing.TB) {
	tb.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		tb.Fatal(err)
	}
	if err := s.cmd.Wait(); err != nil {
		tb.Errorf("it ended with %v; stderr:\n%s", err, s.stderr)
	}
}

func TestServeShutdown(t *testing.T) {
	t.Run("SIGTERM lets a running upload finish", func(t *testing.T) {
		s := startServe(t, filepath.Join(t.TempDir(), "data"))
		content := bytes.Repeat([]byte("almanac "), 1<<16)
		status := beginUpload(t, s, content)

		body, send := io.Pipe()
		answered := make(chan error, 1)
		go func() { answered <- appendUpload(s, status.ID, body, int64(len(content))) }()
		half := len(content) / 2
		if _, err := send.Write(content[:half]); err != nil {
			t.Fatal(err)
		}
		waitInFlight(t, s)
		if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		waitRefused(t, s.url)
		if _, err := send.Write(content[half:]); err != nil {
			t.Fatal(err)
		}
		if err := send.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-answered; err != nil {
			t.Errorf("the upload ended with %v", err)
		}
		if err := s.cmd.Wait(); err != nil {
			t.Errorf("the server ended with %v; stderr:\n%s", err, s.stderr)
		}
		if !strings.Contains(s.stderr.String(), `"grace":"30s"`) {
			t.Errorf("the log does not say how long it waits; stderr:\n%s", s.stderr)
		}
		if strings.Contains(s.stderr.String(), s.token) {
			t.Error("the log shows the administrator's token")
		}
	})
	t.Run("the grace is the longest that a shutdown waits", func(t *testing.T) {
		s := startServe(t, filepath.Join(t.TempDir(), "data"), "--grace", "300ms")
		content := bytes.Repeat([]byte("never sent as a whole "), 1<<14)
		status := beginUpload(t, s, content)
		body, send := io.Pipe()
		answered := make(chan error, 1)
		go func() { answered <- appendUpload(s, status.ID, body, int64(len(content))) }()
		if _, err := send.Write(content[:len(content)/2]); err != nil {
			t.Fatal(err)
		}
		waitInFlight(t, s)
		if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		s.cut(t, "the grace of 300ms was over")
		_ = send.Close()
		if err := <-answered; err == nil {
			t.Error("the upload was said to be finished")
		}
	})
}

// cut waits for the end of a server that could not finish what ran.
func (s *served) cut(t *testing.T, why string) {
	t.Helper()
	err := s.cmd.Wait()
	if code := s.cmd.ProcessState.ExitCode(); code != exitError {
		t.Errorf("it ended with %d (%v), want %d", code, err, exitError)
	}
	want := "\nalmanac: running requests were cut, because " + why + "; uploads keep what had arrived\n"
	if !strings.HasSuffix(s.stderr.String(), want) {
		t.Errorf("stderr does not end in %q:\n%s", want, s.stderr)
	}
	if _, err := os.Stat(s.addrFile); err == nil {
		t.Error("the file of --addr-file is still there")
	}
}

// TestServeSecondSignal cuts an upload and asks the next server how far it is.
func TestServeSecondSignal(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String()+" again ends the grace", func(t *testing.T) {
			data := filepath.Join(t.TempDir(), "data")
			s := startServe(t, data, "--grace", "20s")
			content := bytes.Repeat([]byte("almanac "), 1<<10)
			status := beginUpload(t, s, content)
			body, send := io.Pipe()
			answered := make(chan error, 1)
			go func() { answered <- appendUpload(s, status.ID, body, int64(len(content))) }()
			half := len(content) / 2
			if _, err := send.Write(content[:half]); err != nil {
				t.Fatal(err)
			}
			waitInFlight(t, s)
			if err := s.cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			waitRefused(t, s.url)
			time.Sleep(100 * time.Millisecond)
			if err := s.cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			s.cut(t, "it was told to stop at once")
			_ = send.Close()
			if err := <-answered; err == nil {
				t.Error("the upload was said to be finished")
			}
			s = startServe(t, data)
			c, err := client.New(client.Options{Address: s.url, Token: s.token})
			if err != nil {
				t.Fatal(err)
			}
			if got := uploadOffset(t, s, status.ID); got != fmt.Sprint(half) {
				t.Errorf("the upload is at %s, want %d", got, half)
			}
			if _, err := c.Upload(t.Context(), "cargomedia/app", "file", bytes.NewReader(content), nil); err != nil {
				t.Error(err)
			}
			s.stop(t)
		})
	}
}

func uploadOffset(t *testing.T, s *served, id string) string {
	t.Helper()
	req, err := http.NewRequest(http.MethodHead, s.url+"/v1/uploads/"+id, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	resp, err := s.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.Header.Get("Upload-Offset")
}

func beginUpload(t *testing.T, s *served, content []byte) registry.UploadStatus {
	t.Helper()
	request := fmt.Sprintf(`{"artifact":"cargomedia/app","size":%d,"sha256":%q}`, len(content), registry.SecretDigest(string(content)))
	req, err := http.NewRequest(http.MethodPost, s.url+"/v1/uploads", strings.NewReader(request))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusCreated {
		text, _ := io.ReadAll(resp.Body)
		t.Fatalf("POST /v1/uploads: %s\n%s", resp.Status, text)
	}
	location := resp.Header.Get("Location")
	return registry.UploadStatus{Upload: registry.Upload{ID: location[strings.LastIndex(location, "/")+1:]}}
}

func appendUpload(s *served, id string, body io.Reader, size int64) error {
	req, err := http.NewRequest(http.MethodPatch, s.url+"/v1/uploads/"+id, body)
	if err != nil {
		return err
	}
	req.ContentLength = size
	req.Header.Set("Authorization", "Bearer "+s.token)
	req.Header.Set("Content-Type", "application/octet-stream")
	req.Header.Set("Upload-Offset", "0")
	resp, err := s.http.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusNoContent {
		text, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("PATCH: %s\n%s", resp.Status, text)
	}
	return nil
}

// waitInFlight returns when the server is at work on a request besides the one that asks. Bytes that
// were sent may still wait to be read, and a request that was not read is none that runs.
func waitInFlight(t *testing.T, s *served) {
	t.Helper()
	for range 500 {
		resp, err := s.http.Get(s.url + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte("\nalmanac_http_requests_in_flight 2\n")) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("the server does not begin with the request")
}

// waitRefused returns when the server takes no new connections.
func waitRefused(t *testing.T, url string) {
	t.Helper()
	for range 500 {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			return
		}
		_ = conn.Close()
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("it still takes connections")
}

// BenchmarkServeStart measures a first start, from the call of the program to its first answer.
func BenchmarkServeStart(b *testing.B) {
	for b.Loop() {
		s := startServe(b, filepath.Join(b.TempDir(), "data"))
		resp, err := http.Get(s.url + "/readyz")
		if err != nil {
			b.Fatal(err)
		}
		_ = resp.Body.Close()
		b.StopTimer()
		s.stop(b)
		b.StartTimer()
	}
}
