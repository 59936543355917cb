package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/packertest"
	"github.com/cargomedia/packer-plugin-almanac/internal/vagranttest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// cloudTemplate makes a box of two files with Packer 1.6 alone and publishes it with its post-processor vagrant-cloud.
// It needs the address with the API's path, the artifact, the version, the token and more of the last step.
const cloudTemplate = `{
  "builders": [{"type": "null", "communicator": "none"}],
  "post-processors": [[
    {"type": "shell-local", "inline": ["mkdir -p made && cp source/box.ovf source/disk.vmdk made/"]},
    {"type": "artifice", "files": ["made/box.ovf", "made/disk.vmdk"], "keep_input_artifact": true},
    {"type": "vagrant", "provider_override": "virtualbox", "output": "tiny_{{.Provider}}.box", "keep_input_artifact": true},
    {"type": "vagrant-cloud", "vagrant_cloud_url": %q, "box_tag": %q, "version": %q, "access_token": %q%s}
  ]]
}`

// fileTemplate publishes a box file that is there.
const fileTemplate = `{
  "builders": [{"type": "null", "communicator": "none"}],
  "post-processors": [[
    {"type": "artifice", "files": ["there.box"], "keep_input_artifact": true},
    {"type": "vagrant-cloud", "vagrant_cloud_url": %q, "box_tag": %q, "version": %q, "access_token": %q%s}
  ]]
}`

// machineImage are the files of which Packer makes a box. The post-processor vagrant looks for a network adapter.
func machineImage(t *testing.T, p *vagranttest.Client, disk string) {
	t.Helper()
	p.Write(t, "source/box.ovf", `<?xml version="1.0"?><Envelope><Adapter slot="0" enabled="true" MACAddress="080027AABBCC" type="82540EM"/></Envelope>`)
	p.Write(t, "source/disk.vmdk", disk)
}

func TestOldPackerPublishesBoxes(t *testing.T) {
	t.Parallel()
	w := newBoxWorld(t)
	for _, api := range []string{"/api/v1", "/api/v2"} {
		t.Run("that it built, by "+api, func(t *testing.T) {
			t.Parallel()
			p := vagranttest.NewPacker(t)
			name := "acme/built-" + strings.TrimPrefix(api, "/api/")
			machineImage(t, p, "the disk of "+name)
			p.Write(t, "box.json", fmt.Sprintf(cloudTemplate, w.server.URL+api, name, "1.1.0", w.publisher, ""))
			want(t, p.MustFail(t, "build", "box.json"), name)

			w.artifact(t, name, true)
			p.MustRun(t, "build", "-force", "box.json")
			if v := w.version(t, name, "1.1.0"); v.Status != registry.StatusComplete || len(v.Builds) != 1 || v.Builds[0].Provider != "virtualbox" {
				t.Errorf("got %+v", v)
			}
			v := w.stranger(t)
			v.MustRun(t, "box", "add", name)
			if got := v.Installed(t, name, "1.1.0", "virtualbox", "disk.vmdk"); got != "the disk of "+name {
				t.Errorf("the disk is %q", got)
			}
		})
	}
	publish := func(t *testing.T, token, name, content, more string) *vagranttest.Client {
		t.Helper()
		p := vagranttest.NewPacker(t)
		p.Write(t, "there.box", content)
		p.Write(t, "box.json", fmt.Sprintf(fileTemplate, w.server.URL+"/api/v1", name, "1.0.0", token, more))
		return p
	}
	t.Run("and with a broken one harms no other", func(t *testing.T) {
		t.Parallel()
		w.artifact(t, "acme/two", false)
		good, bad := vagranttest.TinyBox(t, virtualbox), vagranttest.NewBox(t, libvirt, 1<<16)
		publish(t, w.publisher, "acme/two", readAll(t, good.Path), `, "no_release": true`).MustRun(t, "build", "box.json")
		whole := readAll(t, bad.Path)
		publish(t, w.publisher, "acme/two", whole[:len(whole)-50], `, "no_direct_upload": true`).MustFail(t, "build", "box.json")
		v := w.version(t, "acme/two", "1.0.0")
		if v.Status != registry.StatusOpen || len(v.Pending) != 0 {
			t.Errorf("got %+v", v)
		}
		w.contains(t, v, good)
		publish(t, w.publisher, "acme/two", whole, `, "no_direct_upload": true`).MustRun(t, "build", "box.json")
		w.has(t, "acme/two", "1.0.0", good, bad)
	})
	t.Run("and what is released stays, whoever publishes something else", func(t *testing.T) {
		t.Parallel()
		w.artifact(t, "acme/fixed", false)
		released, other := vagranttest.TinyBox(t, virtualbox), vagranttest.TinyBox(t, virtualbox)
		for range 2 {
			publish(t, w.publisher, "acme/fixed", readAll(t, released.Path), "").MustRun(t, "build", "box.json")
		}
		publish(t, w.server.AdminToken, "acme/fixed", readAll(t, other.Path), "").MustFail(t, "build", "box.json")
		w.has(t, "acme/fixed", "1.0.0", released)
	})
}

