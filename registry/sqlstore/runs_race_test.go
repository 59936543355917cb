package sqlstore_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/pgtest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/blob"
	"github.com/cargomedia/packer-plugin-almanac/registry/sqlstore"
)

// racer is one of those who work on the same artifacts at once, through a server of its own.
type racer struct {
	*registry.Service
	t    *testing.T
	id   int
	file registry.File
}

// mayFail takes what others can cause: they ended the link, or have the run.
func (r racer) mayFail(what string, err error) {
	switch registry.KindOf(err) {
	case registry.Conflict, registry.NotFound:
	default:
		if err != nil {
			r.t.Errorf("%s: %v", what, err)
		}
	}
}

// turn does everything once that changes links and runs.
func (r racer) turn(n int, application, target string) {
	ctx := registry.WithPrincipal(r.t.Context(), registry.Principal{TokenID: "a", Name: "a", Role: registry.RoleAdmin, Scopes: []registry.Scope{registry.ScopeAll}})
	_, err := r.Link(ctx, application, target)
	r.mayFail("link", err)
	_, err = r.Publish(ctx, application, registry.Publication{
		Fingerprint: fmt.Sprintf("push-%d-%d", r.id, n), Build: registry.Build{Component: "application", Type: registry.Archive, Files: []registry.File{r.file}},
	})
	r.mayFail("push", err)
	claim, err := r.ClaimRun(ctx, registry.ClaimRequest{Application: application, Target: target, Runner: fmt.Sprint(r.id)})
	r.mayFail("claim", err)
	if claim.Run != nil {
		id := claim.Run.ID
		_, err = r.AppendRunLog(ctx, id, registry.RunLogPart{Lease: claim.Lease, Offset: claim.Run.LogSize, Text: "text"})
		r.mayFail("log", err)
		_, err = r.RenewRun(ctx, id, claim.Lease, 60)
		r.mayFail("renew", err)
		_, err = r.FinishRun(ctx, id, registry.RunResult{Lease: claim.Lease, Failed: true, Message: "no"})
		r.mayFail("finish", err)
		_, err = r.RepeatRun(ctx, id)
		r.mayFail("repeat", err)
	}
	if n%4 == 3 {
		r.mayFail("unlink", r.Unlink(ctx, application, target))
	}
}

// Links in a circle are where servers could wait for each other.
func TestServersChangeLinksAndRunsAtOnce(t *testing.T) {
	dsn := pgtest.New(t)
	blobs, err := blob.OpenDisk(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	servers := []*registry.Service{registry.NewService(mustOpen(t, dsn), blobs), registry.NewService(mustOpen(t, dsn), blobs)}
	names := []string{"a/one", "a/two", "a/three"}
	file := committed(t, servers[0], names, "content")
	const racers, turns = 6, 12
	var wg sync.WaitGroup
	for id := range racers {
		wg.Go(func() {
			r := racer{servers[id%len(servers)], t, id, file}
			for n := range turns {
				r.turn(n, names[(id+n)%3], names[(id+n+1+n%2)%3])
			}
		})
	}
	wg.Wait()
	wantSoundRuns(t, mustOpen(t, dsn))
}

// A log part locks the target of its run, and the deletion of the application does not.
func TestAnApplicationIsDeletedWhileItsRunWritesALog(t *testing.T) {
	dsn := pgtest.New(t)
	blobs, err := blob.OpenDisk(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	runner, owner := registry.NewService(mustOpen(t, dsn), blobs), registry.NewService(mustOpen(t, dsn), blobs)
	ctx := registry.WithPrincipal(t.Context(), registry.Principal{TokenID: "a", Name: "a", Role: registry.RoleAdmin, Scopes: []registry.Scope{registry.ScopeAll}})
	const application, target, rounds, parts = "a/app", "a/image", 20, 20
	for round := range rounds {
		r := racer{runner, t, round, committed(t, runner, []string{application}, "content")}
		r.mayFail("link", errorOf(r.Link(ctx, application, target)))
		r.mayFail("push", errorOf(r.Publish(ctx, application, registry.Publication{
			Fingerprint: fmt.Sprint("push-", round), Build: registry.Build{Component: "application", Type: registry.Archive, Files: []registry.File{r.file}},
		})))
		claim, err := r.ClaimRun(ctx, registry.ClaimRequest{Application: application, Target: target, Runner: "a"})
		if err != nil || claim.Run == nil {
			t.Fatalf("claimed %+v, %v", claim.Run, err)
		}
		started := make(chan struct{})
		var wg sync.WaitGroup
		wg.Go(func() {
			for n := range int64(parts) {
				if n == parts/4 {
					close(started)
				}
				r.mayFail("log", errorOf(r.AppendRunLog(ctx, claim.Run.ID, registry.RunLogPart{Lease: claim.Lease, Offset: 4 * n, Text: "text"})))
			}
		})
		<-started
		if err := owner.DeleteArtifact(ctx, application); err != nil {
			t.Errorf("delete: %v", err)
		}
		wg.Wait()
	}
}

func errorOf[T any](_ T, err error) error { return err }

// committed uploads content to artifacts.
func committed(t *testing.T, s *registry.Service, artifacts []string, content string) registry.File {
	t.Helper()
	ctx := registry.WithPrincipal(t.Context(), registry.Principal{TokenID: "a", Name: "a", Role: registry.RoleAdmin, Scopes: []registry.Scope{registry.ScopeAll}})
	sum := sha256.Sum256([]byte(content))
	file := registry.File{Name: "file", Size: int64(len(content)), SHA256: registry.Digest(hex.EncodeToString(sum[:]))}
	for _, artifact := range artifacts {
		status, err := s.BeginUpload(ctx, registry.UploadRequest{Artifact: artifact, Size: file.Size, SHA256: string(file.SHA256)})
		if err != nil {
			t.Fatal(err)
		}
		if status.Done {
			continue
		}
		if _, err := s.AppendUpload(ctx, status.ID, 0, strings.NewReader(content)); err != nil {
			t.Fatal(err)
		}
		if _, err := s.CommitUpload(ctx, status.ID); err != nil {
			t.Fatal(err)
		}
	}
	return file
}

// wantSoundRuns holds all runs against what may be in a store whenever nobody writes.
func wantSoundRuns(t *testing.T, store *sqlstore.Store) {
	t.Helper()
	links, err := store.Links(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	linked := map[string]bool{}
	for _, l := range links {
		linked[string(l.Application+l.Target)] = true
	}
	runs, err := store.Runs(t.Context(), registry.RunQuery{Limit: 10_000})
	if err != nil || len(runs) == 0 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	asked := map[string]bool{}
	for _, r := range runs {
		by := fmt.Sprint(r.Application, r.From.Number, r.Target)
		if asked[by] {
			t.Errorf("run %d is asked for twice", r.ID)
		}
		asked[by] = true
		if r.Status == registry.RunQueued && !linked[string(r.Application+r.Target)] {
			t.Errorf("run %d waits, and there is no link", r.ID)
		}
		text, err := store.RunLog(t.Context(), r.ID, 0, 1<<20)
		if err != nil || int64(len(text)) != r.LogSize {
			t.Errorf("run %d has a log of %d bytes, and says %d; %v", r.ID, len(text), r.LogSize, err)
		}
	}
}
