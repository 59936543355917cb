package provenance

import (
	"context"
	"flag"
	"io"
	"slices"
	"strings"
	"testing"
)

func TestTemplateArgument(t *testing.T) {
	for _, test := range []struct {
		name string
		args []string
		want string
	}{
		{"a file", []string{"build", "app.pkr.hcl"}, "app.pkr.hcl"},
		{"a directory", []string{"build", "."}, "."},
		{"flags with values apart", []string{"build", "-var", "password=hunter2", "-on-error", "ask", "app.json"}, "app.json"},
		{"flags with their values", []string{"build", "-var=password=hunter2", "--var-file=x.pkrvars.hcl", "-color=false", "app.json"}, "app.json"},
		{"flags without values", []string{"build", "-force", "--debug", "-timestamp-ui", "app.json"}, "app.json"},
		{"a value that looks like a flag", []string{"build", "-var", "-force", "app.json"}, "app.json"},
		{"an empty value", []string{"build", "-only", "", "app.json"}, "app.json"},
		{"after the end of the flags", []string{"build", "-force", "--", "-app.json"}, "-app.json"},
		{"machine readable in front", []string{"-machine-readable", "build", "app.json"}, "app.json"},
		{"machine readable at the end", []string{"build", "app.json", "-machine-readable"}, "app.json"},
		{"a later Packer's flag", []string{"build", "-later", "value", "app.json"}, "app.json"},
		{"nothing for standard input", []string{"build", "-var", "password=hunter2", "-"}, ""},
		{"nothing for a value at the end", []string{"build", "-var", "password=hunter2"}, ""},
		{"nothing for a flag without its value", []string{"build", "-var"}, ""},
		{"nothing for two templates", []string{"build", "app.json", "password=hunter2"}, ""},
		{"nothing for flags after the template", []string{"build", "app.json", "-var", "password=hunter2"}, ""},
		{"nothing for a later Packer's flag at the end", []string{"build", "-later", "-latest"}, ""},
		{"nothing for another command", []string{"validate", "app.json"}, ""},
		{"nothing for a plugin", []string{"start", "post-processor", "build"}, ""},
		{"nothing without arguments", nil, ""},
		{"nothing without a template", []string{"build"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := templateArgument(test.args); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestIsPacker(t *testing.T) {
	for program, want := range map[string]bool{
		"packer": true, "/usr/bin/packer": true, "/opt/packer-1.15.0/bin/packer-io": true, "/nix/store/x/bin/.packer-wrapped": true,
		"docker": false, "/opt/packer/bin/docker": false, "make": false, "": false,
	} {
		if got := isPacker([]string{program, "build", "."}); got != want {
			t.Errorf("%q: got %v, want %v", program, got, want)
		}
	}
	if isPacker([]string{"packer-plugin-almanac", "start", "post-processor"}) {
		t.Error("a plugin is taken for packer build")
	}
}

func TestPackerTemplateWithoutPacker(t *testing.T) {
	if got := PackerTemplate(t.Context()); got != "" {
		t.Errorf("got %q for tests that no packer runs", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := PackerTemplate(ctx); got != "" {
		t.Errorf("got %q", got)
	}
}

// packerFlags reads arguments as Packer does; false if they are an error to it.
func packerFlags(args []string) (string, bool) {
	set := flag.NewFlagSet("build", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	for _, name := range boolFlags {
		set.Bool(name, false, "")
	}
	for _, name := range valueFlags {
		set.String(name, "", "")
	}
	if set.Parse(args) != nil || set.NArg() != 1 {
		return "", false
	}
	return set.Arg(0), true
}

func FuzzTemplateArgument(f *testing.F) {
	for _, seed := range []string{
		"app.pkr.hcl", "-var\npassword=hunter2\n.", "-var=a=b\n-only\nx\n--\n-x", "-machine-readable\n-", "-later\nx\ny", "-color=maybe\nx", "--\n--", "---x\ny", "-=\nx", "",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, lines string) {
		args := strings.Split(lines, "\n")
		got := templateArgument(append([]string{"build"}, args...))
		if i := slices.Index(args, "-machine-readable"); i >= 0 {
			args = slices.Concat(args[:i], args[i+1:])
		}
		if got != "" && got != args[len(args)-1] {
			t.Fatalf("%q: got %q, which is not the last argument", args, got)
		}
		want, runs := packerFlags(args)
		if want == "-" {
			want = ""
		}
		if runs && got != want {
			t.Fatalf("%q: got %q, and Packer builds %q", args, got, want)
		}
	})
}
