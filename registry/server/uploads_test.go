package server_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/server"
)

// begin announces content and returns the upload's path.
func begin(t *testing.T, c caller, content string) string {
	t.Helper()
	r := c.send(t, "POST", "/v1/uploads", fmt.Sprintf(`{"artifact":"cargomedia/app","size":%d,"sha256":%q}`, len(content), registry.SecretDigest(content)))
	if r.status != http.StatusCreated {
		t.Fatalf("got %d %s", r.status, r.body)
	}
	return r.header.Get("Location")
}

func patch(t *testing.T, c caller, location string, offset int, content string) reply {
	t.Helper()
	return c.send(t, "PATCH", location, content, "Content-Type", "application/octet-stream", "Upload-Offset", strconv.Itoa(offset))
}

func TestUploadInParts(t *testing.T) {
	s := servertest.New(t)
	c := as(s, s.AdminToken)
	// More than a JSON body may have, in parts of odd sizes.
	content := strings.Repeat("0123456789abcde\n", 5<<20/16+3)
	location := begin(t, c, content)
	offset := 0
	for _, size := range []int{1, 4095, 1<<20 + 7, len(content)} {
		end := min(len(content), offset+size)
		got := patch(t, c, location, offset, content[offset:end]).ok(t)
		if got.header.Get("Upload-Offset") != strconv.Itoa(end) {
			t.Fatalf("Upload-Offset is %q, want %d", got.header.Get("Upload-Offset"), end)
		}
		offset = end
	}
	done := decode[registry.UploadStatus](t, c.send(t, "PUT", location, "").ok(t))
	if !done.Done || done.Offset != int64(len(content)) {
		t.Errorf("got %+v", done)
	}
	if got := c.get(t, "/v1/blobs/"+string(done.SHA256)).ok(t); got.body != content {
		t.Errorf("got %d bytes back, want %d", len(got.body), len(content))
	}
	t.Run("known bytes need not be sent again", func(t *testing.T) {
		again := c.send(t, "POST", "/v1/uploads", fmt.Sprintf(`{"artifact":"cargomedia/other","size":%d,"sha256":%q}`, len(content), done.SHA256))
		if status := decode[registry.UploadStatus](t, again); again.status != 200 || !status.Done || again.header.Get("Location") != "" {
			t.Errorf("got %d %s", again.status, again.body)
		}
	})
	t.Run("they are counted", func(t *testing.T) {
		if got := c.get(t, "/metrics").body; !strings.Contains(got, fmt.Sprintf("almanac_uploaded_bytes_total %s", strconv.FormatFloat(float64(len(content)), 'g', -1, 64))) {
			t.Errorf("metrics: %s", got)
		}
	})
}

func TestWrongOffsetSaysTheRightOne(t *testing.T) {
	s := servertest.New(t)
	c := as(s, s.AdminToken)
	location := begin(t, c, "hello world\n")
	patch(t, c, location, 0, "hello").ok(t)
	for _, offset := range []int{0, 4, 6, 100} {
		got := patch(t, c, location, offset, " world\n")
		if p := got.problem(t, 409); p.Kind != registry.Conflict || got.header.Get("Upload-Offset") != "5" {
			t.Errorf("offset %d: %+v, Upload-Offset %q", offset, p, got.header.Get("Upload-Offset"))
		}
	}
	head := c.send(t, "HEAD", location, "")
	if head.status != 200 || head.header.Get("Upload-Offset") != "5" {
		t.Errorf("HEAD: %d %v", head.status, head.header)
	}
}

func TestFinishingTooEarlySaysWhereToGoOn(t *testing.T) {
	s := servertest.New(t)
	c := as(s, s.AdminToken)
	location := begin(t, c, "hello world\n")
	patch(t, c, location, 0, "hello").ok(t)
	early := c.send(t, "PUT", location, "")
	if p := early.problem(t, http.StatusConflict); p.Kind != registry.Conflict || early.header.Get("Upload-Offset") != "5" {
		t.Errorf("got %+v and Upload-Offset %q, want a conflict and 5", p, early.header.Get("Upload-Offset"))
	}
	patch(t, c, location, 5, " world\n").ok(t)
	if status := decode[registry.UploadStatus](t, c.send(t, "PUT", location, "").ok(t)); !status.Done {
		t.Errorf("got %+v", status)
	}
}

