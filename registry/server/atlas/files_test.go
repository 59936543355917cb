package atlas_test

import (
	"strings"
	"testing"

	atlas "github.com/hashicorp/atlas-go/v1"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func TestFiles(t *testing.T) {
	s := servertest.New(t)
	c, atlasgo := as(s, s.AdminToken), client(t, s.URL, s.AdminToken)
	for _, content := range []string{"first", "second", "third"} {
		upload(t, atlasgo, "app", "archive", content, nil)
	}
	amis(t, s, "cargomedia/app", "four", "amazon-ebs.app", nil, "eu-west-1")
	admin := registry.WithPrincipal(t.Context(), registry.Principal{TokenID: "x", Name: "x", Role: registry.RoleAdmin, Scopes: []registry.Scope{registry.ScopeAll}})
	if _, err := s.Service.Revoke(admin, "cargomedia/app", "3", registry.RevokeRequest{Reason: "CVE"}); err != nil {
		t.Fatal(err)
	}

	t.Run("every route brings the bytes that it names", func(t *testing.T) {
		for path, want := range map[string]string{
			"archive/file": "second", "archive/latest/file": "second", "application.archive/latest/file": "second",
			"archive/1/file": "first", "archive/3/file": "third",
			"archive/1/1/file": "first", "archive/latest/latest/file": "second", "archive/1/atlas/file": "first", "archive/1/atlas/1/file": "first",
			"archive/file?file=app.tar.gz": "second", "archive/1/file?component=atlas": "first",
		} {
			got := c.get(t, artifacts+"/cargomedia/app/"+path).ok(t)
			if got.body != want {
				t.Errorf("%s: got %q, want %q", path, got.body, want)
			}
			if warned := got.header.Get("Warning") != ""; warned != (want == "third") {
				t.Errorf("%s: got %v", path, got.header)
			}
		}
	})
	t.Run("HEAD and Range work", func(t *testing.T) {
		if got := c.send(t, "HEAD", archive+"/1/file", "").ok(t); got.body != "" || got.header.Get("Content-Length") != "5" {
			t.Errorf("got %q %v", got.body, got.header)
		}
		if got := c.get(t, archive+"/1/file", "Range", "bytes=1-2"); got.status != 206 || got.body != "ir" {
			t.Errorf("got %d %q", got.status, got.body)
		}
	})
	t.Run("what is not there is not found", func(t *testing.T) {
		for path, says := range map[string]string{
			"archive/9/file": "has no version 9", "archive/0/file": "", "archive/99999999999999999999/file": "", "archive/1.0.0/file": "is asked for by its number, or by latest", "archive/production/file": "",
			"vagrant.box/file": "no version with a build of type vagrant.box", "aws.ami/file": "no file of the type amazon.image", "aws.ami/1/file": "has no build with type",
			"archive/file?file=other": `no file "other"; it has: app.tar.gz`,
		} {
			c.get(t, artifacts+"/cargomedia/app/"+path).refused(t, 404, says)
		}
		c.get(t, artifacts+"/cargomedia/app/no%20type/file").refused(t, 422, `artifact_type: type "no type" is unknown`)
		c.get(t, archive+"/1/2/file").refused(t, 404)
		c.get(t, archive+"/1/atlas/2/file").refusedNatively(t)
		c.get(t, artifacts+"/cargomedia/none/archive/file").refused(t, 404)
		c.get(t, artifacts+"/api/none/archive/file").refused(t, 404)
	})
	t.Run("several are listed", func(t *testing.T) {
		native := s.Client(t, s.AdminToken)
		var files []registry.File
		for _, name := range []string{"a/one.txt", "two.txt"} {
			file, err := native.Upload(t.Context(), "cargomedia/app", name, strings.NewReader(name), nil)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, file)
		}
		for _, component := range []string{"x", "y"} {
			b := registry.Build{Component: component, Type: registry.Archive, Files: files}
			if _, err := native.Publish(t.Context(), "cargomedia/"+component, registry.Publication{Fingerprint: "f", Build: b}); err != nil {
				t.Fatal(err)
			}
			if _, err := native.Publish(t.Context(), "cargomedia/both", registry.Publication{Fingerprint: "f", Build: b}); err != nil {
				t.Fatal(err)
			}
		}
		at := artifacts + "/cargomedia/x/archive/file"
		c.get(t, at).refused(t, 422, "has 2 files; say which with ?file=NAME: a/one.txt, two.txt")
		if got := c.get(t, at+"?file=a/one.txt").ok(t); got.body != "a/one.txt" || got.header.Get("Content-Disposition") != "attachment; filename=one.txt" {
			t.Errorf("got %q %v", got.body, got.header)
		}
		c.get(t, artifacts+"/cargomedia/both/archive/file?file=two.txt").refused(t, 422, "component x", "component y")
		if got := c.get(t, artifacts+"/cargomedia/both/archive/file?file=two.txt&component=y").ok(t); got.body != "two.txt" {
			t.Errorf("got %q", got.body)
		}
	})
}

func TestTheFileOfASearchIsThatOfTheBuildItFound(t *testing.T) {
	s := servertest.New(t)
	c := client(t, s.URL, s.AdminToken)
	boxes := map[string]string{"virtualbox": boxOf(t, "virtualbox", "one"), "libvirt": boxOf(t, "libvirt", "two")}
	for provider, content := range boxes {
		upload(t, c, "box", "vagrant.box", content, map[string]string{"provider": provider, "version": "1.0.0"})
	}
	for provider, content := range boxes {
		found, err := c.ArtifactSearch(&atlas.ArtifactSearchOpts{
			User: "cargomedia", Name: "box", Type: "vagrant.box", Version: "latest", Metadata: map[string]string{"provider": provider},
		})
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: got %v %v", provider, found, err)
		}
		at, err := c.ArtifactFileURL(found[0])
		if err != nil {
			t.Fatal(err)
		}
		newer := strings.TrimSuffix(at.String(), "file") + "1/file"
		for _, address := range []string{at.String(), newer} {
			if got := as(s, s.AdminToken).get(t, address).ok(t); got.body != content {
				t.Errorf("%s is not the box for %s", address, provider)
			}
		}
	}
}
