package e2e

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/vagranttest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func TestVagrantCloudCommands(t *testing.T) {
	t.Parallel()
	w := newBoxWorld(t)
	for name, test := range map[string]func(*testing.T, *boxWorld){
		"a box, its versions and providers are made, changed and deleted one by one": stepByStep,
		"a box is published at once":         published,
		"a publication that fails is no box": notPublished,
		"boxes are found":                    searched,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, w)
		})
	}
}

func stepByStep(t *testing.T, w *boxWorld) {
	publisher := w.publishing(t)
	admin := publisher.With("VAGRANT_CLOUD_TOKEN=" + w.server.AdminToken)
	cloud := func(t *testing.T, args ...string) string {
		t.Helper()
		return publisher.MustRun(t, append([]string{"cloud"}, args...)...)
	}
	b := vagranttest.TinyBox(t, virtualbox)

	t.Run("a box is made", func(t *testing.T) {
		said := cloud(t, "box", "create", "acme/steps", "--description", "All that one needs", "--short-description", "A base")
		want(t, said, "Created box acme/steps", "All that one needs")
		a, err := w.admin.Artifact(t.Context(), "acme/steps")
		if err != nil || a.Description != "All that one needs" || a.Summary != "A base" || a.Public {
			t.Errorf("got %+v, %v", a, err)
		}
	})
	t.Run("it is described anew, and opened by an administrator alone", func(t *testing.T) {
		cloud(t, "box", "update", "acme/steps", "--description", "All that two need")
		want(t, publisher.MustFail(t, "cloud", "box", "update", "acme/steps", "--no-private"), "Failed to update box acme/steps", "admin")
		if a, err := w.admin.Artifact(t.Context(), "acme/steps"); err != nil || a.Description != "All that two need" || a.Summary != "A base" || a.Public {
			t.Errorf("got %+v, %v", a, err)
		}
		admin.MustRun(t, "cloud", "box", "update", "acme/steps", "--no-private")
		if a, err := w.admin.Artifact(t.Context(), "acme/steps"); err != nil || a.Description != "All that two need" || !a.Public {
			t.Errorf("got %+v, %v", a, err)
		}
	})
	t.Run("a version is made and held", func(t *testing.T) {
		want(t, cloud(t, "version", "create", "acme/steps", "1.0.0", "--description", "The first"), "Created version 1.0.0 on acme/steps", "unreleased")
		want(t, cloud(t, "version", "update", "acme/steps", "1.0.0", "--description", "The very first"), "Updated version 1.0.0")
		if v := w.version(t, "acme/steps", "1.0.0"); v.Status != registry.StatusOpen || !v.Held || v.Description != "The very first" {
			t.Errorf("got %+v", v)
		}
	})
	t.Run("a provider waits for its bytes", func(t *testing.T) {
		want(t, cloud(t, "provider", "create", "acme/steps", "virtualbox", "1.0.0", "--checksum-type", "sha256", "--checksum", b.SHA256), "Created provider virtualbox")
		v := w.version(t, "acme/steps", "1.0.0")
		if len(v.Builds) != 0 || len(v.Pending) != 1 || v.Pending[0].Provider != "virtualbox" || v.Pending[0].Checksum != b.SHA256 {
			t.Errorf("got %+v", v)
		}
		want(t, cloud(t, "provider", "upload", "acme/steps", "virtualbox", "1.0.0", b.Path), "Uploaded provider virtualbox")
		v = w.version(t, "acme/steps", "1.0.0")
		if len(v.Pending) != 0 || v.Status != registry.StatusOpen {
			t.Errorf("got %+v", v)
		}
		w.contains(t, v, b)
	})
	t.Run("a provider that is elsewhere moves and goes", func(t *testing.T) {
		for _, step := range []struct{ command, url string }{{"create", "https://example.com/one.box"}, {"update", "https://example.com/two.box"}} {
			cloud(t, "provider", step.command, "acme/steps", "libvirt", "1.0.0", step.url)
			if got := imagesOf(w.version(t, "acme/steps", "1.0.0"), "libvirt"); got != step.url {
				t.Errorf("after %s the box is at %q, want %q", step.command, got, step.url)
			}
		}
		want(t, cloud(t, "provider", "delete", "acme/steps", "libvirt", "1.0.0", "--force"), "Deleted provider libvirt")
		w.contains(t, w.version(t, "acme/steps", "1.0.0"), b)
	})
	t.Run("a version is released, revoked and deleted", func(t *testing.T) {
		want(t, cloud(t, "version", "release", "acme/steps", "1.0.0", "--force"), "Released version 1.0.0")
		w.has(t, "acme/steps", "1.0.0", b)
		want(t, publisher.MustFail(t, "cloud", "version", "release", "acme/steps", "1.0.0", "--force"), "already")
		want(t, w.stranger(t).MustRun(t, "cloud", "box", "show", "acme/steps"), "Current Version: 1.0.0", "Description: All that two need")
		want(t, cloud(t, "version", "revoke", "acme/steps", "1.0.0", "--force"), "Revoked version 1.0.0")
		if v := w.version(t, "acme/steps", "1.0.0"); v.Revocation == nil {
			t.Errorf("got %+v", v)
		}
		want(t, publisher.MustFail(t, "cloud", "provider", "delete", "acme/steps", "virtualbox", "1.0.0", "--force"), "Failed to delete provider virtualbox", "admin")
		w.contains(t, w.version(t, "acme/steps", "1.0.0"), b)
		want(t, admin.MustRun(t, "cloud", "provider", "delete", "acme/steps", "virtualbox", "1.0.0", "--force"), "Deleted provider virtualbox")
		want(t, publisher.MustFail(t, "cloud", "version", "delete", "acme/steps", "1.0.0", "--force"), "Failed to delete version 1.0.0", "admin")
		w.version(t, "acme/steps", "1.0.0")
		want(t, admin.MustRun(t, "cloud", "version", "delete", "acme/steps", "1.0.0", "--force"), "Deleted version 1.0.0")
		if _, err := w.admin.Version(t.Context(), "acme/steps", "1.0.0"); registry.KindOf(err) != registry.NotFound {
			t.Errorf("got %v, want that there is none", err)
		}
	})
	t.Run("a box is deleted by an administrator alone", func(t *testing.T) {
		want(t, publisher.MustFail(t, "cloud", "box", "delete", "acme/steps", "--force"), "Failed to delete box acme/steps", "admin")
		want(t, admin.MustRun(t, "cloud", "box", "delete", "acme/steps", "--force"), "Deleted box acme/steps")
		if _, err := w.admin.Artifact(t.Context(), "acme/steps"); registry.KindOf(err) != registry.NotFound {
			t.Errorf("got %v, want that there is none", err)
		}
	})
}

