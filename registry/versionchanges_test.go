package registry_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func TestDescribeArtifact(t *testing.T) {
	w, publisher := newWorld(t), as(t, registry.RolePublish, "acme/*")
	describe := func(d registry.ArtifactDetails) (registry.Artifact, bool) {
		t.Helper()
		a, made, err := w.DescribeArtifact(publisher, tiny, d)
		if err != nil {
			t.Fatal(err)
		}
		return a, made
	}
	yes, no := true, false
	summary, description := "a box", "line 1\nline 2"
	t.Run("a public artifact needs an admin, and is not made otherwise", func(t *testing.T) {
		_, _, err := w.DescribeArtifact(publisher, tiny, registry.ArtifactDetails{Public: &yes})
		wantError(t, err, registry.Forbidden, "admin")
		_, err = w.Artifact(admin(t), tiny)
		wantError(t, err, registry.NotFound)
	})
	t.Run("it is made private, once", func(t *testing.T) {
		if a, made := describe(registry.ArtifactDetails{Summary: &summary, Public: &no}); !made || a.Public || a.Summary != summary {
			t.Errorf("%v %+v", made, a)
		}
		if a, made := describe(registry.ArtifactDetails{Description: &description}); made || a.Summary != summary || a.Description != description {
			t.Errorf("what is not given does not stay: %v %+v", made, a)
		}
	})
	t.Run("what is so already changes nothing, whoever says it", func(t *testing.T) {
		if _, _, err := w.DescribeArtifact(admin(t), tiny, registry.ArtifactDetails{Public: &yes}); err != nil {
			t.Fatal(err)
		}
		before := w.actions(admin(t))
		if a, _ := describe(registry.ArtifactDetails{Public: &yes, Summary: &summary}); !a.Public {
			t.Errorf("%+v", a)
		}
		if diff := cmp.Diff(before, w.actions(admin(t))); diff != "" {
			t.Error(diff)
		}
		_, _, err := w.DescribeArtifact(publisher, tiny, registry.ArtifactDetails{Public: &no})
		wantError(t, err, registry.Forbidden, "admin")
	})
	t.Run("bad texts are all named", func(t *testing.T) {
		long := strings.Repeat("x", 4097)
		_, _, err := w.DescribeArtifact(publisher, tiny, registry.ArtifactDetails{Description: &long, Summary: &description})
		wantError(t, err, registry.Invalid, "description:", "summary: has a control character")
		long = long[:256]
		_, _, err = w.DescribeArtifact(publisher, tiny, registry.ArtifactDetails{Summary: &long})
		wantError(t, err, registry.Invalid, "summary: has 256 bytes")
	})
	t.Run("a name that differs in case alone is a conflict", func(t *testing.T) {
		_, _, err := w.DescribeArtifact(publisher, "acme/Tiny", registry.ArtifactDetails{})
		wantError(t, err, registry.Conflict, tiny)
	})
	t.Run("the settings of an administrator keep the summary or set it", func(t *testing.T) {
		if a, err := w.PutArtifact(admin(t), tiny, registry.ArtifactSettings{Description: "x"}); err != nil || a.Summary != summary {
			t.Errorf("%+v, %v", a, err)
		}
		empty := ""
		if a, err := w.PutArtifact(admin(t), tiny, registry.ArtifactSettings{Summary: &empty}); err != nil || a.Summary != "" {
			t.Errorf("%+v, %v", a, err)
		}
		_, err := w.PutArtifact(admin(t), tiny, registry.ArtifactSettings{Summary: &description})
		wantError(t, err, registry.Invalid, "summary:")
	})
}

func TestOpenVersion(t *testing.T) {
	w, publisher := newWorld(t), as(t, registry.RolePublish, "acme/*")
	_, err := w.OpenVersion(publisher, tiny, registry.VersionRequest{Version: "1.0.0"})
	wantError(t, err, registry.NotFound, tiny)
	v := w.open(publisher, "1.0.0")
	if v.Number != 1 || v.Status != registry.StatusOpen || !v.Held || registry.CheckFingerprint(v.Fingerprint) != nil || !v.CreatedAt.Equal(w.clock) || v.CreatedBy != "publish-token" {
		t.Errorf("%+v", v)
	}
	_, err = w.OpenVersion(publisher, tiny, registry.VersionRequest{Version: "1.0.0"})
	wantError(t, err, registry.Conflict, "1.0.0", "exists already")
	_, err = w.OpenVersion(publisher, tiny, registry.VersionRequest{Version: "one", Description: "\x00"})
	wantError(t, err, registry.Invalid, "version:", "description:")
	next, err := w.OpenVersion(publisher, tiny, registry.VersionRequest{Version: "0.5.0", Description: "older\nline"})
	if err != nil || next.Number != 2 || next.Description != "older\nline" || next.Fingerprint == v.Fingerprint {
		t.Errorf("%+v, %v", next, err)
	}
	if receipt := w.publish(publisher, tiny, amis("run", "a.x", "us-east-1")); receipt.Version != "1.1.0" || receipt.Number != 3 {
		t.Errorf("%+v", receipt)
	}
	page, err := w.Versions(publisher, tiny, registry.VersionFilter{Status: "open"})
	if err != nil || len(page.Versions) != 2 || !page.Versions[0].Held || page.Versions[0].Description != "older\nline" {
		t.Errorf("the list does not show what is held: %+v, %v", page, err)
	}
}

