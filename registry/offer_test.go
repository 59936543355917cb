package registry_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func TestRevoke(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	for i := range 3 {
		w.publish(ctx, "cargomedia/app", amis(fmt.Sprintf("run-%d", i+1), "a.x", "us-east-1"))
	}
	latest := func() int64 {
		t.Helper()
		r, err := w.Resolve(ctx, "cargomedia/app", "latest", registry.Question{Type: "aws.ami"})
		if err != nil {
			t.Fatal(err)
		}
		return r.Number
	}
	if _, err := w.SetChannel(ctx, "cargomedia/app", "production", registry.ChannelChange{Ref: "3"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Revoke(ctx, "cargomedia/app", "3", registry.RevokeRequest{Reason: "CVE-2026-1"}); err != nil {
		t.Fatal(err)
	}
	if got := latest(); got != 2 {
		t.Errorf("latest is %d after a revocation, want 2", got)
	}
	for _, ref := range []string{"3", "production"} {
		if r, err := w.Resolve(ctx, "cargomedia/app", ref, registry.Question{}); err != nil || !r.Revoked || r.Revocation.Reason != "CVE-2026-1" {
			t.Errorf("%s: %+v, %v; want it with its revocation", ref, r, err)
		}
	}
	later := w.clock.Add(time.Hour)
	if _, err := w.Revoke(ctx, "cargomedia/app", "2", registry.RevokeRequest{At: &later, Reason: "end of life"}); err != nil {
		t.Fatal(err)
	}
	if got := latest(); got != 2 {
		t.Errorf("latest is %d before the time of a revocation, want 2", got)
	}
	if r, err := w.Resolve(ctx, "cargomedia/app", "2", registry.Question{}); err != nil || r.Revoked || r.Revocation == nil {
		t.Errorf("before the time of a revocation: %+v, %v", r, err)
	}
	w.clock = later
	if got := latest(); got != 1 {
		t.Errorf("latest is %d at the time of a revocation, want 1", got)
	}
	if _, err := w.Restore(ctx, "cargomedia/app", "3"); err != nil {
		t.Fatal(err)
	}
	if got := latest(); got != 3 {
		t.Errorf("latest is %d after a restoration, want 3", got)
	}
	_, err := w.Revoke(ctx, "cargomedia/app", "latest", registry.RevokeRequest{Reason: "x"})
	wantError(t, err, registry.Invalid, "ref:", "number 3")
	_, err = w.Revoke(ctx, "cargomedia/app", "production", registry.RevokeRequest{Reason: "x"})
	wantError(t, err, registry.Invalid, "ref:", "number 3")
	_, err = w.Revoke(ctx, "cargomedia/app", "1", registry.RevokeRequest{Reason: "  "})
	wantError(t, err, registry.Invalid, "reason")
	_, err = w.SetChannel(ctx, "cargomedia/app", "production", registry.ChannelChange{Ref: "2"})
	wantError(t, err, registry.Conflict, "revoked", "end of life")
}

func TestCatalogsFollowARevocationWhoseTimeHasCome(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	w.publish(ctx, "cargomedia/app", amis("run-1", "a.x", "us-east-1"))
	pub := amis("run-2", "a.x", "us-east-1")
	pub.Build.Type = "qemu.image"
	w.publish(ctx, "cargomedia/app", pub)
	w.publish(ctx, "cargomedia/gone", amis("run-1", "a.x", "us-east-1"))
	at := w.clock.Add(time.Hour)
	for name, ref := range map[string]string{"cargomedia/app": "2", "cargomedia/gone": "1"} {
		if _, err := w.Revoke(ctx, name, ref, registry.RevokeRequest{At: &at, Reason: "end of life"}); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := w.RefreshLatest(t.Context()); err != nil || n != 0 {
		t.Errorf("before the time: %d refreshed, %v", n, err)
	}
	w.clock = at
	if n, err := w.RefreshLatest(t.Context()); err != nil || n != 2 {
		t.Errorf("at the time: %d refreshed, %v", n, err)
	}
	a, err := w.Artifact(ctx, "cargomedia/app")
	if err != nil || a.Latest.Number != 1 || !slices.Equal(a.Types, []registry.Type{registry.AmazonImage}) {
		t.Errorf("got %+v, %v", a, err)
	}
	if a, err = w.Artifact(ctx, "cargomedia/gone"); err != nil || a.Latest != nil {
		t.Errorf("got %+v, %v", a, err)
	}
	if n, err := w.RefreshLatest(t.Context()); err != nil || n != 0 {
		t.Errorf("once more: %d refreshed, %v", n, err)
	}
}

func TestChannels(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	for i := range 2 {
		w.publish(ctx, "cargomedia/app", amis(fmt.Sprintf("run-%d", i+1), "a.x", "us-east-1"))
	}
	set := func(change registry.ChannelChange) registry.ChannelHistory {
		t.Helper()
		h, err := w.SetChannel(ctx, "cargomedia/app", "production", change)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	set(registry.ChannelChange{Ref: "0.1.0"})
	_, err := w.SetChannel(ctx, "cargomedia/app", "production", registry.ChannelChange{Rollback: true})
	wantError(t, err, registry.Conflict, "no earlier version")
	set(registry.ChannelChange{Ref: "latest", Reason: "release"})
	if h := set(registry.ChannelChange{Ref: "2"}); len(h.Moves) != 2 || h.Moves[0].Reason != "release" || h.Moves[0].From.Number != 1 || h.Moves[1].From != nil {
		t.Errorf("setting what is set changed the history: %+v", h)
	}
	if h := set(registry.ChannelChange{Rollback: true}); h.Number != 1 || len(h.Moves) != 3 {
		t.Errorf("after a rollback: %+v", h)
	}
	_, err = w.SetChannel(ctx, "cargomedia/app", "latest", registry.ChannelChange{Ref: "", Rollback: false, From: new(int64(-1))})
	wantError(t, err, registry.Invalid, "channel:", "ref:", "from:")
	_, err = w.SetChannel(ctx, "cargomedia/none", "production", registry.ChannelChange{Ref: "1"})
	wantError(t, err, registry.NotFound)
	_, err = w.Channel(ctx, "cargomedia/app", "prod")
	wantError(t, err, registry.NotFound, "its channels are: production")
}

func TestChannelIsMovedFromWhereItMustPoint(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	for i := range 3 {
		w.publish(ctx, "cargomedia/app", amis(fmt.Sprintf("run-%d", i+1), "a.x", "us-east-1"))
	}
	set := func(ref string, from int64) error {
		_, err := w.SetChannel(ctx, "cargomedia/app", "production", registry.ChannelChange{Ref: ref, From: &from})
		return err
	}
	wantError(t, set("1", 2), registry.Conflict, "cargomedia/app has no channel production, which had to point to number 2")
	for from, ref := range []string{"1", "2"} {
		if err := set(ref, int64(from)); err != nil {
			t.Error(err)
		}
	}
	wantError(t, set("3", 0), registry.Conflict, "channel production of cargomedia/app points to 0.2.0 (number 2) since ", ", and had to be new")
	wantError(t, set("2", 0), registry.Conflict, "had to be new")
	wantError(t, set("3", 1), registry.Conflict, "points to 0.2.0 (number 2) since ", ", not to number 1")
	_, err := w.SetChannel(ctx, "cargomedia/app", "production", registry.ChannelChange{Rollback: true, From: new(int64(1))})
	wantError(t, err, registry.Conflict, "not to number 1")
	if h, err := w.Channel(ctx, "cargomedia/app", "production"); err != nil || h.Number != 2 || len(h.Moves) != 2 {
		t.Errorf("after the refusals: %+v, %v", h, err)
	}
}
