package client_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// shelf serves one blob, except where answer, if it is set, does. n counts from 1.
type shelf struct {
	content []byte
	answer  func(n int, w http.ResponseWriter, r *http.Request) bool

	mu     sync.Mutex
	ranges []string
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ranges = append(s.ranges, r.Header.Get("Range"))
	if s.answer != nil && s.answer(len(s.ranges), w, r) {
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(s.content))
}

// some serves the range that is asked for, up to n bytes of it, and hangs up.
func (s *shelf) some(w http.ResponseWriter, r *http.Request, n int) {
	from := 0
	_, _ = fmt.Sscanf(r.Header.Get("Range"), "bytes=%d-", &from)
	if from > 0 {
		w.Header().Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(s.content)-1, len(s.content)))
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(s.content)-from))
	if from > 0 {
		w.WriteHeader(http.StatusPartialContent)
	}
	_, _ = w.Write(s.content[from : from+n])
	w.(http.Flusher).Flush()
	panic(http.ErrAbortHandler)
}

// target is where a test downloads to.
type target struct {
	t    *testing.T
	path string
	// hidden is where the bytes are collected.
	hidden string
	p      progress
}

func newTarget(t *testing.T, content []byte) *target {
	dir := t.TempDir()
	return &target{t: t, path: filepath.Join(dir, "app.box"), hidden: filepath.Join(dir, ".app.box."+string(digest(content)[:12])+".partial")}
}

func (to *target) download(s *shelf, want []byte) error {
	c := newClient(to.t, quick(serve(to.t, s.ServeHTTP)))
	err := c.Download(to.t.Context(), digest(want), int64(len(want)), to.path, to.p.track)
	s.mu.Lock()
	defer s.mu.Unlock()
	return err
}

// has checks the content of the file and of its partial one; nil is that there is none.
func (to *target) has(file, partial []byte) {
	to.t.Helper()
	for path, want := range map[string][]byte{to.path: file, to.hidden: partial} {
		got, err := os.ReadFile(path)
		switch {
		case want == nil && !os.IsNotExist(err):
			to.t.Errorf("%s is there", path)
		case want != nil && (err != nil || !bytes.Equal(got, want)):
			to.t.Errorf("%s has %d bytes that are not the %d wanted (%v)", path, len(got), len(want), err)
		}
	}
	if entries, _ := os.ReadDir(filepath.Dir(to.path)); len(entries) > 2 {
		to.t.Errorf("left over: %v", entries)
	}
}

func (to *target) partial(content []byte) {
	to.t.Helper()
	if err := os.WriteFile(to.hidden, content, 0o600); err != nil {
		to.t.Fatal(err)
	}
}

func TestDownloadGivesTheFileItsNameAtTheEnd(t *testing.T) {
	for _, size := range []int{0, 1, 3 << 20} {
		t.Run(fmt.Sprintf("%d bytes", size), func(t *testing.T) {
			content := pattern(size)
			to := newTarget(t, content)
			if err := to.download(&shelf{content: content}, content); err != nil {
				t.Fatal(err)
			}
			to.has(content, nil)
			to.p.check(t, 0)
			if to.p.read != int64(size) {
				t.Errorf("the track saw %d bytes", to.p.read)
			}
			probe := filepath.Join(t.TempDir(), "probe")
			if err := os.WriteFile(probe, nil, 0o644); err != nil {
				t.Fatal(err)
			}
			want, _ := os.Stat(probe)
			got, err := os.Stat(to.path)
			if err != nil || runtime.GOOS != "windows" && got.Mode() != want.Mode() {
				t.Errorf("mode is %v, want %v", got.Mode(), want.Mode())
			}
		})
	}
}

