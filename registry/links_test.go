package registry_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// app and image are the ends of the link of the tests.
const app, image = "acme/app", "acme/app-image"

func (w *world) link(ctx context.Context, application, target string) registry.Link {
	w.t.Helper()
	link, err := w.Link(ctx, application, target)
	if err != nil {
		w.t.Fatal(err)
	}
	return link
}

func (w *world) wantLinks(ctx context.Context, artifact string, want ...registry.Link) {
	w.t.Helper()
	links, err := w.Links(ctx, artifact)
	if err != nil {
		w.t.Fatal(err)
	}
	if diff := cmp.Diff(want, links, cmpopts.EquateEmpty()); diff != "" {
		w.t.Errorf("links of %q (-want +got):\n%s", artifact, diff)
	}
}

// eventsOf returns the events of some actions.
func (w *world) eventsOf(ctx context.Context, actions ...string) (events []registry.Event) {
	w.t.Helper()
	page, err := w.Events(ctx, 0, 500)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, e := range page.Events {
		for _, action := range actions {
			if e.Action == action {
				e.ID = 0
				events = append(events, e)
			}
		}
	}
	return events
}

func TestLinkMakesBothArtifactsAndLinkingAgainChangesNothing(t *testing.T) {
	w, ctx := newWorld(t), as(t, registry.RolePublish, "acme/*")
	want := registry.Link{Application: app, Target: image, CreatedAt: w.clock, CreatedBy: "publish-token"}
	linked := w.clock
	for range 2 {
		if diff := cmp.Diff(want, w.link(ctx, app, image)); diff != "" {
			t.Error(diff)
		}
		w.clock = w.clock.Add(time.Hour)
		ctx = admin(t)
	}
	for _, name := range []string{app, image} {
		if _, err := w.Artifact(ctx, name); err != nil {
			t.Error(err)
		}
	}
	w.wantLinks(ctx, "", want)
	if diff := cmp.Diff([]registry.Event{
		{At: linked, Actor: "publish-token", Action: registry.ActionLinkCreate, Artifact: image, Detail: registry.Metadata{"application": app}},
	}, w.eventsOf(ctx, registry.ActionLinkCreate)); diff != "" {
		t.Error(diff)
	}
}

func TestBadLinksAreRefused(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	w.link(ctx, app, image)
	for name, call := range map[string]func(ctx context.Context, application, target string) error{
		"Link":   func(ctx context.Context, a, b string) error { _, err := w.Link(ctx, a, b); return err },
		"Unlink": w.Unlink,
	} {
		t.Run(name, func(t *testing.T) {
			wantError(t, call(ctx, "app", "a b/c"), registry.Invalid, "application:", "target:")
			wantError(t, call(ctx, app, app), registry.Invalid, "target:", "the application itself")
			wantError(t, call(as(t, registry.RoleRead, "*"), app, image), registry.Forbidden, "publish")
			wantError(t, call(as(t, registry.RolePublish, app), app, image), registry.Forbidden, image)
			wantError(t, call(as(t, registry.RolePublish, image), app, image), registry.Forbidden, "not for "+app)
			wantError(t, call(t.Context(), app, image), registry.Unauthorized)
		})
	}
	_, err := w.Link(ctx, "Acme/app", "acme/other")
	wantError(t, err, registry.Conflict)
	_, err = w.Artifact(ctx, "acme/other")
	wantError(t, err, registry.NotFound)
}

func TestLinksAreListedForThoseWhoMayReadBothEnds(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	other, onward, own := w.link(ctx, app, "other/image"), w.link(ctx, image, "acme/disk"), w.link(ctx, app, image)
	w.wantLinks(ctx, "", own, other, onward)
	w.wantLinks(ctx, app, own, other)
	w.wantLinks(ctx, image, own, onward)
	w.wantLinks(ctx, "no/such")
	w.wantLinks(as(t, registry.RoleRead, "acme/*"), "", own, onward)
	w.wantLinks(as(t, registry.RoleRead, app, "other/image"), app, other)
	w.wantLinks(as(t, registry.RoleAdmin, app), app)
	_, err := w.Links(t.Context(), "")
	wantError(t, err, registry.Unauthorized)
	_, err = w.Links(ctx, "no name")
	wantError(t, err, registry.Invalid, "artifact:")
}

