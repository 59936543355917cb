package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// packBox is a box that says of itself what metadata says. The same arguments give the same bytes.
func packBox(t *testing.T, metadata, disk string) []byte {
	t.Helper()
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	w := tar.NewWriter(z)
	for _, file := range []struct{ name, content string }{{"metadata.json", metadata}, {"disk.img", disk}} {
		if err := w.WriteHeader(&tar.Header{Name: file.name, Mode: 0o644, Size: int64(len(file.content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(file.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

// shelf is a registry, and a directory for boxes.
type shelf struct {
	*servertest.Server
	dir string
	env map[string]string
}

func newShelf(t *testing.T) *shelf {
	return &shelf{servertest.New(t), t.TempDir(), map[string]string{}}
}

// file writes a file and returns its path.
func (s *shelf) file(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(s.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// run runs a command and holds it to its exit code.
func (s *shelf) run(t *testing.T, code int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, problems bytes.Buffer
	getenv := func(name string) string { return s.env[name] }
	args = append(args, "--address", s.URL)
	if s.env["ALMANAC_TOKEN"] == "" {
		args = append(args, "--token", s.AdminToken)
	}
	if got := run(t.Context(), args, getenv, strings.NewReader(""), &out, &problems); got != code {
		t.Fatalf("%v: exit code %d, want %d\n%s%s", args, got, code, out.String(), problems.String())
	}
	return out.String(), problems.String()
}

func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in %q", part, text)
		}
	}
}

const (
	libvirtBox    = `{"provider":"libvirt"}`
	libvirtARMBox = `{"provider":"libvirt","architecture":"arm64"}`
)

func TestPush(t *testing.T) {
	s := newShelf(t)
	c := s.Client(t, s.AdminToken)
	one, arm := s.file(t, "one.box", packBox(t, libvirtBox, "1")), s.file(t, "arm.box", packBox(t, libvirtARMBox, "1"))
	boxes := func(t *testing.T, artifact, ref string) (got []string) {
		t.Helper()
		v, err := c.Version(t.Context(), artifact, ref)
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range v.Builds {
			got = append(got, fmt.Sprint(b.Component, " ", b.Type, " ", b.Provider, " ", b.Architecture, " ", b.Default, " ", b.Files[0].Name))
		}
		return got
	}
	t.Run("makes the version, and says what it recorded", func(t *testing.T) {
		stdout, stderr := s.run(t, exitOK, "push", one, "acme/tiny", "1.2", "--channel", "staging")
		contains(t, stdout, "acme/tiny 1.2.0 (number 1) has the build vagrant.libvirt of type vagrant.box.", "Channel staging points to it.")
		contains(t, stderr, "Version 1.2 is recorded as 1.2.0.")
		if got, want := fmt.Sprint(boxes(t, "acme/tiny", "1.2.0")), "[vagrant.libvirt vagrant.box libvirt  false vagrant.box]"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
	t.Run("adds a box of another architecture to it", func(t *testing.T) {
		s.run(t, exitOK, "push", arm, "acme/tiny", "1.2.0", "--default-architecture")
		contains(t, fmt.Sprint(boxes(t, "acme/tiny", "1.2.0")), "vagrant.libvirt.arm64 vagrant.box libvirt arm64 true vagrant.box")
	})
	t.Run("the same again changes nothing, and says so", func(t *testing.T) {
		stdout, _ := s.run(t, exitOK, "push", one, "acme/tiny", "1.2.0")
		contains(t, stdout, "Nothing was sent: the version has this box already.")
		stdout, _ = s.run(t, exitOK, "push", one, "acme/tiny", "1.2.0", "-o", "json")
		var receipt boxReceipt
		if err := json.Unmarshal([]byte(stdout), &receipt); err != nil || !receipt.Present || receipt.Number != 1 || receipt.Status != registry.StatusComplete {
			t.Errorf("got %+v, %v", receipt, err)
		}
		if n := len(boxes(t, "acme/tiny", "1.2.0")); n != 2 {
			t.Errorf("the version has %d builds", n)
		}
	})
	t.Run("a default that is asked for too late is told", func(t *testing.T) {
		_, stderr := s.run(t, exitOK, "push", one, "acme/tiny", "1.2.0", "--default-architecture")
		contains(t, stderr, "libvirt is recorded already, and not as the default of its provider")
		_, stderr = s.run(t, exitOK, "push", arm, "acme/tiny", "1.2.0", "--default-architecture")
		if strings.Contains(stderr, "default") {
			t.Errorf("it is the default: %s", stderr)
		}
	})
	t.Run("without a version the registry chooses it, once for each box", func(t *testing.T) {
		for range 2 {
			stdout, _ := s.run(t, exitOK, "push", one, "acme/next")
			contains(t, stdout, "acme/next 0.1.0 (number 1)")
		}
		stdout, _ := s.run(t, exitOK, "push", s.file(t, "two.box", packBox(t, libvirtBox, "2")), "acme/next")
		contains(t, stdout, "acme/next 0.2.0 (number 2)")
	})
	t.Run("the boxes of one run go to one version", func(t *testing.T) {
		s.env["ALMANAC_FINGERPRINT"] = "pipeline-7"
		defer delete(s.env, "ALMANAC_FINGERPRINT")
		s.run(t, exitOK, "push", one, "acme/run")
		stdout, _ := s.run(t, exitOK, "push", arm, "acme/run")
		contains(t, stdout, "acme/run 0.1.0 (number 1)", "Fingerprint: pipeline-7")
	})
	t.Run("joins the version that another door made, and finds its box there", func(t *testing.T) {
		file, err := c.UploadFile(t.Context(), "acme/packer", one, "base.box", nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Publish(t.Context(), "acme/packer", registry.Publication{Fingerprint: "run-1", Version: "3.0.0", Build: registry.Build{
			Component: "qemu.base", Type: registry.VagrantBox, Provider: "libvirt", Files: []registry.File{file},
		}})
		if err != nil {
			t.Fatal(err)
		}
		stdout, _ := s.run(t, exitOK, "push", one, "acme/packer", "3.0.0")
		contains(t, stdout, "Nothing was sent", "the build qemu.base")
		s.run(t, exitOK, "push", arm, "acme/packer", "3.0.0")
		if got := fmt.Sprint(boxes(t, "acme/packer", "run-1")); !strings.Contains(got, "vagrant.libvirt.arm64") {
			t.Errorf("got %s", got)
		}
		_, stderr := s.run(t, exitConflict, "push", s.file(t, "three.box", packBox(t, libvirtBox, "3")), "acme/packer", "3.0.0")
		contains(t, stderr, "version 3.0.0 (number 1) of acme/packer has a box for libvirt, with the sha256 "+string(file.SHA256), "Try: another version")
	})
	t.Run("leaves a version that is not released as it is", func(t *testing.T) {
		ctx := registry.WithPrincipal(t.Context(), registry.Principal{TokenID: "t", Name: "t", Role: registry.RoleAdmin, Scopes: []registry.Scope{registry.ScopeAll}})
		if _, _, err := s.Service.DescribeArtifact(ctx, "acme/held", registry.ArtifactDetails{}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Service.OpenVersion(ctx, "acme/held", registry.VersionRequest{Version: "1.0.0"}); err != nil {
			t.Fatal(err)
		}
		stdout, _ := s.run(t, exitOK, "push", one, "acme/held", "1.0.0")
		contains(t, stdout, "It is open until it is released", "Release it: vagrant cloud version release acme/held 1.0.0")
		stdout, _ = s.run(t, exitOK, "push", arm, "acme/held", "1.0.0", "-o", "json")
		contains(t, stdout, `"held": true`, `"status": "open"`)
	})
	t.Run("architectures have Vagrant's names", func(t *testing.T) {
		s.run(t, exitOK, "push", one, "acme/names", "1.0.0", "--architecture", "x86_64")
		stdout, _ := s.run(t, exitOK, "push", one, "acme/names", "1.0.0", "--architecture", "amd64")
		contains(t, stdout, "Nothing was sent", "the build vagrant.libvirt.amd64")
	})
	t.Run("a provider that the box does not have is a warning", func(t *testing.T) {
		_, stderr := s.run(t, exitOK, "push", one, "acme/other", "--provider", "qemu")
		contains(t, stderr, "the box says of itself that it is for libvirt; Vagrant does not add it as one for qemu")
	})
}

// TestPushRefuses has no registry: nothing is sent when something is wrong with the box or the arguments.
func TestPushRefuses(t *testing.T) {
	s := &shelf{Server: &servertest.Server{URL: "http://127.0.0.1:1", AdminToken: "alm_none"}, dir: t.TempDir(), env: map[string]string{}}
	whole := packBox(t, libvirtBox, strings.Repeat("disk", 1000))
	for name, test := range map[string]struct {
		content []byte
		want    string
	}{
		"a box that is cut short":       {whole[:len(whole)-20], "is not a Vagrant box that can be used: it is broken or cut short"},
		"a box without metadata.json":   {packBox(t, "", "")[:0], "is not a Vagrant box that can be used: it is empty"},
		"a file that is something else": {[]byte("<html>"), "is not a Vagrant box that can be used: it is not a tar archive"},
	} {
		t.Run(name, func(t *testing.T) {
			_, stderr := s.run(t, exitUsage, "push", s.file(t, "x.box", test.content), "acme/tiny", "1.0.0")
			contains(t, stderr, test.want)
		})
	}
	t.Run("all mistakes of the arguments at once", func(t *testing.T) {
		_, stderr := s.run(t, exitUsage, "push", filepath.Join(s.dir, "gone.box"), "tiny", "1.x", "--channel", "latest", "--architecture", "a/b", "--metadata", "region.a=1")
		contains(t, stderr, "has 6 mistakes", "ARTIFACT: ", `VERSION: version "1.x"`, "--channel: ", "--architecture: ", "gone.box: no such file", "--metadata[")
	})
	t.Run("patterns with a box", func(t *testing.T) {
		_, stderr := s.run(t, exitUsage, "push", s.file(t, "whole.box", whole), "acme/tiny", "--exclude", "*.log")
		contains(t, stderr, "--exclude: is for a directory, and ")
	})
}
