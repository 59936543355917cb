package almanac_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/publishfile"
	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/post-processor/almanac"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func TestThePublishFileHoldsNoSecrets(t *testing.T) {
	const variable, password = "hunter2222", "a-long-generated-password"
	s := servertest.New(t)
	for _, c := range []struct {
		name    string
		dir     func(token string) string // of the file that was built
		refused string                    // why there is no publish file
	}{
		{"in the reason and in metadata", func(string) string { return "plain" }, ""},
		{"that is a word in the path of what was built", func(string) string { return "output-vagrant" }, ""},
		{"that is the token, in a path", func(token string) string { return "x" + token }, "There is no publish file: it would hold the token in files[0].path"},
		{"that a variable has, in a path", func(string) string { return "x" + variable }, `it would hold the value of the sensitive variable "password" in files[0].path`},
		{"that the build made, in a path", func(string) string { return "x" + password }, "it would hold the build's WinRMPassword in files[0].path"},
	} {
		t.Run(c.name, func(t *testing.T) {
			token := s.Token(t, c.name, "publish")
			environment(t, s, token)
			p := newProxy(t, s)
			a := &product{
				builderID: "packer.file", files: []string{write(t, "x", t.TempDir(), c.dir(token), "x")},
				state: map[string]any{stateGenerated: decoded{"Password": "vagrant", "WinRMPassword": password}},
			}
			from := core("file", "app")
			from["packer_user_variables"], from["packer_sensitive_variables"] = decoded{"password": variable}, []any{"password"}
			pp := new(almanac.PostProcessor)
			if err := pp.Configure(options{"artifact": "cargomedia/app", "metadata": decoded{"ok": "yes"}}, from); err != nil {
				t.Fatal(err)
			}
			// What the values of the build make of it is known only when it is done.
			if err := pp.Configure(options{"artifact": "cargomedia/app", "metadata": decoded{"ok": "yes", "a": "x" + token, "b": variable, "c": "me:" + password}}, from); err != nil {
				t.Fatal(err)
			}
			p.answer(func(w http.ResponseWriter, _ *http.Request) bool {
				return problem(http.StatusForbidden, fmt.Sprintf(`{"kind":"forbidden","status":403,"detail":"no: %s, %s, %s"}`, token, variable, password))(w, &http.Request{})
			})
			u, shown := ui()
			if _, keep, _, err := pp.PostProcess(t.Context(), u, a); err != nil || !keep {
				t.Errorf("got keep %t, error %v; want it kept", keep, err)
			}
			written := ""
			if c.refused == "" {
				path := publishFile(t, cwd(t), shown.String())
				content, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				written = string(content)
				f, err := publishfile.Read(path)
				if err != nil || !strings.HasSuffix(f.Reason, ", <sensitive>, <sensitive>") || len(f.Publication.Build.Metadata) != 1 {
					t.Errorf("got %+v, %v; want the reason masked and metadata without secrets", f, err)
				}
			} else if paths, err := publishfile.Pending("."); err != nil || len(paths) > 0 || !strings.Contains(shown.String(), c.refused) {
				t.Errorf("got the publish files %v, %v; shown:\n%s\nwant none, and %q", paths, err, shown, c.refused)
			}
			for _, secret := range []string{token, variable, password} {
				if strings.Contains(shown.String()+written, secret) {
					t.Errorf("%q was shown or written:\n%s\n%s", secret, shown, written)
				}
			}
		})
	}
}

// inGit makes a git work tree with a template and returns the template's path and the commit.
func inGit(t *testing.T, branch string) (template, commit string) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		const hint = "git is not there; install it to test provenance"
		if os.Getenv("CI") == "true" {
			t.Fatal(hint)
		}
		t.Skip(hint)
	}
	dir := t.TempDir()
	template = write(t, "{}", dir, "images", "app.json")
	var out []byte
	for _, args := range [][]string{
		{"init", "-q", "-b", branch}, {"add", "."},
		{"-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "commit.gpgsign=false", "commit", "-q", "-m", "one"}, {"rev-parse", "HEAD"},
	} {
		cmd := exec.Command("git", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull)
		var err error
		if out, err = cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	return template, strings.TrimSpace(string(out))
}

func TestProvenanceIsThatOfTheBeginning(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "publish"))
	for _, name := range []string{"GITHUB_ACTIONS", "GITLAB_CI", "BITBUCKET_BUILD_NUMBER", "JENKINS_URL"} {
		t.Setenv(name, "")
	}
	t.Setenv("GITHUB_ACTIONS", "true")
	t.Setenv("GITHUB_RUN_ID", "4711")
	t.Setenv("GITHUB_JOB", "bake-hunter2222")
	template, commit := inGit(t, "feature")
	from := core("amazon-ebs", "app")
	from["packer_template_path"] = template
	from["packer_user_variables"], from["packer_sensitive_variables"] = decoded{"password": "hunter2222"}, []any{"password"}
	pp := new(almanac.PostProcessor)
	if err := pp.Configure(options{"artifact": "cargomedia/app"}, from); err != nil {
		t.Fatal(err)
	}
	almanac.WaitForOrigin(pp)
	write(t, `{"changed":true}`, template)
	u, shown := ui()
	a := ami()
	a.state[stateGenerated] = decoded{"SourceAMIName": "debian-12", "Password": "ada@example.com"}
	if _, _, _, err := pp.PostProcess(t.Context(), u, a); err != nil {
		t.Fatal(err)
	}
	v, err := s.Client(t, s.AdminToken).Version(t.Context(), "cargomedia/app", "1")
	if err != nil {
		t.Fatalf("%v; shown:\n%s", err, shown)
	}
	got := v.Builds[0].Provenance
	want := registry.Metadata{
		"template_path": "images/app.json", "template_sha256": "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
		"git_commit": commit, "git_ref": "feature", "git_dirty": "false", "ci": "github-actions", "ci_run": "4711",
		"source_ami_name": "debian-12", "builder_id": "mitchellh.amazonebs", "packer_run_uuid": "11111111-2222-3333-4444-555555555555",
		"ci_job":     "", // has the value of a sensitive variable
		"git_author": "", // has the build's password
	}
	for key, value := range want {
		if got[key] != value {
			t.Errorf("%s: got %q, want %q", key, got[key], value)
		}
	}
	if got["host_os"] == "" || got["plugin_version"] == "" {
		t.Errorf("got %v, want the host and the plugin, too", got)
	}
}

var provenanceKey = regexp.MustCompile("(?m)^\\| `([a-z_0-9]+)` \\|")

// The page lists what is recorded, so what is recorded is on the page.
func TestThePageListsProvenance(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(here, "../../docs/post-processors/almanac.mdx"))
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, key := range provenanceKey.FindAllStringSubmatch(string(text), -1) {
		listed[key[1]] = true
	}
	doc, err := os.ReadFile(filepath.Join(here, "../../internal/provenance/doc.go"))
	if err != nil {
		t.Fatal(err)
	}
	keys := regexp.MustCompile(`(?m)^//\t([a-z_0-9]+)  +\S`).FindAllStringSubmatch(string(doc), -1)
	if len(keys) < 10 {
		t.Fatalf("got the keys %v of package provenance, want all that it documents", keys)
	}
	for _, key := range append(keys, almanac.OwnProvenance()...) {
		if !listed[key[1]] {
			t.Errorf("the page does not list %s", key[1])
		}
	}
}
