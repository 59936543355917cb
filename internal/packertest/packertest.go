// Package packertest runs the real Packer in tests, with this project's plugin and the real amazon
// plugin, and nothing of the machine's own Packer set-up:
//
//	func TestMain(m *testing.M) { os.Exit(packertest.Main(m)) }
//
//	p := packertest.New(t)
//	p.Write(t, "app.pkr.hcl", template)
//	result := p.Run(t, "build", "app.pkr.hcl")
//
// The programs are those named by ALMANAC_TEST_PACKER and ALMANAC_TEST_PACKER_PLUGIN_AMAZON, else
// those in .tools/bin of the repository, else those on the PATH. A test whose program is nowhere is
// skipped, and fails where the environment variable CI is true.
package packertest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// runTime bounds one run of Packer. Builds take a second or two.
const runTime = 3 * time.Minute

// shared is what all tests of a process use: built and installed once, removed by Main.
var shared struct {
	sync.Mutex
	dir       string
	installed map[string]error
}

// Main runs the tests of a package and removes what this package made for them.
func Main(m *testing.M) int {
	defer func() {
		if shared.dir != "" {
			_ = os.RemoveAll(shared.dir) // a temporary directory
		}
	}()
	return m.Run()
}

// Packer is a directory to run Packer in.
type Packer struct {
	// Dir holds the templates, and is where Packer runs.
	Dir string
	// Env are further environment variables, NAME=value.
	Env []string

	program string
	plugins string
	home    string
}

// New prepares a directory with this project's plugin installed.
func New(t testing.TB) *Packer {
	t.Helper()
	p := &Packer{Dir: t.TempDir(), home: t.TempDir(), program: find(t, "packer", "ALMANAC_TEST_PACKER")}
	p.install(t, "github.com/cargomedia/almanac", buildPlugin)
	return p
}

// WithAmazon installs the amazon plugin, too.
func (p *Packer) WithAmazon(t testing.TB) *Packer {
	t.Helper()
	plugin := find(t, "packer-plugin-amazon", "ALMANAC_TEST_PACKER_PLUGIN_AMAZON")
	p.install(t, "github.com/hashicorp/amazon", func(string) (string, error) { return plugin, nil })
	return p
}

// Write puts a file into the directory and returns its path.
func (p *Packer) Write(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(p.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// Result is how a run of Packer ended.
type Result struct {
	Code int
	// Output is what it wrote to standard output and standard error.
	Output string
}

// Run runs packer with arguments to its end. That it fails is no failure of the test.
func (p *Packer) Run(t testing.TB, args ...string) Result {
	t.Helper()
	r, err := p.run(p.Dir, args...)
	if err != nil {
		t.Fatalf("packer %s: %v\n%s", strings.Join(args, " "), err, r.Output)
	}
	return r
}

// Start starts packer and returns at once; the test must wait for the command.
func (p *Packer) Start(t testing.TB, args ...string) (*exec.Cmd, *strings.Builder) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), runTime)
	t.Cleanup(cancel)
	cmd := p.command(ctx, p.Dir, args...)
	var output strings.Builder
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, &output
}

// Interrupt does to a started packer what Ctrl-C on a terminal does.
func Interrupt(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	if err := interrupt(cmd); err != nil {
		t.Fatal(err)
	}
}

func (p *Packer) command(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.program, args...)
	ownGroup(cmd)
	cmd.Dir = dir
	cmd.Env = p.Environ()
	return cmd
}

// Environ is the environment in which Packer runs, for a program that runs it. In its PATH the first packer is this one.
func (p *Packer) Environ() []string {
	return append([]string{
		"PATH=" + filepath.Dir(p.program) + string(os.PathListSeparator) + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(), "HOME=" + p.home,
		"CHECKPOINT_DISABLE=1", "PACKER_NO_COLOR=1", "PACKER_CONFIG_DIR=" + p.home, "PACKER_PLUGIN_PATH=" + p.plugins,
	}, p.Env...)
}

func (p *Packer) run(dir string, args ...string) (Result, error) {
	ctx, cancel := context.WithTimeout(context.Background(), runTime)
	defer cancel()
	output, err := p.command(ctx, dir, args...).CombinedOutput()
	r := Result{Output: string(output)}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && ctx.Err() == nil {
		r.Code, err = exit.ExitCode(), nil
	}
	return r, errors.Join(err, ctx.Err())
}

// install installs a plugin for all tests of this process, the first time that one asks for it.
func (p *Packer) install(t testing.TB, source string, program func(dir string) (string, error)) {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	makeShared(t)
	p.plugins = filepath.Join(shared.dir, "plugins")
	err, done := shared.installed[source]
	if !done {
		err = p.installFrom(source, program)
		shared.installed[source] = err
	}
	if err != nil {
		t.Fatalf("install %s: %v", source, err)
	}
}

// makeShared makes what all tests of this process use; the caller holds the lock.
func makeShared(t testing.TB) {
	t.Helper()
	if shared.dir == "" {
		dir, err := os.MkdirTemp("", "almanac-packertest-")
		if err != nil {
			t.Fatal(err)
		}
		shared.dir, shared.installed = dir, map[string]error{}
	}
}

func (p *Packer) installFrom(source string, program func(dir string) (string, error)) error {
	path, err := program(shared.dir)
	if err != nil {
		return err
	}
	r, err := p.run(shared.dir, "plugins", "install", "--path", path, source)
	if err == nil && r.Code != 0 {
		err = fmt.Errorf("packer plugins install: exit code %d\n%s", r.Code, r.Output)
	}
	return err
}

// buildPlugin builds this project's plugin, in a version that Packer installs from a path.
func buildPlugin(dir string) (string, error) {
	const variables = "github.com/cargomedia/packer-plugin-almanac/version"
	return goBuild(filepath.Join(dir, "packer-plugin-almanac"), ".",
		"-ldflags", "-X "+variables+".Version=0.1.0 -X "+variables+".VersionPrerelease=dev")
}

// goBuild builds a program of this module as path.
func goBuild(path, of string, flags ...string) (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	cmd := exec.Command("go", append(append([]string{"build", "-buildvcs=false", "-o", path}, flags...), of)...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, output)
	}
	return path, nil
}

// find returns the path of a program, or ends the test.
func find(t testing.TB, name, variable string) string {
	t.Helper()
	if path := os.Getenv(variable); path != "" {
		if _, err := os.Stat(path); err != nil {
			t.Fatalf("%s: %v", variable, err)
		}
		return path
	}
	if root, err := moduleRoot(); err == nil {
		path := filepath.Join(root, ".tools", "bin", name)
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	missing := fmt.Sprintf("%s is missing: run `make tools`, put it on the PATH, or set %s", name, variable)
	if os.Getenv("CI") == "true" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("not inside a Go module")
		}
		dir = parent
	}
}
