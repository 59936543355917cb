package registry_test

import (
	"bytes"
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/blob"
	"github.com/cargomedia/packer-plugin-almanac/registry/sqlstore"
)

// archiveToCome announces an archive.
func archiveToCome(version string) registry.Announcement {
	return registry.Announcement{Version: version, Build: registry.Build{Component: "archive", Type: registry.Archive}, File: "app.tar.gz"}
}

// boxToCome announces a box whose provider is the one that it names itself.
func boxToCome(version, component string) registry.Announcement {
	return registry.Announcement{Version: version, Build: registry.Build{Component: component, Type: registry.VagrantBox}, File: "app.box"}
}

func (w *world) announceBuild(ctx context.Context, name string, a registry.Announcement) registry.Announced {
	w.t.Helper()
	announced, err := w.AnnounceBuild(ctx, name, a)
	if err != nil {
		w.t.Fatal(err)
	}
	return announced
}

// wantUnseen expects that a version is there for nobody who may read alone.
func (w *world) wantUnseen(version string) {
	w.t.Helper()
	t, reader := w.t, as(w.t, registry.RoleRead, "*")
	for _, ref := range []string{version, "latest", "> 0.0.0"} {
		if _, err := w.Resolve(admin(t), tiny, ref, registry.Question{}); registry.KindOf(err) == "" {
			t.Errorf("%s resolves", ref)
		}
		_, err := w.Version(reader, tiny, ref)
		wantError(t, err, registry.NotFound)
	}
	a, err := w.Artifact(reader, tiny)
	if err != nil || a.Latest != nil || len(a.Types) > 0 {
		t.Errorf("artifact = %+v, %v; want it without a version", a, err)
	}
	if page, err := w.Versions(reader, tiny, registry.VersionFilter{}); err != nil || len(page.Versions) > 0 {
		t.Errorf("versions = %+v, %v", page.Versions, err)
	}
	for _, asked := range []string{"latest", "any", version} {
		for _, typ := range []registry.Type{registry.Archive, registry.VagrantBox} {
			found, err := w.Search(admin(t), tiny, registry.SearchRequest{Type: string(typ), Version: asked})
			if err != nil || len(found) > 0 {
				t.Errorf("a search for %s %s finds %+v, %v", typ, asked, found, err)
			}
		}
	}
	for _, ref := range []string{version, "1"} { // the words must not tell that there is something
		_, err := w.Resolve(reader, tiny, ref, registry.Question{})
		wantError(t, err, registry.NotFound, tiny+" has no version "+ref)
	}
	for _, action := range w.actions(reader) {
		t.Errorf("a reader sees the event %s", action)
	}
	if _, versions, err := w.Boxes(reader, tiny); err != nil || len(versions) > 0 {
		t.Errorf("boxes = %+v, %v", versions, err)
	}
}

func TestAnAnnouncedBuildIsUnseenUntilItsBytesAreThere(t *testing.T) {
	w, ctx := newWorld(t), as(t, registry.RolePublish, "acme/*")
	a := archiveToCome("")
	a.Description, a.Build.Metadata = "first", registry.Metadata{"os": "linux"}
	announced := w.announceBuild(ctx, tiny, a)
	if announced.Version != (registry.VersionID{Number: 1, Version: "0.1.0"}) || len(announced.Secret) != 43 {
		t.Errorf("%+v", announced)
	}
	w.wantUnseen("0.1.0")
	if v := w.version(ctx, "1"); !v.Held || v.Status != registry.StatusOpen || v.Description != "first" || len(v.Builds)+len(v.Pending) > 0 {
		t.Errorf("for its publisher: %+v", v)
	}
	// Half a transfer leaves nothing.
	for range 2 {
		_, err := w.Receive(t.Context(), announced.Secret, -1, io.MultiReader(strings.NewReader("by"), failingReader{}))
		wantError(t, err, registry.Internal, "connection reset")
		_, err = w.Receive(t.Context(), announced.Secret, 0, strings.NewReader(""))
		wantError(t, err, registry.Invalid, "size: no byte came")
		for size, words := range map[int64]string{4: "4 bytes were announced, and 5 came", 6: "6 bytes were announced, and 5 came"} {
			_, err = w.Receive(t.Context(), announced.Secret, size, strings.NewReader("bytes"))
			wantError(t, err, registry.Invalid, "size:", words)
		}
		w.wantUnseen("0.1.0")
		_, err = w.Blob(admin(t), checksums["sha256"]([]byte("bytes")))
		wantError(t, err, registry.NotFound)
	}

	arrival := w.receive(announced.Secret, []byte("bytes"))
	want := registry.Arrival{Artifact: tiny, Version: announced.Version, Component: "archive", File: registry.File{Name: "app.tar.gz", Size: 5, SHA256: registry.SecretDigest("bytes")}}
	if diff := cmp.Diff(want, arrival); diff != "" {
		t.Error(diff)
	}
	v, err := w.Version(as(t, registry.RoleRead, "*"), tiny, "latest")
	if err != nil || v.Held || v.Status != registry.StatusComplete || v.Description != "first" || len(v.Builds) != 1 {
		t.Fatalf("%+v, %v", v, err)
	}
	if b := v.Builds[0]; len(b.Files) != 1 || b.Files[0] != want.File || b.Metadata["os"] != "linux" || b.CreatedBy != "publish-token" {
		t.Errorf("%+v", b)
	}
	if found, err := w.Search(ctx, tiny, registry.SearchRequest{Type: "archive", Version: "any"}); err != nil || len(found) != 1 {
		t.Errorf("%+v, %v", found, err)
	}
	if diff := cmp.Diff([]string{
		"version.open by publish-token of 1 0.1.0", "build.publish by publish-token of 1 0.1.0 archive",
		"version.release by publish-token of 1 0.1.0", "version.complete by publish-token of 1 0.1.0",
	}, w.actions(admin(t))); diff != "" {
		t.Error(diff)
	}
}

