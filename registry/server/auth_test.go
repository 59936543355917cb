package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// TestWhoMayDoWhat sends every kind of request with every kind of token. The statuses are in the
// order of the callers.
func TestWhoMayDoWhat(t *testing.T) {
	s := servertest.New(t)
	admin := as(s, s.AdminToken)
	for _, name := range []string{"cargomedia/app", "cargomedia/open", "other/app"} {
		admin.send(t, "POST", "/v1/artifacts/"+name+"/publish", publication("run-1", "amazon-ebs.app")).ok(t)
	}
	admin.send(t, "PUT", "/v1/artifacts/cargomedia/open", `{"public":true}`).ok(t)

	callers := []struct {
		name string
		caller
	}{
		{"nobody", as(s, "")},
		{"read", as(s, s.Token(t, "reader", "read", "cargomedia/app"))},
		{"publish", as(s, s.Token(t, "publisher", "publish", "cargomedia/*"))},
		{"promote", as(s, s.Token(t, "promoter", "promote", "cargomedia/app"))},
		{"admin of others", as(s, s.Token(t, "stranger", "admin", "other/*"))},
		{"admin", admin},
	}
	upload := fmt.Sprintf(`{"artifact":"cargomedia/app","size":1,"sha256":%q}`, strings.Repeat("a", 64))
	for _, test := range []struct {
		name, method, path, body string
		want                     [6]int
	}{
		{"read an artifact", "GET", appPath, "", [6]int{401, 200, 200, 200, 404, 200}},
		{"read an artifact that does not exist", "GET", "/v1/artifacts/cargomedia/none", "", [6]int{401, 404, 404, 404, 404, 404}},
		{"read a public artifact", "GET", "/v1/artifacts/cargomedia/open", "", [6]int{200, 200, 200, 200, 200, 200}},
		{"resolve", "GET", "/v1/resolve/cargomedia/app/latest", "", [6]int{401, 200, 200, 200, 404, 200}},
		{"resolve what does not exist", "GET", "/v1/resolve/cargomedia/none/latest", "", [6]int{401, 404, 404, 404, 404, 404}},
		{"resolve what is public", "GET", "/v1/resolve/cargomedia/open/latest", "", [6]int{200, 200, 200, 200, 200, 200}},
		{"list versions", "GET", appPath + "/versions", "", [6]int{401, 200, 200, 200, 404, 200}},
		{"show a version", "GET", appPath + "/versions/1", "", [6]int{401, 200, 200, 200, 404, 200}},
		{"show a channel", "GET", appPath + "/channels/none", "", [6]int{401, 404, 404, 404, 404, 404}},
		{"list artifacts", "GET", "/v1/artifacts", "", [6]int{200, 200, 200, 200, 200, 200}},
		{"ask for access", "GET", appPath + "/access", "", [6]int{401, 200, 200, 200, 200, 200}},
		{"find an image", "GET", "/v1/images/aws/eu-west-1/ami-0e1", "", [6]int{200, 200, 200, 200, 200, 200}},
		{"read events", "GET", "/v1/events", "", [6]int{401, 200, 200, 200, 200, 200}},
		{"download what is not there", "GET", "/v1/blobs/" + strings.Repeat("b", 64), "", [6]int{401, 404, 404, 404, 404, 404}},
		{"publish", "POST", appPath + "/publish", publication("run-1", "amazon-ebs.app"), [6]int{401, 403, 200, 200, 403, 200}},
		{"publish to a channel", "POST", appPath + "/publish", publication("run-1", "amazon-ebs.app", `"channels":["staging"],`), [6]int{401, 403, 403, 200, 403, 200}},
		{"publish elsewhere", "POST", "/v1/artifacts/other/app/publish", publication("run-1", "amazon-ebs.app"), [6]int{401, 403, 403, 403, 200, 200}},
		{"begin an upload", "POST", "/v1/uploads", upload, [6]int{401, 403, 201, 201, 403, 201}},
		{"move a channel", "PUT", appPath + "/channels/production", `{"ref":"1"}`, [6]int{401, 403, 403, 200, 403, 200}},
		{"revoke", "POST", appPath + "/versions/1/revoke", `{"reason":"CVE"}`, [6]int{401, 403, 403, 200, 403, 200}},
		{"verify", "POST", appPath + "/versions/1/verify", `{"component":"amazon-ebs.app","images":[{"provider":"aws","region":"eu-west-1","id":"ami-0e1","verification":{"status":"available"}}]}`, [6]int{401, 403, 200, 200, 403, 200}},
		{"restore", "POST", appPath + "/versions/1/restore", "", [6]int{401, 403, 403, 200, 403, 200}},
		{"change settings", "PUT", appPath, `{}`, [6]int{401, 403, 403, 403, 403, 200}},
		{"list tokens", "GET", "/v1/tokens", "", [6]int{401, 403, 403, 403, 200, 200}},
		{"create a token", "POST", "/v1/tokens", `{"name":"n%d","role":"read","scopes":["other/app"]}`, [6]int{401, 403, 403, 403, 201, 201}},
		{"create a token beyond one's own", "POST", "/v1/tokens", `{"name":"m%d","role":"read","scopes":["*"]}`, [6]int{401, 403, 403, 403, 422, 201}},
		{"revoke a token of others", "DELETE", "/v1/tokens/reader", "", [6]int{401, 403, 403, 403, 404, 200}},
		{"delete", "DELETE", appPath, "", [6]int{401, 403, 403, 403, 403, 204}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for i, c := range callers {
				if c.name == "read" && test.name == "delete" {
					continue // its token was revoked above
				}
				got := c.send(t, test.method, test.path, strings.Replace(test.body, "%d", fmt.Sprint(i), 1))
				if got.status != test.want[i] {
					t.Errorf("%s: got %d, want %d: %s", c.name, got.status, test.want[i], got.body)
				}
				if challenge := got.header.Get("WWW-Authenticate"); (got.status == 401) != (challenge == `Bearer realm="almanac"`) {
					t.Errorf("%s: %d with the challenge %q", c.name, got.status, challenge)
				}
			}
		})
	}
}

