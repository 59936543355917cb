package e2e

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/internal/vagranttest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/box"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

const (
	virtualbox = `{"provider":"virtualbox"}`
	libvirt    = `{"provider":"libvirt"}`
)

// boxWorld is a registry that is a Vagrant server. All names in it begin with acme/.
type boxWorld struct {
	server *servertest.Server
	// publisher and reader are tokens.
	publisher, reader string
	admin             *client.Client
}

func newBoxWorld(t *testing.T) *boxWorld {
	t.Helper()
	s := servertest.New(t)
	return &boxWorld{
		server: s, publisher: s.Token(t, "ci", "promote", "acme/*"), reader: s.Token(t, "reader", "read", "acme/*"),
		admin: s.Client(t, s.AdminToken),
	}
}

// asAdmin is a context for what is done with the service itself.
func asAdmin(t *testing.T) context.Context {
	t.Helper()
	return registry.WithPrincipal(t.Context(), registry.Principal{TokenID: "e2e", Name: "e2e", Role: registry.RoleAdmin, Scopes: []registry.Scope{registry.ScopeAll}})
}

// stranger is a Vagrant without a token.
func (w *boxWorld) stranger(t *testing.T) *vagranttest.Client {
	t.Helper()
	return vagranttest.New(t, w.server.URL)
}

// publishing is a Vagrant of somebody who may publish.
func (w *boxWorld) publishing(t *testing.T) *vagranttest.Client {
	t.Helper()
	return vagranttest.New(t, w.server.URL, "VAGRANT_CLOUD_TOKEN="+w.publisher)
}

// artifact makes an artifact.
func (w *boxWorld) artifact(t *testing.T, name string, public bool) {
	t.Helper()
	if _, err := w.admin.PutArtifact(t.Context(), name, registry.ArtifactSettings{Public: public}); err != nil {
		t.Fatal(err)
	}
}

// record publishes a version with boxes as the post-processor does, and returns the components of the builds.
func (w *boxWorld) record(t *testing.T, artifact, version string, boxes ...vagranttest.Box) []string {
	t.Helper()
	var builds []registry.Build
	var components []string
	for i, b := range boxes {
		info, err := box.ReadFile(b.Path)
		if err != nil {
			t.Fatal(err)
		}
		file, err := w.admin.UploadFile(t.Context(), artifact, b.Path, "tiny.box", nil)
		if err != nil {
			t.Fatal(err)
		}
		components = append(components, fmt.Sprintf("virtualbox-iso.box%d", i))
		builds = append(builds, registry.Build{
			Type: registry.VagrantBox, Component: components[i], Provider: info.Provider, Architecture: info.Architecture, Files: []registry.File{file},
		})
	}
	for _, b := range builds {
		pub := registry.Publication{Fingerprint: "run-" + version, Version: version, Expect: components, Build: b}
		if _, err := w.admin.Publish(t.Context(), artifact, pub); err != nil {
			t.Fatal(err)
		}
	}
	return components
}

// version is what the native API has of a version.
func (w *boxWorld) version(t *testing.T, artifact, ref string) registry.Version {
	t.Helper()
	v, err := w.admin.Version(t.Context(), artifact, ref)
	if err != nil {
		t.Fatalf("%s %s: %v", artifact, ref, err)
	}
	return v
}

// has fails unless the native API has a version of an artifact that is offered, and has exactly these boxes.
func (w *boxWorld) has(t *testing.T, artifact, version string, boxes ...vagranttest.Box) {
	t.Helper()
	v := w.version(t, artifact, version)
	if v.Status != registry.StatusComplete || v.Held || v.Revocation != nil || len(v.Pending) > 0 {
		t.Errorf("%s %s is not offered: %+v", artifact, version, v)
	}
	w.contains(t, v, boxes...)
}

