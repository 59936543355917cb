package registrytest

import (
	"context"
	"errors"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func (s blobSuite) sums() {
	content := s.content
	s.run("Sum/is that of the bytes that came so far", func(t *testing.T, b blobs) {
		b.create("a")
		b.wantSum("a", nil)
		offset := 0
		for _, size := range []int{1, 63, 4097, 1<<20 + 1} {
			b.append("a", offset, content[offset:offset+size])
			offset += size
			b.wantSum("a", content[:offset])
		}
		b.append("a", offset, content[offset:])
		b.wantSum("a", content)
	})
	s.run("Sum/is what Commit wants, and leaves the upload as it is", func(t *testing.T, b blobs) {
		b.create("a")
		b.append("a", 0, content[:1000])
		for range 2 {
			b.wantSum("a", content[:1000])
		}
		b.append("a", 1000, content[1000:])
		digest, size, err := b.store.Sum(t.Context(), "a")
		if err != nil {
			t.Fatalf("Sum: %v", err)
		}
		if err := b.store.Commit(t.Context(), "a", digest, size); err != nil {
			t.Errorf("Commit: %v", err)
		}
		b.wantBlob(content)
	})
	s.run("Sum/what a failed reader gave counts", func(t *testing.T, b blobs) {
		b.create("a")
		broken := errors.New("the connection is gone")
		if _, err := b.store.Append(t.Context(), "a", 0, blobLimit, &blobFailingReader{content[:70_000], broken}); !errors.Is(err, broken) {
			t.Fatalf("Append = %v, want the reader's error", err)
		}
		b.wantSum("a", content[:70_000])
	})
	s.run("Sum/while somebody appends it is a Conflict", func(t *testing.T, b blobs) {
		b.create("a")
		running := b.hold("a", 0, content[:2000])
		_, _, err := b.store.Sum(t.Context(), "a")
		b.wantKind(registry.Conflict, "Sum beside an Append", err)
		running.finish(nil)
		b.wantSum("a", content[:2000])
	})
	s.run("Sum/an upload that does not exist is NotFound", func(t *testing.T, b blobs) {
		_, _, err := b.store.Sum(t.Context(), "none")
		b.wantKind(registry.NotFound, "Sum", err)
	})
	s.run("Sum/a cancelled context ends it", func(t *testing.T, b blobs) {
		b.create("a")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, _, err := b.store.Sum(ctx, "a"); !errors.Is(err, context.Canceled) {
			t.Errorf("Sum = %v, want context.Canceled", err)
		}
	})
}
