package registry_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// checksums are the kinds that a box can be announced with.
var checksums = map[string]func([]byte) string{
	"md5":    func(b []byte) string { s := md5.Sum(b); return hex.EncodeToString(s[:]) },
	"sha1":   func(b []byte) string { s := sha1.Sum(b); return hex.EncodeToString(s[:]) },
	"sha256": func(b []byte) string { s := sha256.Sum256(b); return hex.EncodeToString(s[:]) },
	"sha384": func(b []byte) string { s := sha512.Sum384(b); return hex.EncodeToString(s[:]) },
	"sha512": func(b []byte) string { s := sha512.Sum512(b); return hex.EncodeToString(s[:]) },
}

// uploading is a version with a box that is there, and one that waits for its bytes.
func uploading(t *testing.T, box registry.PendingBox) (w *world, ctx context.Context, secret string) {
	t.Helper()
	w, ctx = newWorld(t), as(t, registry.RolePublish, "acme/*")
	w.open(ctx, "1.0.0")
	w.sendBox(ctx, "1.0.0", pendingBox("libvirt", ""), boxWith(t, `{"provider":"libvirt"}`, "other disk"))
	w.announce(ctx, "1.0.0", box)
	return w, ctx, w.grant(ctx, "1.0.0", box.Component)
}

// wantRefused expects that bytes are refused, and that nothing came of them: the version is as before, the bytes cannot be
// had, and there is no trace in the audit log.
func (w *world) wantRefused(ctx context.Context, secret string, size int64, r io.Reader, digest string, kind registry.Kind, words ...string) {
	w.t.Helper()
	before, events := w.version(ctx, "1"), w.actions(ctx)
	_, err := w.Receive(w.t.Context(), secret, size, r)
	wantError(w.t, err, kind, words...)
	if diff := cmp.Diff(before, w.version(ctx, "1")); diff != "" {
		w.t.Errorf("the version changed: %s", diff)
	}
	if diff := cmp.Diff(events, w.actions(ctx)); diff != "" {
		w.t.Errorf("there are events: %s", diff)
	}
	if digest != "" {
		_, err := w.Blob(ctx, digest)
		wantError(w.t, err, registry.NotFound)
	}
	if receipt, err := w.BoxUpload(ctx, secret); err == nil && receipt.File != (registry.File{}) {
		w.t.Errorf("the upload says that bytes came: %+v", receipt)
	}
}

func TestABoxThatIsNoneIsRefused(t *testing.T) {
	box := pendingBox("virtualbox", "")
	content := virtualbox(t, strings.Repeat("disk", 10_000))
	for name, test := range map[string]struct {
		content []byte
		words   []string
	}{
		"not an archive":        {bytes.Repeat([]byte("hello, world"), 100), []string{"box:", "not a tar archive"}},
		"empty":                 {nil, []string{"box:", "empty"}},
		"a zip archive":         {[]byte("PK\x03\x04......"), []string{"box:", "zip archive"}},
		"without metadata.json": {boxWith(t, "", "disk"), []string{"box:", "no metadata.json"}},
		"without a provider":    {boxWith(t, "{}", "disk"), []string{"box:", "names no provider"}},
	} {
		t.Run(name, func(t *testing.T) {
			w, ctx, secret := uploading(t, box)
			w.wantRefused(ctx, secret, int64(len(test.content)), bytes.NewReader(test.content), checksums["sha256"](test.content), registry.Invalid, test.words...)
			w.receive(secret, content)
			wantBoxes(t, w.version(ctx, "1"), []string{"vagrant.libvirt", "vagrant.virtualbox"}, nil)
		})
	}
	t.Run("cut at any byte", func(t *testing.T) {
		w, ctx, secret := uploading(t, box)
		for _, n := range []int{1, 2, 9, 20, len(content) / 2, len(content) - 9, len(content) - 1} {
			cut := content[:n]
			w.wantRefused(ctx, secret, -1, bytes.NewReader(cut), checksums["sha256"](cut), registry.Invalid, "box:")
			w.wantRefused(ctx, secret, int64(len(content)), io.MultiReader(bytes.NewReader(cut), failingReader{}), "", registry.Internal, "connection reset")
		}
		w.receive(secret, content)
	})
	t.Run("the rest of what is no box is not read", func(t *testing.T) {
		w, ctx, secret := uploading(t, box)
		endless := &zeros{}
		w.wantRefused(ctx, secret, -1, io.MultiReader(strings.NewReader("PK\x03\x04"), endless), "", registry.Invalid, "zip archive")
		if endless.read > 64<<20 {
			t.Errorf("%d bytes were read", endless.read)
		}
	})
}