// imagesOf says where the boxes of a provider are that the registry has not.
func imagesOf(v registry.Version, provider string) string {
	var places []string
	for _, b := range v.Builds {
		for _, i := range b.Images {
			if b.Provider == provider {
				places = append(places, i.ID)
			}
		}
	}
	return strings.Join(places, " ")
}

func published(t *testing.T, w *boxWorld) {
	v := w.publishing(t)
	publish := func(version, provider string, b vagranttest.Box, more ...string) []string {
		return append([]string{"cloud", "publish", "acme/new", version, provider, b.Path, "--force"}, more...)
	}
	first := vagranttest.TinyBox(t, virtualbox)
	t.Run("with all that was missing", func(t *testing.T) {
		want(t, v.MustRun(t, publish("1.0.0", "virtualbox", first, "--release", "--description", "Long", "--short-description", "Short",
			"--version-description", "The first", "--checksum-type", "sha256", "--checksum", first.SHA256)...), "Complete! Published acme/new")
		w.has(t, "acme/new", "1.0.0", first)
		a, err := w.admin.Artifact(t.Context(), "acme/new")
		if err != nil || a.Description != "Long" || a.Summary != "Short" || a.Public {
			t.Errorf("got %+v, %v", a, err)
		}
		if d := w.version(t, "acme/new", "1.0.0").Description; d != "The first" {
			t.Errorf("the version's description is %q", d)
		}
	})
	t.Run("again, which changes nothing", func(t *testing.T) {
		v.MustRun(t, publish("1.0.0", "virtualbox", first, "--release")...)
		w.has(t, "acme/new", "1.0.0", first)
	})
	t.Run("once released, with no other bytes", func(t *testing.T) {
		v.MustFail(t, publish("1.0.0", "virtualbox", vagranttest.TinyBox(t, virtualbox), "--release")...)
		w.has(t, "acme/new", "1.0.0", first)
	})
	t.Run("by way of the server, as often as it takes, for two providers", func(t *testing.T) {
		one, two := vagranttest.TinyBox(t, virtualbox), vagranttest.TinyBox(t, libvirt)
		for _, more := range [][]string{nil, nil, {"--checksum-type", "sha256", "--checksum", one.SHA256}} {
			v.MustRun(t, publish("1.1.0", "virtualbox", one, append(more, "--no-direct-upload")...)...)
		}
		if version := w.version(t, "acme/new", "1.1.0"); version.Status != registry.StatusOpen {
			t.Errorf("a version that was not released is %s", version.Status)
		}
		v.MustRun(t, publish("1.1.0", "libvirt", vagranttest.TinyBox(t, libvirt))...)
		v.MustRun(t, publish("1.1.0", "libvirt", two, "--no-direct-upload", "--release")...)
		w.has(t, "acme/new", "1.1.0", one, two)
	})
}

