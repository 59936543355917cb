package packertest

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// CLI is this project's command line, as the one who runs Packer has it.
type CLI struct {
	// Dir is where commands run.
	Dir string
	// Env are environment variables, NAME=value. Nothing else of the machine's environment but PATH and
	// TMPDIR is there.
	Env []string

	bin string
}

// NewCLI returns the command line almanac, which is built once for all tests of this process. Commands run
// in a directory of their own unless the caller names another.
func NewCLI(t testing.TB, env ...string) *CLI {
	t.Helper()
	shared.Lock()
	defer shared.Unlock()
	makeShared(t)
	bin := filepath.Join(shared.dir, "bin")
	const name = "almanac (the command line)"
	err, done := shared.installed[name]
	if !done {
		_, err = goBuild(filepath.Join(bin, "almanac"), "./cmd/almanac")
		shared.installed[name] = err
	}
	if err != nil {
		t.Fatalf("build %s: %v", name, err)
	}
	return &CLI{Dir: t.TempDir(), Env: env, bin: bin}
}

// Run runs almanac with arguments to its end. Output is standard output, and what is on standard error only
// if that has nothing.
func (c *CLI) Run(t testing.TB, args ...string) Result {
	t.Helper()
	return c.run(t, filepath.Join(c.bin, "almanac"), args...)
}

// Shell runs a line in which almanac is called, such as one that Packer has shown.
func (c *CLI) Shell(t testing.TB, line string) Result {
	t.Helper()
	return c.run(t, "sh", "-c", line)
}

func (c *CLI) run(t testing.TB, program string, args ...string) Result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), runTime)
	defer cancel()
	cmd := c.command(ctx, program, args...)
	var out, diagnosis strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &diagnosis
	err := cmd.Run()
	r := Result{Output: out.String()}
	if r.Output == "" {
		r.Output = diagnosis.String()
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && ctx.Err() == nil {
		r.Code, err = exit.ExitCode(), nil
	}
	if err != nil {
		t.Fatalf("%s %s: %v", program, strings.Join(args, " "), err)
	}
	return r
}

// Start starts almanac with arguments and returns at once; the test must wait for the command.
func (c *CLI) Start(t testing.TB, output io.Writer, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), runTime)
	t.Cleanup(cancel)
	cmd := c.command(ctx, filepath.Join(c.bin, "almanac"), args...)
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func (c *CLI) command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = c.Dir
	cmd.Env = append([]string{"PATH=" + c.bin + string(os.PathListSeparator) + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(), "HOME=" + c.Dir}, c.Env...)
	return cmd
}
