package registry_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func TestABoxFromItsAnnouncementToItsRelease(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		publisher := as(t, registry.RolePublish, "acme/*")
		w.open(publisher, "1.0.0")
		content := virtualbox(t, "disk")
		receipt := w.sendBox(publisher, "1.0.0", pendingBox("virtualbox", "amd64"), content)
		want := registry.Arrival{
			Artifact: tiny, Version: registry.VersionID{Number: 1, Version: "1.0.0"}, Component: "vagrant.virtualbox.amd64",
			File: registry.File{Name: "vagrant.box", Size: int64(len(content)), SHA256: registry.SecretDigest(string(content))},
		}
		if diff := cmp.Diff(want, receipt); diff != "" {
			t.Error(diff)
		}
		if v := w.version(publisher, "1"); v.Status != registry.StatusOpen || !v.Held || v.Builds[0].CreatedBy != "publish-token" {
			t.Errorf("before the release: %+v", v)
		}
		v := w.release(publisher, "1.0.0")
		wantBoxes(t, v, []string{"vagrant.virtualbox.amd64"}, nil)
		if v.Status != registry.StatusComplete || v.Held || v.Completed == nil {
			t.Errorf("after the release: %+v", v)
		}
		r, err := w.Resolve(publisher, tiny, "latest", registry.Question{Type: "vagrant.box"})
		if err != nil || r.Version != "1.0.0" || len(r.Files) != 1 || r.Files[0] != want.File || r.Provider != "virtualbox" || r.Architecture != "amd64" {
			t.Errorf("the box is not the latest: %+v, %v", r, err)
		}
		wantActions := []string{
			"artifact.update by publish-token",
			"version.open by publish-token of 1 1.0.0",
			"build.announce by publish-token of 1 1.0.0 vagrant.virtualbox.amd64",
			"build.publish by publish-token of 1 1.0.0 vagrant.virtualbox.amd64",
			"version.release by publish-token of 1 1.0.0",
			"version.complete by publish-token of 1 1.0.0",
		}
		if diff := cmp.Diff(wantActions, w.actions(admin(t))); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAnnounceBox(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	w.open(ctx, "1.0.0")
	box := pendingBox("virtualbox", "amd64")
	box.Checksum, box.ChecksumType = strings.Repeat("AB", 16), "MD5"
	v := w.announce(ctx, "1.0.0", box)
	want := box
	want.Checksum, want.ChecksumType, want.CreatedAt, want.CreatedBy = strings.Repeat("ab", 16), "md5", w.clock, "admin-token"
	if diff := cmp.Diff([]registry.PendingBox{want}, v.Pending); diff != "" {
		t.Error(diff)
	}

	t.Run("the same again changes nothing", func(t *testing.T) {
		before := w.actions(ctx)
		w.announce(ctx, "1.0.0", box)
		if diff := cmp.Diff(before, w.actions(ctx)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("replaces the one of its component", func(t *testing.T) {
		changed := pendingBox("virtualbox", "amd64")
		if v := w.announce(ctx, "1", changed); len(v.Pending) != 1 || v.Pending[0].Checksum != "" {
			t.Errorf("%+v", v.Pending)
		}
	})
	t.Run("all mistakes are named", func(t *testing.T) {
		_, err := w.AnnounceBox(ctx, tiny, "1.0.0", registry.PendingBox{Component: "a b", Provider: "/", Architecture: "/", Checksum: "12", ChecksumType: "sha256"})
		wantError(t, err, registry.Invalid, "component:", "provider:", "architecture:", "checksum:", "64 hexadecimal digits")
		_, err = w.AnnounceBox(ctx, tiny, "1.0.0", registry.PendingBox{Component: "x", Provider: "x", Checksum: "12", ChecksumType: "crc"})
		wantError(t, err, registry.Invalid, "checksum_type:", "md5, sha1, sha256, sha384, sha512")
		_, err = w.AnnounceBox(ctx, tiny, "1.0.0", registry.PendingBox{Component: "x", Provider: "x", Checksum: "12"})
		wantError(t, err, registry.Invalid, "checksum_type:")
		_, err = w.AnnounceBox(ctx, tiny, "1.0.0", registry.PendingBox{Component: "x", Provider: "x", ChecksumType: "md5"})
		wantError(t, err, registry.Invalid, "checksum: is missing")
	})
	t.Run("the same provider and architecture under another component is a conflict", func(t *testing.T) {
		twin := pendingBox("virtualbox", "amd64")
		twin.Component = "other"
		_, err := w.AnnounceBox(ctx, tiny, "1.0.0", twin)
		wantError(t, err, registry.Conflict, "virtualbox and amd64", "vagrant.virtualbox.amd64")
		w.addBox(ctx, "1.0.0", elsewhere("libvirt", "", "https://example.com/x.box"))
		twin = registry.PendingBox{Component: "other", Provider: "libvirt"}
		_, err = w.AnnounceBox(ctx, tiny, "1.0.0", twin)
		wantError(t, err, registry.Conflict, "vagrant.libvirt")
	})
	t.Run("a component that has a build is a conflict", func(t *testing.T) {
		_, err := w.AnnounceBox(ctx, tiny, "1.0.0", pendingBox("libvirt", ""))
		wantError(t, err, registry.Conflict, "vagrant.libvirt")
	})
	t.Run("what is not there is not found", func(t *testing.T) {
		_, err := w.AnnounceBox(ctx, tiny, "9.9.9", box)
		wantError(t, err, registry.NotFound)
		_, err = w.AnnounceBox(ctx, "acme/other", "1.0.0", box)
		wantError(t, err, registry.NotFound)
	})
}

func TestAddBox(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	w.open(ctx, "1.0.0")
	w.announce(ctx, "1.0.0", pendingBox("virtualbox", ""))
	box := elsewhere("virtualbox", "", "https://example.com/1.box")
	v := w.addBox(ctx, "1.0.0", box)

	t.Run("takes the place of the pending box", func(t *testing.T) {
		wantBoxes(t, v, []string{"vagrant.virtualbox"}, nil)
		if v.Status != registry.StatusOpen {
			t.Errorf("a held version is %s", v.Status)
		}
	})
	t.Run("the same again changes nothing", func(t *testing.T) {
		before := w.actions(ctx)
		w.addBox(ctx, "1.0.0", box)
		if diff := cmp.Diff(before, w.actions(ctx)); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("replaces a build of a version that is held", func(t *testing.T) {
		box.Images = []registry.Image{{Provider: "url", ID: "https://example.com/2.box", Labels: registry.Metadata{"checksum": "12"}}}
		if v = w.addBox(ctx, "1.0.0", box); len(v.Builds) != 1 || v.Builds[0].Images[0].ID != "https://example.com/2.box" {
			t.Errorf("%+v", v.Builds)
		}
		box.Images = []registry.Image{{Provider: "url", ID: "https://example.com/2.box"}}
		if v = w.addBox(ctx, "1.0.0", box); len(v.Builds[0].Images[0].Labels) > 0 {
			t.Errorf("a checksum that was taken back stays: %+v", v.Builds)
		}
	})
	t.Run("another component for the same provider is a conflict", func(t *testing.T) {
		twin := box
		twin.Component = "other"
		_, err := w.AddBox(ctx, tiny, "1.0.0", twin)
		wantError(t, err, registry.Conflict, "virtualbox", "vagrant.virtualbox")
	})
	t.Run("anything but a box is refused", func(t *testing.T) {
		_, err := w.AddBox(ctx, tiny, "1.0.0", amis("x", "amazon-ebs.app", "us-east-1").Build)
		wantError(t, err, registry.Invalid, "build.type")
		_, err = w.AddBox(ctx, tiny, "1.0.0", registry.Build{Component: "x", Type: "vagrant.box", Provider: "x", Files: []registry.File{{Name: "x", SHA256: registry.SecretDigest("x")}}})
		wantError(t, err, registry.Invalid, "upload them first")
	})
	w.release(ctx, "1.0.0")
	t.Run("a released version gains boxes and keeps those that it has", func(t *testing.T) {
		v := w.addBox(ctx, "1.0.0", elsewhere("libvirt", "amd64", "https://example.com/3.box"))
		wantBoxes(t, v, []string{"vagrant.libvirt.amd64", "vagrant.virtualbox"}, nil)
		w.addBox(ctx, "1.0.0", box)
		other := elsewhere("virtualbox", "", "https://example.com/4.box")
		_, err := w.AddBox(ctx, tiny, "1.0.0", other)
		wantError(t, err, registry.Conflict, "vagrant.virtualbox", "make another version")
	})
}

func TestPublishIntoAHeldVersion(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	v := w.open(ctx, "1.0.0")
	w.announce(ctx, "1.0.0", pendingBox("virtualbox", ""))
	pub := amiFor(v)
	pub.Channels = []string{"production"}
	if receipt := w.publish(ctx, tiny, pub); receipt.Version != "1.0.0" || receipt.Status != registry.StatusOpen || receipt.Channels[0].Points {
		t.Errorf("%+v", receipt)
	}
	_, err := w.Resolve(ctx, tiny, "1.0.0", registry.Question{})
	wantError(t, err, registry.NotFound, "it was not released yet")
	if strings.Contains(err.Error(), "vagrant.virtualbox") {
		t.Errorf("the error names a pending box: %v", err)
	}
	_, err = w.SetChannel(ctx, tiny, "production", registry.ChannelChange{Ref: "1.0.0"})
	wantError(t, err, registry.Conflict, "it was not released yet")
	box := elsewhere("virtualbox", "", "https://example.com/1.box")
	w.publish(ctx, tiny, registry.Publication{Fingerprint: v.Fingerprint, Build: box})
	wantBoxes(t, w.version(ctx, "1"), []string{"amazon-ebs.app", "vagrant.virtualbox"}, nil)
	w.release(ctx, "1.0.0")
	if c, err := w.Channel(ctx, tiny, "production"); err != nil || c.Number != 1 {
		t.Errorf("the channel did not follow: %+v, %v", c, err)
	}
}

func TestDefaultBox(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	w.open(ctx, "1.0.0")
	defaults := func() (names []string) {
		v := w.version(ctx, "1")
		for _, b := range v.Builds {
			if b.Default {
				names = append(names, b.Component)
			}
		}
		for _, b := range v.Pending {
			if b.Default {
				names = append(names, b.Component)
			}
		}
		slices.Sort(names)
		return names
	}
	want := func(what string, names ...string) {
		t.Helper()
		if diff := cmp.Diff(names, defaults()); diff != "" {
			t.Errorf("after %s (-want +got):\n%s", what, diff)
		}
	}
	set := func(component string, on bool) {
		t.Helper()
		if _, err := w.SetDefaultBox(ctx, tiny, "1.0.0", component, on); err != nil {
			t.Fatal(err)
		}
	}
	first := pendingBox("virtualbox", "amd64")
	first.Default = true
	w.announce(ctx, "1.0.0", first)
	other := elsewhere("libvirt", "", "https://example.com/1.box")
	other.Default = true
	w.addBox(ctx, "1.0.0", other)
	want("two providers", "vagrant.libvirt", "vagrant.virtualbox.amd64")
	w.receive(w.grant(ctx, "1.0.0", first.Component), virtualbox(t, "disk"))
	want("its bytes came", "vagrant.libvirt", "vagrant.virtualbox.amd64")
	second := pendingBox("virtualbox", "arm64")
	second.Default = true
	w.announce(ctx, "1.0.0", second)
	want("another was announced as default, whose bytes may never come", "vagrant.libvirt", "vagrant.virtualbox.amd64", "vagrant.virtualbox.arm64")
	fourth := pendingBox("virtualbox", "ppc64")
	fourth.Default = true
	w.announce(ctx, "1.0.0", fourth)
	want("one more was announced as default", "vagrant.libvirt", "vagrant.virtualbox.amd64", "vagrant.virtualbox.ppc64")
	w.receive(w.grant(ctx, "1.0.0", fourth.Component), virtualbox(t, "disk"))
	want("the bytes of that came", "vagrant.libvirt", "vagrant.virtualbox.ppc64")
	third := elsewhere("virtualbox", "i386", "https://example.com/2.box")
	third.Default = true
	w.addBox(ctx, "1.0.0", third)
	want("a third was added as default", "vagrant.libvirt", "vagrant.virtualbox.i386")
	set(first.Component, true)
	want("the first was set", "vagrant.libvirt", "vagrant.virtualbox.amd64")
	set(second.Component, true)
	want("the pending one was set", "vagrant.libvirt", "vagrant.virtualbox.amd64", "vagrant.virtualbox.arm64")
	set(second.Component, false)
	want("the pending one was taken back", "vagrant.libvirt", "vagrant.virtualbox.amd64")
	set(second.Component, true)
	set(first.Component, true)
	want("the first was set again", "vagrant.libvirt", "vagrant.virtualbox.amd64")
	set(first.Component, false)
	want("none was left", "vagrant.libvirt")
	third.Default = true
	w.addBox(ctx, "1.0.0", third)
	want("the same box was added as default", "vagrant.libvirt", "vagrant.virtualbox.i386")
	before := w.actions(ctx)
	set(third.Component, true)
	if diff := cmp.Diff(before, w.actions(ctx)); diff != "" {
		t.Errorf("setting what is set is an event: %s", diff)
	}
	_, err := w.SetDefaultBox(ctx, tiny, "1.0.0", "none", true)
	wantError(t, err, registry.NotFound, "vagrant.libvirt", "vagrant.virtualbox.arm64")
	pub := amis("run", "amazon-ebs.app", "us-east-1")
	pub.Build.Default = true
	_, err = w.Publish(ctx, tiny, pub)
	wantError(t, err, registry.Invalid, "build.default_architecture")
}

func TestDeleteBox(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		ctx, publisher := admin(t), as(t, registry.RolePublish, "acme/*")
		older := w.open(ctx, "0.9.0")
		w.addBox(ctx, "0.9.0", elsewhere("virtualbox", "", "https://example.com/0.box"))
		w.release(ctx, "0.9.0")
		w.open(ctx, "1.0.0")
		for _, provider := range []string{"virtualbox", "libvirt"} {
			w.addBox(ctx, "1.0.0", elsewhere(provider, "", "https://example.com/1.box"))
		}
		w.announce(ctx, "1.0.0", pendingBox("vmware", ""))
		remove := func(ctx context.Context, component string) {
			t.Helper()
			if err := w.DeleteBox(ctx, tiny, "1.0.0", component); err != nil {
				t.Fatal(err)
			}
		}
		remove(publisher, "vagrant.vmware")
		remove(publisher, "vagrant.virtualbox")
		wantBoxes(t, w.version(ctx, "1.0.0"), []string{"vagrant.libvirt"}, nil)
		wantError(t, w.DeleteBox(publisher, tiny, "1.0.0", "vagrant.vmware"), registry.NotFound, "vagrant.libvirt")

		w.addBox(ctx, "1.0.0", elsewhere("virtualbox", "", "https://example.com/1.box"))
		w.announce(ctx, "1.0.0", pendingBox("vmware", ""))
		w.publish(ctx, tiny, amiFor(w.version(ctx, "1.0.0")))
		w.release(ctx, "1.0.0")
		wantError(t, w.DeleteBox(ctx, tiny, "1.0.0", "amazon-ebs.app"), registry.NotFound)
		wantError(t, w.DeleteBox(publisher, tiny, "1.0.0", "vagrant.libvirt"), registry.Forbidden, "admin")
		remove(publisher, "vagrant.vmware")

		same := func(ref string, q registry.Question) registry.Resolution {
			t.Helper()
			r, err := w.Resolve(ctx, tiny, ref, q)
			if err != nil {
				t.Fatal(err)
			}
			a, err := w.ResolveJSON(ctx, tiny, ref, q)
			if err != nil || !bytes.Contains(a.JSON, []byte(`"component":"`+r.Component+`"`)) {
				t.Errorf("ResolveJSON says %s, %v; Resolve says %+v", a.JSON, err, r)
			}
			return r
		}
		remove(ctx, "vagrant.libvirt")
		if r := same("latest", registry.Question{Type: "vagrant.box"}); r.Version != "1.0.0" || r.Component != "vagrant.virtualbox" {
			t.Errorf("the box that is left is not found: %+v", r)
		}
		remove(ctx, "vagrant.virtualbox")
		if r := same("latest", registry.Question{Type: "vagrant.box"}); r.Number != older.Number {
			t.Errorf("latest names a version without a box: %+v", r)
		}
		// In images the region is empty for a box that is elsewhere, so this asks the stored answer of the AMI alone.
		if r := same("1.0.0", registry.Question{Region: "us-east-1"}); r.Component != "amazon-ebs.app" {
			t.Errorf("%+v", r)
		}
		_, err := w.ResolveJSON(ctx, tiny, "1.0.0", registry.Question{Type: "vagrant.box"})
		wantError(t, err, registry.NotFound)
		if a, err := w.Artifact(ctx, tiny); err != nil || !slices.Equal(a.Types, []registry.Type{"amazon.image", "vagrant.box"}) || a.Latest.Version != "1.0.0" {
			t.Errorf("%+v, %v", a, err)
		}
	})
}