func notPublished(t *testing.T, w *boxWorld) {
	v := w.publishing(t)
	good := vagranttest.TinyBox(t, libvirt)
	v.MustRun(t, "cloud", "publish", "acme/bad", "1.0.0", "libvirt", good.Path, "--force")
	box := vagranttest.NewBox(t, virtualbox, 1<<16)
	other := vagranttest.TinyBox(t, virtualbox)
	content, err := os.ReadFile(box.Path)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, path string
		more       []string
	}{
		{"a box that is cut short", v.Write(t, "short.box", string(content[:len(content)-100])), nil},
		{"something else than a box", v.Write(t, "text.box", "no box"), nil},
		{"a wrong checksum", box.Path, []string{"--checksum-type", "sha256", "--checksum", other.SHA256}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v.MustFail(t, append([]string{"cloud", "publish", "acme/bad", "1.0.0", "virtualbox", tt.path, "--force", "--release"}, tt.more...)...)
			version := w.version(t, "acme/bad", "1.0.0")
			if version.Status != registry.StatusOpen {
				t.Errorf("the version is %s", version.Status)
			}
			w.contains(t, version, good)
		})
	}
	t.Run("a reader", func(t *testing.T) {
		v.With("VAGRANT_CLOUD_TOKEN="+w.reader).MustFail(t, "cloud", "publish", "acme/mine", "1.0.0", "virtualbox", other.Path, "--force", "--release")
		if _, err := w.admin.Artifact(t.Context(), "acme/mine"); registry.KindOf(err) != registry.NotFound {
			t.Errorf("got %v, want that there is none", err)
		}
	})
	t.Run("the same with the right bytes is", func(t *testing.T) {
		v.MustRun(t, "cloud", "publish", "acme/bad", "1.0.0", "virtualbox", box.Path, "--force", "--release", "--checksum-type", "sha256", "--checksum", box.SHA256)
		w.has(t, "acme/bad", "1.0.0", good, box)
	})
}

func searched(t *testing.T, w *boxWorld) {
	w.artifact(t, "acme/sought-open", true)
	for _, name := range []string{"acme/sought-open", "acme/sought-closed"} {
		w.record(t, name, "1.2.0", vagranttest.TinyBox(t, virtualbox))
	}
	w.artifact(t, "acme/sought-empty", true)
	search := []string{"cloud", "search", "sought"}
	table := w.publishing(t).MustRun(t, search...)
	want(t, table, "acme/sought-open", "acme/sought-closed", "1.2.0", "virtualbox")
	if strings.Contains(table, "acme/sought-empty") {
		t.Errorf("what has no version is listed:\n%s", table)
	}
	var found []struct{ Name, Version, Providers string }
	said := w.stranger(t).MustRun(t, append(search, "--json")...)
	if err := json.Unmarshal([]byte(said), &found); err != nil || len(found) != 1 || found[0].Name != "acme/sought-open" || found[0].Version != "1.2.0" {
		t.Errorf("a stranger gets %s, %v", said, err)
	}
	want(t, w.stranger(t).MustRun(t, "cloud", "search", "nothing-like-it"), "No results found")
}
