// Package vagranttest runs the real Vagrant in tests, and the Packer of its day, with nothing of the machine's own set-up:
//
//	v := vagranttest.New(t, server.URL)
//	result := v.Run(t, "box", "add", "acme/tiny", "--provider", "virtualbox")
//
// A test whose program is missing is skipped, and fails where the environment variable CI is true.
package vagranttest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// runTime bounds one run of a client. Most take a second; one with a token takes six, because Vagrant then waits
// for somebody to object to sending it to a server of one's own.
const runTime = 3 * time.Minute

// Client is a directory to run one of the programs in.
type Client struct {
	// Dir is where it runs.
	Dir string
	// Home is where Vagrant keeps boxes, and a token after a login.
	Home string

	program string
	env     []string
}

// New prepares a directory in which Vagrant uses a server. env are further environment variables, NAME=value.
func New(t testing.TB, server string, env ...string) *Client {
	t.Helper()
	path, err := exec.LookPath("vagrant")
	if err != nil {
		missing(t, "vagrant is missing: apt-get install --no-install-recommends vagrant")
	}
	c := newClient(t, path)
	c.Home = t.TempDir()
	c.env = append(c.env,
		"VAGRANT_SERVER_URL="+server, "VAGRANT_HOME="+c.Home, "VAGRANT_CHECKPOINT_DISABLE=1", "VAGRANT_NO_COLOR=1", "VAGRANT_NO_PLUGINS=1",
		"LC_ALL=C.UTF-8",
	)
	c.env = append(c.env, env...)
	return c
}

// oldPacker is where Debian installs Packer 1.6. It is asked for by its path: what is called packer elsewhere is newer.
const oldPacker = "/usr/bin/packer"

// NewPacker prepares a directory for Packer 1.6, the last one in which the post-processors vagrant and vagrant-cloud are
// built in.
func NewPacker(t testing.TB, env ...string) *Client {
	t.Helper()
	if said := packerVersion(); !strings.HasPrefix(said, "Packer v1.6.") {
		missing(t, oldPacker+" is not Packer 1.6: on Debian 12, apt-get install --no-install-recommends packer")
	}
	c := newClient(t, oldPacker)
	c.env = append(c.env, "CHECKPOINT_DISABLE=1", "PACKER_NO_COLOR=1", "PACKER_CONFIG_DIR="+c.Dir, "PACKER_CACHE_DIR="+t.TempDir())
	c.env = append(c.env, env...)
	return c
}

var packerVersion = sync.OnceValue(func() string {
	cmd := exec.Command(oldPacker, "version")
	cmd.Env = []string{"CHECKPOINT_DISABLE=1", "HOME=" + os.TempDir()}
	said, _ := cmd.Output() // nothing, where there is none
	return string(said)
})

func newClient(t testing.TB, program string) *Client {
	t.Helper()
	return &Client{Dir: t.TempDir(), program: program, env: []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(), "HOME=" + t.TempDir()}}
}

func missing(t testing.TB, what string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// With returns the same client with other environment variables. Later ones win.
func (c *Client) With(env ...string) *Client {
	other := *c
	other.env = append(slices.Clone(c.env), env...)
	return &other
}

// Environment is what Vagrant needs of its environment to be this client when another program calls it.
func (c *Client) Environment() []string {
	return slices.DeleteFunc(slices.Clone(c.env), func(v string) bool {
		return !strings.HasPrefix(v, "VAGRANT_") && !strings.HasPrefix(v, "LC_ALL=")
	})
}

// Write puts a file into the directory and returns its path.
func (c *Client) Write(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(c.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// Result is how a run ended.
type Result struct {
	Code int
	// Output is what was written to standard output and standard error.
	Output string
}

// Run runs the program with arguments to its end. That it fails is no failure of the test.
func (c *Client) Run(t testing.TB, args ...string) Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), runTime)
	defer cancel()
	cmd := c.command(ctx, args...)
	output, err := cmd.CombinedOutput()
	return c.ended(t, ctx, args, string(output), err)
}

// MustRun is [Client.Run] for what has to succeed.
func (c *Client) MustRun(t testing.TB, args ...string) string {
	t.Helper()
	r := c.Run(t, args...)
	if r.Code != 0 {
		t.Fatalf("%s ended with %d:\n%s", c.line(args), r.Code, r.Output)
	}
	return r.Output
}

// MustFail is [Client.Run] for what must not succeed.
func (c *Client) MustFail(t testing.TB, args ...string) string {
	t.Helper()
	r := c.Run(t, args...)
	if r.Code == 0 {
		t.Fatalf("%s did not fail:\n%s", c.line(args), r.Output)
	}
	return r.Output
}

func (c *Client) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, c.program, args...)
	cmd.Dir, cmd.Env = c.Dir, c.env
	// What the program started, such as curl, may hold its output open when it is killed.
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

func (c *Client) ended(t testing.TB, ctx context.Context, args []string, output string, err error) Result {
	t.Helper()
	r := Result{Output: output}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && ctx.Err() == nil {
		r.Code, err = exit.ExitCode(), nil
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s", c.line(args), err, output)
	}
	return r
}

func (c *Client) line(args []string) string {
	return filepath.Base(c.program) + " " + strings.Join(args, " ")
}

// KnowsArchitectures says whether this is Vagrant 2.4 or newer, which picks a box by the machine's architecture.
// Older ones take the last that is listed of a provider.
func (c *Client) KnowsArchitectures(t testing.TB) bool {
	t.Helper()
	said := c.MustRun(t, "--version")
	return !regexp.MustCompile(`^Vagrant (1|2\.[0-3])\.`).MatchString(said)
}

// Installed returns the content of a file of a box that Vagrant has.
func (c *Client) Installed(t testing.TB, box, version, provider, file string) string {
	t.Helper()
	dir := filepath.Join(c.Home, "boxes", strings.ReplaceAll(box, "/", "-VAGRANTSLASH-"), version)
	// Vagrant 2.4 has a directory of the architecture between them, where it knows one.
	for _, pattern := range []string{filepath.Join(dir, provider, file), filepath.Join(dir, "*", provider, file)} {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		if len(paths) == 0 {
			continue
		}
		content, err := os.ReadFile(paths[0])
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	t.Fatalf("%s %s for %s is not installed in %s", box, version, provider, dir)
	return ""
}
