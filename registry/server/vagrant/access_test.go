package vagrant_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry/server"
)

// TestWhoMayDoWhat sends each kind of request with each kind of token. The statuses are in the order of the callers.
func TestWhoMayDoWhat(t *testing.T) {
	s := servertest.New(t)
	admin := as(s, s.AdminToken)
	admin.publish(t, "tiny", "1.0.0", "a", "virtualbox")
	admin.publish(t, "open", "1.0.0", "b", "virtualbox")
	admin.send(t, "PUT", "/api/v1/box/acme/open", `{"is_private":false}`).ok(t)
	for _, box := range []string{"tiny", "open"} {
		admin.create(t, box, "2.0.0")
		admin.announce(t, box, "2.0.0", "virtualbox", "")
	}
	callers := []struct {
		name string
		caller
	}{
		{"nobody", as(s, "")},
		{"reader", as(s, s.Token(t, "reader", "read", "acme/tiny"))},
		{"publisher", as(s, s.Token(t, "publisher", "publish", "acme/*"))},
		{"promoter", as(s, s.Token(t, "promoter", "promote", "acme/*"))},
		{"stranger", as(s, s.Token(t, "stranger", "admin", "other/*"))},
		{"admin", admin},
		{"wrong", as(s, "alm_wrong")},
	}
	const open = "/api/v1/box/acme/open"
	for _, test := range []struct {
		name, method, path, body string
		want                     [7]int
	}{
		{"the catalog", "GET", "/acme/tiny", "", [7]int{404, 200, 200, 200, 404, 200, 401}},
		{"its header", "HEAD", "/api/v2/vagrant/acme/tiny", "", [7]int{404, 200, 200, 200, 404, 200, 401}},
		{"a public catalog", "GET", "/acme/open", "", [7]int{200, 200, 200, 200, 200, 200, 401}},
		{"a catalog that is not there", "GET", "/acme/none", "", [7]int{404, 404, 404, 404, 404, 404, 401}},
		{"a box's bytes", "GET", "/acme/boxes/tiny/versions/1.0.0/providers/virtualbox/unknown/vagrant.box", "", [7]int{404, 200, 200, 200, 404, 200, 401}},
		{"a public box's bytes", "GET", "/acme/boxes/open/versions/1.0.0/providers/virtualbox.box", "", [7]int{200, 200, 200, 200, 200, 200, 401}},
		{"who one is", "GET", "/api/v2/authenticate", "", [7]int{401, 200, 200, 200, 200, 200, 401}},
		{"a namespace", "GET", "/api/v1/user/acme", "", [7]int{200, 200, 200, 200, 200, 200, 401}},
		{"a namespace where nothing is", "GET", "/api/v1/user/other", "", [7]int{404, 404, 404, 404, 200, 200, 401}},
		{"a namespace that cannot be", "GET", "/api/v1/user/v1", "", [7]int{404, 404, 404, 404, 404, 404, 401}},
		{"a search", "GET", "/api/v1/search?q=x", "", [7]int{200, 200, 200, 200, 200, 200, 401}},
		{"a box", "GET", tiny, "", [7]int{404, 200, 200, 200, 404, 200, 401}},
		{"a public box", "GET", open, "", [7]int{200, 200, 200, 200, 200, 200, 401}},
		{"an unreleased version", "GET", open + "/version/2.0.0", "", [7]int{404, 404, 200, 200, 404, 200, 401}},
		{"a released version", "GET", open + "/version/1.0.0", "", [7]int{200, 200, 200, 200, 200, 200, 401}},
		{"a pending provider", "GET", tiny + "/version/2.0.0/provider/virtualbox", "", [7]int{404, 404, 200, 200, 404, 200, 401}},
		{"ask to upload", "GET", tiny + "/version/2.0.0/provider/virtualbox/upload", "", [7]int{401, 404, 200, 200, 404, 200, 401}},
		{"ask to upload to a public box", "GET", open + "/version/2.0.0/provider/virtualbox/upload/direct", "", [7]int{401, 404, 200, 200, 404, 200, 401}},
		{"make a box", "POST", "/api/v1/boxes", `{"username":"acme","name":"new%d"}`, [7]int{401, 403, 200, 200, 403, 200, 401}},
		{"make a public box", "POST", "/api/v1/boxes", `{"username":"acme","name":"public%d","is_private":false}`, [7]int{401, 403, 403, 403, 403, 200, 401}},
		{"make a box's name known", "POST", "/api/v1/boxes", `{"username":"acme","name":"tiny"}`, [7]int{401, 422, 422, 422, 403, 422, 401}},
		{"describe a box", "PUT", open, `{"description":"d%d"}`, [7]int{401, 403, 200, 200, 403, 200, 401}},
		{"describe a private box", "PUT", tiny, `{"description":"d%d"}`, [7]int{401, 403, 200, 200, 404, 200, 401}},
		{"make a box public", "PUT", tiny, `{"is_private":false}`, [7]int{401, 403, 403, 403, 404, 200, 401}},
		{"make it private", "PUT", tiny, `{"is_private":true}`, [7]int{401, 403, 403, 403, 403, 200, 401}},
		{"make a version", "POST", tiny + "/versions", `{"version":{"version":"3.0.%d"}}`, [7]int{401, 403, 200, 200, 403, 200, 401}},
		{"describe a version", "PUT", tiny + "/version/1.0.0", `{"version":{"description":"d%d"}}`, [7]int{401, 403, 200, 200, 404, 200, 401}},
		{"add a provider", "POST", tiny + "/version/2.0.0/providers", `{"provider":{"name":"p%d"}}`, [7]int{401, 404, 200, 200, 404, 200, 401}},
		{"change a provider", "PUT", tiny + "/version/1.0.0/provider/virtualbox", `{"provider":{"default_architecture":true}}`, [7]int{401, 403, 200, 200, 404, 200, 401}},
		{"leave a provider as it is", "PUT", tiny + "/version/1.0.0/provider/virtualbox", `{}`, [7]int{401, 403, 200, 200, 404, 200, 401}},
		{"add a provider that is there", "POST", open + "/version/1.0.0/providers", `{"provider":{"name":"virtualbox"}}`, [7]int{401, 403, 200, 200, 403, 200, 401}},
		{"clean up what is out", "DELETE", open + "/version/1.0.0/provider/virtualbox", "", [7]int{401, 422, 422, 422, 422, 422, 401}},
		{"release", "PUT", tiny + "/version/1.0.0/release", "", [7]int{401, 403, 422, 422, 404, 422, 401}},
		{"revoke", "PUT", tiny + "/version/1.0.0/revoke", "", [7]int{401, 403, 403, 200, 404, 200, 401}},
		{"restore", "PUT", open + "/version/1.0.0/release", "", [7]int{401, 403, 422, 422, 403, 422, 401}},
		{"delete a provider that is out", "DELETE", tiny + "/version/1.0.0/provider/virtualbox/unknown", "", [7]int{401, 403, 403, 403, 404, 200, 401}},
		{"delete a pending provider", "DELETE", tiny + "/version/2.0.0/provider/p%d", "", [7]int{401, 404, 200, 200, 404, 200, 401}},
		{"delete a version that is out", "DELETE", open + "/version/1.0.0", "", [7]int{401, 403, 403, 403, 403, 200, 401}},
		{"delete a version", "DELETE", tiny + "/version/3.0.%d", "", [7]int{401, 404, 200, 200, 404, 200, 401}},
		{"delete a box", "DELETE", tiny, "", [7]int{401, 403, 403, 403, 404, 200, 401}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for i, c := range callers {
				n := strings.NewReplacer("%d", string(rune('0'+i)))
				got := c.send(t, test.method, n.Replace(test.path), n.Replace(test.body))
				if got.status != test.want[i] {
					t.Errorf("%s: got %d, want %d: %s", c.name, got.status, test.want[i], got.body)
				} else if got.status >= 400 && test.method != "HEAD" {
					got.refused(t, test.want[i])
				}
			}
		})
	}
}

