package server_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/server"
)

// store uploads content and returns the path of its blob.
func store(t *testing.T, c caller, content string) string {
	t.Helper()
	location := begin(t, c, content)
	patch(t, c, location, 0, content).ok(t)
	c.send(t, "PUT", location, "").ok(t)
	return "/v1/blobs/" + string(registry.SecretDigest(content))
}

func TestDownload(t *testing.T) {
	s := servertest.New(t)
	c := as(s, s.AdminToken)
	content := "hello world\n"
	path := store(t, c, content)
	tag := `"sha256:` + string(registry.SecretDigest(content)) + `"`
	t.Run("whole", func(t *testing.T) {
		got := c.get(t, path).ok(t)
		for name, want := range map[string]string{
			"ETag": tag, "Cache-Control": "private, max-age=31536000, immutable", "Content-Type": "application/octet-stream",
			"Content-Length": "12", "Accept-Ranges": "bytes", "X-Content-Type-Options": "nosniff", "Content-Disposition": "", "Last-Modified": "",
		} {
			if got.header.Get(name) != want {
				t.Errorf("%s is %q, want %q", name, got.header.Get(name), want)
			}
		}
		if got.body != content {
			t.Errorf("got %q", got.body)
		}
	})
	t.Run("in parts", func(t *testing.T) {
		for header, want := range map[string]string{"bytes=0-4": "hello", "bytes=6-": "world\n", "bytes=-6": "world\n"} {
			if got := c.get(t, path, "Range", header); got.status != 206 || got.body != want {
				t.Errorf("%s: got %d %q", header, got.status, got.body)
			}
		}
		if got := c.get(t, path, "Range", "bytes=0-4", "If-Range", `"other"`); got.status != 200 || got.body != content {
			t.Errorf("If-Range of another file: got %d %q", got.status, got.body)
		}
	})
	t.Run("beyond its end", func(t *testing.T) {
		got := c.get(t, path+"?name=x.box", "Range", "bytes=100-")
		got.problem(t, http.StatusRequestedRangeNotSatisfiable)
		if got.header.Get("Content-Range") != "bytes */12" || got.header.Get("Content-Disposition") != "" {
			t.Errorf("headers %v", got.header)
		}
	})
	t.Run("not again", func(t *testing.T) {
		if got := c.get(t, path, "If-None-Match", tag); got.status != 304 || got.body != "" {
			t.Errorf("got %d %q", got.status, got.body)
		}
	})
	t.Run("only its header", func(t *testing.T) {
		if got := c.send(t, "HEAD", path, ""); got.status != 200 || got.header.Get("Content-Length") != "12" || got.header.Get("ETag") != tag {
			t.Errorf("got %d %v", got.status, got.header)
		}
	})
	t.Run("under a name", func(t *testing.T) {
		for name, want := range map[string]string{
			"app.box":                          `attachment; filename=app.box`,
			"my%20app.box":                     `attachment; filename="my app.box"`,
			"..%2F..%2Fetc%2Fpasswd":           `attachment; filename=passwd`,
			"a%5Cb.exe":                        `attachment; filename=b.exe`,
			"x%22%3B%20filename%3Devil%0D%0Ay": `attachment; filename="x__ filename=evil__y"`,
			"b%C3%B6x":                         `attachment; filename*=utf-8''b%C3%B6x`,
			"..":                               "",
		} {
			if got := c.get(t, path+"?name="+name).ok(t).header.Get("Content-Disposition"); got != want {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
		}
	})
	t.Run("a file of a public artifact by anybody", func(t *testing.T) {
		publish := `{"fingerprint":"run-1","build":{"component":"file.app","type":"archive","files":[{"name":"app.tar","size":12,"sha256":"` + string(registry.SecretDigest(content)) + `"}]}}`
		c.send(t, "POST", appPath+"/publish", publish).ok(t)
		as(s, "").get(t, path).problem(t, 401)
		c.send(t, "PUT", appPath, `{"public":true}`).ok(t)
		as(s, "").get(t, path).ok(t)
		as(s, s.Token(t, "stranger", "read", "other/*")).get(t, path).ok(t)
	})
}

// kernelWriter is the writer of net/http as far as sendfile needs it: it notes what is to be sent.
type kernelWriter struct {
	*httptest.ResponseRecorder
	files []*os.File
}

func (w *kernelWriter) ReadFrom(src io.Reader) (int64, error) {
	if limited, ok := src.(*io.LimitedReader); ok {
		if file, ok := limited.R.(*os.File); ok {
			w.files = append(w.files, file)
		}
	}
	return io.Copy(struct{ io.Writer }{w.ResponseRecorder}, src)
}

// TestSendfileSurvives sends a file through everything that a request passes: the writer of net/http
// must be handed the file itself, or the kernel cannot send it.
func TestSendfileSurvives(t *testing.T) {
	s := servertest.New(t)
	content := strings.Repeat("0123456789abcdef", 3<<20/16)
	path := store(t, as(s, s.AdminToken), content)
	handler := server.New(s.Service, server.Options{Logger: jsonLog(&bytes.Buffer{})})
	for header, want := range map[string]string{"": content, "bytes=5-": content[5:]} {
		w := &kernelWriter{ResponseRecorder: httptest.NewRecorder()}
		r := httptest.NewRequest("GET", path, nil)
		r.Header.Set("Authorization", "Bearer "+s.AdminToken)
		if header != "" {
			r.Header.Set("Range", header)
		}
		handler.ServeHTTP(w, r)
		if w.Body.String() != want {
			t.Errorf("%q: got %d bytes (%d), want %d", header, w.Body.Len(), w.Code, len(want))
		}
		if len(w.files) == 0 {
			t.Errorf("%q: the writer was handed no file", header)
		}
	}
}