func TestWhatArrivedCanBeSentAgain(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	announced := w.announceBuild(ctx, tiny, archiveToCome("1.0.0"))
	unused := w.announceBuild(ctx, tiny, archiveToCome("1.0.0"))
	if unused.Version != announced.Version || unused.Secret == announced.Secret {
		t.Errorf("%+v and %+v", announced, unused)
	}
	want := w.receive(announced.Secret, []byte("bytes"))
	before, events := w.version(ctx, "1"), w.actions(ctx)
	w.clock = w.clock.Add(time.Hour)
	for _, secret := range []string{announced.Secret, announced.Secret, unused.Secret} {
		if diff := cmp.Diff(want, w.receive(secret, []byte("bytes"))); diff != "" {
			t.Error(diff)
		}
	}
	_, err := w.Receive(t.Context(), announced.Secret, -1, strings.NewReader("other"))
	wantError(t, err, registry.Conflict, "other bytes before", checksums["sha256"]([]byte("bytes")), checksums["sha256"]([]byte("other")))
	third := w.announceBuild(ctx, tiny, func() registry.Announcement { a := archiveToCome("1.0.0"); a.Build.Component = "second"; return a }())
	_, err = w.Blob(ctx, checksums["sha256"]([]byte("other")))
	wantError(t, err, registry.NotFound)
	if diff := cmp.Diff(before, w.version(ctx, "1")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(events, w.actions(ctx)); diff != "" {
		t.Error(diff)
	}
	w.receive(third.Secret, []byte("more"))
	wantBoxes(t, w.version(ctx, "1"), []string{"archive", "second"}, nil)
	if receipt, err := w.BoxUpload(t.Context(), announced.Secret); err != nil || receipt != want {
		t.Errorf("%+v, %v", receipt, err)
	}
}

func TestOtherBytesOfTheSameBuildAreRefused(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	first, second := w.announceBuild(ctx, tiny, archiveToCome("1.0.0")), w.announceBuild(ctx, tiny, archiveToCome("1.0.0"))
	w.receive(first.Secret, []byte("bytes"))
	_, err := w.Receive(t.Context(), second.Secret, -1, strings.NewReader("other"))
	wantError(t, err, registry.Conflict, "released with other bytes", "archive")
	held, err := w.OpenVersion(ctx, tiny, registry.VersionRequest{Version: "2.0.0"})
	if err != nil {
		t.Fatal(err)
	}
	first, second = w.announceBuild(ctx, tiny, archiveToCome("2.0.0")), w.announceBuild(ctx, tiny, archiveToCome("2.0.0"))
	w.receive(first.Secret, []byte("bytes"))
	_, err = w.Receive(t.Context(), second.Secret, -1, strings.NewReader("other"))
	wantError(t, err, registry.Conflict, "has a build archive already")
	if v := w.version(ctx, "2"); !v.Held || v.Fingerprint != held.Fingerprint {
		t.Errorf("a version that a publisher holds was released: %+v", v)
	}
}

func TestBadAnnouncements(t *testing.T) {
	w, ctx := newWorld(t), as(t, registry.RolePublish, "acme/*")
	_, err := w.AnnounceBuild(ctx, tiny, registry.Announcement{
		Version: "one", Fingerprint: "a b", Description: "\x00", File: "../x",
		Build: registry.Build{Component: "a b", Type: "Archive!", Metadata: registry.Metadata{"": "x"}, Attachments: []registry.Attachment{{Kind: registry.AttachmentDocument}}},
	})
	wantError(t, err, registry.Invalid, "version:", "fingerprint:", "description:", "build.files[0].name:", "build.component:", "build.type:", "build.metadata", "build.attachments:")
	provider := registry.Announcement{Build: registry.Build{Component: "linux_amd64", Type: registry.TerraformProvider}, File: "x.zip"}
	_, err = w.AnnounceBuild(admin(t), tiny, provider)
	wantError(t, err, registry.Invalid, "build.type:", "terraform.provider")
	_, err = w.AnnounceBuild(ctx, "tiny", archiveToCome(""))
	wantError(t, err, registry.Invalid, "artifact:")
	_, err = w.AnnounceBuild(as(t, registry.RoleRead, "*"), tiny, archiveToCome(""))
	wantError(t, err, registry.Forbidden)
	_, err = w.AnnounceBuild(ctx, "other/tiny", archiveToCome(""))
	wantError(t, err, registry.Forbidden)
	_, err = w.AnnounceBuild(t.Context(), tiny, archiveToCome(""))
	wantError(t, err, registry.Unauthorized)
	_, err = w.Artifact(ctx, tiny)
	wantError(t, err, registry.NotFound)

	w.receive(w.announceBuild(ctx, tiny, archiveToCome("1.0.0")).Secret, []byte("bytes"))
	_, err = w.AnnounceBuild(ctx, tiny, archiveToCome("1.0.0"))
	wantError(t, err, registry.Conflict, "version 1.0.0 of acme/tiny has a build archive already")
}

func TestTheFingerprintOfAnAnnouncement(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	a := archiveToCome("")
	a.Fingerprint = "build-7"
	first, second := w.announceBuild(ctx, tiny, a), w.announceBuild(ctx, tiny, a)
	if first.Version.Version != "0.1.0" || second.Version.Version != "0.2.0" {
		t.Errorf("%+v, %+v", first, second)
	}
	if v := w.version(ctx, "build-7"); v.Number != 1 {
		t.Errorf("%+v", v.VersionID)
	}
	for n, secret := range []string{first.Secret, second.Secret} {
		w.receive(secret, []byte("bytes"))
		if v := w.version(ctx, []string{"1", "2"}[n]); v.Status != registry.StatusComplete {
			t.Errorf("%+v", v)
		}
	}
}

func TestABoxThatWasAnnouncedWithoutItsProvider(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	announced := w.announceBuild(ctx, tiny, boxToCome("1.0.0", "first"))
	_, err := w.Receive(t.Context(), announced.Secret, -1, strings.NewReader("no box"))
	wantError(t, err, registry.Invalid, "box:")
	w.wantUnseen("1.0.0")
	content := boxWith(t, `{"provider":"virtualbox","architecture":"arm64"}`, "disk")
	arrival := w.receive(announced.Secret, content)
	if arrival.File.Name != "app.box" {
		t.Errorf("%+v", arrival)
	}
	box := func(component string) registry.Build {
		t.Helper()
		for _, b := range w.version(ctx, "1").Builds {
			if b.Component == component {
				return b
			}
		}
		t.Fatalf("there is no %s", component)
		return registry.Build{}
	}
	if b := box("first"); b.Provider != "virtualbox" || b.Architecture != "arm64" || b.Type != registry.VagrantBox || b.Files[0] != arrival.File {
		t.Errorf("%+v", b)
	}
	if _, b, err := w.BoxFile(as(t, registry.RoleRead, "*"), tiny, "1", "first"); err != nil {
		t.Error(err)
	} else {
		_ = b.Close()
	}
	second := w.announceBuild(ctx, tiny, boxToCome("1.0.0", "second"))
	w.receive(second.Secret, boxWith(t, `{"provider":"libvirt"}`, "disk"))
	if b := box("second"); b.Provider != "libvirt" || b.Architecture != "" {
		t.Errorf("%+v", b)
	}
	twin := w.announceBuild(ctx, tiny, boxToCome("1.0.0", "twin"))
	_, err = w.Receive(t.Context(), twin.Secret, -1, bytes.NewReader(boxWith(t, `{"provider":"libvirt"}`, "another disk")))
	wantError(t, err, registry.Conflict, "libvirt", "second")
	said := boxToCome("1.0.0", "third")
	said.Build.Provider, said.Build.Architecture = "virtualbox", "aarch64"
	_, err = w.AnnounceBuild(ctx, tiny, said)
	wantError(t, err, registry.Conflict, "virtualbox", "first")
	wantBoxes(t, w.version(ctx, "1"), []string{"first", "second"}, nil)
}

func TestAnUploadThatNobodyFinishedTakesItsVersionWithIt(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	announced := w.announceBuild(ctx, tiny, archiveToCome(""))
	arrived := w.announceBuild(ctx, tiny, archiveToCome(""))
	w.receive(arrived.Secret, []byte("bytes"))
	w.open(ctx, "5.0.0")
	w.announceBuild(ctx, tiny, archiveToCome("5.0.0"))
	more := archiveToCome("0.2.0")
	more.Build.Component = "more"
	w.announceBuild(ctx, tiny, more)
	gone := w.announceBuild(ctx, tiny, archiveToCome("6.0.0"))
	if err := w.DeleteVersion(ctx, tiny, "6.0.0"); err != nil {
		t.Fatal(err)
	}
	_, err := w.Receive(t.Context(), gone.Secret, -1, strings.NewReader("bytes"))
	wantError(t, err, registry.NotFound, "the version that the upload was for is gone")

	begun := w.clock
	w.clock = begun.Add(registry.AnnouncedTTL + time.Microsecond)
	_, err = w.Receive(t.Context(), announced.Secret, -1, strings.NewReader("bytes"))
	wantError(t, err, registry.NotFound, "too old")
	w.clock = begun.Add(registry.UploadTTL + time.Second)
	later := w.announceBuild(ctx, tiny, archiveToCome("7.0.0"))
	if n, err := w.ExpireUploads(t.Context()); err != nil || n != 5 {
		t.Errorf("%d expired, %v; want 5", n, err)
	}
	page, err := w.Versions(ctx, tiny, registry.VersionFilter{})
	if err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, v := range page.Versions {
		left = append(left, v.Version+" "+string(v.Status))
	}
	if diff := cmp.Diff([]string{"7.0.0 open", "5.0.0 open", "0.2.0 complete"}, left); diff != "" {
		t.Error(diff)
	}
	events := w.eventsOf(ctx, registry.ActionVersionDelete)
	if last := events[len(events)-1]; last.Number != 1 || last.Actor != "admin-token" || last.Detail["version"] != "0.1.0" {
		t.Errorf("%+v", last)
	}
	_, err = w.Receive(t.Context(), announced.Secret, -1, strings.NewReader("bytes"))
	wantError(t, err, registry.NotFound)
	w.receive(later.Secret, []byte("bytes"))
}

func TestAVersionThatHasABuildOutlivesAnUploadThatNobodyFinished(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	unfinished, other := archiveToCome("1.0.0"), archiveToCome("1.0.0")
	unfinished.Fingerprint, other.Build.Component = "build-7", "other"
	w.announceBuild(ctx, tiny, unfinished)
	w.receive(w.announceBuild(ctx, tiny, other).Secret, []byte("bytes"))
	w.clock = w.clock.Add(registry.UploadTTL + time.Second)
	if n, err := w.ExpireUploads(t.Context()); err != nil || n != 2 {
		t.Errorf("%d expired, %v; want 2", n, err)
	}
	wantBoxes(t, w.version(ctx, "1"), []string{"other"}, nil)
}

func TestTheLargestFile(t *testing.T) {
	const limit = 1000
	store, err := sqlstore.Open(t.Context(), filepath.Join(t.TempDir(), "almanac.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	blobs, err := blob.OpenDisk(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, Service: registry.NewService(store, blobs, registry.WithMaxFile(limit))}
	ctx := admin(t)
	fits, over := strings.Repeat("x", limit), strings.Repeat("x", limit+1)
	const says = "more than 1000 bytes"

	_, err = w.BeginUpload(ctx, registry.UploadRequest{Artifact: tiny, Size: limit + 1, SHA256: checksums["sha256"]([]byte(over))})
	wantError(t, err, registry.TooLarge, says)
	w.upload(ctx, tiny, fits)

	secret := w.announceBuild(ctx, tiny, archiveToCome("1.0.0")).Secret
	for _, size := range []int64{limit + 1, 1 << 50} {
		_, err = w.Receive(t.Context(), secret, size, called(func() { t.Error("bytes were read that are too many") }))
		wantError(t, err, registry.TooLarge, says)
	}
	for _, size := range []int64{-1, limit, 1} {
		_, err = w.Receive(t.Context(), secret, size, strings.NewReader(over))
		wantError(t, err, registry.TooLarge, says)
	}
	w.wantUnseen("1.0.0")
	w.receive(secret, []byte(fits))

	box := virtualbox(t, noise(2*limit))
	secret = w.announceBuild(ctx, tiny, boxToCome("2.0.0", "box")).Secret
	for _, size := range []int64{-1, int64(len(box))} {
		_, err = w.Receive(t.Context(), secret, size, bytes.NewReader(box))
		wantError(t, err, registry.TooLarge, says)
	}
	w.receive(secret, virtualbox(t, "disk"))
}

// noise is text of n bytes that does not get much smaller when it is compressed.
func noise(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		b.WriteString(string(registry.SecretDigest(strings.Repeat("x", i))))
	}
	return b.String()[:n]
}
