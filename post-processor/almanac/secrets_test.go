package almanac_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hcldec"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/post-processor/almanac"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func TestSecretsNeverLeave(t *testing.T) {
	s := servertest.New(t)
	environment(t, s, s.Token(t, "packer", "publish"))
	p := newProxy(t, s)
	secrets := decoded{
		"Password": "pw-secret-1", "WinRMPassword": "pw-secret-2", "SSHPrivateKey": "-----BEGIN KEY-----\nsecret-3\n", "SSHPrivateKeyFile": "/home/me/secret-4",
		"SSHPublicKey": "ssh-rsa secret-5", "User": "secret-6", "Host": "secret-7.internal", "PackerHTTPAddr": "secret-8", "Token": "secret-9",
	}
	state := decoded{"SourceAMI": "ami-0", "SourceAMIName": "debian", "BuildRegion": "eu-west-1", "SourceAMIOwner": int64(123), "SourceImageName": []any{"no", "list"}}
	for key, value := range secrets {
		state[key] = value
	}
	state["SourceAMIOwnerName"] = "me:pw-secret-1" // a value that may be recorded, with a secret in it
	a := ami()
	a.state[stateGenerated] = state
	shown := record(t, options{"artifact": "cargomedia/app", "metadata": decoded{"login": "root:pw-secret-1", "ok": "fine"}}, core("amazon-ebs", "app"), a)
	for _, text := range []string{p.traffic(), shown} {
		if strings.Contains(text, "secret-") {
			t.Errorf("a secret left the machine or was shown:\n%s", text)
		}
	}
	if !strings.Contains(shown, `metadata["login"] is left out: it holds the build's Password`) {
		t.Errorf("shown:\n%s\nwant that metadata is left out", shown)
	}
	v, err := s.Client(t, s.AdminToken).Version(t.Context(), "cargomedia/app", "1")
	if err != nil {
		t.Fatal(err)
	}
	b := v.Builds[0]
	if len(b.Metadata) != 1 || b.Metadata["ok"] != "fine" {
		t.Errorf("metadata: got %v, want ok alone", b.Metadata)
	}
	for key, want := range map[string]string{
		"source_ami": "ami-0", "source_ami_name": "debian", "build_region": "eu-west-1", "source_ami_owner": "123", "source_ami_owner_name": "",
		"source_image_name": "", "builder_id": "mitchellh.amazonebs", "builder_type": "amazon-ebs", "build_name": "app", "artifact_id": "eu-west-1:ami-1", "packer_version": "1.15.0",
	} {
		if got := b.Provenance[key]; got != want {
			t.Errorf("provenance %s: got %q, want %q", key, got, want)
		}
	}
}

