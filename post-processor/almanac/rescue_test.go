package almanac_test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/cargomedia/packer-plugin-almanac/internal/publishfile"
	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/post-processor/almanac"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// problem answers a call with an error of the registry.
func problem(status int, body string) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet {
			return false
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		fmt.Fprint(w, body)
		return true
	}
}

var away = problem(http.StatusServiceUnavailable, `{"kind":"unavailable","status":503,"detail":"the store is away"}`)

func (p *proxy) answer(refuse func(http.ResponseWriter, *http.Request) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = refuse
}

var namedFile = regexp.MustCompile(`\n\n    (\S.*\.almanac-publish\.json)\n\n`)

// publishFile returns the path of the one publish file in a directory, which what is shown names.
func publishFile(t *testing.T, dir, shown string) string {
	t.Helper()
	paths, err := publishfile.Pending(dir)
	if err != nil || len(paths) != 1 {
		t.Fatalf("got the publish files %v, %v; want one in %s; shown:\n%s", paths, err, dir, shown)
	}
	if named := namedFile.FindStringSubmatch(shown); named == nil || named[1] != paths[0] {
		t.Errorf("shown:\n%s\nwant %s in it", shown, paths[0])
	}
	return paths[0]
}

// send sends a publish file twice and returns the receipt.
func send(t *testing.T, s *servertest.Server, path string) registry.Receipt {
	t.Helper()
	f, err := publishfile.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := f.Send(t.Context(), s.Client(t, s.AdminToken), nil)
	if err != nil {
		t.Fatal(err)
	}
	again, err := f.Send(t.Context(), s.Client(t, s.AdminToken), nil)
	if err != nil {
		t.Fatalf("sent again: %v", err)
	}
	if diff := cmp.Diff(receipt, again); diff != "" {
		t.Errorf("sent again (-first +second):\n%s", diff)
	}
	return receipt
}