func TestBadUploadsAreRefused(t *testing.T) {
	s := servertest.New(t)
	c := as(s, s.AdminToken)
	location := begin(t, c, "hello world\n")
	t.Run("without an offset", func(t *testing.T) {
		for _, offset := range []string{"", "-1", "+1", "x", "1.5", "9223372036854775808"} {
			p := c.send(t, "PATCH", location, "hello", "Content-Type", "application/octet-stream", "Upload-Offset", offset).problem(t, 400)
			if !slices.Equal(fields(p), []string{"Upload-Offset"}) {
				t.Errorf("%q: %+v", offset, p)
			}
		}
	})
	t.Run("as a form", func(t *testing.T) {
		c.send(t, "PATCH", location, "hello", "Content-Type", "application/x-www-form-urlencoded", "Upload-Offset", "0").problem(t, 415)
	})
	t.Run("with more bytes than announced", func(t *testing.T) {
		if p := patch(t, c, location, 0, "hello world\nand more").problem(t, 413); p.Kind != registry.TooLarge {
			t.Errorf("got %+v", p)
		}
	})
	t.Run("with other bytes", func(t *testing.T) {
		location := begin(t, c, "hello world\n")
		patch(t, c, location, 0, "HELLO WORLD\n").ok(t)
		p := c.send(t, "PUT", location, "").problem(t, 422)
		if !strings.Contains(p.Detail, string(registry.SecretDigest("hello world\n"))) {
			t.Errorf("the sentence does not have the announced digest: %s", p.Detail)
		}
		c.get(t, location).problem(t, 404)
	})
	t.Run("with fewer bytes", func(t *testing.T) {
		location := begin(t, c, "hello world\n")
		patch(t, c, location, 0, "hello").ok(t)
		if p := c.send(t, "PUT", location, "").problem(t, 409); !slices.Equal(fields(p), []string{"size"}) {
			t.Errorf("got %+v", p)
		}
		if got := c.send(t, "HEAD", location, "").header.Get("Upload-Offset"); got != "5" {
			t.Errorf("the bytes that were there are gone: offset %s", got)
		}
	})
	t.Run("that do not exist", func(t *testing.T) {
		for _, id := range []string{"/v1/uploads/none", "/v1/uploads/" + strings.Repeat("a", 32)} {
			patch(t, c, id, 0, "x").problem(t, 404)
			c.get(t, id).problem(t, 404)
			c.send(t, "PUT", id, "").problem(t, 404)
			c.send(t, "DELETE", id, "").problem(t, 404)
		}
	})
	t.Run("and nothing can be downloaded", func(t *testing.T) {
		c.get(t, "/v1/blobs/"+string(registry.SecretDigest("hello world\n"))).problem(t, 404)
		c.get(t, "/v1/blobs/"+string(registry.SecretDigest("HELLO WORLD\n"))).problem(t, 404)
	})
}

// dial opens a connection to write a request by hand.
func dial(t *testing.T, s *servertest.Server, request string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	return conn
}

func patchHead(s *servertest.Server, location string, offset, length int, more string) string {
	return fmt.Sprintf("PATCH %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Type: application/octet-stream\r\nUpload-Offset: %d\r\nContent-Length: %d\r\n%s\r\n", location, s.AdminToken, offset, length, more)
}

