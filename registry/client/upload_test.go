package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func TestUploadSendsAFileOnce(t *testing.T) {
	for _, size := range []int{0, 1, 3 << 20} {
		t.Run(fmt.Sprintf("%d bytes", size), func(t *testing.T) {
			d, content, p := &depot{}, pattern(size), &progress{}
			path := filepath.Join(t.TempDir(), "f")
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := start(t, d).UploadFile(t.Context(), "a/b", path, "app.box", p.track)
			d.check(t, content, got, err)
			if size == 0 {
				p.check(t)
			} else {
				p.check(t, 0)
			}
			if d.want.Artifact != "a/b" || d.received != size {
				t.Errorf("sent %d bytes for %q", d.received, d.want.Artifact)
			}
		})
	}
}

func TestUploadOfWhatIsKnownSendsNothing(t *testing.T) {
	d, content, p := &depot{kept: true, got: pattern(9000)}, pattern(9000), &progress{}
	got, err := start(t, d).Upload(t.Context(), "a/b", "app.box", bytes.NewReader(content), p.track)
	d.check(t, content, got, err)
	p.check(t)
	if d.received != 0 {
		t.Errorf("%d bytes were sent", d.received)
	}
}

func TestUploadResumesAfterACut(t *testing.T) {
	d, content, p := &depot{}, pattern(3<<20), &progress{}
	d.patch = d.cutAfter(1 << 20)
	got, err := start(t, d).Upload(t.Context(), "a/b", "app.box", bytes.NewReader(content), p.track)
	d.check(t, content, got, err)
	p.check(t, 0, 1<<20)
	if d.received != len(content) {
		t.Errorf("%d bytes were taken, want %d: each once", d.received, len(content))
	}
}

func TestUploadThatAdvancesOutlivesAnyNumberOfCuts(t *testing.T) {
	d, content := &depot{}, pattern(400<<10)
	d.patch = func(n int, w http.ResponseWriter, r *http.Request) bool {
		if n <= 30 {
			d.take(w, r, 10<<10)
		}
		return false
	}
	got, err := start(t, d).Upload(t.Context(), "a/b", "app.box", bytes.NewReader(content), nil)
	d.check(t, content, got, err)
}

func TestUploadThatDoesNotAdvanceEnds(t *testing.T) {
	d := &depot{patch: func(int, http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }}
	_, err := start(t, d).Upload(t.Context(), "a/b", "app.box", bytes.NewReader(pattern(1<<20)), nil)
	wantError(t, err, registry.Unavailable, "does not answer", "got no further")
	d.freeze(t)
	if n := len(d.patches); n < 2 || n > 10 {
		t.Errorf("%d tries", n)
	}
}

func TestUploadGoesOnWhereTheRegistrySays(t *testing.T) {
	d, content, p := &depot{}, pattern(2<<20), &progress{}
	d.patch = func(n int, _ http.ResponseWriter, r *http.Request) bool {
		if n == 1 {
			// The bytes of a connection that the client believes lost arrive late.
			d.got = append(d.got, content[:1<<20]...)
			_, _ = io.Copy(io.Discard, r.Body)
		}
		return false
	}
	got, err := start(t, d).Upload(t.Context(), "a/b", "app.box", bytes.NewReader(content), p.track)
	d.check(t, content, got, err)
	p.check(t, 0, 1<<20)
}

