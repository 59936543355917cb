package registry_test

import (
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func TestBoxComponent(t *testing.T) {
	for want, box := range map[string][2]string{"vagrant.virtualbox": {"virtualbox", ""}, "vagrant.libvirt.arm64": {"libvirt", "arm64"}} {
		if got := registry.BoxComponent(box[0], box[1]); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestWhoSeesWhichBoxes(t *testing.T) {
	w, publisher := newWorld(t), as(t, registry.RolePublish, "acme/*")
	reader := as(t, registry.RoleRead, "acme/*")
	content := virtualbox(t, "disk")
	w.open(publisher, "1.0.0") // revoked
	w.addBox(publisher, "1.0.0", elsewhere("virtualbox", "", "https://example.com/1.box"))
	w.release(publisher, "1.0.0")
	if _, err := w.Revoke(admin(t), tiny, "1.0.0", registry.RevokeRequest{Reason: "broken"}); err != nil {
		t.Fatal(err)
	}
	w.open(publisher, "1.1.0") // released, with an AMI beside its box, and a box that is still to come
	w.sendBox(publisher, "1.1.0", pendingBox("virtualbox", ""), content)
	w.publish(publisher, tiny, amiFor(w.version(publisher, "1.1.0")))
	w.release(publisher, "1.1.0")
	w.announce(publisher, "1.1.0", pendingBox("libvirt", ""))
	w.open(publisher, "1.2.0") // held
	w.sendBox(publisher, "1.2.0", pendingBox("virtualbox", ""), virtualbox(t, "held disk"))
	w.announce(publisher, "1.2.0", pendingBox("libvirt", ""))

	type seen struct {
		Version        string
		Revoked        bool
		Built, Pending []string
	}
	boxes := func(role registry.Role, scope registry.Scope) (all []seen, kind registry.Kind) {
		t.Helper()
		a, versions, err := w.Boxes(as(t, role, scope), tiny)
		if err != nil {
			return nil, registry.KindOf(err)
		}
		if a.Name != tiny || a.Latest == nil || a.Latest.Version != "1.1.0" {
			t.Errorf("%+v", a)
		}
		for _, v := range versions {
			built, pending := components(v)
			all = append(all, seen{v.Version, v.RevokedAt(w.clock), built, pending})
			if v.Version != "1.0.0" && len(v.Builds[0].Files) != 1 || v.Version == "1.0.0" && v.Builds[0].Images[0].ID != "https://example.com/1.box" {
				t.Errorf("images and files are left out: %+v", v.Builds)
			}
		}
		return all, ""
	}
	t.Run("readers see what is or was offered", func(t *testing.T) {
		got, _ := boxes(registry.RoleRead, "acme/*")
		want := []seen{{"1.1.0", false, []string{"vagrant.virtualbox"}, nil}, {"1.0.0", true, []string{"vagrant.virtualbox"}, nil}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("publishers see all", func(t *testing.T) {
		got, _ := boxes(registry.RolePublish, "acme/*")
		want := []seen{
			{"1.2.0", false, []string{"vagrant.virtualbox"}, []string{"vagrant.libvirt"}},
			{"1.1.0", false, []string{"vagrant.virtualbox"}, []string{"vagrant.libvirt"}},
			{"1.0.0", true, []string{"vagrant.virtualbox"}, nil},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("strangers see nothing", func(t *testing.T) {
		if _, kind := boxes(registry.RoleRead, "other/*"); kind != registry.NotFound {
			t.Errorf("got kind %q", kind)
		}
		_, _, err := w.BoxFile(as(t, registry.RoleRead, "other/*"), tiny, "1.1.0", "vagrant.virtualbox")
		wantError(t, err, registry.NotFound)
		_, _, err = w.BoxFile(t.Context(), tiny, "1.1.0", "vagrant.virtualbox")
		wantError(t, err, registry.Unauthorized)
	})
	t.Run("a version shows pending boxes to publishers alone", func(t *testing.T) {
		wantBoxes(t, w.version(reader, "1.1.0"), []string{"amazon-ebs.app", "vagrant.virtualbox"}, nil)
		wantBoxes(t, w.version(publisher, "1.1.0"), []string{"amazon-ebs.app", "vagrant.virtualbox"}, []string{"vagrant.libvirt"})
	})
	t.Run("a held version is there for publishers alone", func(t *testing.T) {
		_, err := w.Version(reader, tiny, "1.2.0")
		wantError(t, err, registry.NotFound, "no version 1.2.0")
		page, err := w.Versions(reader, tiny, registry.VersionFilter{})
		if err != nil || len(page.Versions) != 2 {
			t.Errorf("readers are told %+v, %v", page, err)
		}
		page, err = w.Versions(publisher, tiny, registry.VersionFilter{})
		if err != nil || len(page.Versions) != 3 || !page.Versions[0].Held {
			t.Errorf("publishers are told %+v, %v", page, err)
		}
		wantBoxes(t, w.version(publisher, "1.2.0"), []string{"vagrant.virtualbox"}, []string{"vagrant.libvirt"})
	})
	t.Run("a box can be had when its version is released, and by publishers before", func(t *testing.T) {
		v, b, err := w.BoxFile(reader, tiny, "1.1.0", "vagrant.virtualbox")
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(b)
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		if err != nil || string(got) != string(content) || v.Version != "1.1.0" || len(v.Pending) > 0 {
			t.Errorf("%d bytes of %+v, %v", len(got), v, err)
		}
		_, b, err = w.BoxFile(publisher, tiny, "1.2.0", "vagrant.virtualbox")
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		_, _, err = w.BoxFile(reader, tiny, "1.2.0", "vagrant.virtualbox")
		wantError(t, err, registry.NotFound, "vagrant.virtualbox")
	})
	t.Run("what is no box, pending or elsewhere cannot", func(t *testing.T) {
		_, _, err := w.BoxFile(publisher, tiny, "1.1.0", "amazon-ebs.app")
		wantError(t, err, registry.NotFound)
		_, _, err = w.BoxFile(publisher, tiny, "1.1.0", "vagrant.libvirt")
		wantError(t, err, registry.NotFound)
		_, _, err = w.BoxFile(reader, tiny, "1.0.0", "vagrant.virtualbox")
		wantError(t, err, registry.NotFound, "elsewhere")
		_, _, err = w.BoxFile(reader, tiny, "latest", "vagrant.virtualbox")
		wantError(t, err, registry.Invalid, "ref:")
	})
	t.Run("anybody sees what a public artifact offers", func(t *testing.T) {
		public := true
		if _, _, err := w.DescribeArtifact(admin(t), tiny, registry.ArtifactDetails{Public: &public}); err != nil {
			t.Fatal(err)
		}
		_, versions, err := w.Boxes(t.Context(), tiny)
		if err != nil || len(versions) != 2 || len(versions[0].Pending) > 0 {
			t.Errorf("%+v, %v", versions, err)
		}
		wantBoxes(t, w.version(t.Context(), "1.1.0"), []string{"amazon-ebs.app", "vagrant.virtualbox"}, nil)
	})
	t.Run("latest and constraints do not name what is held", func(t *testing.T) {
		for _, ref := range []string{"latest", ">= 1.0.0"} {
			if r, err := w.Resolve(reader, tiny, ref, registry.Question{Type: "vagrant.box"}); err != nil || r.Version != "1.1.0" {
				t.Errorf("%s names %+v, %v", ref, r, err)
			}
		}
		_, err := w.Resolve(reader, tiny, "1.2.0", registry.Question{Type: "vagrant.box"})
		wantError(t, err, registry.NotFound, "has no version 1.2.0")
		_, err = w.Resolve(admin(t), tiny, "1.2.0", registry.Question{Type: "vagrant.box"})
		wantError(t, err, registry.NotFound, "it was not released yet")
	})
}

func TestWhoMayChangeBoxes(t *testing.T) {
	w := newWorld(t)
	w.open(admin(t), "1.0.0")
	w.announce(admin(t), "1.0.0", pendingBox("virtualbox", ""))
	for name, test := range map[string]struct {
		role  registry.Role
		scope registry.Scope
	}{"a reader": {registry.RoleRead, "acme/*"}, "a publisher of something else": {registry.RoleAdmin, "other/*"}} {
		t.Run(name, func(t *testing.T) {
			ctx := as(t, test.role, test.scope)
			before := w.actions(admin(t))
			_, _, err := w.DescribeArtifact(ctx, tiny, registry.ArtifactDetails{})
			wantError(t, err, registry.Forbidden)
			_, err = w.OpenVersion(ctx, tiny, registry.VersionRequest{Version: "2.0.0"})
			wantError(t, err, registry.Forbidden)
			_, err = w.DescribeVersion(ctx, tiny, "1.0.0", "x")
			wantError(t, err, registry.Forbidden)
			_, err = w.ReleaseVersion(ctx, tiny, "1.0.0")
			wantError(t, err, registry.Forbidden)
			wantError(t, w.DeleteVersion(ctx, tiny, "1.0.0"), registry.Forbidden)
			_, err = w.AnnounceBox(ctx, tiny, "1.0.0", pendingBox("libvirt", ""))
			wantError(t, err, registry.Forbidden)
			_, err = w.AddBox(ctx, tiny, "1.0.0", elsewhere("libvirt", "", "https://example.com/1.box"))
			wantError(t, err, registry.Forbidden)
			wantError(t, w.DeleteBox(ctx, tiny, "1.0.0", "vagrant.virtualbox"), registry.Forbidden)
			_, err = w.SetDefaultBox(ctx, tiny, "1.0.0", "vagrant.virtualbox", true)
			wantError(t, err, registry.Forbidden)
			_, err = w.GrantBoxUpload(ctx, tiny, "1.0.0", "vagrant.virtualbox")
			wantError(t, err, registry.Forbidden)
			if diff := cmp.Diff(before, w.actions(admin(t))); diff != "" {
				t.Error(diff)
			}
		})
	}
}