// offsetOf waits until the upload has as many bytes: the server learns of a cut in its own time.
func offsetOf(t *testing.T, c caller, location string, want int64) {
	t.Helper()
	var got registry.UploadStatus
	for range 200 {
		if got = decode[registry.UploadStatus](t, c.get(t, location).ok(t)); got.Offset == want {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("the upload is at %d, want %d", got.Offset, want)
}

func TestCutConnectionKeepsWhatArrived(t *testing.T) {
	s := servertest.New(t)
	c := as(s, s.AdminToken)
	content := strings.Repeat("x", 300_000)
	location := begin(t, c, content)
	conn := dial(t, s, patchHead(s, location, 0, len(content), "")+content[:100_000])
	conn.Close()
	offsetOf(t, c, location, 100_000)
	// The bytes can be seen a moment before the request that was cut lets go of the upload.
	rest := patch(t, c, location, 100_000, content[100_000:])
	for range 200 {
		if rest.status != http.StatusConflict || rest.header.Get("Upload-Offset") != "100000" {
			break
		}
		time.Sleep(10 * time.Millisecond)
		rest = patch(t, c, location, 100_000, content[100_000:])
	}
	rest.ok(t)
	c.send(t, "PUT", location, "").ok(t)
}

func TestRefusalComesBeforeTheBytes(t *testing.T) {
	s := servertest.New(t)
	location := begin(t, as(s, s.AdminToken), "hello world\n")
	for _, test := range []struct{ head, want string }{
		{patchHead(s, location, 0, 12, "Expect: 100-continue\r\n"), "HTTP/1.1 100 Continue"},
		{patchHead(s, location, 5, 7, "Expect: 100-continue\r\n"), "HTTP/1.1 409 Conflict"},
		{patchHead(s, "/v1/uploads/none", 0, 12, "Expect: 100-continue\r\n"), "HTTP/1.1 404 Not Found"},
	} {
		line, err := bufio.NewReader(dial(t, s, test.head)).ReadString('\n')
		if err != nil || strings.TrimSpace(line) != test.want {
			t.Errorf("got %q %v, want %q", line, err, test.want)
		}
	}
}

func TestStalledUploadIsCutAndASlowOneIsNot(t *testing.T) {
	s := servertest.New(t, servertest.WithOptions(server.Options{StallTimeout: time.Second}))
	c := as(s, s.AdminToken)
	t.Run("stalled", func(t *testing.T) {
		location := begin(t, c, "hello world\n")
		conn := dial(t, s, patchHead(s, location, 0, 12, "")+"hello")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusRequestTimeout || resp.Header.Get("Upload-Offset") != "5" {
			t.Errorf("got %s, Upload-Offset %q", resp.Status, resp.Header.Get("Upload-Offset"))
		}
		offsetOf(t, c, location, 5)
	})
	t.Run("slow", func(t *testing.T) {
		location := begin(t, c, "hello world\n")
		conn := dial(t, s, patchHead(s, location, 0, 12, ""))
		for _, b := range []byte("hello world\n") { // 1.8 seconds, beyond the timeout
			time.Sleep(150 * time.Millisecond)
			if _, err := conn.Write([]byte{b}); err != nil {
				t.Fatal(err)
			}
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusNoContent {
			t.Errorf("got %s", resp.Status)
		}
	})
}

// TestRefusedUploadIsCutWhenItsBytesDoNotCome refuses a request whose body never comes: net/http
// waits for it, and may not wait for ever.
func TestRefusedUploadIsCutWhenItsBytesDoNotCome(t *testing.T) {
	s := servertest.New(t, servertest.WithOptions(server.Options{StallTimeout: 500 * time.Millisecond}))
	location := begin(t, as(s, s.AdminToken), "hello world\n")
	for name, test := range map[string]struct {
		head   string
		status int
	}{
		"at the wrong offset":     {patchHead(s, location, 5, 7, ""), http.StatusConflict},
		"that does not exist":     {patchHead(s, "/v1/uploads/none", 0, 12, ""), http.StatusNotFound},
		"whose size is not known": {strings.Replace(patchHead(s, location, 5, 7, ""), "Content-Length: 7", "Transfer-Encoding: chunked", 1), http.StatusConflict},
	} {
		t.Run(name, func(t *testing.T) {
			conn := dial(t, s, test.head)
			if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
				t.Fatal(err)
			}
			r := bufio.NewReader(conn)
			resp, err := http.ReadResponse(r, nil)
			if err != nil || resp.StatusCode != test.status {
				t.Fatalf("got %v %v", resp, err)
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				t.Fatal(err)
			}
			if n, err := r.Read(make([]byte, 1)); err != io.EOF && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the connection stays: %d bytes, %v", n, err)
			}
		})
	}
}

func TestUploadSurvivesARestart(t *testing.T) {
	s := servertest.New(t)
	location := begin(t, as(s, s.AdminToken), "hello world\n")
	patch(t, as(s, s.AdminToken), location, 0, "hello").ok(t)
	s.Stop(t)
	s = servertest.New(t, servertest.InDir(s.Dir, s.AdminToken))
	c := as(s, s.AdminToken)
	offsetOf(t, c, location, 5)
	patch(t, c, location, 5, " world\n").ok(t)
	c.send(t, "PUT", location, "").ok(t)
}

func TestClientUploadsAndDownloads(t *testing.T) {
	s := servertest.New(t)
	c := s.Client(t, s.Token(t, "ci", "publish", "cargomedia/*"))
	content := bytes.Repeat([]byte("box"), 100_000)
	file, err := c.Upload(t.Context(), "cargomedia/app", "app.box", bytes.NewReader(content), nil)
	if err != nil {
		t.Fatal(err)
	}
	path := t.TempDir() + "/app.box"
	if err := c.Download(t.Context(), file.SHA256, file.Size, path, nil); err != nil {
		t.Fatal(err)
	}
}

// TestHTTP2 sends and gets bytes over the protocol that TLS clients choose, whose deadlines are of
// streams and not of connections.
func TestHTTP2(t *testing.T) {
	s := servertest.New(t)
	web := httptest.NewUnstartedServer(server.New(s.Service, server.Options{StallTimeout: time.Second}))
	web.EnableHTTP2 = true
	web.Config.ReadTimeout, web.Config.WriteTimeout = 300*time.Millisecond, 300*time.Millisecond
	web.StartTLS()
	defer web.Close()
	content := strings.Repeat("0123456789abcdef", 1<<17)
	location := begin(t, as(s, s.AdminToken), content)

	// Half now, half when the server's own timeouts are over.
	body, feed := io.Pipe()
	go func() {
		_, _ = io.WriteString(feed, content[:1<<20])
		time.Sleep(500 * time.Millisecond)
		_, _ = io.WriteString(feed, content[1<<20:])
		feed.Close()
	}()
	send := func(method, path string, body io.Reader, header ...string) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), method, web.URL+path, body)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+s.AdminToken)
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		resp, err := web.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		if resp.ProtoMajor != 2 {
			t.Fatalf("%s %s: %s", method, path, resp.Proto)
		}
		return resp
	}
	ok := func(resp *http.Response) *http.Response {
		if resp.StatusCode > 299 {
			t.Fatalf("%s %s: %s", resp.Request.Method, resp.Request.URL.Path, resp.Status)
		}
		return resp
	}
	ok(send("PATCH", location, body, "Upload-Offset", "0"))
	ok(send("PUT", location, nil))
	got, err := io.ReadAll(ok(send("GET", "/v1/blobs/"+string(registry.SecretDigest(content)), nil)).Body)
	if err != nil || string(got) != content {
		t.Errorf("got %d bytes back, want %d: %v", len(got), len(content), err)
	}
	t.Run("an upload that stands still is cut, what came is kept", func(t *testing.T) {
		location := begin(t, as(s, s.AdminToken), "hello world\n")
		body, feed := io.Pipe()
		defer feed.Close()
		go func() { _, _ = io.WriteString(feed, "hello") }()
		resp := send("PATCH", location, body, "Upload-Offset", "0")
		if resp.StatusCode != http.StatusRequestTimeout || resp.Header.Get("Upload-Offset") != "5" {
			t.Errorf("got %s, Upload-Offset %q", resp.Status, resp.Header.Get("Upload-Offset"))
		}
	})
	t.Run("an upload that is refused is answered before its bytes come", func(t *testing.T) {
		location := begin(t, as(s, s.AdminToken), "hello, world\n")
		body, feed := io.Pipe()
		defer feed.Close()
		resp := send("PATCH", location, body, "Upload-Offset", "5")
		if resp.StatusCode != http.StatusConflict || resp.Header.Get("Upload-Offset") != "0" {
			t.Errorf("got %s, Upload-Offset %q", resp.Status, resp.Header.Get("Upload-Offset"))
		}
	})
}
