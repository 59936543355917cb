package registry_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// archiveOf is a publication of an archive.
func archiveOf(fingerprint string, files ...registry.File) registry.Publication {
	return registry.Publication{Fingerprint: fingerprint, Build: registry.Build{Component: "archive", Type: registry.Archive, Files: files}}
}

// push publishes a version of an application whose archive has these bytes.
func (w *world) push(ctx context.Context, application, content string) registry.Receipt {
	w.t.Helper()
	return w.publish(ctx, application, archiveOf("push-"+strings.ReplaceAll(content, " ", "-"), w.upload(ctx, application, content)))
}

func (w *world) run(ctx context.Context, id int64) registry.Run {
	w.t.Helper()
	r, err := w.Run(ctx, id)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// runTexts names runs in one line each.
func runTexts(runs []registry.Run) (texts []string) {
	for _, r := range runs {
		texts = append(texts, fmt.Sprintf("%d %s %s %s > %s", r.ID, r.Status, r.Application, r.From.Version, r.Target))
	}
	return texts
}

// wantRuns compares all runs that a caller may see, the newest first.
func (w *world) wantRuns(ctx context.Context, want ...string) {
	w.t.Helper()
	page, err := w.Runs(ctx, registry.RunFilter{})
	if err != nil {
		w.t.Fatal(err)
	}
	if diff := cmp.Diff(want, runTexts(page.Runs), cmpopts.EquateEmpty()); diff != "" {
		w.t.Errorf("runs (-want +got):\n%s", diff)
	}
}

// linked is a world with an application that is linked to an image.
func linked(t *testing.T) (*world, context.Context) {
	t.Helper()
	w, ctx := newWorld(t), admin(t)
	w.link(ctx, app, image)
	return w, ctx
}

func TestAVersionAsksForARunByEachLinkOnce(t *testing.T) {
	w, ctx := linked(t)
	w.link(ctx, app, "acme/disk")
	w.link(ctx, image, "acme/next")
	receipt := w.push(ctx, app, "one")
	want := registry.Run{
		ID: 1, Application: app, From: receipt.VersionID, Target: image, Fingerprint: "almanac-run-1", Status: registry.RunQueued, RequestedAt: w.clock,
	}
	if diff := cmp.Diff(want, w.run(ctx, 1)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]registry.Event{
		{At: w.clock, Actor: "admin-token", Action: registry.ActionRunQueue, Artifact: app, Number: 1, Detail: registry.Metadata{"run": "1", "target": image, "version": "0.1.0"}},
		{At: w.clock, Actor: "admin-token", Action: registry.ActionRunQueue, Artifact: app, Number: 1, Detail: registry.Metadata{"run": "2", "target": "acme/disk", "version": "0.1.0"}},
	}, w.eventsOf(ctx, registry.ActionRunQueue)); diff != "" {
		t.Error(diff)
	}
	w.push(ctx, app, "one")
	more := archiveOf("push-one", w.upload(ctx, app, "more"))
	more.Build.Component = "second"
	w.publish(ctx, app, more)
	if err := w.DeleteVersion(ctx, app, "1"); err != nil {
		t.Fatal(err)
	}
	w.push(ctx, app, "two")
	w.push(ctx, image, "an archive in the target")
	w.wantRuns(ctx, "5 queued acme/app-image 0.1.0 > acme/next", "4 queued acme/app 0.2.0 > acme/disk", "3 queued acme/app 0.2.0 > acme/app-image",
		"2 queued acme/app 0.1.0 > acme/disk", "1 queued acme/app 0.1.0 > acme/app-image")
}

