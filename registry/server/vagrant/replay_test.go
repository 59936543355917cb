package vagrant_test

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/golden"
	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
)

// step is one request of a client. {upload_path}, {callback} and {path of callback} stand for what the server said, and
// {box} for the bytes of the box.
type step struct {
	method, path, body string
	status             int
	// want are pairs of a path in the answer and the JSON there: what the client goes by.
	want []string
	// header are pairs; "Authorization", "" leaves the token out.
	header []string
}

// TestReplay sends what clients send, in their order, and holds what they go by to what they need; the whole answers
// are in golden files.
func TestReplay(t *testing.T) {
	vagrant := func(version string) http.Header {
		return http.Header{"Accept": {"application/json"}, "Content-Type": {"application/json"}, "X-Request-Id": {"5b2a0b52-6f5c-4b5c-9d5f-7a3d6f3c0f11"},
			"User-Agent": {"VagrantCloud/" + version}}
	}
	curl := func(version string) []string {
		return []string{"Content-Type", "", "X-Request-Id", "", "Accept", "application/json", "User-Agent", "Vagrant/" + version + " (+https://www.vagrantup.com; ruby3.1.2)"}
	}
	bytesOnly := func(version string) []string {
		return append(curl(version), "Accept", "*/*", "Authorization", "", "Expect", "100-continue")
	}
	const v1, v2 = "/api/v1/box/acme/tiny", "/api/v2/box/acme/tiny"
	for _, test := range []struct {
		name   string
		header http.Header
		// exists is for clients that do not make the box.
		exists bool
		steps  func(sum string) []step
	}{
		{"vagrant-2.3.4-publish", vagrant("3.0.5"), false, func(sum string) []step {
			return []step{
				{method: "GET", path: "/api/v1/authenticate", want: []string{"user.username", `"admin"`}},
				{method: "GET", path: "/api/v1/authenticate"},
				{method: "GET", path: "/api/v1/user/acme", want: []string{"username", `"acme"`, "boxes", "[]"}},
				{method: "GET", path: "/api/v1/user/acme"},
				{method: "POST", path: "/api/v1/boxes", body: `{"username":"acme","name":"tiny","short_description":"Small","description":"Really small","is_private":null}`,
					want: []string{"name", `"tiny"`, "tag", `"acme/tiny"`, "username", `"acme"`, "private", "true", "short_description", `"Small"`, "versions", "[]"}},
				{method: "POST", path: v1 + "/versions", body: `{"version":{"version":"1.0.0","description":null}}`, want: []string{"version", `"1.0.0"`, "status", `"unreleased"`, "providers", "[]"}},
				{method: "POST", path: v1 + "/version/1.0.0/providers", body: `{"provider":{"name":"virtualbox","url":null,"checksum":"` + sum + `","checksum_type":"sha256"}}`,
					want: []string{"name", `"virtualbox"`, "hosted", "true", "checksum", `"` + sum + `"`, "architecture", `"unknown"`, "default_architecture", "true"}},
				{method: "GET", path: v1 + "/version/1.0.0/provider/virtualbox/upload/direct"},
				{method: "PUT", path: "{upload_path}", body: "{box}", header: bytesOnly("2.3.4")},
				{method: "PUT", path: "{path of callback}"},
				{method: "PUT", path: v1 + "/version/1.0.0/release", want: []string{"status", `"active"`}},
				{method: "HEAD", path: "/acme/tiny", header: curl("2.3.4")},
				{method: "GET", path: "/acme/tiny", header: curl("2.3.4"), want: []string{"name", `"acme/tiny"`, "versions.0.version", `"1.0.0"`,
					"versions.0.providers.0.checksum", `"` + sum + `"`, "versions.0.providers.0.architecture", `"unknown"`, "versions.0.providers.0.default_architecture", "true"}},
			}
		}},
		{"vagrant-2.4.9-publish", vagrant("3.1.3"), false, func(sum string) []step {
			return []step{
				{method: "GET", path: "/api/v2/authenticate", want: []string{"user.username", `"admin"`}},
				{method: "GET", path: "/api/v2/authenticate"},
				{method: "GET", path: "/api/v2/user/acme", want: []string{"boxes", "[]"}},
				{method: "GET", path: "/api/v2/user/acme"},
				{method: "POST", path: "/api/v2/boxes", body: `{"box":{"username":"acme","name":"tiny","short_description":null,"description":null,"is_private":"true"}}`,
					want: []string{"tag", `"acme/tiny"`, "private", "true"}},
				{method: "POST", path: v2 + "/versions", body: `{"version":{"version":"1.0.0","description":"First"}}`, want: []string{"version", `"1.0.0"`, "description_markdown", `"First"`}},
				{method: "POST", path: v2 + "/version/1.0.0/providers",
					body: `{"provider":{"name":"virtualbox","url":null,"checksum":"` + sum + `","checksum_type":"sha256","architecture":"arm64","default_architecture":true}}`,
					want: []string{"name", `"virtualbox"`, "architecture", `"arm64"`, "default_architecture", "true"}},
				{method: "GET", path: v2 + "/version/1.0.0/provider/virtualbox/arm64/upload/direct"},
				{method: "PUT", path: "{upload_path}", body: "{box}", header: bytesOnly("2.4.9")},
				{method: "PUT", path: "{path of callback}"},
				{method: "PUT", path: v2 + "/version/1.0.0/release", want: []string{"status", `"active"`}},
				{method: "HEAD", path: "/api/v2/vagrant/acme/tiny", header: curl("2.4.9")},
				{method: "HEAD", path: "/acme/tiny", header: curl("2.4.9")},
				{method: "GET", path: "/api/v2/vagrant/acme/tiny", header: curl("2.4.9"), want: []string{"name", `"acme/tiny"`,
					"versions.0.providers.0.architecture", `"arm64"`, "versions.0.providers.0.default_architecture", "true"}},
			}
		}},
		{"packer-1.6.6-vagrant-cloud", http.Header{"Content-Type": {"application/json"}}, true, func(string) []step {
			return []step{
				{method: "GET", path: "/api/v1/authenticate"},
				{method: "GET", path: v1, want: []string{"tag", `"acme/tiny"`, "versions", "[]"}},
				{method: "POST", path: v1 + "/versions", body: `{"version":{"version":"1.1.0","description":""}}`, want: []string{"version", `"1.1.0"`}},
				{method: "POST", path: v1 + "/version/1.1.0/providers", body: `{"provider":{"name":"virtualbox"}}`, want: []string{"name", `"virtualbox"`}},
				{method: "GET", path: v1 + "/version/1.1.0/provider/virtualbox/upload"},
				{method: "PUT", path: "{upload_path}", body: "{box}"},
				{method: "PUT", path: v1 + "/version/1.1.0/release", want: []string{"status", `"active"`}},
				{method: "PUT", path: v1 + "/version/1.1.0/release", status: 422, want: []string{"errors.0", `"version 1.1.0 of acme/tiny has already been released"`}},
			}
		}},
		{"packer-1.6.6-vagrant-cloud-at-v2", http.Header{"Content-Type": {"application/json"}}, true, func(string) []step {
			return []step{
				{method: "GET", path: "/api/v2/authenticate"},
				{method: "GET", path: v2, want: []string{"tag", `"acme/tiny"`}},
				{method: "POST", path: v2 + "/versions", body: `{"version":{"version":"1.1.0","description":""}}`},
				{method: "POST", path: v2 + "/version/1.1.0/providers", body: `{"provider":{"name":"virtualbox"}}`},
				{method: "GET", path: v2 + "/version/1.1.0/provider/virtualbox/upload/direct"},
				{method: "PUT", path: "{upload_path}", body: "{box}", header: []string{"Authorization", "", "Content-Type", ""}},
				{method: "PUT", path: "{callback}"},
				{method: "PUT", path: v2 + "/version/1.1.0/release", want: []string{"status", `"active"`}},
			}
		}},
		{"packer-plugin-vagrant-1.1.7", http.Header{"Content-Type": {"application/json"}}, true, func(sum string) []step {
			return []step{
				{method: "GET", path: "/api/v2/authenticate"},
				{method: "GET", path: v2, want: []string{"tag", `"acme/tiny"`}},
				{method: "POST", path: v2 + "/versions", body: `{"version":{"version":"2.0.0","description":"Second"}}`, want: []string{"version", `"2.0.0"`}},
				{method: "POST", path: v2 + "/version/2.0.0/providers",
					body: `{"provider":{"name":"virtualbox","url":"","checksum":"` + sum + `","checksum_type":"sha256","architecture":"amd64","default_architecture":"true"}}`,
					want: []string{"name", `"virtualbox"`, "architecture", `"amd64"`, "default_architecture", "true"}},
				{method: "GET", path: v2 + "/version/2.0.0/provider/virtualbox/amd64/upload/direct"},
				{method: "PUT", path: "{upload_path}", body: "{box}", header: []string{"Authorization", "", "Content-Type", ""}},
				{method: "PUT", path: "{callback}"},
				{method: "PUT", path: v2 + "/version/2.0.0/release", want: []string{"status", `"active"`}},
			}
		}},
		{"packer-plugin-vagrant-1.1.7-cleans-up", http.Header{"Content-Type": {"application/json"}}, true, func(sum string) []step {
			return []step{
				{method: "POST", path: v2 + "/versions", body: `{"version":{"version":"2.0.0","description":""}}`},
				{method: "POST", path: v2 + "/version/2.0.0/providers", body: `{"provider":{"name":"virtualbox","checksum":"` + strings.Repeat("0", 64) + `","checksum_type":"sha256","architecture":"amd64"}}`},
				{method: "GET", path: v2 + "/version/2.0.0/provider/virtualbox/amd64/upload"},
				{method: "PUT", path: "{upload_path}", body: "{box}", status: 422},
				{method: "DELETE", path: v2 + "/version/2.0.0/provider/virtualbox"},
				{method: "GET", path: v2 + "/version/2.0.0", want: []string{"providers", "[]"}},
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := servertest.New(t)
			c := as(s, s.AdminToken)
			if test.exists {
				c.send(t, "POST", "/api/v1/boxes", `{"username":"acme","name":"tiny"}`).ok(t)
			}
			c.header = test.header
			content := virtualbox(t, "the disk")
			var transcript strings.Builder
			said := strings.NewReplacer("{box}", content)
			for _, step := range test.steps(sha256Of(content)) {
				path, body := said.Replace(step.path), said.Replace(step.body)
				got := c.send(t, step.method, path, body, step.header...)
				fmt.Fprintf(&transcript, "%s %s %s\n%d %s\n", step.method, step.path, step.body, got.status, got.header.Get("Content-Type"))
				if want := cmp.Or(step.status, http.StatusOK); got.status != want {
					t.Fatalf("%s %s: got %d %s, want %d", step.method, step.path, got.status, got.body, want)
				}
				if step.method == "HEAD" {
					transcript.WriteString("\n")
					continue
				}
				fmt.Fprintf(&transcript, "%s\n", indented(t, got.body))
				got.has(t, step.want...)
				if strings.Contains(step.path, "/upload") {
					said = uploadSaid(t, got, content)
				}
			}
			// How well a box compresses differs between versions of Go.
			golden.Equal(t, filepath.Join("testdata", "replay/"+test.name+".txt"), strings.ReplaceAll(stable(s, transcript.String()), sha256Of(content), "SHA256"))
			if !strings.HasSuffix(test.name, "cleans-up") {
				downloads(t, c, content)
			}
		})
	}
}

// uploadSaid replaces what the server said of an upload. Vagrant's client keeps no more than the path of the callback.
func uploadSaid(t *testing.T, got reply, content string) *strings.Replacer {
	t.Helper()
	pairs := []string{"{box}", content, "{upload_path}", got.text(t, "upload_path")}
	if strings.Contains(got.body, "callback") {
		u, err := url.Parse(got.text(t, "callback"))
		if err != nil {
			t.Fatal(err)
		}
		pairs = append(pairs, "{callback}", u.String(), "{path of callback}", u.Path)
	}
	return strings.NewReplacer(pairs...)
}

// downloads gets the box of the catalog as Vagrant does, whole and in two parts.
func downloads(t *testing.T, c caller, content string) {
	t.Helper()
	at := c.get(t, "/acme/tiny").ok(t).text(t, "versions.0.providers.0.url")
	if got := c.get(t, at, "Accept", "*/*").ok(t); got.body != content || got.header.Get("Accept-Ranges") != "bytes" {
		t.Errorf("got %d bytes with %v", len(got.body), got.header)
	}
	if got := c.get(t, at, "Range", "bytes=10-"); got.status != http.StatusPartialContent || got.body != content[10:] {
		t.Errorf("resumed: got %d with %d bytes", got.status, len(got.body))
	}
}
