package main

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/internal/golden"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// cloud is a server with boxes and a catalog of acme/tiny.
type cloud struct {
	*httptest.Server
	mu       sync.Mutex
	catalog  string
	boxes    map[string][]byte // by path
	cut      map[string]int    // bytes after which the first answer breaks off
	requests []string
	secret   string // without it there is nothing
	hook     func() // called before the answer to a request for a box
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	c := &cloud{boxes: map[string][]byte{}, cut: map[string]int{}}
	c.Server = httptest.NewServer(c)
	t.Cleanup(c.Close)
	return c
}

// Close ends the connections of clients, which may wait for more.
func (c *cloud) Close() {
	c.CloseClientConnections()
	c.Server.Close()
}

func (c *cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests = append(c.requests, strings.TrimSpace(r.URL.Path+" "+r.Header.Get("Range")))
	content, ok := c.boxes[r.URL.Path]
	cut := c.cut[r.URL.Path]
	switch {
	case c.secret != "" && r.Header.Get("Authorization") != "Bearer "+c.secret:
		http.NotFound(w, r)
	case r.URL.Path == "/acme/tiny":
		_, _ = io.WriteString(w, c.catalog)
	case !ok:
		http.NotFound(w, r)
	case c.hook != nil:
		c.hook()
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(content)))
	case cut > 0:
		delete(c.cut, r.URL.Path)
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		_, _ = w.Write(content[:cut])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	default:
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(content)))
	}
}

// asked returns the requests since it was called last, but those for the catalog.
func (c *cloud) asked() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	asked := slices.DeleteFunc(c.requests, func(r string) bool { return r == "/acme/tiny" })
	c.requests = nil
	return asked
}

