package sqlstore_test

import (
	"database/sql"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/pressly/goose/v3"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/sqlstore"
)

// written is what the first release wrote for two versions and a deleted artifact. FILE and GRANT stand
// for digests.
const written = `
UPDATE counter SET value = 2 WHERE name IN ('artifact', 'event');
INSERT INTO artifact VALUES
	(1, 'cargo', 'App', 'An app', 'cargo/app an app', true, 2, '0.2.0', 1000000, 3000000, false),
	(2, 'cargo', 'gone', '', '', false, 7, '0.7.0', 1000000, 1000000, true);
INSERT INTO version VALUES
	(1, 1, '0.1.0', 'run-1', 'complete', '["amazon-ebs.app","file.app"]', '["production"]', '{"commit":"abc"}', 2000001, 'ci', 2000002, 2000003, 'ops', 'broken'),
	(1, 2, '0.2.0', 'run-2', 'open', '["amazon-ebs.app","file.app"]', '', '', 3000000, 'ci', NULL, NULL, '', '');
INSERT INTO build VALUES
	(1, 1, 1, 'amazon-ebs.app', 'amazon.image', '', 'arm64', '{"os":"linux"}', '{"packer":"1.15.0"}', 2000001, 'ci'),
	(1, 1, 2, 'file.app', 'archive', '', '', '', '', 2000002, 'ci'),
	(1, 2, 1, 'amazon-ebs.app', 'amazon.image', '', '', '', '', 3000000, 'ci');
INSERT INTO image VALUES
	(1, 1, 1, 'aws', 'eu-west-1', 'ami-1', 'ami-0', '{"k":"v"}'),
	(1, 1, 1, 'aws', 'us-east-1', 'ami-2', '', ''),
	(1, 2, 1, 'aws', 'eu-west-1', 'ami-3', '', '');
INSERT INTO file VALUES (1, 1, 2, 'app.tar.gz', 5, 'FILE');
INSERT INTO blob_grant VALUES ('cargo', 'App', 'GRANT');
INSERT INTO head VALUES (1, '', 1), (1, 'amazon.image', 1), (1, 'archive', 1);
INSERT INTO channel VALUES (1, 'production', 1, 2000002, 'ci');
INSERT INTO channel_move VALUES (1, 'production', 1, NULL, 1, 2000002, 'ci', 'first');
INSERT INTO upload VALUES ('u', 'cargo/App', 5, 'FILE', 3000000);
INSERT INTO event VALUES (1, 2000001, 'ci', 'build.publish', 'cargo/App', 1, '{"component":"amazon-ebs.app"}'), (2, 3000000, 'ci', 'build.publish', 'cargo/App', 2, '')`

func TestADatabaseOfTheFirstReleaseIsMigratedAndReadsTheSame(t *testing.T) {
	for _, engine := range engines {
		t.Run(engine.name, func(t *testing.T) {
			dsn := engine.dsn(t)
			makeFirstRelease(t, dsn)
			for range 2 { // the second finds nothing to migrate
				store, err := sqlstore.Open(t.Context(), dsn)
				if err != nil {
					t.Fatal(err)
				}
				checkFirstRelease(t, store)
				if err := store.Close(); err != nil {
					t.Fatal(err)
				}
			}
			checkMigratedCanGrow(t, mustOpen(t, dsn))
		})
	}
}

