package terraform_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/internal/tftest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

const appState = "/tf/state/cargomedia/app/aws.ami/"

// state is what a test looks at.
type state struct {
	Version int    `json:"version"`
	Serial  int64  `json:"serial"`
	Lineage string `json:"lineage"`
	Outputs map[string]struct {
		Value any `json:"value"`
		Type  any `json:"type"`
	} `json:"outputs"`
}

func readState(t testing.TB, s *servertest.Server, path string) state {
	t.Helper()
	return decode[state](t, get(t, s.URL+path, s.AdminToken).is(t, http.StatusOK))
}

// output is a value as JSON.
func (s state) output(t testing.TB, name string) string {
	t.Helper()
	o, ok := s.Outputs[name]
	if !ok {
		return "(none)"
	}
	text, err := json.Marshal(o.Value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// appServer has a complete and public artifact with two versions and a channel.
func appServer(t testing.TB, opts ...servertest.Option) *servertest.Server {
	t.Helper()
	s := servertest.New(t, opts...)
	publish(t, s, "cargomedia/app", ami("1", "1.0.0"))
	pub := withFile(t, s, "cargomedia/app", "notes.txt", "what is new", ami("2", "1.1.0"))
	publish(t, s, "cargomedia/app", pub)
	if _, err := s.Client(t, s.AdminToken).SetChannel(t.Context(), "cargomedia/app", "production", registry.ChannelChange{Ref: "1"}); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestState(t *testing.T) {
	s := appServer(t)
	t.Run("has the shape of a state", func(t *testing.T) {
		body := get(t, s.URL+appState+"2", s.AdminToken).is(t, http.StatusOK).body
		lineage := decode[state](t, reply{body: body}).Lineage
		want := `{"version":4,"terraform_version":"1.5.0","serial":2,"lineage":"` + lineage + `","outputs":{` +
			`"ami_ids":{"value":{"eu-west-1":"ami-0e2","us-east-1":"ami-0u2"},"type":["map","string"]},` +
			`"architecture":{"value":"x86_64","type":"string"},` +
			`"component":{"value":"amazon-ebs.app","type":"string"},` +
			`"files":{"value":[{"name":"notes.txt","size":11,"sha256":"` + string(registry.SecretDigest("what is new")) + `"}],` +
			`"type":["list",["object",{"name":"string","sha256":"string","size":"number"}]]},` +
			`"images":{"value":[{"provider":"aws","region":"eu-west-1","id":"ami-0e2"},{"provider":"aws","region":"us-east-1","id":"ami-0u2"}],` +
			`"type":["list",["object",{"id":"string","provider":"string","region":"string"}]]},` +
			`"message":{"value":"","type":"string"},` +
			`"metadata_full":{"value":{"ami_id":"ami-0e2,ami-0u2","git-commit":"4f2a91c","region":"eu-west-1,us-east-1","region-eu-west-1":"ami-0e2","region-us-east-1":"ami-0u2"},"type":["map","string"]},` +
			`"name":{"value":"cargomedia/app","type":"string"},"number":{"value":2,"type":"number"},"revoked":{"value":false,"type":"bool"},` +
			`"type":{"value":"amazon.image","type":"string"},"version":{"value":"1.1.0","type":"string"}},"resources":[],"check_results":null}` + "\n"
		if diff := cmp.Diff(want, body); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("every ref works, and a channel in two ways", func(t *testing.T) {
		for ref, number := range map[string]string{
			"1": "1", "1.1.0": "2", "latest": "2", "production": "1", "channel/production": "1", "channel%2Fproduction": "1",
			"channel/latest": "2", "~%3E%201.0": "2", "fingerprint:1": "1",
		} {
			if got := readState(t, s, appState+ref).output(t, "number"); got != number {
				t.Errorf("%s is %s, want %s", ref, got, number)
			}
		}
	})
	t.Run("the lineage is that of a line of builds", func(t *testing.T) {
		first, second := readState(t, s, appState+"1"), readState(t, s, appState+"2")
		regional := readState(t, s, appState+"2?region=eu-west-1")
		if first.Lineage != second.Lineage || second.Lineage == regional.Lineage || len(first.Lineage) != 36 {
			t.Errorf("got %s, %s and for a region %s", first.Lineage, second.Lineage, regional.Lineage)
		}
		if first.Serial != 1 || second.Serial != 2 {
			t.Errorf("the serials are %d and %d", first.Serial, second.Serial)
		}
	})
	t.Run("a region that is asked for gives the one id", func(t *testing.T) {
		if got := readState(t, s, appState+"1?region=us-east-1").output(t, "ami_id"); got != `"ami-0u1"` {
			t.Errorf("got %s", got)
		}
		if got := readState(t, s, appState+"1").output(t, "ami_id"); got != "(none)" {
			t.Errorf("without a region there is an ami_id: %s", got)
		}
		if got := readState(t, s, appState+"1?metadata.git.commit=4f2a91c&arch=x86_64&component=amazon-ebs.app&provider=aws").output(t, "number"); got != "1" {
			t.Errorf("got %s", got)
		}
	})
	t.Run("what cannot be answered says why", func(t *testing.T) {
		for path, want := range map[string]struct {
			status int
			text   string
		}{
			"/tf/state/cargomedia/none/aws.ami/latest":    {404, "does not exist"},
			"/tf/state/cargomedia/app/vagrant.box/latest": {404, "it offers: amazon.image"},
			"/tf/state/cargomedia/app/aws.amy/latest":     {422, `type \"aws.amy\" is unknown`},
			appState:                                 {422, "the ref is empty"},
			appState + "9":                           {404, "has no version 9"},
			appState + "channel/none":                {404, "its channels are: production"},
			appState + "channel/3":                   {422, `channel name \"3\"`},
			appState + "channel/a/b":                 {422, `channel name \"a/b\"`},
			appState + "1?region=ap-south-1":         {404, "it has: eu-west-1, us-east-1"},
			appState + "1?arch=arm64":                {404, "no build with"},
			appState + "1?regoin=eu-west-1":          {400, "is not a query parameter of this request; it has region, arch, component, provider, metadata.KEY"},
			appState + "1?region=":                   {400, "is empty"},
			appState + "1?access_token=x":            {400, "access_token"},
			appState + "1?metadata.git.commit=other": {404, "metadata git.commit=other"},
		} {
			get(t, s.URL+path, s.AdminToken).refused(t, want.status, want.text)
		}
	})
	t.Run("an answer that the caller has is not sent again", func(t *testing.T) {
		tag := get(t, s.URL+appState+"1", s.AdminToken).header.Get("ETag")
		if again := get(t, s.URL+appState+"1", s.AdminToken, "If-None-Match", tag); tag == "" || again.status != http.StatusNotModified || again.body != "" {
			t.Errorf("the tag %q gives %d %s", tag, again.status, again.body)
		}
	})
	t.Run("HEAD is answered", func(t *testing.T) {
		got := send(t, http.MethodHead, s.URL+appState+"1", "Authorization", "Bearer "+s.AdminToken)
		if got.status != http.StatusOK || got.header.Get("ETag") == "" || got.body != "" {
			t.Errorf("got %d %v %q", got.status, got.header, got.body)
		}
	})
	t.Run("nothing can be written", func(t *testing.T) {
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "LOCK", "UNLOCK"} {
			got := send(t, method, s.URL+appState+"1", "Authorization", "Bearer "+s.AdminToken)
			got.refused(t, http.StatusMethodNotAllowed, "does not know the method "+method, "it knows GET, HEAD")
			if allow := got.header.Get("Allow"); allow != "GET, HEAD" {
				t.Errorf("%s: Allow is %q", method, allow)
			}
		}
	})
}

func TestStateOfSeveralBuilds(t *testing.T) {
	s := appServer(t)
	arm := ami("2", "1.1.0")
	arm.Build.Component, arm.Build.Architecture = "amazon-ebs.arm", "arm64"
	publish(t, s, "cargomedia/app", arm)
	t.Run("is a conflict that lists them", func(t *testing.T) {
		p := get(t, s.URL+appState+"2", s.AdminToken).refused(t, http.StatusConflict, "has 2 builds that fit")
		want := []string{
			"component amazon-ebs.app, type amazon.image, architecture x86_64",
			"component amazon-ebs.arm, type amazon.image, architecture arm64",
		}
		if diff := cmp.Diff(want, p.Choices); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("is answered for one of them", func(t *testing.T) {
		x, y := readState(t, s, appState+"2?arch=arm64"), readState(t, s, appState+"2?component=amazon-ebs.app")
		if got := x.output(t, "component"); got != `"amazon-ebs.arm"` {
			t.Errorf("got %s", got)
		}
		if x.Lineage == y.Lineage {
			t.Error("both have the same lineage")
		}
	})
}

func TestStateOfARevokedVersion(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	clock := &now
	s := appServer(t, servertest.WithClock(func() time.Time { return *clock }))
	revoke(t, s, "cargomedia/app", "1", "CVE-2026-1: \"openssl\"")
	later := now.Add(time.Hour)
	if _, err := s.Client(t, s.AdminToken).Revoke(t.Context(), "cargomedia/app", "2", registry.RevokeRequest{Reason: "old", At: &later}); err != nil {
		t.Fatal(err)
	}
	got := get(t, s.URL+appState+"channel/production", s.AdminToken).is(t, http.StatusOK)
	if warning := got.header.Get("Warning"); warning != `299 almanac "revoked: CVE-2026-1: \"openssl\""` {
		t.Errorf("the header is %q", warning)
	}
	revoked := decode[state](t, got)
	if revoked.output(t, "revoked") != "true" || !strings.HasSuffix(revoked.output(t, "message"), `is revoked: CVE-2026-1: \"openssl\""`) {
		t.Errorf("got %s", got.body)
	}
	notYet := readState(t, s, appState+"2")
	if notYet.output(t, "revoked") != "false" || notYet.output(t, "message") != `""` {
		t.Errorf("a version that will be revoked is %v", notYet)
	}
}

func TestWhoMayReadAState(t *testing.T) {
	s := appServer(t)
	publish(t, s, "cargomedia/open", ami("1", "1.0.0"))
	makePublic(t, s, "cargomedia/open")
	reader, stranger := s.Token(t, "reader", "read", "cargomedia/app"), s.Token(t, "stranger", "admin", "other/*")
	basic := func(user, password string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	for name, test := range map[string]struct {
		artifact, authorization string
		want                    int
	}{
		"a password":              {"app", basic("terraform", reader), 200},
		"another user":            {"app", basic("", reader), 200},
		"a bearer":                {"app", "Bearer " + reader, 200},
		"nobody":                  {"app", "", 401},
		"nobody, of what is none": {"none", "", 401},
		"nobody, what is public":  {"open", "", 200},
		"a wrong token":           {"app", basic("x", "alm_wrong"), 401},
		"a wrong token, public":   {"open", basic("x", "glpat-1234"), 401},
		"no password":             {"app", basic(reader, ""), 401},
		"no base64":               {"app", "Basic " + reader, 401},
		"another scheme":          {"app", "Digest " + reader, 401},
		"a stranger":              {"app", basic("x", stranger), 404},
		"a stranger, of none":     {"none", basic("x", stranger), 404},
	} {
		t.Run(name, func(t *testing.T) {
			var headers []string
			if test.authorization != "" {
				headers = []string{"Authorization", test.authorization}
			}
			got := send(t, http.MethodGet, s.URL+"/tf/state/cargomedia/"+test.artifact+"/amazon.image/latest", headers...).is(t, test.want)
			challenge := got.header.Get("WWW-Authenticate")
			if want := `Basic realm="almanac", charset="UTF-8"`; (got.status == 401) != (challenge == want) {
				t.Errorf("%d with the challenge %q", got.status, challenge)
			}
		})
	}
	t.Run("a password is no token elsewhere", func(t *testing.T) {
		got := send(t, http.MethodGet, s.URL+"/v1/artifacts/cargomedia/app", "Authorization", basic("x", reader)).is(t, 401)
		if challenge := got.header.Get("WWW-Authenticate"); !strings.HasPrefix(challenge, "Bearer ") {
			t.Errorf("the challenge is %q", challenge)
		}
	})
}

func TestTerraformReadsAState(t *testing.T) {
	s := appServer(t)
	tftest.Each(t, func(t *testing.T, c tftest.Client) {
		w := c.Workspace(t, tftest.NoAWS)
		w.Setenv("TF_HTTP_USERNAME", "terraform")
		w.Setenv("TF_HTTP_PASSWORD", s.Token(t, c.Name, "read", "cargomedia/app"))
		w.Write("main.tf", `
data "terraform_remote_state" "app" {
  backend = "http"
  config  = { address = "`+s.URL+appState+`channel/production?region=eu-west-1" }
}
output "map" { value = data.terraform_remote_state.app.outputs.ami_ids["us-east-1"] }
output "one" { value = data.terraform_remote_state.app.outputs.ami_id }
output "old" { value = data.terraform_remote_state.app.outputs.metadata_full.region-eu-west-1 }
output "is" { value = data.terraform_remote_state.app.outputs.revoked ? "revoked" : "fine" }
`)
		plan := tftest.Flat(w.MustRun("plan"))
		for _, want := range []string{`map = "ami-0u1"`, `one = "ami-0e1"`, `old = "ami-0e1"`, `is = "fine"`} {
			if !strings.Contains(plan, "+ "+want) {
				t.Errorf("%s is not known in the plan:\n%s", want, plan)
			}
		}
		// The variables are those of all http backends: with another password than the registry's, none has to be sent.
		makePublic(t, s, "cargomedia/app")
		w.Setenv("TF_HTTP_PASSWORD", "glpat-1234")
		if out := tftest.Flat(w.MustFail("plan")); !strings.Contains(out, "HTTP remote state endpoint requires auth") {
			t.Errorf("a wrong password gives\n%s", out)
		}
		w.Write("main.tf", `
data "terraform_remote_state" "app" {
  backend = "http"
  config = {
    address  = "`+s.URL+appState+`1"
    username = ""
  }
}
`)
		w.MustRun("plan")
	})
}
