package registry_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/internal/pgtest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/blob"
	"github.com/cargomedia/packer-plugin-almanac/registry/sqlstore"
)

// world is a service over real stores, with a clock that tests can set.
type world struct {
	*registry.Service
	t     *testing.T
	clock time.Time
}

func TestMain(m *testing.M) { pgtest.Main(m) }

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOn(t, filepath.Join(t.TempDir(), "almanac.db"))
}

// onBothEngines runs a test over SQLite and over PostgreSQL, where transactions do run side by side.
func onBothEngines(t *testing.T, test func(t *testing.T, w *world)) {
	t.Run("SQLite", func(t *testing.T) { test(t, newWorld(t)) })
	t.Run("PostgreSQL", func(t *testing.T) { test(t, newWorldOn(t, pgtest.New(t))) })
}

func newWorldOn(t *testing.T, dsn string) *world {
	t.Helper()
	return newWorldOver(t, dsn, func(b registry.BlobStore) registry.BlobStore { return b })
}

// newWorldWith is newWorld over a blob store that is wrapped.
func newWorldWith(t *testing.T, wrap func(registry.BlobStore) registry.BlobStore) *world {
	t.Helper()
	return newWorldOver(t, filepath.Join(t.TempDir(), "almanac.db"), wrap)
}

func newWorldOver(t *testing.T, dsn string, wrap func(registry.BlobStore) registry.BlobStore) *world {
	t.Helper()
	store, err := sqlstore.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	blobs, err := blob.OpenDisk(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, clock: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	w.Service = registry.NewService(store, wrap(blobs), registry.WithClock(func() time.Time { return w.clock }))
	return w
}

// as is a context in which a caller with a role and scopes acts.
func as(t *testing.T, role registry.Role, scopes ...registry.Scope) context.Context {
	t.Helper()
	return registry.WithPrincipal(t.Context(), registry.Principal{TokenID: string(role), Name: string(role) + "-token", Role: role, Scopes: scopes})
}

func admin(t *testing.T) context.Context { return as(t, registry.RoleAdmin, registry.ScopeAll) }

// amis is a publication of an AMI in some regions.
func amis(fingerprint, component string, regions ...string) registry.Publication {
	pub := registry.Publication{Fingerprint: fingerprint, Build: registry.Build{Component: component, Type: "aws.ami"}}
	for i, region := range regions {
		pub.Build.Images = append(pub.Build.Images, registry.Image{Provider: "aws", Region: region, ID: fmt.Sprintf("ami-%s%d", strings.Map(alnum, fingerprint+component), i)})
	}
	return pub
}

func alnum(r rune) rune {
	if strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789", r) {
		return r
	}
	return -1
}

func (w *world) publish(ctx context.Context, name string, pub registry.Publication) registry.Receipt {
	w.t.Helper()
	receipt, err := w.Publish(ctx, name, pub)
	if err != nil {
		w.t.Fatal(err)
	}
	return receipt
}

func (w *world) upload(ctx context.Context, artifact, content string) registry.File {
	w.t.Helper()
	sum := sha256.Sum256([]byte(content))
	status, err := w.BeginUpload(ctx, registry.UploadRequest{Artifact: artifact, Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:])})
	if err != nil {
		w.t.Fatal(err)
	}
	if !status.Done {
		if _, err := w.AppendUpload(ctx, status.ID, 0, strings.NewReader(content)); err != nil {
			w.t.Fatal(err)
		}
		if status, err = w.CommitUpload(ctx, status.ID); err != nil {
			w.t.Fatal(err)
		}
	}
	return registry.File{Name: "file", Size: status.Size, SHA256: status.SHA256}
}

// wantError fails unless err is of a kind and its text has all the words.
func wantError(t *testing.T, err error, kind registry.Kind, words ...string) {
	t.Helper()
	if registry.KindOf(err) != kind {
		t.Fatalf("got error %v of kind %q, want kind %q", err, registry.KindOf(err), kind)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q does not say %q", err, word)
		}
	}
}

func (failingReader) Read([]byte) (int, error) { return 0, errors.New("connection reset") }
