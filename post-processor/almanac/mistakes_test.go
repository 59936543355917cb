package almanac_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/golden"
	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/post-processor/almanac"
)

func configure(blocks ...any) string {
	if err := new(almanac.PostProcessor).Configure(blocks...); err != nil {
		return err.Error()
	}
	return ""
}

func TestAllMistakesAtOnce(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "reader", "read"))
	golden.Equal(t, filepath.Join(here, "testdata", "mistakes.txt"), configure(options{
		"artifact":      "cargomedia/app",
		"version":       "1.4",
		"channels":      []any{"staging", "latest", "staging"},
		"expect":        []any{"amazon-ebs.app", "", "amazon-ebs.app"},
		"metadata":      decoded{"": "x", "region.eu-west-1": "ami-1", "long": strings.Repeat("x", 5000), "login": "me:hunter22"},
		"type":          "aws.box",
		"artifact_type": "archive",
		"component":     "my app",
		"fingerprint":   "run #1",
		"retry_timeout": "-3s",
		"colour":        "red",
		"terraform":     decoded{"path": "none/app.tf", "style": "yaml", "aws_provider": 4, "component": "a b"},
	}, options{
		"packer_builder_type": "amazon-ebs", "packer_build_name": "app",
		"packer_user_variables": decoded{"password": "hunter22"}, "packer_sensitive_variables": []any{"password"},
	})+"\n")
}

