package sqlstore_test

import (
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/internal/pgtest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/sqlstore"
)

func TestServersThatStartAtOnceMigrateOnce(t *testing.T) {
	dsn := pgtest.New(t)
	const servers = 4
	var wg sync.WaitGroup
	for range servers {
		wg.Go(func() {
			store, err := sqlstore.Open(t.Context(), dsn)
			if err != nil {
				t.Error(err)
				return
			}
			if err := store.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestADatabaseThatCannotBeWrittenIsUnavailable(t *testing.T) {
	dsn := pgtest.New(t)
	store := mustOpen(t, dsn)
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	exec(t, dsn, `ALTER DATABASE `+u.Path[1:]+` SET default_transaction_read_only = on`)
	if _, err := sqlstore.Open(t.Context(), dsn); registry.KindOf(err) != registry.Unavailable {
		t.Errorf("Open = %v; want an error of kind unavailable", err)
	}
	if err := store.Ping(t.Context()); err != nil {
		t.Errorf("Ping on a connection from before: %v", err)
	}
}

func TestAStoreConnectsAgainWhenItsConnectionsWereCut(t *testing.T) {
	dsn := pgtest.New(t)
	store := mustOpen(t, dsn)
	if err := store.Update(t.Context(), func(tx registry.Tx) error {
		_, err := tx.LockArtifact(t.Context(), "a/b", true, time.Now())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	exec(t, dsn, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
	for attempt := 0; ; attempt++ {
		_, err := store.Artifact(t.Context(), "a/b")
		if err == nil {
			return
		}
		if registry.KindOf(err) != registry.Unavailable || attempt == 50 {
			t.Fatalf("Artifact = %v; want errors of kind unavailable, and then none", err)
		}
	}
}

func TestConnectionsCutInAnUpdateAreUnavailable(t *testing.T) {
	dsn := pgtest.New(t)
	store := mustOpen(t, dsn)
	err := store.Update(t.Context(), func(tx registry.Tx) error {
		if _, err := tx.LockArtifact(t.Context(), "a/b", true, time.Now()); err != nil {
			return err
		}
		exec(t, dsn, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`)
		return tx.AppendEvent(t.Context(), registry.Event{})
	})
	if registry.KindOf(err) != registry.Unavailable {
		t.Errorf("Update = %v; want an error of kind unavailable", err)
	}
	if _, err := store.Artifact(t.Context(), "a/b"); registry.KindOf(err) != registry.NotFound && registry.KindOf(err) != registry.Unavailable {
		t.Errorf("Artifact = %v; want none", err)
	}
}
