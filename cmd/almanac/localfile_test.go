package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/archive"
)

// What a box says of itself wins over the flags, as it does in the post-processor.
func TestPublishTakesTheBoxAtItsWord(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "metadata.json"), []byte(`{"provider":"libvirt","architecture":"arm64"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "a.box")
	var packed, stderr bytes.Buffer
	if err := archive.Pack(t.Context(), &packed, dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, packed.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	c := publishCmd{Artifact: "cargomedia/base", Type: "vagrant.box", File: []string{path}, Architecture: "amd64", Provider: "virtualbox"}
	pub, files, err := c.publication(&app{stderr: &stderr, getenv: func(string) string { return "" }})
	if err != nil || len(files) != 1 {
		t.Fatalf("got %v, %v", files, err)
	}
	if b := pub.Build; b.Provider != "libvirt" || b.Architecture != "arm64" || b.Component != "manual.vagrant-libvirt-arm64" {
		t.Errorf("got %+v", b)
	}
	for _, want := range []string{"the provider is libvirt, as the box says of itself, and not virtualbox", "the architecture is arm64, as the box says of itself, and not amd64"} {
		if !strings.Contains(stderr.String(), want) {
			t.Errorf("told %q, want %q in it", &stderr, want)
		}
	}
}