func TestAVersionAsksForARunWhenItIsCompleteAndHasAnArchive(t *testing.T) {
	const queued = "1 queued acme/app 0.1.0 > acme/app-image"
	file := func(w *world, ctx context.Context) registry.File { return w.upload(ctx, app, "bytes") }
	for name, test := range map[string]func(t *testing.T, w *world, ctx context.Context){
		"an archive that is added later asks": func(_ *testing.T, w *world, ctx context.Context) {
			w.publish(ctx, app, amis("push", "amazon-ebs.app", "us-east-1"))
			w.wantRuns(ctx)
			w.publish(ctx, app, archiveOf("push", file(w, ctx)))
			w.wantRuns(ctx, queued)
		},
		"AMIs alone never ask": func(_ *testing.T, w *world, ctx context.Context) {
			w.publish(ctx, app, amis("push", "amazon-ebs.app", "us-east-1"))
			w.publish(ctx, app, amis("push", "amazon-ebs.app", "us-east-1", "eu-west-1"))
			w.publish(ctx, app, amis("push", "amazon-ebs.other", "us-east-1"))
			w.wantRuns(ctx)
		},
		"a version that expects more asks when it has it": func(_ *testing.T, w *world, ctx context.Context) {
			pub := archiveOf("push", file(w, ctx))
			pub.Expect = []string{"amazon-ebs.app", "archive"}
			w.publish(ctx, app, pub)
			w.wantRuns(ctx)
			w.publish(ctx, app, amis("push", "amazon-ebs.app", "us-east-1"))
			w.wantRuns(ctx, queued)
		},
		"a version whose image is not there yet asks when it is": func(t *testing.T, w *world, ctx context.Context) {
			pub := amis("push", "amazon-ebs.app", "us-east-1")
			pub.Build.Images[0].Verification = &registry.Verification{Status: registry.ImagePending}
			w.publish(ctx, app, pub)
			w.publish(ctx, app, archiveOf("push", file(w, ctx)))
			w.wantRuns(ctx)
			pub.Build.Images[0].Verification = &registry.Verification{Status: registry.ImageAvailable}
			for range 2 {
				if _, err := w.Verify(ctx, app, "1", registry.VerifyRequest{Component: "amazon-ebs.app", Images: pub.Build.Images}); err != nil {
					t.Fatal(err)
				}
			}
			w.wantRuns(ctx, queued)
		},
		"a version that is held asks when it is released": func(t *testing.T, w *world, ctx context.Context) {
			v, err := w.OpenVersion(ctx, app, registry.VersionRequest{Version: "0.1.0"})
			if err != nil {
				t.Fatal(err)
			}
			w.publish(ctx, app, archiveOf(v.Fingerprint, file(w, ctx)))
			w.wantRuns(ctx)
			if _, err := w.ReleaseVersion(ctx, app, "1"); err != nil {
				t.Fatal(err)
			}
			w.wantRuns(ctx, queued)
		},
		"an announced archive asks when its bytes are there": func(_ *testing.T, w *world, ctx context.Context) {
			secret := w.announceBuild(ctx, app, archiveToCome("")).Secret
			w.wantRuns(ctx)
			for range 2 {
				w.receive(secret, []byte("bytes"))
				w.wantRuns(ctx, queued)
			}
		},
		"a version that is revoked never asks": func(t *testing.T, w *world, ctx context.Context) {
			w.publish(ctx, app, amis("push", "amazon-ebs.app", "us-east-1"))
			if _, err := w.Revoke(ctx, app, "1", registry.RevokeRequest{Reason: "broken"}); err != nil {
				t.Fatal(err)
			}
			w.publish(ctx, app, archiveOf("push", file(w, ctx)))
			w.wantRuns(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, ctx := linked(t)
			test(t, w, ctx)
		})
	}
	t.Run("versions that were there before the link ask for none", func(t *testing.T) {
		w, ctx := newWorld(t), admin(t)
		w.push(ctx, app, "bytes")
		w.link(ctx, app, image)
		w.push(ctx, app, "bytes")
		w.wantRuns(ctx)
	})
	t.Run("a publication that fails asks for none", func(t *testing.T) {
		w, ctx := linked(t)
		other := w.upload(ctx, app, "other bytes")
		w.push(ctx, app, "bytes")
		_, err := w.Publish(ctx, app, archiveOf("push-bytes", other))
		wantError(t, err, registry.Conflict)
		w.wantRuns(ctx, queued)
	})
}

