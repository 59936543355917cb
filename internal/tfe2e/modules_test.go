package tfe2e

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/internal/tftest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// moduleCall calls the module of an artifact, with further arguments.
func moduleCall(door servertest.TLS, artifact, version string, arguments ...string) string {
	var more string
	for _, a := range arguments {
		more += "  " + a + "\n"
	}
	return fmt.Sprintf("module \"app\" {\n  source  = \"%s/%s/aws\"\n  version = %q\n%s}\n", door.Host, artifact, version, more)
}

const moduleOutput = "output \"ami\" {\n  value = module.app.ami_id\n}\n"

func TestModuleRegistry(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	door := w.TLS(t)
	w.publish(t, "cargomedia/app", "1.4.0")
	w.publish(t, "cargomedia/revoked", "1.0.0")
	w.publish(t, "cargomedia/revoked", "1.1.0")
	w.revoke(t, "cargomedia/revoked", "1.1.0", "CVE-2026-1")
	w.publish(t, "cargomedia/public", "1.0.0")
	admin := w.Client(t, w.AdminToken)
	if _, err := admin.PutArtifact(t.Context(), "cargomedia/public", registry.ArtifactSettings{Public: true}); err != nil {
		t.Fatal(err)
	}

	tftest.Each(t, func(t *testing.T, c tftest.Client) {
		t.Parallel()
		calls := func(t *testing.T, token, main string) *tftest.Workspace {
			t.Helper()
			m := c.Workspace(t, tftest.NoAWS)
			m.TrustCA(door.CA)
			if token != "" {
				m.Configure(func(c *tftest.Config) { c.Tokens = map[string]string{door.Host: token} })
			}
			m.Write("main.tf", main)
			return m
		}

		t.Run("gives the AMI of a region, and keeps no secret", func(t *testing.T) {
			t.Parallel()
			m := calls(t, w.reader, moduleCall(door, "cargomedia/app", "1.4.0", `region = "eu-west-1"`)+moduleOutput)
			m.MustRun("init")
			m.MustRun("validate")
			says(t, m.MustRun("plan"), `+ ami = "ami-0e140"`)
			if text := allText(t, filepath.Join(m.Dir, ".terraform")); strings.Contains(text, w.reader) {
				t.Error("the token is below .terraform")
			}
		})
		t.Run("takes the token of its host from the environment", func(t *testing.T) {
			t.Parallel()
			named := servertest.TLS{Host: "almanac.example.test"}
			m := calls(t, "", moduleCall(named, "cargomedia/app", "1.4.0", `region = "eu-west-1"`)+moduleOutput)
			m.Configure(func(c *tftest.Config) {
				c.Services = map[string]map[string]string{named.Host: {"modules.v1": door.URL + "/tf/modules/v1/"}}
			})
			m.Setenv("TF_TOKEN_almanac_example_test", w.reader)
			m.MustRun("init")
			says(t, m.MustRun("plan"), `+ ami = "ami-0e140"`)
		})
		t.Run("names the regions there are instead of a wrong one", func(t *testing.T) {
			t.Parallel()
			m := calls(t, w.reader, moduleCall(door, "cargomedia/app", "1.4.0", `region = "mars-1"`)+moduleOutput)
			m.MustRun("init")
			says(t, m.MustFail("plan"), "cargomedia/app version 1.4.0 has no AMI in region mars-1; it has: eu-west-1, us-east-1.")
		})
		t.Run("moves a constraint by init -upgrade, and in a new checkout", func(t *testing.T) {
			t.Parallel()
			artifact := "cargomedia/moving-" + c.Name
			w.publish(t, artifact, "1.0.0")
			main := moduleCall(door, artifact, "~> 1.0", `region = "eu-west-1"`) + moduleOutput
			m := calls(t, w.reader, main)
			m.MustRun("init")
			w.publish(t, artifact, "1.1.0")
			w.publish(t, artifact, "2.0.0")
			m.MustRun("init")
			says(t, m.MustRun("plan"), `+ ami = "ami-0e100"`)
			m.MustRun("init", "-upgrade")
			says(t, m.MustRun("plan"), `+ ami = "ami-0e110"`)

			// No lock file names modules, so this is why anything with state is pinned.
			m = calls(t, w.reader, main)
			m.MustRun("init")
			says(t, m.MustRun("plan"), `+ ami = "ami-0e110"`)
		})
		t.Run("passes a revoked version over", func(t *testing.T) {
			t.Parallel()
			m := calls(t, w.reader, moduleCall(door, "cargomedia/revoked", "~> 1.0", `region = "eu-west-1"`)+moduleOutput)
			m.MustRun("init")
			says(t, m.MustRun("plan"), `+ ami = "ami-0e100"`)
		})
		t.Run("leaves a checkout as it is when its version is revoked", func(t *testing.T) {
			t.Parallel()
			artifact := "cargomedia/revoked-later-" + c.Name
			w.publish(t, artifact, "1.0.0")
			w.publish(t, artifact, "1.1.0")
			main := moduleCall(door, artifact, "1.0.0", `region = "eu-west-1"`) + moduleOutput
			m := calls(t, w.reader, main)
			m.MustRun("init")
			w.revoke(t, artifact, "1.0.0", "CVE-2026-2")
			m.MustRun("init")
			says(t, m.MustRun("plan"), `+ ami = "ami-0e100"`)

			// Clients choose from the list, also where the version is exact: a new checkout has to move on.
			fresh := calls(t, w.reader, main)
			says(t, fresh.MustFail("init"), "Unresolvable module version constraint")
		})
		t.Run("gives a public artifact to anybody", func(t *testing.T) {
			t.Parallel()
			m := calls(t, "", moduleCall(door, "cargomedia/public", "1.0.0", `region = "eu-west-1"`)+moduleOutput)
			m.MustRun("init")
			says(t, m.MustRun("plan"), `+ ami = "ami-0e100"`)
		})
		for _, wrong := range []struct{ name, token, call, want string }{
			{"says nothing of a private artifact without credentials", "", moduleCall(door, "cargomedia/app", "1.4.0"), "401"},
			{"says nothing to a wrong token", "alm_wrong", moduleCall(door, "cargomedia/app", "1.4.0"), "401"},
			{"has no unknown artifact", w.reader, moduleCall(door, "cargomedia/other", "1.4.0"), "Module not found"},
			{"has no unknown version", w.reader, moduleCall(door, "cargomedia/app", "9.9.9"), "Unresolvable module version constraint"},
		} {
			t.Run(wrong.name, func(t *testing.T) {
				t.Parallel()
				m := calls(t, wrong.token, wrong.call)
				says(t, m.MustFail("init"), wrong.want)
			})
		}
		t.Run("is not believed without its authority", func(t *testing.T) {
			t.Parallel()
			m := calls(t, w.reader, moduleCall(door, "cargomedia/app", "1.4.0"))
			m.Setenv("SSL_CERT_FILE", os.DevNull)
			says(t, m.MustFail("init"), "certificate")
		})
	})
}

// allText is the content of all files below a directory.
func allText(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		b.Write(content)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
