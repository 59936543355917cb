package almanac_test

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/cargomedia/packer-plugin-almanac/internal/publishfile"
	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/post-processor/almanac"
)

// A registry that takes a connection and never answers must not hold the build up for ever.
func TestASilentRegistryIsGivenUp(t *testing.T) {
	for _, c := range []struct {
		name, path string
		product    *product
		want       string
	}{
		{"at an upload", "/v1/uploads", &product{builderID: "packer.file", files: []string{write(t, "x", t.TempDir(), "x")}}, "took nothing more of it for 250ms"},
		{"at the publication", "/publish", ami(), "NOT RECORDED"},
		{"at the Terraform file", "/v1/resolve", ami(), "The build is recorded, but the Terraform file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := servertest.New(t)
			environment(t, s, s.Token(t, "packer", "publish"))
			p := newProxy(t, s)
			p.refuse = func(_ http.ResponseWriter, r *http.Request) bool {
				if strings.Contains(r.URL.Path, c.path) {
					<-r.Context().Done()
					return true
				}
				return false
			}
			pp := new(almanac.PostProcessor)
			almanac.SetAnswerTime(pp, 200*time.Millisecond)
			if err := pp.Configure(options{"artifact": "cargomedia/app", "retry_timeout": "50ms", "terraform": decoded{"path": filepath.Join(t.TempDir(), "app.tf")}}, core("x", "app")); err != nil {
				t.Fatal(err)
			}
			u, shown := ui()
			begin := time.Now()
			if _, keep, _, err := pp.PostProcess(t.Context(), u, c.product); err != nil || !keep {
				t.Errorf("got keep %t, error %v; want it kept", keep, err)
			}
			if took := time.Since(begin); took > 10*time.Second {
				t.Errorf("it took %s", took)
			}
			if !strings.Contains(shown.String(), c.want) {
				t.Errorf("shown:\n%s\nwant %q in it", shown, c.want)
			}
		})
	}
}

// slowly reads a file with pauses, as a slow connection takes it.
type slowly struct{ io.ReadCloser }

func (s slowly) Read(b []byte) (int, error) {
	time.Sleep(100 * time.Millisecond)
	return s.ReadCloser.Read(b[:min(len(b), 256<<10)])
}

type slowUI struct{ packersdk.Ui }

func (slowUI) TrackProgress(_ string, _, _ int64, stream io.ReadCloser) io.ReadCloser {
	return slowly{stream}
}

func TestASlowUploadIsNotGivenUp(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "publish"))
	path := write(t, strings.Repeat("x", 3<<20), t.TempDir(), "big.bin")
	pp := new(almanac.PostProcessor)
	almanac.SetAnswerTime(pp, 600*time.Millisecond)
	if err := pp.Configure(options{"artifact": "cargomedia/app", "retry_timeout": "1ms"}, core("file", "app")); err != nil {
		t.Fatal(err)
	}
	u, shown := ui()
	begin := time.Now()
	if _, _, _, err := pp.PostProcess(t.Context(), slowUI{u}, &product{builderID: "packer.file", files: []string{path}}); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took < 700*time.Millisecond || recorded(t, s) == "" {
		t.Errorf("recorded %q after %s, want it recorded later than the limit; shown:\n%s", recorded(t, s), took, shown)
	}
}

type panickyUI struct{ packersdk.Ui }

func (panickyUI) TrackProgress(string, int64, int64, io.ReadCloser) io.ReadCloser {
	panic("the progress bar broke")
}

// A plugin that panics dies, and Packer destroys the image.
func TestAPanicCostsNoBuild(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "publish"))
	for name, a := range map[string]*product{
		"of ours":         {builderID: "packer.file", files: []string{write(t, strings.Repeat("x", 2<<20), t.TempDir(), "big.bin")}},
		"in the artifact": {builderID: "packer.file", state: map[string]any{stateAtlas: func() { panic("the artifact broke") }}},
	} {
		t.Run(name, func(t *testing.T) {
			pp := new(almanac.PostProcessor)
			if err := pp.Configure(options{"artifact": "cargomedia/app"}, core("file", "app")); err != nil {
				t.Fatal(err)
			}
			u, shown := ui()
			got, keep, force, err := pp.PostProcess(t.Context(), panickyUI{u}, a)
			if got != packersdk.Artifact(a) || !keep || !force || err != nil {
				t.Errorf("got %v, %t, %t, %v; want the input artifact, kept", got, keep, force, err)
			}
			for _, want := range []string{"NOT RECORDED", " broke"} {
				if !strings.Contains(shown.String(), want) {
					t.Errorf("shown:\n%s\nwant %q in it", shown, want)
				}
			}
		})
	}
}

