package registrytest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"github.com/google/go-cmp/cmp"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// BlobContent returns n bytes that look random and are the same for the same seed.
func BlobContent(seed uint64, n int) []byte {
	b := make([]byte, n)
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	_, _ = rand.NewChaCha8(key).Read(b) // never fails
	return b
}

// BlobDigest returns the digest of content.
func BlobDigest(content []byte) registry.Digest {
	sum := sha256.Sum256(content)
	return registry.Digest(hex.EncodeToString(sum[:]))
}

// blobBadIDs returns what must not be taken for the id of an upload.
func blobBadIDs() []string {
	return []string{"", ".", "..", "../a", "a/b", "a\\b", "/", "/tmp", "A", "a.b", "a-b", "a_b", "a b", "a\x00", "a\n", "é", "ａ",
		strings.Repeat("a", 65), strings.Repeat("../", 100)}
}

// blobs is a store with the assertions of its tests.
type blobs struct {
	t     *testing.T
	store registry.BlobStore
}

func (b blobs) create(id string) {
	b.t.Helper()
	if err := b.store.Create(b.t.Context(), id); err != nil {
		b.t.Fatalf("Create(%q): %v", id, err)
	}
}

func (b blobs) append(id string, offset int, content []byte) {
	b.t.Helper()
	got, err := b.store.Append(b.t.Context(), id, int64(offset), blobLimit, bytes.NewReader(content))
	if want := int64(offset + len(content)); err != nil || got != want {
		b.t.Fatalf("Append of %d bytes at %d = %d, %v; want %d", len(content), offset, got, err, want)
	}
}

func (b blobs) commit(id string, content []byte) {
	b.t.Helper()
	if err := b.store.Commit(b.t.Context(), id, BlobDigest(content), int64(len(content))); err != nil {
		b.t.Fatalf("Commit(%q): %v", id, err)
	}
}

func (b blobs) abort(id string) {
	b.t.Helper()
	if err := b.store.Abort(b.t.Context(), id); err != nil {
		b.t.Fatalf("Abort(%q): %v", id, err)
	}
}

func (b blobs) upload(id string, content []byte) {
	b.t.Helper()
	b.create(id)
	b.append(id, 0, content)
	b.commit(id, content)
}

func (b blobs) open(digest registry.Digest) io.ReadSeekCloser {
	b.t.Helper()
	r, err := b.store.Open(b.t.Context(), digest)
	if err != nil {
		b.t.Fatalf("Open(%s): %v", digest, err)
	}
	return r
}

func (b blobs) offset(id string) int64 {
	b.t.Helper()
	got, err := b.store.Offset(b.t.Context(), id)
	if err != nil {
		b.t.Fatalf("Offset(%q): %v", id, err)
	}
	return got
}

func (b blobs) wantOffset(id string, want int64) {
	b.t.Helper()
	if diff := cmp.Diff(want, b.offset(id)); diff != "" {
		b.t.Errorf("Offset(%q) (-want +got):\n%s", id, diff)
	}
}

func (b blobs) wantSum(id string, content []byte) {
	b.t.Helper()
	digest, size, err := b.store.Sum(b.t.Context(), id)
	if err != nil || digest != BlobDigest(content) || size != int64(len(content)) {
		b.t.Errorf("Sum(%q) = %s, %d, %v; want %s, %d", id, digest, size, err, BlobDigest(content), len(content))
	}
}

func (b blobs) wantBlob(content []byte) {
	b.t.Helper()
	digest := BlobDigest(content)
	size, err := b.store.Stat(b.t.Context(), digest)
	if err != nil || size != int64(len(content)) {
		b.t.Errorf("Stat = %d, %v; want %d", size, err, len(content))
	}
	r := b.open(digest)
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, content) {
		b.t.Errorf("the blob has %d bytes, %v; want the %d that were uploaded", len(got), err, len(content))
	}
}

func (b blobs) wantNoBlob(digest registry.Digest) {
	b.t.Helper()
	_, err := b.store.Stat(b.t.Context(), digest)
	b.wantKind(registry.NotFound, "Stat", err)
	r, err := b.store.Open(b.t.Context(), digest)
	b.wantKind(registry.NotFound, "Open", err)
	if r != nil {
		b.t.Error("Open returned a reader with its error")
	}
}

func (b blobs) wantNoUpload(id string, digest registry.Digest) {
	b.t.Helper()
	_, err := b.store.Offset(b.t.Context(), id)
	b.wantKind(registry.NotFound, "Offset", err)
	_, _, err = b.store.Sum(b.t.Context(), id)
	b.wantKind(registry.NotFound, "Sum", err)
	_, err = b.store.Append(b.t.Context(), id, 0, blobLimit, strings.NewReader("x"))
	b.wantKind(registry.NotFound, "Append", err)
	b.wantKind(registry.NotFound, "Commit", b.store.Commit(b.t.Context(), id, digest, 1))
}

func (b blobs) wantKind(want registry.Kind, what string, err error) {
	b.t.Helper()
	b.wantKindOf(what, err, want)
}

func (b blobs) wantKindOf(what string, err error, want ...registry.Kind) {
	b.t.Helper()
	got := registry.KindOf(err)
	for _, kind := range want {
		if got == kind {
			return
		}
	}
	b.t.Errorf("%s = %v, of kind %q; want %q", what, err, got, want)
}

// hold begins an Append whose reader gives content and then waits for finish.
func (b blobs) hold(id string, offset int64, content []byte) *blobHeld {
	h := &blobHeld{end: make(chan error, 1), done: make(chan struct{})}
	waiting := make(chan struct{})
	gate := blobReadFunc(func([]byte) (int, error) {
		close(waiting)
		err := <-h.end
		if err == nil {
			err = io.EOF
		}
		return 0, err
	})
	go func() {
		defer close(h.done)
		h.offset, h.err = b.store.Append(b.t.Context(), id, offset, blobLimit, io.MultiReader(bytes.NewReader(content), gate))
	}()
	select {
	case <-waiting:
	case <-h.done:
		b.t.Fatalf("Append ended before its reader did: %v", h.err)
	}
	b.t.Cleanup(func() { h.finish(io.ErrUnexpectedEOF) })
	return h
}

// blobHeld is an Append that runs. offset and err are its results after finish.
type blobHeld struct {
	end    chan error
	once   sync.Once
	done   chan struct{}
	offset int64
	err    error
}

// finish ends the reader, with err if there is one, and waits for the Append.
func (h *blobHeld) finish(err error) {
	h.once.Do(func() { h.end <- err })
	<-h.done
}

type blobReadFunc func([]byte) (int, error)

func (f blobReadFunc) Read(p []byte) (int, error) { return f(p) }

// blobFailingReader gives its error together with the last bytes.
type blobFailingReader struct {
	rest []byte
	err  error
}

func (r *blobFailingReader) Read(p []byte) (int, error) {
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	if len(r.rest) == 0 {
		return n, r.err
	}
	return n, nil
}

// blobCallback calls something when the first bytes were read, and reads on in small steps.
type blobCallback struct {
	r     io.Reader
	after int64
	call  func()
	n     int64
}

func (c *blobCallback) Read(p []byte) (int, error) {
	n, err := c.r.Read(p[:min(len(p), 1000)])
	c.n += int64(n)
	if c.n >= c.after && c.call != nil {
		c.call()
		c.call, c.after = nil, c.n
	}
	return n, err
}
