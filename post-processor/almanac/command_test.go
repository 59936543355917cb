package almanac_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/post-processor/almanac"
)

// compiled returns a directory with the command.
func compiled(t *testing.T) string {
	t.Helper()
	bin := t.TempDir()
	compile := exec.Command("go", "build", "-buildvcs=false", "-o", filepath.Join(bin, "almanac"), "../../cmd/almanac")
	if output, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	return bin
}

// printed returns the command of a report. It is one line: Packer starts each with a prefix.
func printed(t *testing.T, shown string) string {
	t.Helper()
	_, command, ok := strings.Cut(shown, "\n\n    ")
	command = strings.TrimRight(command, "\n")
	if !ok || strings.Contains(command, "\n") {
		t.Fatalf("no command of one line in:\n%s", shown)
	}
	return command
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
	shell.Env = append([]string{"PATH=" + bin + ":" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, environment...)
	if output, err := shell.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s\n%s", err, command, output)
	}
}

// What was refused as a conflict would be refused again.
func TestThePrintedCommandRecordsAfterAConflict(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the command is for a POSIX shell")
	}
	bin := compiled(t)
	for name, firstRun := range map[string]string{"about the build": "run-2", "about the version": "run-1"} {
		t.Run(name, func(t *testing.T) {
			s := servertest.New(t)
			token := s.Token(t, "packer", "publish")
			environment(t, s, token)
			block := options{"artifact": "cargomedia/app", "version": "1.4.0"}
			t.Setenv("ALMANAC_FINGERPRINT", "run-2")
			pp := new(almanac.PostProcessor)
			if err := pp.Configure(block, core("x", "app")); err != nil {
				t.Fatal(err)
			}
			t.Setenv("ALMANAC_FINGERPRINT", firstRun)
			record(t, block, core("x", "app"), ami())
			t.Setenv("ALMANAC_FINGERPRINT", "run-2")
			u, shown := ui()
			second := &product{builderID: "mitchellh.amazonebs", id: "eu-west-1:ami-2", state: map[string]any{
				stateImages: image("aws", "eu-west-1", "ami-2", "", nil),
			}}
			if _, _, _, err := pp.PostProcess(t.Context(), u, second); err != nil {
				t.Fatal(err)
			}
			inShell(t, bin, printed(t, shown.String()), "ALMANAC_TOKEN="+token, "ALMANAC_FINGERPRINT=run-2")
			v, err := s.Client(t, s.AdminToken).Version(t.Context(), "cargomedia/app", "2")
			if err != nil {
				t.Fatal(err)
			}
			if v.Builds[0].Images[0].ID != "ami-2" {
				t.Errorf("got %+v, want ami-2", v)
			}
		})
	}
}

// The command that is printed for a build that could not be recorded does record it.
func TestThePrintedCommandRecordsTheBuild(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the command is for a POSIX shell")
	}
	bin := compiled(t)
	dir := filepath.Join(t.TempDir(), "it's a site")
	write(t, "<html>", dir, "index.html")
	odd := t.TempDir()
	vm := &product{builderID: "jetbrains.vsphere", id: "vm", files: []string{write(t, "ovf", odd, "vm.ovf")}, state: map[string]any{stateImages: image("vsphere", "/dc1/host 5%", "folder/vm", "", nil)}}
	for _, c := range []struct {
		name    string
		product *product
		want    string
	}{
		{"an AMI", ami(), "amazon.image i386 | aws/eu-west-1/ami-1 |"},
		{"a box", &product{builderID: "vagrant", files: []string{makeBox(t, filepath.Join(t.TempDir(), "a.box"), "libvirt", "amd64")}}, "vagrant.box libvirt amd64 | | a.box"},
		{"a box that does not say its architecture", &product{builderID: "vagrant", files: []string{makeBox(t, filepath.Join(t.TempDir(), "b.box"), "libvirt", "")}}, "vagrant.box libvirt i386 | | b.box"},
		{"files with the same base name", &product{builderID: "packer.file", files: []string{write(t, "1", odd, "a", "x.txt"), write(t, "2", odd, "b", "x.txt")}}, "archive i386 | | a/x.txt b/x.txt"},
		{"a file with a name that not all systems have", &product{builderID: "packer.file", files: []string{write(t, "1", odd, "a:b.txt")}}, "archive i386 | | a-b.txt"},
		{"a region that is a path", vm, "vsphere.image i386 | vsphere/%2Fdc1%2Fhost 5%25/folder/vm | vm.ovf"},
		{"a directory", &product{builderID: "packer.post-processor.artifice", files: []string{dir}}, "archive i386 | | it's a site.tar.gz"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := servertest.New(t)
			token := s.Token(t, "packer", "promote")
			environment(t, s, token)
			p := newProxy(t, s)
			p.refuse = func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method == http.MethodGet {
					return false
				}
				w.WriteHeader(http.StatusServiceUnavailable)
				return true
			}
			shown := record(t, options{
				"artifact": "cargomedia/app", "retry_timeout": "50ms", "version": "2.0.0", "channels": "staging", "expect": "x.app", "architecture": "i386",
				"metadata": decoded{"note": "it's \"$HOME\"\nand more"},
			}, core("x", "app"), c.product)
			command := printed(t, shown)
			p.mu.Lock()
			p.refuse = nil
			p.mu.Unlock()
			inShell(t, bin, command, "ALMANAC_TOKEN="+token)
			if got := recorded(t, s); got != c.want {
				t.Errorf("recorded: got %q, want %q", got, c.want)
			}
			v, err := s.Client(t, s.AdminToken).Version(t.Context(), "cargomedia/app", "staging")
			if err != nil {
				t.Fatal(err)
			}
			if v.Version != "2.0.0" || v.Fingerprint != "11111111-2222-3333-4444-555555555555" || v.Builds[0].Component != "x.app" || v.Builds[0].Metadata["note"] != "it's \"$HOME\"\nand more" {
				t.Errorf("got %+v", v)
			}
		})
	}
}
