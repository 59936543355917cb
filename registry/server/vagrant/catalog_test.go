package vagrant_test

import (
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/golden"
	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// TestObjects holds the catalog and the API's box to golden files: several versions, architectures, a box elsewhere, one
// that is revoked, one that is not released, and one that has no bytes yet.
func TestObjects(t *testing.T) {
	s := servertest.New(t)
	c := as(s, s.AdminToken)
	c.send(t, "POST", "/api/v1/boxes", `{"box":{"username":"acme","name":"tiny","short_description":"Small","description":"Really small.","is_private":false}}`).ok(t)
	c.publish(t, "tiny", "1.0.0", "a", "virtualbox", "libvirt/amd64")
	c.publish(t, "tiny", "1.1.0", "b", "virtualbox/amd64", "libvirt/arm64", "libvirt/amd64")
	c.publish(t, "tiny", "1.2.0", "c", "virtualbox")
	c.send(t, "PUT", tiny+"/version/1.2.0/revoke", "").ok(t)
	c.create(t, "tiny", "2.0.0")
	c.send(t, "POST", tiny+"/version/2.0.0/providers", `{"provider":{"name":"hyperv","url":"https://example.com/tiny.box","checksum":"md5:`+strings.Repeat("AB", 16)+`"}}`).ok(t)
	c.announce(t, "tiny", "2.0.0", "virtualbox/arm64", `,"checksum":"`+strings.Repeat("1", 128)+`","checksum_type":"sha512","default_architecture":1`)
	sums := func(body string) string {
		return sha256Digits.ReplaceAllString(stable(s, indented(t, body)), `"checksum": "SHA256"`)
	}
	golden.Equal(t, filepath.Join("testdata", "box.json"), sums(c.get(t, tiny).ok(t).body))
	golden.Equal(t, filepath.Join("testdata", "catalog.json"), sums(c.get(t, "/acme/tiny").ok(t).body))
	if got, want := as(s, "").get(t, "/acme/tiny").ok(t).body, c.get(t, "/api/v2/vagrant/acme/tiny").ok(t).body; got != want || got != c.get(t, "/api/v1/vagrant/acme/tiny").ok(t).body {
		t.Error("the routes of the catalog differ")
	}
	golden.Equal(t, filepath.Join("testdata", "user.json"), sums(c.get(t, "/api/v1/user/acme").ok(t).body))
	golden.Equal(t, filepath.Join("testdata", "search.json"), sums(c.get(t, "/api/v2/search?q=tiny").ok(t).body))
}

func TestCatalog(t *testing.T) {
	s := servertest.New(t)
	c := as(s, s.AdminToken)
	c.publish(t, "tiny", "1.0.0", "a", "virtualbox")

	t.Run("HEAD answers as GET does, with the type that Vagrant looks at", func(t *testing.T) {
		for _, path := range []string{"/acme/tiny", "/api/v2/vagrant/acme/tiny", "/api/v1/vagrant/acme/tiny"} {
			get, head := c.get(t, path).ok(t), c.send(t, "HEAD", path, "").ok(t)
			for _, name := range []string{"Content-Type", "Content-Length", "ETag"} {
				if get.header.Get(name) == "" || get.header.Get(name) != head.header.Get(name) {
					t.Errorf("%s: %s is %q, and %q for HEAD", path, name, get.header.Get(name), head.header.Get(name))
				}
			}
			if head.header.Get("Content-Type") != "application/json" || head.body != "" {
				t.Errorf("%s: got %v %q", path, head.header, head.body)
			}
		}
	})
	t.Run("another case of the name is another box", func(t *testing.T) {
		for _, path := range []string{"/Acme/tiny", "/acme/Tiny"} {
			c.get(t, path).refused(t, http.StatusNotFound, "does not exist, or you may not see it")
		}
	})
	t.Run("a name that no box can have is not there", func(t *testing.T) {
		for _, path := range []string{"/acme/..tiny", "/acme/t%20iny", "/acme%2Ftiny/x", "/a%C3%B6/tiny"} {
			if got := c.get(t, path); got.status != http.StatusNotFound {
				t.Errorf("%s: got %d %s", path, got.status, got.body)
			}
		}
	})
	t.Run("the registry's own paths are no boxes", func(t *testing.T) {
		for _, path := range []string{"/docs/x", "/v2/artifacts", "/api/v3"} {
			if got := c.get(t, path); got.status != http.StatusNotFound || !strings.Contains(got.body, "there is nothing at this path") {
				t.Errorf("%s: got %d %s", path, got.status, got.body)
			}
		}
		c.get(t, "/v1/artifacts").ok(t)
	})
	t.Run("a box without versions is a box", func(t *testing.T) {
		c.send(t, "POST", "/api/v1/boxes", `{"username":"acme","name":"empty"}`).ok(t)
		c.get(t, "/acme/empty").ok(t).has(t, "name", `"acme/empty"`, "versions", "[]")
		c.create(t, "empty", "1.0.0")
		c.get(t, "/acme/empty").ok(t).has(t, "versions", "[]")
		c.announce(t, "empty", "1.0.0", "virtualbox", "")
		c.get(t, "/acme/empty").ok(t).has(t, "versions", "[]")
	})
	t.Run("what has builds of other types only is no box", func(t *testing.T) {
		_, err := s.Client(t, s.AdminToken).Publish(t.Context(), "acme/ami", registry.Publication{Fingerprint: "run-1", Build: registry.Build{
			Component: "amazon-ebs.app", Type: "aws.ami", Images: []registry.Image{{Provider: "aws", Region: "eu-west-1", ID: "ami-0e1"}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		c.get(t, "/acme/ami").refused(t, http.StatusNotFound, "acme/ami is no box")
		c.send(t, "HEAD", "/acme/ami", "")
		if boxes := as(s, s.Token(t, "reader", "read", "acme/*")).get(t, "/api/v1/user/acme").ok(t).body; strings.Contains(boxes, "acme/ami") {
			t.Errorf("a reader's list has it: %s", boxes)
		}
		// But a publisher may add a box to it, and vagrant cloud would make anew what it does not find here.
		if boxes := c.get(t, "/api/v1/user/acme").ok(t).body; !strings.Contains(boxes, "acme/ami") {
			t.Errorf("a publisher's list lacks it: %s", boxes)
		}
	})
	t.Run("only released versions are in it, the newest first", func(t *testing.T) {
		c.publish(t, "tiny", "1.10.0", "b", "virtualbox")
		c.publish(t, "tiny", "1.9.0", "c", "virtualbox")
		c.create(t, "tiny", "3.0.0")
		at := c.announce(t, "tiny", "3.0.0", "virtualbox", "")
		c.send(t, "PUT", at, virtualbox(t, "d")).ok(t)
		got := c.get(t, "/acme/tiny").ok(t)
		got.has(t, "versions.0.version", `"1.9.0"`, "versions.1.version", `"1.10.0"`, "versions.2.version", `"1.0.0"`)
		if strings.Contains(got.body, "3.0.0") {
			t.Errorf("an unreleased version is in the catalog: %s", got.body)
		}
	})
	t.Run("a catalog that did not change is not sent again", func(t *testing.T) {
		tag := c.get(t, "/acme/tiny").header.Get("ETag")
		if got := c.get(t, "/acme/tiny", "If-None-Match", tag); got.status != http.StatusNotModified {
			t.Errorf("got %d", got.status)
		}
	})
}

func TestArchitectures(t *testing.T) {
	s := servertest.New(t)
	c := as(s, s.AdminToken)
	for name, test := range map[string]struct {
		announced []string // provider, and what else is said of it
		want      string   // architectures of virtualbox in the catalog's order; * is the default
	}{
		"without one: unknown, and the default":          {[]string{"virtualbox"}, "unknown*"},
		"an only one is the default":                     {[]string{"virtualbox/s390x"}, "s390x*"},
		"the unknown one is the default, before amd64":   {[]string{"virtualbox", "virtualbox/amd64"}, "amd64 unknown*"},
		"amd64 is the default, before others":            {[]string{"virtualbox/amd64", "virtualbox/arm64", "virtualbox/ppc64le"}, "arm64 ppc64le amd64*"},
		"else the first is":                              {[]string{"virtualbox/arm64", "virtualbox/ppc64le"}, "ppc64le arm64*"},
		"the flagged one is, before all":                 {[]string{"virtualbox", "virtualbox/arm64,true", "virtualbox/amd64"}, "unknown amd64 arm64*"},
		"the one that was flagged last is":               {[]string{"virtualbox/arm64,true", "virtualbox/amd64,true"}, "arm64 amd64*"},
		"the one that is named is":                       {[]string{`virtualbox/amd64,"arm64"`, `virtualbox/arm64,"aarch64"`}, "amd64 arm64*"},
		"other providers have their own":                 {[]string{"libvirt/arm64,true", "virtualbox/arm64", "virtualbox/amd64"}, "arm64 amd64*"},
		"the word unknown is as good as none":            {[]string{"virtualbox/unknown"}, "unknown*"},
		"another name of an architecture is Vagrant's":   {[]string{"virtualbox/x86_64", "virtualbox/aarch64"}, "arm64 amd64*"},
		"one that is said not to be the default, but is": {[]string{"virtualbox/amd64,false"}, "amd64*"},
	} {
		t.Run(name, func(t *testing.T) {
			box := "box-" + strings.ToLower(strings.Map(func(r rune) rune {
				if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
					return r
				}
				return '-'
			}, name))
			c.create(t, box, "1.0.0")
			for _, announced := range test.announced {
				provider, flag, said := strings.Cut(announced, ",")
				extra := ""
				if said {
					extra = `,"default_architecture":` + flag
				}
				only, _, _ := strings.Cut(provider, "/")
				c.send(t, "PUT", c.announce(t, box, "1.0.0", provider, extra), boxWith(t, `{"provider":"`+only+`"}`, name+provider)).ok(t)
			}
			c.send(t, "PUT", "/api/v1/box/acme/"+box+"/version/1.0.0/release", "").ok(t)
			for _, path := range []string{"/acme/" + box, "/api/v1/box/acme/" + box} {
				type provider struct {
					Name, Architecture string
					Default            bool `json:"default_architecture"`
				}
				got := decode[struct {
					Versions []struct{ Providers []provider }
				}](t, c.get(t, path).ok(t))
				var list []string
				for _, p := range got.Versions[0].Providers {
					if p.Name != "virtualbox" {
						continue
					}
					if p.Default {
						p.Architecture += "*"
					}
					list = append(list, p.Architecture)
				}
				if strings.Join(list, " ") != test.want {
					t.Errorf("%s: got %v, want %s", path, list, test.want)
				}
			}
		})
	}
}

func TestDownloads(t *testing.T) {
	s := servertest.New(t)
	c := as(s, s.AdminToken)
	c.create(t, "tiny", "1.0.0")
	content := virtualbox(t, strings.Repeat("disk", 100_000))
	c.send(t, "PUT", c.announce(t, "tiny", "1.0.0", "virtualbox/amd64", ""), content).ok(t)
	const at = "/acme/boxes/tiny/versions/1.0.0/providers/virtualbox"
	reader := as(s, s.Token(t, "reader", "read", "acme/tiny"))
	t.Run("an unreleased version is for its publishers", func(t *testing.T) {
		reader.get(t, at+"/amd64/vagrant.box").refused(t, http.StatusNotFound, "box acme/tiny has no version 1.0.0")
		reader.get(t, strings.Replace(at, "1.0.0", "1.0.1", 1)+"/amd64/vagrant.box").refused(t, http.StatusNotFound, "box acme/tiny has no version 1.0.1")
		if got := c.get(t, at+"/amd64/vagrant.box").ok(t); got.body != content {
			t.Errorf("got %d bytes", len(got.body))
		}
	})
	c.send(t, "PUT", tiny+"/version/1.0.0/release", "").ok(t)
	t.Run("all routes of Vagrant Cloud give the box", func(t *testing.T) {
		for _, path := range []string{at + "/amd64/vagrant.box", at + "/vagrant.box", at + ".box", strings.Replace(at, "1.0.0", "1.0", 1) + "/x86_64/vagrant.box"} {
			if got := reader.get(t, path).ok(t); got.body != content || got.header.Get("Content-Type") != "application/octet-stream" {
				t.Errorf("%s: got %d bytes, %v", path, len(got.body), got.header)
			}
			if got := reader.send(t, "HEAD", path, "").ok(t); got.body != "" || got.header.Get("Content-Length") == "" || got.header.Get("ETag") != `"sha256:`+sha256Of(content)+`"` {
				t.Errorf("HEAD %s: got %v", path, got.header)
			}
		}
		for _, path := range []string{at + "/arm64/vagrant.box", "/acme/boxes/tiny/versions/1.0.1/providers/virtualbox.box", "/acme/boxes/tiny/versions/x/providers/virtualbox.box", "/acme/boxes/tiny/versions/1.0.0/providers/libvirt/vagrant.box"} {
			reader.get(t, path).refused(t, http.StatusNotFound)
		}
		if got := reader.get(t, at); got.status != http.StatusNotFound || !strings.Contains(got.body, "there is nothing at this path") {
			t.Errorf("without an ending: got %d %s", got.status, got.body)
		}
	})
	t.Run("a download that broke off goes on", func(t *testing.T) {
		for ranges, want := range map[string]string{"bytes=100-": content[100:], "bytes=0-9": content[:10], "bytes=-5": content[len(content)-5:]} {
			if got := c.get(t, at+"/vagrant.box", "Range", ranges); got.status != http.StatusPartialContent || got.body != want || got.header.Get("Content-Range") == "" {
				t.Errorf("%s: got %d with %d bytes, %v", ranges, got.status, len(got.body), got.header)
			}
		}
	})
	t.Run("a range that cannot be fulfilled or read gets everything", func(t *testing.T) {
		for _, ranges := range []string{"bytes=999999999-", "bytes=-0", "bytes=5-4", "bytes=x", "items=0-4", "bytes"} {
			for _, method := range []string{"GET", "HEAD"} {
				got := c.send(t, method, at+"/vagrant.box", "", "Range", ranges)
				if got.status != http.StatusOK || method == "GET" && got.body != content || got.header.Get("Content-Range") != "" ||
					got.header.Get("ETag") == "" || got.header.Get("Content-Type") != "application/octet-stream" || got.header.Get("Accept-Ranges") != "bytes" {
					t.Errorf("%s %s: got %d with %d bytes, %v", method, ranges, got.status, len(got.body), got.header)
				}
			}
		}
	})
	t.Run("the end of a finished partial file is no error", func(t *testing.T) {
		got := c.get(t, at+"/vagrant.box", "Range", "bytes="+strconv.Itoa(len(content))+"-")
		if got.status != http.StatusOK || got.body != content {
			t.Errorf("got %d with %d bytes", got.status, len(got.body))
		}
	})
	t.Run("a revoked one is still there, with a warning", func(t *testing.T) {
		c.send(t, "PUT", tiny+"/version/1.0.0/revoke", `{"version":{"reason":"CVE-1"}}`).ok(t).has(t, "status", `"revoked"`)
		if got := reader.get(t, at+"/vagrant.box").ok(t); got.body != content || got.header.Get("Warning") != `299 almanac "revoked: CVE-1"` {
			t.Errorf("got %d bytes, %v", len(got.body), got.header)
		}
		reader.get(t, "/acme/tiny").ok(t).has(t, "versions", "[]")
	})
	t.Run("a box elsewhere is a redirect", func(t *testing.T) {
		c.create(t, "away", "1.0.0")
		c.send(t, "POST", "/api/v1/box/acme/away/version/1.0.0/providers", `{"provider":{"name":"libvirt","url":"https://example.com/a.box?x=1"}}`).ok(t).
			has(t, "hosted", "false", "original_url", `"https://example.com/a.box?x=1"`, "checksum", "null")
		c.send(t, "PUT", "/api/v1/box/acme/away/version/1.0.0/release", "").ok(t)
		catalog := reader.get(t, "/acme/away")
		catalog.refused(t, http.StatusNotFound) // it is another box
		url := c.get(t, "/acme/away").ok(t).text(t, "versions.0.providers.0.url")
		for _, method := range []string{"GET", "HEAD"} {
			if got := c.send(t, method, url, ""); got.status != http.StatusFound || got.header.Get("Location") != "https://example.com/a.box?x=1" {
				t.Errorf("%s: got %d to %q", method, got.status, got.header.Get("Location"))
			}
		}
	})
}
