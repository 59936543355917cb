package registrytest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func (s blobSuite) commits() {
	content := s.content
	digest := BlobDigest(s.content)
	none := BlobDigest([]byte("nobody has uploaded this"))
	s.run("Commit/makes the bytes a blob and ends the upload", func(t *testing.T, b blobs) {
		b.create("a")
		b.append("a", 0, content)
		b.wantNoBlob(digest)
		b.commit("a", content)
		b.wantBlob(content)
		b.wantNoUpload("a", digest)
	})
	s.run("Commit/no bytes are a blob, too", func(t *testing.T, b blobs) {
		b.create("a")
		b.commit("a", nil)
		b.wantBlob(nil)
		b.upload("b", nil)
		b.wantBlob(nil)
	})
	s.run("Commit/an upload that does not exist is NotFound", func(t *testing.T, b blobs) {
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
		s.run("Commit/"+name+" is Invalid with both values and nothing is kept", func(t *testing.T, b blobs) {
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
	s.run("Commit/a blob that exists is left as it is", func(t *testing.T, b blobs) {
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
	s.run("Commit/wrong bytes leave a blob that exists as it is", func(t *testing.T, b blobs) {
		b.upload("a", content)
		b.create("b")
		b.append("b", 0, content[:100])
		b.wantKind(registry.Invalid, "Commit", b.store.Commit(t.Context(), "b", digest, int64(len(content))))
		b.wantBlob(content)
	})
	s.run("Commit/many uploads of the same bytes at once make one blob", func(t *testing.T, b blobs) {
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
}

func (s blobSuite) aborts() {
	content := s.content
	digest := BlobDigest(s.content)
	s.run("Abort/the bytes are gone", func(t *testing.T, b blobs) {
		b.create("a")
		b.append("a", 0, content)
		b.abort("a")
		b.wantNoUpload("a", digest)
		b.wantNoBlob(digest)
	})
	s.run("Abort/what does not exist is no error", func(t *testing.T, b blobs) {
		b.abort("none")
		b.create("a")
		b.abort("a")
		b.abort("a")
		b.upload("b", content)
		b.abort("b")
		b.wantBlob(content)
	})
}