func TestDownloadResumes(t *testing.T) {
	content := pattern(1 << 20)
	t.Run("what an earlier call left", func(t *testing.T) {
		to, s := newTarget(t, content), &shelf{content: content}
		to.partial(content[:1000])
		if err := to.download(s, content); err != nil {
			t.Fatal(err)
		}
		to.has(content, nil)
		to.p.check(t, 1000)
		if s.ranges[0] != "bytes=1000-" {
			t.Errorf("asked for %q", s.ranges)
		}
	})
	t.Run("nothing when an earlier call left all", func(t *testing.T) {
		to, s := newTarget(t, content), &shelf{content: content}
		to.partial(content)
		if err := to.download(s, content); err != nil {
			t.Fatal(err)
		}
		to.has(content, nil)
		if len(s.ranges) > 0 {
			t.Errorf("asked for %q", s.ranges)
		}
	})
	t.Run("after cuts", func(t *testing.T) {
		to, s := newTarget(t, content), &shelf{content: content}
		s.answer = func(n int, w http.ResponseWriter, r *http.Request) bool {
			if n <= 20 {
				s.some(w, r, 1000)
			}
			return false
		}
		if err := to.download(s, content); err != nil {
			t.Fatal(err)
		}
		to.has(content, nil)
		if s.ranges[20] != "bytes=20000-" {
			t.Errorf("asked for %q", s.ranges)
		}
	})
	t.Run("from the start when the server knows no ranges", func(t *testing.T) {
		to, s := newTarget(t, content), &shelf{content: content}
		s.answer = func(_ int, _ http.ResponseWriter, r *http.Request) bool { r.Header.Del("Range"); return false }
		to.partial(content[:1000])
		if err := to.download(s, content); err != nil {
			t.Fatal(err)
		}
		to.has(content, nil)
		to.p.check(t, 0)
	})
	t.Run("from the start when what was left is of another file", func(t *testing.T) {
		for _, left := range [][]byte{[]byte("other"), make([]byte, len(content)), make([]byte, len(content)+1)} {
			to, s := newTarget(t, content), &shelf{content: content}
			to.partial(left)
			if err := to.download(s, content); err != nil {
				t.Fatal(err)
			}
			to.has(content, nil)
		}
	})
	t.Run("after a stall", func(t *testing.T) {
		to, s := newTarget(t, content), &shelf{content: content}
		s.answer = func(n int, w http.ResponseWriter, r *http.Request) bool {
			if n == 1 {
				w.Header().Set("Content-Length", fmt.Sprint(len(content)))
				_, _ = w.Write(content[:5000])
				w.(http.Flusher).Flush()
				<-r.Context().Done()
			}
			return n == 1
		}
		c := newClient(t, quick(serve(t, s.ServeHTTP)))
		c.SetStall(50 * time.Millisecond)
		if err := c.Download(t.Context(), digest(content), int64(len(content)), to.path, nil); err != nil {
			t.Fatal(err)
		}
		to.has(content, nil)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.ranges[1] != "bytes=5000-" {
			t.Errorf("asked for %q", s.ranges)
		}
	})
	t.Run("after a pause that the registry asks for", func(t *testing.T) {
		to, s := newTarget(t, content), &shelf{content: content}
		s.answer = func(n int, w http.ResponseWriter, r *http.Request) bool {
			if n <= 2 {
				status(503, "Retry-After", "1")(w, r)
			}
			return n <= 2
		}
		if err := to.download(s, content); err != nil {
			t.Fatal(err)
		}
		to.has(content, nil)
	})
}

func TestDownloadLeavesNoHalfFile(t *testing.T) {
	content := pattern(1 << 20)
	t.Run("when the registry hangs up again and again; what came is kept", func(t *testing.T) {
		to, s := newTarget(t, content), &shelf{content: content}
		s.answer = func(n int, w http.ResponseWriter, r *http.Request) bool {
			if n == 1 {
				s.some(w, r, 1000)
			}
			panic(http.ErrAbortHandler)
		}
		wantError(t, to.download(s, content), registry.Unavailable, "closed in the middle", "got no further")
		to.has(nil, content[:1000])
		if n := len(s.ranges); n > 10 {
			t.Errorf("%d tries", n)
		}
	})
	t.Run("when the digest is wrong; what is there stays", func(t *testing.T) {
		to, bad := newTarget(t, content), bytes.Clone(content)
		bad[77] ^= 1
		if err := os.WriteFile(to.path, []byte("before"), 0o600); err != nil {
			t.Fatal(err)
		}
		wantError(t, to.download(&shelf{content: bad}, content), registry.Invalid, string(digest(bad)), string(digest(content)), "removed")
		to.has([]byte("before"), nil)
	})
	t.Run("when the size is wrong", func(t *testing.T) {
		for _, other := range [][]byte{content[:1000], append(bytes.Clone(content), 1)} {
			to := newTarget(t, content)
			wantError(t, to.download(&shelf{content: other}, content), registry.Invalid, fmt.Sprintf("has %d bytes in the registry", len(other)))
			to.has(nil, nil)
		}
	})
	t.Run("when more comes than announced", func(t *testing.T) {
		to, s := newTarget(t, content), &shelf{content: content}
		s.answer = func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			w.(http.Flusher).Flush() // no Content-Length
			_, _ = w.Write(append(bytes.Clone(content), 1))
			return true
		}
		wantError(t, to.download(s, content), registry.Invalid, "sends more than")
	})
	t.Run("when a web page comes instead", func(t *testing.T) {
		to, s := newTarget(t, content), &shelf{content: content}
		s.answer = func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte("<html>"))
			return true
		}
		wantError(t, to.download(s, content), registry.Unavailable, "is not an Almanac registry")
		to.has(nil, nil)
	})
	t.Run("when another range comes than asked for", func(t *testing.T) {
		to, s := newTarget(t, content), &shelf{content: content}
		s.answer = func(_ int, _ http.ResponseWriter, r *http.Request) bool {
			r.Header.Set("Range", "bytes=7-")
			return false
		}
		to.partial(content[:1000])
		wantError(t, to.download(s, content), registry.Unavailable, "bytes 7-1048575/1048576", "byte 1000")
		to.has(nil, content[:1000])
	})
}

