package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// TestPullPaths lets a registry that is not to be trusted name the files.
func TestPullPaths(t *testing.T) {
	for _, name := range []string{"../evil", "/etc/evil", "a/../../evil", `..\evil`, "C:evil", "a//b", "a\x00b", ""} {
		t.Run(strings.ReplaceAll(name, "/", "|")+" is refused", func(t *testing.T) {
			asked := 0
			hostile := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if asked++; asked > 1 {
					t.Errorf("it went on to %s", r.URL)
				}
				w.Header().Set("Content-Type", "application/json")
				_ = json.NewEncoder(w).Encode(registry.Resolution{Resolved: registry.Resolved{
					Artifact: "cargomedia/app", VersionID: registry.VersionID{Number: 1, Version: "0.1.0"}, Component: "c", Type: registry.Archive,
					Files:       []registry.File{{Name: name, Size: 1, SHA256: registry.SecretDigest("x")}},
					Attachments: []registry.Attachment{{File: registry.File{Name: name, Size: 1, SHA256: registry.SecretDigest("x")}}},
				}})
			}))
			t.Cleanup(hostile.Close)
			dir := t.TempDir()
			for _, what := range [][]string{nil, {"--attachment", everyAttachment}} {
				asked = 0
				args := append([]string{"pull", "cargomedia/app", "1", "--dir", filepath.Join(dir, "into"), "--address", hostile.URL}, what...)
				var stdout, stderr bytes.Buffer
				if code := run(t.Context(), args, noenv, strings.NewReader(""), &stdout, &stderr); code != exitError || !strings.Contains(stderr.String(), "could lead out of the directory") {
					t.Errorf("%v: exit code %d, stderr %q", what, code, stderr.String())
				}
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("it left %v, %v", left, err)
			}
		})
	}
}

func TestPullThroughLink(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("symbolic links need a privilege on Windows")
	}
	s := servertest.New(t)
	c := s.Client(t, s.AdminToken)
	file, err := c.Upload(t.Context(), "cargomedia/app", "sub/deep/file.txt", strings.NewReader("content"), nil)
	if err != nil {
		t.Fatal(err)
	}
	publication := registry.Publication{Fingerprint: "run-1", Build: registry.Build{Component: "c", Type: registry.Archive, Files: []registry.File{file}}}
	if _, err := c.Publish(t.Context(), "cargomedia/app", publication); err != nil {
		t.Fatal(err)
	}
	pull := func(dir string) (int, string) {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), []string{"pull", "cargomedia/app", "1", "--dir", dir, "--address", s.URL, "--token", s.AdminToken}, noenv, strings.NewReader(""), &stdout, &stderr)
		return code, stderr.String()
	}
	for _, link := range []string{"sub", "sub/deep"} {
		t.Run("a link at "+strings.ReplaceAll(link, "/", "|")+" does not lead out of the directory", func(t *testing.T) {
			dir, outside := t.TempDir(), t.TempDir()
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, link)), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(outside, filepath.Join(dir, link)); err != nil {
				t.Fatal(err)
			}
			if code, stderr := pull(dir); code != exitError {
				t.Errorf("exit code %d, stderr %q", code, stderr)
			}
			if left, err := os.ReadDir(outside); err != nil || len(left) > 0 {
				t.Errorf("it left %v outside, %v", left, err)
			}
		})
	}
	t.Run("directories are made", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "new")
		if code, stderr := pull(dir); code != exitOK {
			t.Fatalf("exit code %d, stderr %q", code, stderr)
		}
		if got, err := os.ReadFile(filepath.Join(dir, "sub", "deep", "file.txt")); err != nil || string(got) != "content" {
			t.Errorf("got %q, %v", got, err)
		}
	})
}
