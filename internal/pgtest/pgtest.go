// Package pgtest gives tests a database on a real PostgreSQL.
//
//	func TestMain(m *testing.M) { pgtest.Main(m) }
//
//	func TestStore(t *testing.T) {
//		store, err := sqlstore.Open(t.Context(), pgtest.New(t))
//
// The first call of [New] starts a server of the PostgreSQL that is installed on the machine: one for
// each test program, in a temporary directory, on a free port of the loopback interface. It ends
// with the test program, however that ends. The environment variable ALMANAC_TEST_POSTGRES, the URL
// of a superuser, names a running server to use instead.
package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const serverVariable = "ALMANAC_TEST_POSTGRES"

// shared is the server of this test program.
var shared struct {
	once sync.Once
	url  string // of a superuser
	err  error
	stop func()
}

// Main runs the tests of a package and stops the server that they started, if any. Call it in TestMain.
func Main(m *testing.M) {
	code := m.Run()
	if shared.stop != nil {
		shared.stop()
	}
	os.Exit(code)
}

// New returns the URL of an empty database, which is dropped when the test ends. It sorts text in the
// order of a language where the server can, as most people's databases do. Where PostgreSQL is not
// installed it skips the test, or fails it when CI=true.
func New(t testing.TB) string {
	t.Helper()
	shared.once.Do(func() {
		if shared.url = os.Getenv(serverVariable); shared.url == "" {
			shared.url, shared.stop, shared.err = start()
		}
	})
	if errors.Is(shared.err, errNotInstalled) {
		if os.Getenv("CI") == "true" {
			t.Fatal(shared.err)
		}
		t.Skip(shared.err)
	}
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	name := "almanac_test_" + strings.ToLower(rand.Text())
	if err := create(name); err != nil {
		t.Fatalf("create a test database: %v", err)
	}
	t.Cleanup(func() {
		if err := administer("DROP DATABASE " + name + " WITH (FORCE)"); err != nil {
			t.Errorf("drop the test database: %v", err)
		}
	})
	u, err := url.Parse(shared.url)
	if err != nil {
		t.Fatalf("%s is not a URL", serverVariable) // which may hold a password
	}
	u.Path = "/" + name
	return u.String()
}

func create(name string) error {
	base := "CREATE DATABASE " + name + " TEMPLATE template0 ENCODING 'UTF8'"
	err := administer(base + " LOCALE_PROVIDER icu ICU_LOCALE 'en-US' LOCALE 'C'")
	if _, refused := errors.AsType[*pgconn.PgError](err); refused { // before PostgreSQL 15, or made without ICU
		return administer(base)
	}
	return err
}

func administer(statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	conn, err := pgx.Connect(ctx, shared.url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, statement)
	return err
}

var errNotInstalled = errors.New("PostgreSQL is not installed; to run this test: apt-get install postgresql (or set " + serverVariable + ")")

// program finds a program of PostgreSQL. Debian keeps them out of the PATH, in a directory for each
// version; the newest wins.
func program(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, major := range debianVersions() {
		path := fmt.Sprintf("/usr/lib/postgresql/%d/bin/%s", major, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, nil
		}
	}
	return "", errNotInstalled
}
