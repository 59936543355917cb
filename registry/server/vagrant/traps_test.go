package vagrant_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
)

// TestTraps is what broke clients of other servers, and what clients do that one would not expect.
func TestTraps(t *testing.T) {
	s := servertest.New(t)
	c := as(s, s.AdminToken)
	c.create(t, "tiny", "1.0.0")
	const version = tiny + "/version/1.0.0"

	t.Run("a login takes a token for the password, and answers 201", func(t *testing.T) {
		body := `{"user":{"login":"anybody","password":"` + s.AdminToken + `"},"token":{"description":"Vagrant login from here"},"two_factor":{"code":"123"}}`
		for _, api := range []string{"/api/v1", "/api/v2"} {
			got := as(s, "").send(t, "POST", api+"/authenticate", body)
			if got.status != http.StatusCreated || got.text(t, "token") != s.AdminToken || got.header.Get("Cache-Control") != "no-store" {
				t.Errorf("got %d %s", got.status, got.body)
			}
			got.has(t, "description", `"Vagrant login from here"`)
			if created := got.text(t, "created_at"); created == "" || strings.Contains(got.value(t, "token_hash"), s.AdminToken) {
				t.Errorf("got %s", got.body)
			}
		}
	})
	t.Run("the clients of 2015 send a form", func(t *testing.T) {
		form := url.Values{"user[login]": {"anybody"}, "user[password]": {s.AdminToken}, "user[description]": {"Created by the Atlas Go Client"}}
		got := as(s, "").send(t, "POST", "/api/v1/authenticate", form.Encode(), "Content-Type", "application/x-www-form-urlencoded")
		if got.status != http.StatusCreated || got.text(t, "token") != s.AdminToken {
			t.Errorf("got %d %s", got.status, got.body)
		}
	})
	t.Run("a wrong password is 401 with words", func(t *testing.T) {
		for _, body := range []string{`{"user":{"login":"a","password":"hunter2"}}`, `{"user":{"login":"a"}}`, `{}`} {
			as(s, "").send(t, "POST", "/api/v1/authenticate", body).refused(t, http.StatusUnauthorized, "the password must be a token")
		}
		as(s, "").send(t, "POST", "/api/v1/authenticate", "x").refused(t, http.StatusUnprocessableEntity, "the body must be such as")
	})
	t.Run("a logout is fine and changes nothing", func(t *testing.T) {
		for _, token := range []string{s.AdminToken, "alm_wrong", ""} {
			if got := as(s, token).send(t, "DELETE", "/api/v1/authenticate", ""); got.status != http.StatusNoContent || got.body != "" {
				t.Errorf("got %d %s", got.status, got.body)
			}
		}
		c.get(t, "/api/v1/authenticate").ok(t)
	})
	t.Run("the token is found in each place", func(t *testing.T) {
		nobody := as(s, "")
		nobody.get(t, "/api/v1/authenticate", "X-Atlas-Token", s.AdminToken).ok(t)
		nobody.get(t, "/api/v2/authenticate?access_token="+s.AdminToken).ok(t)
		nobody.get(t, "/acme/tiny?access_token="+s.AdminToken+"&something=else").ok(t)
		nobody.get(t, "/api/v1/authenticate").refused(t, http.StatusUnauthorized)
		for _, headers := range [][]string{{"X-Atlas-Token", "alm_wrong"}, {"Authorization", "Bearer alm_wrong"}, {"Authorization", "Basic eDp5"}} {
			nobody.get(t, "/acme/tiny", headers...).refused(t, http.StatusUnauthorized)
		}
		nobody.get(t, "/v1/artifacts/acme/tiny?access_token="+s.AdminToken, "X-Atlas-Token", s.AdminToken)
		if got := nobody.get(t, "/v1/artifacts/acme/tiny", "X-Atlas-Token", s.AdminToken); got.status != http.StatusUnauthorized {
			t.Errorf("the native API takes a token from elsewhere: %d", got.status)
		}
	})
	t.Run("a box's body is flat or wrapped, its values of any type", func(t *testing.T) {
		for name, body := range map[string]string{
			"flat":    `{"username":"acme","name":"flat","short_description":"s","description":null,"is_private":true,"unknown":[1]}`,
			"wrapped": `{"box":{"username":"acme","name":"wrapped","short_description":"s","is_private":"true"},"other":1}`,
			"42":      `{"box":{"username":"acme","name":42,"short_description":"s","is_private":1}}`,
		} {
			c.send(t, "POST", "/api/v2/boxes", body).ok(t).has(t, "tag", `"acme/`+name+`"`, "private", "true", "short_description", `"s"`)
		}
		c.send(t, "POST", "/api/v1/boxes", `{"username":"acme","name":"open","is_private":"false"}`).ok(t).has(t, "private", "false")
		c.send(t, "PUT", "/api/v1/box/acme/open", `{"short_description":null,"description":"text","is_private":null}`).ok(t).
			has(t, "private", "false", "description_markdown", `"text"`)
		c.send(t, "PUT", "/api/v2/box/acme/open", `{"box":{"name":"open","is_private":true}}`).ok(t).has(t, "private", "true", "description_markdown", `"text"`)
	})
	t.Run("all that is wrong is said at once", func(t *testing.T) {
		c.send(t, "POST", "/api/v1/boxes", `{"box":{"name":[],"is_private":"perhaps"}}`).refused(t, http.StatusUnprocessableEntity,
			"box.username: is missing", "box.name: must be a string", `box.is_private: "perhaps" must be true or false`)
		c.send(t, "POST", version+"/providers", `{"provider":{"url":"ftp://x","checksum":"12","checksum_type":"sha256"}}`).refused(t, http.StatusUnprocessableEntity,
			"provider.name: is missing", "provider.url:", "provider.checksum: must have 64 hexadecimal digits")
	})
	t.Run("what is no JSON is said to be none", func(t *testing.T) {
		for _, body := range []string{"x", "[]", `"x"`, `{"version":`, "{\"version\":\"\xff\"}"} {
			c.send(t, "POST", tiny+"/versions", body).refused(t, http.StatusUnprocessableEntity, "the body is not")
		}
	})
	t.Run("a body over 1 MiB is 413", func(t *testing.T) {
		body := `{"version":{"version":"9.0.0","description":"` + strings.Repeat("x", 1<<20) + `"}}`
		c.send(t, "POST", tiny+"/versions", body).refused(t, http.StatusRequestEntityTooLarge, "larger than 1 MiB")
	})
	t.Run("a name that is taken is 422", func(t *testing.T) {
		c.send(t, "POST", "/api/v1/boxes", `{"username":"acme","name":"tiny"}`).refused(t, http.StatusUnprocessableEntity, "has already been taken")
		c.send(t, "POST", "/api/v1/boxes", `{"username":"acme","name":"Tiny"}`).refused(t, http.StatusUnprocessableEntity, "upper and lower case")
		c.send(t, "POST", tiny+"/versions", `{"version":{"version":"1.0.0"}}`).refused(t, http.StatusUnprocessableEntity, "has already been taken")
		c.send(t, "POST", tiny+"/versions", `{"version":{"version":"1.0"}}`).refused(t, http.StatusUnprocessableEntity, "has already been taken", "1.0.0, which is the same as 1.0")
	})
	t.Run("a version is what RubyGems makes of it", func(t *testing.T) {
		c.send(t, "POST", tiny+"/versions", `{"version":{"version":2004.01}}`).ok(t).has(t, "version", `"2004.1.0"`, "number", `"2004.1.0"`)
		c.get(t, tiny+"/version/2004.01").ok(t).has(t, "version", `"2004.1.0"`)
		c.send(t, "PUT", tiny+"/version/2004.1", `{"version":{"version":"2004.01","description":"new"}}`).ok(t).has(t, "description_markdown", `"new"`)
		for _, bad := range []string{"1.0.0+linux", "v1", "latest", "1.2.3.4", ""} {
			c.send(t, "POST", tiny+"/versions", `{"version":{"version":"`+bad+`"}}`).refused(t, http.StatusUnprocessableEntity, "version.version:")
		}
		for _, bad := range []string{"latest", "9.9.9", "~%3E%201.0"} {
			c.get(t, tiny+"/version/"+bad).refused(t, http.StatusNotFound, "has no version")
		}
		c.send(t, "DELETE", tiny+"/version/2004.01", "").ok(t).has(t, "version", `"2004.1.0"`)
	})
	t.Run("nothing can be renamed", func(t *testing.T) {
		c.send(t, "PUT", tiny, `{"box":{"name":"other","username":"others"}}`).refused(t, http.StatusUnprocessableEntity, `box.name: "other" is not "tiny"`, "box.username")
		c.send(t, "PUT", version, `{"version":{"version":"2.0.0"}}`).refused(t, http.StatusUnprocessableEntity, "version.version")
	})
	t.Run("a provider that has no bytes yet is announced anew", func(t *testing.T) {
		c.send(t, "POST", version+"/providers", `{"provider":{"name":"virtualbox"}}`).ok(t).has(t, "checksum", "null", "checksum_type", "null")
		c.send(t, "POST", version+"/providers", `{"provider":{"name":"virtualbox","checksum":"`+strings.Repeat("a", 40)+`"}}`).ok(t).has(t, "checksum_type", `"sha1"`)
		if list := decode[struct{ Providers []any }](t, c.get(t, version).ok(t)); len(list.Providers) != 1 {
			t.Errorf("got %v", list)
		}
	})
	t.Run("one that has its bytes is made again before the release", func(t *testing.T) {
		c.create(t, "again", "1.0.0")
		at := "/api/v1/box/acme/again/version/1.0.0"
		for _, flag := range []string{"true", "false"} {
			at := "/api/v1/box/acme/again/version/1.0.0/provider/libvirt/amd64"
			c.send(t, "PUT", c.announce(t, "again", "1.0.0", "libvirt/amd64", `,"default_architecture":`+flag), boxWith(t, `{"provider":"libvirt"}`, "x")).ok(t)
			c.send(t, "PUT", c.announce(t, "again", "1.0.0", "libvirt/arm64", `,"default_architecture":`+flag), boxWith(t, `{"provider":"libvirt"}`, "y")).ok(t)
			c.announce(t, "again", "1.0.0", "libvirt/amd64", `,"default_architecture":`+flag)
			c.get(t, at).ok(t).has(t, "default_architecture", "true")
		}
		for _, content := range []string{"1", "1", "2"} {
			c.send(t, "PUT", c.announce(t, "again", "1.0.0", "virtualbox", ""), virtualbox(t, content)).ok(t)
		}
		other := strings.Repeat("a", 64)
		c.send(t, "PUT", c.announce(t, "again", "1.0.0", "virtualbox", `,"checksum":"`+other+`"`), virtualbox(t, "2")).refused(t, http.StatusUnprocessableEntity, other)
		c.send(t, "PUT", c.announce(t, "again", "1.0.0", "virtualbox", ""), virtualbox(t, "2")).ok(t)
		c.send(t, "PUT", c.announce(t, "again", "1.0.0", "virtualbox", `,"checksum":"md5:`+md5Of(virtualbox(t, "2"))+`"`), virtualbox(t, "2")).ok(t)
		c.send(t, "PUT", at+"/release", "").ok(t)
	})
	t.Run("one that is released is there, unless something else is said of it", func(t *testing.T) {
		c.publish(t, "there", "1.0.0", "x", "virtualbox")
		at := "/api/v1/box/acme/there/version/1.0.0"
		content := boxWith(t, `{"provider":"virtualbox"}`, "xvirtualbox")
		for _, more := range []string{"", `,"checksum":"` + sha256Of(content) + `"`, `,"checksum":"` + md5Of(content) + `","checksum_type":"md5"`} {
			c.send(t, "POST", at+"/providers", `{"provider":{"name":"virtualbox"`+more+`}}`).ok(t).has(t, "checksum", `"`+sha256Of(content)+`"`)
		}
		for _, more := range []string{`,"url":"https://example.com/a.box"`, `,"checksum":"` + strings.Repeat("0", 64) + `"`, `,"checksum":"md5:` + strings.Repeat("0", 32) + `"`} {
			c.send(t, "POST", at+"/providers", `{"provider":{"name":"virtualbox"`+more+`}}`).refused(t, http.StatusUnprocessableEntity, "has already been taken", "virtualbox/unknown")
		}
		c.create(t, "there", "2.0.0")
		at = "/api/v1/box/acme/there/version/2.0.0"
		elsewhere := `{"provider":{"name":"libvirt","url":"https://example.com/a.box"}}`
		c.send(t, "POST", at+"/providers", elsewhere).ok(t)
		c.send(t, "PUT", at+"/release", "").ok(t)
		c.send(t, "POST", at+"/providers", elsewhere).ok(t).has(t, "original_url", `"https://example.com/a.box"`)
		c.send(t, "POST", at+"/providers", `{"provider":{"name":"libvirt","url":"https://example.com/b.box"}}`).refused(t, http.StatusUnprocessableEntity, "has already been taken")
		c.send(t, "PUT", c.get(t, at+"/provider/libvirt/upload").ok(t).text(t, "upload_path"), content).refused(t, http.StatusUnprocessableEntity, "is released with other bytes")
	})
	t.Run("a cleanup hits nothing that is released", func(t *testing.T) {
		at := "/api/v1/box/acme/there/version/1.0.0/provider/virtualbox"
		c.send(t, "DELETE", at, "").refused(t, http.StatusUnprocessableEntity, "is released", "virtualbox/unknown")
		c.send(t, "DELETE", at+"/unknown", "").ok(t)
	})
	t.Run("who says no architecture goes on without one, whatever the box says", func(t *testing.T) {
		c.create(t, "silent", "1.0.0")
		at := "/api/v1/box/acme/silent/version/1.0.0"
		content := boxWith(t, `{"provider":"virtualbox","architecture":"amd64"}`, "x")
		c.send(t, "PUT", c.announce(t, "silent", "1.0.0", "virtualbox/arm64", `,"default_architecture":true`), virtualbox(t, "arm")).ok(t)
		c.send(t, "PUT", c.announce(t, "silent", "1.0.0", "virtualbox", ""), content).ok(t)
		for _, state := range []string{"held", "released"} {
			c.send(t, "POST", at+"/providers", `{"provider":{"name":"virtualbox"}}`).ok(t).has(t, "architecture", `"amd64"`)
			upload := c.get(t, at+"/provider/virtualbox/upload").ok(t).text(t, "upload_path")
			c.send(t, "PUT", upload, content).ok(t)
			c.get(t, at+"/provider/virtualbox/arm64").ok(t).has(t, "checksum", `"`+sha256Of(virtualbox(t, "arm"))+`"`)
			if state == "held" {
				c.send(t, "PUT", at+"/release", "").ok(t)
			}
		}
	})
	t.Run("bytes come for the provider", func(t *testing.T) {
		c.send(t, "PUT", c.announce(t, "tiny", "1.0.0", "virtualbox", ""), virtualbox(t, "1")).ok(t)
	})
	t.Run("a checksum comes in each form", func(t *testing.T) {
		sum := strings.Repeat("Ab", 32)
		for _, body := range []string{`"checksum":"` + sum + `","checksum_type":"SHA256"`, `"checksum":"sha256:` + sum + `"`, `"checksum":"sha256:` + sum + `","checksum_type":"sha256"`, `"checksum":"` + sum + `"`} {
			c.send(t, "POST", version+"/providers", `{"provider":{"name":"libvirt",`+body+`}}`).ok(t).has(t, "checksum", `"`+strings.ToLower(sum)+`"`, "checksum_type", `"sha256"`)
		}
		c.send(t, "POST", version+"/providers", `{"provider":{"name":"libvirt","checksum":"","checksum_type":"sha256"}}`).ok(t).has(t, "checksum", "null", "checksum_type", "null")
		for body, want := range map[string]string{
			`"checksum":"sha1:` + sum + `","checksum_type":"sha256"`: "provider.checksum_type: \"sha256\" is not that of the checksum",
			`"checksum":"abc"`:                         "provider.checksum: has 3 characters",
			`"checksum":"` + sum + `x"`:                "provider.checksum: has 65 characters",
			`"checksum":"ab","checksum_type":"crc32"`:  "provider.checksum_type: \"crc32\" must be md5",
			`"checksum":"ghij","checksum_type":"sha1"`: "provider.checksum: must have 40 hexadecimal digits",
		} {
			c.send(t, "POST", version+"/providers", `{"provider":{"name":"libvirt",`+body+`}}`).refused(t, http.StatusUnprocessableEntity, want)
		}
	})
	t.Run("a pending provider can change", func(t *testing.T) {
		at := version + "/provider/libvirt"
		c.send(t, "PUT", at, `{"provider":{"name":"libvirt","checksum":"`+strings.Repeat("c", 64)+`","url":null}}`).ok(t).has(t, "checksum", `"`+strings.Repeat("c", 64)+`"`, "hosted", "true")
		c.send(t, "PUT", at, `{"provider":{"name":"hyperv","architecture":"arm64"}}`).ok(t).
			has(t, "name", `"hyperv"`, "architecture", `"arm64"`, "checksum", `"`+strings.Repeat("c", 64)+`"`)
		c.get(t, at).refused(t, http.StatusNotFound, "has no provider libvirt")
		c.send(t, "PUT", version+"/provider/hyperv/arm64", `{"provider":{"name":"virtualbox","architecture":"unknown"}}`).refused(t, http.StatusUnprocessableEntity, "has already been taken")
		c.send(t, "PUT", version+"/provider/hyperv/arm64", `{"provider":{"url":"https://example.com/h.box"}}`).ok(t).has(t, "hosted", "false", "original_url", `"https://example.com/h.box"`)
		c.send(t, "PUT", version+"/provider/hyperv", `{"provider":{"url":"https://example.com/i.box","checksum":"","architecture":null}}`).ok(t).has(t, "original_url", `"https://example.com/i.box"`, "architecture", `"arm64"`)
	})
	t.Run("of one with its bytes only the default can change", func(t *testing.T) {
		at := version + "/provider/virtualbox"
		c.send(t, "PUT", at, `{"provider":{"name":"libvirt","checksum":"`+strings.Repeat("c", 64)+`"}}`).refused(t, http.StatusUnprocessableEntity, "provider.name: cannot change", "provider.checksum: cannot change")
		sum := c.get(t, at).ok(t).text(t, "checksum")
		c.send(t, "PUT", at, `{"provider":{"name":"virtualbox","checksum":"`+sum+`","checksum_type":"sha256","url":null}}`).ok(t).has(t, "checksum", `"`+sum+`"`)
		c.send(t, "PUT", at, `{"provider":{"checksum":"md5:`+md5Of(virtualbox(t, "1"))+`"}}`).ok(t).has(t, "checksum", `"`+sum+`"`, "checksum_type", `"sha256"`)
		c.send(t, "PUT", at, `{"provider":{"checksum":"md5:`+strings.Repeat("0", 32)+`"}}`).refused(t, http.StatusUnprocessableEntity, "provider.checksum: cannot change")
		c.announce(t, "tiny", "1.0.0", "virtualbox/arm64", `,"default_architecture":"true"`)
		c.get(t, at).ok(t).has(t, "architecture", `"unknown"`, "default_architecture", "false")
		c.send(t, "PUT", at+"/unknown", `{"provider":{"default_architecture":true}}`).ok(t).has(t, "default_architecture", "true")
		c.get(t, at+"/arm64").ok(t).has(t, "default_architecture", "false")
	})
	t.Run("a path without an architecture finds the one that is meant", func(t *testing.T) {
		c.create(t, "many", "1.0.0")
		at := "/box/acme/many/version/1.0.0/provider/virtualbox"
		for _, step := range []struct{ add, want string }{
			{"virtualbox/arm64", "arm64"}, {"virtualbox/amd64", "amd64"}, {"virtualbox", "unknown"},
		} {
			c.announce(t, "many", "1.0.0", step.add, "")
			for _, api := range []string{"/api/v1", "/api/v2"} {
				c.get(t, api+at).ok(t).has(t, "architecture", `"`+step.want+`"`)
				c.get(t, api+at+"/amd64/upload/direct")
			}
		}
	})
	t.Run("a cleanup without an architecture hits nothing that has its bytes", func(t *testing.T) {
		c.create(t, "clean", "1.0.0")
		at := "/api/v2/box/acme/clean/version/1.0.0/provider/virtualbox"
		for _, architecture := range []string{"amd64", "i386"} {
			c.send(t, "PUT", c.announce(t, "clean", "1.0.0", "virtualbox/"+architecture, ""), virtualbox(t, architecture)).ok(t)
		}
		c.announce(t, "clean", "1.0.0", "virtualbox/arm64", "")
		c.send(t, "DELETE", at, "").ok(t).has(t, "architecture", `"arm64"`)
		c.send(t, "DELETE", at, "").refused(t, http.StatusUnprocessableEntity, "say which: virtualbox/i386, virtualbox/amd64")
		c.get(t, at+"/amd64").ok(t)
		c.send(t, "DELETE", at+"/i386", "").ok(t).has(t, "architecture", `"i386"`)
		c.send(t, "DELETE", at, "").ok(t).has(t, "architecture", `"amd64"`)
		c.send(t, "DELETE", at, "").refused(t, http.StatusNotFound, "has no provider virtualbox")
	})
	t.Run("what is released is deleted by Vagrant, and not by a cleanup of Packer", func(t *testing.T) {
		c.publish(t, "kept", "1.0.0", "x", "virtualbox")
		const at = "/api/v1/box/acme/kept/version/1.0.0/provider/virtualbox"
		c.send(t, "DELETE", at, "").refused(t, http.StatusUnprocessableEntity, "is released")
		c.get(t, at).ok(t)
		c.send(t, "DELETE", at, "", "X-Request-Id", "5b2a0b52-6f5c-4b5c-9d5f-7a3d6f3c0f11").ok(t)
		c.get(t, at).refused(t, http.StatusNotFound, "has no provider virtualbox")
	})
	t.Run("a version without a box cannot be released", func(t *testing.T) {
		c.create(t, "bare", "1.0.0")
		c.send(t, "PUT", "/api/v1/box/acme/bare/version/1.0.0/release", "").refused(t, http.StatusUnprocessableEntity, "has no build yet")
	})
	t.Run("a second release says that there was one; after a revocation it restores", func(t *testing.T) {
		c.publish(t, "twice", "1.0.0", "x", "virtualbox")
		const at = "/api/v1/box/acme/twice/version/1.0.0"
		c.send(t, "PUT", at+"/release", "").refused(t, http.StatusUnprocessableEntity, "already been released")
		c.send(t, "PUT", at+"/revoke", "{}").ok(t).has(t, "status", `"revoked"`)
		c.get(t, "/acme/twice").ok(t).has(t, "versions", "[]")
		c.send(t, "PUT", at+"/release", "").ok(t).has(t, "status", `"active"`)
		c.get(t, "/acme/twice").ok(t).has(t, "versions.0.version", `"1.0.0"`)
		c.create(t, "twice", "2.0.0")
		c.send(t, "PUT", "/api/v1/box/acme/twice/version/2.0.0/revoke", "").refused(t, http.StatusUnprocessableEntity, "is open")
	})
	t.Run("a deleted thing is answered once more", func(t *testing.T) {
		c.create(t, "gone", "1.0.0")
		c.send(t, "DELETE", "/api/v1/box/acme/gone/version/1.0.0", "").ok(t).has(t, "version", `"1.0.0"`)
		c.send(t, "DELETE", "/api/v2/box/acme/gone", "").ok(t).has(t, "tag", `"acme/gone"`)
		c.get(t, "/api/v1/box/acme/gone").refused(t, http.StatusNotFound)
		c.send(t, "PUT", "/api/v1/box/acme/gone", `{"description":"x"}`).refused(t, http.StatusNotFound)
		c.send(t, "POST", "/api/v1/box/acme/gone/versions", `{"version":{"version":"1.0.0"}}`).refused(t, http.StatusNotFound)
	})
}