func TestDownloadTouchesNoOtherFile(t *testing.T) {
	content := pattern(5000)
	to, s := newTarget(t, content), &shelf{content: content}
	for _, name := range []string{to.path + ".partial", to.path + ".partial.mode"} {
		if err := os.WriteFile(name, []byte("the user's own"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := to.download(s, content); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{to.path + ".partial", to.path + ".partial.mode"} {
		if got, err := os.ReadFile(name); err != nil || string(got) != "the user's own" {
			t.Errorf("%s has %q, %v", name, got, err)
		}
	}
	if got, err := os.ReadFile(to.path); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestDownloadToTheLongestName(t *testing.T) {
	content := pattern(10)
	to, s := newTarget(t, content), &shelf{content: content}
	to.path = filepath.Join(filepath.Dir(to.path), strings.Repeat("ä", 127))
	if err := to.download(s, content); err != nil {
		t.Fatal(err)
	}
	to.has(content, nil)
}

func TestDownloadSaysWhatTheRegistrySays(t *testing.T) {
	to, s := newTarget(t, nil), &shelf{}
	s.answer = func(_ int, w http.ResponseWriter, _ *http.Request) bool {
		refuse(w, registry.Errorf(registry.NotFound, "no file that this token may read has the digest"))
		return true
	}
	wantError(t, to.download(s, pattern(10)), registry.NotFound, "no file that this token may read")
	wantError(t, to.download(s, nil), registry.NotFound, "no file that this token may read")
	to.has(nil, nil)
}

func TestDownloadOfWhatIsThereAsksNobody(t *testing.T) {
	content, s := pattern(5000), &shelf{}
	to := newTarget(t, content)
	if err := os.WriteFile(to.path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := to.download(s, content); err != nil || len(s.ranges) > 0 {
		t.Errorf("%v; asked for %q", err, s.ranges)
	}
	to.has(content, nil)
}

func TestDownloadNamesAPathThatCannotBe(t *testing.T) {
	to := newTarget(t, nil)
	to.path = filepath.Dir(to.path)
	wantError(t, to.download(&shelf{}, pattern(1)), registry.Invalid, "is not a regular file")
	to.path = filepath.Join(to.path, "missing", "f")
	wantError(t, to.download(&shelf{}, pattern(1)), registry.Invalid, "the file cannot be written")
	c := newClient(t, quick(closedAddress(t)))
	wantError(t, c.Download(t.Context(), "xyz", 1, to.path, nil), registry.Invalid, "must be a sha256")
	wantError(t, c.Download(t.Context(), digest(nil), -1, to.path, nil), registry.Invalid, "-1 bytes")
}

func TestDownloadFollowsToAnotherServerWithoutTheToken(t *testing.T) {
	content := pattern(1 << 20)
	bucket := &shelf{content: content}
	bucket.answer = func(_ int, _ http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") != "" {
			t.Error("the token reached another server")
		}
		return false
	}
	// Another port of the same host, where net/http alone would send the token.
	elsewhere := serve(t, bucket.ServeHTTP)
	to, s := newTarget(t, content), &shelf{content: content}
	s.answer = func(_ int, w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, elsewhere+"/bucket/key?X-Amz-Signature=hidden", http.StatusTemporaryRedirect)
		return true
	}
	to.partial(content[:1000])
	if err := to.download(s, content); err != nil {
		t.Fatal(err)
	}
	to.has(content, nil)
	if bucket.ranges[0] != "bytes=1000-" {
		t.Errorf("asked for %q", bucket.ranges)
	}
}
