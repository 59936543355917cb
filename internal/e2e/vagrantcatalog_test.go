package e2e

import (
	"crypto/sha1"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/vagranttest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func TestVagrantGetsWhatTheRegistryOffers(t *testing.T) {
	t.Parallel()
	w := newBoxWorld(t)
	for name, test := range map[string]func(*testing.T, *boxWorld){
		"a public box is added and updated without a token":               publicBox,
		"a private box is there for those who may read it":                privateBox,
		"a machine gets its box and hears of newer ones":                  machine,
		"of several architectures an older client gets the default":       architectures,
		"a download that was cut off goes on where it was":                resumed,
		"a box that is elsewhere is fetched from there and checked":       elsewhere,
		"a version that never was released is seen by nobody who adds it": unreleased,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, w)
		})
	}
}

func publicBox(t *testing.T, w *boxWorld) {
	v := w.stranger(t)
	w.artifact(t, "acme/public", true)
	old, newer := vagranttest.TinyBox(t, virtualbox), vagranttest.TinyBox(t, virtualbox)
	w.record(t, "acme/public", "1.0.0", old, vagranttest.TinyBox(t, libvirt))
	v.MustRun(t, "box", "add", "acme/public", "--provider", "virtualbox")
	installed(t, v, "acme/public", "1.0.0", "virtualbox", old)

	w.record(t, "acme/public", "1.1.0", newer)
	w.record(t, "acme/public", "1.2.0", vagranttest.TinyBox(t, libvirt))
	w.record(t, "acme/public", "1.3.0", vagranttest.TinyBox(t, virtualbox))
	if _, err := w.admin.Revoke(t.Context(), "acme/public", "1.3.0", registry.RevokeRequest{Reason: "it does not boot"}); err != nil {
		t.Fatal(err)
	}
	want(t, v.MustRun(t, "box", "outdated", "--global"), "'acme/public' for 'virtualbox' is outdated! Current: 1.0.0. Latest: 1.1.0")
	v.MustRun(t, "box", "update", "--box", "acme/public")
	installed(t, v, "acme/public", "1.1.0", "virtualbox", newer)
	want(t, v.MustRun(t, "box", "outdated", "--global"), "'acme/public' for 'virtualbox' (v1.1.0) is up to date")
}

