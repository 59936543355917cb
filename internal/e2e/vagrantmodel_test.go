package e2e

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/packertest"
	"github.com/cargomedia/packer-plugin-almanac/internal/vagranttest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// doors are the ways in which one artifact gets its versions here. Each returns the box that it published.
var doors = []struct {
	version string
	publish func(*testing.T, *boxWorld, string, string) vagranttest.Box
}{
	{"1.0.0", byPostProcessor}, {"1.1.0", byVagrant}, {"1.2.0", byOldPacker}, {"1.3.0", byPush},
}

func byPostProcessor(t *testing.T, w *boxWorld, artifact, version string) vagranttest.Box {
	p := packertest.New(t)
	p.Env = append(p.Env, "ALMANAC_ADDR="+w.server.URL, "ALMANAC_TOKEN="+w.publisher)
	b := vagranttest.TinyBox(t, virtualbox)
	p.Write(t, "made/app.box", readAll(t, b.Path))
	p.Write(t, "box.pkr.hcl", almanacBox(artifact, fmt.Sprintf("version = %q", version)))
	packerBuild(t, p, "box.pkr.hcl")
	return b
}

func byVagrant(t *testing.T, w *boxWorld, artifact, version string) vagranttest.Box {
	b := vagranttest.TinyBox(t, virtualbox)
	w.publishing(t).MustRun(t, "cloud", "publish", artifact, version, "virtualbox", b.Path, "--force", "--release")
	return b
}

func byOldPacker(t *testing.T, w *boxWorld, artifact, version string) vagranttest.Box {
	p := vagranttest.NewPacker(t)
	b := vagranttest.TinyBox(t, virtualbox)
	p.Write(t, "there.box", readAll(t, b.Path))
	p.Write(t, "box.json", fmt.Sprintf(fileTemplate, w.server.URL+"/api/v1", artifact, version, w.publisher, ""))
	p.MustRun(t, "build", "box.json")
	return b
}

func byPush(t *testing.T, w *boxWorld, artifact, version string) vagranttest.Box {
	b := vagranttest.TinyBox(t, virtualbox)
	push(t, w, b, artifact, version)
	return b
}

func push(t *testing.T, w *boxWorld, b vagranttest.Box, artifact, version string) {
	t.Helper()
	cli := packertest.NewCLI(t, "ALMANAC_ADDR="+w.server.URL, "ALMANAC_TOKEN="+w.publisher)
	if r := cli.Run(t, "push", b.Path, artifact, version); r.Code != 0 {
		t.Fatalf("almanac push: exit code %d\n%s", r.Code, r.Output)
	}
}

func TestABoxIsTheSameThroughEveryDoor(t *testing.T) {
	t.Parallel()
	const artifact = "acme/one"
	w := newBoxWorld(t)
	boxes := map[string]vagranttest.Box{}
	var versions []string
	for _, door := range doors {
		boxes[door.version] = door.publish(t, w, artifact, door.version)
		versions = append(versions, door.version)
	}
	w.artifact(t, artifact, true)

	t.Run("in the native API", func(t *testing.T) {
		for version, b := range boxes {
			w.has(t, artifact, version, b)
		}
		latest, err := w.admin.Resolve(t.Context(), artifact, "latest", registry.Question{Type: "vagrant.box"})
		if err != nil || latest.Version != "1.3.0" || latest.Provider != "virtualbox" {
			t.Errorf("got %+v, %v", latest, err)
		}
	})
	t.Run("on the command line", func(t *testing.T) {
		cli := packertest.NewCLI(t, "ALMANAC_ADDR="+w.server.URL, "ALMANAC_TOKEN="+w.reader)
		r := cli.Run(t, "versions", artifact)
		want(t, r.Output, versions...)
		for version, b := range boxes {
			if r := cli.Run(t, "pull", artifact, version, "--type", "vagrant.box", "--out", version+".box"); r.Code != 0 {
				t.Fatalf("almanac pull: exit code %d\n%s", r.Code, r.Output)
			}
			if got := digestOf(t, filepath.Join(cli.Dir, version+".box")); got != b.SHA256 {
				t.Errorf("%s was pulled as %s, want %s", version, got, b.SHA256)
			}
		}
	})
	t.Run("in Vagrant", func(t *testing.T) {
		v := w.stranger(t)
		slices.Reverse(versions)
		want(t, v.MustRun(t, "cloud", "box", "show", artifact), "Current Version: 1.3.0", "Versions: "+versions[0]+", "+versions[1]+", "+versions[2]+", "+versions[3])
		for version, b := range boxes {
			v.MustRun(t, "box", "add", artifact, "--box-version", version, "--provider", "virtualbox")
			installed(t, v, artifact, version, "virtualbox", b)
		}
	})
	t.Run("and a version gets another provider through another door", func(t *testing.T) {
		pushed, published := vagranttest.TinyBox(t, libvirt), vagranttest.TinyBox(t, libvirt)
		push(t, w, pushed, artifact, "1.1.0")
		w.has(t, artifact, "1.1.0", boxes["1.1.0"], pushed)
		w.publishing(t).MustRun(t, "cloud", "publish", artifact, "1.3.0", "libvirt", published.Path, "--force", "--release")
		w.has(t, artifact, "1.3.0", boxes["1.3.0"], published)
	})
}
