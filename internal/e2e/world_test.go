package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/ec2sim"
	"github.com/cargomedia/packer-plugin-almanac/internal/faultproxy"
	"github.com/cargomedia/packer-plugin-almanac/internal/packertest"
	"github.com/cargomedia/packer-plugin-almanac/internal/publishfile"
	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

// regions are those of the AMI, sorted.
var regions = []string{"ap-southeast-2", "eu-west-1", "us-east-1"}

// templates are in the directory images of where Packer runs. All have the variables artifact and more: what
// else is in the block.
const (
	header = `
packer {
  required_plugins {
    amazon  = { source = "github.com/hashicorp/amazon", version = ">= 1.3.0" }
    almanac = { source = "github.com/cargomedia/almanac", version = ">= 0.1.0" }
  }
}
`
	amiTemplate = header + `
source "amazon-ebs" "app" {
  region        = "us-east-1"
  ami_regions   = ["eu-west-1", "ap-southeast-2"]
  instance_type = "t3.micro"
  ami_name      = "app"
  deprecate_at  = timeadd(timestamp(), "720h")
  communicator  = "none"
  source_ami_filter {
    filters     = { name = "debian-12-amd64-*", root-device-type = "ebs", virtualization-type = "hvm" }
    owners      = ["136693071363"]
    most_recent = true
  }
}
build {
  sources = ["source.amazon-ebs.app"]
  post-processor "almanac" {
    artifact = "%s"
    %s
  }
}
`
	archiveTemplate = header + `
source "file" "app" {
  source = "made/app.img"
  target = "app.img"
}
build {
  sources = ["source.file.app"]
  post-processor "almanac" {
    artifact = "%s"
    %s
  }
}
`
	boxTemplate = header + `
source "null" "app" {
  communicator = "none"
}
build {
  sources = ["source.null.app"]
  post-processors {
    post-processor "artifice" {
      files = ["made/app.box"]
    }
    post-processor "almanac" {
      artifact = "%s"
      %s
    }
  }
}
`
)

const sbom = `{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"components":[{"type":"library","name":"openssl","version":"%s"}]}`

// world is Packer, a stand-in for EC2 and a registry behind a proxy that can fail.
type world struct {
	packer *packertest.Packer
	ec2    *ec2sim.Server
	server *servertest.Server
	proxy  *faultproxy.Proxy
	cli    *packertest.CLI
	token  string
	admin  *client.Client // past the proxy
}

// newWorld uses a server that may have other tests' artifacts.
func newWorld(t *testing.T, server *servertest.Server, token string) *world {
	t.Helper()
	w := &world{ec2: ec2sim.New(), server: server, token: token, proxy: faultproxy.New(t, server.URL), admin: server.Client(t, server.AdminToken)}
	endpoint := httptest.NewServer(w.ec2)
	t.Cleanup(endpoint.Close)
	aws := []string{
		"AWS_ENDPOINT_URL=" + endpoint.URL, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE=" + os.DevNull, "AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
	}
	w.packer = packertest.New(t).WithAmazon(t)
	w.packer.Env = append(aws, "ALMANAC_ADDR="+w.proxy.URL, "ALMANAC_TOKEN="+token)
	w.cli = packertest.NewCLI(t, append(aws, "ALMANAC_ADDR="+w.proxy.URL, "ALMANAC_TOKEN="+token)...)
	return w
}

// write puts a template in the directory images of where Packer runs.
func (w *world) write(t *testing.T, template, artifact string, more ...string) {
	t.Helper()
	w.packer.Write(t, "images/app.pkr.hcl", fmt.Sprintf(template, artifact, strings.Join(more, "\n    ")))
}

// amis are the ids of the account's images by region; more than one in a region fails the test.
func (w *world) amis(t *testing.T) map[string]string {
	t.Helper()
	ids := map[string]string{}
	for _, region := range regions {
		images := w.ec2.Images(region)
		if len(images) > 1 {
			t.Fatalf("%s has %d images", region, len(images))
		}
		if len(images) == 1 {
			ids[region] = images[0].ID
		}
	}
	return ids
}

// pending are the publish files beside the template. There must be none where Packer runs.
func (w *world) pending(t *testing.T) []string {
	t.Helper()
	elsewhere, err := publishfile.Pending(w.packer.Dir)
	if err != nil || len(elsewhere) > 0 {
		t.Errorf("publish files that are not beside the template: %v, %v", elsewhere, err)
	}
	beside, err := publishfile.Pending(filepath.Join(w.packer.Dir, "images"))
	if err != nil {
		t.Fatal(err)
	}
	return beside
}

