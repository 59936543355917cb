package tftest

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// NoAWS is the version of hashicorp/aws for a workspace in which there is no provider at all.
const NoAWS = 0

// Workspace is a directory with a root module.
type Workspace struct {
	Dir string

	t      testing.TB
	client Client
	base   string
	env    map[string]string
	config Config
	// required are what stands in required_providers, by local name.
	required map[string]string
}

// New is [Client.Workspace] of [Terraform].
func New(t testing.TB, aws int) *Workspace {
	t.Helper()
	return Terraform(t).Workspace(t, aws)
}

// Workspace makes an empty root module for which hashicorp/aws of a major version can be installed, and nothing
// else; with [NoAWS] nothing at all.
func (c Client) Workspace(t testing.TB, aws int) *Workspace {
	t.Helper()
	base := t.TempDir()
	w := &Workspace{Dir: filepath.Join(base, "module"), t: t, client: c, base: base, env: map[string]string{}, required: map[string]string{}}
	home := filepath.Join(base, "home")
	for _, dir := range []string{w.Dir, home} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		if !foreignVariable(name) {
			w.env[name] = value
		}
	}
	w.Setenv("HOME", home)
	w.Setenv("TF_CLI_CONFIG_FILE", filepath.Join(base, "terraform.rc"))
	w.Setenv("CHECKPOINT_DISABLE", "1")
	w.Setenv("TF_IN_AUTOMATION", "1")
	if aws == NoAWS {
		w.Configure(func(*Config) {})
		return w
	}
	version, ok := AWSVersions[aws]
	if !ok {
		t.Fatalf("there is no stub of hashicorp/aws %d; there are %v", aws, majors())
	}
	mirror, err := Mirror(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.Configure(func(c *Config) { c.Mirrors = []string{mirror} })
	w.Require("aws", "hashicorp/aws", version)
	w.SetImages(nil)
	w.Setenv("STUB_AWS_INSTANCES", w.path("instances"))
	return w
}

// foreignVariable says whether a variable of the machine would change what a client or a provider does.
func foreignVariable(name string) bool {
	return slices.ContainsFunc([]string{"TF_", "TOFU_", "AWS_", "STUB_AWS_", "ALMANAC_", "ATLAS_", "SSL_CERT_"}, func(prefix string) bool {
		return strings.HasPrefix(name, prefix)
	})
}

// path is a file beside the module.
func (w *Workspace) path(name string) string { return filepath.Join(w.base, name) }

// Setenv sets a variable for the runs that follow, such as AWS_ENDPOINT_URL, which the stub follows
// when STUB_AWS_IMAGES is "".
func (w *Workspace) Setenv(name, value string) { w.env[name] = value }

// Configure changes the configuration of the client for the runs that follow.
func (w *Workspace) Configure(change func(*Config)) {
	w.t.Helper()
	change(&w.config)
	writeFile(w.t, w.env["TF_CLI_CONFIG_FILE"], w.config.String())
}

// Require declares a provider in versions.tf, under a local name. A version of "" is any.
func (w *Workspace) Require(local, source, version string) {
	w.t.Helper()
	w.required[local] = fmt.Sprintf("    %s = {\n      source = %q\n    }\n", local, source)
	if version != "" {
		w.required[local] = fmt.Sprintf("    %s = {\n      source  = %q\n      version = %q\n    }\n", local, source, version)
	}
	var b strings.Builder
	for _, local := range slices.Sorted(maps.Keys(w.required)) {
		b.WriteString(w.required[local])
	}
	w.Write("versions.tf", "terraform {\n  required_providers {\n"+b.String()+"  }\n}\n")
}

// RequireAlmanac declares this project's provider, under a local name, and lets it be installed.
func (w *Workspace) RequireAlmanac(local string) {
	w.t.Helper()
	mirror, err := ProviderMirror(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	w.Configure(func(c *Config) { c.Mirrors = append(c.Mirrors, mirror) })
	w.Require(local, ProviderSource, ProviderVersion)
}

// TrustCA lets the client and its providers trust servers with certificates of this authority, in PEM, and no others.
func (w *Workspace) TrustCA(ca []byte) {
	w.t.Helper()
	writeFile(w.t, w.path("ca.pem"), string(ca))
	w.Setenv("SSL_CERT_FILE", w.path("ca.pem"))
}

// Write puts a file into the module.
func (w *Workspace) Write(name, content string) {
	w.t.Helper()
	writeFile(w.t, filepath.Join(w.Dir, name), content)
}

func writeFile(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Run runs the client in the module and returns all that it printed, without colours. init, plan, apply, import and
// refresh never ask.
func (w *Workspace) Run(args ...string) (string, error) {
	w.t.Helper()
	switch args[0] {
	case "init", "plan", "apply", "destroy", "import", "refresh":
		args = slices.Insert(slices.Clone(args), 1, "-no-color", "-input=false")
	case "validate":
		args = append(args, "-no-color")
	}
	cmd := exec.CommandContext(w.t.Context(), w.client.Path, args...)
	cmd.Dir = w.Dir
	for _, name := range slices.Sorted(maps.Keys(w.env)) {
		cmd.Env = append(cmd.Env, name+"="+w.env[name])
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// MustRun is [Workspace.Run] for what has to succeed.
func (w *Workspace) MustRun(args ...string) string {
	w.t.Helper()
	out, err := w.Run(args...)
	if err != nil {
		w.t.Fatalf("%s %s: %v\n%s", w.client.Name, strings.Join(args, " "), err, out)
	}
	return out
}

// MustFail is [Workspace.Run] for what has to fail.
func (w *Workspace) MustFail(args ...string) string {
	w.t.Helper()
	out, err := w.Run(args...)
	if err == nil {
		w.t.Fatalf("%s %s succeeded:\n%s", w.client.Name, strings.Join(args, " "), out)
	}
	return out
}

// Flat is what a client printed with its lines joined: it breaks long lines of a message and draws a bar beside them.
func Flat(out string) string {
	return strings.Join(strings.Fields(strings.NewReplacer("│", " ", "╷", " ", "╵", " ").Replace(out)), " ")
}
