package atlas_test

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	atlas "github.com/hashicorp/atlas-go/v1"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/blob"
	"github.com/cargomedia/packer-plugin-almanac/registry/server"
	"github.com/cargomedia/packer-plugin-almanac/registry/sqlstore"
)

const archive = artifacts + "/cargomedia/app/archive"

// announce asks for a place for the bytes of a version, and returns it.
func (c caller) announce(t testing.TB, path string) string {
	t.Helper()
	return c.post(t, path, `{"artifact_version":{"file":true}}`).members(t)["upload_path"].(string)
}

func TestUploads(t *testing.T) {
	s := servertest.New(t)
	c := as(s, s.Token(t, "publisher", "publish", "cargomedia/*"))
	anybody := as(s, "")
	// nothing fails the test if the artifact offers anything.
	nothing := func(t *testing.T) {
		t.Helper()
		if got := c.get(t, archive+"/search?version=any").ok(t); got.body != `{"versions":[]}`+"\n" {
			t.Errorf("got %s", got.body)
		}
		c.get(t, archive+"/file").refused(t, 404)
		c.get(t, archive+"/1/file").refused(t, 404)
		reader := s.Client(t, s.Token(t, t.Name(), "read"))
		if v, err := reader.Version(t.Context(), "cargomedia/app", "1"); err == nil {
			t.Errorf("got %+v", v)
		}
	}

	at := c.announce(t, archive)
	t.Run("before its bytes nothing is there", nothing)
	t.Run("one that stops half way leaves nothing, and can be sent again", func(t *testing.T) {
		before := filesIn(t, s.Dir)
		for _, cut := range []int{0, 1, 500} {
			conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n%s", strings.TrimPrefix(at, s.URL), strings.Repeat("x", cut))
			if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			reply{resp.StatusCode, resp.Header, string(body)}.refused(t, 422, "nothing of it is kept, send it again")
		}
		if after := filesIn(t, s.Dir); after != before {
			t.Errorf("there were %d files, and now there are %d", before, after)
		}
		nothing(t)
	})
	t.Run("what came can be sent again, and other bytes cannot", func(t *testing.T) {
		for range 3 {
			if got := anybody.send(t, "PUT", at, "the bytes").members(t); got["version"] != 1.0 || got["size"] != 9.0 {
				t.Errorf("got %v", got)
			}
		}
		anybody.send(t, "PUT", at, "other bytes").refused(t, 422, "this upload brought other bytes before")
		if got := c.get(t, archive+"/latest/file").ok(t).body; got != "the bytes" {
			t.Errorf("got %q", got)
		}
	})
	t.Run("its length need not be known", func(t *testing.T) {
		req, err := http.NewRequestWithContext(t.Context(), "PUT", c.announce(t, archive), io.MultiReader(strings.NewReader("in "), strings.NewReader("chunks")))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if got := c.get(t, archive+"/2/file").ok(t).body; resp.StatusCode != 200 || got != "in chunks" {
			t.Errorf("got %s, %q", resp.Status, got)
		}
	})
	t.Run("latest is not one that is still to come", func(t *testing.T) {
		c.announce(t, archive)
		if got := c.get(t, archive+"/file").ok(t).body; got != "in chunks" {
			t.Errorf("got %q", got)
		}
		c.get(t, archive+"/3/file").refused(t, 404)
	})
	t.Run("a secret that is none is refused", func(t *testing.T) {
		anybody.send(t, "PUT", "/api/v1/binstore/nonsense", "x").refused(t, 404, "does not exist")
		anybody.send(t, "PUT", at+"x", "x").refused(t, 404)
	})
	t.Run("a box that is none is refused, with what to do", func(t *testing.T) {
		plain := tarOf(t, "metadata.json", `{"provider":"virtualbox"}`)
		for what, test := range map[string]struct{ sent, says string }{
			"a plain box that Packer packed": {gzipped(t, tarOf(t, "test.box", plain)), "Packer's post-processor compress"},
			"a text":                         {strings.Repeat("no box ", 500), "box: it is not a tar archive"},
			"cut short":                      {boxOf(t, "virtualbox", "x")[:60], "cut short"},
		} {
			got := c.post(t, artifacts+"/cargomedia/box/vagrant.box", `{"artifact_version":{"file":true,"metadata":{"provider":"virtualbox","version":"1.0.0"}}}`).members(t)
			anybody.send(t, "PUT", got["upload_path"].(string), test.sent).refused(t, 422, test.says)
			if found := c.get(t, artifacts+"/cargomedia/box/vagrant.box/search").ok(t); found.body != `{"versions":[]}`+"\n" {
				t.Errorf("%s: got %s", what, found.body)
			}
			c.get(t, "/cargomedia/box").members(t)
		}
		// The version that was begun with broken bytes is finished by an upload of good ones.
		got := c.post(t, artifacts+"/cargomedia/box/vagrant.box", `{"artifact_version":{"file":true,"metadata":{"provider":"virtualbox","version":"1.0.0"}}}`).members(t)
		anybody.send(t, "PUT", got["upload_path"].(string), plain).ok(t)
		if found := c.get(t, artifacts+"/cargomedia/box/vagrant.box/search").ok(t); got["version"] != 1.0 || !strings.Contains(found.body, `"version":1,`) {
			t.Errorf("got %v, %s", got, found.body)
		}
	})
}

