package server_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// TestEveryRoute goes through all routes in the order in which a user would, and fails if the
// description names one that was not called.
func TestEveryRoute(t *testing.T) {
	s := servertest.New(t)
	c := as(s, s.AdminToken)
	content := "hello world\n"
	digest := string(registry.SecretDigest(content)) // the sha256 of a text
	var uploads []string
	begin := func(t *testing.T) string {
		r := c.send(t, "POST", "/v1/uploads", fmt.Sprintf(`{"artifact":"cargomedia/app","size":12,"sha256":%q}`, digest)).ok(t)
		uploads = append(uploads, r.header.Get("Location"))
		return r.header.Get("Location")
	}
	abandoned := begin(t)
	location := begin(t)
	bytes := []string{"Content-Type", "application/octet-stream", "Upload-Offset", "0"}
	lease := runOf(t, s, "cargomedia/source", "cargomedia/built").Lease

	steps := []struct {
		route, path, body string
		headers           []string
		status            int
		want              string // part of the body, or "" for an empty one
	}{
		{"POST /v1/uploads", "", fmt.Sprintf(`{"artifact":"cargomedia/app","size":12,"sha256":%q}`, digest), nil, 201, `"offset":0,"done":false`},
		{"GET /v1/uploads/{id}", location, "", nil, 200, `"size":12`},
		{"PATCH /v1/uploads/{id}", location, content, bytes, 204, ""},
		{"PUT /v1/uploads/{id}", location, "", nil, 200, `"done":true`},
		{"DELETE /v1/uploads/{id}", abandoned, "", nil, 204, ""},
		{"GET /v1/blobs/{digest}", "/v1/blobs/" + digest, "", nil, 200, content},
		{"PUT /v1/artifacts/{namespace}/{name}", appPath, `{"description":"The app"}`, nil, 200, `"description":"The app"`},
		{"POST /v1/artifacts/{namespace}/{name}/publish", appPath + "/publish", publication("run-1", "amazon-ebs.app"), nil, 200, `"number":1,"version":"0.1.0"`},
		{"POST /v1/artifacts/{namespace}/{name}/downloads", appPath + "/downloads", `{"ref":"1","file":"none"}`, nil, 404, `has no files`},
		{"GET /v1/artifacts", "/v1/artifacts?namespace=cargomedia&type=aws.ami&q=App&limit=1", "", nil, 200, `"name":"cargomedia/app"`},
		{"GET /v1/artifacts/{namespace}/{name}", appPath, "", nil, 200, `"types":["amazon.image"]`},
		{"GET /v1/artifacts/{namespace}/{name}/access", appPath + "/access", "", nil, 200, `"exists":true,"token":"admin"`},
		{"GET /v1/artifacts/{namespace}/{name}/versions", appPath + "/versions?offered=true&type=aws.ami", "", nil, 200, `"fingerprint":"run-1"`},
		{"GET /v1/artifacts/{namespace}/{name}/versions/{ref}", appPath + "/versions/~%3E%200.1", "", nil, 200, `"id":"ami-0e1"`},
		{"PUT /v1/artifacts/{namespace}/{name}/channels/{channel}", appPath + "/channels/production", `{"ref":"1"}`, nil, 200, `"name":"production"`},
		{"GET /v1/artifacts/{namespace}/{name}/channels/{channel}", appPath + "/channels/production", "", nil, 200, `"moves":[{`},
		{"GET /v1/resolve/{namespace}/{name}/{ref}", "/v1/resolve/cargomedia/app/production?type=aws.ami&region=eu-west-1&arch=x86_64&provider=aws&component=amazon-ebs.app&metadata.region=eu-west-1", "", nil, 200, `"id":"ami-0e1"`},
		{"POST /v1/artifacts/{namespace}/{name}/search", appPath + "/search", `{"type":"aws.ami","version":"any","metadata_keys":["region.eu-west-1"]}`, nil, 200, `"matches":[{`},
		{"GET /v1/images/{provider}/{region}/{id}", "/v1/images/aws/eu-west-1/ami-0e1", "", nil, 200, `"uses":[{"artifact":"cargomedia/app"`},
		{"POST /v1/artifacts/{namespace}/{name}/versions/{ref}/verify", appPath + "/versions/1/verify", `{"component":"amazon-ebs.app","images":[{"provider":"aws","region":"eu-west-1","id":"ami-0e1","verification":{"status":"available"}}]}`, nil, 200, `"verification":{"status":"available"`},
		{"POST /v1/artifacts/{namespace}/{name}/versions/{ref}/revoke", appPath + "/versions/1/revoke", `{"reason":"CVE"}`, nil, 200, `"reason":"CVE"`},
		{"POST /v1/artifacts/{namespace}/{name}/versions/{ref}/restore", appPath + "/versions/1/restore", "", nil, 200, `"number":1`},
		{"DELETE /v1/artifacts/{namespace}/{name}/channels/{channel}", appPath + "/channels/production", "", nil, 204, ""},
		{"PUT /v1/links/{namespace}/{name}/{target_namespace}/{target_name}", "/v1/links/cargomedia/app/cargomedia/image", "", nil, 200, `"target":"cargomedia/image"`},
		{"GET /v1/links", "/v1/links?artifact=cargomedia/app", "", nil, 200, `{"links":[{"application":"cargomedia/app"`},
		{"DELETE /v1/links/{namespace}/{name}/{target_namespace}/{target_name}", "/v1/links/cargomedia/app/cargomedia/image", "", nil, 204, ""},
		{"GET /v1/runs", "/v1/runs?artifact=cargomedia/built&status=running&limit=1", "", nil, 200, `{"runs":[{"id":1,`},
		{"GET /v1/runs/{id}", "/v1/runs/1", "", nil, 200, `"fingerprint":"almanac-run-1"`},
		{"POST /v1/runs/{id}/renew", "/v1/runs/1/renew", fmt.Sprintf(`{"lease":%q,"lease_seconds":60}`, lease), nil, 200, `"lease_until":"`},
		{"POST /v1/runs/{id}/log", "/v1/runs/1/log", fmt.Sprintf(`{"lease":%q,"offset":0,"text":"one\ntwo\n"}`, lease), nil, 200, `{"log_size":8}`},
		{"GET /v1/runs/{id}/log", "/v1/runs/1/log?from=4", "", nil, 200, `{"text":"two\n","next":8}`},
		{"POST /v1/runs/{id}/finish", "/v1/runs/1/finish", fmt.Sprintf(`{"lease":%q,"failed":true,"message":"exit status 1"}`, lease), nil, 200, `"status":"failed"`},
		{"POST /v1/runs/{id}/repeat", "/v1/runs/1/repeat", "", nil, 200, `"fingerprint":"almanac-run-1.2","status":"queued"`},
		{"POST /v1/runs/claim", "", `{"application":"cargomedia/source","target":"cargomedia/built","runner":"r","lease_seconds":5}`, nil, 200, `"lease":"alm_`},
		{"GET /v1/events", "/v1/events?after=1&limit=2", "", nil, 200, `"last":3`},
		{"POST /v1/tokens", "/v1/tokens", `{"name":"ci","role":"publish","scopes":["cargomedia/*"]}`, nil, 201, `"secret":"alm_`},
		{"GET /v1/tokens", "/v1/tokens", "", nil, 200, `"name":"ci"`},
		{"DELETE /v1/tokens/{token}", "/v1/tokens/ci", "", nil, 200, `"revoked_at":"`},
		{"DELETE /v1/artifacts/{namespace}/{name}", appPath, "", nil, 204, ""},
		{"GET /healthz", "/healthz", "", nil, 200, "ok"},
		{"GET /readyz", "/readyz", "", nil, 200, "ready"},
		{"GET /metrics", "/metrics", "", nil, 200, `almanac_http_requests_total{method="GET",route="/v1/artifacts/{namespace}/{name}/access",status="200"} 1`},
		{"GET /openapi.json", "/openapi.json", "", nil, 200, `"openapi": "3.1.0"`},
		{"GET /docs", "/docs", "", nil, 200, "<h1>Almanac API</h1>"},
	}
	called := map[string]bool{}
	for _, step := range steps {
		t.Run(step.route, func(t *testing.T) {
			method, path, _ := strings.Cut(step.route, " ")
			called[step.route] = true
			if step.path != "" {
				path = step.path
			}
			got := c.send(t, method, path, step.body, step.headers...)
			if got.status != step.status || !strings.Contains(got.body, step.want) || (step.want == "") != (got.body == "") {
				t.Fatalf("got %d %s, want %d and %q", got.status, got.body, step.status, step.want)
			}
			if strings.Contains(got.body, ":null") {
				t.Errorf("the answer has a null: %s", got.body)
			}
			if method != "GET" {
				return
			}
			head := c.send(t, "HEAD", path, "", step.headers...)
			if head.status != got.status || head.body != "" || head.header.Get("Content-Type") != got.header.Get("Content-Type") {
				t.Errorf("HEAD answers %d %q %s", head.status, head.body, head.header.Get("Content-Type"))
			}
		})
	}
	var spec struct{ Paths map[string]map[string]any }
	if err := json.Unmarshal([]byte(c.get(t, "/openapi.json").body), &spec); err != nil {
		t.Fatal(err)
	}
	described := map[string]bool{}
	for path, item := range spec.Paths {
		for method := range item {
			described[strings.ToUpper(method)+" "+path] = true
		}
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(described)), slices.Sorted(maps.Keys(called))); diff != "" {
		t.Errorf("routes that are described and those that were called (-described +called):\n%s", diff)
	}
}