// zeros has no end.
type zeros struct{ read int64 }

func (z *zeros) Read(p []byte) (int, error) {
	clear(p)
	z.read += int64(len(p))
	return len(p), nil
}

func TestABoxOfAnotherSizeIsRefused(t *testing.T) {
	content := virtualbox(t, "disk")
	w, ctx, secret := uploading(t, pendingBox("virtualbox", ""))
	for _, size := range []int{0, len(content) - 1, len(content) + 1} {
		w.wantRefused(ctx, secret, int64(size), bytes.NewReader(content), checksums["sha256"](content), registry.Invalid,
			"size:", fmt.Sprint(size), fmt.Sprint(len(content)))
	}
	w.wantRefused(ctx, secret, int64(len(content)), bytes.NewReader(content[:20]), "", registry.Invalid, "box:", "size:")
}

func TestTheChecksumThatWasAnnouncedIsCompared(t *testing.T) {
	content, other := virtualbox(t, "disk"), virtualbox(t, "another disk")
	for typ, sum := range checksums {
		t.Run(typ, func(t *testing.T) {
			box := pendingBox("virtualbox", "")
			box.ChecksumType, box.Checksum = typ, sum(content)
			w, ctx, secret := uploading(t, box)
			w.wantRefused(ctx, secret, -1, bytes.NewReader(other), checksums["sha256"](other), registry.Invalid, "checksum:", typ, sum(content), sum(other))
			if receipt := w.receive(secret, content); string(receipt.File.SHA256) != checksums["sha256"](content) {
				t.Errorf("%+v", receipt)
			}
		})
	}
}

