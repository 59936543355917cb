package atlas_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	atlas "github.com/hashicorp/atlas-go/v1"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func TestWhatComesInHereIsSeenThroughEveryDoor(t *testing.T) {
	s := servertest.New(t)
	c, native := client(t, s.URL, s.AdminToken), s.Client(t, s.AdminToken)

	t.Run("AMIs are images per region", func(t *testing.T) {
		_, err := c.UploadArtifact(&atlas.UploadArtifactOpts{User: "cargomedia", Name: "app", Type: "amazon.ami", ID: "us-east-1:ami-1,eu-west-1:ami-2", Metadata: map[string]string{"os": "jessie"}})
		if err != nil {
			t.Fatal(err)
		}
		got, err := native.Resolve(t.Context(), "cargomedia/app", "latest", registry.Question{Type: "aws.ami", Region: "eu-west-1"})
		if err != nil || got.ID != "ami-2" || got.Version != "0.1.0" || got.Component != "atlas" || got.Type != registry.AmazonImage || got.Metadata["os"] != "jessie" || !strings.HasPrefix(got.Fingerprint, "atlas-") {
			t.Errorf("got %+v, %v", got, err)
		}
		if uses, err := native.ImageUses(t.Context(), "aws", "us-east-1", "ami-1"); err != nil || len(uses) != 1 || uses[0].Artifact != "cargomedia/app" {
			t.Errorf("got %+v, %v", uses, err)
		}
		if state := as(s, s.AdminToken).send(t, "GET", "/tf/state/cargomedia/app/aws.ami/latest", "", "Authorization", "Bearer "+s.AdminToken).ok(t); !strings.Contains(state.body, "ami-2") {
			t.Errorf("got %s", state.body)
		}
	})
	t.Run("a box is a box", func(t *testing.T) {
		content := boxOf(t, "virtualbox", "disk")
		if n := upload(t, c, "box", "vagrant.box", content, map[string]string{"provider": "virtualbox", "version": "1.2", "description": "the *box*", "os": "jessie"}); n != 1 {
			t.Errorf("got number %d", n)
		}
		upload(t, c, "box", "vagrant.box", boxOf(t, "libvirt", "disk"), map[string]string{"provider": "libvirt", "version": "1.2.0"})
		upload(t, c, "box", "vagrant.box", boxOf(t, "libvirt", "another"), map[string]string{"provider": "libvirt"})
		v, err := native.Version(t.Context(), "cargomedia/box", "1.2.0")
		if err != nil || v.Number != 1 || v.Description != "the *box*" || len(v.Builds) != 2 {
			t.Fatalf("got %+v, %v", v, err)
		}
		b := v.Builds[1]
		if b.Component != "vagrant.virtualbox" || b.Provider != "virtualbox" || b.Files[0].Name != "vagrant.box" || !cmp.Equal(b.Metadata, registry.Metadata{"os": "jessie"}) {
			t.Errorf("got %+v", b)
		}
		type entry struct {
			Version   string
			Providers []struct{ Name, URL string }
		}
		catalog := decode[struct{ Versions []entry }](t, as(s, s.AdminToken).get(t, "/cargomedia/box")).Versions
		if len(catalog) != 2 || catalog[0].Version != "1.3.0" || len(catalog[1].Providers) != 2 {
			t.Fatalf("got %+v", catalog)
		}
		for _, p := range catalog[1].Providers {
			if got := as(s, s.AdminToken).get(t, p.URL).ok(t).body; p.Name == "virtualbox" && got != content {
				t.Errorf("got %d bytes", len(got))
			}
		}
		for metadata, want := range map[string]string{"provider=virtualbox": "virtualbox 1.2.0", "provider=libvirt": "libvirt 1.3.0", "version=1.2.0": ""} {
			key, value, _ := strings.Cut(metadata, "=")
			found, err := c.ArtifactSearch(&atlas.ArtifactSearchOpts{User: "cargomedia", Name: "box", Type: "vagrant.box", Version: "any", Metadata: map[string]string{key: value}})
			if want == "" {
				wants(t, err, "2 builds of the type vagrant.box")
				wants(t, err, "vagrant.libvirt, vagrant.virtualbox")
				continue
			}
			if err != nil || len(found) != 1 || found[0].Metadata["provider"]+" "+found[0].Metadata["version"] != want {
				t.Errorf("%s: got %+v, %v", metadata, found, err)
			}
		}
	})
	t.Run("an application and an artifact of one name are one", func(t *testing.T) {
		if _, err := c.UploadApp(&atlas.App{User: "cargomedia", Name: "app"}, nil, strings.NewReader("code"), 4); err != nil {
			t.Fatal(err)
		}
		upload(t, c, "app", "application.archive", "artifact", nil)
		if found, err := c.ArtifactSearch(&atlas.ArtifactSearchOpts{User: "cargomedia", Name: "app", Type: "amazon.image"}); err != nil || len(found) != 1 || found[0].Version != 1 {
			t.Errorf("got %+v, %v", found, err)
		}
		found, err := c.ArtifactSearch(&atlas.ArtifactSearchOpts{User: "cargomedia", Name: "app", Type: "archive", Version: "any", Metadata: map[string]string{"component": "application"}})
		if err != nil || len(found) != 1 || found[0].Version != 2 || fetch(t, c, found[0]) != "code" {
			t.Errorf("got %+v, %v", found, err)
		}
	})
}