func TestUnlinkEndsALinkAndFailsWhatWaits(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	for _, ends := range [][2]string{{app, image}, {"acme/other", image}, {app, "acme/disk"}} {
		w.link(ctx, ends[0], ends[1])
	}
	wantError(t, w.Unlink(ctx, app, "acme/other"), registry.NotFound, app+" is not linked to acme/other")
	wantError(t, w.Unlink(ctx, "no/such", image), registry.NotFound, "no/such is not linked to "+image)
	wantError(t, w.Unlink(ctx, app, "no/such"), registry.NotFound, app+" is not linked to no/such")

	w.push(ctx, app, "one")          // runs 1 and 2
	w.push(ctx, app, "two")          // runs 3 and 4
	w.push(ctx, "acme/other", "one") // run 5
	claim := w.claim(ctx, "builder")
	if err := w.Unlink(ctx, app, image); err != nil {
		t.Fatal(err)
	}
	w.push(ctx, app, "three") // run 6
	w.wantRuns(ctx, "6 queued acme/app 0.3.0 > acme/disk", "5 queued acme/other 0.1.0 > acme/app-image", "4 queued acme/app 0.2.0 > acme/disk",
		"3 failed acme/app 0.2.0 > acme/app-image", "2 queued acme/app 0.1.0 > acme/disk", "1 running acme/app 0.1.0 > acme/app-image")
	failed := w.run(ctx, 3)
	if failed.Message != "the link was removed, and no runner had it" || failed.FinishedAt == nil || !failed.FinishedAt.Equal(w.clock) {
		t.Errorf("%+v", failed)
	}
	wantError(t, w.Unlink(ctx, app, image), registry.NotFound, "is not linked")
	_, err := w.RepeatRun(ctx, 3)
	wantError(t, err, registry.NotFound, "cannot be repeated", "not linked")
	if diff := cmp.Diff([]registry.Event{
		{At: w.clock, Actor: "admin-token", Action: registry.ActionRunFail, Artifact: image, Detail: registry.Metadata{
			"run": "3", "application": app, "application_version": "0.2.0", "message": failed.Message,
		}},
		{At: w.clock, Actor: "admin-token", Action: registry.ActionLinkDelete, Artifact: image, Detail: registry.Metadata{"application": app}},
	}, w.eventsOf(ctx, registry.ActionRunFail, registry.ActionLinkDelete)); diff != "" {
		t.Error(diff)
	}

	w.publish(ctx, image, amis(claim.Run.Fingerprint, "amazon-ebs.app", "us-east-1"))
	if r := w.finish(ctx, claim, registry.RunResult{}); r.Status != registry.RunDone {
		t.Errorf("the run that had a runner ended as %+v", r)
	}
	w.link(ctx, app, image)
	if _, err := w.RepeatRun(ctx, 3); err != nil {
		t.Error(err)
	}
	w.wantRuns(ctx, "6 queued acme/app 0.3.0 > acme/disk", "5 queued acme/other 0.1.0 > acme/app-image", "4 queued acme/app 0.2.0 > acme/disk",
		"3 queued acme/app 0.2.0 > acme/app-image", "2 queued acme/app 0.1.0 > acme/disk", "1 done acme/app 0.1.0 > acme/app-image")
}

func TestUnlinkFailsMoreRunsThanAPageHas(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	w.link(ctx, app, image)
	const runs = 520
	file := w.upload(ctx, app, "bytes")
	for n := range runs {
		w.publish(ctx, app, archiveOf(fmt.Sprintf("push-%d", n), file))
	}
	if err := w.Unlink(ctx, app, image); err != nil {
		t.Fatal(err)
	}
	page, err := w.Runs(ctx, registry.RunFilter{Status: "queued"})
	if err != nil || len(page.Runs) > 0 {
		t.Errorf("%d runs are queued, %v", len(page.Runs), err)
	}
	if r := w.run(ctx, runs); r.Status != registry.RunFailed {
		t.Errorf("%+v", r)
	}
}

func TestTheEndsOfALinkAreLockedInOneOrder(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		ctx := admin(t)
		var wg sync.WaitGroup
		for _, ends := range [][2]string{{app, image}, {image, app}, {app, image}, {image, app}} {
			wg.Go(func() {
				if _, err := w.Link(ctx, ends[0], ends[1]); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		links, err := w.Links(ctx, app)
		if err != nil || len(links) != 2 {
			t.Errorf("%+v, %v", links, err)
		}
	})
}