func sum256(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// offer is a catalog entry.
type offer struct{ version, provider, rest string }

// offers sets the catalog; rest is what else there is to say of a provider, in JSON.
func (c *cloud) offers(offers ...offer) {
	var versions []string
	for _, o := range offers {
		versions = append(versions, fmt.Sprintf(`{"version":%q,"status":"active","providers":[{"name":%q%s}]}`, o.version, o.provider, o.rest))
	}
	c.catalog = `{"name":"acme/tiny","description":"A tiny box.","short_description":"Tiny","versions":[` + strings.Join(versions, ",") + `]}`
}

// noDigests replaces what differs from run to run.
func noDigests(text string) string {
	text = regexp.MustCompile(`[0-9a-f]{64}`).ReplaceAllString(text, "SHA256")
	text = regexp.MustCompile(`[0-9a-f]{32}`).ReplaceAllString(text, "MD5")
	return regexp.MustCompile(`http://127\.0\.0\.1:\d+`).ReplaceAllString(text, "http://cloud")
}

func TestVagrantImport(t *testing.T) {
	s, source := newShelf(t), newCloud(t)
	work := filepath.Join(t.TempDir(), "work")
	old, arm, big := packBox(t, libvirtBox, "old"), packBox(t, libvirtARMBox, "arm"), packBox(t, `{"provider":"virtualbox"}`, "big")
	source.boxes["/old.box"], source.boxes["/arm.box"], source.boxes["/big.box"] = old, arm, big
	source.boxes["/broken.box"], source.boxes["/other.box"] = old[:len(old)-9], packBox(t, libvirtBox, "other")
	source.cut["/big.box"] = 50
	md5sum := md5.Sum(old)
	source.offers(
		offer{"2004.02", "libvirt", `,"url":"/arm.box","checksum":"` + sum256(arm) + `","checksum_type":"sha256","architecture":"arm64","default_architecture":true`},
		offer{"1.0.0", "libvirt", `,"url":"/old.box","checksum":"` + hex.EncodeToString(md5sum[:]) + `","checksum_type":"md5","architecture":"unknown","default_architecture":true`},
		offer{"2.0.0", "virtualbox", `,"url":"/big.box","checksum":"` + strings.ToUpper(sum256(big)) + `","checksum_type":"sha256"`},
		offer{"2.1.0", "libvirt", `,"url":"/broken.box"`},
		offer{"2.2.0", "libvirt", `,"url":"/other.box","checksum":"` + sum256(old) + `","checksum_type":"sha256"`},
		offer{"2.3.0", "libvirt", `,"url":"/gone.box?key=hidden"`},
		offer{"2.4.0", "libvirt", `,"url":"file:///etc/passwd"`},
		offer{"2.5.0.1", "libvirt", `,"url":"/old.box"`},
		offer{"1.0", "libvirt", `,"url":"/other.box"`},
		offer{"1", "libvirt", `,"url":"/old.box"`},
		offer{"2.6.0", "libvirt", `,"url":"/old.box","checksum":"aa","checksum_type":"crc32"`},
	)
	address := source.URL + "/acme/tiny"
	t.Run("a dry run shows the plan, and downloads nothing", func(t *testing.T) {
		stdout, stderr := s.run(t, exitError, "vagrant", "import", address, "--dry-run")
		golden.Equal(t, "testdata/vagrant/plan.txt", noDigests(stdout+stderr))
		if asked := source.asked(); len(asked) > 0 {
			t.Errorf("it asked for %v", asked)
		}
	})
	t.Run("what can be brought is, the oldest first, and the rest is told", func(t *testing.T) {
		stdout, stderr := s.run(t, exitError, "vagrant", "import", address, "--work", work)
		golden.Equal(t, "testdata/vagrant/first.txt", noDigests(stdout+stderr))
		want := []string{
			"/old.box", "/big.box", "/big.box bytes=50-", "/broken.box", "/other.box", "/gone.box", "/arm.box",
		}
		if diff := cmp.Diff(want, source.asked()); diff != "" {
			t.Errorf("asked (-want +got): %s", diff)
		}
		if left, err := os.ReadDir(work); err != nil || len(left) > 0 {
			t.Errorf("it left %v, %v", left, err)
		}
	})
	c := s.Client(t, s.AdminToken)
	t.Run("what was brought is what the source had", func(t *testing.T) {
		v, err := c.Version(t.Context(), "acme/tiny", "2004.2.0")
		if err != nil {
			t.Fatal(err)
		}
		b := v.Builds[0]
		if b.Component != "vagrant.libvirt.arm64" || b.Architecture != "arm64" || !b.Default || string(b.Files[0].SHA256) != sum256(arm) || b.Provenance["imported_from"] != source.URL+"/arm.box" {
			t.Errorf("got %+v", b)
		}
		a, err := c.Artifact(t.Context(), "acme/tiny")
		if err != nil || a.Description != "A tiny box." || a.Summary != "Tiny" || a.Public {
			t.Errorf("got %+v, %v", a, err)
		}
	})
	t.Run("again brings only what is new", func(t *testing.T) {
		source.boxes["/broken.box"] = old
		stdout, _ := s.run(t, exitOK, "vagrant", "import", address, "--work", work, "--versions", "<= 2.1.0, >= 2", "--provider", "libvirt", "--provider", "virtualbox", "-o", "json")
		var got struct{ Boxes []importedBox }
		if err := json.Unmarshal([]byte(stdout), &got); err != nil {
			t.Fatal(err)
		}
		var outcomes []string
		for _, b := range got.Boxes {
			outcomes = append(outcomes, b.Version+" "+b.Outcome)
		}
		if diff := cmp.Diff([]string{"2.0.0 present", "2.1.0 brought"}, outcomes); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"/broken.box"}, source.asked()); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("what differs is a conflict", func(t *testing.T) {
		source.offers(offer{"2.0.0", "virtualbox", `,"url":"/big.box","checksum":"` + sum256(old) + `","checksum_type":"sha256"`})
		stdout, _ := s.run(t, exitConflict, "vagrant", "import", address, "--work", work)
		contains(t, stdout, "conflict: the registry has it with the sha256 "+sum256(big)+", and the source with "+sum256(old))
	})
	t.Run("what the source does not offer is no fault", func(t *testing.T) {
		source.catalog = `{"name":"acme/tiny","versions":[{"version":"9.0.0","status":"revoked","providers":[]}]}`
		stdout, _ := s.run(t, exitOK, "vagrant", "import", address, "--work", work)
		contains(t, stdout, "version 9.0.0: its status is revoked", "1 skipped")
	})
	t.Run("an architecture that nobody says is the box's own, also the second time", func(t *testing.T) {
		source.offers(offer{"3.0.0", "libvirt", `,"url":"/arm.box"`})
		stdout, _ := s.run(t, exitOK, "vagrant", "import", address, "--work", work)
		contains(t, stdout, "arm64", "1 brought")
		source.asked()
		stdout, _ = s.run(t, exitOK, "vagrant", "import", address, "--work", work)
		contains(t, stdout, "1 there already")
		if asked := source.asked(); len(asked) > 0 {
			t.Errorf("it asked for %v", asked)
		}
	})
	t.Run("a download of another box that lies there is no harm", func(t *testing.T) {
		source.offers(offer{"4.0.0", "libvirt", `,"url":"/other.box"`})
		name := sha256.Sum256([]byte(source.URL + "/other.box"))
		if err := os.WriteFile(filepath.Join(work, hex.EncodeToString(name[:16])+".box"), []byte("something else"), 0o600); err != nil {
			t.Fatal(err)
		}
		s.run(t, exitOK, "vagrant", "import", address, "--work", work)
		if diff := cmp.Diff([]string{"/other.box bytes=14-", "/other.box"}, source.asked()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestVagrantImportToken(t *testing.T) {
	s, source := newShelf(t), newCloud(t)
	source.secret = "sesame-open"
	source.boxes["/one.box"] = packBox(t, libvirtBox, "1")
	source.offers(offer{"1.0.0", "libvirt", `,"url":"/one.box"`})
	address, work := source.URL+"/acme/tiny", t.TempDir()
	t.Run("Vagrant's own does not go to another server than Vagrant's", func(t *testing.T) {
		s.env["VAGRANT_CLOUD_TOKEN"] = source.secret
		_, stderr := s.run(t, exitNotFound, "vagrant", "import", address, "--work", work)
		contains(t, stderr, "no catalog: ", "answers 404 Not Found")
		if strings.Contains(stderr, source.secret) {
			t.Errorf("it shows the token: %s", stderr)
		}
	})
	t.Run("but to that one", func(t *testing.T) {
		s.env["VAGRANT_SERVER_URL"] = source.URL
		stdout, _ := s.run(t, exitOK, "vagrant", "import", address, "--dry-run")
		contains(t, stdout, "1 to bring")
	})
	t.Run("one that is given is used", func(t *testing.T) {
		clear(s.env)
		s.run(t, exitOK, "vagrant", "import", address, "--work", work, "--source-token", source.secret)
	})
}

func TestVagrantImportDirectory(t *testing.T) {
	s := newShelf(t)
	s.file(t, "boxes/tiny-1.0.0-libvirt.box", packBox(t, libvirtBox, "1"))
	s.file(t, "boxes/tiny/2.0.0/libvirt/arm64/vagrant.box", packBox(t, libvirtARMBox, "2"))
	s.file(t, "boxes/arm-1.0.0-libvirt.box", packBox(t, libvirtARMBox, "3"))
	s.file(t, "boxes/whole/metadata.json", []byte(`{"name":"acme/whole","versions":[{"version":"1.0.0","providers":[{"name":"libvirt"},{"name":"qemu"}]}]}`))
	s.file(t, "boxes/whole/whole-1.0.0-libvirt.box", packBox(t, libvirtBox, "w"))
	s.file(t, "boxes/acme-VAGRANTSLASH-up/1.0.0/libvirt/metadata.json", []byte(libvirtBox))
	dir := filepath.Join(s.dir, "boxes")
	t.Run("names without an organisation need one", func(t *testing.T) {
		_, stderr := s.run(t, exitUsage, "vagrant", "import", dir)
		contains(t, stderr, `the source calls it "tiny"; give it a name with --as NAMESPACE/NAME, or --as NAMESPACE`)
		_, stderr = s.run(t, exitUsage, "vagrant", "import", dir, "--as", "cargomedia/tiny")
		contains(t, stderr, "names one artifact, and the source has 3 boxes; give a namespace alone")
	})
	t.Run("boxes come from all that lies there", func(t *testing.T) {
		stdout, stderr := s.run(t, exitError, "vagrant", "import", dir, "--as", "cargomedia", "--work", t.TempDir())
		golden.Equal(t, "testdata/vagrant/directory.txt", noDigests(stdout+stderr))
		if _, err := os.Stat(filepath.Join(dir, "tiny-1.0.0-libvirt.box")); err != nil {
			t.Error(err)
		}
	})
	t.Run("a catalog file is a source, too", func(t *testing.T) {
		stdout, _ := s.run(t, exitOK, "vagrant", "import", filepath.Join(dir, "whole", "metadata.json"), "--provider", "libvirt", "--work", t.TempDir())
		contains(t, stdout, "acme/whole", "1 brought")
	})
	t.Run("one box is not, and says what takes it", func(t *testing.T) {
		_, stderr := s.run(t, exitUsage, "vagrant", "import", filepath.Join(dir, "tiny-1.0.0-libvirt.box"))
		contains(t, stderr, "is one box, and no catalog", "Try: almanac push ")
	})
	t.Run("a name alone is not, and says where it may be", func(t *testing.T) {
		_, stderr := s.run(t, exitError, "vagrant", "import", "bento/nothing")
		contains(t, stderr, "Try: almanac vagrant import https://vagrantcloud.com/bento/nothing")
	})
}

func TestVagrantImportDryRunSaysWhatCannotBe(t *testing.T) {
	s := newShelf(t)
	s.file(t, "one.box", packBox(t, libvirtBox, "1"))
	catalog := s.file(t, "catalog.json", []byte(`{"name":"acme/tiny","versions":[{"version":"1.0.0","providers":[
		{"name":"libvirt","url":"one.box"},{"name":"qemu","url":"s3://bucket/q.box"},{"name":"lxc","url":"gone.box"},{"name":"hyperv","url":"."},{"name":"docker"}]}]}`))
	stdout, _ := s.run(t, exitError, "vagrant", "import", catalog, "--dry-run")
	contains(t, stdout, "its url does not begin with http:// or https://", "its file is not there", "is not a regular file",
		"its file is not beside the catalog, which has no url for it", "1 to bring, 0 there already, 4 skipped.")
}

func TestVagrantImportStops(t *testing.T) {
	s, source := newShelf(t), newCloud(t)
	source.boxes["/one.box"] = packBox(t, libvirtBox, "1")
	source.offers(offer{"1.0.0", "libvirt", `,"url":"/one.box"`})
	s.env["ALMANAC_TOKEN"] = s.Token(t, "reader", "read")
	_, stderr := s.run(t, exitRefused, "vagrant", "import", source.URL+"/acme/tiny", "--work", t.TempDir())
	contains(t, stderr, `token "reader" may not publish to acme/tiny`)
	if asked := source.asked(); len(asked) > 0 {
		t.Errorf("it asked for %v", asked)
	}
	stdout, stderr := s.run(t, exitOK, "vagrant", "import", source.URL+"/acme/tiny", "--dry-run")
	contains(t, stdout+stderr, `warning: token "reader" may not publish to acme/tiny`, "1 to bring")
	s.env["ALMANAC_TOKEN"] = "alm_unknown"
	stdout, stderr = s.run(t, exitRefused, "vagrant", "import", source.URL+"/acme/tiny", "--dry-run")
	if stdout != "" || strings.Contains(stderr, "the same command again") {
		t.Errorf("a wrong token: %s%s", stdout, stderr)
	}
	s.env["ALMANAC_TOKEN"] = s.Token(t, "ci", "publish")
	_, stderr = s.run(t, exitOK, "vagrant", "import", source.URL+"/acme/tiny", "--work", t.TempDir())
	contains(t, stderr, "The description of acme/tiny was not brought: that needs the role admin.")
	a, err := s.Client(t, s.AdminToken).Artifact(t.Context(), "acme/tiny")
	if err != nil || a.Description != "" || a.Latest == nil || *a.Latest != (registry.VersionID{Number: 1, Version: "1.0.0"}) {
		t.Errorf("got %+v, %v", a, err)
	}
}

func TestVagrantImportEndsEarly(t *testing.T) {
	prepare := func(t *testing.T) (*shelf, *cloud) {
		s, source := newShelf(t), newCloud(t)
		source.boxes["/one.box"] = packBox(t, libvirtBox, "1")
		source.offers(offer{"1.0.0", "libvirt", `,"url":"/one.box"`}, offer{"2.0.0", "libvirt", `,"url":"/one.box"`}, offer{"x", "libvirt", ""})
		return s, source
	}
	t.Run("when it is interrupted", func(t *testing.T) {
		s, source := prepare(t)
		ctx, cancel := context.WithCancel(t.Context())
		source.hook = cancel
		var stdout, stderr bytes.Buffer
		args := []string{"vagrant", "import", source.URL + "/acme/tiny", "--work", t.TempDir(), "--address", s.URL, "--token", s.AdminToken}
		if code := run(ctx, args, noenv, strings.NewReader(""), &stdout, &stderr); code != exitInterrupted {
			t.Errorf("exit code %d, stderr %q", code, stderr.String())
		}
		contains(t, stdout.String(), "not finished", "not tried", "0 brought (0 B), 0 there already, 3 skipped.")
	})
	t.Run("when its token is revoked", func(t *testing.T) {
		s, source := prepare(t)
		s.env["ALMANAC_TOKEN"] = s.Token(t, "ci", "publish")
		ctx := registry.WithPrincipal(t.Context(), registry.Principal{TokenID: "t", Name: "t", Role: registry.RoleAdmin, Scopes: []registry.Scope{registry.ScopeAll}})
		source.hook = func() {
			if _, err := s.Service.RevokeToken(ctx, "ci"); err != nil {
				t.Error(err)
			}
		}
		stdout, stderr := s.run(t, exitRefused, "vagrant", "import", source.URL+"/acme/tiny", "--work", t.TempDir())
		contains(t, stdout, "not tried", "3 skipped")
		contains(t, stderr, "token")
		if asked := source.asked(); len(asked) != 1 {
			t.Errorf("it asked for %v", asked)
		}
	})
}
