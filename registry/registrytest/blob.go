package registrytest

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

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
	s := blobSuite{t: t, open: open, content: BlobContent(1, 3<<20+100_003)}
	t.Run("Blob", func(t *testing.T) { blobReadTests(t, open, s.content) })
	s.begins()
	s.appends()
	s.sums()
	s.commits()
	s.aborts()
}

// blobSuite runs subtests, each on a store of its own.
type blobSuite struct {
	t       *testing.T
	open    func(t *testing.T) registry.BlobStore
	content []byte
}

func (s blobSuite) run(name string, f func(t *testing.T, b blobs)) {
	s.t.Run(name, func(t *testing.T) { f(t, blobs{t: t, store: s.open(t)}) })
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
	run("the sum of bytes that an Append has counted is there", func(t *testing.T, b blobs, crash func() blobs) {
		b.create("a")
		b.append("a", 0, content[:1<<20+1])
		b = crash()
		b.wantSum("a", content[:1<<20+1])
		b.append("a", 1<<20+1, content[1<<20+1:])
		b = crash()
		b.wantSum("a", content)
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
		after.wantSum("a", content[:offset])
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
