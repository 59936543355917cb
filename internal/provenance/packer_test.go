package provenance

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/internal/packertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func TestMain(m *testing.M) { os.Exit(packertest.Main(m)) }

const (
	hclSource = `
variable "password" {
  type    = string
  default = ""
}
variable "output" { type = string }
source "null" "app" { communicator = "none" }
`
	hclBuild = `
build {
  sources = ["null.app"]
  post-processor "provenance-report" { output = var.output }
}
`
	jsonTemplate = `{
  "variables": {"password": "", "output": ""},
  "builders": [{"type": "null", "communicator": "none"}],
  "post-processors": [{"type": "provenance-report", "output": "{{user ` + "`output`" + `}}"}]
}
`
)

// report is what the test's plugin writes.
type report struct {
	Told, Found string
	Provenance  registry.Metadata
}

// TestPackerTemplate runs the real Packer, with secrets on its command line.
func TestPackerTemplate(t *testing.T) {
	p := packertest.New(t)
	p.Env = append(p.Env, "PACKER_PLUGIN_PATH="+t.TempDir(), "GITHUB_ACTIONS=", "GITLAB_CI=", "BITBUCKET_BUILD_NUMBER=", "JENKINS_URL=")
	if r := p.Run(t, "plugins", "install", "--path", buildTestPlugin(t), "github.com/cargomedia/provenance"); r.Code != 0 {
		t.Fatalf("packer plugins install: exit code %d\n%s", r.Code, r.Output)
	}
	repo := repositoryIn(t, p.Dir)
	p.Write(t, "images/app.pkr.hcl", hclSource)
	p.Write(t, "images/build.pkr.hcl", hclBuild)
	p.Write(t, "images/secret.auto.pkrvars.hcl", "password = \"hunter-file\"\n")
	p.Write(t, "whole app.pkr.hcl", hclSource+hclBuild)
	p.Write(t, "app.json", jsonTemplate)
	repo.git(t, "add", ".")
	repo.git(t, "commit", "-q", "-m", "templates")
	both := sum(sum(hclSource) + "  app.pkr.hcl\n" + sum(hclBuild) + "  build.pkr.hcl\n")

	for _, test := range []struct {
		name, path, want, digest string
		told                     bool
	}{
		{name: "an HCL2 file", path: "whole app.pkr.hcl", want: "whole app.pkr.hcl", digest: sum(hclSource + hclBuild)},
		{name: "an HCL2 directory", path: "./images/", want: "images", digest: both},
		{name: "a JSON template", path: "app.json", want: "app.json", digest: sum(jsonTemplate), told: true},
		{name: "an absolute path", path: filepath.Join(p.Dir, "images", "..", "app.json"), want: "app.json", digest: sum(jsonTemplate), told: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			output := filepath.Join(t.TempDir(), "report.json")
			r := p.Run(t, "build", "-color=false", "-var", "password=hunter-flag", "-var", "output="+output, "-parallel-builds", "1", test.path)
			if r.Code != 0 {
				t.Fatalf("exit code %d\n%s", r.Code, r.Output)
			}
			content, err := os.ReadFile(output)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(content), "hunter") {
				t.Errorf("a secret is in the report: %s", content)
			}
			var got report
			if err := json.Unmarshal(content, &got); err != nil {
				t.Fatal(err)
			}
			if test.told != (got.Told != "") {
				t.Errorf("Packer told %q of the template", got.Told)
			}
			want := with(repo.metadata(t), "template_path", test.want, "template_sha256", test.digest, "git_dirty", "false")
			if diff := cmp.Diff(want, got.Provenance); diff != "" {
				t.Errorf("provenance (-want +got):\n%s", diff)
			}
		})
	}
}

func buildTestPlugin(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "packer-plugin-provenance")
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", path, "./testdata/plugin")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return path
}