func TestSearch(t *testing.T) {
	s := servertest.New(t)
	c := as(s, s.AdminToken)
	c.publish(t, "one", "1.0.0", "x", "virtualbox/amd64")
	c.publish(t, "two", "1.0.0", "x", "libvirt/amd64", "virtualbox/arm64")
	c.publish(t, "three", "1.0.0", "x", "libvirt")
	c.create(t, "unreleased", "1.0.0")
	tags := func(t *testing.T, query string) string {
		t.Helper()
		found := decode[struct{ Boxes []struct{ Tag string } }](t, c.get(t, "/api/v1/search?"+query).ok(t))
		var list []string
		for _, b := range found.Boxes {
			list = append(list, strings.TrimPrefix(b.Tag, "acme/"))
		}
		return strings.Join(list, " ")
	}
	for query, want := range map[string]string{
		"":                                       "three two one",
		"q=":                                     "three two one",
		"q=T":                                    "three two",
		"q=acme/on":                              "one",
		"q=none":                                 "",
		"order=asc":                              "one two three",
		"sort=created&order=desc":                "three two one",
		"sort=updated&order=asc":                 "one two three",
		"sort=downloads":                         "three two one",
		"provider=virtualbox":                    "two one",
		"provider=libvirt&architecture=amd64":    "two",
		"architecture=x86_64":                    "two one",
		"architecture=unknown":                   "three",
		"limit=2":                                "three two",
		"limit=2&page=2":                         "one",
		"limit=2&page=3":                         "",
		"provider=virtualbox&limit=1&page=2":     "one",
		"limit=100&page=1&something=that&is=new": "three two one",
	} {
		if got := tags(t, query); got != want {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
	}
	c.get(t, "/api/v2/search?limit=101&page=0&sort=size&order=up").refused(t, http.StatusUnprocessableEntity,
		"limit: must be 1 to 100", "page: must be", "sort: must be one of downloads, created, updated", "order: must be one of asc, desc")
	t.Run("its boxes have a version with providers", func(t *testing.T) {
		c.get(t, "/api/v1/search?q=two").ok(t).has(t, "boxes.0.current_version.version", `"1.0.0"`, "boxes.0.current_version.providers.0.name", `"libvirt"`)
	})
	t.Run("nobody finds what is private", func(t *testing.T) {
		as(s, "").get(t, "/api/v1/search").ok(t).has(t, "boxes", "[]")
		as(s, s.Token(t, "stranger", "admin", "other/*")).get(t, "/api/v1/search").ok(t).has(t, "boxes", "[]")
	})
}
