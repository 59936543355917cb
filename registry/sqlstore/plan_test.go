package sqlstore

import (
	"context"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// pageScan matches the scan of what a statement has already narrowed down: a page of a list, the
// version that was asked for.
var pageScan = regexp.MustCompile(`^SCAN (v|art|p|box|c|m|u|of_application|of_target)( LEFT-JOIN)?$`)

func TestLookupsUseIndexes(t *testing.T) {
	store := openTemp(t)
	type statement struct {
		name   string
		query  string
		values []any
		// inOrder allows the scan of a whole index, for a list that is read in order up to its limit.
		inOrder string
	}
	var statements []statement
	for _, sel := range []registry.Selector{
		{Number: 1}, {Version: "1.0.0"}, {Fingerprint: "f"}, {Channel: "c"}, {Latest: true}, {Latest: true, Type: registry.AmazonImage},
	} {
		by, key := find(sel)
		statements = append(statements,
			statement{name: "version", query: by.version, values: []any{"a", "b", key}},
			statement{name: "answer", query: by.answer, values: []any{"a", "b", key, "amazon.image"}},
			statement{name: "answers", query: by.answers, values: []any{"a", "b", key}})
	}
	for _, q := range []registry.VersionQuery{
		{Limit: 1}, {Before: 5, Limit: 1}, {Type: registry.AmazonImage, OfferedAt: time.Now(), Before: 5, Limit: 1}, {Status: registry.StatusFailed, Type: registry.AmazonImage, Limit: 1},
	} {
		where, limit, values := versionConditions("a/b", q)
		statements = append(statements,
			statement{name: "versions", query: versionsQuery(where, limit), values: values},
			statement{name: "boxes", query: boxesQuery(where, limit), values: values},
			statement{name: "version ids", query: versionIDsQuery(where, limit), values: values})
	}
	for _, q := range []registry.ArtifactQuery{
		{Limit: 1, Visible: registry.Visibility{All: true}},
		{Limit: 1, Namespace: "a", After: "a/b"},
		{Limit: 1, After: "a/b", Type: registry.AmazonImage, Text: "x", Visible: registry.Visibility{Namespaces: []string{"a", "b"}, Artifacts: []registry.ArtifactName{"c/d"}}},
	} {
		where, limit, values := artifactConditions(q)
		statements = append(statements, statement{name: "artifacts", query: artifactsQuery(where, limit), values: values, inOrder: "SCAN a USING INDEX artifact_name"})
	}
	var uses, blob args
	uses.add("aws")
	uses.add("r")
	uses.add("i")
	some := registry.Visibility{Namespaces: []string{"a", "b"}, Artifacts: []registry.ArtifactName{"c/d"}}
	usesQuery := imageUsesQuery(visibleTo(&uses, some, "a", "a.public"), uses.add(1))
	blob.add("d")
	blobQuery := blobVisibleQuery(&blob, some)
	statements = append(statements,
		statement{name: "answer of a head", query: answerOfHead, values: []any{"a", "b", "amazon.image"}},
		statement{name: "set head", query: setHead, values: []any{1, 1, "amazon.image"}},
		statement{name: "artifact", query: artifactQuery, values: []any{"a", "b"}},
		statement{name: "channel", query: channelQuery, values: []any{"a", "b", "c", 1}},
		statement{name: "image uses", query: usesQuery, values: uses.values},
		statement{name: "blob visible", query: blobQuery, values: blob.values},
		statement{name: "folded name", query: foldedQuery, values: []any{"a", "b"}},
		statement{name: "revoked latest", query: revokedLatestQuery, values: []any{1, 1}},
		statement{name: "events", query: eventsQuery, values: []any{1, 1}},
		statement{name: "token by digest", query: tokenByDigestQuery, values: []any{"d"}},
		statement{name: "tokens", query: tokensQuery, inOrder: "SCAN token USING INDEX token_created"},
		statement{name: "upload", query: uploadQuery, values: []any{"u"}},
		statement{name: "uploads", query: uploadsBeforeQuery, values: []any{1, 1}},
		statement{name: "lock", query: lockQuery, values: []any{"a", "b"}},
		statement{name: "build", query: insertBuild, values: []any{1, 1, "", "", "", "", "", "", 1, "", false}},
		statement{name: "build by component", query: buildOrdinal, values: []any{1, 1, "c"}},
		statement{name: "pending box", query: putPending, values: []any{1, 1, "c", "", "", false, "", "", 1, ""}},
		statement{name: "delete pending box", query: deletePending, values: []any{1, 1, "c"}},
		statement{name: "default", query: setDefault, values: []any{1, 1, "c", true}},
		statement{name: "verification", query: setVerification, values: []any{1, 1, 1, "aws", "r", "i", "", ""}},
	)
	for _, q := range []registry.RunQuery{
		{Limit: 1}, {Limit: 1, Before: 5}, {Limit: 1, Before: 5, Status: registry.RunQueued}, {Limit: 1, Artifact: "a/b"}, {Limit: 1, Artifact: "a/b", Before: 5, Status: registry.RunQueued},
	} {
		query, values := runsQuery(q)
		statements = append(statements, statement{name: "runs", query: query, values: values, inOrder: "SCAN r USING INDEX sqlite_autoindex_run_1"})
	}
	statements = append(statements,
		statement{name: "links", query: linksQuery, values: []any{"a", "b"}},
		statement{name: "run", query: runQuery, values: []any{1}},
		statement{name: "next run", query: nextRunQuery, values: []any{"a", "b", "c", "d", 1}},
		statement{name: "log", query: runLogQuery, values: []any{1, 1, 1}},
	)
	for _, query := range forgetLinks {
		statements = append(statements, statement{name: "links and runs", query: query, values: []any{1}})
	}
	for _, query := range forgetMoves {
		statements = append(statements, statement{name: "history", query: query, values: []any{1, 1}})
	}
	for _, table := range append([]string{"version"}, versionTables...) {
		statements = append(statements, statement{name: "delete " + table, query: "DELETE FROM " + table + whereVersion, values: []any{1, 1}})
	}
	for _, s := range statements {
		for _, step := range plan(t, store, s.query, s.values) {
			if strings.HasPrefix(step, "SCAN ") && !pageScan.MatchString(step) && step != s.inOrder && step != "SCAN CONSTANT ROW" {
				t.Errorf("%s: the plan has %q\n%s", s.name, step, s.query)
			}
			if strings.Contains(step, "AUTOMATIC") {
				t.Errorf("%s: an index is missing: the plan has %q\n%s", s.name, step, s.query)
			}
		}
	}
}

func plan(t *testing.T, store *Store, query string, values []any) []string {
	t.Helper()
	var steps []string
	err := store.engine.read(t.Context(), func(q querier) error {
		return each(t.Context(), q, "EXPLAIN QUERY PLAN "+query, values, func(row row) error {
			var id, parent, unused int
			var step string
			err := row.Scan(&id, &parent, &unused, &step)
			steps = append(steps, step)
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return steps
}

func TestEveryConnectionHasItsPragmas(t *testing.T) {
	e := openTemp(t).engine.(*sqlite)
	common := map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000"} // 2 is FULL
	check := func(name string, pool *sessions, queryOnly string) {
		taken := make([]*session, cap(pool.idle))
		for i := range taken {
			s, err := pool.take(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			taken[i] = s
			for pragma, want := range common {
				checkPragma(t, s, name, pragma, want)
			}
			checkPragma(t, s, name, "query_only", queryOnly)
		}
		for _, s := range taken {
			pool.give(s)
		}
	}
	check("writer", e.writer, "0")
	check("reader", e.readers, "1")
}

func checkPragma(t *testing.T, s *session, connection, pragma, want string) {
	t.Helper()
	var got string
	if err := one(context.Background(), s, "PRAGMA "+pragma, nil, &got); err != nil || got != want {
		t.Errorf("%s: %s = %q, %v; want %q", connection, pragma, got, err, want)
	}
}

func TestASessionForgetsStatementsBeyondItsBound(t *testing.T) {
	store := openTemp(t)
	for n := range maxStatements + 10 {
		q := registry.ArtifactQuery{Limit: 1}
		for range n {
			q.Visible.Namespaces = append(q.Visible.Namespaces, "a")
		}
		if _, err := store.Artifacts(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	pool := store.engine.(*sqlite).readers
	for range cap(pool.idle) {
		s := <-pool.idle
		if s != nil && len(s.statements) > maxStatements {
			t.Errorf("a session keeps %d statements; want at most %d", len(s.statements), maxStatements)
		}
		pool.idle <- s
	}
}

func openTemp(t *testing.T) *Store {
	t.Helper()
	store, err := Open(t.Context(), filepath.Join(t.TempDir(), "almanac.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}
