package vagrant_test

import (
	"io"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/server"
)

func TestABoxIsSeenThroughEveryDoor(t *testing.T) {
	s := servertest.New(t)
	c := as(s, s.AdminToken)
	content := virtualbox(t, "native")
	t.Run("published by a build, it is in the catalog and in the API", func(t *testing.T) {
		native(t, s, "acme/tiny", "1.0.0", "virtualbox-iso.tiny", "virtualbox", "", content)
		native(t, s, "acme/tiny", "1.1.0", "virtualbox-iso.tiny", "virtualbox", "x86_64", content)
		got := c.get(t, "/acme/tiny").ok(t)
		got.has(t, "versions.0.version", `"1.1.0"`, "versions.0.providers.0.architecture", `"amd64"`, "versions.1.providers.0.architecture", `"unknown"`,
			"versions.1.providers.0.checksum", `"`+sha256Of(content)+`"`)
		for _, version := range []string{"0", "1"} {
			if box := c.get(t, got.text(t, "versions."+version+".providers.0.url")).ok(t); box.body != content {
				t.Errorf("got %d bytes", len(box.body))
			}
		}
		c.get(t, tiny).ok(t).has(t, "versions.0.status", `"active"`, "current_version.version", `"1.1.0"`)
		c.send(t, "PUT", tiny+"/version/1.0.0/release", "").refused(t, 422, "already been released")
	})
	t.Run("published by vagrant, it is a build of the artifact", func(t *testing.T) {
		c.publish(t, "tiny", "2.0.0", "x", "libvirt/amd64")
		v, err := s.Client(t, s.AdminToken).Version(t.Context(), "acme/tiny", "latest")
		if err != nil {
			t.Fatal(err)
		}
		b := v.Builds[0]
		if v.Version != "2.0.0" || v.Status != registry.StatusComplete || b.Type != registry.VagrantBox || b.Provider != "libvirt" || b.Architecture != "amd64" ||
			b.Component != "vagrant.libvirt.amd64" || len(b.Files) != 1 || b.Files[0].Name != "vagrant.box" {
			t.Errorf("got %+v", v)
		}
	})
	t.Run("while it is not released, nobody who looks for a version finds it", func(t *testing.T) {
		c.create(t, "tiny", "3.0.0")
		c.send(t, "PUT", c.announce(t, "tiny", "3.0.0", "virtualbox", ""), content).ok(t)
		v, err := s.Client(t, s.AdminToken).Version(t.Context(), "acme/tiny", "latest")
		if err != nil || v.Version != "2.0.0" {
			t.Errorf("got %s %v", v.Version, err)
		}
	})
	t.Run("of two builds for the same machine the first is shown", func(t *testing.T) {
		first, second := virtualbox(t, "first"), virtualbox(t, "second")
		native(t, s, "acme/twins", "1.0.0", "z.first", "virtualbox", "amd64", first)
		native(t, s, "acme/twins", "1.0.0", "a.second", "virtualbox", "amd64", second)
		c.get(t, "/acme/twins").ok(t).has(t, "versions.0.providers.0.checksum", `"`+sha256Of(first)+`"`)
		if list := decode[struct {
			Versions []struct{ Providers []any }
		}](t, c.get(t, "/acme/twins")); len(list.Versions[0].Providers) != 1 {
			t.Errorf("got %v", list)
		}
	})
	t.Run("a box at what is no address of the web is not shown", func(t *testing.T) {
		for i, id := range []string{"file:///etc/passwd", "https://example.com/a.box"} {
			_, err := s.Client(t, s.AdminToken).Publish(t.Context(), "acme/away", registry.Publication{Fingerprint: "run-away", Version: "1.0.0", Build: registry.Build{
				Component: []string{"one", "two"}[i], Type: registry.VagrantBox, Provider: []string{"libvirt", "virtualbox"}[i], Images: []registry.Image{{Provider: "url", ID: id}},
			}})
			if err != nil {
				t.Fatal(err)
			}
		}
		got := c.get(t, "/acme/away").ok(t)
		got.has(t, "versions.0.providers.0.name", `"virtualbox"`)
		c.get(t, "/acme/boxes/away/versions/1.0.0/providers/libvirt.box").refused(t, 404)
		if away := c.get(t, got.text(t, "versions.0.providers.0.url")); away.status != 302 || away.header.Get("Location") != "https://example.com/a.box" {
			t.Errorf("got %d %v", away.status, away.header)
		}
	})
	t.Run("a box that says its architecture has it", func(t *testing.T) {
		c.create(t, "says", "1.0.0")
		at := c.announce(t, "says", "1.0.0", "virtualbox", "")
		c.send(t, "PUT", at, boxWith(t, `{"provider":"virtualbox","architecture":"arm64"}`, "x")).ok(t)
		c.get(t, "/api/v1/box/acme/says/version/1.0.0/provider/virtualbox").ok(t).has(t, "architecture", `"arm64"`)
	})
}

// kernelWriter is the writer of net/http as far as sendfile needs it: it notes what is to be sent.
type kernelWriter struct {
	*httptest.ResponseRecorder
	files int
}

func (w *kernelWriter) ReadFrom(src io.Reader) (int64, error) {
	if limited, ok := src.(*io.LimitedReader); ok {
		if _, ok := limited.R.(*os.File); ok {
			w.files++
		}
	}
	return io.Copy(struct{ io.Writer }{w.ResponseRecorder}, src)
}

// TestSendfileSurvives gets a box through all that a request passes: the writer of net/http must be handed the file itself.
func TestSendfileSurvives(t *testing.T) {
	s := servertest.New(t)
	content := boxWith(t, `{"provider":"virtualbox"}`, strings.Repeat("disk", 1<<20))
	native(t, s, "acme/tiny", "1.0.0", "virtualbox-iso.tiny", "virtualbox", "amd64", content)
	handler := server.New(s.Service, server.Options{})
	for ranges, want := range map[string]string{"": content, "bytes=5-": content[5:], "bytes=999999999-": content} {
		w := &kernelWriter{ResponseRecorder: httptest.NewRecorder()}
		r := httptest.NewRequest("GET", "/acme/boxes/tiny/versions/1.0.0/providers/virtualbox/amd64/vagrant.box", nil)
		r.Header.Set("Authorization", "Bearer "+s.AdminToken)
		if ranges != "" {
			r.Header.Set("Range", ranges)
		}
		handler.ServeHTTP(w, r)
		if w.Body.String() != want || w.files == 0 {
			t.Errorf("%q: got %d bytes (%d) of %d files, want %d", ranges, w.Body.Len(), w.Code, w.files, len(want))
		}
	}
}
