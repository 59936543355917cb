package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
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
	"github.com/cargomedia/packer-plugin-almanac/registry/blob"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
	"github.com/cargomedia/packer-plugin-almanac/registry/sqlstore"
)

// served is `almanac serve` in a process of its own.
type served struct {
	cmd    *exec.Cmd
	stderr *bytes.Buffer
	url    string
	token  string
}

func startServe(tb testing.TB, data string, args ...string) *served {
	tb.Helper()
	self, err := os.Executable()
	if err != nil {
		tb.Fatal(err)
	}
	addrFile := filepath.Join(tb.TempDir(), "addr")
	s := &served{cmd: exec.Command(self), stderr: &bytes.Buffer{}}
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
		waitInFlight(t, s.url)
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
		waitInFlight(t, s.url)
		if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := s.cmd.Wait(); err == nil {
			t.Error("it ended as if everything had been finished")
		}
		_ = send.Close()
		if err := <-answered; err == nil {
			t.Error("the upload was said to be finished")
		}
	})
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
	resp, err := http.DefaultClient.Do(req)
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
	resp, err := http.DefaultClient.Do(req)
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
func waitInFlight(t *testing.T, url string) {
	t.Helper()
	for range 500 {
		resp, err := http.Get(url + "/metrics")
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

func TestServeTLS(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	pool := writeCertificate(t, certFile, keyFile, 1, time.Now().Add(time.Hour))
	t.Run("it speaks TLS with the certificate of the files", func(t *testing.T) {
		s := startServe(t, filepath.Join(t.TempDir(), "data"), "--tls-cert", certFile, "--tls-key", keyFile)
		if !strings.HasPrefix(s.url, "https://") {
			t.Fatalf("the URL is %s", s.url)
		}
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
		c, err := client.New(client.Options{Address: s.url, Token: s.token, HTTP: &http.Client{Transport: transport}, RetryMax: -1})
		if err != nil {
			t.Fatal(err)
		}
		if tokens, err := c.Tokens(t.Context()); err != nil || len(tokens) != 1 {
			t.Errorf("got %v, %v; want one token", tokens, err)
		}
		transport.CloseIdleConnections()
		s.stop(t)
	})
	t.Run("a renewed certificate is taken up", func(t *testing.T) {
		certs, err := loadCertificates(certFile, keyFile)
		if err != nil {
			t.Fatal(err)
		}
		writeCertificate(t, certFile, keyFile, 2, time.Now().Add(time.Hour))
		future := time.Now().Add(time.Minute)
		if err := os.Chtimes(certFile, future, future); err != nil {
			t.Fatal(err)
		}
		certs.looked = time.Time{}
		if got, err := certs.get(nil); err != nil || got.Leaf.SerialNumber.Int64() != 2 {
			t.Errorf("got %v, %v; want the certificate with the number 2", got.Leaf.SerialNumber, err)
		}
		if err := os.WriteFile(certFile, []byte("half written"), 0o600); err != nil {
			t.Fatal(err)
		}
		certs.looked = time.Time{}
		if got, err := certs.get(nil); err != nil || got.Leaf.SerialNumber.Int64() != 2 {
			t.Errorf("got %v, %v; want the one before", got, err)
		}
	})
	t.Run("an expired certificate is refused", func(t *testing.T) {
		writeCertificate(t, certFile, keyFile, 3, time.Now().Add(-time.Hour))
		if _, err := loadCertificates(certFile, keyFile); err == nil || !strings.Contains(err.Error(), "renew it") {
			t.Errorf("got %v", err)
		}
	})
}

func writeCertificate(t *testing.T, certFile, keyFile string, serial int64, notAfter time.Time) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: notAfter.Add(-48 * time.Hour), NotAfter: notAfter,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for name, content := range map[string][]byte{certFile: certPEM, keyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	return pool
}

// TestEnsureAdmin cuts the first start at the place between file and store.
func TestEnsureAdmin(t *testing.T) {
	dir := t.TempDir()
	data, err := openData(filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = data.Close() })
	store, err := sqlstore.Open(t.Context(), data.path("almanac.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	blobs, err := blob.OpenDisk(data.dir)
	if err != nil {
		t.Fatal(err)
	}
	service := registry.NewService(store, blobs)
	t.Run("a store that fails leaves the file for the next start", func(t *testing.T) {
		if _, err := ensureAdmin(t.Context(), data, brokenStore{store}, registry.NewService(brokenStore{store}, blobs)); err == nil {
			t.Fatal("no error")
		}
	})
	first, err := os.ReadFile(data.path(adminFile))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("the next start goes on with the file", func(t *testing.T) {
		path, err := ensureAdmin(t.Context(), data, store, service)
		if err != nil || path != data.path(adminFile) {
			t.Fatalf("got %q, %v", path, err)
		}
		if _, err := service.Authenticate(t.Context(), strings.TrimSpace(string(first))); err != nil {
			t.Errorf("the secret of the file is not known: %v", err)
		}
	})
	t.Run("later starts do nothing", func(t *testing.T) {
		if err := os.Remove(data.path(adminFile)); err != nil {
			t.Fatal(err)
		}
		if path, err := ensureAdmin(t.Context(), data, store, service); err != nil || path != "" {
			t.Errorf("got %q, %v", path, err)
		}
		if _, err := os.Stat(data.path(adminFile)); err == nil {
			t.Error("it made a file")
		}
	})
}

// brokenStore loses its disk when it is written.
type brokenStore struct{ registry.Store }

func (brokenStore) Update(context.Context, func(registry.Tx) error) error {
	return registry.Errorf(registry.Unavailable, "the disk is gone")
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
