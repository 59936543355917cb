package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRunWritesTheConfiguration(t *testing.T) {
	dir := t.TempDir()
	var out strings.Builder
	if err := run(t.Context(), []string{dir}, &out); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "terraform.rc")
	if out.String() != path+"\n" {
		t.Errorf("it printed %q, want %q", out.String(), path)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(content), `path = "`)
	mirror, _, _ := strings.Cut(rest, `"`)
	found, err := filepath.Glob(filepath.Join(filepath.FromSlash(mirror), "registry.terraform.io", "hashicorp", "aws", "*", "*", "terraform-provider-aws_v*"))
	if err != nil || len(found) != 2 {
		t.Errorf("the mirror has %v, %v:\n%s", found, err, content)
	}
}

func TestRunWantsADirectory(t *testing.T) {
	if err := run(t.Context(), nil, &strings.Builder{}); err == nil || !strings.Contains(err.Error(), "usage") {
		t.Errorf("got %v", err)
	}
	if err := run(t.Context(), []string{filepath.Join(t.TempDir(), "missing")}, &strings.Builder{}); err == nil {
		t.Error("it wrote into a directory that does not exist")
	}
}