// hcl2 is a block as Packer hands it over from an HCL2 template.
func hcl2(t *testing.T, source string) cty.Value {
	t.Helper()
	f, diags := hclsyntax.ParseConfig([]byte(source), "app.pkr.hcl", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	value, diags := hcldec.Decode(f.Body, new(almanac.PostProcessor).ConfigSpec(), nil)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return value
}

// recordHCL2 configures with a block twice, as Packer does: before there is a build and after. It
// returns what was shown.
func recordHCL2(t *testing.T, before, after string, a *product) string {
	t.Helper()
	pp := new(almanac.PostProcessor)
	for _, source := range []string{before, after} {
		if err := pp.Configure(core("amazon-ebs", "app"), hcl2(t, source)); err != nil {
			t.Fatalf("configure: %v", err)
		}
	}
	u, shown := ui()
	if _, keep, force, err := pp.PostProcess(t.Context(), u, a); err != nil || !keep || !force {
		t.Errorf("got keep %t, force %t, error %v; want it kept by force", keep, force, err)
	}
	return shown.String()
}

func secretive() *product {
	a := ami()
	a.state[stateGenerated] = decoded{"Password": "pw-secret-1", "SSHPrivateKey": "secret-2", "User": "secret-3", "SourceAMIName": "debian"}
	return a
}

// Templates get nothing that may not be recorded: what they make of it nobody would recognize.
func TestTemplatesNeverSeeSecrets(t *testing.T) {
	const message = "To set this dynamically in the Packer template, you must use the `build` function"
	placeholders := decoded{"PackerRunUUID": "Build_PackerRunUUID. " + message}
	for _, name := range []string{"SourceAMIName", "SourceAMI", "Password", "User"} {
		placeholders[name] = "Build_" + name + ". " + message
	}
	user := core("amazon-ebs", "app")
	user["packer_user_variables"] = decoded{"msg": "{{ .Password | upper }}", "dot": "{{.}}"}
	for _, c := range []struct {
		name     string
		record   func(t *testing.T) string // what was shown
		metadata registry.Metadata
		shows    string
	}{
		{"in text that a JSON template's variable holds", func(t *testing.T) string {
			return recordJSON(t, options{"artifact": "cargomedia/app", "metadata": decoded{"m": "{{user `msg`}}"}}, user, placeholders)
		}, registry.Metadata{"m": "{{ .Password | upper }}"}, "Recorded"},
		{"in all that a JSON template can name", func(t *testing.T) string {
			return recordJSON(t, options{"artifact": "cargomedia/app", "metadata": decoded{"all": "x{{.}}", "base": "{{.SourceAMIName | upper}}", "none": "{{build `SourceAMI`}}", "ok": "yes"}}, user, placeholders)
		}, registry.Metadata{"base": "DEBIAN", "ok": "yes"}, `metadata["none"] is left out: Packer did not fill in`},
		{"in text of an HCL2 template that is known late", func(t *testing.T) string {
			return recordHCL2(t, `
				artifact = "cargomedia/app"
				metadata = { m = "<unknown>" }`, `
				artifact = "cargomedia/app"
				metadata = { m = "{{ .Password | upper }}", ok = "yes" }`, secretive())
		}, nil, "All metadata is left out"},
		{"in all that an HCL2 template can name", func(t *testing.T) string {
			text := `
				artifact = "cargomedia/app"
				metadata = { m = "{{.}}" }`
			return recordHCL2(t, text, text, secretive())
		}, registry.Metadata{"m": "map[BuildName:app BuilderType:amazon-ebs]"}, "Recorded"},
		{"in text that is no template any more", func(t *testing.T) string {
			return recordHCL2(t, `
				artifact = "cargomedia/app"
				metadata = { m = "<unknown>" }`, `
				artifact = "cargomedia/app"
				metadata = { m = "{{ pw-secret-1" }`, secretive())
		}, nil, "All metadata is left out"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := servertest.New(t)
			environment(t, s, s.Token(t, "packer", "publish"))
			p := newProxy(t, s)
			shown := c.record(t)
			for _, text := range []string{p.traffic(), shown} {
				if strings.Contains(strings.ToLower(text), "secret-") {
					t.Errorf("a secret left the machine or was shown:\n%s", text)
				}
			}
			if !strings.Contains(shown, c.shows) {
				t.Errorf("shown:\n%s\nwant %q in it", shown, c.shows)
			}
			v, err := s.Client(t, s.AdminToken).Version(t.Context(), "cargomedia/app", "1")
			if err != nil {
				t.Fatalf("%v; shown:\n%s", err, shown)
			}
			if diff := cmp.Diff(c.metadata, v.Builds[0].Metadata); diff != "" {
				t.Errorf("metadata (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("one that names a secret is refused before the build", func(t *testing.T) {
		s := servertest.New(t)
		environment(t, s, s.Token(t, "packer", "publish"))
		got := configure(options{"artifact": "cargomedia/app", "metadata": decoded{"m": "{{build `Password`}}"}}, core("amazon-ebs", "app"), placeholders)
		if !strings.Contains(got, "the build values that can be used are BuildRegion, Digest") {
			t.Errorf("got %q, want the values that can be used", got)
		}
	})
}

func recordJSON(t *testing.T, block, core options, placeholders decoded) string {
	t.Helper()
	pp := new(almanac.PostProcessor)
	if err := pp.Configure(block, core, placeholders); err != nil {
		t.Fatalf("configure: %v", err)
	}
	u, shown := ui()
	if _, _, _, err := pp.PostProcess(t.Context(), u, secretive()); err != nil {
		t.Fatal(err)
	}
	return shown.String()
}

func TestNamesHoldNoSecrets(t *testing.T) {
	t.Run("a name that the build fills in", func(t *testing.T) {
		for _, field := range []string{"component", "architecture", "fingerprint", "version"} {
			s := servertest.New(t)
			environment(t, s, s.Token(t, "packer", "publish"))
			shown := recordHCL2(t, `artifact = "cargomedia/app"
				`+field+` = "<unknown>"`, `artifact = "cargomedia/app"
				`+field+` = "x.pw-secret-1"`, secretive())
			if !strings.Contains(shown, field+": holds the build's Password") || !strings.Contains(shown, "NOT RECORDED") || strings.Contains(shown, "secret-1") {
				t.Errorf("%s: shown:\n%s\nwant it refused without the secret", field, shown)
			}
			if !strings.Contains(shown, "aws/eu-west-1/ami-1") {
				t.Errorf("%s: shown:\n%s\nwant what was built", field, shown)
			}
		}
	})
	t.Run("a name that only looks like the build's password", func(t *testing.T) {
		s := servertest.New(t)
		environment(t, s, s.Token(t, "packer", "publish"))
		a := ami()
		a.state[stateGenerated] = decoded{"Password": "vagrant"}
		text := `artifact = "cargomedia/vagrant-base"
			component = "vagrant.app"`
		if shown := recordHCL2(t, text, text, a); !strings.Contains(shown, "Recorded vagrant.app") {
			t.Errorf("shown:\n%s\nwant it recorded", shown)
		}
	})
	t.Run("the name of a metadata entry", func(t *testing.T) {
		s := servertest.New(t)
		environment(t, s, s.Token(t, "packer", "publish"))
		shown := recordHCL2(t, `artifact = "cargomedia/app"
			metadata = { "<unknown>" = "x" }`, `artifact = "cargomedia/app"
			metadata = { "x.pw-secret-1" = "x", ok = "yes" }`, secretive())
		if !strings.Contains(shown, "its name holds the build's Password") || strings.Contains(shown, "secret-1") || !strings.Contains(shown, "Recorded") {
			t.Errorf("shown:\n%s\nwant the entry left out without the secret", shown)
		}
	})
	t.Run("before the build", func(t *testing.T) {
		s := servertest.New(t)
		token := s.Token(t, "packer", "publish")
		environment(t, s, token)
		sensitive := core("amazon-ebs", "app")
		sensitive["packer_user_variables"], sensitive["packer_sensitive_variables"] = decoded{"password": "hunter22"}, []any{"password"}
		got := configure(options{"artifact": "cargomedia/app", "component": "x.hunter22", "architecture": "hunter22", "fingerprint": "f-hunter22", "version": token,
			"metadata": decoded{"a-hunter22": "x", token: "y"}}, sensitive)
		for _, want := range []string{`component: holds the value of the sensitive variable "password"`, "architecture: holds", "fingerprint: holds", `version: holds the value of the sensitive variable "token"`,
			`metadata: the name of an entry holds the value of the sensitive variable "password"`, `metadata: the name of an entry holds the value of the sensitive variable "token"`} {
			if !strings.Contains(got, want) {
				t.Errorf("got:\n%s\nwant %q in it", got, want)
			}
		}
		if strings.Contains(got, "hunter22") || strings.Contains(got, token) {
			t.Errorf("a secret is in the error:\n%s", got)
		}
	})
}

// A secret that comes out of a file or a secret store often ends in a line end.
func TestTheTokenIsTrimmed(t *testing.T) {
	s := servertest.New(t)
	token := s.Token(t, "packer", "publish")
	environment(t, s, token+"\n")
	shown := record(t, options{"artifact": "cargomedia/app", "metadata": decoded{"ok": "yes"}}, core("amazon-ebs", "app"), ami())
	if recorded(t, s) == "" {
		t.Errorf("not recorded:\n%s", shown)
	}
	for _, block := range []options{{}, {"token": " " + token + " "}} {
		block["artifact"], block["metadata"] = "cargomedia/app", decoded{"t": "x" + token}
		if got := configure(block, core("amazon-ebs", "app")); !strings.Contains(got, `the sensitive variable "token"`) || strings.Contains(got, token) {
			t.Errorf("got %q, want the metadata refused", got)
		}
	}
}

// TestSecretsCanBeKeptWhileTextsAreWritten would end the whole test program, as it would end the plugin.
func TestSecretsCanBeKeptWhileTextsAreWritten(t *testing.T) {
	var writers sync.WaitGroup
	for i := range 4 {
		writers.Go(func() {
			for j := range 25 {
				secret := fmt.Sprintf("secret-%d-%d", i, j)
				almanac.KeepSecret(secret)
				if got := almanac.WithoutSecrets("the " + secret + "."); strings.Contains(got, secret) {
					t.Errorf("got %q", got)
					return
				}
			}
		})
	}
	writers.Wait()
}
