package tfe2e

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/tftest"
)

// remoteState is a data source that reads /tf/state of a server.
func remoteState(label, address string) string {
	return fmt.Sprintf("data \"terraform_remote_state\" %q {\n  backend = \"http\"\n  config = {\n    address   = %q\n    retry_max = 0\n  }\n}\n", label, address)
}

func TestRemoteState(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish(t, "cargomedia/app", "1.0.0", "production")
	w.publish(t, "cargomedia/app", "1.1.0")
	w.publish(t, "cargomedia/revoked", "1.0.0")
	w.revoke(t, "cargomedia/revoked", "1.0.0", "CVE-2026-1")
	state := w.URL + "/tf/state/cargomedia/"

	tftest.Each(t, func(t *testing.T, c tftest.Client) {
		t.Parallel()
		// reads is a module without any provider that has the token in the environment.
		reads := func(t *testing.T, files ...string) *tftest.Workspace {
			t.Helper()
			m := c.Workspace(t, tftest.NoAWS)
			m.Setenv("TF_HTTP_USERNAME", "terraform")
			m.Setenv("TF_HTTP_PASSWORD", w.reader)
			m.Write("main.tf", strings.Join(files, ""))
			return m
		}

		t.Run("needs no init, no provider and no secret in the state", func(t *testing.T) {
			t.Parallel()
			m := reads(t, remoteState("app", state+"app/aws.ami/1.0.0"), "output \"ami\" {\n  value = data.terraform_remote_state.app.outputs.ami_ids[\"eu-west-1\"]\n}\n")
			says(t, m.MustRun("plan"), `+ ami = "ami-0e100"`)
			m.MustRun("init")
			m.MustRun("apply", "-auto-approve")
			if got := strings.TrimSpace(m.MustRun("output", "-raw", "ami")); got != "ami-0e100" {
				t.Errorf("the output is %q", got)
			}
			for _, name := range []string{".terraform/providers", ".terraform.lock.hcl"} {
				if _, err := os.Stat(filepath.Join(m.Dir, name)); err == nil {
					t.Errorf("there is a %s", name)
				}
			}
			content, err := os.ReadFile(filepath.Join(m.Dir, "terraform.tfstate"))
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(content), w.reader) {
				t.Error("the token is in the state")
			}
		})
		t.Run("knows ids while it plans", func(t *testing.T) {
			t.Parallel()
			m := reads(t, remoteState("app", state+"app/aws.ami/channel/production"), `
resource "terraform_data" "ami" {
  for_each = data.terraform_remote_state.app.outputs.ami_ids
  input    = "${each.value} of ${data.terraform_remote_state.app.outputs.metadata_full.region-eu-west-1}"
}
`)
			p := planOf(t, m)
			p.want(t, `terraform_data.ami["eu-west-1"]`, "create")
			p.want(t, `terraform_data.ami["us-east-1"]`, "create")
			says(t, p.Text, `+ input = "ami-0f100 of ami-0e100"`)
		})
		t.Run("tells of a revocation by its outputs", func(t *testing.T) {
			t.Parallel()
			m := reads(t, remoteState("app", state+"revoked/aws.ami/1.0.0"), `
output "ami" {
  value = data.terraform_remote_state.app.outputs.ami_ids["eu-west-1"]
  precondition {
    condition     = !data.terraform_remote_state.app.outputs.revoked
    error_message = data.terraform_remote_state.app.outputs.message
  }
}
`)
			says(t, m.MustFail("plan"), "cargomedia/revoked 1.0.0 (number 1) is revoked: CVE-2026-1")
		})
		for _, wrong := range []struct {
			name, address, token string
			want                 string
		}{
			{"fails without a token", "app/aws.ami/1.0.0", "", "HTTP remote state endpoint requires auth"},
			{"fails with a wrong token", "app/aws.ami/1.0.0", "alm_wrong", "HTTP remote state endpoint requires auth"},
			{"finds no unknown artifact", "other/aws.ami/1.0.0", w.reader, "Unable to find remote state"},
			{"finds no unknown version", "app/aws.ami/9.9.9", w.reader, "Unable to find remote state"},
			{"finds no unknown region", "app/aws.ami/1.0.0?region=mars-1", w.reader, "Unable to find remote state"},
			{"finds no other type", "app/vagrant.box/1.0.0", w.reader, "Unable to find remote state"},
			{"finds no revoked version as latest", "revoked/aws.ami/latest", w.reader, "Unable to find remote state"},
		} {
			t.Run(wrong.name, func(t *testing.T) {
				t.Parallel()
				m := reads(t, remoteState("app", state+wrong.address))
				m.Setenv("TF_HTTP_PASSWORD", wrong.token)
				says(t, m.MustFail("plan"), wrong.want)
			})
		}
		t.Run("is read as a backend and never written", func(t *testing.T) {
			t.Parallel()
			m := reads(t, fmt.Sprintf("terraform {\n  backend \"http\" {\n    address = %q\n    retry_max = 0\n  }\n}\n", state+"app/aws.ami/1.0.0"))
			m.MustRun("init")
			says(t, m.MustRun("output", "-json", "ami_ids"), `"eu-west-1":"ami-0e100"`)
			m.Write("other.tf", "output \"mine\" {\n  value = 1\n}\n")
			says(t, m.MustFail("apply", "-auto-approve"), "405")
		})
	})

	t.Run("refuses all methods but reads", func(t *testing.T) {
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "LOCK", "UNLOCK"} {
			for _, token := range []string{w.reader, w.AdminToken} {
				req, err := http.NewRequestWithContext(t.Context(), method, state+"app/aws.ami/1.0.0", strings.NewReader("{}"))
				if err != nil {
					t.Fatal(err)
				}
				req.SetBasicAuth("terraform", token)
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
				if resp.StatusCode != http.StatusMethodNotAllowed || !strings.Contains(resp.Header.Get("Allow"), "GET") {
					t.Errorf("%s answers %s and allows %q", method, resp.Status, resp.Header.Get("Allow"))
				}
			}
		}
	})
}
