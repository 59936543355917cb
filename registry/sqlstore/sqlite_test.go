package sqlstore_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/sqlstore"
)

func TestOpenMakesAFileThatItsOwnerAloneCanRead(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no file modes")
	}
	dsn := sqliteDSN(t)
	store := mustOpen(t, dsn)
	if err := store.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dsn, dsn + "-wal", dsn + "-shm"} {
		info, err := os.Stat(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if got := info.Mode().Perm(); got != 0o600 {
			t.Errorf("mode of %s = %o; want 600", filepath.Base(path), got)
		}
	}
}

func TestOpenTakesPathsOfEveryForm(t *testing.T) {
	t.Chdir(t.TempDir())
	for dsn, path := range map[string]string{
		"plain.db":              "plain.db",
		"sqlite:prefixed.db":    "prefixed.db",
		"./a b?c=d%20e#f ü.db":  "./a b?c=d%20e#f ü.db",
		"sqlite:postgres:x.db":  "postgres:x.db",
		t.TempDir() + "/abs.db": "",
	} {
		store, err := sqlstore.Open(t.Context(), dsn)
		if err != nil {
			t.Errorf("Open(%q): %v", dsn, err)
			continue
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
		if path != "" {
			if _, err := os.Stat(path); err != nil {
				t.Errorf("Open(%q): %v", dsn, err)
			}
		}
	}
}

func TestOpenRefusesWhatIsNoDatabase(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("this is not a database\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		dsn  string
		kind registry.Kind
		text string
	}{
		{"", registry.Invalid, "has no name"},
		{"sqlite:", registry.Invalid, "has no name"},
		{":memory:", registry.Invalid, "forget"},
		{"mysql://user:secret@host/db", registry.Invalid, `"mysql" is unknown`},
		{"postgres://user:secret@host:port/db", registry.Invalid, "must be postgres://"},
		{"postgres://user:secret@127.0.0.1:1/db?connect_timeout=5", registry.Unavailable, "not available"},
		{filepath.Join(t.TempDir(), "no", "such", "dir.db"), registry.Unavailable, "no such file or directory"},
		{t.TempDir(), registry.Unavailable, "not available"},
		{text, registry.Internal, "not a database"},
	} {
		store, err := sqlstore.Open(t.Context(), c.dsn)
		if err == nil {
			t.Errorf("Open(%q) succeeded", c.dsn)
			_ = store.Close()
			continue
		}
		var e *registry.Error
		if !errors.As(err, &e) || e.Kind != c.kind || !strings.Contains(err.Error(), c.text) {
			t.Errorf("Open(%q) = %v (kind %q); want kind %q and %q", c.dsn, err, registry.KindOf(err), c.kind, c.text)
		}
		if strings.Contains(err.Error(), "secret") {
			t.Errorf("Open(%q) tells the password: %v", c.dsn, err)
		}
	}
}

func TestANewerDatabaseIsRefused(t *testing.T) {
	for _, engine := range engines {
		t.Run(engine.name, func(t *testing.T) {
			dsn := engine.dsn(t)
			store := mustOpen(t, dsn)
			if err := store.Close(); err != nil {
				t.Fatal(err)
			}
			exec(t, dsn, `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)`)
			_, err := sqlstore.Open(t.Context(), dsn)
			if registry.KindOf(err) != registry.Invalid || !strings.Contains(err.Error(), "newer almanac") {
				t.Errorf("Open = %v; want an error of kind invalid that speaks of a newer almanac", err)
			}
		})
	}
}

// exec runs a statement on a connection of its own.
func exec(t *testing.T, dsn, statement string) {
	t.Helper()
	driver := "sqlite"
	if strings.HasPrefix(dsn, "postgres:") {
		driver = "pgx"
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), statement)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
}

func TestAFileThatIsLockedByAnotherProcessIsUnavailable(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for five seconds")
	}
	dsn := sqliteDSN(t)
	store := mustOpen(t, dsn)
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.ExecContext(t.Context(), `BEGIN IMMEDIATE`); err != nil {
		t.Fatal(err)
	}
	if err := store.Ping(t.Context()); registry.KindOf(err) != registry.Unavailable {
		t.Errorf("Ping = %v; want an error of kind unavailable", err)
	}
	if _, err := store.Tokens(t.Context()); err != nil {
		t.Errorf("reading while another process writes: %v", err)
	}
	if _, err := conn.ExecContext(t.Context(), `ROLLBACK`); err != nil {
		t.Fatal(err)
	}
	if err := store.Ping(t.Context()); err != nil {
		t.Errorf("Ping after the lock is gone: %v", err)
	}
}

// TestTokensAreNeverStale looks a token up again and again while it is changed: what an Update wrote
// is seen by every lookup that begins after it.
func TestTokensAreNeverStale(t *testing.T) {
	store := mustOpen(t, sqliteDSN(t))
	ctx := t.Context()
	digest := registry.SecretDigest("secret")
	put := func(role registry.Role) {
		t.Helper()
		if err := store.Update(ctx, func(tx registry.Tx) error {
			return tx.PutToken(ctx, registry.Token{ID: "t", Role: role, Digest: digest, Scopes: []registry.Scope{registry.ScopeAll}})
		}); err != nil {
			t.Fatal(err)
		}
	}
	put(registry.RoleRead)
	done := make(chan struct{})
	var lookups sync.WaitGroup
	for range 4 {
		lookups.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if _, err := store.TokenByDigest(ctx, digest); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for i := range 200 {
		role := []registry.Role{registry.RoleAdmin, registry.RoleRead}[i%2]
		put(role)
		if got, err := store.TokenByDigest(ctx, digest); err != nil || got.Role != role {
			t.Errorf("change %d: %v, %v; want the role %s", i, got.Role, err, role)
			break
		}
	}
	close(done)
	lookups.Wait()
}