func TestRunsAreListed(t *testing.T) {
	w, ctx := linked(t)
	w.link(ctx, "other/app", image)
	for _, application := range []string{app, "other/app", app, app} { // runs 1 to 4
		w.push(ctx, application, fmt.Sprint("bytes ", len(w.eventsOf(ctx, registry.ActionRunQueue))))
	}
	w.claim(ctx, "builder")
	list := func(ctx context.Context, f registry.RunFilter) (ids []int64, next string) {
		t.Helper()
		page, err := w.Runs(ctx, f)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Runs {
			ids = append(ids, r.ID)
		}
		return ids, page.Next
	}
	for _, c := range []struct {
		filter registry.RunFilter
		want   []int64
	}{
		{registry.RunFilter{}, []int64{4, 3, 2, 1}},
		{registry.RunFilter{Artifact: app}, []int64{4, 3, 1}},
		{registry.RunFilter{Artifact: image, Status: "queued"}, []int64{4, 3, 2}},
		{registry.RunFilter{Status: "running"}, []int64{1}},
		{registry.RunFilter{Status: "done"}, nil},
		{registry.RunFilter{Artifact: "no/such"}, nil},
	} {
		got, next := list(ctx, c.filter)
		if diff := cmp.Diff(c.want, got); diff != "" || next != "" {
			t.Errorf("%+v: next %q, %s", c.filter, next, diff)
		}
	}
	pages := func(ctx context.Context) (pages [][]int64) {
		t.Helper()
		f := registry.RunFilter{Limit: 2}
		for range 3 {
			ids, next := list(ctx, f)
			pages = append(pages, ids)
			if f.Cursor = next; next == "" {
				break
			}
		}
		return pages
	}
	if diff := cmp.Diff([][]int64{{4, 3}, {2, 1}}, pages(ctx)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([][]int64{nil, {2}}, pages(as(t, registry.RoleRead, "other/*", image))); diff != "" {
		t.Errorf("pages of one who may read run 2 alone: %s", diff)
	}
	if got, _ := list(as(t, registry.RoleAdmin, app), registry.RunFilter{}); len(got) > 0 {
		t.Errorf("one who may not read the target sees %v", got)
	}
	_, err := w.Runs(ctx, registry.RunFilter{Artifact: "no name", Status: "over", Cursor: "x", Limit: 501})
	wantError(t, err, registry.Invalid, "artifact:", "status:", "queued, running, done or failed", "cursor:", "limit:")
	_, err = w.Runs(t.Context(), registry.RunFilter{})
	wantError(t, err, registry.Unauthorized)
}

func TestARunIsForThoseWhoMayReadBothOfItsArtifacts(t *testing.T) {
	w, ctx := linked(t)
	w.push(ctx, app, "one")
	w.run(as(t, registry.RoleRead, app, image), 1)
	for _, scope := range []registry.Scope{app, image, "other/*"} {
		_, hidden := w.Run(as(t, registry.RoleAdmin, scope), 1)
		wantError(t, hidden, registry.NotFound, "run 1 does not exist, or this token may not see it")
	}
	_, err := w.Run(ctx, 2)
	wantError(t, err, registry.NotFound, "run 2 does not exist, or this token may not see it")
	_, err = w.Run(t.Context(), 1)
	wantError(t, err, registry.Unauthorized)
}

func TestARunThatFailedCanBeRepeated(t *testing.T) {
	w, ctx := linked(t)
	w.push(ctx, app, "one")
	repeat := func(want string) {
		t.Helper()
		_, err := w.RepeatRun(ctx, 1)
		wantError(t, err, registry.Conflict, "run 1 is "+want)
	}
	repeat("queued")
	claim := w.claim(ctx, "builder")
	repeat("running")
	w.appendLog(ctx, claim, 0, "first try\n")
	partly := amis("almanac-run-1", "amazon-ebs.app", "us-east-1")
	partly.Expect = []string{"amazon-ebs.app", "amazon-ebs.other"}
	w.publish(ctx, image, partly)
	w.finish(ctx, claim, registry.RunResult{Failed: true, Message: "no space"})
	asked := w.run(ctx, 1)
	for _, repeater := range []context.Context{as(t, registry.RoleRead, "*"), as(t, registry.RolePublish, app)} {
		_, err := w.RepeatRun(repeater, 1)
		if kind := registry.KindOf(err); kind != registry.Forbidden && kind != registry.NotFound {
			t.Errorf("one who may not publish: %v", err)
		}
	}
	for n, fingerprint := range []string{"almanac-run-1.2", "almanac-run-1.3"} {
		w.clock = w.clock.Add(time.Minute)
		r, err := w.RepeatRun(as(t, registry.RolePublish, "acme/*"), 1)
		want := registry.Run{
			ID: 1, Application: app, From: asked.From, Target: image, Fingerprint: fingerprint, Status: registry.RunQueued, Repeats: n + 1,
			RequestedAt: asked.RequestedAt,
		}
		if diff := cmp.Diff(want, r); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
		if diff := cmp.Diff(want, w.run(ctx, 1)); diff != "" {
			t.Error(diff)
		}
		_, err = w.FinishRun(ctx, 1, registry.RunResult{Lease: claim.Lease})
		wantError(t, err, registry.Conflict, "no runner has it")
		claim = w.claim(ctx, "builder")
		if claim.Run.Attempts != 1 {
			t.Errorf("%+v", claim.Run)
		}
		w.appendLog(ctx, claim, 0, "next try\n")
		if log, err := w.RunLog(ctx, 1, 0); err != nil || log.Text != "next try\n" {
			t.Errorf("the log is %+v, %v", log, err)
		}
		if n == 0 {
			w.finish(ctx, claim, registry.RunResult{Failed: true, Message: "again"})
		}
	}
	receipt := w.publish(ctx, image, amis("almanac-run-1.3", "amazon-ebs.app", "us-east-1"))
	if r := w.finish(ctx, claim, registry.RunResult{}); r.Result == nil || *r.Result != receipt.VersionID || receipt.Number != 2 {
		t.Errorf("%+v from %+v", r, receipt)
	}
	repeat("done")
	var repeats []registry.Event
	for _, e := range w.eventsOf(ctx, registry.ActionRunRepeat) {
		e.At = time.Time{}
		repeats = append(repeats, e)
	}
	event := registry.Event{Actor: "publish-token", Action: registry.ActionRunRepeat, Artifact: image, Detail: registry.Metadata{"run": "1", "application": app, "application_version": "0.1.0"}}
	if diff := cmp.Diff([]registry.Event{event, event}, repeats); diff != "" {
		t.Error(diff)
	}
}

func TestAVersionThatComesOfARunSaysWhatItWasBuiltFrom(t *testing.T) {
	w, ctx := linked(t)
	w.push(ctx, app, "one")
	w.push(ctx, app, "two")
	w.push(ctx, app, "three")
	want := registry.Metadata{"application": app, "application_version": "0.1.0", "build_number": "1"}
	wantMetadata := func(name, fingerprint string, want registry.Metadata) {
		t.Helper()
		v, err := w.Version(ctx, name, fingerprint)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, v.Metadata, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("metadata of %s %s: %s", name, fingerprint, diff)
		}
	}
	for range 2 {
		w.publish(ctx, image, amis("almanac-run-1", "amazon-ebs.app", "us-east-1"))
		wantMetadata(image, "almanac-run-1", want)
	}
	own := amis("almanac-run-2", "amazon-ebs.app", "us-east-1")
	own.VersionMetadata = registry.Metadata{"application": "mine", "commit": "abc"}
	w.publish(ctx, image, own)
	wantMetadata(image, "almanac-run-2", registry.Metadata{"application": "mine", "commit": "abc", "application_version": "0.2.0", "build_number": "2"})
	w.announceBuild(ctx, image, registry.Announcement{Fingerprint: "almanac-run-3", Build: registry.Build{Component: "x", Type: registry.Archive}, File: "x"})
	wantMetadata(image, "almanac-run-3", registry.Metadata{"application": app, "application_version": "0.3.0", "build_number": "3"})
	for _, fingerprint := range []string{"almanac-run-4", "almanac-run-01", "almanac-run-1.2", "almanac-run-", "almanac-run-1x", "almanac-run-9999999999999999999"} {
		w.publish(ctx, image, amis(fingerprint, "a.x", "us-east-1"))
		wantMetadata(image, fingerprint, nil)
	}
	w.publish(ctx, "acme/other", amis("almanac-run-1", "amazon-ebs.app", "us-east-1"))
	wantMetadata("acme/other", "almanac-run-1", nil)
}

func TestADeletedArtifactTakesItsLinksAndRunsWithIt(t *testing.T) {
	w, ctx := linked(t)
	w.link(ctx, app, "acme/disk")
	w.push(ctx, app, "one")
	if err := w.DeleteArtifact(ctx, image); err != nil {
		t.Fatal(err)
	}
	w.wantRuns(ctx, "2 queued acme/app 0.1.0 > acme/disk")
	w.push(ctx, app, "two")
	w.wantRuns(ctx, "3 queued acme/app 0.2.0 > acme/disk", "2 queued acme/app 0.1.0 > acme/disk")
	if err := w.DeleteArtifact(ctx, app); err != nil {
		t.Fatal(err)
	}
	w.wantRuns(ctx)
	w.wantLinks(ctx, "")
}