// TestNotFoundAndNotAllowedLookTheSame compares whole answers: not a header may tell them apart.
func TestNotFoundAndNotAllowedLookTheSame(t *testing.T) {
	s := servertest.New(t)
	as(s, s.AdminToken).send(t, "POST", "/v1/artifacts/other/aaa/publish", publication("run-1", "x")).ok(t)
	for _, token := range []string{"", s.Token(t, "reader", "read", "cargomedia/*")} {
		for _, path := range []string{"/v1/artifacts/other/%s", "/v1/artifacts/other/%s/versions", "/v1/resolve/other/%s/latest", "/v1/artifacts/other/%s/versions/1"} {
			id := []string{"X-Request-Id", "same"}
			there := as(s, token).get(t, fmt.Sprintf(path, "aaa"), id...)
			gone := as(s, token).get(t, fmt.Sprintf(path, "zzz"), id...)
			there.header.Del("Date")
			gone.header.Del("Date")
			if there.status != gone.status || strings.ReplaceAll(there.body, "aaa", "zzz") != gone.body || fmt.Sprint(there.header) != fmt.Sprint(gone.header) {
				t.Errorf("%s: what is there\n%d %s\nand what is not\n%d %s", path, there.status, there.body, gone.status, gone.body)
			}
		}
	}
}

func TestBadTokensAreRefusedEverywhere(t *testing.T) {
	s := servertest.New(t)
	admin := as(s, s.AdminToken)
	admin.send(t, "PUT", "/v1/artifacts/cargomedia/open", `{"public":true}`).ok(t)
	revoked := s.Token(t, "revoked", "admin")
	admin.send(t, "DELETE", "/v1/tokens/revoked", "").ok(t)
	for name, value := range map[string]string{
		"unknown":           "Bearer " + registry.NewSecret(),
		"revoked":           "Bearer " + revoked,
		"another scheme":    "Basic YWRtaW46eA==",
		"no scheme":         s.AdminToken,
		"no token":          "Bearer ",
		"two tokens":        "Bearer " + s.AdminToken + " " + s.AdminToken,
		"a comma":           "Bearer " + s.AdminToken + ",",
		"bytes of no token": "Bearer \xff\xfe",
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{"/v1/artifacts/cargomedia/open", "/v1/artifacts", "/v1/events"} {
				got := as(s, "").get(t, path, "Authorization", value)
				got.problem(t, 401)
				if want := `Bearer realm="almanac", error="invalid_token"`; got.header.Get("WWW-Authenticate") != want {
					t.Errorf("%s: challenge %q, want %q", path, got.header.Get("WWW-Authenticate"), want)
				}
				if strings.Contains(got.body, s.AdminToken) || strings.Contains(got.body, revoked) {
					t.Errorf("the answer has the token: %s", got.body)
				}
			}
			as(s, "").get(t, "/healthz", "Authorization", value).ok(t)
		})
	}
	t.Run("two headers", func(t *testing.T) {
		req, _ := http.NewRequestWithContext(t.Context(), "GET", s.URL+"/v1/artifacts", nil)
		req.Header["Authorization"] = []string{"Bearer " + s.AdminToken, "Bearer " + s.AdminToken}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != 401 {
			t.Errorf("got %s", resp.Status)
		}
	})
}

func TestSchemeOfATokenHasNoCase(t *testing.T) {
	s := servertest.New(t)
	for _, scheme := range []string{"bearer ", "BEARER ", "Bearer   "} {
		as(s, "").get(t, "/v1/events", "Authorization", scheme+s.AdminToken).ok(t)
	}
}

func TestTokenExpires(t *testing.T) {
	now := time.Now()
	s := servertest.New(t, servertest.WithClock(func() time.Time { return now }))
	admin := as(s, s.AdminToken)
	body := fmt.Sprintf(`{"name":"short","role":"read","scopes":["*"],"expires_at":%q}`, now.Add(time.Minute).UTC().Format(time.RFC3339))
	secret := decode[registry.NewToken](t, admin.send(t, "POST", "/v1/tokens", body).ok(t)).Secret
	as(s, secret).get(t, "/v1/events").ok(t)
	now = now.Add(2 * time.Minute)
	as(s, secret).get(t, "/v1/events").problem(t, 401)
}