func TestExamplesOfTheDescriptionWork(t *testing.T) {
	s := servertest.New(t)
	c := as(s, s.AdminToken)
	var spec struct {
		Paths map[string]map[string]struct {
			RequestBody struct {
				Content map[string]struct{ Example json.RawMessage }
			}
		}
	}
	if err := json.Unmarshal([]byte(c.get(t, "/openapi.json").body), &spec); err != nil {
		t.Fatal(err)
	}
	names := strings.NewReplacer("{namespace}", "cargomedia", "{name}", "app", "{ref}", "1", "{channel}", "production")
	sent := 0
	// What the others need comes first.
	c.send(t, "PUT", "/v1/links/cargomedia/app/cargomedia/app-image", "").ok(t)
	for _, first := range []bool{true, false} {
		for path, item := range spec.Paths {
			for method, o := range item {
				example := o.RequestBody.Content["application/json"].Example
				if example == nil || strings.HasSuffix(path, "/publish") != first || strings.HasSuffix(path, "/revoke") {
					continue
				}
				sent++
				c.send(t, strings.ToUpper(method), names.Replace(path), string(example)).ok(t)
				if strings.Contains(string(example), "'") {
					t.Errorf("%s: the example cannot be put between single quotes in a shell: %s", path, example)
				}
			}
		}
	}
	c.send(t, "POST", appPath+"/versions/1/revoke", string(spec.Paths["/v1/artifacts/{namespace}/{name}/versions/{ref}/revoke"]["post"].RequestBody.Content["application/json"].Example)).ok(t)
	if sent != 6 {
		t.Errorf("%d examples were sent, want 6", sent)
	}
}