func TestDescribeVersion(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	w.open(ctx, "1.0.0")
	w.addBox(ctx, "1.0.0", elsewhere("virtualbox", "", "https://example.com/1.box"))
	for _, description := range []string{"first", "after the release"} {
		if v, err := w.DescribeVersion(ctx, tiny, "1", description); err != nil || v.Description != description {
			t.Errorf("%+v, %v", v, err)
		}
		if v := w.version(ctx, "1"); v.Held {
			w.release(ctx, "1.0.0")
		}
	}
	before := w.actions(ctx)
	if v, err := w.DescribeVersion(ctx, tiny, "1.0.0", "after the release"); err != nil || v.Status != registry.StatusComplete {
		t.Errorf("%+v, %v", v, err)
	}
	if diff := cmp.Diff(before, w.actions(ctx)); diff != "" {
		t.Error(diff)
	}
	_, err := w.DescribeVersion(ctx, tiny, "1.0.0", strings.Repeat("x", 64<<10+1))
	wantError(t, err, registry.Invalid, "description:")
	_, err = w.DescribeVersion(ctx, tiny, "latest", "x")
	wantError(t, err, registry.Invalid, "ref:", "number 1")
}

func TestReleaseVersion(t *testing.T) {
	w, ctx := newWorld(t), as(t, registry.RolePublish, "acme/*")
	v := w.open(ctx, "1.0.0")
	_, err := w.ReleaseVersion(ctx, tiny, "1.0.0")
	wantError(t, err, registry.Conflict, "has no build")
	w.announce(ctx, "1.0.0", pendingBox("virtualbox", ""))
	_, err = w.ReleaseVersion(ctx, tiny, "1.0.0")
	wantError(t, err, registry.Conflict, "has no build")

	t.Run("a version that lacks something else stays open until it has it", func(t *testing.T) {
		w.addBox(ctx, "1.0.0", elsewhere("libvirt", "", "https://example.com/1.box"))
		w.publish(ctx, tiny, registry.Publication{Fingerprint: v.Fingerprint, Build: found("x", "amazon-ebs.app", map[string]registry.ImageStatus{"us-east-1": registry.ImagePending}).Build})
		if v := w.release(ctx, "1.0.0"); v.Status != registry.StatusOpen || v.Held {
			t.Errorf("%+v", v)
		}
		image := registry.Image{Provider: "aws", Region: "us-east-1", ID: "ami-0x", Verification: &registry.Verification{Status: registry.ImageAvailable}}
		v, err := w.Verify(ctx, tiny, "1", registry.VerifyRequest{Component: "amazon-ebs.app", Images: []registry.Image{image}})
		if err != nil || v.Status != registry.StatusComplete {
			t.Errorf("%+v, %v", v, err)
		}
	})
	t.Run("releasing again says so", func(t *testing.T) {
		_, err := w.ReleaseVersion(ctx, tiny, "1.0.0")
		wantError(t, err, registry.Conflict, "has already been released")
	})
	t.Run("a pending box stays announced", func(t *testing.T) {
		wantBoxes(t, w.version(ctx, "1"), []string{"amazon-ebs.app", "vagrant.libvirt"}, []string{"vagrant.virtualbox"})
		w.receive(w.grant(ctx, "1.0.0", "vagrant.virtualbox"), virtualbox(t, "disk"))
		wantBoxes(t, w.version(ctx, "1"), []string{"amazon-ebs.app", "vagrant.libvirt", "vagrant.virtualbox"}, nil)
	})
}

func TestDeleteVersion(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		ctx, publisher := admin(t), as(t, registry.RolePublish, "acme/*")
		pub := amis("run-1", "amazon-ebs.app", "us-east-1")
		pub.Channels = []string{"production"}
		w.publish(ctx, tiny, pub)
		w.open(ctx, "1.0.0")
		w.addBox(ctx, "1.0.0", elsewhere("virtualbox", "", "https://example.com/1.box"))
		if err := w.DeleteVersion(publisher, tiny, "1.0.0"); err != nil {
			t.Fatal(err)
		}
		_, err := w.Version(ctx, tiny, "2")
		wantError(t, err, registry.NotFound)

		if v := w.open(publisher, "1.0.0"); v.Number != 3 {
			t.Errorf("the number is %d", v.Number)
		}
		w.addBox(ctx, "1.0.0", elsewhere("virtualbox", "", "https://example.com/1.box"))
		w.publish(ctx, tiny, amiFor(w.version(ctx, "3")))
		w.release(publisher, "1.0.0")
		if _, err := w.SetChannel(ctx, tiny, "staging", registry.ChannelChange{Ref: "3"}); err != nil {
			t.Fatal(err)
		}
		wantError(t, w.DeleteVersion(publisher, tiny, "1.0.0"), registry.Forbidden, "admin")
		wantError(t, w.DeleteVersion(ctx, tiny, "latest"), registry.Invalid, "ref:")
		if err := w.DeleteVersion(ctx, tiny, "1.0.0"); err != nil {
			t.Fatal(err)
		}
		a, err := w.Artifact(ctx, tiny)
		if err != nil || a.Latest == nil || a.Latest.Number != 1 || !slices.Equal(a.Types, []registry.Type{"amazon.image"}) ||
			len(a.Channels) != 1 || a.Channels[0].Name != "production" {
			t.Errorf("%+v, %v", a, err)
		}
		if r, err := w.ResolveJSON(ctx, tiny, "latest", registry.Question{Type: "aws.ami", Region: "us-east-1"}); err != nil || r.Bare != "ami-run1amazonebsapp0" {
			t.Errorf("%+v, %v", r, err)
		}
		_, err = w.Resolve(ctx, tiny, "latest", registry.Question{Type: "vagrant.box"})
		wantError(t, err, registry.NotFound)
		wantError(t, w.DeleteVersion(ctx, tiny, "1.0.0"), registry.NotFound)
		actions := w.actions(ctx)
		if last := actions[len(actions)-1]; last != "version.delete by admin-token of 3 1.0.0" {
			t.Errorf("the last event is %q", last)
		}
	})
}
