package registry_test

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// gate is a reader that gives what it has in two halves: it tells when the first one was asked for, and waits before the second.
type gate struct {
	io.Reader
	begun, open chan struct{}
}

func newGate(content []byte) *gate {
	g := &gate{begun: make(chan struct{}), open: make(chan struct{})}
	half := len(content) / 2
	g.Reader = io.MultiReader(called(func() { close(g.begun) }), bytes.NewReader(content[:half]), called(func() { <-g.open }), bytes.NewReader(content[half:]))
	return g
}

// called is an empty reader that calls when it is read.
type called func()

func (c called) Read([]byte) (int, error) { c(); return 0, io.EOF }

func TestTwoTransfersWithOneSecret(t *testing.T) {
	content := virtualbox(t, strings.Repeat("disk", 1000))
	w, ctx, secret := uploading(t, pendingBox("virtualbox", ""))
	g := newGate(content)
	done := make(chan error, 1)
	go func() {
		_, err := w.Receive(ctx, secret, int64(len(content)), g)
		done <- err
	}()
	<-g.begun
	_, err := w.Receive(t.Context(), secret, -1, bytes.NewReader(content))
	wantError(t, err, registry.Conflict, "another transfer")
	close(g.open)
	if err := <-done; err != nil {
		t.Errorf("the one that ran was disturbed: %v", err)
	}
	wantBoxes(t, w.version(ctx, "1"), []string{"vagrant.libvirt", "vagrant.virtualbox"}, nil)
}

// summed is a blob store that calls before it tells a digest.
type summed struct {
	registry.BlobStore
	before func()
}

func (s *summed) Sum(ctx context.Context, id string) (registry.Digest, int64, error) {
	s.before()
	return s.BlobStore.Sum(ctx, id)
}

func TestATransferIsNotDisturbedBetweenItsSteps(t *testing.T) {
	content := virtualbox(t, "disk")
	var blobs *summed
	w := newWorldWith(t, func(b registry.BlobStore) registry.BlobStore {
		blobs = &summed{BlobStore: b, before: func() {}}
		return blobs
	})
	ctx := as(t, registry.RolePublish, "acme/*")
	w.open(ctx, "1.0.0")
	w.announce(ctx, "1.0.0", pendingBox("virtualbox", ""))
	secret := w.grant(ctx, "1.0.0", "vagrant.virtualbox")
	blobs.before = func() {
		blobs.before = func() {}
		_, err := w.Receive(ctx, secret, -1, bytes.NewReader(virtualbox(t, "another disk")))
		wantError(t, err, registry.Conflict, "another transfer")
	}
	if receipt := w.receive(secret, content); string(receipt.File.SHA256) != checksums["sha256"](content) {
		t.Errorf("%+v", receipt)
	}
}

func TestWhatChangesWhileABoxComes(t *testing.T) {
	content := virtualbox(t, "disk")
	for name, test := range map[string]struct {
		change func(*world, context.Context) error
		kind   registry.Kind
	}{
		"another checksum": {func(w *world, ctx context.Context) error {
			box := pendingBox("virtualbox", "")
			box.ChecksumType, box.Checksum = "md5", strings.Repeat("0", 32)
			_, err := w.AnnounceBox(ctx, tiny, "1.0.0", box)
			return err
		}, registry.Conflict},
		"the box is deleted": {func(w *world, ctx context.Context) error {
			return w.DeleteBox(ctx, tiny, "1.0.0", "vagrant.virtualbox")
		}, registry.NotFound},
		"the version is deleted": {func(w *world, ctx context.Context) error {
			return w.DeleteVersion(ctx, tiny, "1.0.0")
		}, registry.NotFound},
		"the version is released": {func(w *world, ctx context.Context) error {
			_, err := w.ReleaseVersion(ctx, tiny, "1.0.0")
			return err
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w, ctx, secret := uploading(t, pendingBox("virtualbox", ""))
			g := newGate(content)
			done := make(chan error, 1)
			go func() {
				_, err := w.Receive(ctx, secret, -1, g)
				done <- err
			}()
			<-g.begun
			if err := test.change(w, ctx); err != nil {
				t.Error(err)
			}
			close(g.open)
			wantError(t, <-done, test.kind)
			_, _, err := w.BoxFile(ctx, tiny, "1.0.0", "vagrant.virtualbox")
			if (err == nil) != (test.kind == "") {
				t.Errorf("the box: %v", err)
			}
		})
	}
}

