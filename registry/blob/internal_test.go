package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func FuzzParseState(f *testing.F) {
	for _, n := range []int{0, 1, 64, 100, 1 << 16} {
		s := newState()
		s.hash.Write(make([]byte, n))
		s.offset = int64(n)
		b, err := s.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		f.Add(b[:len(b)-32])
		f.Add(b[:len(b)-33])
		f.Add(append(b, 0))
	}
	f.Add([]byte{})
	f.Add([]byte(stateMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		// With a checksum of its own the rest is reached as well.
		for _, b := range [][]byte{b, seal(bytes.Clone(b))} {
			s, err := parseState(b)
			if err != nil {
				continue
			}
			if s.offset < 0 {
				t.Fatalf("offset %d", s.offset)
			}
			again, err := s.encode()
			if err != nil {
				t.Fatal(err)
			}
			got, err := parseState(again)
			if err != nil || got.offset != s.offset || got.digest() != s.digest() {
				t.Errorf("again: %v, %v; want %v", got, err, s)
			}
		}
	})
}

func TestStateSurvives(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789"), 1000)
	for _, cut := range []int{0, 1, 63, 64, 65, 9999, 10_000} {
		s := newState()
		s.hash.Write(content[:cut])
		s.offset = int64(cut)
		b, err := s.encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseState(b)
		if err != nil || got.offset != int64(cut) {
			t.Fatalf("parseState = %v, %v; want offset %d", got, err, cut)
		}
		got.hash.Write(content[cut:])
		want := newState()
		want.hash.Write(content)
		if got.digest() != want.digest() {
			t.Errorf("cut at %d: digest %s, want %s", cut, got.digest(), want.digest())
		}
	}
}

func TestDiskErrors(t *testing.T) {
	if err := diskError(nil); err != nil {
		t.Errorf("diskError(nil) = %v", err)
	}
	for msg, causes := range map[string][]error{
		"the registry's disk is full":                   errFull,
		"the registry's disk is read-only":              errReadOnly,
		"the registry's disk fails to read or write":    errBroken,
		"the registry has no access to its disk":        {fs.ErrPermission},
		"a directory of the registry's disk is missing": {fs.ErrNotExist},
	} {
		for _, cause := range causes {
			err := diskError(errors.Join(&fs.PathError{Op: "write", Path: "/secret", Err: cause}, os.ErrClosed))
			e, ok := errors.AsType[*registry.Error](err)
			if !ok || e.Kind != registry.Unavailable || e.Msg != msg || !errors.Is(err, cause) {
				t.Errorf("diskError(%v) = %v, want Unavailable: %s", cause, err, msg)
			}
		}
	}
	if got := registry.KindOf(diskError(os.ErrClosed)); got != registry.Internal {
		t.Errorf("an unknown error is of kind %q, want internal", got)
	}
}

func TestLocksExclude(t *testing.T) {
	var l locks
	var holders, most atomic.Int32
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for range 200 {
				unlock, err := l.lock(context.Background(), fmt.Sprint(i%2))
				if err != nil {
					t.Error(err)
					return
				}
				if n := holders.Add(1); n > most.Load() {
					most.Store(n)
				}
				holders.Add(-1)
				unlock()
			}
		})
	}
	wg.Wait()
	if most.Load() > 2 {
		t.Errorf("%d held 2 locks", most.Load())
	}
	if len(l.names) != 0 {
		t.Errorf("%d locks are left", len(l.names))
	}
}

func TestLocksWaitNoLongerThanTheContext(t *testing.T) {
	var l locks
	unlock, _ := l.try("a")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.lock(ctx, "a"); !errors.Is(err, context.Canceled) {
		t.Errorf("lock = %v, want context.Canceled", err)
	}
	unlock()
	if l.held("a") != nil {
		t.Error("the lock is held")
	}
}

// A blob whose Commit has not synced it yet is shown to nobody.
func TestDiskHidesBlobsThatAreNotDurable(t *testing.T) {
	d, err := OpenDisk(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ctx, digest := t.Context(), newState().digest()
	if err := errors.Join(d.Create(ctx, "a"), d.Commit(ctx, "a", digest, 0)); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		settle, _ := d.settling.try(string(digest))
		short, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := d.Stat(short, digest); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Stat = %v, want it to wait until its context ends", err)
		}
		var found error
		done := false
		go func() {
			var r io.ReadCloser
			if r, found = d.Open(t.Context(), digest); found == nil {
				found = r.Close()
			}
			done = true
		}()
		synctest.Wait()
		if done {
			t.Errorf("Open = %v, want it to wait", found)
		}
		settle()
		synctest.Wait()
		if !done || found != nil {
			t.Errorf("Open = %v, ended %t; want the blob", found, done)
		}
	})
}

// After a checkpoint failed, a second one in the same Append must not succeed.
func TestCheckpointFailsForGood(t *testing.T) {
	d, err := OpenDisk(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Create(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	u, err := d.openUpload("a")
	if err != nil {
		t.Fatal(err)
	}
	defer u.file.Close()
	if err := u.write([]byte("bytes")); err != nil {
		t.Fatal(err)
	}
	u.add([]byte("bytes"))
	dir := u.dir
	u.dir += "/none"
	first := u.checkpoint()
	u.dir = dir
	if first == nil || u.checkpoint() != first || u.safe != 0 {
		t.Errorf("the second checkpoint = %v with %d bytes safe, want %v again", u.checkpoint(), u.safe, first)
	}
}

func TestNoLockIsLeft(t *testing.T) {
	d, err := OpenDisk(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	ctx, digest := t.Context(), newState().digest()
	for _, id := range []string{"a", "b", "no such id"} {
		_ = d.Create(ctx, id)
		_, _ = d.Append(ctx, id, 1, 0, nil)
		_ = d.Commit(ctx, id, digest, int64(len(id)-1))
		_ = d.Abort(ctx, id)
	}
	if n, m := len(d.busy.names), len(d.settling.names); n != 0 || m != 0 {
		t.Errorf("%d and %d locks are left", n, m)
	}
}