// TestNotThereAndNotAllowedLookTheSame compares whole answers: not a header may tell them apart.
func TestNotThereAndNotAllowedLookTheSame(t *testing.T) {
	s := servertest.New(t)
	as(s, s.AdminToken).publish(t, "aaaa", "1.0.0", "a", "virtualbox")
	for _, token := range []string{"", s.Token(t, "stranger", "publish", "other/*")} {
		for _, path := range []string{"/acme/NAME", "/api/v2/vagrant/acme/NAME", "/api/v1/box/acme/NAME", "/api/v1/box/acme/NAME/version/1.0.0",
			"/api/v1/box/acme/NAME/version/1.0.0/provider/virtualbox", "/acme/boxes/NAME/versions/1.0.0/providers/virtualbox/unknown/vagrant.box"} {
			ask := func(name string) string {
				got := as(s, token).get(t, strings.ReplaceAll(path, "NAME", name), "X-Request-Id", "x")
				got.header.Del("Date")
				var all strings.Builder
				if err := got.header.Write(&all); err != nil {
					t.Fatal(err)
				}
				return strings.ReplaceAll(all.String()+got.body, name, "NAME")
			}
			if private, none := ask("aaaa"), ask("bbbb"); private != none {
				t.Errorf("%s: a private box gives\n%s\nand none gives\n%s", path, private, none)
			}
		}
	}
}

func TestLogHasNoSecrets(t *testing.T) {
	var log bytes.Buffer
	s := servertest.New(t, servertest.WithOptions(server.Options{Logger: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}))
	c := as(s, s.AdminToken)
	c.create(t, "tiny", "1.0.0")
	at := c.announce(t, "tiny", "1.0.0", "virtualbox", "")
	secret := at[strings.LastIndex(at, "/")+1:]
	c.send(t, "PUT", at, "no box").refused(t, 422)
	c.send(t, "PUT", at, virtualbox(t, "x")).ok(t)
	c.send(t, "PUT", at+"/complete", "").ok(t)
	for _, path := range []string{at, at + "/complete", at + "/what", strings.Replace(at, "/v2/", "/v3/", 1)} {
		c.get(t, path) // no such route
	}
	as(s, "").get(t, "/acme/tiny?access_token="+s.AdminToken).ok(t)
	as(s, "").send(t, "POST", "/api/v1/authenticate", `{"user":{"login":"me","password":"`+s.AdminToken+`"}}`)
	as(s, "").send(t, "POST", "/api/v1/authenticate", `{"user":{"login":"me","password":"hunter2"}}`)
	s.Stop(t)
	if !strings.Contains(log.String(), `"route":"/api/v2/box-uploads/{secret}"`) || !strings.Contains(log.String(), `"path":"/acme/tiny"`) {
		t.Fatalf("the requests are not in the log:\n%s", log.String())
	}
	for _, secret := range []string{secret, s.AdminToken, "hunter2"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log has %s:\n%s", secret, log.String())
		}
	}
}