// versions are those of an artifact, with all builds; none where there is no artifact.
func (w *world) versions(t *testing.T, artifact string) []registry.Version {
	t.Helper()
	page, err := w.admin.Versions(t.Context(), artifact, registry.VersionFilter{})
	if registry.KindOf(err) == registry.NotFound {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	versions := page.Versions
	for i := range versions {
		if versions[i], err = w.admin.Version(t.Context(), artifact, fmt.Sprint(versions[i].Number)); err != nil {
			t.Fatal(err)
		}
	}
	return versions
}

// recordedOnce returns the one build of an artifact's one version, which took one publication.
func (w *world) recordedOnce(t *testing.T, artifact string) registry.Build {
	t.Helper()
	versions := w.versions(t, artifact)
	if len(versions) != 1 || len(versions[0].Builds) != 1 || versions[0].Status != registry.StatusComplete {
		t.Fatalf("got the versions %+v, want one that is complete, with one build", versions)
	}
	publications := slices.DeleteFunc(w.actions(t, artifact), func(a string) bool { return a != registry.ActionBuildPublish })
	if len(publications) != 1 {
		t.Errorf("the audit log has %d publications, want one", len(publications))
	}
	return versions[0].Builds[0]
}

// actions are what the audit log has on an artifact.
func (w *world) actions(t *testing.T, artifact string) []string {
	t.Helper()
	var actions []string
	for after := int64(0); ; {
		page, err := w.admin.Events(t.Context(), after, 500)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Events {
			if string(e.Artifact) == artifact {
				actions = append(actions, e.Action)
			}
		}
		if len(page.Events) == 0 {
			return actions
		}
		after = page.Last
	}
}

// finish does what Packer's output says of a build that is not recorded, as somebody does who trusts nothing:
// twice, and then for the whole directory.
func (w *world) finish(t *testing.T, output string) {
	t.Helper()
	paths := w.pending(t)
	if len(paths) != 1 {
		t.Fatalf("got the publish files %v, want one beside the template:\n%s", paths, output)
	}
	want(t, output, "THIS BUILD IS NOT RECORDED in the registry", paths[0])
	text, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	w.noToken(t, "the publish file", string(text))
	w.proxy.Heal()
	command := shownCommand.FindString(output)
	if command == "" {
		t.Fatalf("no command is shown:\n%s", output)
	}
	for range 2 {
		if r := w.cli.Shell(t, command); r.Code != 0 {
			t.Fatalf("%s: exit code %d\n%s", command, r.Code, r.Output)
		}
	}
	if r := w.cli.Run(t, "publish", "--pending", filepath.Dir(paths[0])); r.Code != 0 {
		t.Errorf("almanac publish --pending: exit code %d\n%s", r.Code, r.Output)
	}
	if left := w.pending(t); len(left) > 0 {
		t.Errorf("still pending: %v", left)
	}
}

// noToken fails when a text has the token.
func (w *world) noToken(t *testing.T, what, text string) {
	t.Helper()
	if strings.Contains(text, w.token) {
		t.Errorf("the token is in %s:\n%s", what, text)
	}
}

// shownCommand is the command that Packer's output says to finish with.
var shownCommand = regexp.MustCompile(`(?m)(almanac publish --from .*)$`)

// want fails for parts that a text lacks. Packer breaks the lines of long errors.
func want(t *testing.T, text string, parts ...string) {
	t.Helper()
	unbroken := strings.Join(strings.Fields(text), " ")
	for _, part := range parts {
		if !strings.Contains(text, part) && !strings.Contains(unbroken, part) {
			t.Errorf("%q is missing in:\n%s", part, text)
		}
	}
}

// makeBox returns a Vagrant box with a disk of the given content.
func makeBox(t *testing.T, disk []byte) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, f := range []struct {
		name    string
		content []byte
	}{{"metadata.json", []byte(`{"provider":"virtualbox","architecture":"amd64"}`)}, {"box-disk.vmdk", disk}} {
		if err := w.WriteHeader(&tar.Header{Name: f.name, Mode: 0o644, Size: int64(len(f.content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(f.content); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []io.Closer{w, z} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}
