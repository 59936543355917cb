package registrytest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func (s blobSuite) begins() {
	content := s.content
	digest := BlobDigest(s.content)
	s.run("Ping/a store that works answers nil", func(t *testing.T, b blobs) {
		if err := b.store.Ping(t.Context()); err != nil {
			t.Errorf("Ping: %v", err)
		}
	})
	s.run("Create/a new upload is at offset 0", func(t *testing.T, b blobs) {
		for _, id := range []string{"a", "0", strings.Repeat("z9", 32)} {
			b.create(id)
			b.wantOffset(id, 0)
		}
	})
	s.run("Create/an id that exists is a Conflict and keeps its bytes", func(t *testing.T, b blobs) {
		b.create("a")
		b.append("a", 0, content)
		b.wantKind(registry.Conflict, "Create", b.store.Create(t.Context(), "a"))
		b.commit("a", content)
		b.wantBlob(content)
	})
	s.run("Create/an id is free again when its upload has ended", func(t *testing.T, b blobs) {
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
	s.run("Create/an id that is none is Invalid", func(t *testing.T, b blobs) {
		for _, id := range blobBadIDs() {
			b.wantKind(registry.Invalid, fmt.Sprintf("Create(%q)", id), b.store.Create(t.Context(), id))
		}
	})
	s.run("an id that is none reaches no other upload and no blob", func(t *testing.T, b blobs) {
		b.upload("done", content)
		b.create("a")
		b.append("a", 0, content[:10])
		for _, id := range append(blobBadIDs(), "../blobs/"+string(digest[:2])+"/"+string(digest), "../uploads/a", "a/data", "./a") {
			_, err := b.store.Offset(t.Context(), id)
			b.wantKindOf(fmt.Sprintf("Offset(%q)", id), err, registry.Invalid, registry.NotFound)
			_, _, err = b.store.Sum(t.Context(), id)
			b.wantKindOf(fmt.Sprintf("Sum(%q)", id), err, registry.Invalid, registry.NotFound)
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
	s.run("Offset/an upload that does not exist is NotFound", func(t *testing.T, b blobs) {
		_, err := b.store.Offset(t.Context(), "none")
		b.wantKind(registry.NotFound, "Offset", err)
	})
}

func (s blobSuite) appends() {
	content := s.content
	s.run("Append/bytes can come in parts of odd sizes", func(t *testing.T, b blobs) {
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
	s.run("Append/readers of every manner give the same bytes", func(t *testing.T, b blobs) {
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
	s.run("Append/an upload that does not exist is NotFound", func(t *testing.T, b blobs) {
		_, err := b.store.Append(t.Context(), "none", 0, blobLimit, bytes.NewReader(content))
		b.wantKind(registry.NotFound, "Append", err)
	})
	s.run("Append/another offset is a Conflict and nothing is written", func(t *testing.T, b blobs) {
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
	s.run("Append/while somebody else appends it is a Conflict at once", func(t *testing.T, b blobs) {
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
	s.run("Append/of many at the same offset one goes on", func(t *testing.T, b blobs) {
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
	s.run("Append/a reader that fails keeps what came before", func(t *testing.T, b blobs) {
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
	s.run("Append/a cancelled context keeps what came before", func(t *testing.T, b blobs) {
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
	s.run("Append/limit bytes are taken in all", func(t *testing.T, b blobs) {
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
	s.run("Append/more than limit bytes is TooLarge and what is over it is not kept", func(t *testing.T, b blobs) {
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
}
