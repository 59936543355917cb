package registry_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// ask looks for work on the link as a runner does.
func (w *world) ask(ctx context.Context, runner string) registry.Claim {
	w.t.Helper()
	claim, err := w.ClaimRun(ctx, registry.ClaimRequest{Application: app, Target: image, Runner: runner})
	if err != nil {
		w.t.Fatal(err)
	}
	return claim
}

// claim takes a run, which must be there.
func (w *world) claim(ctx context.Context, runner string) registry.Claim {
	w.t.Helper()
	claim := w.ask(ctx, runner)
	if claim.Run == nil || claim.Lease == "" {
		w.t.Fatalf("there is no run to take: %+v", claim)
	}
	return claim
}

// wantIdle expects that there is nothing to do.
func (w *world) wantIdle(ctx context.Context) {
	w.t.Helper()
	if claim := w.ask(ctx, "idle"); claim != (registry.Claim{}) {
		w.t.Errorf("there is something to do: %+v", claim)
	}
}

func (w *world) finish(ctx context.Context, claim registry.Claim, result registry.RunResult) registry.Run {
	w.t.Helper()
	result.Lease = claim.Lease
	r, err := w.FinishRun(ctx, claim.Run.ID, result)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// wantEnded compares how a run ended, in what was returned and in what is recorded.
func (w *world) wantEnded(ctx context.Context, got registry.Run, status registry.RunStatus, result *registry.VersionID, words ...string) {
	w.t.Helper()
	if diff := cmp.Diff(got, w.run(ctx, got.ID)); diff != "" {
		w.t.Errorf("what is recorded differs from what was returned: %s", diff)
	}
	if got.Status != status || got.FinishedAt == nil || !got.FinishedAt.Equal(w.clock) || got.LeaseUntil != nil {
		w.t.Errorf("run = %+v; want it %s now", got, status)
	}
	if diff := cmp.Diff(result, got.Result); diff != "" {
		w.t.Errorf("result: %s", diff)
	}
	for _, word := range words {
		if !strings.Contains(got.Message, word) {
			w.t.Errorf("message %q does not say %q", got.Message, word)
		}
	}
	if len(words) == 0 && got.Message != "" {
		w.t.Errorf("message = %q", got.Message)
	}
}

// one is a world with one run that waits.
func one(t *testing.T) (*world, context.Context) {
	t.Helper()
	w, ctx := linked(t)
	w.push(ctx, app, "one")
	return w, ctx
}

func TestARunnerGetsTheOldestRunOfItsLink(t *testing.T) {
	w, ctx := linked(t)
	w.link(ctx, app, "acme/disk")
	w.link(ctx, "acme/other", image)
	w.wantIdle(ctx)
	w.push(ctx, "acme/other", "one")
	w.push(ctx, app, "one")
	w.push(ctx, app, "two")
	runner := as(t, registry.RolePublish, image, app)
	for _, version := range []string{"0.1.0", "0.2.0"} {
		w.clock = w.clock.Add(time.Second)
		waiting := w.clock
		claim := w.claim(runner, "builder")
		until := waiting.Add(time.Minute)
		got := *claim.Run
		if got.Lease != registry.SecretDigest(claim.Lease) {
			t.Error("the lease is not kept as its digest")
		}
		if got.From.Version != version || got.Status != registry.RunRunning || got.Runner != "builder" || got.Attempts != 1 ||
			!got.StartedAt.Equal(waiting) || !got.LeaseUntil.Equal(until) {
			t.Errorf("%+v", got)
		}
		if diff := cmp.Diff(got, w.run(ctx, got.ID)); diff != "" {
			t.Error(diff)
		}
	}
	w.wantIdle(ctx)
	if diff := cmp.Diff(registry.Event{At: w.clock, Actor: "publish-token", Action: registry.ActionRunStart, Artifact: image, Detail: registry.Metadata{
		"run": "4", "application": app, "application_version": "0.2.0", "runner": "builder",
	}}, w.eventsOf(ctx, registry.ActionRunStart)[1]); diff != "" {
		t.Error(diff)
	}
}

func TestClaimsThatAreRefused(t *testing.T) {
	w, ctx := one(t)
	ask := func(ctx context.Context, application, target string) error {
		_, err := w.ClaimRun(ctx, registry.ClaimRequest{Application: application, Target: target, Runner: "builder"})
		return err
	}
	_, err := w.ClaimRun(ctx, registry.ClaimRequest{Application: "a", Target: "b", LeaseSeconds: 4})
	wantError(t, err, registry.Invalid, "application:", "target:", "runner: is empty", "lease_seconds: 4 must be 5 to 3600")
	_, err = w.ClaimRun(ctx, registry.ClaimRequest{Application: app, Target: image, Runner: "a\nb", LeaseSeconds: 3601})
	wantError(t, err, registry.Invalid, "runner:", "lease_seconds: 3601")
	wantError(t, ask(t.Context(), app, image), registry.Unauthorized)
	wantError(t, ask(as(t, registry.RoleRead, "*"), app, image), registry.Forbidden, "publish")
	wantError(t, ask(as(t, registry.RolePublish, app), app, image), registry.Forbidden, image)
	wantError(t, ask(as(t, registry.RolePublish, image), app, image), registry.NotFound, app+" does not exist, or this token may not read it")
	wantError(t, ask(ctx, image, app), registry.NotFound, "almanac link "+image+" "+app)
	wantError(t, ask(ctx, app, "no/such"), registry.NotFound, app+" is not linked to no/such", "almanac link "+app+" no/such")
	wantError(t, ask(ctx, "no/such", image), registry.NotFound, "not linked")
	w.wantRuns(ctx, "1 queued acme/app 0.1.0 > acme/app-image")
}

func TestOfManyRunnersOneGetsARun(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		ctx := admin(t)
		w.link(ctx, app, image)
		const runs, runners = 3, 8
		for n := range runs {
			w.push(ctx, app, fmt.Sprint(n))
		}
		claims := make([]registry.Claim, runners)
		var wg sync.WaitGroup
		for i := range claims {
			wg.Go(func() {
				var err error
				if claims[i], err = w.ClaimRun(ctx, registry.ClaimRequest{Application: app, Target: image, Runner: fmt.Sprint("builder ", i)}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		took := map[int64]string{}
		for i, claim := range claims {
			if claim.Run == nil {
				continue
			}
			if other := took[claim.Run.ID]; other != "" {
				t.Errorf("%s and builder %d have run %d", other, i, claim.Run.ID)
			}
			took[claim.Run.ID] = fmt.Sprint("builder ", i)
		}
		if len(took) != runs {
			t.Errorf("the runs that were taken: %v", took)
		}
		for id, runner := range took {
			if r := w.run(ctx, id); r.Runner != runner || r.Attempts != 1 {
				t.Errorf("%+v; want it with %s", r, runner)
			}
		}
	})
}

func TestARunOfARunnerThatFellSilentIsTakenOver(t *testing.T) {
	w, ctx := one(t)
	first := w.claim(ctx, "first")
	w.appendLog(ctx, first, 0, "hello\n")
	w.clock = w.clock.Add(50 * time.Second)
	if r, err := w.RenewRun(ctx, 1, first.Lease, 30); err != nil || !r.LeaseUntil.Equal(w.clock.Add(30*time.Second)) {
		t.Fatalf("%+v, %v", r, err)
	}
	w.clock = w.clock.Add(30 * time.Second)
	w.wantIdle(ctx)
	w.clock = w.clock.Add(time.Microsecond)

	if r, err := w.RenewRun(ctx, 1, first.Lease, 5); err != nil || !r.LeaseUntil.Equal(w.clock.Add(5*time.Second)) {
		t.Errorf("a run that nobody has taken over cannot be renewed: %+v, %v", r, err)
	}
	w.wantIdle(ctx)
	w.clock = w.clock.Add(6 * time.Second)
	second := w.claim(ctx, "second")
	if r := second.Run; r.ID != 1 || r.Fingerprint != "almanac-run-1" || r.Attempts != 2 || r.Runner != "second" || r.LogSize != 6 || second.Lease == first.Lease || !r.StartedAt.Equal(w.clock) {
		t.Errorf("%+v", r)
	}
	lost := "run 1 is with another runner by now: second"
	before := w.run(ctx, 1)
	_, err := w.RenewRun(ctx, 1, first.Lease, 60)
	wantError(t, err, registry.Conflict, lost)
	_, err = w.AppendRunLog(ctx, 1, registry.RunLogPart{Lease: first.Lease, Offset: 6, Text: "x"})
	wantError(t, err, registry.Conflict, lost)
	for _, lease := range []string{first.Lease, "", "x"} {
		_, err = w.FinishRun(ctx, 1, registry.RunResult{Lease: lease})
		wantError(t, err, registry.Conflict, lost)
	}
	if diff := cmp.Diff(before, w.run(ctx, 1)); diff != "" {
		t.Error(diff)
	}
}

func TestATakeoverDeletesWhatWasLeftOpen(t *testing.T) {
	w, ctx := one(t)
	w.claim(ctx, "first")
	partly := amis("almanac-run-1", "amazon-ebs.app", "us-east-1")
	partly.Expect = []string{"amazon-ebs.app", "amazon-ebs.other"}
	w.publish(ctx, image, partly)
	w.clock = w.clock.Add(time.Hour)
	second := w.claim(as(t, registry.RolePublish, "acme/*"), "second")
	_, err := w.Version(ctx, image, "almanac-run-1")
	wantError(t, err, registry.NotFound)
	if diff := cmp.Diff([]registry.Event{
		{At: w.clock, Actor: "publish-token", Action: registry.ActionVersionDelete, Artifact: image, Number: 1, Detail: registry.Metadata{"version": "0.1.0", "run": "1"}},
	}, w.eventsOf(ctx, registry.ActionVersionDelete)); diff != "" {
		t.Error(diff)
	}
	other := amis(second.Run.Fingerprint, "amazon-ebs.app", "eu-west-1")
	receipt := w.publish(ctx, image, other)
	w.wantEnded(ctx, w.finish(ctx, second, registry.RunResult{}), registry.RunDone, &receipt.VersionID)
	page, err := w.Versions(ctx, image, registry.VersionFilter{})
	if err != nil || len(page.Versions) != 1 || page.Versions[0].Number != 2 {
		t.Errorf("versions of the target: %+v, %v", page.Versions, err)
	}
}

func TestATakeoverDeletesAnnouncedBuilds(t *testing.T) {
	w, ctx := one(t)
	toCome := registry.Announcement{Fingerprint: w.claim(ctx, "first").Run.Fingerprint, Build: registry.Build{Component: "x", Type: registry.Archive}, File: "x"}
	lost := w.announceBuild(ctx, image, toCome)
	w.clock = w.clock.Add(time.Hour)
	second := w.claim(ctx, "second")
	_, err := w.Receive(t.Context(), lost.Secret, -1, strings.NewReader("bytes"))
	wantError(t, err, registry.NotFound, "is gone")
	again := w.announceBuild(ctx, image, toCome)
	w.receive(again.Secret, []byte("bytes"))
	w.wantEnded(ctx, w.finish(ctx, second, registry.RunResult{}), registry.RunDone, &again.Version)
	w.clock = w.clock.Add(registry.UploadTTL)
	if _, err := w.ExpireUploads(ctx); err != nil {
		t.Error(err)
	}
	if v, err := w.Version(ctx, image, "latest"); err != nil || v.VersionID != again.Version || v.Metadata["application"] != app {
		t.Errorf("%+v, %v", v, err)
	}
}

func TestARunWhoseVersionIsThereNeedsNoRunner(t *testing.T) {
	w, ctx := one(t)
	w.push(ctx, app, "two")
	first := w.claim(ctx, "first")
	receipt := w.publish(ctx, image, amis("almanac-run-1", "amazon-ebs.app", "us-east-1"))
	w.clock = w.clock.Add(time.Hour)
	if next := w.claim(ctx, "second"); next.Run.ID != 2 {
		t.Errorf("%+v", next.Run)
	}
	done := w.run(ctx, 1)
	w.wantEnded(ctx, done, registry.RunDone, &receipt.VersionID)
	if done.Runner != "first" || done.Attempts != 1 {
		t.Errorf("%+v", done)
	}
	if diff := cmp.Diff([]registry.Event{{At: w.clock, Actor: "admin-token", Action: registry.ActionRunDone, Artifact: image, Number: 1, Detail: registry.Metadata{
		"run": "1", "application": app, "application_version": "0.1.0", "runner": "first",
	}}}, w.eventsOf(ctx, registry.ActionRunDone)); diff != "" {
		t.Error(diff)
	}
	w.clock = w.clock.Add(time.Minute)
	if diff := cmp.Diff(done, w.finish(ctx, first, registry.RunResult{Failed: true, Message: "late"})); diff != "" {
		t.Errorf("the runner that lost it changed it: %s", diff)
	}

	pub := amis("almanac-run-2", "amazon-ebs.app", "us-east-1")
	pub.Build.Images[0].Verification = &registry.Verification{Status: registry.ImageFailed, Reason: "it is gone"}
	failed := w.publish(ctx, image, pub)
	w.clock = w.clock.Add(time.Hour)
	w.wantIdle(ctx)
	w.wantEnded(ctx, w.run(ctx, 2), registry.RunFailed, &failed.VersionID, "is failed", "it is gone")
}

func TestARunWhoseApplicationVersionCannotBeHadFails(t *testing.T) {
	w, ctx := one(t)
	w.push(ctx, app, "two")
	w.push(ctx, app, "three")
	if err := w.DeleteVersion(ctx, app, "1"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Revoke(ctx, app, "2", registry.RevokeRequest{Reason: "it leaks"}); err != nil {
		t.Fatal(err)
	}
	if claim := w.claim(ctx, "builder"); claim.Run.ID != 3 {
		t.Errorf("%+v", claim.Run)
	}
	w.wantEnded(ctx, w.run(ctx, 1), registry.RunFailed, nil, "version 0.1.0 of acme/app is gone")
	w.wantEnded(ctx, w.run(ctx, 2), registry.RunFailed, nil, "version 0.2.0 of acme/app is revoked: it leaks")
	if r := w.run(ctx, 1); r.Attempts != 0 || r.Runner != "" || r.StartedAt != nil {
		t.Errorf("%+v", r)
	}
}

func TestOnlyTheRunnerThatHasARunRenewsIt(t *testing.T) {
	w, ctx := one(t)
	_, err := w.RenewRun(ctx, 1, "x", 60)
	wantError(t, err, registry.Conflict, "run 1 is queued; no runner has it")
	claim := w.claim(ctx, "builder")
	for _, seconds := range []int{-1, 0, 4, 3601} {
		_, err := w.RenewRun(ctx, 1, claim.Lease, seconds)
		wantError(t, err, registry.Invalid, "lease_seconds:", fmt.Sprint(seconds))
	}
	for _, seconds := range []int{5, 3600} {
		if r, err := w.RenewRun(as(t, registry.RolePublish, "acme/*"), 1, claim.Lease, seconds); err != nil || !r.LeaseUntil.Equal(w.clock.Add(time.Duration(seconds)*time.Second)) {
			t.Errorf("%+v, %v", r, err)
		}
	}
	_, err = w.RenewRun(ctx, 1, "x", 60)
	wantError(t, err, registry.Conflict, "another runner", "builder")
	_, err = w.RenewRun(as(t, registry.RoleRead, "*"), 1, claim.Lease, 60)
	wantError(t, err, registry.Forbidden)
	_, err = w.RenewRun(as(t, registry.RolePublish, image), 1, claim.Lease, 60)
	wantError(t, err, registry.NotFound)
	w.finish(ctx, claim, registry.RunResult{Failed: true})
	_, err = w.RenewRun(ctx, 1, claim.Lease, 60)
	wantError(t, err, registry.Conflict, "run 1 is failed; no runner has it")
}