func TestABoxThatIsAnnouncedWhileBytesComeForABuild(t *testing.T) {
	content := boxWith(t, `{"provider":"no name"}`, "disk")
	w, ctx, _ := uploading(t, pendingBox("virtualbox", ""))
	g, secret := newGate(content), w.grant(ctx, "1.0.0", "vagrant.libvirt")
	done := make(chan error, 1)
	go func() {
		_, err := w.Receive(ctx, secret, -1, g)
		done <- err
	}()
	<-g.begun
	if err := w.DeleteBox(ctx, tiny, "1.0.0", "vagrant.libvirt"); err != nil {
		t.Error(err)
	}
	w.announce(ctx, "1.0.0", registry.PendingBox{Component: "vagrant.libvirt"})
	close(g.open)
	wantError(t, <-done, registry.Conflict, "announced anew")
	wantBoxes(t, w.version(ctx, "1"), nil, []string{"vagrant.libvirt", "vagrant.virtualbox"})
}

func TestASenderThatHangsUp(t *testing.T) {
	content := virtualbox(t, "disk")
	w, ctx, secret := uploading(t, pendingBox("virtualbox", ""))
	send := func(parts ...io.Reader) error {
		gone, hangUp := context.WithCancel(t.Context())
		_, err := w.Receive(gone, secret, int64(len(content)), &hangingUp{io.MultiReader(parts...), hangUp})
		return err
	}
	t.Run("before the last byte has sent nothing", func(t *testing.T) {
		if err := send(bytes.NewReader(content[:10]), failingReader{}); registry.KindOf(err) != registry.Unavailable && !strings.Contains(err.Error(), "connection reset") {
			t.Errorf("got %v", err)
		}
		wantBoxes(t, w.version(ctx, "1"), []string{"vagrant.libvirt"}, []string{"vagrant.virtualbox"})
	})
	t.Run("after it has sent all", func(t *testing.T) {
		if err := send(bytes.NewReader(content)); err != nil {
			t.Fatal(err)
		}
		wantBoxes(t, w.version(ctx, "1"), []string{"vagrant.libvirt", "vagrant.virtualbox"}, nil)
	})
}

// hangingUp ends the context of its caller when it ends.
type hangingUp struct {
	io.Reader
	hangUp func()
}

func (h *hangingUp) Read(p []byte) (int, error) {
	n, err := h.Reader.Read(p)
	if err != nil {
		h.hangUp()
	}
	return n, err
}

func TestReceivingLeavesNothingRunning(t *testing.T) {
	content := virtualbox(t, strings.Repeat("disk", 1000))
	w, ctx, secret := uploading(t, pendingBox("virtualbox", ""))
	before := runtime.NumGoroutine()
	for range 20 {
		for _, r := range []io.Reader{
			strings.NewReader("no box"), io.MultiReader(bytes.NewReader(content[:100]), failingReader{}), bytes.NewReader(content[:100]),
		} {
			if _, err := w.Receive(ctx, secret, -1, r); err == nil {
				t.Error("it was taken")
			}
		}
		func() {
			defer func() { _ = recover() }()
			_, err := w.Receive(ctx, secret, -1, called(func() { panic("the reader") }))
			t.Error("no panic", err)
		}()
	}
	// Goroutines that have sent their last word may need a moment to end.
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before+5; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), before)
		}
	}
}

func TestReceivingTakesNoMemoryForTheSizeOfABox(t *testing.T) {
	const size = 64 << 20
	w, ctx, secret := uploading(t, pendingBox("virtualbox", ""))
	var head bytes.Buffer
	archive := tar.NewWriter(&head)
	for _, member := range []struct {
		name, content string
		size          int64
	}{{"metadata.json", `{"provider":"virtualbox"}`, 25}, {"disk.vmdk", "", size}} {
		if err := archive.WriteHeader(&tar.Header{Name: member.name, Mode: 0o600, Size: member.size}); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write([]byte(member.content)); err != nil {
			t.Fatal(err)
		}
	}
	// The disk, and the two blocks that end a tar archive.
	content := io.MultiReader(&head, io.LimitReader(&zeros{}, size+1024))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := w.Receive(ctx, secret, -1, content); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > size/4 {
		t.Errorf("%d bytes were allocated for a box of %d", took, size)
	}
}
