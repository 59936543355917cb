package tfe2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/tftest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// withProvider makes a workspace in which the provider reads a server. local is its local name.
func (w *world) withProvider(t *testing.T, c tftest.Client, aws int, local string) *tftest.Workspace {
	t.Helper()
	m := c.Workspace(t, aws)
	m.RequireAlmanac(local)
	m.Setenv("AWS_REGION", "eu-west-1")
	m.Setenv("ALMANAC_ADDR", w.URL)
	m.Setenv("ALMANAC_TOKEN", w.reader)
	return m
}

// text2015 is what users of Atlas had in their configurations, as it was.
const text2015 = `resource "atlas_artifact" "app" {
  name = "cargomedia/my-ami-artifact"
  type = "aws.ami"
}
resource "aws_instance" "app" {
  ami = "${atlas_artifact.app.metadata_full.region-eu-west-1}"
}
`

func TestTextOf2015(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish(t, "cargomedia/my-ami-artifact", "1.0.0")
	tftest.Each(t, func(t *testing.T, c tftest.Client) {
		t.Parallel()
		t.Run("runs as it is", func(t *testing.T) {
			t.Parallel()
			m := w.withProvider(t, c, 6, "atlas")
			m.Write("main.tf", text2015)
			m.MustRun("init")
			m.MustRun("validate")
			p := planOf(t, m)
			p.want(t, "atlas_artifact.app", "create")
			p.want(t, "aws_instance.app", "create")
			says(t, p.Text, `+ ami = "ami-0e100"`, `+ "region-us-east-1" = "ami-0f100"`, "Warning: Deprecated", "Use data \"almanac_artifact\"")
			m.MustRun("apply", "plan.bin")
			says(t, m.MustRun("plan"), "No changes.")
			for id, machine := range m.Instances()["eu-west-1"] {
				if machine.AMI != "ami-0e100" {
					t.Errorf("%s runs %s", id, machine.AMI)
				}
			}
			m.MustRun("destroy", "-auto-approve")
		})
		t.Run("is read with the variables of Atlas", func(t *testing.T) {
			t.Parallel()
			m := w.withProvider(t, c, 6, "atlas")
			m.Setenv("ALMANAC_ADDR", "")
			m.Setenv("ALMANAC_TOKEN", "")
			m.Setenv("ATLAS_ADDRESS", w.URL)
			m.Setenv("ATLAS_TOKEN", w.reader)
			m.Write("main.tf", text2015)
			m.MustRun("init")
			says(t, m.MustRun("plan"), `+ ami = "ami-0e100"`)
		})
		t.Run("becomes a data source with one word", func(t *testing.T) {
			t.Parallel()
			m := w.withProvider(t, c, 6, "atlas")
			m.Write("main.tf", `data "atlas_artifact" "app" {
  name = "cargomedia/my-ami-artifact"
  type = "aws.ami"
}
resource "aws_instance" "app" {
  ami = "${data.atlas_artifact.app.metadata_full.region-eu-west-1}"
}
`)
			m.MustRun("init")
			p := planOf(t, m)
			p.want(t, "aws_instance.app", "create")
			says(t, p.Text, `+ ami = "ami-0e100"`)
		})
	})
}

// documented are the HCL blocks below a heading of docs/terraform.md.
func documented(t *testing.T, heading string) []string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "terraform.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(page), "\n"+heading+"\n")
	if !ok {
		t.Fatalf("docs/terraform.md has no heading %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n#")
	var blocks []string
	for _, part := range strings.Split(section, "```hcl\n")[1:] {
		block, _, _ := strings.Cut(part, "```")
		blocks = append(blocks, block)
	}
	return blocks
}

func TestAtlasResourceBecomesADataSource(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish(t, "cargomedia/my-ami-artifact", "1.0.0")
	blocks := documented(t, "### From `atlas_artifact`")
	if len(blocks) != 2 {
		t.Fatalf("docs/terraform.md has %d blocks, not one of 2015 and one to go on with", len(blocks))
	}
	tftest.Each(t, func(t *testing.T, c tftest.Client) {
		t.Parallel()
		m := w.withProvider(t, c, 6, "atlas")
		m.Write("versions.tf", "") // the page's blocks say what they require
		m.Write("main.tf", blocks[0])
		m.MustRun("init")
		m.MustRun("apply", "-auto-approve")
		m.Write("main.tf", blocks[1])
		p := planOf(t, m)
		p.want(t, "aws_instance.app", "no-op")
		says(t, p.Text, "0 to add, 0 to change, 0 to destroy")
		m.MustRun("apply", "plan.bin")
		m.Write("main.tf", strings.NewReplacer("atlas = {", "almanac = {", "  provider = atlas\n", "").Replace(blocks[1]))
		m.MustRun("init")
		says(t, m.MustRun("plan"), "No changes.")
	}, tftest.RemovedBlocks)
}

func TestProviderFunction(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish(t, "cargomedia/app", "1.0.0")
	tftest.Each(t, func(t *testing.T, c tftest.Client) {
		t.Parallel()
		m := w.withProvider(t, c, tftest.NoAWS, "almanac")
		app := func(region string) {
			m.Write("main.tf", fmt.Sprintf(`
data "almanac_artifact" "app" {
  name    = "cargomedia/app"
  type    = "aws.ami"
  version = "1.0.0"
}
output "ami" {
  value = provider::almanac::ami(data.almanac_artifact.app.metadata_full, %q)
}
`, region))
		}
		app("us-east-1")
		m.MustRun("init")
		t.Run("finds the AMI of a region", func(t *testing.T) {
			says(t, m.MustRun("plan"), `+ ami = "ami-0f100"`)
		})
		t.Run("names the regions there are instead of a wrong one", func(t *testing.T) {
			app("mars-1")
			says(t, m.MustFail("plan"), "mars-1", "eu-west-1, us-east-1")
		})
	}, tftest.ProviderFunctions)
}