// TestLimit has a registry that takes a hundred bytes.
func TestLimit(t *testing.T) {
	store, err := sqlstore.Open(t.Context(), filepath.Join(t.TempDir(), "almanac.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	dir := t.TempDir()
	blobs, err := blob.OpenDisk(filepath.Join(dir, "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	svc := registry.NewService(store, blobs, registry.WithMaxFile(100))
	token := registry.NewSecret()
	if _, err := svc.EnsureAdmin(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(server.New(svc, server.Options{}))
	t.Cleanup(s.Close)
	c := client(t, s.URL, token)
	upload(t, c, "app", "archive", strings.Repeat("x", 100), nil)
	before := filesIn(t, dir)
	for what, size := range map[string]int64{"with its length": 101, "without its length": 0} {
		_, err = c.UploadArtifact(&atlas.UploadArtifactOpts{
			User: "cargomedia", Name: "app", Type: "archive", File: struct{ io.Reader }{strings.NewReader(strings.Repeat("x", 101))}, FileSize: size,
		})
		if err == nil || !strings.Contains(err.Error(), "the file has more than 100 bytes") {
			t.Errorf("%s: got %v", what, err)
		}
	}
	found, err := c.ArtifactSearch(&atlas.ArtifactSearchOpts{User: "cargomedia", Name: "app", Type: "archive", Version: "any"})
	if err != nil || len(found) != 1 || found[0].Version != 1 {
		t.Errorf("got %+v, %v", found, err)
	}
	if after := filesIn(t, dir); after != before {
		t.Errorf("there were %d files, and now there are %d", before, after)
	}
}

// TestSecretsAreNotLogged looks for the secret of an upload in the log.
func TestSecretsAreNotLogged(t *testing.T) {
	var out bytes.Buffer
	s := servertest.New(t, servertest.WithOptions(server.Options{Logger: slog.New(slog.NewTextHandler(&out, nil))}))
	c := as(s, s.AdminToken)
	var secrets []string
	for _, root := range []string{"", "/api/v1"} {
		at := c.announce(t, root+archive)
		c.send(t, "PUT", strings.Replace(at, s.URL, s.URL+root, 1), "x").ok(t)
		c.send(t, "PUT", at+"/more", "x").refusedNatively(t)
		secrets = append(secrets, at[strings.LastIndex(at, "/")+1:])
	}
	s.Stop(t) // then nothing more is written
	for _, secret := range secrets {
		if strings.Contains(out.String(), secret) {
			t.Errorf("the log has a secret: %s", out.String())
		}
	}
	if !strings.Contains(out.String(), "route=/api/v1/binstore/{secret}") {
		t.Errorf("got %s", out.String())
	}
}

// filesIn counts the files of blobs and of uploads.
func filesIn(t *testing.T, dir string) int {
	t.Helper()
	count := 0
	err := filepath.WalkDir(filepath.Join(dir, "blobs"), func(_ string, entry os.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			count++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return count
}