func TestWhatIsPublishedElsewhereIsFoundHere(t *testing.T) {
	s := servertest.New(t)
	c := client(t, s.URL, s.AdminToken)
	search := func(t *testing.T, typ, version string, metadata map[string]string) []*atlas.ArtifactVersion {
		t.Helper()
		found, err := c.ArtifactSearch(&atlas.ArtifactSearchOpts{User: "cargomedia", Name: "app", Type: typ, Version: version, Metadata: metadata})
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	amis(t, s, "cargomedia/app", "one", "amazon-ebs.app", registry.Metadata{"os": "jessie"}, "us-east-1", "eu-west-1")
	amis(t, s, "cargomedia/app", "two", "amazon-ebs.app", registry.Metadata{"os": "stretch"}, "eu-west-1")

	t.Run("by latest, any, and numbers", func(t *testing.T) {
		for question, want := range map[[2]string]string{
			{"latest", ""}: "eu-west-1:ami-two", {"latest", "jessie"}: "", {"any", "jessie"}: "eu-west-1:ami-one,us-east-1:ami-one", {"1", ""}: "eu-west-1:ami-one,us-east-1:ami-one",
			{"1", "stretch"}: "", {"9", ""}: "", {"0.2.0", ""}: "eu-west-1:ami-two",
		} {
			var metadata map[string]string
			if question[1] != "" {
				metadata = map[string]string{"os": question[1]}
			}
			got := ""
			for _, v := range search(t, "aws.ami", question[0], metadata) {
				got += v.ID
			}
			if got != want {
				t.Errorf("%v: got %q, want %q", question, got, want)
			}
		}
	})
	t.Run("by a region that it has", func(t *testing.T) {
		for _, key := range []string{"region", "region.us-east-1"} {
			value := map[string]string{"region": "us-east-1"}[key]
			if value == "" {
				value = atlas.MetadataAnyValue
			}
			if found := search(t, "aws.ami", "any", map[string]string{key: value}); len(found) != 1 || found[0].Version != 1 {
				t.Errorf("%s: got %+v", key, found)
			}
			if found := search(t, "aws.ami", "latest", map[string]string{key: value}); len(found) != 0 {
				t.Errorf("%s: got %+v", key, found)
			}
		}
	})
	t.Run("not by an empty value that it does not have", func(t *testing.T) {
		if found := search(t, "aws.ami", "any", map[string]string{"os": ""}); len(found) != 0 {
			t.Errorf("got %+v", found)
		}
	})
	t.Run("one of several builds by what tells them apart", func(t *testing.T) {
		amis(t, s, "cargomedia/app", "three", "amazon-ebs.amd64", nil, "eu-west-1")
		amis(t, s, "cargomedia/app", "three", "amazon-ebs.arm64", nil, "eu-west-1")
		_, err := c.ArtifactSearch(&atlas.ArtifactSearchOpts{User: "cargomedia", Name: "app", Type: "aws.ami"})
		wants(t, err, `narrow it by metadata, such as component = "amazon-ebs.amd64"`)
		wants(t, err, "amazon-ebs.amd64, amazon-ebs.arm64")
		if found := search(t, "aws.ami", "latest", map[string]string{"component": "amazon-ebs.arm64"}); len(found) != 1 || found[0].Version != 3 {
			t.Errorf("got %+v", found)
		}
	})
	t.Run("a box, under its provider", func(t *testing.T) {
		file, err := s.Client(t, s.AdminToken).Upload(t.Context(), "cargomedia/app", "package.box", strings.NewReader(boxOf(t, "libvirt", "x")), nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Client(t, s.AdminToken).Publish(t.Context(), "cargomedia/app", registry.Publication{Fingerprint: "box", Version: "4.0.0", Build: registry.Build{
			Component: "qemu.app", Type: registry.VagrantBox, Provider: "libvirt", Files: []registry.File{file},
		}})
		if err != nil {
			t.Fatal(err)
		}
		found := search(t, "vagrant.box", "latest", map[string]string{"provider": "libvirt"})
		if len(found) != 1 || found[0].ID != "libvirt" || found[0].Metadata["version"] != "4.0.0" || !found[0].File {
			t.Errorf("got %+v", found)
		}
	})
	t.Run("with its number also when it is revoked", func(t *testing.T) {
		admin := registry.WithPrincipal(t.Context(), registry.Principal{TokenID: "x", Name: "x", Role: registry.RoleAdmin, Scopes: []registry.Scope{registry.ScopeAll}})
		if _, err := s.Service.Revoke(admin, "cargomedia/app", "2", registry.RevokeRequest{Reason: "CVE"}); err != nil {
			t.Fatal(err)
		}
		if found := search(t, "aws.ami", "2", nil); len(found) != 1 {
			t.Errorf("got %+v", found)
		}
		if found := search(t, "aws.ami", "any", map[string]string{"os": "stretch"}); len(found) != 0 {
			t.Errorf("got %+v", found)
		}
	})
}

// TestBuildIDs has a client that works for a run of the registry, and one that works for something else.
func TestBuildIDs(t *testing.T) {
	s := servertest.New(t)
	c := client(t, s.URL, s.AdminToken)
	admin := registry.WithPrincipal(t.Context(), registry.Principal{TokenID: "x", Name: "x", Role: registry.RoleAdmin, Scopes: []registry.Scope{registry.ScopeAll}})
	if _, err := s.Service.Link(admin, "cargomedia/shop", "cargomedia/image"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.UploadApp(&atlas.App{User: "cargomedia", Name: "shop"}, nil, strings.NewReader("code"), 4); err != nil {
		t.Fatal(err)
	}
	runs, err := s.Service.Runs(admin, registry.RunFilter{Artifact: "cargomedia/image"})
	if err != nil || len(runs.Runs) != 1 {
		t.Fatalf("got %+v, %v", runs, err)
	}
	run := runs.Runs[0]
	post := func(name, id string, file bool, metadata map[string]string) int {
		t.Helper()
		opts := &atlas.UploadArtifactOpts{User: "cargomedia", Name: name, Type: "custom.image", ID: id, BuildID: int(run.ID), Metadata: metadata}
		if file {
			opts.File, opts.FileSize = strings.NewReader("bytes"), 5
		}
		v, err := c.UploadArtifact(opts)
		if err != nil {
			t.Fatal(err)
		}
		return v.Version
	}
	post("image", "img-1", false, nil)
	post("image", "img-2", false, map[string]string{"build_number": "A"})
	post("image", "img-3", true, nil)
	post("other", "img-4", false, nil)
	for _, test := range []struct {
		artifact, ref, number string
		ofRun                 bool
	}{{"cargomedia/image", "1", "1", true}, {"cargomedia/image", "2", "A", false}, {"cargomedia/image", "3", "1", false}, {"cargomedia/other", "1", "1", false}} {
		v, err := s.Service.Version(admin, test.artifact, test.ref)
		if err != nil {
			t.Fatal(err)
		}
		if got := v.Fingerprint == run.Fingerprint; got != test.ofRun || v.Builds[0].Metadata["build_number"] != test.number || (v.Metadata["application"] == "cargomedia/shop") != test.ofRun {
			t.Errorf("%s %s: got %+v", test.artifact, test.ref, v)
		}
	}
	found, err := c.ArtifactSearch(&atlas.ArtifactSearchOpts{User: "cargomedia", Name: "image", Type: "custom.image", Build: "1"})
	if err != nil || len(found) != 1 || found[0].Version != 3 {
		t.Errorf("got %+v, %v", found, err)
	}
	// The file of a run is its version, too, when nothing else is.
	if _, err := c.UploadApp(&atlas.App{User: "cargomedia", Name: "shop"}, nil, strings.NewReader("more"), 4); err != nil {
		t.Fatal(err)
	}
	run.ID++
	post("image", "File", true, nil)
	if v, err := s.Service.Version(admin, "cargomedia/image", "almanac-run-2"); err != nil || v.Number != 4 || v.Status != registry.StatusComplete || v.Metadata["application_version"] != "0.2.0" {
		t.Errorf("got %+v, %v", v, err)
	}
	// A run of somebody else's is no run to one who may not see it.
	stranger := client(t, s.URL, s.Token(t, "stranger", "publish", "other/*"))
	if v, err := stranger.UploadArtifact(&atlas.UploadArtifactOpts{User: "other", Name: "x", Type: "custom.image", ID: "1", BuildID: int(run.ID)}); err != nil || v.Version != 1 {
		t.Errorf("got %+v, %v", v, err)
	}
}

// TestIDs posts ids as the builders of Packer have them, and looks for the images that come of them and the id that comes
// back.
func TestIDs(t *testing.T) {
	s := servertest.New(t)
	c := client(t, s.URL, s.AdminToken)
	for i, test := range []struct{ typ, id, back, images string }{
		{"digitalocean.image", "fra1:123", "fra1:123", "DigitalOcean/fra1/123"},
		{"digitalocean.image", "nyc3,fra1:123", "nyc3,fra1:123", "DigitalOcean/fra1/123 DigitalOcean/nyc3/123"},
		{"google.image", "app-1", "app-1", "gce//app-1"},
		{"docker.image", "sha256:abc", "sha256:abc", "docker//sha256:abc"},
		{"openstack.image", "0b1d", "0b1d", "openstack//0b1d"},
		{"azure.image", "/subscriptions/s/img", "/subscriptions/s/img", "azure///subscriptions/s/img"},
		{"amazon.volume", "us-east-1:vol-2,eu-west-1:vol-1", "us-east-1:vol-2,eu-west-1:vol-1", "aws/eu-west-1/vol-1 aws/us-east-1/vol-2"},
		{"amazon.image", "us-east-1:ami-2,eu-west-1:ami-1", "eu-west-1:ami-1,us-east-1:ami-2", "aws/eu-west-1/ami-1 aws/us-east-1/ami-2"},
	} {
		name := "a" + string(rune('0'+i))
		if _, err := c.UploadArtifact(&atlas.UploadArtifactOpts{User: "cargomedia", Name: name, Type: test.typ, ID: test.id}); err != nil {
			t.Errorf("%s %s: %v", test.typ, test.id, err)
			continue
		}
		found, err := c.ArtifactSearch(&atlas.ArtifactSearchOpts{User: "cargomedia", Name: name, Type: test.typ})
		if err != nil || len(found) != 1 || found[0].ID != test.back || found[0].Type != test.typ {
			t.Errorf("%s %s: got %+v, %v", test.typ, test.id, found, err)
		}
		got, err := s.Client(t, s.AdminToken).Resolve(t.Context(), "cargomedia/"+name, "1", registry.Question{})
		if err != nil {
			t.Fatal(err)
		}
		var images []string
		for _, image := range got.Images {
			images = append(images, image.String())
		}
		if strings.Join(images, " ") != test.images {
			t.Errorf("%s %s: got %q, want %q", test.typ, test.id, images, test.images)
		}
	}
}

// TestAMIsWithAFile is Packer's file builder whose template names AMIs.
func TestAMIsWithAFile(t *testing.T) {
	s := servertest.New(t)
	c := client(t, s.URL, s.AdminToken)
	upload(t, c, "app", "aws.ami", "the bytes", map[string]string{"region.eu-west-1": "ami-12345678", "region.us-east-1": "ami-87654321"})
	found, err := c.ArtifactSearch(&atlas.ArtifactSearchOpts{User: "cargomedia", Name: "app", Type: "amazon.image"})
	if err != nil || len(found) != 1 || found[0].ID != "eu-west-1:ami-12345678,us-east-1:ami-87654321" || found[0].Metadata["ami_id"] != "ami-12345678,ami-87654321" {
		t.Fatalf("got %+v, %v", found, err)
	}
	if got := fetch(t, c, found[0]); got != "the bytes" {
		t.Errorf("got %q", got)
	}
	if got := as(s, s.AdminToken).get(t, artifacts+"/cargomedia/app/amazon.ami/file").ok(t); got.body != "the bytes" || got.header.Get("Content-Disposition") != "attachment; filename=app.tar.gz" {
		t.Errorf("got %q %v", got.body, got.header)
	}
	as(s, "").get(t, artifacts+"/cargomedia/app/amazon.ami/file").refused(t, http.StatusUnauthorized)
}
