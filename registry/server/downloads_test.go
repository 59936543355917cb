package server_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/server"
)

func TestDownloadsWithoutAToken(t *testing.T) {
	var log bytes.Buffer
	s := servertest.New(t, servertest.WithOptions(server.Options{Logger: slog.New(slog.NewJSONHandler(&log, nil))}))
	const content = "the bytes of the archive"
	client := s.Client(t, s.AdminToken)
	file, err := client.Upload(t.Context(), "cargomedia/app", "app.tar.gz", strings.NewReader(content), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Publish(t.Context(), "cargomedia/app", registry.Publication{Fingerprint: "one", Build: registry.Build{Component: "file.app", Type: "archive", Files: []registry.File{file}}}); err != nil {
		t.Fatal(err)
	}
	var granted registry.Download
	if err := json.Unmarshal([]byte(as(s, s.AdminToken).send(t, "POST", appPath+"/downloads", `{"ref":"latest"}`).ok(t).body), &granted); err != nil {
		t.Fatal(err)
	}
	stranger := as(s, "")
	t.Run("the path gives the bytes to whoever has it", func(t *testing.T) {
		got := stranger.get(t, granted.Path).ok(t)
		if got.body != content || got.header.Get("Content-Disposition") != "attachment; filename=app.tar.gz" {
			t.Errorf("got %q, %v", got.body, got.header)
		}
	})
	t.Run("a part can be had, and the head", func(t *testing.T) {
		if got := stranger.get(t, granted.Path, "Range", "bytes=4-8"); got.status != 206 || got.body != "bytes" {
			t.Errorf("got %d %q", got.status, got.body)
		}
		if got := stranger.send(t, "HEAD", granted.Path, "").ok(t); got.header.Get("Content-Length") != "24" {
			t.Errorf("got %v", got.header)
		}
	})
	t.Run("another secret gives nothing", func(t *testing.T) {
		if got := stranger.get(t, "/v1/downloads/AAAA/app.tar.gz"); got.status != 404 || !strings.Contains(got.body, "ask for a new one") {
			t.Errorf("got %d %s", got.status, got.body)
		}
	})
	t.Run("a stranger is granted nothing", func(t *testing.T) {
		if got := stranger.send(t, "POST", appPath+"/downloads", `{"ref":"latest"}`); got.status != 401 {
			t.Errorf("got %d %s", got.status, got.body)
		}
	})
	t.Run("the secret is in no log", func(t *testing.T) {
		secret := strings.Split(granted.Path, "/")[3]
		if text := log.String(); strings.Contains(text, secret) || !strings.Contains(text, "/v1/downloads/{secret}/{name}") {
			t.Errorf("the log is %s", text)
		}
	})
}