func TestUnknownRoutesAndMethods(t *testing.T) {
	s := servertest.New(t)
	c := as(s, s.AdminToken)
	for _, path := range []string{"/v1", "/v1/", "/v1/artifacts/", "/v1/artifacts/a", "/v2/artifacts", "/v1/artifacts/a/b/c", "/schemas", "/ui/Artifact", "/openapi.yaml", "/docs/x"} {
		p := c.get(t, path).problem(t, 404)
		if p.Kind != registry.NotFound {
			t.Errorf("%s: kind %q", path, p.Kind)
		}
	}
	for path, allow := range map[string]string{
		"/v1/artifacts":      "GET, HEAD",
		appPath:              "GET, HEAD, PUT, DELETE",
		appPath + "/publish": "POST",
		"/v1/uploads/abc":    "GET, HEAD, PUT, PATCH, DELETE",
		"/v1/blobs/abc":      "GET, HEAD",
		"/v1/tokens":         "GET, HEAD, POST",
		"/v1/links/a/b/c/d":  "PUT, DELETE",
		"/v1/runs/1/log":     "GET, HEAD, POST",
		"/v1/runs/1/repeat":  "POST",
		"/healthz":           "GET, HEAD",
	} {
		for _, method := range []string{"OPTIONS", "TRACE"} {
			got := c.send(t, method, path, "")
			got.problem(t, http.StatusMethodNotAllowed)
			if got.header.Get("Allow") != allow {
				t.Errorf("%s %s: Allow is %q, want %q", method, path, got.header.Get("Allow"), allow)
			}
		}
	}
}

func TestRootLeadsToTheDocs(t *testing.T) {
	s := servertest.New(t)
	c := caller{url: s.URL}
	if got := c.get(t, "/"); got.status != http.StatusSeeOther || got.header.Get("Location") != "/docs" {
		t.Errorf("got %d to %q, want 303 to /docs", got.status, got.header.Get("Location"))
	}
	c.send(t, "POST", "/", "").problem(t, http.StatusMethodNotAllowed)
}

func TestPathTricksAreRefused(t *testing.T) {
	s := servertest.New(t)
	c := as(s, s.AdminToken)
	for path, status := range map[string]int{
		"/v1/artifacts/../tokens":            400,
		"/v1/artifacts/cargomedia/../app":    400,
		"/v1/artifacts//app":                 400,
		"/v1//artifacts":                     400,
		"/v1/artifacts/./app":                400,
		"/v1/artifacts/cargomedia/..":        400,
		"/v1/artifacts/%2e%2e/app":           422,
		"/v1/artifacts/cargomedia/%2e%2e":    422,
		"/v1/artifacts/cargomedia%2Fapp/x":   422,
		"/v1/artifacts/cargomedia/app%00":    400,
		"/v1/artifacts/cargomedia/%ff":       400,
		"/v1/artifacts/cargomedia/app%2F..":  422,
		"/v1/artifacts/v1/app":               422,
		"/v1/blobs/..%2F..%2Fetc%2Fpasswd":   422,
		"/v1/uploads/..%2F..%2Fetc":          404,
		"/v1/images/aws/eu-west-1/ami%00-1":  400,
		"/v1/images/azure/eastus/%2Fsub%2Fx": 404,
		"/v1/resolve/cargomedia/app/%2e%2e":  422,
	} {
		c.get(t, path).problem(t, status)
	}
}
