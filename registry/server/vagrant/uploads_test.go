package vagrant_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
)

func TestUploads(t *testing.T) {
	s := servertest.New(t)
	c := as(s, s.AdminToken)
	c.create(t, "tiny", "1.0.0")
	const version = tiny + "/version/1.0.0"
	content := virtualbox(t, "the disk")

	t.Run("secrets are in the path, and nobody keeps them", func(t *testing.T) {
		c.announce(t, "tiny", "1.0.0", "paths", "")
		for _, api := range []string{"/api/v1", "/api/v2"} {
			got := c.get(t, api+"/box/acme/tiny/version/1.0.0/provider/paths/upload/direct").ok(t)
			path, callback := got.text(t, "upload_path"), got.text(t, "callback")
			if begin := s.URL + api + "/box-uploads/"; !strings.HasPrefix(path, begin) || callback != path+"/complete" || strings.Contains(callback, "?") {
				t.Errorf("got %s", got.body)
			}
			if got.header.Get("Cache-Control") != "no-store" || got.header.Get("ETag") != "" {
				t.Errorf("got %v", got.header)
			}
		}
	})
	t.Run("a box that is none is refused, with what it lacks", func(t *testing.T) {
		at := c.announce(t, "tiny", "1.0.0", "broken", "")
		for what, test := range map[string]struct{ sent, want string }{
			"cut short":           {content[:len(content)-20], "box: it is broken or cut short"},
			"not gzip":            {strings.Repeat("just a text ", 100), "box: it is not a tar archive, plain or gzipped"},
			"empty":               {"", "box: it is empty"},
			"without its content": {tarOf(t, "box.ovf", "x"), "box: it has no metadata.json"},
		} {
			got := as(s, "").send(t, "PUT", at, test.sent)
			if !strings.Contains(got.body, test.want) {
				t.Errorf("%s: got %d %s, want %q", what, got.status, got.body, test.want)
			}
			got.refused(t, http.StatusUnprocessableEntity)
			c.send(t, "PUT", at+"/complete", "").refused(t, http.StatusUnprocessableEntity, "did not come yet")
		}
		c.send(t, "PUT", at, boxWith(t, `{"provider":"broken"}`, "whole")).ok(t)
		c.send(t, "PUT", at+"/complete", "").ok(t)
	})
	t.Run("a wrong checksum is refused with both values", func(t *testing.T) {
		wrong := strings.Repeat("0", 64)
		at := c.announce(t, "tiny", "1.0.0", "wrong", `,"checksum":"`+wrong+`","checksum_type":"sha256"`)
		c.send(t, "PUT", at, content).refused(t, http.StatusUnprocessableEntity, wrong, sha256Of(content))
		c.get(t, version+"/provider/wrong").ok(t).has(t, "checksum", `"`+wrong+`"`)
		c.send(t, "PUT", version+"/provider/wrong", `{"provider":{"checksum":"`+sha256Of(content)+`"}}`).ok(t)
		c.send(t, "PUT", at, content).ok(t)
	})
	t.Run("a checksum is computed where nobody gave one", func(t *testing.T) {
		c.send(t, "PUT", c.announce(t, "tiny", "1.0.0", "computed", ""), content).ok(t)
		c.get(t, version+"/provider/computed").ok(t).has(t, "checksum", `"`+sha256Of(content)+`"`, "checksum_type", `"sha256"`)
	})
	t.Run("an upload can be repeated", func(t *testing.T) {
		at := c.announce(t, "tiny", "1.0.0", "thrice", "")
		for range 3 {
			as(s, "").send(t, "PUT", at, content).ok(t)
			c.send(t, "PUT", at+"/complete", "").ok(t)
		}
	})
	t.Run("an upload without its length comes in chunks", func(t *testing.T) {
		req, err := http.NewRequestWithContext(t.Context(), "PUT", c.announce(t, "tiny", "1.0.0", "chunked", ""), io.MultiReader(strings.NewReader(content)))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("got %s", resp.Status)
		}
	})
	t.Run("a secret that is none is refused before its body is read", func(t *testing.T) {
		conn := dial(t, s)
		fmt.Fprintf(conn, "PUT /api/v1/box-uploads/nonsense HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\nExpect: 100-continue\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != http.StatusNotFound {
			t.Errorf("got %v %v, want 404 and no 100", resp, err)
		}
		c.send(t, "PUT", "/api/v2/box-uploads/nonsense/complete", "").refused(t, http.StatusNotFound, "does not exist")
	})
	t.Run("a client that asks whether to go on is told so", func(t *testing.T) {
		at := strings.TrimPrefix(c.announce(t, "tiny", "1.0.0", "asks", ""), s.URL)
		conn := dial(t, s)
		answers := bufio.NewReader(conn)
		fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", at, len(content))
		if line, err := answers.ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 100 ") {
			t.Fatalf("got %q %v", line, err)
		}
		if _, err := answers.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, content)
		resp, err := http.ReadResponse(answers, nil)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Errorf("got %v %v", resp, err)
		}
	})
	t.Run("an upload that is cut leaves nothing, wherever it is cut", func(t *testing.T) {
		at := c.announce(t, "tiny", "1.0.0", "cut", "")
		before := filesIn(t, s.Dir)
		for _, cut := range []int{0, 1, 17, len(content) / 2, len(content) - 1} {
			conn := dial(t, s)
			fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", strings.TrimPrefix(at, s.URL), len(content), content[:cut])
			if err := conn.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil || resp.StatusCode != http.StatusUnprocessableEntity {
				t.Fatalf("cut at %d: got %v %v", cut, resp, err)
			}
			text, err := io.ReadAll(resp.Body)
			if err != nil || !strings.Contains(string(text), "nothing of it is kept, send it again") {
				t.Errorf("cut at %d: got %s %v", cut, text, err)
			}
			c.send(t, "PUT", at+"/complete", "").refused(t, http.StatusUnprocessableEntity, "did not come yet")
		}
		if after := filesIn(t, s.Dir); after != before {
			t.Errorf("there were %d files, and now there are %d", before, after)
		}
		c.send(t, "PUT", at, content).ok(t)
	})
	t.Run("one that fails leaves the other providers alone", func(t *testing.T) {
		c.send(t, "PUT", version+"/release", "").ok(t)
		catalog := c.get(t, "/acme/tiny").ok(t).body
		for _, provider := range []string{"computed", "thrice", "chunked", "asks", "cut", "wrong", "broken"} {
			if !strings.Contains(catalog, `"name":"`+provider+`"`) {
				t.Errorf("the catalog lacks %s: %s", provider, catalog)
			}
		}
		if strings.Contains(catalog, `"paths"`) {
			t.Error("the catalog has a provider without bytes")
		}
	})
	t.Run("what is released does not change", func(t *testing.T) {
		at := c.get(t, version+"/provider/computed/upload").ok(t).text(t, "upload_path")
		before := c.get(t, version).ok(t).body
		c.send(t, "PUT", at, virtualbox(t, "another disk")).refused(t, http.StatusUnprocessableEntity, "is released with other bytes")
		c.send(t, "PUT", at+"/complete", "").refused(t, http.StatusUnprocessableEntity, "did not come yet")
		c.send(t, "PUT", at, content).ok(t)
		c.send(t, "PUT", at+"/complete", "").ok(t)
		if after := c.get(t, version).ok(t).body; after != before {
			t.Errorf("there was %s, and now there is %s", before, after)
		}
	})
	t.Run("a released version can get another box", func(t *testing.T) {
		at := c.announce(t, "tiny", "1.0.0", "late", "")
		if strings.Contains(c.get(t, "/acme/tiny").body, `"late"`) {
			t.Error("it is offered before its bytes are there")
		}
		c.send(t, "PUT", at, content).ok(t)
		if !strings.Contains(c.get(t, "/acme/tiny").body, `"late"`) {
			t.Error("it is not offered")
		}
	})
}

func dial(t *testing.T, s *servertest.Server) *net.TCPConn {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn.(*net.TCPConn)
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