// A plugin that died before the first question answers nothing at all.
func TestAPluginThatWasDeadIsNoticed(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "publish"))
	shown := record(t, options{"artifact": "cargomedia/app"}, core("amazon-ebs", "app"), &product{})
	if !strings.Contains(shown, "NOT RECORDED") || !strings.Contains(shown, "stopped answering") {
		t.Errorf("shown:\n%s\nwant that the plugin stopped answering", shown)
	}
}

func TestTooMuchMetadataIsLeftOut(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "publish"))
	before, after := "", ""
	for i := range 20 {
		before += fmt.Sprintf("k%02d = \"<unknown>\"\n", i)
		after += fmt.Sprintf("k%02d = %q\n", i, strings.Repeat("x", 4000))
	}
	block := "artifact = \"cargomedia/app\"\nmetadata = {\n%s}"
	shown := recordHCL2(t, fmt.Sprintf(block, before), fmt.Sprintf(block, after), ami())
	if !strings.Contains(shown, `metadata["k16"] is left out: with it the whole has 68051 bytes in all; at most 65536`) {
		t.Errorf("shown:\n%s\nwant that too much is left out", shown)
	}
	v, err := s.Client(t, s.AdminToken).Version(t.Context(), "cargomedia/app", "1")
	if err != nil {
		t.Fatal(err)
	}
	if got := len(v.Builds[0].Metadata); got != 16 {
		t.Errorf("got %d entries, want the 16 that fit", got)
	}
}

// A publish file that records a part would make a conflict of the whole.
func TestNoPublishFileForAPart(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "publish"))
	a := ami()
	a.builderID, a.files = "jetbrains.vsphere", []string{filepath.Join(t.TempDir(), "gone.ovf"), os.DevNull}
	shown := record(t, options{"artifact": "cargomedia/app"}, core("vsphere-iso", "app"), a)
	for _, want := range []string{"NOT RECORDED", "gone.ovf: no such file", os.DevNull + " is neither", "    aws/eu-west-1/ami-1\n", "    " + os.DevNull + "\n"} {
		if !strings.Contains(shown, want) {
			t.Errorf("shown:\n%s\nwant %q in it", shown, want)
		}
	}
	if paths, err := publishfile.Pending("."); err != nil || len(paths) > 0 || strings.Contains(shown, "--from") {
		t.Errorf("got the publish files %v, %v; want none; shown:\n%s", paths, err, shown)
	}
}

func TestWhatIsRecordedOfTheRunIsCompared(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "publish"))
	block := options{"artifact": "cargomedia/app", "version": "1.4.0", "expect": []any{"x.b", "x.a"}, "fingerprint": "pipeline-7"}
	record(t, block, core("x", "a"), ami())
	var logged bytes.Buffer
	log.SetOutput(&logged)
	defer log.SetOutput(os.Stderr)
	if got := configure(block, core("x", "b")); got != "" || strings.Contains(logged.String(), "[WARN]") {
		t.Errorf("another part of the run: got %q, logged:\n%s", got, &logged)
	}
	want := "fingerprint: x.a is recorded already in version 1.4.0 by the run pipeline-7; a rebuilt image never equals it: use another fingerprint, or build only what is missing with -only=…"
	if got := configure(block, core("x", "a")); !strings.Contains(got, want) {
		t.Errorf("the same image again: got %q, want %q in it", got, want)
	}
	record(t, block, core("x", "b"), &product{builderID: "packer.file", files: []string{write(t, "x", t.TempDir(), "x")}})
	if got := configure(block, core("x", "b")); got != "" || !strings.Contains(logged.String(), "[WARN] x.b of the run pipeline-7 is recorded already") {
		t.Errorf("the same file again: got %q, logged:\n%s\nwant a warning", got, &logged)
	}
	block["version"], block["expect"] = "1.5.0", []any{"x.a"}
	got := configure(block, core("x", "b"))
	for _, want := range []string{"version: is 1.5.0, and the run pipeline-7 is recorded as 1.4.0 already", `expect: is ["x.a"], and the run pipeline-7 is recorded with ["x.a" "x.b"] already`} {
		if !strings.Contains(got, want) {
			t.Errorf("got:\n%s\nwant %q in it", got, want)
		}
	}
}

// Packer does not say which sources there are, so a component that is not expected may be meant or misspelt.
func TestAComponentThatIsNotExpectedIsToldOf(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "publish"))
	pp := new(almanac.PostProcessor)
	if err := pp.Configure(options{"artifact": "cargomedia/app", "expect": []any{"x.lats"}, "fingerprint": "run-1"}, core("x", "last")); err != nil {
		t.Fatal(err)
	}
	shown := finish(t, pp)
	for _, want := range []string{"still expects x.lats", "expect does not list x.last itself"} {
		if !strings.Contains(shown, want) {
			t.Errorf("shown:\n%s\nwant %q in it", shown, want)
		}
	}
}
