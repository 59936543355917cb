package almanac_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/internal/packertest"
	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func TestMain(m *testing.M) { os.Exit(packertest.Main(m)) }

// connected returns Packer with the address and a token of a registry in its environment.
func connected(t *testing.T, role string) (*packertest.Packer, *servertest.Server) {
	t.Helper()
	p := packertest.New(t)
	s := servertest.New(t)
	p.Env = append(p.Env, "ALMANAC_ADDR="+s.URL, "ALMANAC_TOKEN="+s.Token(t, "packer", role, "cargomedia/*"))
	return p, s
}

func build(t *testing.T, p *packertest.Packer, args ...string) packertest.Result {
	t.Helper()
	r := p.Run(t, append([]string{"build"}, args...)...)
	if r.Code != 0 {
		t.Fatalf("packer build: exit code %d\n%s", r.Code, r.Output)
	}
	return r
}

func version(t *testing.T, s *servertest.Server, artifact, ref string) registry.Version {
	t.Helper()
	v, err := s.Client(t, s.AdminToken).Version(t.Context(), artifact, ref)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func wantText(t *testing.T, output string, parts ...string) {
	t.Helper()
	// Packer breaks the lines of long errors.
	unbroken := strings.Join(strings.Fields(output), " ")
	for _, part := range parts {
		if !strings.Contains(output, part) && !strings.Contains(unbroken, part) {
			t.Errorf("the output lacks %q:\n%s", part, output)
		}
	}
}

func TestPackerRecordsAFile(t *testing.T) {
	p, s := connected(t, "publish")
	p.Write(t, "file.pkr.hcl", `
		source "file" "app" {
		  content = "hello"
		  target  = "app.txt"
		}
		build {
		  sources = ["source.file.app"]
		  post-processor "almanac" {
		    artifact = "cargomedia/site"
		    version  = "1.4.0"
		    metadata = { git = "4f2a1c9", source = "${source.name}" }
		    keep_input_artifact = false
		  }
		}`)
	r := build(t, p, "file.pkr.hcl")
	wantText(t, r.Output, "Recorded file.app as cargomedia/site 1.4.0 (number 1), type archive")
	if _, err := os.Stat(filepath.Join(p.Dir, "app.txt")); err != nil {
		t.Errorf("the file is gone in spite of forceOverride: %v", err)
	}
	v := version(t, s, "cargomedia/site", "1")
	if v.Status != registry.StatusComplete || len(v.Builds) != 1 {
		t.Fatalf("got %+v, want one complete build", v)
	}
	got := v.Builds[0]
	want := []registry.File{{Name: "app.txt", Size: 5, SHA256: "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"}}
	if diff := cmp.Diff(want, got.Files); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(registry.Metadata{"git": "4f2a1c9", "source": "app"}, got.Metadata); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
	if got.Provenance["template_path"] != "file.pkr.hcl" || len(got.Provenance["template_sha256"]) != 64 || got.Provenance["host_os"] != runtime.GOOS {
		t.Errorf("provenance: got %v, want the template and the host", got.Provenance)
	}
	if got.Provenance["packer_version"] != "1.15.0" || got.Provenance["builder_id"] != "packer.file" || got.Provenance["packer_run_uuid"] != v.Fingerprint {
		t.Errorf("provenance: got %v", got.Provenance)
	}

	r = p.Run(t, "validate", "file.pkr.hcl")
	if r.Code == 0 {
		t.Error("a version that is taken was validated")
	}
	wantText(t, r.Output, "version: 1.4.0 of cargomedia/site is taken by number 1")
}

func TestPackerRecordsTwoSourcesInOneVersion(t *testing.T) {
	p, s := connected(t, "promote")
	makeBox(t, filepath.Join(p.Dir, "app.box"), "virtualbox", "amd64")
	p.Write(t, "two.pkr.hcl", `
		source "null" "box" {
		  communicator = "none"
		}
		source "file" "notes" {
		  content = "notes"
		  target  = "notes.txt"
		}
		build {
		  sources = ["source.null.box"]
		  post-processors {
		    post-processor "artifice" {
		      files = ["app.box"]
		    }
		    post-processor "checksum" {
		      checksum_types = ["sha256"]
		      output         = "app.{{.ChecksumType}}"
		    }
		    post-processor "almanac" {
		      artifact = "cargomedia/app"
		      channels = ["staging"]
		      expect   = ["null.box", "file.notes"]
		      terraform {
		        path      = "app.tf"
		        component = "null.box"
		      }
		    }
		  }
		}
		build {
		  name    = "notes"
		  sources = ["source.file.notes"]
		  post-processor "almanac" {
		    artifact = "cargomedia/app"
		    channels = ["staging"]
		    expect   = ["null.box", "file.notes"]
		    terraform {
		      path      = "app.tf"
		      component = "null.box"
		    }
		  }
		}`)
	r := build(t, p, "two.pkr.hcl")
	wantText(t, r.Output, "not offered yet: the version still expects", "channel staging points to it", "wrote app.tf")
	v := version(t, s, "cargomedia/app", "staging")
	if v.Number != 1 || v.Status != registry.StatusComplete || len(v.Builds) != 2 {
		t.Fatalf("got %+v, want one complete version with two builds", v)
	}
	box := v.Builds[1]
	if box.Component != "null.box" || box.Type != registry.VagrantBox || box.Provider != "virtualbox" || box.Architecture != "amd64" || len(box.Files) != 1 || box.Files[0].Name != "app.box" {
		t.Errorf("the box: got %+v", box)
	}
	if notes := v.Builds[0]; notes.Component != "file.notes" || notes.Type != registry.Archive {
		t.Errorf("the notes: got %+v", notes)
	}
	tf, err := os.ReadFile(filepath.Join(p.Dir, "app.tf"))
	if err != nil {
		t.Fatal(err)
	}
	wantText(t, string(tf), "cargomedia/app", "0.1.0", "staging", "app.box")
}

func TestPackerReportsAllMistakesAtOnce(t *testing.T) {
	p, s := connected(t, "read")
	p.Write(t, "bad.pkr.hcl", `
		source "null" "x" {
		  communicator = "none"
		}
		build {
		  sources = ["source.null.x"]
		  post-processor "almanac" {
		    artifact     = "cargomedia"
		    version      = "v1"
		    channels     = ["latest", "a b"]
		    expect       = ["null.x", "null.x", ""]
		    type         = "aws.box"
		    fingerprint  = "#1"
		    component    = "my box"
		    metadata     = { "region.eu-west-1" = "ami-1" }
		    terraform {
		      path         = "none/app.tf"
		      style        = "yaml"
		      aws_provider = 4
		    }
		  }
		}`)
	r := p.Run(t, "validate", "bad.pkr.hcl")
	if r.Code == 0 {
		t.Error("the template was validated")
	}
	wantText(t, r.Output, `artifact: artifact name "cargomedia" must be namespace/name`, "version: version \"v1\"", "channels[0]:", "channels[1]:",
		"expect[1]: \"null.x\" is there twice", "expect[2]:", "type: type \"aws.box\" is unknown", "fingerprint:", "component:",
		`metadata["region.eu-west-1"]`, "terraform.path: the directory none does not exist", "terraform.style:", "terraform.aws_provider:")

	p.Write(t, "forbidden.pkr.hcl", `
		source "null" "x" {
		  communicator = "none"
		}
		build {
		  sources = ["source.null.x"]
		  post-processor "almanac" {
		    artifact = "cargomedia/app"
		  }
		}`)
	r = p.Run(t, "validate", "forbidden.pkr.hcl")
	wantText(t, r.Output, `token: "packer" has the role read, and recording a build needs the role publish`)

	p.Env = []string{"ALMANAC_ADDR=http://127.0.0.1:1"}
	started := time.Now()
	r = p.Run(t, "validate", "forbidden.pkr.hcl")
	wantText(t, r.Output, "address:", "127.0.0.1:1 does not answer", "token: is missing")
	if took := time.Since(started); took > 20*time.Second {
		t.Errorf("an address that nobody listens at took %s", took)
	}

	p.Env = []string{"ALMANAC_ADDR=" + s.URL, "ALMANAC_TOKEN=alm_wrong"}
	r = p.Run(t, "validate", "forbidden.pkr.hcl")
	wantText(t, r.Output, "token: the registry at "+s.URL+" does not accept it")
	if strings.Contains(r.Output, "alm_wrong") {
		t.Errorf("the token is in the output:\n%s", r.Output)
	}
}

func TestPackerFillsInAJSONTemplate(t *testing.T) {
	p, s := connected(t, "publish")
	p.Write(t, "app.json", `{
		"variables": {"app": "site", "secret": "hunter2222"},
		"sensitive-variables": ["secret"],
		"builders": [
			{"type": "null", "communicator": "none"},
			{"type": "null", "name": "other", "communicator": "none"}
		],
		"post-processors": [[
			{"type": "shell-local", "inline": ["echo built > {{build_name}}.txt"]},
			{"type": "artifice", "files": ["{{build_name}}.txt"]},
			{"type": "almanac", "artifact": "cargomedia/{{user `+"`app`"+`}}", "artifact_type": "application.archive",
			 "metadata": {"name": "{{.BuildName}}"}, "channels": [], "files": "true", "attach": ["{{build_name}}.txt"], "on_registry_error": "keep", "aws_verify": "false"}
		]]
	}`)
	build(t, p, "app.json")
	v := version(t, s, "cargomedia/site", "1")
	var got []string
	for _, b := range v.Builds {
		got = append(got, fmt.Sprint(b.Component, " ", b.Type, " ", b.Files[0].Name, " ", b.Metadata["name"], " ", len(b.Attachments), " ", b.Provenance["template_path"]))
	}
	want := []string{"null archive null.txt null 1 app.json", "null.other archive other.txt other 1 app.json"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("builds (-want +got):\n%s", diff)
	}

	p.Write(t, "leak.json", `{
		"variables": {"secret": "hunter2222"},
		"sensitive-variables": ["secret"],
		"builders": [{"type": "null", "communicator": "none"}],
		"post-processors": [{"type": "almanac", "artifact": "cargomedia/site", "metadata": {"login": "me:{{user `+"`secret`"+`}}"}, "colour": "red"}]
	}`)
	r := p.Run(t, "validate", "leak.json")
	wantText(t, r.Output, `metadata["login"]: holds the value of the sensitive variable "secret"`, `unknown configuration key: '"colour"'`)
}

func TestPackerFillsInBuildValues(t *testing.T) {
	p, s := connected(t, "publish")
	p.Write(t, "late.pkr.hcl", `
		source "null" "x" {
		  communicator = "none"
		}
		build {
		  sources = ["source.null.x"]
		  post-processor "almanac" {
		    artifact     = "cargomedia/late"
		    type         = "custom.image"
		    metadata     = { id = build.ID, host = build.Host }
		  }
		}`)
	r := build(t, p, "late.pkr.hcl")
	// The null builder makes nothing, whatever it is called.
	wantText(t, r.Output, "Nothing to record")
	if _, err := s.Client(t, s.AdminToken).Artifact(t.Context(), "cargomedia/late"); registry.KindOf(err) != registry.NotFound {
		t.Errorf("got %v, want not_found", err)
	}
}

func TestPackerUsesASourceTwice(t *testing.T) {
	p, s := connected(t, "publish")
	p.Write(t, "big.bin", strings.Repeat("0123456789abcdef", 300_000))
	p.Write(t, "site/index.html", "<html>")
	p.Write(t, "twice.pkr.hcl", `
		source "null" "x" {
		  communicator = "none"
		}
		build {
		  source "source.null.x" {
		    name = "one"
		  }
		  source "source.null.x" {
		    name = "two"
		  }
		  post-processors {
		    post-processor "artifice" {
		      files = ["big.bin", "site"]
		    }
		    post-processor "almanac" {
		      artifact    = "cargomedia/site"
		      component   = "${source.type}.${source.name}"
		      fingerprint = "pipeline-7"
		    }
		  }
		}`)
	r := build(t, p, "twice.pkr.hcl")
	wantText(t, r.Output, "Uploading big.bin", "Packing site as site.tar.gz")
	v := version(t, s, "cargomedia/site", "fingerprint:pipeline-7")
	var got []string
	for _, b := range v.Builds {
		got = append(got, fmt.Sprint(b.Component, " ", b.Files[0].Name, " ", b.Files[0].Size, " ", b.Files[1].Name))
	}
	want := []string{"null.one big.bin 4800000 site.tar.gz", "null.two big.bin 4800000 site.tar.gz"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("builds (-want +got):\n%s", diff)
	}
	if len(v.Builds) == 2 && v.Builds[0].Files[1].SHA256 != v.Builds[1].Files[1].SHA256 {
		t.Error("the same directory was packed twice with different digests")
	}
}

func TestPackerLogsNoToken(t *testing.T) {
	p, s := connected(t, "publish")
	token := s.Token(t, "in the template", "publish")
	p.Env = []string{"PACKER_LOG=1"}
	template := fmt.Sprintf(`
		source "file" "app" {
		  content = "hello"
		  target  = "app.txt"
		}
		build {
		  sources = ["source.file.app"]
		  post-processor "almanac" {
		    artifact = "cargomedia/site"
		    address  = %q
		    token    = %q
		    metadata = { ok = "yes" }
		  }
		}`, s.URL, token)
	p.Write(t, "file.pkr.hcl", template)
	r := build(t, p, "file.pkr.hcl")
	wantText(t, r.Output, "Recorded file.app", "[DEBUG] registry: POST")
	p.Write(t, "file.pkr.hcl", strings.Replace(template, `"yes"`, `"yes `+token+`"`, 1))
	refused := p.Run(t, "validate", "file.pkr.hcl")
	wantText(t, refused.Output, `metadata["ok"]: holds the value of the sensitive variable "token"`)
	if strings.Contains(r.Output+refused.Output, token) {
		t.Error("the token is in the log")
	}
}
