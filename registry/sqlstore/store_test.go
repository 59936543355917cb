package sqlstore_test

import (
	"path/filepath"
	"sync"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/pgtest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/registrytest"
	"github.com/cargomedia/packer-plugin-almanac/registry/sqlstore"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// engines are the databases that every test runs on; each call of dsn is an empty one.
var engines = []struct {
	name string
	dsn  func(t testing.TB) string
}{
	{"SQLite", sqliteDSN},
	{"PostgreSQL", func(t testing.TB) string { return pgtest.New(t) }},
}

func sqliteDSN(t testing.TB) string { return filepath.Join(t.TempDir(), "almanac.db") }

func TestStore(t *testing.T) {
	for _, engine := range engines {
		t.Run(engine.name, func(t *testing.T) {
			registrytest.TestStore(t, func(t *testing.T) registrytest.Database {
				dsn := engine.dsn(t)
				if engine.name == "SQLite" {
					return (&sharedFile{dsn: dsn}).open
				}
				return func(t *testing.T) registry.Store { return mustOpen(t, dsn) }
			})
		})
	}
}

// sharedFile is a SQLite file, which belongs to one store: whoever opens it while it is open gets that one.
type sharedFile struct {
	dsn   string
	mu    sync.Mutex
	store *sqlstore.Store
	users int
}

func (f *sharedFile) open(t *testing.T) registry.Store {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.users == 0 {
		f.store = mustOpen(t, f.dsn)
	}
	f.users++
	return &fileUser{Store: f.store, file: f}
}

type fileUser struct {
	*sqlstore.Store
	file *sharedFile
	once sync.Once
}

func (u *fileUser) Close() (err error) {
	u.once.Do(func() {
		u.file.mu.Lock()
		defer u.file.mu.Unlock()
		if u.file.users--; u.file.users == 0 {
			err = u.Store.Close()
		}
	})
	return err
}

func mustOpen(t testing.TB, dsn string) *sqlstore.Store {
	t.Helper()
	store, err := sqlstore.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return store
}