func TestMistakes(t *testing.T) {
	s := servertest.New(t)
	publish := s.Token(t, "publisher", "publish", "cargomedia/*")
	notAlmanac := httptest.NewServer(http.NotFoundHandler())
	defer notAlmanac.Close()
	for _, c := range []struct {
		name  string
		block options
		want  string
	}{
		{"nothing at all", nil, "artifact: is missing; set it to namespace/name"},
		{"no namespace", options{"artifact": "app"}, "artifact: artifact name \"app\" must be namespace/name"},
		{"a reserved name", options{"artifact": "v1/app"}, "reserved for the server's own routes"},
		{"no token", options{"token": ""}, "token: is missing; set it, or the environment variable ALMANAC_TOKEN"},
		{"an unknown token", options{"token": "alm_nobody"}, "token: the registry at " + s.URL + " does not accept it"},
		{"a token with a space", options{"token": "alm_a b"}, "token: has a space"},
		{"a token for another namespace", options{"artifact": "other/app"}, "is not for the artifact other/app"},
		{"channels need the role promote", options{"channels": "staging"}, `token: "publisher" has the role publish, and moving channels needs the role promote`},
		{"no URL", options{"address": "almanac.example.com"}, "address: must begin with http:// or https://"},
		{"nobody listens", options{"address": "http://127.0.0.1:1"}, "address: the registry at http://127.0.0.1:1 does not answer"},
		{"another server", options{"address": notAlmanac.URL}, "is not an Almanac registry"},
		{"no registry and a bad name", options{"address": "http://127.0.0.1:1", "artifact": "x"}, "artifact name"},
		{"bad name and no registry", options{"address": "http://127.0.0.1:1", "artifact": "x"}, "does not answer"},
		{"an archive without files", options{"type": "application.archive", "files": false}, "files: is false, but the type archive consists of files"},
		{"files is no boolean", options{"files": "maybe"}, "files"},
		{"no path", options{"terraform": decoded{"style": "locals"}}, "terraform.path: is missing"},
		{"a directory", options{"terraform": decoded{"path": t.TempDir()}}, "is a directory; name a file in it"},
		{"data blocks of a box", options{"type": "vagrant.box", "terraform": decoded{"path": "app.tf", "style": "data"}}, "terraform.style"},
		{"tfvars in a .tf", options{"terraform": decoded{"path": "app.tf", "style": "tfvars"}}, "terraform.path"},
		{"the token in the metadata", options{"metadata": decoded{"t": publish}}, `metadata["t"]: holds the value of the sensitive variable "token"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			environment(t, s, publish)
			block := options{"artifact": "cargomedia/app"}
			if c.block == nil {
				block = options{}
			}
			for key, value := range c.block {
				block[key] = value
			}
			if block["token"] == "" {
				t.Setenv("ALMANAC_TOKEN", "")
			}
			got := configure(block, core("amazon-ebs", "app"))
			if !strings.Contains(got, c.want) {
				t.Errorf("got:\n%s\nwant %q in it", got, c.want)
			}
			if strings.Contains(got, publish) || strings.Contains(got, "alm_nobody") {
				t.Errorf("the token is in the error:\n%s", got)
			}
		})
	}
}

func TestTakenVersion(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "publish"))
	block := options{"artifact": "cargomedia/app", "version": "1.4.0"}
	record(t, block, core("file", "app"), &product{builderID: "packer.file", files: []string{write(t, "x", t.TempDir(), "x")}})
	if got := configure(block, core("file", "other")); got != "" {
		t.Errorf("the same run: got %v, want no error", got)
	}
	t.Setenv("ALMANAC_FINGERPRINT", "run-2")
	for name, want := range map[string]string{
		"app":   "choose another version, or leave it out",
		"other": "choose another version, leave it out, or set fingerprint to that run to add this build to it",
	} {
		want = "version: 1.4.0 of cargomedia/app is taken by number 1, made by the run 11111111-2222-3333-4444-555555555555; " + want
		if got := configure(block, core("file", name)); !strings.HasSuffix(strings.TrimSpace(got), want) {
			t.Errorf("another run of %s: got %v, want %q at the end", name, got, want)
		}
	}
}

func TestGoodConfigurations(t *testing.T) {
	s := servertest.New(t)
	for name, block := range map[string]options{
		"the least":              {"artifact": "cargomedia/app"},
		"an alias":               {"artifact": "cargomedia/app", "type": "aws.ami"},
		"placeholders":           {"artifact": "cargomedia/<unknown>", "version": "<unknown>", "metadata": decoded{"id": "<unknown>"}, "component": "x.<unknown>"},
		"a list in one string":   {"artifact": "cargomedia/app", "expect": "amazon-ebs.app,c.d"},
		"all of the terraform":   {"artifact": "cargomedia/app", "terraform": decoded{"path": "app.tf", "style": "data", "aws_provider": "5", "force": "true"}},
		"expect a placeholder":   {"artifact": "cargomedia/app", "expect": []any{"x.<unknown>"}},
		"expect others":          {"artifact": "cargomedia/app", "expect": []any{"x.y"}}, // a source that the version can do without
		"a component to come":    {"artifact": "cargomedia/app", "expect": "x.y", "component": "x.<unknown>"},
		"a slash at the address": {"artifact": "cargomedia/app", "address": s.URL + "/"},
	} {
		t.Run(name, func(t *testing.T) {
			environment(t, s, s.Token(t, name, "publish"))
			if got := configure(block, core("amazon-ebs", "app")); got != "" {
				t.Errorf("got %s, want no error", got)
			}
		})
	}
}

func TestTheAddressIsNotAskedForAConfigurationThatCannotBeRead(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "publish"))
	t.Setenv("ALMANAC_ADDR", "http://127.0.0.1:1")
	got := configure(options{"artifact": "cargomedia/app", "retry_timeout": "soon"}, core("amazon-ebs", "app"))
	if !strings.Contains(got, "soon") || strings.Contains(got, "127.0.0.1") {
		t.Errorf("got %q, want the one mistake", got)
	}
}

func TestANameThatDiffersInCaseIsTheArtifactsMistake(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "publish"))
	record(t, options{"artifact": "cargomedia/app"}, core("amazon-ebs", "app"), ami())
	if got := configure(options{"artifact": "cargomedia/App"}, core("amazon-ebs", "app")); !strings.Contains(got, "* artifact: ") || strings.Contains(got, "* address: ") {
		t.Errorf("got %q, want a mistake of the artifact", got)
	}
}
