package sqlstore

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// describe writes a text to an artifact, and description reads it.
func describe(t *testing.T, store *Store, text string) {
	t.Helper()
	err := store.Update(t.Context(), func(tx registry.Tx) error {
		if _, err := tx.LockArtifact(t.Context(), "a/b", true, time.Now()); err != nil {
			return err
		}
		return tx.PutArtifact(t.Context(), registry.Artifact{Name: "a/b", Description: text, UpdatedAt: time.Now()})
	})
	if err != nil {
		t.Error(err)
	}
}

func description(t *testing.T, store *Store) string {
	t.Helper()
	a, err := store.Artifact(t.Context(), "a/b")
	if err != nil {
		t.Error(err)
	}
	return a.Description
}

func TestViewsSeeEveryUpdateThatReturned(t *testing.T) {
	store := openTemp(t)
	var readers sync.WaitGroup
	for round := range 300 {
		want := fmt.Sprint(round)
		describe(t, store, want)
		for range 3 {
			readers.Go(func() {
				for range 3 {
					if got := description(t, store); got != want {
						t.Errorf("a read after update %s sees %q", want, got)
					}
				}
			})
		}
		readers.Wait()
	}
}

func TestViewsAreKeptWhileNothingChanges(t *testing.T) {
	store := openTemp(t)
	describe(t, store, "x")
	engine := store.engine.(*sqlite)
	views := func() (n int) {
		for range cap(engine.readers.idle) {
			s := <-engine.readers.idle
			if s != nil && s.view {
				n++
			}
			engine.readers.idle <- s
		}
		return n
	}
	for range 2 * cap(engine.readers.idle) {
		description(t, store)
	}
	if views() == 0 {
		t.Error("no view is kept after reads without a change between them")
	}
	describe(t, store, "y")
	if n := views(); n != 0 {
		t.Errorf("after a change %d views are kept; want 0", n)
	}
	// A read that goes on while somebody writes must not leave a view behind.
	for range 2 * cap(engine.readers.idle) {
		description(t, store)
	}
	err := engine.read(t.Context(), func(q querier) error {
		describe(t, store, "z")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := description(t, store); got != "z" {
		t.Errorf("after a change within a read: %q; want z", got)
	}
}

func TestViewsDoNotLetTheLogGrow(t *testing.T) {
	path := filepath.Join(t.TempDir(), "almanac.db")
	store, err := Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for round := range 1500 {
		describe(t, store, fmt.Sprintf("%01000d", round))
		for range 6 { // enough for every session to have one
			description(t, store)
		}
	}
	info, err := os.Stat(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	// SQLite begins the log anew after 1,000 pages of 4 KiB, unless a view is in its way.
	if info.Size() > 5<<20 {
		t.Errorf("the write-ahead log has %d bytes; want at most 5 MiB", info.Size())
	}
}

func TestASecondStoreOnAFileIsRefused(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "almanac.db")
	store, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link.db")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, same := range []string{path, "sqlite:" + path, link} {
		if _, err := Open(t.Context(), same); registry.KindOf(err) != registry.Conflict {
			t.Errorf("Open(%s) of an open file: %v; want a conflict", same, err)
		}
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := Open(t.Context(), path)
	if err != nil {
		t.Fatalf("after it was closed: %v", err)
	}
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
}
