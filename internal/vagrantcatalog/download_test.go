package vagrantcatalog_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDownload(t *testing.T) {
	const content = "the bytes of a box, which are not many"
	whole := func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(content))
	}
	for name, test := range map[string]struct {
		before string
		handle func(n int, w http.ResponseWriter, r *http.Request)
		asked  []string
	}{
		"begins where nothing is": {"", func(_ int, w http.ResponseWriter, r *http.Request) { whole(w, r) }, []string{"/box"}},
		"goes on with what is there": {
			content[:10], func(_ int, w http.ResponseWriter, r *http.Request) { whole(w, r) }, []string{"/box bytes=10-"},
		},
		"is cut, and goes on": {"", func(n int, w http.ResponseWriter, r *http.Request) {
			if n > 1 {
				whole(w, r)
				return
			}
			w.Header().Set("Content-Length", fmt.Sprint(len(content)))
			_, _ = io.WriteString(w, content[:20])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, []string{"/box", "/box bytes=20-"}},
		"begins again where ranges are not known": {content[:10], func(_ int, w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, content) }, []string{"/box bytes=10-"}},
		"is there already":                        {content, func(_ int, w http.ResponseWriter, r *http.Request) { whole(w, r) }, []string{"/box bytes=38-"}},
		"was of something longer": {
			content + content, func(_ int, w http.ResponseWriter, r *http.Request) { whole(w, r) }, []string{"/box bytes=76-", "/box"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var s *server
			s = serve(t, func(w http.ResponseWriter, r *http.Request) { test.handle(len(s.asked()), w, r) })
			to := filepath.Join(t.TempDir(), "box")
			if err := os.WriteFile(to, []byte(test.before), 0o600); err != nil {
				t.Fatal(err)
			}
			resumed, err := source(t, s.URL, "").Download(t.Context(), s.URL+"/box", to, nil)
			if err != nil || resumed != (test.before != "") {
				t.Fatalf("got %v, %v", resumed, err)
			}
			if got, err := os.ReadFile(to); err != nil || string(got) != content {
				t.Errorf("got %q, %v", got, err)
			}
			if diff := cmp.Diff(test.asked, s.asked()); diff != "" {
				t.Errorf("asked (-want +got): %s", diff)
			}
		})
	}
	t.Run("gives up a server that brings it no further, and keeps what came", func(t *testing.T) {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Range") == "" {
				w.Header().Set("Content-Length", "38")
				_, _ = io.WriteString(w, content[:5])
				w.(http.Flusher).Flush()
			}
			panic(http.ErrAbortHandler)
		})
		to := filepath.Join(t.TempDir(), "box")
		if _, err := source(t, s.URL, "").Download(t.Context(), s.URL, to, nil); err == nil || !strings.Contains(err.Error(), "does not answer") {
			t.Errorf("got %v", err)
		}
		if got, err := os.ReadFile(to); err != nil || string(got) != content[:5] {
			t.Errorf("got %q, %v", got, err)
		}
	})
	for name, validators := range map[string][2]http.Header{
		"takes nothing from two boxes, by their tags":  {{"Etag": {`"1"`}}, {"Etag": {`"2"`}}},
		"takes nothing from two boxes, by their times": {{"Etag": {`W/"1"`}, "Last-Modified": {"Thu, 01 Jan 2026 00:00:00 GMT"}}, {"Etag": {`W/"1"`}, "Last-Modified": {"Thu, 01 Jan 2026 00:00:01 GMT"}}},
	} {
		t.Run(name, func(t *testing.T) {
			var s *server
			s = serve(t, func(w http.ResponseWriter, r *http.Request) {
				first := len(s.asked()) == 1
				at := 1
				if first {
					at = 0
				}
				for key, value := range validators[at] {
					w.Header()[key] = value
				}
				if !first {
					changed, _ := http.ParseTime(w.Header().Get("Last-Modified"))
					http.ServeContent(w, r, "", changed, strings.NewReader(content))
					return
				}
				w.Header().Set("Content-Length", fmt.Sprint(len(content)))
				_, _ = io.WriteString(w, "THE BYTES OF")
				w.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			})
			to := filepath.Join(t.TempDir(), "box")
			_, err := source(t, s.URL, "").Download(t.Context(), s.URL, to, nil)
			if got, readErr := os.ReadFile(to); err != nil || readErr != nil || string(got) != content {
				t.Errorf("got %q, %v, %v", got, err, readErr)
			}
		})
	}
	t.Run("takes no other scheme", func(t *testing.T) {
		if _, err := source(t, "http://127.0.0.1:1", "").Download(t.Context(), "file:///etc/passwd", filepath.Join(t.TempDir(), "box"), nil); err == nil || !strings.Contains(err.Error(), "http:// or https://") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("ends with its context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "38")
			_, _ = io.WriteString(w, content[:5])
			w.(http.Flusher).Flush()
			cancel()
			<-r.Context().Done()
		})
		if _, err := source(t, s.URL, "").Download(ctx, s.URL, filepath.Join(t.TempDir(), "box"), nil); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a file that cannot be written is told as such", func(t *testing.T) {
		s := serve(t, whole)
		if _, err := source(t, s.URL, "").Download(t.Context(), s.URL, t.TempDir(), nil); !errors.Is(err, os.ErrExist) && !strings.Contains(fmt.Sprint(err), "is a directory") {
			t.Errorf("got %v", err)
		}
	})
}
