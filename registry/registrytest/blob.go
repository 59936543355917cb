package registrytest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// blobLimit is a limit that does not matter.
const blobLimit = 1 << 40

// TestBlobStore checks that a store keeps the contract of [registry.BlobStore]. Each subtest opens
// a store of its own, which is empty; open cleans up with [testing.T.Cleanup].
//
//	func TestDisk(t *testing.T) {
//		registrytest.TestBlobStore(t, func(t *testing.T) registry.BlobStore { … })
//	}
func TestBlobStore(t *testing.T, open func(t *testing.T) registry.BlobStore) {
	run := func(name string, f func(t *testing.T, b blobs)) {
		t.Run(name, func(t *testing.T) { f(t, blobs{t: t, store: open(t)}) })
	}
	content := BlobContent(1, 3<<20+100_003)
	digest := BlobDigest(content)
	none := BlobDigest([]byte("nobody has uploaded this"))

	t.Run("Blob", func(t *testing.T) {
		blobReadTests(t, open, content)
	})

	run("Ping/a store that works answers nil", func(t *testing.T, b blobs) {
		if err := b.store.Ping(t.Context()); err != nil {
			t.Errorf("Ping: %v", err)
		}
	})

	run("Create/a new upload is at offset 0", func(t *testing.T, b blobs) {
		for _, id := range []string{"a", "0", strings.Repeat("z9", 32)} {
			b.create(id)
			b.wantOffset(id, 0)
		}
	})
	run("Create/an id that exists is a Conflict and keeps its bytes", func(t *testing.T, b blobs) {
		b.create("a")
		b.append("a", 0, content)
		b.wantKind(registry.Conflict, "Create", b.store.Create(t.Context(), "a"))
		b.commit("a", content)
		b.wantBlob(content)
	})
	run("Create/an id is free again when its upload has ended", func(t *testing.T, b blobs) {
		b.upload("a", content)
		b.upload("a", content[:100])
		b.create("a")
		b.append("a", 0, content[:200])
		b.abort("a")
		b.upload("a", content[:50])
		b.wantBlob(content)
		b.wantBlob(content[:100])
		b.wantBlob(content[:50])
	})
	run("Create/an id that is none is Invalid", func(t *testing.T, b blobs) {
		for _, id := range blobBadIDs() {
			b.wantKind(registry.Invalid, fmt.Sprintf("Create(%q)", id), b.store.Create(t.Context(), id))
		}
	})
	run("an id that is none reaches no other upload and no blob", func(t *testing.T, b blobs) {
		b.upload("done", content)
		b.create("a")
		b.append("a", 0, content[:10])
		for _, id := range append(blobBadIDs(), "../blobs/"+string(digest[:2])+"/"+string(digest), "../uploads/a", "a/data", "./a") {
			_, err := b.store.Offset(t.Context(), id)
			b.wantKindOf(fmt.Sprintf("Offset(%q)", id), err, registry.Invalid, registry.NotFound)
			_, err = b.store.Append(t.Context(), id, 0, blobLimit, strings.NewReader("x"))
			b.wantKindOf(fmt.Sprintf("Append(%q)", id), err, registry.Invalid, registry.NotFound)
			err = b.store.Commit(t.Context(), id, digest, int64(len(content)))
			b.wantKindOf(fmt.Sprintf("Commit(%q)", id), err, registry.Invalid, registry.NotFound)
			err = b.store.Abort(t.Context(), id)
			b.wantKindOf(fmt.Sprintf("Abort(%q)", id), err, registry.Invalid, "")
		}
		b.wantBlob(content)
		b.wantOffset("a", 10)
		b.append("a", 10, content[10:])
		b.commit("a", content)
	})

	run("Offset/an upload that does not exist is NotFound", func(t *testing.T, b blobs) {
		_, err := b.store.Offset(t.Context(), "none")
		b.wantKind(registry.NotFound, "Offset", err)
	})

	run("Append/bytes can come in parts of odd sizes", func(t *testing.T, b blobs) {
		b.create("a")
		offset := 0
		for i, size := range []int{1, 2, 0, 63, 64, 65, 127, 4095, 4097, 65537, 1<<20 - 1, 1 << 20, 1<<20 + 1} {
			b.append("a", offset, content[offset:offset+size])
			offset += size
			if i%3 == 0 {
				b.wantOffset("a", int64(offset))
			}
		}
		b.append("a", offset, content[offset:])
		b.wantOffset("a", int64(len(content)))
		b.commit("a", content)
		b.wantBlob(content)
	})
	run("Append/readers of every manner give the same bytes", func(t *testing.T, b blobs) {
		small := content[:70_001]
		for name, wrap := range map[string]func(io.Reader) io.Reader{
			"onebyte": iotest.OneByteReader,
			"half":    iotest.HalfReader,
			"dataeof": iotest.DataErrReader,
		} {
			b.create(name)
			got, err := b.store.Append(t.Context(), name, 0, blobLimit, wrap(bytes.NewReader(small)))
			if err != nil || got != int64(len(small)) {
				t.Errorf("%s: Append = %d, %v; want %d", name, got, err, len(small))
			}
			b.commit(name, small)
		}
		b.wantBlob(small)
	})
	run("Append/an upload that does not exist is NotFound", func(t *testing.T, b blobs) {
		_, err := b.store.Append(t.Context(), "none", 0, blobLimit, bytes.NewReader(content))
		b.wantKind(registry.NotFound, "Append", err)
	})
	run("Append/another offset is a Conflict and nothing is written", func(t *testing.T, b blobs) {
		b.create("a")
		for _, done := range []int{0, 1000} {
			b.append("a", 0, content[:done])
			for _, offset := range []int{-1, 0, done - 1, done + 1, 1 << 30} {
				if offset == done {
					continue
				}
				_, err := b.store.Append(t.Context(), "a", int64(offset), blobLimit, strings.NewReader("not these"))
				b.wantKind(registry.Conflict, fmt.Sprintf("Append at %d after %d bytes", offset, done), err)
				b.wantOffset("a", int64(done))
			}
		}
		b.append("a", 1000, content[1000:])
		b.commit("a", content)
		b.wantBlob(content)
	})
	run("Append/while somebody else appends it is a Conflict at once", func(t *testing.T, b blobs) {
		b.create("a")
		b.append("a", 0, content[:1000])
		first := b.hold("a", 1000, content[1000:2000])
		// The reader fails the test if anybody takes a byte of it.
		_, err := b.store.Append(t.Context(), "a", 1000, blobLimit, iotest.ErrReader(errors.New("this must not be read")))
		b.wantKind(registry.Conflict, "Append beside another", err)
		if got := b.offset("a"); got < 1000 || got > 2000 {
			t.Errorf("Offset beside an Append = %d, want 1000 to 2000", got)
		}
		first.finish(nil)
		if first.err != nil || first.offset != 2000 {
			t.Errorf("the first Append = %d, %v; want 2000", first.offset, first.err)
		}
		b.append("a", 2000, content[2000:])
		b.commit("a", content)
		b.wantBlob(content)
	})
	run("Append/of many at the same offset one goes on", func(t *testing.T, b blobs) {
		b.create("a")
		const racers = 8
		errs := make([]error, racers)
		var wg sync.WaitGroup
		for i := range racers {
			wg.Go(func() {
				_, errs[i] = b.store.Append(t.Context(), "a", 0, blobLimit, bytes.NewReader(BlobContent(uint64(i), 100_000)))
			})
		}
		wg.Wait()
		winner := -1
		for i, err := range errs {
			switch {
			case err != nil:
				b.wantKind(registry.Conflict, "Append of a loser", err)
			case winner >= 0:
				t.Fatalf("both %d and %d have appended at offset 0", winner, i)
			default:
				winner = i
			}
		}
		if winner < 0 {
			t.Fatal("none of them has appended")
		}
		b.commit("a", BlobContent(uint64(winner), 100_000))
	})
	run("Append/a reader that fails keeps what came before", func(t *testing.T, b blobs) {
		broken := errors.New("the connection is gone")
		b.create("a")
		offset := 0
		for _, size := range []int{0, 1, 4097, 1<<20 + 3} {
			r := io.MultiReader(bytes.NewReader(content[offset:offset+size]), iotest.ErrReader(broken))
			if size == 4097 {
				// The error may come with the last bytes, too.
				r = &blobFailingReader{content[offset : offset+size], broken}
			}
			got, err := b.store.Append(t.Context(), "a", int64(offset), blobLimit, r)
			if !errors.Is(err, broken) {
				t.Errorf("Append = %v, want the reader's error", err)
			}
			offset += size
			if got != int64(offset) {
				t.Errorf("Append = %d, want %d", got, offset)
			}
			b.wantOffset("a", int64(offset))
		}
		b.append("a", offset, content[offset:])
		b.commit("a", content)
		b.wantBlob(content)
	})
	run("Append/a cancelled context keeps what came before", func(t *testing.T, b blobs) {
		b.create("a")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		rest := &blobCallback{r: bytes.NewReader(content), after: 1<<20 + 5, call: cancel}
		got, err := b.store.Append(ctx, "a", 0, blobLimit, rest)
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("Append = %v, want context.Canceled", err)
		}
		b.wantOffset("a", got)
		if got < rest.after || got == int64(len(content)) {
			t.Errorf("Append = %d, want all %d bytes that came before the end of the context, and not all there are", got, rest.after)
		}
		b.append("a", int(got), content[got:])
		b.commit("a", content)
		b.wantBlob(content)
	})
	run("Append/limit bytes are taken in all", func(t *testing.T, b blobs) {
		for i, limit := range []int64{0, 1, 1 << 20, 1<<20 + 1, 1<<20 - 1} {
			id := fmt.Sprint("a", i)
			b.create(id)
			got, err := b.store.Append(t.Context(), id, 0, limit, bytes.NewReader(content[:limit]))
			if err != nil || got != limit {
				t.Errorf("Append of limit %d = %d, %v", limit, got, err)
			}
			got, err = b.store.Append(t.Context(), id, limit, limit, strings.NewReader(""))
			if err != nil || got != limit {
				t.Errorf("Append of nothing at limit %d = %d, %v", limit, got, err)
			}
			b.commit(id, content[:limit])
		}
	})
	run("Append/more than limit bytes is TooLarge and what is over it is not kept", func(t *testing.T, b blobs) {
		for i, limit := range []int64{0, 1, 1 << 20, 1<<20 + 1, 1<<20 - 1} {
			id := fmt.Sprint("a", i)
			b.create(id)
			first := limit / 2
			b.append(id, 0, content[:first])
			for range 2 {
				got, err := b.store.Append(t.Context(), id, first, limit, bytes.NewReader(content[first:]))
				b.wantKind(registry.TooLarge, fmt.Sprintf("Append beyond %d", limit), err)
				if got != limit {
					t.Errorf("Append beyond %d = %d", limit, got)
				}
				b.wantOffset(id, limit)
				first = limit
			}
			b.commit(id, content[:limit])
			b.wantBlob(content[:limit])
		}
	})

	run("Commit/makes the bytes a blob and ends the upload", func(t *testing.T, b blobs) {
		b.create("a")
		b.append("a", 0, content)
		b.wantNoBlob(digest)
		b.commit("a", content)
		b.wantBlob(content)
		b.wantNoUpload("a", digest)
	})
	run("Commit/no bytes are a blob, too", func(t *testing.T, b blobs) {
		b.create("a")
		b.commit("a", nil)
		b.wantBlob(nil)
		b.upload("b", nil)
		b.wantBlob(nil)
	})
	run("Commit/an upload that does not exist is NotFound", func(t *testing.T, b blobs) {
		b.wantKind(registry.NotFound, "Commit", b.store.Commit(t.Context(), "none", digest, 1))
	})
	for name, wrong := range map[string]struct {
		digest registry.Digest
		size   int64
	}{
		"a wrong digest":            {none, int64(len(content))},
		"a wrong size":              {digest, int64(len(content)) + 1},
		"a smaller size":            {digest, int64(len(content)) - 1},
		"a negative size":           {digest, -1},
		"a wrong digest and size":   {none, 12},
		"the digest of a beginning": {BlobDigest(content[:1<<20]), 1 << 20},
	} {
		run("Commit/"+name+" is Invalid with both values and nothing is kept", func(t *testing.T, b blobs) {
			b.create("a")
			b.append("a", 0, content)
			err := b.store.Commit(t.Context(), "a", wrong.digest, wrong.size)
			b.wantKind(registry.Invalid, "Commit", err)
			var values []string
			if wrong.digest != digest {
				values = append(values, string(wrong.digest), string(digest))
			}
			if wrong.size != int64(len(content)) {
				values = append(values, fmt.Sprint(wrong.size), fmt.Sprint(len(content)))
			}
			for _, v := range values {
				if !strings.Contains(fmt.Sprint(err), v) {
					t.Errorf("Commit = %v; want the value %s in it", err, v)
				}
			}
			b.wantNoUpload("a", digest)
			b.wantNoBlob(digest)
			b.wantNoBlob(wrong.digest)
			b.upload("a", content)
			b.wantBlob(content)
		})
	}
	run("Commit/a blob that exists is left as it is", func(t *testing.T, b blobs) {
		b.upload("a", content)
		r := b.open(digest)
		defer r.Close()
		b.upload("b", content)
		b.wantNoUpload("b", digest)
		b.wantBlob(content)
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, content) {
			t.Errorf("a reader from before = %d bytes, %v; want the blob", len(got), err)
		}
	})
	run("Commit/wrong bytes leave a blob that exists as it is", func(t *testing.T, b blobs) {
		b.upload("a", content)
		b.create("b")
		b.append("b", 0, content[:100])
		b.wantKind(registry.Invalid, "Commit", b.store.Commit(t.Context(), "b", digest, int64(len(content))))
		b.wantBlob(content)
	})
	run("Commit/many uploads of the same bytes at once make one blob", func(t *testing.T, b blobs) {
		const uploads = 8
		errs := make([]error, uploads)
		var wg sync.WaitGroup
		for i := range uploads {
			wg.Go(func() {
				id := fmt.Sprint("u", i)
				errs[i] = func() error {
					if err := b.store.Create(t.Context(), id); err != nil {
						return err
					}
					half := int64(len(content) / 2)
					if _, err := b.store.Append(t.Context(), id, 0, blobLimit, bytes.NewReader(content[:half])); err != nil {
						return err
					}
					if _, err := b.store.Append(t.Context(), id, half, blobLimit, bytes.NewReader(content[half:])); err != nil {
						return err
					}
					if err := b.store.Commit(t.Context(), id, digest, int64(len(content))); err != nil {
						return err
					}
					// What is visible is whole, whoever has made it.
					size, err := b.store.Stat(t.Context(), digest)
					if err == nil && size != int64(len(content)) {
						err = fmt.Errorf("a blob of %d bytes", size)
					}
					return err
				}()
			})
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Error(err)
		}
		b.wantBlob(content)
	})

	run("Abort/the bytes are gone", func(t *testing.T, b blobs) {
		b.create("a")
		b.append("a", 0, content)
		b.abort("a")
		b.wantNoUpload("a", digest)
		b.wantNoBlob(digest)
	})
	run("Abort/what does not exist is no error", func(t *testing.T, b blobs) {
		b.abort("none")
		b.create("a")
		b.abort("a")
		b.abort("a")
		b.upload("b", content)
		b.abort("b")
		b.wantBlob(content)
	})
}