func TestUploadThatTheRegistryForgotBeginsAgain(t *testing.T) {
	t.Run("while it is sent", func(t *testing.T) {
		d, content := &depot{}, pattern(1<<20)
		d.patch = func(n int, w http.ResponseWriter, r *http.Request) bool {
			if n == 1 {
				refuse(w, registry.Errorf(registry.NotFound, "upload does not exist; begin a new one"))
			}
			return n == 1
		}
		got, err := start(t, d).Upload(t.Context(), "a/b", "app.box", bytes.NewReader(content), nil)
		d.check(t, content, got, err)
		if d.begun != 2 {
			t.Errorf("begun %d times", d.begun)
		}
	})
	t.Run("for ever, and ends", func(t *testing.T) {
		d := &depot{}
		d.patch = func(_ int, w http.ResponseWriter, _ *http.Request) bool {
			refuse(w, registry.Errorf(registry.NotFound, "upload does not exist; begin a new one"))
			return true
		}
		_, err := start(t, d).Upload(t.Context(), "a/b", "app.box", bytes.NewReader(pattern(9)), nil)
		wantError(t, err, registry.NotFound, "begin a new one")
		d.freeze(t)
		if d.begun != 4 {
			t.Errorf("begun %d times, want 4", d.begun)
		}
	})
	t.Run("because the answer to the commit was lost", func(t *testing.T) {
		d, content := &depot{}, pattern(1<<20)
		d.put = func(int, http.ResponseWriter) bool {
			d.kept = true
			panic(http.ErrAbortHandler)
		}
		got, err := start(t, d).Upload(t.Context(), "a/b", "app.box", bytes.NewReader(content), nil)
		d.check(t, content, got, err)
		if d.received != len(content) {
			t.Errorf("%d bytes were sent", d.received)
		}
	})
}

func TestCommitWaitsForABusyRegistry(t *testing.T) {
	d, content := &depot{}, pattern(1000)
	d.put = func(n int, w http.ResponseWriter) bool {
		if n < 4 {
			refuse(w, registry.Errorf(registry.Conflict, "somebody else appends"))
		}
		return n < 4
	}
	got, err := start(t, d).Upload(t.Context(), "a/b", "app.box", bytes.NewReader(content), nil)
	d.check(t, content, got, err)
}

func TestFileThatChangesWhileItIsUploaded(t *testing.T) {
	for name, change := range map[string]func(t *testing.T, f *os.File){
		"has other bytes": func(t *testing.T, f *os.File) {
			if _, err := f.WriteAt([]byte("other"), 500); err != nil {
				t.Error(err)
			}
		},
		"grows": func(t *testing.T, f *os.File) {
			if _, err := f.WriteAt([]byte("more"), 1000); err != nil {
				t.Error(err)
			}
		},
		"shrinks": func(t *testing.T, f *os.File) {
			if err := f.Truncate(10); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			d, path := &depot{}, filepath.Join(t.TempDir(), "f")
			if err := os.WriteFile(path, pattern(1000), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := start(t, d).UploadFile(t.Context(), "a/b", path, "app.box", func(_ string, _, _ int64, r io.ReadCloser) io.ReadCloser {
				f, err := os.OpenFile(path, os.O_RDWR, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				change(t, f)
				return r
			})
			wantError(t, err, registry.Invalid, `the file changed while it was uploaded: "app.box"`)
			d.freeze(t)
			if d.kept || d.begun != 1 {
				t.Errorf("kept: %t, begun %d times", d.kept, d.begun)
			}
		})
	}
}

func TestBytesDamagedOnTheWay(t *testing.T) {
	content := pattern(1000)
	t.Run("once are sent again", func(t *testing.T) {
		d := &depot{}
		d.put = func(n int, _ http.ResponseWriter) bool {
			if n == 1 {
				d.got[7] ^= 1
			}
			return false
		}
		got, err := start(t, d).Upload(t.Context(), "a/b", "app.box", bytes.NewReader(content), nil)
		d.check(t, content, got, err)
	})
	t.Run("always are told from a file that changed", func(t *testing.T) {
		d := &depot{}
		d.put = func(int, http.ResponseWriter) bool { d.got[7] ^= 1; return false }
		_, err := start(t, d).Upload(t.Context(), "a/b", "app.box", bytes.NewReader(content), nil)
		wantError(t, err, registry.Unavailable, "arrive damaged", "the bytes have another digest")
		d.freeze(t)
		if d.begun != 2 {
			t.Errorf("sent %d times, want 2", d.begun)
		}
	})
}

func TestUploadThatStandsStillIsResumed(t *testing.T) {
	d, content := &depot{}, pattern(24<<20)
	d.patch = func(n int, w http.ResponseWriter, r *http.Request) bool {
		if n == 1 {
			// Reading a little and then nothing lets the client's buffers fill up.
			bytes := make([]byte, 1<<20)
			n, _ := io.ReadFull(r.Body, bytes)
			d.got = append(d.got, bytes[:n]...)
			time.Sleep(300 * time.Millisecond)
			panic(http.ErrAbortHandler)
		}
		return false
	}
	c := start(t, d)
	c.SetStall(100 * time.Millisecond)
	got, err := c.Upload(t.Context(), "a/b", "app.box", bytes.NewReader(content), nil)
	d.check(t, content, got, err)
	if len(d.patches) < 2 {
		t.Error("it was not resumed")
	}
}

func TestUploadRefusedByTheRegistryEnds(t *testing.T) {
	d := &depot{patch: func(_ int, w http.ResponseWriter, _ *http.Request) bool {
		refuse(w, registry.Errorf(registry.Forbidden, "token \"ci\" has the role read"))
		return true
	}}
	_, err := start(t, d).Upload(t.Context(), "a/b", "app.box", bytes.NewReader(pattern(1000)), nil)
	wantError(t, err, registry.Forbidden, "has the role read")
	d.freeze(t)
	if d.deleted != 1 || len(d.patches) != 1 {
		t.Errorf("%d requests, %d deletions", len(d.patches), d.deleted)
	}
}

func TestCancelledUploadIsDropped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	d := &depot{patch: func(_ int, w http.ResponseWriter, r *http.Request) bool {
		cancel()
		_, _ = io.Copy(io.Discard, r.Body)
		panic(http.ErrAbortHandler)
	}}
	_, err := start(t, d).Upload(ctx, "a/b", "app.box", bytes.NewReader(pattern(16<<20)), nil)
	wantError(t, err, registry.Unavailable, "was stopped")
	d.freeze(t)
	if !errors.Is(err, context.Canceled) || d.deleted != 1 {
		t.Errorf("%v; %d deletions", err, d.deleted)
	}
}

