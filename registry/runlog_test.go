package registry_test

import (
	"context"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func (w *world) appendLog(ctx context.Context, claim registry.Claim, offset int64, text string) registry.RunLogEnd {
	w.t.Helper()
	end, err := w.AppendRunLog(ctx, claim.Run.ID, registry.RunLogPart{Lease: claim.Lease, Offset: offset, Text: text})
	if err != nil {
		w.t.Fatal(err)
	}
	return end
}

func (w *world) wantLog(ctx context.Context, from int64, want registry.RunLog) {
	w.t.Helper()
	if got, err := w.RunLog(ctx, 1, from); err != nil || got != want {
		w.t.Errorf("log from %d = %.200v, %v; want %.200v", from, got, err, want)
	}
}

func TestALogGrowsAtItsEnd(t *testing.T) {
	w, ctx := one(t)
	claim := w.claim(ctx, "builder")
	w.wantLog(ctx, 0, registry.RunLog{})
	for range 2 { // the answer to the first was lost
		if end := w.appendLog(ctx, claim, 0, "größe\n"); end != (registry.RunLogEnd{Size: 8}) {
			t.Errorf("%+v", end)
		}
	}
	for _, offset := range []int64{0, 1, 9} {
		_, err := w.AppendRunLog(ctx, 1, registry.RunLogPart{Lease: claim.Lease, Offset: offset, Text: "x"})
		wantError(t, err, registry.Conflict, "the log of run 1 has 8 bytes; go on there")
	}
	w.appendLog(ctx, claim, 8, "done\n")
	w.wantLog(ctx, 0, registry.RunLog{Text: "größe\ndone\n", Next: 13})
	w.wantLog(ctx, 8, registry.RunLog{Text: "done\n", Next: 13})
	w.wantLog(ctx, 13, registry.RunLog{Next: 13})
	w.finish(ctx, claim, registry.RunResult{Failed: true})
	w.wantLog(ctx, 8, registry.RunLog{Text: "done\n", Next: 13, Ended: true})
	w.wantLog(ctx, 13, registry.RunLog{Next: 13, Ended: true})
	if r := w.run(ctx, 1); r.LogSize != 13 {
		t.Errorf("%+v", r)
	}
	_, err := w.AppendRunLog(ctx, 1, registry.RunLogPart{Lease: claim.Lease, Offset: 13, Text: "x"})
	wantError(t, err, registry.Conflict, "run 1 is failed; no runner has it")
}

func TestPartsOfALogThatAreRefused(t *testing.T) {
	w, ctx := one(t)
	claim := w.claim(ctx, "builder")
	long := strings.Repeat("x", registry.MaxRunLogPart)
	_, err := w.AppendRunLog(ctx, 1, registry.RunLogPart{Lease: claim.Lease, Offset: -1, Text: long + "\xff"})
	wantError(t, err, registry.Invalid, "text: has 262145 bytes", "text: is not UTF-8", "offset:")
	_, err = w.AppendRunLog(ctx, 1, registry.RunLogPart{Lease: claim.Lease, Text: "a\x00b"})
	wantError(t, err, registry.Invalid, "text: is not UTF-8, or has a NUL")
	_, err = w.AppendRunLog(ctx, 1, registry.RunLogPart{Lease: "x", Text: "x"})
	wantError(t, err, registry.Conflict, "another runner")
	_, err = w.AppendRunLog(as(t, registry.RoleRead, "*"), 1, registry.RunLogPart{Lease: claim.Lease, Text: "x"})
	wantError(t, err, registry.Forbidden)
	w.wantLog(ctx, 0, registry.RunLog{})
	w.appendLog(ctx, claim, 0, long)
}

func TestALogIsReadByThoseWhoMayPublishToTheTarget(t *testing.T) {
	w, ctx := one(t)
	claim := w.claim(ctx, "builder")
	w.appendLog(ctx, claim, 0, "secret")
	w.wantLog(as(t, registry.RolePublish, "acme/*"), 0, registry.RunLog{Text: "secret", Next: 6})
	_, err := w.RunLog(as(t, registry.RoleRead, "*"), 1, 0)
	wantError(t, err, registry.Forbidden, "publish")
	_, err = w.RunLog(as(t, registry.RoleAdmin, app), 1, 0)
	wantError(t, err, registry.NotFound)
	_, err = w.RunLog(t.Context(), 1, 0)
	wantError(t, err, registry.Unauthorized)
	for _, from := range []int64{-1, 7} {
		_, err = w.RunLog(ctx, 1, from)
		wantError(t, err, registry.Invalid, "from:", "0 to 6")
	}
}

func TestALogEndsAtItsLimit(t *testing.T) {
	w, ctx := one(t)
	claim := w.claim(ctx, "builder")
	part := strings.Repeat("x", registry.MaxRunLogPart-1) + "\n"
	var all strings.Builder
	var end registry.RunLogEnd
	for !end.Full && end.Size < 2*registry.MaxRunLog {
		all.WriteString(part)
		end = w.appendLog(ctx, claim, end.Size, part)
	}
	if end.Size > registry.MaxRunLog || end.Size != int64(all.Len()) {
		t.Errorf("%+v", end)
	}
	for _, offset := range []int64{end.Size, end.Size + 1<<30, 0} {
		if again := w.appendLog(ctx, claim, offset, "more"); again != end {
			t.Errorf("%+v; want %+v", again, end)
		}
	}
	w.finish(ctx, claim, registry.RunResult{Failed: true})
	var read strings.Builder
	for range 100 {
		piece, err := w.RunLog(ctx, 1, int64(read.Len()))
		if err != nil || !piece.Full || len(piece.Text) > 1<<20 {
			t.Fatalf("a piece of %d bytes, full: %v, %v", len(piece.Text), piece.Full, err)
		}
		read.WriteString(piece.Text)
		if piece.Ended {
			break
		}
	}
	if read.String() != all.String() {
		t.Errorf("%d bytes were read; want the %d that were kept", read.Len(), all.Len())
	}
}