func cwd(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestTheRegistrysTroubleCostsNoBuild(t *testing.T) {
	asItIs := registry.Publication{Fingerprint: "run-1", Version: "1.4.0", Expect: []string{"amazon-ebs.app"}, Channels: []string{"staging"}}
	for _, c := range []struct {
		name   string
		refuse func(http.ResponseWriter, *http.Request) bool
		want   []string
		change func(*registry.Publication) // of what the publish file has
	}{
		{"away", away, []string{"the store is away", "it changes nothing if the build was recorded after all"}, nil},
		{"an error of the server", problem(http.StatusInternalServerError, `{"kind":"internal","status":500}`), nil, nil},
		{"no longer allowed", problem(http.StatusForbidden, `{"kind":"forbidden","status":403,"detail":"the token was revoked"}`),
			[]string{"the token was revoked", "with a token that may publish"}, nil},
		{"a conflict", problem(http.StatusConflict, `{"kind":"conflict","status":409,"detail":"recorded with other content","fields":[{"field":"build.images","message":"ami-0 is left out"}]}`),
			[]string{"recorded with other content", "if the template uses one source twice", "It has a new fingerprint and no version, and so makes a new version."},
			func(p *registry.Publication) { p.Fingerprint, p.Version = "", "" }},
		{"a conflict about the version", problem(http.StatusConflict, `{"kind":"conflict","status":409,"detail":"another version","fields":[{"field":"version","message":"is 1.0.0"}]}`),
			[]string{"version: is 1.0.0\nWhat was built is kept", "It leaves out the version,"}, // no hint: it would be about something else
			func(p *registry.Publication) { p.Version = "" }},
		{"a conflict about what is expected", problem(http.StatusConflict, `{"kind":"conflict","status":409,"detail":"expects another","fields":[{"field":"version","message":"is 1.0.0"},{"field":"expect","message":"is x.b"}]}`),
			[]string{"It leaves out the version and expect,"}, func(p *registry.Publication) { p.Version, p.Expect = "", nil }},
		{"a version of another run", problem(http.StatusConflict, `{"kind":"conflict","status":409,"detail":"exists already"}`),
			[]string{"It leaves out the version, and so gets the next free one."}, func(p *registry.Publication) { p.Version = "" }},
		{"a conflict about something else", problem(http.StatusConflict, `{"kind":"conflict","status":409,"detail":"no","fields":[{"field":"artifact","message":"differs in case"}]}`),
			[]string{"As it is, the registry refuses it again"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := servertest.New(t)
			environment(t, s, s.Token(t, "packer", "promote"))
			p := newProxy(t, s)
			pp := new(almanac.PostProcessor)
			if err := pp.Configure(options{
				"artifact": "cargomedia/app", "metadata": decoded{"quote": "it's $HOME"}, "channels": "staging", "expect": "amazon-ebs.app", "version": "1.4.0", "retry_timeout": "100ms", "fingerprint": "run-1",
			}, core("amazon-ebs", "app")); err != nil {
				t.Fatal(err)
			}
			p.answer(c.refuse)
			u, shown := ui()
			a := ami()
			got, keep, force, err := pp.PostProcess(t.Context(), u, a)
			if got != packersdk.Artifact(a) || !keep || !force || err != nil {
				t.Errorf("got %v, %t, %t, %v; want the input artifact, kept", got, keep, force, err)
			}
			path := publishFile(t, cwd(t), shown.String())
			for _, want := range append(c.want, "THIS BUILD IS NOT RECORDED", "What was built is kept", "ALMANAC_TOKEN",
				"    almanac publish --from "+path+" --address "+p.URL+"\n", "It can be repeated.", "`almanac publish --pending "+cwd(t)+" --address "+p.URL+"`", "a CI can fail on `*.almanac-publish.json`") {
				if !strings.Contains(shown.String(), want) {
					t.Errorf("shown:\n%s\nwant %q in it", shown, want)
				}
			}
			content, err := os.ReadFile(path)
			if err != nil || strings.Contains(shown.String()+string(content), "alm_") {
				t.Errorf("the token was shown or written, or %v:\n%s\n%s", err, shown, content)
			}
			f, err := publishfile.Read(path)
			if err != nil {
				t.Fatal(err)
			}
			want := asItIs
			if c.change != nil {
				c.change(&want)
			}
			if want.Fingerprint == "" {
				if f.Publication.Fingerprint == "run-1" || registry.CheckFingerprint(f.Publication.Fingerprint) != nil {
					t.Errorf("got the fingerprint %q, want a new one", f.Publication.Fingerprint)
				}
				want.Fingerprint = f.Publication.Fingerprint
			}
			want.Build = f.Publication.Build
			if diff := cmp.Diff(want, f.Publication); diff != "" {
				t.Errorf("publication (-want +got):\n%s", diff)
			}
			if f.Address != p.URL || f.Artifact != "cargomedia/app" || f.Reason == "" || f.WrittenAt.IsZero() {
				t.Errorf("got %+v", f)
			}
		})
	}
}

// What is in the file is all that would have been recorded.
func TestThePublishFileRecordsTheBuild(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "it's a site")
	write(t, "<html>", dir, "index.html")
	odd := t.TempDir()
	vm := &product{builderID: "jetbrains.vsphere", id: "vm", files: []string{write(t, "ovf", odd, "vm.ovf")}, state: map[string]any{stateImages: image("vsphere", "/dc1/host 5%", "folder/vm", "", nil)}}
	for _, c := range []struct {
		name    string
		product *product
		want    string
	}{
		{"an AMI", ami(), "amazon.image i386 | aws/eu-west-1/ami-1<ami-0 |"},
		{"a box", &product{builderID: "vagrant", files: []string{makeBox(t, filepath.Join(t.TempDir(), "a.box"), "libvirt", "amd64")}}, "vagrant.box libvirt amd64 | | a.box"},
		{"files with the same base name", &product{builderID: "packer.file", files: []string{write(t, "1", odd, "a", "x.txt"), write(t, "2", odd, "b", "x.txt")}}, "archive i386 | | a/x.txt b/x.txt"},
		{"a region that is a path", vm, "vsphere.image i386 | vsphere/%2Fdc1%2Fhost 5%25/folder/vm | vm.ovf"},
		{"a directory", &product{builderID: "packer.post-processor.artifice", files: []string{dir}}, "archive i386 | | it's a site.tar.gz"},
	} {
		for _, at := range []string{"/uploads", "/publish"} {
			t.Run(c.name+" refused at "+at, func(t *testing.T) {
				s := servertest.New(t)
				environment(t, s, s.Token(t, "packer", "promote"))
				p := newProxy(t, s)
				p.answer(func(w http.ResponseWriter, r *http.Request) bool {
					return (strings.Contains(r.URL.Path, at) || strings.HasSuffix(r.URL.Path, "/publish")) && away(w, r)
				})
				shown := record(t, options{
					"artifact": "cargomedia/app", "retry_timeout": "50ms", "version": "2.0.0", "channels": "staging", "expect": "x.app", "architecture": "i386",
					"metadata": decoded{"note": "it's \"$HOME\"\nand more"},
				}, core("x", "app"), c.product)
				send(t, s, publishFile(t, cwd(t), shown))
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
}

// What was refused as a conflict would be refused again.
func TestThePublishFileRecordsAfterAConflict(t *testing.T) {
	for name, firstRun := range map[string]string{"about the build": "run-2", "about the version": "run-1"} {
		t.Run(name, func(t *testing.T) {
			s := servertest.New(t)
			environment(t, s, s.Token(t, "packer", "publish"))
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
			receipt := send(t, s, publishFile(t, cwd(t), shown.String()))
			v, err := s.Client(t, s.AdminToken).Version(t.Context(), "cargomedia/app", "2")
			if err != nil {
				t.Fatal(err)
			}
			if receipt.Number != 2 || v.Builds[0].Images[0].ID != "ami-2" {
				t.Errorf("got %+v, want ami-2", v)
			}
		})
	}
}

// stuck records an AMI that the registry does not take, and returns what was shown.
func stuck(t *testing.T, s *servertest.Server, core options) string {
	t.Helper()
	p := newProxy(t, s)
	p.answer(away)
	return record(t, options{"artifact": "cargomedia/app", "retry_timeout": "10ms"}, core, ami())
}

func TestWhereThePublishFileLies(t *testing.T) {
	s := servertest.New(t)
	token := s.Token(t, "packer", "publish")
	t.Run("beside the template", func(t *testing.T) {
		environment(t, s, token)
		dir := t.TempDir()
		from := core("x", "app")
		from["packer_template_path"] = write(t, "{}", dir, "app.json")
		publishFile(t, dir, stuck(t, s, from))
	})
	t.Run("in the working directory when there is no template", func(t *testing.T) {
		environment(t, s, token)
		from := core("x", "app")
		from["packer_template_path"] = filepath.Join(t.TempDir(), "gone", "-")
		publishFile(t, cwd(t), stuck(t, s, from))
	})
	t.Run("in the directory of temporary files when there is no other", func(t *testing.T) {
		environment(t, s, token)
		temporary := t.TempDir()
		t.Setenv("TMPDIR", temporary)
		removeWorkingDirectory(t)
		publishFile(t, temporary, stuck(t, s, core("x", "app")))
	})
	t.Run("in the command when there is none at all", func(t *testing.T) {
		environment(t, s, token)
		t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "gone"))
		removeWorkingDirectory(t)
		shown := stuck(t, s, core("x", "app"))
		_, command, _ := strings.Cut(shown, "\n\n    ")
		command, _, ok := strings.Cut(command, " | almanac publish --from - --address http://")
		if !ok || strings.Contains(command, "\n") || !strings.Contains(shown, "A publish file could not be written: ") {
			t.Fatalf("shown:\n%s\nwant a command of one line", shown)
		}
		shell := exec.Command("sh", "-c", command)
		shell.Dir = here
		text, err := shell.Output()
		if err != nil {
			t.Fatalf("%v\n%s", err, command)
		}
		f, err := publishfile.Decode(bytes.NewReader(text), "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Send(t.Context(), s.Client(t, s.AdminToken), nil); err != nil {
			t.Fatal(err)
		}
		if got := recorded(t, s); got != "amazon.image | aws/eu-west-1/ami-1<ami-0 |" {
			t.Errorf("recorded: got %q", got)
		}
	})
}

// removeWorkingDirectory leaves a directory in which nothing can be written, by root either.
func removeWorkingDirectory(t *testing.T) {
	t.Helper()
	if err := os.Remove(cwd(t)); err != nil {
		t.Skipf("a working directory cannot be removed here: %v", err)
	}
}

// What was learned before the artifact hung suffices for an AMI.
func TestAnArtifactThatHangsLeavesAPublishFile(t *testing.T) {
	for _, c := range []struct {
		key  string
		want string
		text []string
	}{
		{stateImages, "amazon.image | aws/eu-west-1/ami-1 |", []string{"its state " + stateImages + ", its state " + stateAtlas + ", its state " + stateGenerated}},
		{stateGenerated, "amazon.image | aws/eu-west-1/ami-1<ami-0 |", []string{"would have said: its state " + stateGenerated, `metadata["late"] is left out`}},
	} {
		t.Run(c.key, func(t *testing.T) {
			s := servertest.New(t)
			environment(t, s, s.Token(t, "packer", "publish"))
			never := make(chan struct{})
			defer close(never)
			a := ami()
			a.state[c.key] = func() { <-never }
			pp := new(almanac.PostProcessor)
			almanac.SetStateTimeout(pp, 50*time.Millisecond)
			for _, late := range []string{"<unknown>", "pw-secret-1"} {
				if err := pp.Configure(core("amazon-ebs", "app"), hcl2(t, `
					artifact = "cargomedia/app"
					metadata = { ok = "yes", late = "`+late+`" }`)); err != nil {
					t.Fatal(err)
				}
			}
			u, shown := ui()
			if _, keep, _, err := pp.PostProcess(t.Context(), u, a); err != nil || !keep {
				t.Fatalf("got keep %t, error %v; want it kept", keep, err)
			}
			for _, want := range append(c.text, "NOT RECORDED", "asked for its state "+c.key, "hangs") {
				if !strings.Contains(shown.String(), want) {
					t.Errorf("shown:\n%s\nwant %q in it", shown, want)
				}
			}
			path := publishFile(t, cwd(t), shown.String())
			if content, err := os.ReadFile(path); err != nil || strings.Contains(string(content), "pw-secret") {
				t.Errorf("the file holds what may be a secret, or %v:\n%s", err, content)
			}
			send(t, s, path)
			if got := recorded(t, s); got != c.want {
				t.Errorf("recorded: got %q, want %q", got, c.want)
			}
		})
	}
	t.Run("with a name that may hold a secret there is none", func(t *testing.T) {
		s := servertest.New(t)
		environment(t, s, s.Token(t, "packer", "publish"))
		a := ami()
		a.state[stateGenerated] = func() { panic("broken") }
		shown := recordHCL2(t, `artifact = "cargomedia/app"
			component = "x.<unknown>"`, `artifact = "cargomedia/app"
			component = "x.pw-secret-1"`, a)
		if paths, err := publishfile.Pending("."); err != nil || len(paths) > 0 || strings.Contains(shown, "pw-secret") || !strings.Contains(shown, "aws/eu-west-1/ami-1") {
			t.Errorf("got the publish files %v, %v; shown:\n%s\nwant none, and what was built", paths, err, shown)
		}
	})
}