func TestASecretIsNeededAndEnds(t *testing.T) {
	content := virtualbox(t, "disk")
	box := pendingBox("virtualbox", "")
	w, ctx, secret := uploading(t, box)
	for _, wrong := range []string{"", "x", secret + "x", string(registry.SecretDigest(secret))} {
		w.wantRefused(ctx, wrong, -1, bytes.NewReader(content), "", registry.NotFound, "ask for a new one")
		_, err := w.BoxUpload(ctx, wrong)
		wantError(t, err, registry.NotFound)
	}
	native, err := w.BeginUpload(ctx, registry.UploadRequest{Artifact: tiny, Size: 3, SHA256: strings.Repeat("1", 64)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.BoxUpload(ctx, native.ID)
	wantError(t, err, registry.NotFound)
	_, err = w.Upload(ctx, string(registry.SecretDigest(secret)))
	wantError(t, err, registry.NotFound)

	if receipt, err := w.BoxUpload(t.Context(), secret); err != nil || receipt.File != (registry.File{}) || receipt.Version.Version != "1.0.0" {
		t.Errorf("before the bytes came: %+v, %v", receipt, err)
	}
	granted := w.clock
	w.clock = granted.Add(registry.AnnouncedTTL + time.Microsecond)
	w.wantRefused(ctx, secret, -1, bytes.NewReader(content), "", registry.NotFound, "too old")
	_, err = w.BoxUpload(ctx, secret)
	wantError(t, err, registry.NotFound, "too old")
	w.clock = granted.Add(registry.AnnouncedTTL)
	w.receive(secret, content)
	w.clock = granted.Add(registry.AnnouncedTTL + time.Hour)
	if receipt, err := w.BoxUpload(t.Context(), secret); err != nil || receipt.File.Size != int64(len(content)) {
		t.Errorf("what came is forgotten: %+v, %v", receipt, err)
	}
	w.clock = granted.Add(registry.UploadTTL + time.Hour)
	if n, err := w.ExpireUploads(ctx); err != nil || n != 3 {
		t.Errorf("%d expired, %v", n, err)
	}
	_, err = w.BoxUpload(ctx, secret)
	wantError(t, err, registry.NotFound)

	late := w.grant(ctx, "1.0.0", box.Component)
	if err := w.DeleteVersion(ctx, tiny, "1.0.0"); err != nil {
		t.Fatal(err)
	}
	_, err = w.Receive(ctx, late, -1, bytes.NewReader(content))
	wantError(t, err, registry.NotFound)
	_, err = w.BoxUpload(ctx, late)
	wantError(t, err, registry.NotFound)
}

func TestGrantBoxUpload(t *testing.T) {
	w, ctx, secret := uploading(t, pendingBox("virtualbox", ""))
	_, err := w.GrantBoxUpload(ctx, tiny, "1.0.0", "none")
	wantError(t, err, registry.NotFound, "vagrant.libvirt", "vagrant.virtualbox")
	if other := w.grant(ctx, "1.0.0", "vagrant.virtualbox"); other == secret || len(other) != 43 {
		t.Errorf("secrets %q and %q", secret, other)
	}
	again := w.grant(ctx, "1.0.0", "vagrant.libvirt")
	newer := boxWith(t, `{"provider":"libvirt"}`, "a newer disk")
	w.receive(again, newer)
	w.release(ctx, "1.0.0")
	released, events := w.version(ctx, "1"), w.actions(ctx)
	w.receive(w.grant(ctx, "1.0.0", "vagrant.libvirt"), newer)
	_, err = w.Receive(ctx, w.grant(ctx, "1.0.0", "vagrant.libvirt"), -1, bytes.NewReader(virtualbox(t, "other")))
	wantError(t, err, registry.Conflict, "is released with other bytes")
	if diff := cmp.Diff(released, w.version(ctx, "1")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(events, w.actions(ctx)); diff != "" {
		t.Error(diff)
	}
}

func TestABoxCanBeSentAgain(t *testing.T) {
	first, other := virtualbox(t, "disk"), virtualbox(t, "another disk")
	w, ctx, secret := uploading(t, pendingBox("virtualbox", ""))
	want := w.receive(secret, first)
	again := func() {
		t.Helper()
		before, events := w.version(ctx, "1"), w.actions(ctx)
		if diff := cmp.Diff(want, w.receive(secret, first)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(before, w.version(ctx, "1")); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(events, w.actions(ctx)); diff != "" {
			t.Error(diff)
		}
	}
	refused := func(secret string, words ...string) {
		t.Helper()
		before := w.version(ctx, "1")
		_, err := w.Receive(ctx, secret, -1, bytes.NewReader(other))
		wantError(t, err, registry.Conflict, words...)
		if diff := cmp.Diff(before, w.version(ctx, "1")); diff != "" {
			t.Error(diff)
		}
		_, err = w.Blob(ctx, checksums["sha256"](other))
		wantError(t, err, registry.NotFound)
	}
	again()
	refused(secret, "other bytes before", checksums["sha256"](first), checksums["sha256"](other))
	unused := w.grant(ctx, "1.0.0", "vagrant.virtualbox")
	w.release(ctx, "1.0.0")
	again()
	refused(unused, "is released")
	if receipt := w.receive(unused, first); receipt != want {
		t.Errorf("%+v", receipt)
	}
}

func TestNewBytesReplaceThoseOfAHeldVersion(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	w.open(ctx, "1.0.0")
	content := boxWith(t, `{"provider":"virtualbox","architecture":"arm64"}`, "disk")
	w.addBox(ctx, "1.0.0", elsewhere("virtualbox", "", "https://example.com/1.box"))
	for _, content := range [][]byte{content, virtualbox(t, "another")} {
		w.receive(w.grant(ctx, "1.0.0", "vagrant.virtualbox"), content)
		v := w.version(ctx, "1")
		if len(v.Builds) != 1 || len(v.Builds[0].Images) > 0 || string(v.Builds[0].Files[0].SHA256) != checksums["sha256"](content) || v.Builds[0].Architecture != "arm64" {
			t.Errorf("%+v", v.Builds)
		}
	}
}

func TestTheBoxSaysWhatNobodySaid(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	w.open(ctx, "1.0.0")
	build := func(component string) registry.Build {
		t.Helper()
		for _, b := range w.version(ctx, "1").Builds {
			if b.Component == component {
				return b
			}
		}
		t.Fatalf("there is no %s", component)
		return registry.Build{}
	}
	amd64 := boxWith(t, `{"provider":"virtualbox","architecture":"amd64"}`, "disk")
	w.sendBox(ctx, "1.0.0", registry.PendingBox{Component: "nameless"}, amd64)
	if b := build("nameless"); b.Provider != "virtualbox" || b.Architecture != "amd64" {
		t.Errorf("%+v", b)
	}
	w.sendBox(ctx, "1.0.0", pendingBox("virtualbox", ""), boxWith(t, `{"provider":"virtualbox","architecture":"x86_64"}`, "disk"))
	if b := build("vagrant.virtualbox"); b.Architecture != "" {
		t.Errorf("two boxes have the same provider and architecture: %+v", b)
	}
	w.sendBox(ctx, "1.0.0", pendingBox("hyperv", ""), boxWith(t, `{"provider":"hyperv","architecture":"aarch64"}`, "disk"))
	if b := build("vagrant.hyperv"); b.Architecture != "arm64" {
		t.Errorf("the architecture has not the name that Vagrant has for it: %+v", b)
	}
	w.sendBox(ctx, "1.0.0", pendingBox("docker", ""), boxWith(t, `{"provider":"docker","architecture":"unknown"}`, "disk"))
	if b := build("vagrant.docker"); b.Architecture != "" {
		t.Errorf("unknown is no architecture: %+v", b)
	}
	w.sendBox(ctx, "1.0.0", pendingBox("virtualbox", "arm64"), amd64)
	if b := build("vagrant.virtualbox.arm64"); b.Architecture != "arm64" {
		t.Errorf("the box overrules its publisher: %+v", b)
	}
	w.sendBox(ctx, "1.0.0", pendingBox("libvirt", ""), boxWith(t, `{"provider":"libvirt","architecture":"no name"}`, "disk"))
	if b := build("vagrant.libvirt"); b.Architecture != "" {
		t.Errorf("%+v", b)
	}
	w.announce(ctx, "1.0.0", registry.PendingBox{Component: "bad"})
	w.wantRefused(ctx, w.grant(ctx, "1.0.0", "bad"), -1, bytes.NewReader(boxWith(t, `{"provider":"no name"}`, "disk")), "", registry.Invalid, "box:", "no name")
	w.announce(ctx, "1.0.0", registry.PendingBox{Component: "twin"})
	_, err := w.Receive(ctx, w.grant(ctx, "1.0.0", "twin"), -1, bytes.NewReader(virtualbox(t, "disk")))
	wantError(t, err, registry.Conflict, "virtualbox", "vagrant.virtualbox")
}

func TestTheBytesOfADeletedBoxCannotBeHad(t *testing.T) {
	content := virtualbox(t, "disk")
	w, ctx, secret := uploading(t, pendingBox("virtualbox", ""))
	digest := string(w.receive(secret, content).File.SHA256)
	found, err := w.Blob(ctx, digest)
	if err != nil {
		t.Fatal(err)
	}
	_ = found.Close()
	if err := w.DeleteBox(ctx, tiny, "1.0.0", "vagrant.virtualbox"); err != nil {
		t.Fatal(err)
	}
	_, err = w.Blob(ctx, digest)
	wantError(t, err, registry.NotFound)
}
