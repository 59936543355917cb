package main

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/version"
)

var herePlatform = runtime.GOOS + "_" + runtime.GOARCH

// beside makes the directory of an almanac program. Files are pairs of name and content.
func beside(t testing.TB, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(dir, files[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(files[i+1]), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// record is one start of a server in a directory of [beside]. It returns what is logged.
func record(t testing.TB, s *servertest.Server, dir, version string) string {
	t.Helper()
	var log bytes.Buffer
	o := ownProviders{log: slog.New(slog.NewTextHandler(&log, nil)), service: s.Service, beside: dir, version: version}
	if err := o.recordAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	return log.String()
}

// platforms are the components of a version, with the digests of their files.
func platforms(t testing.TB, s *servertest.Server, version string) map[string]registry.Digest {
	t.Helper()
	v, err := s.Client(t, s.AdminToken).Version(t.Context(), ownProvider, version)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]registry.Digest{}
	for _, b := range v.Builds {
		found[b.Component] = b.Files[0].SHA256
	}
	return found
}

func TestOwnProviderOfAProgram(t *testing.T) {
	s := servertest.New(t)
	program := providerProgram + programSuffix()
	dir := beside(t, program, "the program")
	log := record(t, s, dir, "1.2.0")
	if !strings.Contains(log, "Terraform can install the provider") || !strings.Contains(log, "key_id=") || strings.Contains(log, "pre-release") {
		t.Errorf("the log is\n%s", log)
	}
	c := s.Client(t, s.AdminToken)
	t.Run("is a zip of it in a public artifact", func(t *testing.T) {
		found, err := s.Client(t, "").Resolve(t.Context(), ownProvider, "1.2.0", registry.Question{Type: "terraform.provider"})
		if err != nil {
			t.Fatal(err)
		}
		if found.Component != herePlatform || found.Metadata["protocols"] != "6.0" || found.Fingerprint != "provider:1.2.0" {
			t.Errorf("got %+v", found)
		}
		blob, err := s.Service.Blob(t.Context(), string(found.Files[0].SHA256))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = blob.Close() }()
		content, err := io.ReadAll(blob)
		if err != nil {
			t.Fatal(err)
		}
		archive, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
		if err != nil {
			t.Fatal(err)
		}
		member := archive.File[0]
		text, err := archive.Open(member.Name)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = text.Close() }()
		unpacked, err := io.ReadAll(text)
		if err != nil {
			t.Fatal(err)
		}
		if len(archive.File) != 1 || member.Name != "terraform-provider-almanac_v1.2.0"+programSuffix() || member.Mode() != 0o755 || string(unpacked) != "the program" {
			t.Errorf("it has %d members, the first is %s, %s: %s", len(archive.File), member.Name, member.Mode(), unpacked)
		}
	})
	t.Run("is recorded once, and what was set stays", func(t *testing.T) {
		if _, err := c.PutArtifact(t.Context(), ownProvider, registry.ArtifactSettings{Description: "ours"}); err != nil {
			t.Fatal(err)
		}
		before, err := c.Events(t.Context(), 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		if log := record(t, s, dir, "1.2.0"); log != "" {
			t.Errorf("the log is\n%s", log)
		}
		after, err := c.Events(t.Context(), 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, after); diff != "" {
			t.Error(diff)
		}
		if a, err := c.Artifact(t.Context(), ownProvider); err != nil || a.Public || a.Description != "ours" {
			t.Errorf("got %+v, %v", a, err)
		}
	})
	t.Run("of other bytes is not recorded under the same version", func(t *testing.T) {
		before := platforms(t, s, "1.2.0")
		log := record(t, s, beside(t, program, "another build"), "1.2.0")
		if strings.Count(log, "\n") != 1 || !strings.Contains(log, "level=WARN") || !strings.Contains(log, "dev_overrides") || !strings.Contains(log, "another version") {
			t.Errorf("the log is\n%s", log)
		}
		if diff := cmp.Diff(before, platforms(t, s, "1.2.0")); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("of another version is one more", func(t *testing.T) {
		log := record(t, s, beside(t, program, "another build"), "1.3.0-dev")
		if strings.Contains(log, "key_id") || !strings.Contains(log, "takes a pre-release only where a configuration asks for exactly this version") {
			t.Errorf("the log is\n%s", log)
		}
		if len(platforms(t, s, "1.3.0-dev")) != 1 {
			t.Error("it is not there")
		}
	})
	t.Run("stays without its file", func(t *testing.T) {
		if log := record(t, s, beside(t), "1.2.0"); log != "" {
			t.Errorf("the log is\n%s", log)
		}
	})
	t.Run("comes back when it was deleted", func(t *testing.T) {
		if err := c.DeleteArtifact(t.Context(), ownProvider); err != nil {
			t.Fatal(err)
		}
		record(t, s, dir, "1.2.0")
		if a, err := s.Client(t, "").Artifact(t.Context(), ownProvider); err != nil || a.Latest == nil || a.Latest.Version != "1.2.0" {
			t.Errorf("got %+v, %v", a, err)
		}
	})
}

func TestOwnProviderOfZips(t *testing.T) {
	s := servertest.New(t)
	zipOf := func(version, platform string) string {
		return filepath.Join(providersDir, providerProgram+"_"+version+"_"+platform+".zip")
	}
	files := []string{
		providerProgram + programSuffix(), "the program",
		zipOf("1.2.0", herePlatform), "zip here", zipOf("1.2.0", "plan9_mips"), "zip there",
		zipOf("1.1.0", "plan9_arm"), "old", zipOf("1.2.0", "plan9"), "no platform", filepath.Join(providersDir, "README"), "text",
	}
	record(t, s, beside(t, files...), "1.2.0")
	want := map[string]registry.Digest{herePlatform: registry.SecretDigest("zip here"), "plan9_mips": registry.SecretDigest("zip there")}
	if diff := cmp.Diff(want, platforms(t, s, "1.2.0")); diff != "" {
		t.Errorf("of a zip and a program the zip is taken, and of other versions nothing:\n%s", diff)
	}
	files = append(files, zipOf("1.2.0", "plan9_arm"), "late")
	record(t, s, beside(t, files...), "1.2.0")
	want["plan9_arm"] = registry.SecretDigest("late")
	if diff := cmp.Diff(want, platforms(t, s, "1.2.0")); diff != "" {
		t.Errorf("a platform that comes later is added:\n%s", diff)
	}
	if log := record(t, s, beside(t, files[0], "the program"), "1.2.0"); log != "" {
		t.Errorf("the program beside a server whose registry has a zip of it gives\n%s", log)
	}
}

func TestOwnProviderIsMissing(t *testing.T) {
	s := servertest.New(t)
	log := record(t, s, beside(t), "1.2.0")
	if strings.Count(log, "\n") != 1 || !strings.Contains(log, "level=INFO") || !strings.Contains(log, "put terraform-provider-almanac beside the almanac program") {
		t.Errorf("the log is\n%s", log)
	}
	if _, err := s.Client(t, s.AdminToken).Artifact(t.Context(), ownProvider); registry.KindOf(err) != registry.NotFound {
		t.Errorf("the artifact was made: %v", err)
	}
}

func TestOwnProviderCannotBeRecorded(t *testing.T) {
	s := servertest.New(t)
	o := ownProviders{log: slog.New(slog.DiscardHandler), service: s.Service, beside: beside(t), version: "today"}
	if err := o.recordAll(t.Context()); err == nil || !strings.Contains(err.Error(), `"today"`) {
		t.Errorf("got %v", err)
	}
	o.version, o.dir = "1.2.0", filepath.Join(o.beside, "none")
	if err := o.recordAll(t.Context()); err == nil {
		t.Error("a directory that is not there is no mistake")
	}
	// A server that is told to stop at once says nothing of what it has not done.
	var log bytes.Buffer
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	zips := beside(t, providerProgram+"_"+version.String()+"_plan9_mips.zip", "x")
	(&serveCmd{Providers: zips}).recordProvider(ctx, slog.New(slog.NewTextHandler(&log, nil)), s.Service)
	if log.Len() > 0 {
		t.Errorf("the log is\n%s", log.String())
	}
}

func TestOwnProviderOfTwoServersAtOnce(t *testing.T) {
	s := servertest.New(t)
	dir := beside(t, providerProgram+programSuffix(), strings.Repeat("the program ", 1<<16))
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() {
			o := ownProviders{log: slog.New(slog.DiscardHandler), service: s.Service, beside: dir, version: "1.2.0"}
			if err := o.recordAll(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if len(platforms(t, s, "1.2.0")) != 1 {
		t.Error("it is not there")
	}
}

func TestServeRecordsItsProvider(t *testing.T) {
	versions := func(s *served) string {
		resp, err := http.Get(s.url + "/tf/providers/v1/" + ownProvider + "/versions")
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	zips := beside(t, providerProgram+"_"+version.String()+"_plan9_mips.zip", "x")
	data := filepath.Join(t.TempDir(), "data")
	t.Run("not if it is told so", func(t *testing.T) {
		s := startServe(t, data, "--no-provider")
		s.stop(t)
		if strings.Contains(s.stderr.String(), "Terraform") {
			t.Errorf("stderr:\n%s", s.stderr)
		}
	})
	t.Run("from a directory", func(t *testing.T) {
		s := startServe(t, data, "--providers", zips)
		for range 2000 {
			if strings.Contains(versions(s), "plan9") {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		var got struct {
			Versions []struct {
				Version string `json:"version"`
			} `json:"versions"`
		}
		if err := json.Unmarshal([]byte(versions(s)), &got); err != nil || len(got.Versions) != 1 || got.Versions[0].Version != version.String() {
			t.Errorf("got %+v, %v", got, err)
		}
		s.stop(t)
	})
	t.Run("mistakes are found before anything is made", func(t *testing.T) {
		for want, args := range map[string][]string{
			"none: no such file":         {"--providers", filepath.Join(zips, "none")},
			"is not a directory":         {"--providers", filepath.Join(zips, providerProgram+"_"+version.String()+"_plan9_mips.zip")},
			"one contradicts the other;": {"--providers", zips, "--no-provider"},
		} {
			c := serveCmd{Listen: "127.0.0.1:0", Grace: time.Second, Providers: args[1], NoProvider: len(args) > 2}
			if _, err := c.check(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: got %v, want %q", args, err, want)
			}
		}
	})
}

func TestBuildsBetweenReleasesAreInstallable(t *testing.T) {
	for outcome, test := range map[string]struct{ version, commitTime, want string }{
		"a release keeps its version":                           {"1.2.0", "1795401519", ""},
		"a build between releases has the time of its commit":   {"1.2.0-dev", "1795401519", "0.0.29923358"},
		"a build whose commit nobody knows stays a pre-release": {"1.2.0-dev", "", ""},
	} {
		t.Run(outcome, func(t *testing.T) {
			got := installable(test.version, test.commitTime)
			if got != test.want {
				t.Fatalf("got %q, want %q", got, test.want)
			}
			if err := registry.CheckSemver(got); got != "" && err != nil {
				t.Error(err)
			}
		})
	}
}