// contains fails unless a version has exactly these boxes. Their bytes are read.
func (w *boxWorld) contains(t *testing.T, v registry.Version, boxes ...vagranttest.Box) {
	t.Helper()
	var got, want []string
	for _, b := range v.Builds {
		if b.Type != registry.VagrantBox || len(b.Files) != 1 {
			t.Fatalf("%s is no box: %+v", b.Component, b)
		}
		path := t.TempDir() + "/got.box"
		if err := w.admin.Download(t.Context(), b.Files[0].SHA256, b.Files[0].Size, path, nil); err != nil {
			t.Fatal(err)
		}
		got = append(got, b.Provider+" "+b.Architecture+" "+digestOf(t, path))
	}
	for _, b := range boxes {
		info, err := box.ReadFile(b.Path)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, info.Provider+" "+info.Architecture+" "+b.SHA256)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s %s has the boxes %q, want %q", v.Artifact, v.Version, got, want)
	}
}

// installed fails unless Vagrant has a version of a box.
func installed(t *testing.T, v *vagranttest.Client, artifact, version, provider string, b vagranttest.Box) {
	t.Helper()
	if got := v.Installed(t, artifact, version, provider, "disk.vmdk"); got != string(b.Disk) {
		t.Errorf("%s %s for %s is another box than was published: its disk is %s", artifact, version, provider, hex.EncodeToString([]byte(got)))
	}
}

// seen is a request that passed a window, and how it was answered.
type seen struct {
	method, path, byteRange string
	status                  int
}

// window lets requests to a server pass, and remembers them.
type window struct {
	*httptest.Server

	mu       sync.Mutex
	requests []seen
	trouble  *trouble
}

// trouble breaks the connection to a server at one request, and for all that follow unless it happens once.
type trouble struct {
	method, path string // a part of it
	// half has the server get half of the request; else it gets all, and its answer is lost.
	half bool
	once bool
	// met is true from that request on.
	met bool
}

func newWindow(t *testing.T, target string) *window {
	t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	w := &window{}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(u)
			r.Out.Host = r.In.Host
		},
		ModifyResponse: w.remember,
		ErrorHandler:   func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	w.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(to http.ResponseWriter, r *http.Request) {
		whole, met := w.state(r)
		if whole {
			proxy.ServeHTTP(to, r)
			return
		}
		if met != nil {
			if met.half {
				r.Body = io.NopCloser(io.MultiReader(io.LimitReader(r.Body, r.ContentLength/2), iotest.ErrReader(io.ErrUnexpectedEOF)))
			}
			proxy.ServeHTTP(httptest.NewRecorder(), r)
		}
		panic(http.ErrAbortHandler)
	}))
	w.Config.ErrorLog = log.New(io.Discard, "", 0)
	w.Start()
	t.Cleanup(w.Close)
	return w
}

func (w *window) remember(r *http.Response) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.requests = append(w.requests, seen{r.Request.Method, r.Request.URL.Path, r.Request.Header.Get("Range"), r.StatusCode})
	return nil
}

// state says whether the connection is whole for a request, and else which trouble it is the first to meet.
func (w *window) state(r *http.Request) (whole bool, met *trouble) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := w.trouble
	if t == nil {
		return true, nil
	}
	if !t.met && r.Method == t.method && strings.Contains(r.URL.Path, t.path) {
		t.met = true
		return false, t
	}
	return !t.met || t.once, nil
}

// set puts trouble in the way, or takes it away, and says whether the one before was met.
func (w *window) set(t *trouble) (met bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	met = w.trouble != nil && w.trouble.met
	w.trouble = t
	return met
}

// take returns the requests so far that ask for boxes themselves, and forgets all.
func (w *window) take() []seen {
	w.mu.Lock()
	defer w.mu.Unlock()
	requests := slices.DeleteFunc(w.requests, func(s seen) bool { return !strings.HasSuffix(s.path, ".box") })
	w.requests = nil
	return requests
}

// get reads what anybody can read.
func get(t *testing.T, address string) string {
	t.Helper()
	resp, err := http.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }() // it was only read
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %s, %v\n%s", address, resp.Status, err, body)
	}
	return string(body)
}

// serveFile serves a file under every path.
func serveFile(t *testing.T, path string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, path) }))
	t.Cleanup(s.Close)
	return s.URL
}

func readAll(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