func unreleased(t *testing.T, w *boxWorld) {
	v := w.stranger(t)
	w.artifact(t, "acme/early", true)
	if _, err := w.server.Service.OpenVersion(asAdmin(t), "acme/early", registry.VersionRequest{Version: "1.0.0"}); err != nil {
		t.Fatal(err)
	}
	b := vagranttest.TinyBox(t, virtualbox)
	file, err := w.admin.UploadFile(t.Context(), "acme/early", b.Path, "vagrant.box", nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.server.Service.AddBox(asAdmin(t), "acme/early", "1.0.0", registry.Build{
		Type: registry.VagrantBox, Component: "vagrant.virtualbox", Provider: "virtualbox", Files: []registry.File{file},
	}); err != nil {
		t.Fatal(err)
	}
	want(t, v.MustFail(t, "box", "add", "acme/early", "--provider", "virtualbox"), "make sure the box is released")
	if _, err := w.server.Service.ReleaseVersion(asAdmin(t), "acme/early", "1.0.0"); err != nil {
		t.Fatal(err)
	}
	v.MustRun(t, "box", "add", "acme/early", "--provider", "virtualbox")
	installed(t, v, "acme/early", "1.0.0", "virtualbox", b)
}

func privateBox(t *testing.T, w *boxWorld) {
	v := w.stranger(t)
	b := vagranttest.TinyBox(t, virtualbox)
	w.record(t, "acme/private", "1.0.0", b)
	add := []string{"box", "add", "acme/private", "--provider", "virtualbox"}
	want(t, v.MustFail(t, add...), "could not be found")
	v.With("VAGRANT_CLOUD_TOKEN="+w.reader).MustRun(t, add...)
	installed(t, v, "acme/private", "1.0.0", "virtualbox", b)

	byURL := vagranttest.New(t, w.server.URL, "VAGRANT_CLOUD_TOKEN="+w.reader, "VAGRANT_SERVER_ACCESS_TOKEN_BY_URL=1")
	byURL.MustRun(t, add...)
	installed(t, byURL, "acme/private", "1.0.0", "virtualbox", b)
}

func machine(t *testing.T, w *boxWorld) {
	v := w.stranger(t)
	v.Vagrantfile(t, "acme/machine", "< 1.2")
	w.artifact(t, "acme/machine", true)
	old, newer := vagranttest.TinyBox(t, virtualbox), vagranttest.TinyBox(t, virtualbox)
	w.record(t, "acme/machine", "1.0.0", old)
	v.MustRun(t, "up")
	installed(t, v, "acme/machine", "1.0.0", "virtualbox", old)
	want(t, v.MustRun(t, "box", "outdated", "--force"), "is up to date")

	w.record(t, "acme/machine", "1.1.0", newer)
	w.record(t, "acme/machine", "1.2.0", vagranttest.TinyBox(t, virtualbox))
	want(t, v.MustRun(t, "box", "outdated", "--force"), "The latest is version '1.1.0'")
	v.MustRun(t, "box", "update")
	installed(t, v, "acme/machine", "1.1.0", "virtualbox", newer)
}

func architectures(t *testing.T, w *boxWorld) {
	v := w.stranger(t)
	w.artifact(t, "acme/many", true)
	amd, arm := vagranttest.TinyBox(t, `{"provider":"virtualbox","architecture":"amd64"}`), vagranttest.TinyBox(t, `{"provider":"virtualbox","architecture":"arm64"}`)
	knows := v.KnowsArchitectures(t)
	for i, def := range []vagranttest.Box{amd, arm} {
		version := fmt.Sprintf("1.%d.0", i)
		components := w.record(t, "acme/many", version, amd, arm)
		if _, err := w.server.Service.SetDefaultBox(asAdmin(t), "acme/many", version, components[i], true); err != nil {
			t.Fatal(err)
		}
		v.MustRun(t, "box", "add", "acme/many", "--box-version", version, "--provider", "virtualbox")
		if knows && runtime.GOARCH == "amd64" {
			def = amd
		}
		installed(t, v, "acme/many", version, "virtualbox", def)
	}
}

func resumed(t *testing.T, w *boxWorld) {
	front := newWindow(t, w.server.URL)
	v := vagranttest.New(t, front.URL)
	w.artifact(t, "acme/big", true)
	b := vagranttest.NewBox(t, virtualbox, 1<<20)
	w.record(t, "acme/big", "1.0.0", b)
	content, err := os.ReadFile(b.Path)
	if err != nil {
		t.Fatal(err)
	}
	var catalog struct {
		Versions []struct{ Providers []struct{ URL string } }
	}
	if err := json.Unmarshal([]byte(get(t, front.URL+"/acme/big")), &catalog); err != nil {
		t.Fatal(err)
	}
	address := catalog.Versions[0].Providers[0].URL
	sum := sha1.Sum([]byte(address))
	partial := filepath.Join(v.Home, "tmp", "box"+hex.EncodeToString(sum[:]))
	add := []string{"box", "add", "acme/big", "--provider", "virtualbox", "--force"}
	for _, tt := range []struct {
		name string
		have int
		want func([]seen) bool
	}{
		{"the rest alone is sent", len(content) / 3, func(s []seen) bool {
			return len(s) == 1 && s[0].byteRange == fmt.Sprintf("bytes=%d-", len(content)/3) && s[0].status == http.StatusPartialContent
		}},
		{"of a finished one nothing is refused", len(content), func(s []seen) bool {
			return len(s) > 0 && s[0].byteRange == fmt.Sprintf("bytes=%d-", len(content)) &&
				!slices.ContainsFunc(s, func(s seen) bool { return s.status != http.StatusOK })
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			front.take()
			if err := os.MkdirAll(filepath.Dir(partial), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(partial, content[:tt.have], 0o644); err != nil {
				t.Fatal(err)
			}
			v.MustRun(t, add...)
			installed(t, v, "acme/big", "1.0.0", "virtualbox", b)
			if got := front.take(); !tt.want(got) {
				t.Errorf("the box was asked for like this: %+v", got)
			}
		})
	}
	t.Run("a box is added by its own address", func(t *testing.T) {
		v.MustRun(t, "box", "add", address, "--name", "plain")
		installed(t, v, "plain", "0", "virtualbox", b)
	})
}

func elsewhere(t *testing.T, w *boxWorld) {
	b := vagranttest.TinyBox(t, virtualbox)
	files := newWindow(t, serveFile(t, b.Path))
	w.artifact(t, "acme/away", true)
	publish := func(version, checksum string) {
		t.Helper()
		w.publishing(t).MustRun(t, "cloud", "publish", "acme/away", version, "virtualbox", "--url", files.URL+"/tiny.box",
			"--checksum-type", "sha256", "--checksum", checksum, "--force", "--release")
	}
	publish("1.0.0", b.SHA256)
	if v := w.version(t, "acme/away", "1.0.0"); v.Status != registry.StatusComplete || len(v.Builds) != 1 ||
		len(v.Builds[0].Files) != 0 || len(v.Builds[0].Images) != 1 || v.Builds[0].Images[0].ID != files.URL+"/tiny.box" {
		t.Errorf("got %+v", v)
	}
	reader := w.stranger(t)
	reader.MustRun(t, "box", "add", "acme/away")
	installed(t, reader, "acme/away", "1.0.0", "virtualbox", b)
	if got := files.take(); len(got) != 1 {
		t.Errorf("the box was fetched from where it is like this: %+v", got)
	}
	other := sha1.Sum([]byte("other"))
	publish("1.1.0", hex.EncodeToString(append(other[:], other[:12]...)))
	want(t, reader.MustFail(t, "box", "update", "--box", "acme/away"), "checksum")
}
