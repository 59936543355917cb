package registry_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func TestHowARunEnds(t *testing.T) {
	for name, test := range map[string]struct {
		publish func(w *world, ctx context.Context) // what the command did
		result  registry.RunResult
		status  registry.RunStatus
		built   bool // the version is what came of it
		words   []string
	}{
		"a complete version makes it done": {
			func(w *world, ctx context.Context) { w.publish(ctx, image, amis("almanac-run-1", "a.x", "us-east-1")) }, registry.RunResult{}, registry.RunDone, true, nil,
		},
		"without a version it fails": {
			func(w *world, ctx context.Context) { w.publish(ctx, image, amis("another", "a.x", "us-east-1")) }, registry.RunResult{Message: "fine"}, registry.RunFailed, false,
			[]string{"recorded no version of " + image, "almanac-run-1", "$ALMANAC_FINGERPRINT"},
		},
		"a version that is open makes it fail": {
			func(w *world, ctx context.Context) {
				pub := amis("almanac-run-1", "a.x", "us-east-1")
				pub.Expect = []string{"a.x", "a.y"}
				w.publish(ctx, image, pub)
			}, registry.RunResult{}, registry.RunFailed, true, []string{"is open", "a.y"},
		},
		"a command that failed makes it fail with its message": {
			func(*world, context.Context) {}, registry.RunResult{Failed: true, Message: "exit 1\nno space"}, registry.RunFailed, false, []string{"exit 1\nno space"},
		},
		"a command that failed after its version was complete says both": {
			func(w *world, ctx context.Context) { w.publish(ctx, image, amis("almanac-run-1", "a.x", "us-east-1")) },
			registry.RunResult{Failed: true, Message: "exit 1"}, registry.RunFailed, true, []string{"exit 1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, ctx := one(t)
			claim := w.claim(ctx, "builder")
			test.publish(w, ctx)
			w.clock = w.clock.Add(time.Second)
			var result *registry.VersionID
			if test.built {
				result = &registry.VersionID{Number: 1, Version: "0.1.0"}
			}
			ended := w.finish(as(t, registry.RolePublish, "acme/*"), claim, test.result)
			w.wantEnded(ctx, ended, test.status, result, test.words...)
			events := w.actions(ctx)
			later := w.clock
			w.clock = later.Add(time.Hour)
			for _, again := range []registry.RunResult{test.result, {Failed: true, Message: "other words"}, {}} {
				if diff := cmp.Diff(ended, w.finish(ctx, claim, again)); diff != "" {
					t.Errorf("reporting again changed it: %s", diff)
				}
			}
			if diff := cmp.Diff(events, w.actions(ctx)); diff != "" {
				t.Error(diff)
			}
			_, err := w.FinishRun(ctx, 1, registry.RunResult{Lease: "x"})
			wantError(t, err, registry.Conflict, "no runner has it")
			w.wantIdle(ctx)
		})
	}
}

func TestARunIsDoneWhoseFirstRunnerRecordedItLate(t *testing.T) {
	w, ctx := one(t)
	w.claim(ctx, "silent")
	w.clock = w.clock.Add(time.Hour)
	second := w.claim(ctx, "second")
	receipt := w.publish(ctx, image, amis("almanac-run-1", "a.x", "us-east-1"))
	w.wantEnded(ctx, w.finish(ctx, second, registry.RunResult{Failed: true, Message: "a conflict"}), registry.RunDone, &receipt.VersionID)
}

func TestARunThatFailedIsDoneWhenItsVersionComesLater(t *testing.T) {
	w, ctx := one(t)
	w.finish(ctx, w.claim(ctx, "builder"), registry.RunResult{})
	failed := w.run(ctx, 1)
	pub := amis("almanac-run-1", "a.x", "us-east-1")
	pub.Expect = []string{"a.x", "a.y"}
	w.publish(ctx, image, pub)
	if diff := cmp.Diff(failed, w.run(ctx, 1)); diff != "" {
		t.Errorf("a version that is open changed it: %s", diff)
	}
	receipt := w.publish(ctx, image, amis("almanac-run-1", "a.y", "us-east-1"))
	want := failed
	want.Status, want.Message, want.Result = registry.RunDone, "", &receipt.VersionID
	if diff := cmp.Diff(want, w.run(ctx, 1)); failed.Status != registry.RunFailed || diff != "" {
		t.Errorf("%s: %s", failed.Status, diff)
	}
	if events := w.eventsOf(ctx, registry.ActionRunDone); len(events) != 1 || events[0].Artifact != image || events[0].Number != receipt.Number || events[0].Detail["run"] != "1" {
		t.Errorf("%+v", events)
	}
}

func TestWhoMayFinishARun(t *testing.T) {
	w, ctx := one(t)
	claim := w.claim(ctx, "builder")
	_, err := w.FinishRun(ctx, 1, registry.RunResult{Lease: claim.Lease, Failed: true, Message: strings.Repeat("x", 1001)})
	wantError(t, err, registry.Invalid, "message:")
	_, err = w.FinishRun(as(t, registry.RoleRead, "*"), 1, registry.RunResult{Lease: claim.Lease})
	wantError(t, err, registry.Forbidden)
	_, err = w.FinishRun(ctx, 2, registry.RunResult{Lease: claim.Lease})
	wantError(t, err, registry.NotFound, "run 2")
	if diff := cmp.Diff(*claim.Run, w.run(ctx, 1)); diff != "" {
		t.Error(diff)
	}
}