// blobReadTests are the tests of Stat and Open.
func blobReadTests(t *testing.T, open func(t *testing.T) registry.BlobStore, content []byte) {
	digest := BlobDigest(content)
	t.Run("one that does not exist is NotFound", func(t *testing.T) {
		b := blobs{t, open(t)}
		b.wantNoBlob(digest)
		b.upload("a", content[1:])
		b.wantNoBlob(digest)
	})
	t.Run("a digest that is none is Invalid and reaches nothing", func(t *testing.T) {
		b := blobs{t, open(t)}
		b.create("a")
		b.append("a", 0, content)
		for _, bad := range []registry.Digest{"", "a", "..", "../../uploads/a/data", digest[:63], digest + "0", registry.Digest(strings.Repeat("/", 64)),
			registry.Digest(strings.Repeat("../", 21) + "a"), digest[:2] + "/" + digest[3:], registry.Digest(strings.Repeat("g", 64)), digest[:63] + "\x00"} {
			_, err := b.store.Stat(t.Context(), bad)
			b.wantKind(registry.Invalid, fmt.Sprintf("Stat(%q)", bad), err)
			r, err := b.store.Open(t.Context(), bad)
			b.wantKind(registry.Invalid, fmt.Sprintf("Open(%q)", bad), err)
			if r != nil {
				t.Errorf("Open(%q) returned a reader", bad)
			}
			b.wantKind(registry.Invalid, fmt.Sprintf("Commit(%q)", bad), b.store.Commit(t.Context(), "b", bad, 1))
		}
		b.wantOffset("a", int64(len(content)))
	})
	t.Run("its bytes can be read from every offset", func(t *testing.T) {
		b := blobs{t, open(t)}
		b.upload("a", content)
		r := b.open(digest)
		defer r.Close()
		size := int64(len(content))
		for _, at := range []struct {
			offset int64
			whence int
			want   int64
		}{
			{0, io.SeekEnd, size}, {0, io.SeekStart, 0}, {-5, io.SeekEnd, size - 5}, {-10, io.SeekCurrent, size - 10},
			{1 << 20, io.SeekStart, 1 << 20}, {7, io.SeekCurrent, 1<<20 + 12}, {size - 5, io.SeekStart, size - 5},
		} {
			pos, err := r.Seek(at.offset, at.whence)
			if err != nil || pos != at.want {
				t.Fatalf("Seek(%d, %d) = %d, %v; want %d", at.offset, at.whence, pos, err, at.want)
			}
			got := make([]byte, 5)
			n, err := io.ReadFull(r, got)
			if want := content[pos:min(pos+5, size)]; !bytes.Equal(got[:n], want) {
				t.Errorf("bytes at %d = %x, %v; want %x", pos, got[:n], err, want)
			}
		}
	})
	t.Run("two readers do not disturb each other", func(t *testing.T) {
		b := blobs{t, open(t)}
		b.upload("a", content)
		r1, r2 := b.open(digest), b.open(digest)
		half := make([]byte, len(content)/2)
		if _, err := io.ReadFull(r1, half); err != nil {
			t.Fatal(err)
		}
		if err := r1.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if got, err := io.ReadAll(r2); err != nil || !bytes.Equal(got, content) {
			t.Errorf("the second reader = %d bytes, %v; want the blob", len(got), err)
		}
		if err := r2.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}

// TestBlobStoreCrash checks what a store keeps when its process dies. Each subtest opens a store
// of its own, which is empty; crash returns a store on what the process that has the store opened
// last would leave if it died at that moment, and may be called while methods of that store run.
// Nothing relies on the results of those after that.
func TestBlobStoreCrash(t *testing.T, open func(t *testing.T) (store registry.BlobStore, crash func() registry.BlobStore)) {
	content := BlobContent(2, 3<<20+17)
	digest := BlobDigest(content)
	run := func(name string, f func(t *testing.T, b blobs, crash func() blobs)) {
		t.Run(name, func(t *testing.T) {
			store, crash := open(t)
			f(t, blobs{t, store}, func() blobs { return blobs{t, crash()} })
		})
	}

	run("an upload that was created is there", func(t *testing.T, b blobs, crash func() blobs) {
		b.create("a")
		b = crash()
		b.wantOffset("a", 0)
		b.append("a", 0, content)
		b.commit("a", content)
		b.wantBlob(content)
	})
	run("bytes that an Append has counted are there", func(t *testing.T, b blobs, crash func() blobs) {
		b.create("a")
		offset := 0
		for _, size := range []int{1, 64, 100_003, 1<<20 + 1} {
			b.append("a", offset, content[offset:offset+size])
			offset += size
			b = crash()
			b.wantOffset("a", int64(offset))
		}
		b.append("a", offset, content[offset:])
		b = crash()
		b.commit("a", content)
		b.wantBlob(content)
	})
	run("bytes that came before a reader failed are there", func(t *testing.T, b blobs, crash func() blobs) {
		b.create("a")
		got, _ := b.store.Append(t.Context(), "a", 0, blobLimit, &blobFailingReader{content[:70_000], io.ErrUnexpectedEOF})
		b = crash()
		b.wantOffset("a", got)
		b.append("a", int(got), content[got:])
		b.commit("a", content)
	})
	run("in the middle of an Append the upload goes on from where it is safe", func(t *testing.T, b blobs, crash func() blobs) {
		b.create("a")
		b.append("a", 0, content[:1000])
		running := b.hold("a", 1000, content[1000:2<<20+5])
		after := crash()
		offset := after.offset("a")
		if offset < 1000 || offset > 2<<20+5 {
			t.Errorf("Offset = %d, want at least the 1000 bytes that were counted and at most what was sent", offset)
		}
		after.append("a", int(offset), content[offset:])
		after.commit("a", content)
		after.wantBlob(content)
		running.finish(io.ErrUnexpectedEOF)
	})
	run("a blob that was committed is there and its upload is not", func(t *testing.T, b blobs, crash func() blobs) {
		b.upload("a", content)
		b = crash()
		b.wantBlob(content)
		b.wantNoUpload("a", digest)
		b.upload("a", content[:10])
	})
	run("bytes that were refused stay away", func(t *testing.T, b blobs, crash func() blobs) {
		b.create("a")
		b.append("a", 0, content)
		b.wantKind(registry.Invalid, "Commit", b.store.Commit(t.Context(), "a", digest, 1))
		b = crash()
		b.wantNoUpload("a", digest)
		b.wantNoBlob(digest)
	})
	run("an upload that was aborted stays away", func(t *testing.T, b blobs, crash func() blobs) {
		b.create("a")
		b.append("a", 0, content)
		b.abort("a")
		b = crash()
		b.wantNoUpload("a", digest)
		b.wantNoBlob(digest)
	})
}

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
