package almanac_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/post-processor/almanac"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func ami() *product {
	return &product{builderID: "mitchellh.amazonebs", id: "eu-west-1:ami-1", state: map[string]any{
		stateImages: image("aws", "eu-west-1", "ami-1", "ami-0", nil),
	}}
}

// proxy stands before a server and sees all that is sent. refuse, if set, answers in its place.
type proxy struct {
	*httptest.Server
	mu     sync.Mutex
	sent   bytes.Buffer
	refuse func(w http.ResponseWriter, r *http.Request) bool
}

func newProxy(t *testing.T, s *servertest.Server) *proxy {
	t.Helper()
	to, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	p := new(proxy)
	forward := httputil.NewSingleHostReverseProxy(to)
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		p.mu.Lock()
		fmt.Fprintf(&p.sent, "%s %s %v\n%s\n", r.Method, r.URL, r.Header, body)
		refuse := p.refuse
		p.mu.Unlock()
		if refuse != nil && refuse(w, r) {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(p.Close)
	t.Setenv("ALMANAC_ADDR", p.URL)
	return p
}

func (p *proxy) traffic() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sent.String()
}

// Packer calls Configure again when the image is there: nothing may be an error then.
func TestTheSecondConfigureIsNeverAnError(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "publish"))
	pp := new(almanac.PostProcessor)
	if err := pp.Configure(options{"artifact": "cargomedia/app", "metadata": decoded{"ami": "<unknown>"}}, core("amazon-ebs", "app")); err != nil {
		t.Fatal(err)
	}
	s.Stop(t)
	if err := pp.Configure(options{"artifact": "not a name", "version": "x"}, core("amazon-ebs", "app")); err != nil {
		t.Errorf("got %v, want no error", err)
	}
	u, shown := ui()
	if _, keep, _, err := pp.PostProcess(t.Context(), u, ami()); !keep || err != nil {
		t.Errorf("got keep %t, error %v; want it kept", keep, err)
	}
	for _, want := range []string{"NOT RECORDED", "shows only now", "artifact:", "version:"} {
		if !strings.Contains(shown.String(), want) {
			t.Errorf("shown:\n%s\nwant %q in it", shown, want)
		}
	}
}

func TestValuesThatPackerDoesNotFillInAreLeftOut(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "publish"))
	shown := record(t, options{"artifact": "cargomedia/app", "metadata": decoded{"id": "<unknown>", "ok": "yes", "version": "1"}}, core("amazon-ebs", "app"), ami())
	if !strings.Contains(shown, `metadata["id"] is left out`) {
		t.Errorf("shown:\n%s\nwant that metadata is left out", shown)
	}
	if got := recorded(t, s); got != "amazon.image | aws/eu-west-1/ami-1<ami-0 |" {
		t.Errorf("recorded: got %q", got)
	}
}

// A plugin that died answers nothing more, without an error.
func TestAPluginThatDiedIsNoticed(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "publish"))
	a := ami()
	a.state[stateGenerated] = func() { a.builderID, a.id = "", "" }
	shown := record(t, options{"artifact": "cargomedia/app"}, core("amazon-ebs", "app"), a)
	if !strings.Contains(shown, "stopped answering") {
		t.Errorf("shown:\n%s\nwant that the plugin stopped answering", shown)
	}
}

func TestFilesAreNamedApart(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		name  string
		files []string
		want  string
	}{
		{"by base name", []string{write(t, "1", dir, "a", "x.txt"), write(t, "2", dir, "b", "y.txt")}, "x.txt y.txt"},
		{"by path where base names collide", []string{write(t, "1", dir, "a", "x.txt"), write(t, "2", dir, "b", "x.txt")}, "a/x.txt b/x.txt"},
		{"by path where they collide but for case", []string{write(t, "1", dir, "a", "x.txt"), write(t, "2", dir, "b", "X.txt")}, "a/x.txt b/X.txt"},
		{"with characters that not all systems have", []string{write(t, "1", dir, "c", "x:y.txt")}, "x-y.txt"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := servertest.New(t)
			environment(t, s, s.Token(t, "packer", "publish"))
			record(t, options{"artifact": "cargomedia/app"}, core("file", "app"), &product{builderID: "packer.file", files: c.files})
			if got := recorded(t, s); got != "archive | | "+c.want {
				t.Errorf("recorded: got %q, want %q", got, c.want)
			}
		})
	}
}

