package tftest

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Path returns the terraform on the PATH. Without one the test is skipped; in CI it fails.
func Path(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("terraform")
	if err != nil {
		const message = "terraform is not on the PATH; install it from developer.hashicorp.com/terraform/install (1.5 or newer)"
		if os.Getenv("CI") == "true" {
			t.Fatal(message)
		}
		t.Skip(message)
	}
	return path
}

// Image is an AMI that the stub finds. Empty fields are an available x86_64 image of one's own.
type Image struct {
	ID           string `json:"id"`
	Name         string `json:"name"`
	State        string `json:"state"`
	Architecture string `json:"architecture"`
	// DeprecationTime is "" or as EC2 writes it, such as 2026-01-02T03:04:05.000Z.
	DeprecationTime string `json:"deprecation_time"`
	OwnerID         string `json:"owner_id"`
}

// Images are all AMIs that there are, by region.
type Images map[string][]Image

// Workspace is a directory with a root module.
type Workspace struct {
	Dir string

	t         testing.TB
	terraform string
	env       []string
}

// New makes an empty root module for which hashicorp/aws of a major version can be installed, and
// nothing else. It needs terraform ([Path]).
func New(t testing.TB, aws int) *Workspace {
	t.Helper()
	terraform := Path(t)
	version, ok := AWSVersions[aws]
	if !ok {
		t.Fatalf("there is no stub of hashicorp/aws %d; there are %v", aws, majors())
	}
	mirror, err := Mirror(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	base := t.TempDir()
	w := &Workspace{Dir: filepath.Join(base, "module"), t: t, terraform: terraform}
	home, config := filepath.Join(base, "home"), filepath.Join(base, "terraform.rc")
	for _, dir := range []string{w.Dir, home} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(config, []byte(CLIConfig(mirror)), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "TF_") && !strings.HasPrefix(variable, "AWS_") && !strings.HasPrefix(variable, "STUB_AWS_") {
			w.env = append(w.env, variable)
		}
	}
	w.Setenv("HOME", home)
	w.Setenv("TF_CLI_CONFIG_FILE", config)
	w.Setenv("CHECKPOINT_DISABLE", "1")
	w.Setenv("TF_IN_AUTOMATION", "1")
	w.Write("versions.tf", fmt.Sprintf("terraform {\n  required_providers {\n    aws = {\n      source  = \"hashicorp/aws\"\n      version = %q\n    }\n  }\n}\n", version))
	w.SetImages(nil)
	return w
}

// Setenv sets a variable for the runs that follow, such as AWS_ENDPOINT_URL, which the stub follows
// when STUB_AWS_IMAGES is "".
func (w *Workspace) Setenv(name, value string) { w.env = append(w.env, name+"="+value) }

// SetImages says which AMIs there are from now on.
func (w *Workspace) SetImages(images Images) {
	w.t.Helper()
	all := Images{}
	for region, list := range images {
		for _, image := range list {
			if image.State == "" {
				image.State = "available"
			}
			if image.Architecture == "" {
				image.Architecture = "x86_64"
			}
			all[region] = append(all[region], image)
		}
	}
	content, err := json.Marshal(all)
	if err != nil {
		w.t.Fatal(err)
	}
	path := filepath.Join(filepath.Dir(w.Dir), "images.json")
	if err := os.WriteFile(path, content, 0o644); err != nil {
		w.t.Fatal(err)
	}
	w.Setenv("STUB_AWS_IMAGES", path)
}

// Write puts a file into the module.
func (w *Workspace) Write(name, content string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.Dir, name), []byte(content), 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// Run runs terraform in the module and returns all that it printed, without colours. init, plan and
// apply never ask.
func (w *Workspace) Run(args ...string) (string, error) {
	w.t.Helper()
	switch args[0] {
	case "init", "plan", "apply":
		args = append(args, "-no-color", "-input=false")
	case "validate":
		args = append(args, "-no-color")
	}
	cmd := exec.CommandContext(w.t.Context(), w.terraform, args...)
	cmd.Dir, cmd.Env = w.Dir, w.env
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// MustRun is [Workspace.Run] for what has to succeed.
func (w *Workspace) MustRun(args ...string) string {
	w.t.Helper()
	out, err := w.Run(args...)
	if err != nil {
		w.t.Fatalf("terraform %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}
