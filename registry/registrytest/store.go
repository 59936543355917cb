package registrytest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// Database opens a store on one database. It is called again after the store before was closed, to
// see what was kept, and also while that one is open, as when two servers use one database. Where a database
// belongs to one store, it returns that one again, and the last Close closes it.
type Database func(t *testing.T) registry.Store

// TestStore checks that a store keeps the contract of [registry.Store]. newDatabase makes an empty
// database for each subtest; the suite closes the stores that it opens.
func TestStore(t *testing.T, newDatabase func(t *testing.T) Database) {
	groups := []struct {
		name  string
		tests []storeTest
	}{
		{"Store", transactionTests},
		{"Concurrency", concurrencyTests},
		{"Artifacts", artifactTests},
		{"ArtifactList", artifactListTests},
		{"Versions", versionTests},
		{"VersionList", versionListTests},
		{"Verifications", verificationTests},
		{"Attachments", attachmentTests},
		{"Answers", answerTests},
		{"Boxes", boxTests},
		{"BoxList", boxListTests},
		{"Deletions", deletionTests},
		{"Channels", channelTests},
		{"Uses", useTests},
		{"Events", eventTests},
		{"Tokens", tokenTests},
		{"Secrets", secretTests},
		{"Uploads", uploadTests},
		{"Links", linkTests},
		{"Runs", runTests},
		{"RunLogs", runLogTests},
	}
	for _, group := range groups {
		t.Run(group.name, func(t *testing.T) {
			for _, test := range group.tests {
				t.Run(test.outcome, func(t *testing.T) {
					f := &fixture{T: t, database: newDatabase(t), ctx: t.Context()}
					f.store = f.open()
					test.run(f)
				})
			}
		})
	}
}

type storeTest struct {
	outcome string
	run     func(f *fixture)
}

// fixture is one subtest with its store.
type fixture struct {
	*testing.T
	database Database
	store    registry.Store
	ctx      context.Context
}

// open opens one more store on the database.
func (f *fixture) open() registry.Store {
	f.Helper()
	s := &closeOnce{Store: f.database(f.T)}
	f.Cleanup(func() {
		if err := s.Close(); err != nil {
			f.Errorf("Close: %v", err)
		}
	})
	return s
}

// reopen closes the store and opens the database again.
func (f *fixture) reopen() {
	f.Helper()
	f.check(f.store.Close())
	f.store = f.open()
}

// closeOnce lets a test close a store that is closed at its end as well.
type closeOnce struct {
	registry.Store
	closed bool
}

func (s *closeOnce) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	return s.Store.Close()
}

// update runs fn in a transaction that must succeed.
func (f *fixture) update(fn func(tx registry.Tx) error) {
	f.Helper()
	f.check(f.store.Update(f.ctx, fn))
}

func (f *fixture) check(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// wantKind checks the kind of an error that must be an [*registry.Error].
func (f *fixture) wantKind(what string, err error, want registry.Kind) {
	f.Helper()
	var e *registry.Error
	if !errors.As(err, &e) || e.Kind != want {
		f.Errorf("%s: error = %v (kind %q); want kind %q", what, err, registry.KindOf(err), want)
	}
}

// equal compares what a store returned; nil and empty slices and maps are the same.
func (f *fixture) equal(what string, got, want any) {
	f.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		f.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// moment is a time with more precision than is kept, in another zone than is returned.
var moment = time.Date(2026, 3, 29, 1, 59, 58, 123456789, time.FixedZone("elsewhere", 5*3600+1800))

// kept is what a store returns for a time.
func kept(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

func after(d time.Duration) time.Time { return moment.Add(d) }

// hostile are texts that break careless statements.
const hostile = "'; DROP TABLE version; -- \" \\ % _ $1 ?1 :x \t\n <b>& 🚀 ünïcödé \u2028 {} []"

func digest(text string) registry.Digest { return registry.SecretDigest(text) }

// version returns a version of an artifact that is complete.
func version(name registry.ArtifactName, number int64) registry.Version {
	return registry.Version{
		Artifact:    name,
		VersionID:   versionID(number),
		Fingerprint: fmt.Sprintf("run-%d", number),
		Status:      registry.StatusComplete,
		CreatedAt:   kept(after(time.Duration(number) * time.Minute)),
		CreatedBy:   "ci",
	}
}

func versionID(number int64) registry.VersionID {
	return registry.VersionID{Number: number, Version: fmt.Sprintf("0.%d.0", number)}
}

// build returns a build with an image.
func build(component string, typ registry.Type) registry.Build {
	return registry.Build{
		Component: component,
		Type:      typ,
		Images:    []registry.Image{{Provider: "aws", Region: "eu-west-1", ID: "ami-" + component}},
		CreatedAt: kept(moment),
		CreatedBy: "ci",
	}
}

// everything is the visibility of a caller from whom nothing is hidden.
var everything = registry.Visibility{All: true}

// only is the visibility of a caller who sees some artifacts.
func only(names ...registry.ArtifactName) registry.Visibility {
	return registry.Visibility{Artifacts: names}
}

func (f *fixture) hasBlob(blob string, visible registry.Visibility) bool {
	f.Helper()
	found, err := f.store.BlobVisible(f.ctx, digest(blob), visible)
	f.check(err)
	return found
}

// create makes artifacts.
func (f *fixture) create(names ...registry.ArtifactName) {
	f.Helper()
	f.update(func(tx registry.Tx) error {
		for _, name := range names {
			if _, err := tx.LockArtifact(f.ctx, name, true, moment); err != nil {
				return err
			}
		}
		return nil
	})
}

// publish adds versions with builds and pending boxes to artifacts, which are made where they do not exist.
func (f *fixture) publish(versions ...registry.Version) {
	f.Helper()
	for _, v := range versions {
		f.update(func(tx registry.Tx) error { return publish(f.ctx, tx, v) })
	}
}

func publish(ctx context.Context, tx registry.Tx, v registry.Version) error {
	if _, err := tx.LockArtifact(ctx, v.Artifact, true, moment); err != nil {
		return err
	}
	if err := tx.InsertVersion(ctx, v, v.VersionID.Version); err != nil {
		return err
	}
	for _, b := range v.Builds {
		if err := tx.InsertBuild(ctx, v.Artifact, v.Number, b); err != nil {
			return err
		}
	}
	for _, p := range v.Pending {
		if err := tx.PutPending(ctx, v.Artifact, v.Number, p); err != nil {
			return err
		}
	}
	return nil
}