func TestPackerRecordsBoxesForVagrant(t *testing.T) {
	t.Parallel()
	w := newBoxWorld(t)

	t.Run("with the post-processor almanac no box needs to be there before", func(t *testing.T) {
		t.Parallel()
		p := packertest.New(t)
		p.Env = append(p.Env, "ALMANAC_ADDR="+w.server.URL, "ALMANAC_TOKEN="+w.publisher)
		b := vagranttest.TinyBox(t, `{"provider":"virtualbox","architecture":"amd64"}`)
		p.Write(t, "made/app.box", readAll(t, b.Path))
		p.Write(t, "box.pkr.hcl", almanacBox("acme/fresh", `version = "1.0.0"`))
		packerBuild(t, p, "box.pkr.hcl")
		w.has(t, "acme/fresh", "1.0.0", b)
		v := vagranttest.New(t, w.server.URL, "VAGRANT_CLOUD_TOKEN="+w.reader)
		v.MustRun(t, "box", "add", "acme/fresh")
		installed(t, v, "acme/fresh", "1.0.0", "virtualbox", b)
	})

	t.Run("with Vagrant as its last step", func(t *testing.T) {
		t.Parallel()
		v := w.publishing(t)
		p := packertest.New(t)
		p.Env = v.Environment()
		b := vagranttest.TinyBox(t, virtualbox)
		p.Write(t, "there.box", readAll(t, b.Path))
		p.Write(t, "box.pkr.hcl", `
source "null" "box" {
  communicator = "none"
}
build {
  sources = ["source.null.box"]
  post-processors {
    post-processor "artifice" {
      files = ["there.box"]
    }
    post-processor "checksum" {
      checksum_types      = ["sha256"]
      output              = "there.{{.ChecksumType}}"
      keep_input_artifact = true
    }
    post-processor "shell-local" {
      inline = ["vagrant cloud publish acme/last-step 2.0.0 virtualbox there.box --force --release --checksum-type sha256 --checksum $(cut -f 1 there.sha256)"]
    }
  }
}
`)
		packerBuild(t, p, "box.pkr.hcl")
		w.has(t, "acme/last-step", "2.0.0", b)
	})
}

// almanacBox is a template for Packer that records made/app.box, with nothing but this project's plugin.
func almanacBox(artifact string, more ...string) string {
	return strings.Replace(fmt.Sprintf(boxTemplate, artifact, strings.Join(more, "\n      ")),
		`    amazon  = { source = "github.com/hashicorp/amazon", version = ">= 1.3.0" }`+"\n", "", 1)
}

func packerBuild(t *testing.T, p *packertest.Packer, template string) {
	t.Helper()
	if r := p.Run(t, "build", template); r.Code != 0 {
		t.Fatalf("packer build ended with %d:\n%s", r.Code, r.Output)
	}
}
