package vagrantcatalog_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/internal/vagrantcatalog"
)

func TestParse(t *testing.T) {
	t.Run("what newer and older servers say is read", func(t *testing.T) {
		got, problems, err := vagrantcatalog.Parse([]byte(`{"name":"acme/tiny","description":"A box","short_description":null,"versions":[
			{"version":"1.0","status":"active","providers":[
				{"name":"libvirt","url":"https://a/b","checksum":"AB","checksum_type":"SHA256","architecture":"unknown","default_architecture":true},
				{"name":"virtualbox","url":"https://a/c","checksum":null,"checksum_type":"sha256"}]},
			{"version":"1.1","status":"revoked","providers":[]}]}`))
		if err != nil {
			t.Fatal(err)
		}
		want := vagrantcatalog.Catalog{Name: "acme/tiny", Description: "A box", Versions: []vagrantcatalog.Version{{Version: "1.0", Boxes: []vagrantcatalog.Box{
			{Provider: "libvirt", Architecture: vagrantcatalog.Unknown, URL: "https://a/b", Checksum: "ab", ChecksumType: "sha256", Default: true},
			{Provider: "virtualbox", URL: "https://a/c"},
		}}}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]vagrantcatalog.Problem{{What: "version 1.1", Reason: "its status is revoked", Meant: true}}, problems); diff != "" {
			t.Error(diff)
		}
	})
	for name, test := range map[string]struct{ content, want string }{
		"a page is told apart":                        {"<html>", "it is no JSON"},
		"JSON that is something else, too":            {`{"provider":"virtualbox"}`, "it is no catalog: that is a JSON object with name and versions"},
		"a list, too":                                 {`[]`, "it is no catalog: that is"},
		"more than memory is made for is not decoded": {`{"name":"a/b","versions":[{"providers":[{}` + strings.Repeat(",{}", 500_001) + `]}]}`, "more than 500000 values"},
		"wrong types are told":                        {`{"name":"a/b","versions":[{"version":1}]}`, "it is no catalog that can be read"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := vagrantcatalog.Parse([]byte(test.content)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// tree writes files, each with its own name as content unless another is given, and returns their directory.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestReadDir(t *testing.T) {
	for name, test := range map[string]struct {
		files    map[string]string
		boxes    []string // name version provider/architecture file
		problems []string // what
	}{
		"files say by their names what they are": {
			map[string]string{
				"ubuntu-24.04-1.0.0-virtualbox.box": "", "tiny-2.0.0-rc.1-libvirt-arm64.box": "", "acme-VAGRANTSLASH-tiny-20240101.1-vmware_desktop-amd64.box": "",
				"tiny.box": "", "notes.txt": "", "tiny-1.0.0.box": "",
			},
			[]string{
				"acme/tiny 20240101.1 vmware_desktop/amd64 acme-VAGRANTSLASH-tiny-20240101.1-vmware_desktop-amd64.box",
				"tiny 2.0.0-rc.1 libvirt/arm64 tiny-2.0.0-rc.1-libvirt-arm64.box",
				"ubuntu-24.04 1.0.0 virtualbox/ ubuntu-24.04-1.0.0-virtualbox.box",
			},
			[]string{"tiny-1.0.0.box", "tiny.box"},
		},
		"or by where they lie": {
			map[string]string{"tiny/1.0.0/libvirt/vagrant.box": "", "tiny/1.0.0/libvirt/arm64/vagrant.box": "", "acme/ubuntu/24.04/1.2/virtualbox/package.box": "", "tiny/libvirt/vagrant.box": ""},
			[]string{"tiny 1.0.0 libvirt/arm64 tiny/1.0.0/libvirt/arm64/vagrant.box", "tiny 1.0.0 libvirt/ tiny/1.0.0/libvirt/vagrant.box"},
			[]string{"acme/ubuntu/24.04/1.2/virtualbox/package.box", "tiny/libvirt/vagrant.box"},
		},
		"with an organisation before the name": {
			map[string]string{"acme/tiny/1.0.0/libvirt/vagrant.box": "", "acme/tiny/1.0.0/libvirt/arm64/vagrant.box": ""},
			[]string{"acme/tiny 1.0.0 libvirt/arm64 acme/tiny/1.0.0/libvirt/arm64/vagrant.box", "acme/tiny 1.0.0 libvirt/ acme/tiny/1.0.0/libvirt/vagrant.box"},
			nil,
		},
		"what Vagrant has unpacked cannot be taken": {
			map[string]string{
				"acme-VAGRANTSLASH-tiny/1.0.0/virtualbox/metadata.json": `{"provider":"virtualbox"}`, "acme-VAGRANTSLASH-tiny/1.0.0/virtualbox/box.ovf": "",
				"acme-VAGRANTSLASH-tiny/2.0.0/amd64/libvirt/metadata.json": `{"provider":"libvirt"}`, "acme-VAGRANTSLASH-tiny/metadata_url": "https://a/b",
			},
			nil,
			[]string{"acme-VAGRANTSLASH-tiny/1.0.0/virtualbox", "acme-VAGRANTSLASH-tiny/2.0.0/amd64/libvirt"},
		},
		"a catalog names files beside it": {
			map[string]string{
				"tiny.json": `{"name":"acme/tiny","versions":[{"version":"1.0.0","providers":[
					{"name":"libvirt","url":"sub/one.box"},{"name":"virtualbox"},{"name":"qemu","url":"https://example.com/q.box"},{"name":"lxc"}]}]}`,
				"sub/one.box": "", "tiny-1.0.0-virtualbox.box": "", "other-1.0.0-libvirt.box": "", "package.json": `{"name":"x","version":"1.0.0"}`,
			},
			[]string{
				"acme/tiny 1.0.0 libvirt/ sub/one.box", "acme/tiny 1.0.0 virtualbox/ tiny-1.0.0-virtualbox.box",
				"acme/tiny 1.0.0 qemu/ https://example.com/q.box", "acme/tiny 1.0.0 lxc/ ", "other 1.0.0 libvirt/ other-1.0.0-libvirt.box",
			},
			nil,
		},
		"the only box of a catalog needs no name": {
			map[string]string{"metadata.json": `{"name":"acme/tiny","versions":[{"version":"1.0.0","providers":[{"name":"libvirt"}]}]}`, "package.box": ""},
			[]string{"acme/tiny 1.0.0 libvirt/ package.box"},
			nil,
		},
		"a catalog with a mistake leaves the others": {
			map[string]string{"a.json": `{"name":"a/b","versions":[{"version":1}]}`, "b.json": `{"name":"a/c","versions":[{"version":"1.0","status":"unreleased"}]}`, "c-1-libvirt.box": ""},
			[]string{"c 1 libvirt/ c-1-libvirt.box"},
			[]string{"a.json", "b.json, version 1.0"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tree(t, test.files)
			catalogs, problems, err := vagrantcatalog.ReadDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			var boxes, what []string
			for _, c := range catalogs {
				for _, v := range c.Versions {
					for _, b := range v.Boxes {
						at := b.URL
						if b.Path != "" {
							at, _ = filepath.Rel(dir, b.Path)
						}
						boxes = append(boxes, fmt.Sprintf("%s %s %s/%s %s", c.Name, v.Version, b.Provider, b.Architecture, filepath.ToSlash(at)))
					}
				}
			}
			for _, p := range problems {
				what = append(what, filepath.ToSlash(p.What))
			}
			slices.Sort(what)
			if diff := cmp.Diff(test.boxes, boxes); diff != "" {
				t.Errorf("boxes (-want +got): %s", diff)
			}
			if diff := cmp.Diff(test.problems, what); diff != "" {
				t.Errorf("problems (-want +got): %s", diff)
			}
		})
	}
}

func TestReadDirSeesOneFileOnce(t *testing.T) {
	dir := tree(t, map[string]string{"boxes/tiny-1.0.0-libvirt.box": "", "elsewhere/tiny-2.0.0-libvirt.box": ""})
	t.Chdir(dir)
	catalog := `{"name":"acme/tiny","versions":[{"version":"1.0.0","providers":[{"name":"libvirt","url":"file://` + filepath.ToSlash(dir) + `/boxes/tiny-1.0.0-libvirt.box"}]}]}`
	if err := os.WriteFile("boxes/tiny.json", []byte(catalog), 0o600); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{"boxes/tiny-2.0.0-libvirt.box": "../elsewhere/tiny-2.0.0-libvirt.box", "link": "boxes", "boxes/dangling-1.0.0-libvirt.box": "nowhere"} {
		if err := os.Symlink(to, link); err != nil {
			t.Skipf("links are needed: %v", err)
		}
	}
	for _, name := range []string{"boxes", "./boxes/", "link", filepath.Join(dir, "link")} {
		catalogs, problems, err := vagrantcatalog.ReadDir(name)
		var boxes []string
		for _, c := range catalogs {
			for _, v := range c.Versions {
				boxes = append(boxes, fmt.Sprint(c.Name, " ", v.Version, " ", len(v.Boxes)))
			}
		}
		if diff := cmp.Diff([]string{"acme/tiny 1.0.0 1", "tiny 2.0.0 1"}, boxes); diff != "" || len(problems) > 0 || err != nil {
			t.Errorf("%s: %s %v %v", name, diff, problems, err)
		}
	}
}

func TestReadFile(t *testing.T) {
	dir := tree(t, map[string]string{
		"ftp.json":  `{"name":"a/b","versions":[{"version":"1","providers":[{"name":"libvirt","url":"ftp://a/b"}]}]}`,
		"file.json": `{"name":"a/b","versions":[{"version":"1","providers":[{"name":"libvirt","url":"file:///srv/a%20b.box"}]}]}`,
	})
	if c, _, err := vagrantcatalog.ReadFile(filepath.Join(dir, "ftp.json")); err != nil || c.Versions[0].Boxes[0].URL != "ftp://a/b" || c.Versions[0].Boxes[0].Path != "" {
		t.Errorf("a URL that nobody can use spoils the catalog, or is a file: %+v, %v", c, err)
	}
	c, _, err := vagrantcatalog.ReadFile(filepath.Join(dir, "file.json"))
	if err != nil {
		t.Fatal(err)
	}
	if got := filepath.ToSlash(c.Versions[0].Boxes[0].Path); got != "/srv/a b.box" {
		t.Errorf("got the path %q", got)
	}
}

// server answers with what a test says, and notes what it was asked.
type server struct {
	*httptest.Server
	mu       sync.Mutex
	requests []string
}

func serve(t *testing.T, handle func(http.ResponseWriter, *http.Request)) *server {
	t.Helper()
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, strings.TrimSpace(strings.Join([]string{r.URL.Path, r.Header.Get("Range"), r.Header.Get("Authorization")}, " ")))
		s.mu.Unlock()
		handle(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

func source(t *testing.T, address, token string) *vagrantcatalog.Source {
	t.Helper()
	s, err := vagrantcatalog.NewSource(address, vagrantcatalog.Options{Token: token, RetryMax: 1, RetryWaitMin: time.Millisecond, Stall: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const oneBox = `{"name":"acme/tiny","versions":[{"version":"1.0.0","providers":[{"name":"libvirt","url":"boxes/one.box?key=secret"}]}]}`

func TestCatalog(t *testing.T) {
	t.Run("is asked for with the token, and its URLs become absolute", func(t *testing.T) {
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, oneBox) })
		c, _, err := source(t, s.URL+"/acme/tiny", "sesame-open").Catalog(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got, want := c.Versions[0].Boxes[0].URL, s.URL+"/acme/boxes/one.box?key=secret"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if diff := cmp.Diff([]string{"/acme/tiny  Bearer sesame-open"}, s.asked()); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("is found where newer clients look for it", func(t *testing.T) {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/sub/api/v2/vagrant/acme/tiny" {
				_, _ = io.WriteString(w, "<html>")
				return
			}
			_, _ = io.WriteString(w, oneBox)
		})
		if _, _, err := source(t, s.URL+"/sub/acme/tiny", "").Catalog(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("is not there: both places are told", func(t *testing.T) {
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) { http.NotFound(w, nil) })
		_, _, err := source(t, s.URL+"/acme/tiny?access_token=hidden", "").Catalog(t.Context())
		want := s.URL + "/acme/tiny answers 404 Not Found; and " + s.URL + "/api/v2/vagrant/acme/tiny answers 404 Not Found"
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		if status, ok := errors.AsType[*vagrantcatalog.StatusError](err); !ok || status.Status != 404 {
			t.Errorf("got %v", status)
		}
	})
	t.Run("does not come to its end: that is no interruption", func(t *testing.T) {
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, oneBox[:10])
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		})
		slow, err := vagrantcatalog.NewSource(s.URL, vagrantcatalog.Options{Stall: 50 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err = slow.Catalog(t.Context()); errors.Is(err, context.Canceled) || err == nil || !strings.Contains(err.Error(), "the transfer stands still") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("is another document: that is told apart", func(t *testing.T) {
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") })
		_, _, err := source(t, s.URL, "").Catalog(t.Context())
		if _, ok := errors.AsType[*vagrantcatalog.ContentError](err); !ok || !strings.Contains(err.Error(), "it is no JSON") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("comes with the second try", func(t *testing.T) {
		var once sync.Once
		s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			failed := false
			once.Do(func() { failed = true; w.WriteHeader(http.StatusBadGateway) })
			if !failed {
				_, _ = io.WriteString(w, oneBox)
			}
		})
		if _, _, err := source(t, s.URL, "").Catalog(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

func TestTokenStaysAtItsHost(t *testing.T) {
	elsewhere := serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "bytes") })
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/away" {
			http.Redirect(w, r, elsewhere.URL+"/signed?X-Signature=abc", http.StatusFound)
			return
		}
		http.Redirect(w, r, "/away", http.StatusFound)
	})
	to := filepath.Join(t.TempDir(), "box")
	from := source(t, s.URL, "sesame-open")
	if _, err := from.Download(t.Context(), s.URL+"/box", to, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := from.Download(t.Context(), elsewhere.URL+"/direct", filepath.Join(t.TempDir(), "box"), nil); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"/box  Bearer sesame-open", "/away  Bearer sesame-open"}, s.asked()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"/signed", "/direct"}, elsewhere.asked()); diff != "" {
		t.Error(diff)
	}
}

func TestErrorsHideSecrets(t *testing.T) {
	from := source(t, "http://user:password@127.0.0.1:1/acme/tiny?access_token=hidden", "sesame-open")
	_, _, err := from.Catalog(t.Context())
	_, second := from.Download(t.Context(), "http://user:password@127.0.0.1:1/box?access_token=hidden", filepath.Join(t.TempDir(), "box"), nil)
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "http://[::1/?X-Signature=hidden")
		w.WriteHeader(http.StatusFound)
	})
	_, third := from.Download(t.Context(), s.URL, filepath.Join(t.TempDir(), "box"), nil)
	for _, err := range []error{err, second, third} {
		if err == nil || !strings.Contains(err.Error(), "does not answer: ") {
			t.Fatalf("got %v", err)
		}
		for _, secret := range []string{"password", "hidden", "sesame-open"} {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("%v shows %s", err, secret)
			}
		}
	}
}
