package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/blob"
	"github.com/cargomedia/packer-plugin-almanac/registry/sqlstore"
)

func TestOpenData(t *testing.T) {
	t.Run("a name with a bracket is a name", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "a[b")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		left, other := filepath.Join(dir, ".admin.token.123.tmp"), filepath.Join(dir, "admin.token")
		for _, name := range []string{left, other} {
			if err := os.WriteFile(name, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		data, err := openData(dir)
		if err != nil {
			t.Fatal(err)
		}
		_ = data.Close()
		if _, err := os.Stat(left); err == nil {
			t.Error("what a crash left is still there")
		}
		if _, err := os.Stat(other); err != nil {
			t.Error(err)
		}
	})
	t.Run("of two first starts at once one gets it", func(t *testing.T) {
		// The race of the two is for the time between a look and the making of the directory.
		dir := filepath.Join(t.TempDir(), "data")
		for range 2 {
			if err := makeData(dir); err != nil {
				t.Fatal(err)
			}
		}
		first, err := openData(dir)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := openData(dir); registry.KindOf(err) != registry.Conflict {
			t.Errorf("the second: %v", err)
		}
		_ = first.Close()
	})
	t.Run("a file is no directory", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openData(file); registry.KindOf(err) != registry.Invalid {
			t.Errorf("got %v", err)
		}
	})
}

// TestEnsureAdmin cuts the first start at the place between file and store.
func TestEnsureAdmin(t *testing.T) {
	dir := t.TempDir()
	data, err := openData(filepath.Join(dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = data.Close() })
	store, err := sqlstore.Open(t.Context(), data.path("almanac.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	blobs, err := blob.OpenDisk(data.dir)
	if err != nil {
		t.Fatal(err)
	}
	service := registry.NewService(store, blobs)
	t.Run("a store that fails leaves the file for the next start", func(t *testing.T) {
		if _, err := ensureAdmin(t.Context(), data, brokenStore{store}, registry.NewService(brokenStore{store}, blobs)); err == nil {
			t.Fatal("no error")
		}
	})
	first, err := os.ReadFile(data.path(adminFile))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("the next start goes on with the file", func(t *testing.T) {
		path, err := ensureAdmin(t.Context(), data, store, service)
		if err != nil || path != data.path(adminFile) {
			t.Fatalf("got %q, %v", path, err)
		}
		if _, err := service.Authenticate(t.Context(), strings.TrimSpace(string(first))); err != nil {
			t.Errorf("the secret of the file is not known: %v", err)
		}
	})
	t.Run("later starts do nothing", func(t *testing.T) {
		if err := os.Remove(data.path(adminFile)); err != nil {
			t.Fatal(err)
		}
		if path, err := ensureAdmin(t.Context(), data, store, service); err != nil || path != "" {
			t.Errorf("got %q, %v", path, err)
		}
		if _, err := os.Stat(data.path(adminFile)); err == nil {
			t.Error("it made a file")
		}
	})
}

// brokenStore loses its disk when it is written.
type brokenStore struct{ registry.Store }

func (brokenStore) Update(context.Context, func(registry.Tx) error) error {
	return registry.Errorf(registry.Unavailable, "the disk is gone")
}
