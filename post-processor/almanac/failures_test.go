package almanac_test

import (
	"bytes"
	"context"
	"errors"
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

func TestTheRegistrysTroubleCostsNoBuild(t *testing.T) {
	for _, c := range []struct {
		name   string
		refuse func(http.ResponseWriter, *http.Request) bool
		want   []string
		drop   []string // what the command leaves out
	}{
		{"away", func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		},
			[]string{"is not available", "it can be run more than once"}, nil},
		{"no longer allowed", func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `{"kind":"forbidden","status":403,"detail":"the token was revoked"}`)
			return true
		}, []string{"the token was revoked"}, nil},
		{"a conflict", func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusConflict)
			fmt.Fprint(w, `{"kind":"conflict","status":409,"detail":"recorded with other content","fields":[{"field":"build.images","message":"ami-0 is left out"}]}`)
			return true
		}, []string{"recorded with other content", "if the template uses one source twice", "It leaves out the fingerprint and the version, and so makes a new version:"},
			[]string{" --fingerprint 11111111-2222-3333-4444-555555555555", " --version 1.4.0"}},
		{"a conflict about the version", func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusConflict)
			fmt.Fprint(w, `{"kind":"conflict","status":409,"detail":"another version","fields":[{"field":"version","message":"is 1.0.0"}]}`)
			return true
		}, []string{"version: is 1.0.0\nWhat was built is kept", "It leaves out the version,"}, // no hint: it would be about something else
			[]string{" --version 1.4.0"}},
		{"a conflict about what is expected", func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusConflict)
			fmt.Fprint(w, `{"kind":"conflict","status":409,"detail":"expects another","fields":[{"field":"version","message":"is 1.0.0"},{"field":"expect","message":"is x.b"}]}`)
			return true
		}, []string{"It leaves out the version and expect,"}, []string{" --version 1.4.0", " --expect amazon-ebs.app"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := servertest.New(t)
			environment(t, s, s.Token(t, "packer", "promote"))
			p := newProxy(t, s)
			pp := new(almanac.PostProcessor)
			if err := pp.Configure(options{
				"artifact": "cargomedia/app", "metadata": decoded{"quote": "it's $HOME"}, "channels": "staging", "expect": "amazon-ebs.app", "version": "1.4.0", "retry_timeout": "100ms",
			}, core("amazon-ebs", "app")); err != nil {
				t.Fatal(err)
			}
			p.mu.Lock()
			p.refuse = c.refuse
			p.mu.Unlock()
			u, shown := ui()
			a := ami()
			got, keep, force, err := pp.PostProcess(t.Context(), u, a)
			if got != packersdk.Artifact(a) || !keep || !force || err != nil {
				t.Errorf("got %v, %t, %t, %v; want the input artifact, kept", got, keep, force, err)
			}
			command := "almanac publish cargomedia/app --address " + p.URL + " --type amazon.image --fingerprint 11111111-2222-3333-4444-555555555555" +
				" --component amazon-ebs.app --image aws/eu-west-1/ami-1 --metadata 'quote=it'\\''s $HOME' --version 1.4.0 --channel staging --expect amazon-ebs.app\n"
			for _, left := range c.drop {
				command = strings.Replace(command, left, "", 1)
			}
			for _, want := range append(c.want, "THIS BUILD IS NOT RECORDED", "What was built is kept", command) {
				if !strings.Contains(shown.String(), want) {
					t.Errorf("shown:\n%s\nwant %q in it", shown, want)
				}
			}
			if strings.Contains(shown.String(), "alm_") {
				t.Errorf("the token was shown:\n%s", shown)
			}
		})
	}
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

func TestAnArtifactThatHangsIsNamed(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "publish"))
	never := make(chan struct{})
	defer close(never)
	a := ami()
	a.state[stateAtlas] = func() { <-never }
	pp := new(almanac.PostProcessor)
	almanac.SetStateTimeout(pp, 50*time.Millisecond)
	if err := pp.Configure(options{"artifact": "cargomedia/app"}, core("amazon-ebs", "app")); err != nil {
		t.Fatal(err)
	}
	u, shown := ui()
	if _, _, _, err := pp.PostProcess(t.Context(), u, a); err != nil {
		t.Errorf("got %v, want no error", err)
	}
	if !strings.Contains(shown.String(), "its state atlas.artifact.metadata") || !strings.Contains(shown.String(), "hangs") {
		t.Errorf("shown:\n%s\nwant the key that hangs", shown)
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

func TestAnInterruptRecordsNothingOrAll(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "publish"))
	p := newProxy(t, s)
	t.Run("before the call nothing is recorded", func(t *testing.T) {
		pp := new(almanac.PostProcessor)
		if err := pp.Configure(options{"artifact": "cargomedia/app"}, core("amazon-ebs", "app")); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		u, _ := ui()
		if _, _, _, err := pp.PostProcess(ctx, u, ami()); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
		if got := recorded(t, s); got != "" {
			t.Errorf("recorded: %s", got)
		}
	})
	t.Run("during the call it is finished", func(t *testing.T) {
		pp := new(almanac.PostProcessor)
		if err := pp.Configure(options{"artifact": "cargomedia/app"}, core("amazon-ebs", "app")); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		p.mu.Lock()
		p.refuse = func(_ http.ResponseWriter, r *http.Request) bool {
			if strings.HasSuffix(r.URL.Path, "/publish") {
				cancel()
				time.Sleep(100 * time.Millisecond)
			}
			return false
		}
		p.mu.Unlock()
		u, shown := ui()
		if _, keep, _, err := pp.PostProcess(ctx, u, ami()); err != nil || !keep {
			t.Errorf("got keep %t, error %v; want it kept", keep, err)
		}
		if got := recorded(t, s); got == "" || !strings.Contains(shown.String(), "Recorded") {
			t.Errorf("recorded %q, shown:\n%s\nwant it recorded", got, shown)
		}
	})
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
