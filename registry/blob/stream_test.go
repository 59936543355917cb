package blob_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/registrytest"
)

// streamSize is more than all buffers of an Append, and no multiple of one.
const streamSize = 9<<20 + 12_345

// TestAppendThatEndsEarly ends the streams of long uploads in the middle. In each case what came
// before is kept, the upload can be finished, and, which the bubble checks, no goroutine is left.
func TestAppendThatEndsEarly(t *testing.T) {
	content := registrytest.BlobContent(7, streamSize)
	broken := errors.New("the connection broke")
	for name, test := range map[string]struct {
		kept   int64
		reader func(cancel func()) io.Reader
		want   func(err error, panicked any) bool
	}{
		"when the reader fails": {
			6<<20 + 7,
			func(func()) io.Reader {
				return io.MultiReader(bytes.NewReader(content[:6<<20+7]), iotest.ErrReader(broken))
			},
			func(err error, panicked any) bool { return err == broken && panicked == nil },
		},
		"when the reader fails after a whole buffer": {
			5 << 20,
			func(func()) io.Reader {
				return io.MultiReader(bytes.NewReader(content[:5<<20]), iotest.ErrReader(broken))
			},
			func(err error, panicked any) bool { return err == broken && panicked == nil },
		},
		"when the context is cancelled": {
			6 << 20,
			func(cancel func()) io.Reader {
				// A read that has begun is not interrupted, so its bytes are kept.
				return &notify{r: halfMiB{bytes.NewReader(content)}, at: 5<<20 + 1<<19, call: cancel}
			},
			func(err error, panicked any) bool { return errors.Is(err, context.Canceled) && panicked == nil },
		},
		"when the reader panics": {
			0, // nobody could be told of an offset
			func(func()) io.Reader {
				return &notify{r: bytes.NewReader(content), at: 6 << 20, call: func() { panic(broken) }}
			},
			func(err error, panicked any) bool { return panicked == broken },
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := mustOpen(t, t.TempDir())
			mustCreate(t, d, "a")
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				var n int64
				var err error
				panicked := func() (p any) {
					defer func() { p = recover() }()
					n, err = d.Append(ctx, "a", 0, noLimit, test.reader(cancel))
					return nil
				}()
				if n != test.kept || !test.want(err, panicked) {
					t.Errorf("Append = %d, %v, panic %v; want %d", n, err, panicked, test.kept)
				}
			})
			wantOffset(t, d, "a", test.kept)
			mustAppend(t, d, "a", test.kept, content[test.kept:])
			mustCommit(t, d, "a", content)
		})
	}
}

// halfMiB gives at most so much at once.
type halfMiB struct{ r io.Reader }

func (h halfMiB) Read(p []byte) (int, error) { return h.r.Read(p[:min(len(p), 1<<19)]) }

// TestAppendLimit cuts long streams off exactly where they must end.
func TestAppendLimit(t *testing.T) {
	content := registrytest.BlobContent(8, streamSize)
	d := mustOpen(t, t.TempDir())
	for _, limit := range []int64{5 << 20, 5<<20 + 1, streamSize - 1, streamSize} {
		id := fmt.Sprint("limit", limit)
		mustCreate(t, d, id)
		n, err := d.Append(t.Context(), id, 0, limit, bytes.NewReader(content))
		if over := limit < streamSize; n != limit || (registry.KindOf(err) == registry.TooLarge) != over || (err != nil) != over {
			t.Errorf("limit %d: Append = %d, %v", limit, n, err)
		}
		mustCommit(t, d, id, content[:limit])
	}
}

// TestAppendsSideBySide checks that uploads that run at the same time share buffers but no bytes.
func TestAppendsSideBySide(t *testing.T) {
	dir := t.TempDir()
	d := mustOpen(t, dir)
	var wg sync.WaitGroup
	for i := range 6 {
		wg.Go(func() {
			content := registrytest.BlobContent(uint64(100+i), streamSize+i)
			id := fmt.Sprint("u", i)
			err := d.Create(t.Context(), id)
			for offset := int64(0); err == nil && offset < int64(len(content)); {
				part := content[offset:min(int64(len(content)), offset+3<<20+int64(i))]
				offset, err = d.Append(t.Context(), id, offset, noLimit, iotest.HalfReader(bytes.NewReader(part)))
			}
			if err == nil {
				err = d.Commit(t.Context(), id, registrytest.BlobDigest(content), int64(len(content)))
			}
			if err != nil {
				t.Errorf("upload %d: %v", i, err)
				return
			}
			if got, err := os.ReadFile(blobFile(dir, content)); err != nil || !bytes.Equal(got, content) {
				t.Errorf("upload %d: the blob has other bytes, %v", i, err)
			}
		})
	}
	wg.Wait()
}

// TestSlowAppendIsSavedByTime gives a few bytes every three seconds: what a crash costs is bounded
// by time as well as by size.
func TestSlowAppendIsSavedByTime(t *testing.T) {
	dir := t.TempDir()
	d := mustOpen(t, dir)
	mustCreate(t, d, "a")
	content := registrytest.BlobContent(9, 20_000)
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		came := 0
		slow := readerFunc(func(p []byte) (int, error) {
			if came == len(content) {
				return 0, io.EOF
			}
			time.Sleep(3 * time.Second)
			// A checkpoint is due with the first bytes that come ten seconds after the last one, which
			// are at most 12 seconds' and wait for one more read.
			if got, err := d.Offset(t.Context(), "a"); err != nil || got < int64(came-6000) || got > int64(came) {
				t.Errorf("after %v with %d bytes the offset is %d, %v", time.Since(start), came, got, err)
			}
			n := copy(p[:min(len(p), 1000)], content[came:])
			came += n
			return n, nil
		})
		if n, err := d.Append(t.Context(), "a", 0, noLimit, slow); err != nil || n != int64(len(content)) {
			t.Errorf("Append = %d, %v", n, err)
		}
	})
	mustCommit(t, d, "a", content)
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestFailedCheckpointEndsTheStream takes the upload's directory away under an Append that would
// never end by itself. The file is open, so only a checkpoint can notice.
func TestFailedCheckpointEndsTheStream(t *testing.T) {
	if testing.Short() || runtime.GOOS == "windows" {
		t.Skip("writes 128 MiB, and moves a directory with an open file")
	}
	dir := t.TempDir()
	d := mustOpen(t, dir)
	mustCreate(t, d, "a")
	upload := filepath.Join(dir, "uploads", "a")
	endless := &notify{r: zeros{}, at: 10 << 20}
	endless.call = func() {
		if _, err := os.Stat(upload); err == nil {
			if err := os.Rename(upload, filepath.Join(dir, "elsewhere")); err != nil {
				t.Error(err)
			}
		}
		if endless.n > 1<<30 {
			panic("it goes on")
		}
	}
	n, err := d.Append(t.Context(), "a", 0, noLimit, endless)
	wantKind(t, err, registry.Unavailable)
	if n != 0 || !strings.HasPrefix(fmt.Sprint(err), "a directory of the registry's disk is missing") {
		t.Errorf("Append = %d, %v; want 0 and that the directory is missing", n, err)
	}
}
