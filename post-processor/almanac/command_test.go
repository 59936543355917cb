package almanac_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
)

// compiled returns a directory with the command.
func compiled(t *testing.T) string {
	t.Helper()
	bin := t.TempDir()
	compile := exec.Command("go", "build", "-buildvcs=false", "-o", filepath.Join(bin, "almanac"), "../../cmd/almanac")
	compile.Dir = here
	if output, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return bin
}

// printed returns the command of a report. It is one line: Packer starts each with a prefix.
func printed(t *testing.T, shown string) string {
	t.Helper()
	for line := range strings.Lines(shown) {
		if command, ok := strings.CutPrefix(line, "    "); ok && strings.Contains(command, "almanac publish") {
			return strings.TrimSpace(command)
		}
	}
	t.Fatalf("no command in:\n%s", shown)
	return ""
}

// inShell runs a command in bash, for the $'…' that dash lacks.
func inShell(t *testing.T, bin, command string, environment ...string) {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		const hint = "bash is not there; install it to run printed commands"
		if os.Getenv("CI") == "true" {
			t.Fatal(hint)
		}
		t.Skip(hint)
	}
	shell := exec.Command(bash, "-c", command)
	shell.Dir = here
	shell.Env = append([]string{"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, environment...)
	if output, err := shell.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, command, output)
	}
}

// The command that is printed for a build that could not be recorded does record it.
func TestThePrintedCommandRecordsTheBuild(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the command is for a POSIX shell")
	}
	bin := compiled(t)
	odd := filepath.Join(t.TempDir(), "it's \"odd\" $HOME")
	for _, c := range []struct {
		name  string
		begin func(t *testing.T)
	}{
		{"with a publish file", func(t *testing.T) {
			if err := os.Mkdir("it's a dir", 0o755); err != nil {
				t.Fatal(err)
			}
			t.Chdir("it's a dir")
		}},
		{"without one", func(t *testing.T) {
			t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "gone"))
			removeWorkingDirectory(t)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := servertest.New(t)
			token := s.Token(t, "packer", "promote")
			environment(t, s, token)
			a := &product{builderID: "packer.file", files: []string{write(t, "1", odd, "x:y.txt")}}
			p := newProxy(t, s)
			p.answer(away)
			c.begin(t)
			shown := record(t, options{
				"artifact": "cargomedia/app", "retry_timeout": "50ms", "version": "2.0.0", "channels": "staging", "metadata": decoded{"note": "it's \"$HOME\"\nand %s \\n more"},
			}, core("x", "app"), a)
			p.answer(nil)
			command := printed(t, shown)
			inShell(t, bin, command+" && "+command, "ALMANAC_TOKEN="+token)
			if got := recorded(t, s); got != "archive | | x-y.txt" {
				t.Errorf("recorded: got %q", got)
			}
			v := version(t, s, "cargomedia/app", "staging")
			if v.Number != 1 || v.Version != "2.0.0" || v.Builds[0].Metadata["note"] != "it's \"$HOME\"\nand %s \\n more" {
				t.Errorf("got %+v", v)
			}
		})
	}
}
