package client_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

func digest(content []byte) registry.Digest {
	sum := sha256.Sum256(content)
	return registry.Digest(hex.EncodeToString(sum[:]))
}

// pattern is content without repetitions that would hide a wrong offset.
func pattern(size int) []byte {
	content := make([]byte, size)
	for i := range content {
		content[i] = byte(i ^ i>>8*7 ^ i>>16*13)
	}
	return content
}

// depot takes uploads as the registry does, except where patch or put, if they are set, answer
// instead. n counts from 1.
type depot struct {
	t     *testing.T
	patch func(n int, w http.ResponseWriter, r *http.Request) bool
	put   func(n int, w http.ResponseWriter) bool

	mu       sync.Mutex
	begun    int
	want     registry.UploadRequest
	got      []byte
	kept     bool // the bytes are a blob
	received int
	patches  []int // offsets
	puts     int
	deleted  int
}

func (d *depot) status() registry.UploadStatus {
	s := registry.UploadStatus{Offset: int64(len(d.got)), Done: d.kept}
	s.Size, s.SHA256 = d.want.Size, registry.Digest(d.want.SHA256)
	if !d.kept {
		s.ID = fmt.Sprintf("upload%d", d.begun)
	}
	return s
}

func (d *depot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer "+secret {
		d.t.Errorf("%s %s without the token", r.Method, r.URL.Path)
	}
	if r.Method != http.MethodPost && (d.kept || r.URL.Path != "/v1/uploads/"+d.status().ID) {
		refuse(w, registry.Errorf(registry.NotFound, "upload does not exist; begin a new one"))
		return
	}
	switch r.Method {
	case http.MethodPost:
		if err := json.NewDecoder(r.Body).Decode(&d.want); err != nil {
			d.t.Error(err)
		}
		if !d.kept {
			d.begun++
			d.got = nil
		}
		answer(w, 201, d.status())
	case http.MethodGet:
		answer(w, 200, d.status())
	case http.MethodDelete:
		d.deleted++
		w.WriteHeader(204)
	case http.MethodPatch:
		d.patches = append(d.patches, len(d.got))
		if d.patch != nil && d.patch(len(d.patches), w, r) {
			return
		}
		d.take(w, r, -1)
	case http.MethodPut:
		d.puts++
		if d.put != nil && d.put(d.puts, w) {
			return
		}
		if digest(d.got) != registry.Digest(d.want.SHA256) {
			d.got = nil
			refuse(w, registry.Errorf(registry.Invalid, "the bytes have another digest"))
			return
		}
		d.kept = true
		answer(w, 200, d.status())
	}
}

// take keeps the first limit bytes of a body, all if it is negative.
func (d *depot) take(w http.ResponseWriter, r *http.Request, limit int64) {
	if at := r.Header.Get("Upload-Offset"); at != strconv.Itoa(len(d.got)) {
		w.Header().Set("Upload-Offset", strconv.Itoa(len(d.got)))
		refuse(w, registry.Errorf(registry.Conflict, "the upload goes on at %d, not at %s", len(d.got), at))
		return
	}
	if r.ContentLength != d.want.Size-int64(len(d.got)) {
		d.t.Errorf("Content-Length is %d, want %d", r.ContentLength, d.want.Size-int64(len(d.got)))
	}
	body := io.Reader(r.Body)
	if limit >= 0 {
		body = io.LimitReader(r.Body, limit)
	}
	bytes, _ := io.ReadAll(body)
	d.got = append(d.got, bytes...)
	d.received += len(bytes)
	if limit >= 0 {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Upload-Offset", strconv.Itoa(len(d.got)))
	w.WriteHeader(204)
}

// cutAfter keeps n bytes of the first request and hangs up.
func (d *depot) cutAfter(bytes int64) func(int, http.ResponseWriter, *http.Request) bool {
	return func(n int, w http.ResponseWriter, r *http.Request) bool {
		if n == 1 {
			d.take(w, r, bytes)
		}
		return false
	}
}

// progress is a Track that notes what it sees.
type progress struct {
	mu      sync.Mutex
	offsets []int64
	read    int64
	closed  []int
}

type tracked struct {
	io.ReadCloser
	p *progress
	n int
}

func (p *progress) track(_ string, offset, _ int64, r io.ReadCloser) io.ReadCloser {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.offsets, p.closed = append(p.offsets, offset), append(p.closed, 0)
	return &tracked{r, p, len(p.offsets) - 1}
}

func (t *tracked) Read(b []byte) (int, error) {
	n, err := t.ReadCloser.Read(b)
	t.p.mu.Lock()
	defer t.p.mu.Unlock()
	t.p.read += int64(n)
	return n, err
}

func (t *tracked) Close() error {
	t.p.mu.Lock()
	t.p.closed[t.n]++
	t.p.mu.Unlock()
	return t.ReadCloser.Close()
}

func (p *progress) check(t *testing.T, offsets ...int64) {
	t.Helper()
	if diff := cmp.Diff(offsets, p.offsets); diff != "" {
		t.Errorf("offsets of the track: %s", diff)
	}
	for i, n := range p.closed {
		if n != 1 {
			t.Errorf("the stream of connection %d was closed %d times", i+1, n)
		}
	}
}

func start(t *testing.T, d *depot) *client.Client {
	d.t = t
	return newClient(t, quick(serve(t, d.ServeHTTP)))
}

// freeze lets a test read what the depot has.
func (d *depot) freeze(t *testing.T) {
	d.mu.Lock()
	t.Cleanup(d.mu.Unlock)
}

func (d *depot) check(t *testing.T, content []byte, got registry.File, err error) {
	t.Helper()
	d.freeze(t)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(registry.File{Name: "app.box", Size: int64(len(content)), SHA256: digest(content)}, got); diff != "" {
		t.Error(diff)
	}
	if !d.kept || !bytes.Equal(d.got, content) {
		t.Errorf("the registry has %d bytes that are not the file's %d", len(d.got), len(content))
	}
}
