package vagrant_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
)

// TestARepeatAfterTheRelease runs each client again whose release succeeded without its knowing: with the same bytes it
// succeeds and changes nothing, and with others it learns the reason, and its cleanup deletes nothing.
func TestARepeatAfterTheRelease(t *testing.T) {
	content, other := virtualbox(t, "the disk"), virtualbox(t, "another disk")
	const v1, v2 = "/api/v1/box/acme/tiny/version/1.0.0", "/api/v2/box/acme/tiny/version/1.0.0"
	for name, test := range map[string]struct {
		provider string // how it was announced first
		before   []step // the upload
		upload   string
		callback bool
		release  string
		cleanup  string
	}{
		"vagrant 2.3.4": {provider: "virtualbox", before: []step{
			{method: "GET", path: "/api/v1/authenticate"},
			{method: "GET", path: "/api/v1/user/acme", want: []string{"boxes.0.tag", `"acme/tiny"`}},
			{method: "GET", path: "/api/v1/box/acme/tiny", want: []string{"versions.0.status", `"active"`, "versions.0.providers.0.name", `"virtualbox"`}},
			{method: "PUT", path: v1 + "/provider/virtualbox", body: `{"provider":{"name":"virtualbox","checksum":"SUM","checksum_type":"sha256"}}`},
		}, upload: v1 + "/provider/virtualbox/upload/direct", callback: true},
		"vagrant 2.4.9": {provider: "virtualbox/amd64", before: []step{
			{method: "GET", path: "/api/v2/user/acme", want: []string{"boxes.0.tag", `"acme/tiny"`}},
			{method: "GET", path: "/api/v2/box/acme/tiny", want: []string{"versions.0.status", `"active"`, "versions.0.providers.0.architecture", `"amd64"`}},
			{method: "PUT", path: v2 + "/provider/virtualbox/amd64",
				body: `{"provider":{"name":"virtualbox","checksum":"SUM","checksum_type":"sha256","architecture":"amd64","default_architecture":true}}`},
		}, upload: v2 + "/provider/virtualbox/amd64/upload"},
		"packer 1.6.6": {provider: "virtualbox", before: []step{
			{method: "GET", path: "/api/v1/authenticate"},
			{method: "GET", path: "/api/v1/box/acme/tiny", want: []string{"tag", `"acme/tiny"`, "versions.0.version", `"1.0.0"`}},
			{method: "POST", path: v1 + "/providers", body: `{"provider":{"name":"virtualbox"}}`, want: []string{"name", `"virtualbox"`}},
		}, upload: v1 + "/provider/virtualbox/upload", release: v1 + "/release", cleanup: v1 + "/provider/virtualbox"},
		"packer-plugin-vagrant 1.1.7": {provider: "virtualbox/amd64", before: []step{
			{method: "GET", path: "/api/v2/box/acme/tiny", want: []string{"tag", `"acme/tiny"`, "versions.0.version", `"1.0.0"`}},
			{method: "POST", path: v2 + "/providers", body: `{"provider":{"name":"virtualbox","url":"","checksum":"","checksum_type":"","architecture":"amd64","default_architecture":"true"}}`,
				want: []string{"name", `"virtualbox"`, "architecture", `"amd64"`}},
		}, upload: v2 + "/provider/virtualbox/amd64/upload/direct", callback: true, release: v2 + "/release", cleanup: v2 + "/provider/virtualbox"},
	} {
		t.Run(name, func(t *testing.T) {
			s := servertest.New(t)
			c := as(s, s.AdminToken)
			c.create(t, "tiny", "1.0.0")
			c.send(t, "PUT", c.announce(t, "tiny", "1.0.0", test.provider, `,"default_architecture":true`), content).ok(t)
			c.send(t, "PUT", v1+"/release", "").ok(t)
			state := func() string {
				return c.get(t, "/api/v1/box/acme/tiny").ok(t).body + c.get(t, "/acme/tiny").ok(t).body + c.get(t, "/v1/events").ok(t).body
			}
			want := state()
			unchanged := func() {
				t.Helper()
				if got := state(); got != want {
					t.Errorf("there was\n%s\nand there is\n%s", want, got)
				}
			}
			begin := func() reply {
				t.Helper()
				for _, step := range test.before {
					c.send(t, step.method, step.path, strings.ReplaceAll(step.body, "SUM", sha256Of(content))).ok(t).has(t, step.want...)
				}
				return c.get(t, test.upload).ok(t)
			}
			granted := begin()
			c.send(t, "PUT", granted.text(t, "upload_path"), content, "Authorization", "").ok(t)
			if test.callback {
				c.send(t, "PUT", granted.text(t, "callback"), "").ok(t)
			}
			if test.release != "" {
				c.send(t, "PUT", test.release, "").refused(t, http.StatusUnprocessableEntity, "already been released")
			}
			unchanged()

			granted = begin()
			c.send(t, "PUT", granted.text(t, "upload_path"), other, "Authorization", "").refused(t, http.StatusUnprocessableEntity,
				"version 1.0.0 of acme/tiny is released with other bytes", "make another version")
			if test.callback {
				c.send(t, "PUT", granted.text(t, "callback"), "").refused(t, http.StatusUnprocessableEntity, "did not come yet")
			}
			if test.cleanup != "" {
				c.send(t, "DELETE", test.cleanup, "").refused(t, http.StatusUnprocessableEntity, "is released")
			}
			unchanged()
			downloads(t, c, content)
		})
	}
}