// countingUI counts what goes through the progress bar.
type countingUI struct {
	packersdk.Ui
	tracked int64
}

type counter struct {
	io.ReadCloser
	n *int64
}

func (c counter) Read(b []byte) (int, error) {
	n, err := c.ReadCloser.Read(b)
	*c.n += int64(n)
	return n, err
}

func (u *countingUI) TrackProgress(_ string, _, _ int64, stream io.ReadCloser) io.ReadCloser {
	return counter{stream, &u.tracked}
}

func TestLargeUploadsShowProgress(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "publish"))
	const size = 3 << 20
	path := write(t, strings.Repeat("x", size), t.TempDir(), "big.bin")
	pp := new(almanac.PostProcessor)
	if err := pp.Configure(options{"artifact": "cargomedia/app"}, core("file", "app")); err != nil {
		t.Fatal(err)
	}
	plain, shown := ui()
	u := &countingUI{Ui: plain}
	if _, _, _, err := pp.PostProcess(t.Context(), u, &product{builderID: "packer.file", files: []string{path}}); err != nil {
		t.Fatal(err)
	}
	if u.tracked != size {
		t.Errorf("the progress bar saw %d bytes, want %d; shown:\n%s", u.tracked, size, shown)
	}
}

func TestDirectoriesGetTheSameDigest(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "publish"))
	var digests []registry.Digest
	for i := range 2 {
		dir := filepath.Join(t.TempDir(), "site")
		write(t, "<html>", dir, "index.html")
		if err := os.Chtimes(filepath.Join(dir, "index.html"), time.Unix(int64(i), 0), time.Unix(int64(i), 0)); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PACKER_RUN_UUID", fmt.Sprint("run-", i))
		record(t, options{"artifact": "cargomedia/app"}, core("file", "app"), &product{builderID: "packer.post-processor.artifice", files: []string{dir}})
		v, err := s.Client(t, s.AdminToken).Version(t.Context(), "cargomedia/app", fmt.Sprint(i+1))
		if err != nil {
			t.Fatal(err)
		}
		digests = append(digests, v.Builds[0].Files[0].SHA256)
	}
	if digests[0] != digests[1] {
		t.Errorf("got %v for the same tree", digests)
	}
}

func TestTerraformTroubleDoesNotUnrecord(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "publish"))
	path := filepath.Join(t.TempDir(), "app.tf")
	block := options{"artifact": "cargomedia/app", "terraform": decoded{"path": path}}
	pp := new(almanac.PostProcessor)
	if err := pp.Configure(block, core("amazon-ebs", "app")); err != nil {
		t.Fatal(err)
	}
	write(t, "# my own\n", path)
	u, shown := ui()
	if _, keep, _, err := pp.PostProcess(t.Context(), u, ami()); err != nil || !keep {
		t.Errorf("got keep %t, error %v; want it kept", keep, err)
	}
	if !strings.Contains(shown.String(), "The build is recorded, but the Terraform file "+path+" was not written") {
		t.Errorf("shown:\n%s\nwant that the file was not written", shown)
	}
	if content, err := os.ReadFile(path); err != nil || string(content) != "# my own\n" {
		t.Errorf("the file was touched: %q, %v", content, err)
	}
	if recorded(t, s) == "" {
		t.Error("the build is not recorded")
	}
	if got := configure(block, core("amazon-ebs", "app")); !strings.Contains(got, "terraform.path: "+path+" was not generated by almanac") {
		t.Errorf("before the next build: got %q, want that the file is somebody's own", got)
	}
	t.Setenv("ALMANAC_FINGERPRINT", "run-2")
	block["terraform"] = decoded{"path": path, "force": true}
	if shown := record(t, block, core("amazon-ebs", "app"), ami()); !strings.Contains(shown, "wrote "+path) {
		t.Errorf("forced: shown:\n%s\nwant that the file was written", shown)
	}
	block["terraform"] = decoded{"path": path}
	block["artifact"] = "cargomedia/other"
	if got := configure(block, core("amazon-ebs", "app")); !strings.Contains(got, "terraform.path: "+path+" is for cargomedia/app") {
		t.Errorf("for another artifact: got %q, want that the file is for cargomedia/app", got)
	}
}