func TestUploadNamesWhatIsWrongWithItsInput(t *testing.T) {
	c := newClient(t, quick(closedAddress(t)))
	dir := t.TempDir()
	upload := func(artifact, path, name string) error {
		_, err := c.UploadFile(t.Context(), artifact, path, name, nil)
		return err
	}
	wantError(t, upload("app", dir, "../f"), registry.Invalid, "artifact: ", "must be namespace/name", "name: ", "without '..'")
	err := upload("a/b", filepath.Join(dir, "missing"), "f")
	wantError(t, err, registry.Invalid, "the file cannot be uploaded: open ")
	if !errors.Is(err, os.ErrNotExist) {
		t.Error("it does not wrap the cause")
	}
	wantError(t, upload("a/b", dir, "f"), registry.Invalid, "is not a regular file")
	_, err = c.Upload(t.Context(), "a/b", "f", broken{}, nil)
	wantError(t, err, registry.Invalid, `the file "f" cannot be read: bad sector`)
}

type broken struct{}

func (broken) Read([]byte) (int, error)       { return 0, errors.New("bad sector") }
func (broken) Seek(int64, int) (int64, error) { return 0, nil }

func TestContentThatFailsIsNotRetriedAsTheNetworkIs(t *testing.T) {
	d := &depot{}
	content := &failsLater{Reader: bytes.NewReader(pattern(1 << 20))}
	_, err := start(t, d).Upload(t.Context(), "a/b", "app.box", content, func(_ string, _, _ int64, r io.ReadCloser) io.ReadCloser {
		content.failing = true
		return r
	})
	wantError(t, err, registry.Invalid, "bad sector")
	d.freeze(t)
	if len(d.patches) > 1 {
		t.Errorf("%d connections", len(d.patches))
	}
}

type failsLater struct {
	*bytes.Reader
	failing bool
}

func (f *failsLater) Read(p []byte) (int, error) {
	if f.failing {
		return 0, errors.New("bad sector")
	}
	return f.Reader.Read(p)
}