// makeFirstRelease makes a database as the program that knew the first migration alone left it.
func makeFirstRelease(t *testing.T, dsn string) {
	t.Helper()
	driver, dialect := "sqlite", goose.DialectSQLite3
	if strings.HasPrefix(dsn, "postgres:") {
		driver, dialect = "pgx", goose.DialectPostgres
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	run := func(statement string) {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	if driver == "pgx" {
		run(`CREATE DOMAIN ctext AS text COLLATE "C"`)
	}
	provider, err := goose.NewProvider(dialect, db, os.DirFS("migrations"), goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	digests := strings.NewReplacer("FILE", string(registry.SecretDigest("file")), "GRANT", string(registry.SecretDigest("grant")))
	for statement := range strings.SplitSeq(digests.Replace(written), ";\n") {
		run(statement)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// firstVersion is version 1 of what was written.
func firstVersion() registry.Version {
	at := func(micros int64) time.Time { return time.UnixMicro(micros).UTC() }
	completed := at(2000002)
	return registry.Version{
		Artifact: "cargo/App", VersionID: registry.VersionID{Number: 1, Version: "0.1.0"}, Fingerprint: "run-1", Status: registry.StatusComplete,
		Expect: []string{"amazon-ebs.app", "file.app"}, Requested: []string{"production"}, Metadata: registry.Metadata{"commit": "abc"},
		CreatedAt: at(2000001), CreatedBy: "ci", Completed: &completed, Revocation: &registry.Revocation{At: at(2000003), By: "ops", Reason: "broken"},
		Builds: []registry.Build{
			{
				Component: "amazon-ebs.app", Type: registry.AmazonImage, Architecture: "arm64",
				Metadata: registry.Metadata{"os": "linux"}, Provenance: registry.Metadata{"packer": "1.15.0"},
				Images: []registry.Image{
					{Provider: "aws", Region: "eu-west-1", ID: "ami-1", SourceID: "ami-0", Labels: registry.Metadata{"k": "v"}},
					{Provider: "aws", Region: "us-east-1", ID: "ami-2"},
				},
				CreatedAt: at(2000001), CreatedBy: "ci",
			},
			{
				Component: "file.app", Type: registry.Archive, Files: []registry.File{{Name: "app.tar.gz", Size: 5, SHA256: registry.SecretDigest("file")}},
				CreatedAt: completed, CreatedBy: "ci",
			},
		},
	}
}

func checkFirstRelease(t *testing.T, store registry.Store) {
	t.Helper()
	ctx := t.Context()
	want := firstVersion()
	for _, sel := range []registry.Selector{{Number: 1}, {Version: "0.1.0"}, {Fingerprint: "run-1"}, {Channel: "production"}, {Latest: true}, {Latest: true, Type: registry.Archive}} {
		got, err := store.Version(ctx, "cargo/App", sel)
		equal(t, got, want, err)
	}
	second, err := store.Version(ctx, "cargo/App", registry.Selector{Number: 2})
	if err != nil || second.Status != registry.StatusOpen || len(second.Builds) != 1 || len(second.Builds[0].Images) != 1 || second.Builds[0].Images[0].Verification != nil {
		t.Errorf("version 2 = %+v, %v; want it open with one image that nobody looked at", second, err)
	}
	// Before the revocation version 1 was offered, for its AMIs nobody looked at.
	offered, err := store.Versions(ctx, "cargo/App", registry.VersionQuery{Type: registry.AmazonImage, OfferedAt: time.UnixMicro(2000002), Limit: 10})
	if err != nil || len(offered) != 1 || offered[0].Number != 1 {
		t.Errorf("offered versions = %+v, %v; want number 1", offered, err)
	}
	artifacts, err := store.Artifacts(ctx, registry.ArtifactQuery{Visible: registry.Visibility{All: true}, Limit: 10})
	production := registry.Channel{Name: "production", VersionID: want.VersionID, MovedAt: *want.Completed, MovedBy: "ci"}
	equal(t, artifacts, []registry.Artifact{{
		Name: "cargo/App", Description: "An app", Public: true, Types: []registry.Type{registry.AmazonImage, registry.Archive}, Latest: &want.VersionID,
		Channels: []registry.Channel{production}, CreatedAt: time.UnixMicro(1000000).UTC(), UpdatedAt: time.UnixMicro(3000000).UTC(),
	}}, err)
	_, moves, err := store.Channel(ctx, "cargo/App", "production", 10)
	equal(t, moves, []registry.ChannelMove{{To: want.VersionID, At: *want.Completed, By: "ci", Reason: "first"}}, err)
	uses, err := store.ImageUses(ctx, "aws", "us-east-1", "ami-2", registry.Visibility{}, 10)
	equal(t, uses, []registry.ImageUse{{
		Artifact: "cargo/App", VersionID: want.VersionID, Component: "amazon-ebs.app", Type: registry.AmazonImage, Revocation: want.Revocation, Channels: []string{"production"},
	}}, err)
	for _, content := range []string{"file", "grant"} {
		visible, err := store.BlobVisible(ctx, registry.SecretDigest(content), registry.Visibility{Artifacts: []registry.ArtifactName{"cargo/App"}})
		equal(t, visible, true, err)
	}
	upload, err := store.Upload(ctx, "u")
	equal(t, upload, registry.Upload{ID: "u", Artifact: "cargo/App", Size: 5, SHA256: registry.SecretDigest("file"), CreatedAt: time.UnixMicro(3000000).UTC()}, err)
	events, err := store.Events(ctx, 0, 10)
	if err != nil || len(events) != 2 || events[0].Detail["component"] != "amazon-ebs.app" || events[1].Number != 2 {
		t.Errorf("events = %+v, %v; want the two that were written", events, err)
	}
}

// checkMigratedCanGrow writes what later releases added to a version of the first.
func checkMigratedCanGrow(t *testing.T, store registry.Store) {
	t.Helper()
	ctx := t.Context()
	want := firstVersion()
	build := &want.Builds[0]
	build.Images[0].Verification = &registry.Verification{Status: registry.ImageAvailable, At: time.UnixMicro(4000001).UTC(), Attributes: registry.Metadata{"name": "app"}}
	build.Attachments = []registry.Attachment{{File: registry.File{Name: "sbom.json", Size: 1, SHA256: registry.SecretDigest("sbom")}, Kind: registry.AttachmentSBOM, Format: "SPDX 2.3"}}
	build.Images = slices.Insert(build.Images, 0, registry.Image{Provider: "aws", Region: "ap-south-1", ID: "ami-4", Verification: &registry.Verification{Status: registry.ImagePending, At: time.UnixMicro(4000001).UTC()}})
	build.Default, want.Held, want.Description = true, true, "late words"
	want.Pending = []registry.PendingBox{{Component: "vagrant.box", Provider: "virtualbox", CreatedAt: time.UnixMicro(4000001).UTC(), CreatedBy: "ci"}}
	err := store.Update(ctx, func(tx registry.Tx) error {
		c, err := tx.LockArtifact(ctx, "cargo/App", false, time.UnixMicro(4000000))
		if err != nil || c != (registry.Counters{LastNumber: 2, Highest: "0.2.0"}) {
			t.Errorf("LockArtifact = %+v, %v; want the counters that were written", c, err)
		}
		return errors.Join(
			tx.InsertImages(ctx, "cargo/App", 1, build.Component, build.Images[:1]),
			tx.SetVerifications(ctx, "cargo/App", 1, build.Component, build.Images[1:2]),
			tx.InsertAttachments(ctx, "cargo/App", 1, build.Component, build.Attachments),
			tx.SetDefault(ctx, "cargo/App", 1, build.Component, true),
			tx.PutPending(ctx, "cargo/App", 1, want.Pending[0]),
			tx.UpdateVersion(ctx, want),
			tx.DeleteVersion(ctx, "cargo/App", 2),
		)
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := store.Version(ctx, "cargo/App", registry.Selector{Number: 1})
	equal(t, got, want, err)
	err = store.Update(ctx, func(tx registry.Tx) error {
		if c, err := tx.LockArtifact(ctx, "cargo/GONE", true, time.UnixMicro(5000000)); err != nil || c.LastNumber != 7 {
			t.Errorf("LockArtifact of a deleted artifact = %+v, %v; want it to continue from 7", c, err)
		}
		if err := tx.PutLink(ctx, registry.Link{Application: "cargo/App", Target: "cargo/GONE", CreatedAt: time.UnixMicro(5000000)}); err != nil {
			t.Error(err)
		}
		if id, err := tx.AddRun(ctx, registry.Run{Application: "cargo/App", From: want.VersionID, Target: "cargo/GONE", RequestedAt: time.UnixMicro(5000000)}); err != nil || id != 1 {
			t.Errorf("AddRun = %d, %v; want it to be the first", id, err)
		}
		return tx.AppendEvent(ctx, registry.Event{})
	})
	if err != nil {
		t.Fatal(err)
	}
	events, err := store.Events(ctx, 2, 10)
	if err != nil || len(events) != 1 || events[0].ID != 3 {
		t.Errorf("new events = %+v, %v; want one with the ID 3", events, err)
	}
}

func equal(t *testing.T, got, want any, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
		return
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
