package atlas_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
)

// TestOlderClients replays the requests of the clients before July 2015, which have the token in the query, and checks each
// answer field by field.
func TestOlderClients(t *testing.T) {
	s := servertest.New(t)
	token := "?access_token=" + s.Token(t, "old", "publish", "cargomedia/*")
	old := caller{url: s.URL}
	send := func(t *testing.T, method, path, body string) reply {
		t.Helper()
		return old.send(t, method, path+token, body, "User-Agent", "AtlasGo/1.0 (+https://github.com/hashicorp/atlas-go)", "Content-Type", "application/json")
	}
	same := func(t *testing.T, got reply, want map[string]any) {
		t.Helper()
		if diff := cmp.Diff(want, got.members(t)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
	line := map[string]any{"username": "cargomedia", "name": "app", "tag": "cargomedia/app"}

	t.Run("artifacts are wrapped", func(t *testing.T) {
		send(t, "GET", artifacts+"/cargomedia/app", "").refused(t, 404)
		same(t, send(t, "POST", artifacts, `{"artifact":{"username":"cargomedia","name":"app"}}`), map[string]any{"artifact": line})
		same(t, send(t, "GET", artifacts+"/cargomedia/app", ""), map[string]any{"artifact": line})
	})
	t.Run("applications are not, and say whether they are private", func(t *testing.T) {
		want := map[string]any{"username": "cargomedia", "name": "app", "tag": "cargomedia/app", "private": true}
		same(t, send(t, "GET", "/api/v1/vagrant/applications/cargomedia/app", ""), want)
		same(t, send(t, "POST", "/api/v1/vagrant/applications", `{"application":{"username":"cargomedia","name":"app"}}`), want)
	})
	t.Run("build configurations are not", func(t *testing.T) {
		same(t, send(t, "POST", "/api/v1/packer/build-configurations", `{"build_configuration":{"username":"cargomedia","name":"app"}}`), line)
		same(t, send(t, "GET", "/api/v1/packer/build-configurations/cargomedia/app", ""), line)
	})
	t.Run("a version without a file is there at once", func(t *testing.T) {
		want := map[string]any{
			"username": "cargomedia", "name": "app", "tag": "cargomedia/app", "artifact_type": "aws.ami", "id": "eu-west-1:ami-1", "version": 1.0,
			"metadata": map[string]any{"region.eu-west-1": "ami-1", "ami_id": "ami-1", "region": "eu-west-1"}, "file": false, "slug": "cargomedia/app/aws.ami/1",
		}
		same(t, send(t, "POST", artifacts+"/cargomedia/app/aws.ami", `{"artifact_version":{"build_id":0,"file":false,"id":"eu-west-1:ami-1","metadata":null}}`), want)
		same(t, send(t, "GET", artifacts+"/cargomedia/app/aws.ami/search", ""), map[string]any{"versions": []any{want}})
	})
	t.Run("a version with a file is there with its bytes", func(t *testing.T) {
		got := send(t, "POST", artifacts+"/cargomedia/app/custom.image", `{"artifact_version":{"build_id":0,"file":true,"id":"VM","metadata":{}}}`)
		v := got.members(t)
		at, _ := v["upload_path"].(string)
		secret, _ := v["upload_token"].(string)
		if parsed, err := url.Parse(at); err != nil || !parsed.IsAbs() || parsed.RawQuery != "" || at != s.URL+"/api/v1/binstore/"+secret || len(secret) < 40 {
			t.Fatalf("got %s", got.body)
		}
		if got.header.Get("Cache-Control") != "no-store" {
			t.Errorf("got %v", got.header)
		}
		want := map[string]any{
			"username": "cargomedia", "name": "app", "tag": "cargomedia/app", "artifact_type": "custom.image", "id": "VM", "version": 2.0, "metadata": map[string]any{},
			"file": true, "slug": "cargomedia/app/custom.image/2", "upload_path": at, "upload_token": secret,
		}
		same(t, got, want)
		none := map[string]any{"versions": []any{}}
		same(t, send(t, "GET", artifacts+"/cargomedia/app/custom.image/search", ""), none)
		old.send(t, "PUT", at, "the bytes").ok(t)
		delete(want, "upload_path")
		delete(want, "upload_token")
		want["artifact_type"] = "custom.image/2" // for the address of the file
		same(t, send(t, "GET", artifacts+"/cargomedia/app/custom.image/search", ""), map[string]any{"versions": []any{want}})
		if got := send(t, "GET", artifacts+"/cargomedia/app/custom.image/2/file", "").ok(t); got.body != "the bytes" {
			t.Errorf("got %q", got.body)
		}
		// Clients that are none of those get the type as it is.
		if got := old.get(t, artifacts+"/cargomedia/app/custom.image/search"+token).ok(t); !strings.Contains(got.body, `"artifact_type":"custom.image"`) {
			t.Errorf("got %s", got.body)
		}
	})
	t.Run("packer push of all times", func(t *testing.T) {
		for what, body := range map[string]string{
			"a map":         `{"version":{"vars":{"size":"big"}}}`,
			"a list":        `{"version":{"vars":[{"key":"size","value":"big"},{"key":"password","value":"hunter2","sensitive":true}]}}`,
			"its last form": `{"version":{"builds":[],"packer_vars":[{"key":"password","value":"hunter2","sensitive":true},{"key":"size","value":"big","sensitive":false},{"key":"key","value":"x","sensitive":true}]}}`,
		} {
			v := send(t, "POST", "/api/v1/packer/build-configurations/cargomedia/push/versions", body).members(t)
			old.send(t, "PUT", v["upload_path"].(string), what).ok(t)
			found, err := s.Client(t, s.AdminToken).Resolve(t.Context(), "cargomedia/push", "latest", questionOf("build-configuration"))
			if err != nil || found.Number != int64(v["version"].(float64)) {
				t.Fatalf("%s: got %+v, %v, want %v", what, found, err, v)
			}
			want := map[string]string{"a map": "", "a list": "password", "its last form": "key,password"}[what]
			if found.Metadata["var.size"] != "big" || found.Metadata["sensitive_vars"] != want || strings.Contains(strings.Join(values(found.Metadata), " "), "hunter2") {
				t.Errorf("%s: got %v", what, found.Metadata)
			}
		}
	})
	t.Run("the login of Vagrant 1", func(t *testing.T) {
		secret := strings.TrimPrefix(token, "?access_token=")
		got := old.send(t, "POST", "/api/v1/authenticate", `{"user":{"login":"x","password":"`+secret+`"}}`, "Content-Type", "application/json")
		if got.status/100 != 2 || !strings.Contains(got.body, `"token":"`+secret+`"`) {
			t.Errorf("got %d %s", got.status, got.body)
		}
		if got := send(t, "GET", "/api/v1/authenticate", ""); got.status != http.StatusOK {
			t.Errorf("got %d", got.status)
		}
	})
}

func values(m map[string]string) []string {
	var all []string
	for _, value := range m {
		all = append(all, value)
	}
	return all
}

// TestBothDoorsBelowVagrant has a box that is called like the path of applications.
func TestBothDoorsBelowVagrant(t *testing.T) {
	s := servertest.New(t)
	c := client(t, s.URL, s.AdminToken)
	upload(t, c, "app", "vagrant.box", boxOf(t, "virtualbox", "x"), map[string]string{"provider": "virtualbox"})
	if got := as(s, s.AdminToken).get(t, "/api/v1/vagrant/cargomedia/app").ok(t); !strings.Contains(got.body, `"versions":[{`) {
		t.Errorf("got %s", got.body)
	}
	if got := as(s, s.AdminToken).get(t, "/api/v1/vagrant/applications/cargomedia/app").ok(t); !strings.Contains(got.body, `"private":true`) {
		t.Errorf("got %s", got.body)
	}
	as(s, s.AdminToken).get(t, "/api/v1/api/v1/vagrant/applications/cargomedia/app").ok(t)
	as(s, s.AdminToken).get(t, "/api/v1/api/v1/artifacts/cargomedia/app/vagrant%2Ebox/search?version=1").ok(t)
	as(s, s.AdminToken).get(t, "/api/v1/api/v1/artifacts/cargomedia%2Fapp").refusedNatively(t)
	as(s, s.AdminToken).get(t, "/api/v1/api/v1/api/v1/vagrant/applications/cargomedia/app").refusedNatively(t)
}

// refusedNatively fails the test unless the path is one that nobody knows.
func (r reply) refusedNatively(t *testing.T) {
	t.Helper()
	if r.status != http.StatusNotFound || !strings.Contains(r.body, "there is nothing at this path") {
		t.Errorf("got %d %s", r.status, r.body)
	}
}
