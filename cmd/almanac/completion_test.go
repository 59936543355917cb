package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestBashCompletion lets bash itself complete with the code that is printed for it.
func TestBashCompletion(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("bash is not installed; install the package bash")
		}
		t.Skip("bash is not installed; install the package bash")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(self, filepath.Join(bin, "almanac")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		words []string
		want  string
	}{
		{"commands", []string{"almanac", "tok"}, "token"},
		{"commands of a command", []string{"almanac", "channel", ""}, "set show delete"},
		{"flags", []string{"almanac", "publish", "a/b", "--ty"}, "--type"},
		{"values after a flag", []string{"almanac", "artifacts", "-o", "j"}, "json"},
		{"values after an equals sign", []string{"almanac", "artifacts", "--output", "=", "j"}, "json"},
		{"commands of AWS", []string{"almanac", "aws", ""}, "verify adopt instances"},
		{"flags for publish files", []string{"almanac", "publish", "--pen"}, "--pending"},
		{"flags of a command whose name is left out", []string{"almanac", "terraform", "a/b", "--own"}, "--owner"},
		{"values after a flag of it", []string{"almanac", "terraform", "--ref", "production", "--style", "t"}, "tfvars"},
		{"flags of the command beside it", []string{"almanac", "terraform", "import", "--for"}, "--for-each --force"},
		{"statuses", []string{"almanac", "versions", "a/b", "--status", "f"}, "failed"},
		{"nothing where nothing is known", []string{"almanac", "show", "car"}, ""},
	} {
		t.Run(tt.name+" are completed", func(t *testing.T) {
			code := `source <(almanac completion bash); COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _almanac; echo "${COMPREPLY[*]}"`
			cmd := exec.Command(bash, append([]string{"--norc", "-c", code, "bash"}, tt.words...)...)
			cmd.Env = append(os.Environ(), "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"))
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if diff := cmp.Diff(tt.want, strings.TrimSpace(string(out))); diff != "" {
				t.Errorf("candidates (-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzComplete holds the answer to any line to its form: every candidate on one line.
func FuzzComplete(f *testing.F) {
	f.Add("publish\na/b\n--file\n")
	f.Add("artifacts\n--output\n=\nj")
	f.Add("-\n--\n=")
	var grammar cli
	parser, err := newParser(&grammar, &app{getenv: noenv, stdout: os.Stdout, stderr: os.Stderr})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, line string) {
		var out bytes.Buffer
		if err := complete(parser.Model.Node, strings.Split(line, "\n"), &out); err != nil {
			t.Fatal(err)
		}
		for candidate := range strings.Lines(out.String()) {
			if candidate != filesWanted+"\n" && strings.Count(candidate, "\t") != 1 {
				t.Errorf("complete(%q) has the line %q", line, candidate)
			}
		}
	})
}