func TestDownload(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const content = "the bytes of the application"
	w.publishFile(t, "cargomedia/archive", "1.0.0", "app.tar.gz", content)
	tftest.Each(t, func(t *testing.T, c tftest.Client) {
		t.Parallel()
		m := w.withProvider(t, c, tftest.NoAWS, "almanac")
		const download = `ephemeral "almanac_download" "app" {
  name    = "cargomedia/archive"
  type    = "archive"
  version = "1.0.0"
}
`
		m.Write("main.tf", download+`
resource "terraform_data" "deploy" {
  provisioner "local-exec" {
    command = "printf %s \"$URL\" >url"
    environment = {
      URL = ephemeral.almanac_download.app.url
    }
  }
}
`)
		m.MustRun("init")
		t.Run("gives an address that nothing keeps", func(t *testing.T) {
			out := m.MustRun("apply", "-auto-approve")
			url, err := os.ReadFile(filepath.Join(m.Dir, "url"))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.Get(string(url)) // without a token
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			if got, err := io.ReadAll(resp.Body); err != nil || string(got) != content {
				t.Errorf("got %s, %q, %v", resp.Status, got, err)
			}
			state, err := os.ReadFile(filepath.Join(m.Dir, "terraform.tfstate"))
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(state)+out, w.URL) {
				t.Errorf("the address is told:\n%s\n%s", out, state)
			}
		})
		t.Run("may not go into the state", func(t *testing.T) {
			m.Write("main.tf", download+"output \"url\" {\n  value = ephemeral.almanac_download.app.url\n}\n")
			says(t, m.MustFail("plan"), "ephemeral")
		})
	}, tftest.EphemeralResources)
}

func TestChannelResource(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	promoter := w.Token(t, "terraform", "promote", "cargomedia/*")
	tftest.Each(t, func(t *testing.T, c tftest.Client) {
		t.Parallel()
		artifact := "cargomedia/app-" + c.Name
		w.publish(t, artifact, "1.0.0")
		w.publish(t, artifact, "1.1.0")
		w.publish(t, artifact, "1.2.0")
		w.revoke(t, artifact, "1.2.0", "CVE-2026-1")
		m := w.withProvider(t, c, tftest.NoAWS, "almanac")
		m.Setenv("ALMANAC_TOKEN", promoter)
		promote := func(version string) {
			m.Write("main.tf", fmt.Sprintf("resource \"almanac_channel\" \"production\" {\n  artifact = %q\n  name     = \"production\"\n  version  = %q\n  reason   = \"tested\"\n}\n", artifact, version))
		}
		points := func(t *testing.T, version string) {
			t.Helper()
			h, err := w.ci.Channel(t.Context(), artifact, "production")
			if err != nil || h.Version != version {
				t.Errorf("production is %+v, %v; want %s", h, err, version)
			}
		}
		promote("1.0.0")
		m.MustRun("init")
		m.MustRun("apply", "-auto-approve")
		points(t, "1.0.0")
		says(t, m.MustRun("plan"), "No changes.")

		t.Run("is promoted in place", func(t *testing.T) {
			promote("1.1.0")
			p := planOf(t, m)
			p.want(t, "almanac_channel.production", "update")
			m.MustRun("apply", "plan.bin")
			points(t, "1.1.0")
		})
		t.Run("is not promoted to a revoked version", func(t *testing.T) {
			promote("1.2.0")
			says(t, m.MustFail("plan"), "1.2.0 (number 3) of "+artifact+" is revoked: CVE-2026-1.")
			points(t, "1.1.0")
		})
		t.Run("is imported", func(t *testing.T) {
			other := w.withProvider(t, c, tftest.NoAWS, "almanac")
			other.Setenv("ALMANAC_TOKEN", promoter)
			other.Write("main.tf", fmt.Sprintf("import {\n  to = almanac_channel.it\n  id = \"%[1]s/production\"\n}\nresource \"almanac_channel\" \"it\" {\n  artifact = %[1]q\n  name     = \"production\"\n  version  = \"1.1.0\"\n}\n", artifact))
			other.MustRun("init")
			says(t, other.MustRun("plan"), "1 to import, 0 to add, 0 to change, 0 to destroy")
		})
		t.Run("warns of a version that is revoked later", func(t *testing.T) {
			w.revoke(t, artifact, "1.1.0", "CVE-2026-2")
			promote("1.1.0")
			says(t, m.MustRun("plan"), "Warning: The channel points to a revoked version", "1.1.0 (number 2), which was revoked by ci", "CVE-2026-2", "No changes.")
		})
		t.Run("is removed with its resource", func(t *testing.T) {
			promote("1.1.0")
			m.MustRun("destroy", "-auto-approve")
			if _, err := w.ci.Channel(t.Context(), artifact, "production"); registry.KindOf(err) != registry.NotFound {
				t.Errorf("the channel is still there: %v", err)
			}
		})
	})
}
