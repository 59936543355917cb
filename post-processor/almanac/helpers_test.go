package almanac_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/post-processor/almanac"
)

// product is an artifact as a post-processor sees it, after its way between plugins.
type product struct {
	builderID, id string
	files         []string
	state         map[string]any
	asked         []string
	destroyed     bool
}

func (p *product) BuilderId() string { return p.builderID }
func (p *product) Id() string        { return p.id }
func (p *product) Files() []string   { return p.files }
func (p *product) String() string    { return "a product" }
func (p *product) Destroy() error    { p.destroyed = true; return nil }

func (p *product) State(key string) any {
	p.asked = append(p.asked, key)
	if wait, ok := p.state[key].(func()); ok {
		wait()
		return nil
	}
	return p.state[key]
}

// decoded is a map as it arrives.
type decoded = map[any]any

// options is a block of a template.
type options = map[string]any

// ui collects what Packer would show.
func ui() (*packersdk.BasicUi, *bytes.Buffer) {
	var shown bytes.Buffer
	return &packersdk.BasicUi{
		Reader: strings.NewReader(""), Writer: &shown, ErrorWriter: &shown, PB: &packersdk.NoopProgressTracker{},
	}, &shown
}

// here is the package's directory: tests run elsewhere, because publish files are written where they run.
var here, _ = os.Getwd()

// environment keeps the machine's own settings away from a test, and its files in a directory.
func environment(t testing.TB, s *servertest.Server, token string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, value := range map[string]string{
		"ALMANAC_ADDR": s.URL, "ALMANAC_TOKEN": token, "ALMANAC_FINGERPRINT": "", "PACKER_RUN_UUID": "11111111-2222-3333-4444-555555555555",
	} {
		t.(interface{ Setenv(string, string) }).Setenv(name, value)
	}
}

// core is what Packer itself adds to a configuration.
func core(builder, name string) options {
	return options{"packer_builder_type": builder, "packer_build_name": name, "packer_core_version": "1.15.0"}
}

// record configures a post-processor and gives it an artifact. It returns what was shown.
func record(t testing.TB, block, core options, p *product) string {
	t.Helper()
	pp := new(almanac.PostProcessor)
	if err := pp.Configure(block, core); err != nil {
		t.Fatalf("configure: %v", err)
	}
	u, shown := ui()
	got, keep, force, err := pp.PostProcess(t.Context(), u, p)
	if err != nil || got != packersdk.Artifact(p) || !keep || !force {
		t.Errorf("got %v, keep %t, force %t, error %v; want the input artifact, kept by force", got, keep, force, err)
	}
	if p.destroyed {
		t.Error("the artifact was destroyed")
	}
	return shown.String()
}

func write(t testing.TB, content string, parts ...string) string {
	t.Helper()
	path := filepath.Join(parts...)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// makeBox writes a Vagrant box with a disk of a few bytes.
func makeBox(t testing.TB, path, provider, architecture string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for name, content := range map[string]string{
		"metadata.json": fmt.Sprintf(`{"provider":%q,"architecture":%q}`, provider, architecture),
		"box-disk.vmdk": "disk",
	} {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []io.Closer{w, z} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return write(t, b.String(), path)
}
