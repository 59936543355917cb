package client_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/internal/faultproxy"
	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

const image = "cargomedia/app-image"

var lookForWork = registry.ClaimRequest{Application: app, Target: image, Runner: "build-1"}

// push publishes a version of the application.
func push(t *testing.T, s *servertest.Server, fingerprint string) {
	t.Helper()
	c := s.Client(t, s.AdminToken)
	file := must[registry.File](t)(c.Upload(t.Context(), app, "app.tar.gz", strings.NewReader("bytes of "+fingerprint), nil))
	must[registry.Receipt](t)(c.Publish(t.Context(), app, registry.Publication{Fingerprint: fingerprint, Build: registry.Build{
		Component: "application", Type: registry.Archive, Files: []registry.File{file}}}))
}

// linked links the application to the image, and publishes versions of it.
func linked(t *testing.T, s *servertest.Server, versions int) {
	t.Helper()
	must[registry.Link](t)(s.Client(t, s.AdminToken).Link(t.Context(), app, image))
	for i := range versions {
		push(t, s, fmt.Sprintf("push-%d", i+1))
	}
}

func TestRunsAnswerAsTheServiceDoes(t *testing.T) {
	s, c, ctx := real(t)
	link := must[registry.Link](t)(c.Link(ctx, app, image))
	if again := must[registry.Link](t)(c.Link(ctx, app, image)); again != link || link.Application != app || link.Target != image {
		t.Errorf("got %+v, and again %+v", link, again)
	}
	for _, artifact := range []string{"", app, image, "cargomedia/none", "none"} {
		got, err := c.Links(ctx, artifact)
		want, wantErr := s.Service.Links(ctx, artifact)
		same(t, "links of "+artifact, got, err, want, wantErr)
	}
	linked(t, s, 3)
	for _, f := range []registry.RunFilter{{}, {Artifact: image, Status: "queued", Limit: 2}, {Status: "done"}, {Artifact: "x", Status: "x", Limit: -1}} {
		got, err := c.Runs(ctx, f)
		want, wantErr := s.Service.Runs(ctx, f)
		same(t, "runs", got, err, want, wantErr)
		if err == nil && got.Next != "" {
			f.Cursor = got.Next
			got, err := c.Runs(ctx, f)
			want, wantErr := s.Service.Runs(ctx, f)
			same(t, "the next page", got, err, want, wantErr)
		}
	}
	for _, id := range []int64{1, 0, -1, 99} {
		got, err := c.Run(ctx, id)
		want, wantErr := s.Service.Run(ctx, id)
		same(t, "a run", got, err, want, wantErr)
	}
}

func TestRunnerWorksThroughTheClient(t *testing.T) {
	s, c, ctx := real(t)
	linked(t, s, 1)
	claim := must[registry.Claim](t)(c.ClaimRun(ctx, lookForWork))
	if claim.Run == nil || claim.Lease == "" || claim.Run.Status != registry.RunRunning || claim.Run.From.Version != "0.1.0" {
		t.Fatalf("the claim is %+v", claim)
	}
	if other := must[registry.Claim](t)(c.ClaimRun(ctx, lookForWork)); other.Run != nil {
		t.Errorf("another runner gets %+v", other.Run)
	}
	id := claim.Run.ID
	renewed := must[registry.Run](t)(c.RenewRun(ctx, id, claim.Lease, 3600))
	if left := time.Until(*renewed.LeaseUntil); left < 59*time.Minute {
		t.Errorf("the lease ends in %s", left)
	}
	text := "==> amazon-ebs.app: <b>ünicode</b>\x1b[0m\n"
	for _, part := range []registry.RunLogPart{{Text: text}, {Text: text}, {Offset: int64(len(text)), Text: "end"}} {
		part.Lease = claim.Lease
		if end := must[registry.RunLogEnd](t)(c.AppendRunLog(ctx, id, part)); end.Size != part.Offset+int64(len(part.Text)) {
			t.Errorf("the log has %d bytes", end.Size)
		}
	}
	log := must[registry.RunLog](t)(c.RunLog(ctx, id, 0))
	if log.Text != text+"end" || log.Ended {
		t.Errorf("the log is %+v", log)
	}
	if rest := must[registry.RunLog](t)(c.RunLog(ctx, id, log.Next)); rest.Text != "" || rest.Next != log.Next || rest.Ended {
		t.Errorf("behind its end there is %+v", rest)
	}
	failed := must[registry.Run](t)(c.FinishRun(ctx, id, registry.RunResult{Lease: claim.Lease, Failed: true, Message: "exit status 1"}))
	if failed.Status != registry.RunFailed || failed.Message != "exit status 1" {
		t.Errorf("the run is %+v", failed)
	}
	if log = must[registry.RunLog](t)(c.RunLog(ctx, id, log.Next)); !log.Ended {
		t.Errorf("the log of a run that ended is %+v", log)
	}
	if again := must[registry.Run](t)(c.RepeatRun(ctx, id)); again.Status != registry.RunQueued || again.Fingerprint != "almanac-run-1.2" {
		t.Errorf("the run that is repeated is %+v", again)
	}
	if err := c.Unlink(ctx, app, image); err != nil {
		t.Error(err)
	}
	wantError(t, c.Unlink(ctx, app, image), registry.NotFound, "is not linked to")
}

func TestRefusalsOfRunsComeBack(t *testing.T) {
	s, c, ctx := real(t)
	linked(t, s, 1)
	claim := must[registry.Claim](t)(c.ClaimRun(ctx, lookForWork))
	_, err := c.ClaimRun(ctx, registry.ClaimRequest{Application: "x", Target: image, LeaseSeconds: 1})
	_, want := s.Service.ClaimRun(ctx, registry.ClaimRequest{Application: "x", Target: image, LeaseSeconds: 1})
	sameError(t, "a claim with mistakes", err, want)
	_, err = c.RenewRun(ctx, 1, "alm_of-another-runner", 60)
	wantError(t, err, registry.Conflict, "run 1 is with another runner by now: build-1")
	_, err = c.RenewRun(ctx, 1, claim.Lease, 1)
	wantError(t, err, registry.Invalid, "lease_seconds")
	_, err = c.FinishRun(ctx, 1, registry.RunResult{Lease: "alm_of-another-runner"})
	wantError(t, err, registry.Conflict, "with another runner")
	_, err = c.AppendRunLog(ctx, 1, registry.RunLogPart{Lease: claim.Lease, Offset: 7, Text: "x"})
	wantError(t, err, registry.Conflict, "go on there, not at 7")
	_, err = c.RunLog(ctx, 1, 7)
	wantError(t, err, registry.Invalid, "from")
	_, err = c.RepeatRun(ctx, 1)
	wantError(t, err, registry.Conflict, "only one that failed can be repeated")
}

func TestWhatCannotBeOfARunIsRefusedHere(t *testing.T) {
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("the server was asked: %s", r.RequestURI) })
	c := newClient(t, quick(url))
	_, err := c.Link(t.Context(), "app", "../x/y")
	wantError(t, err, registry.Invalid, "application: ", "target: ")
	wantError(t, c.Unlink(t.Context(), app, "image"), registry.Invalid, "target: ")
	// JSON would make another text of it, of another length.
	_, err = c.AppendRunLog(t.Context(), 1, registry.RunLogPart{Lease: "alm_x", Text: "half \xc3"})
	wantError(t, err, registry.Invalid, "text: is not UTF-8")
}

// TestCallsWhoseFirstAnswerWasLost sends each call through a proxy that loses the answer to its first try, and looks at
// what came of both.
func TestCallsWhoseFirstAnswerWasLost(t *testing.T) {
	lease := func(ctx context.Context, t *testing.T, s *servertest.Server) string {
		return must[registry.Claim](t)(s.Service.ClaimRun(ctx, lookForWork)).Lease
	}
	fail := func(ctx context.Context, t *testing.T, s *servertest.Server) string {
		secret := lease(ctx, t, s)
		must[registry.Run](t)(s.Service.FinishRun(ctx, 1, registry.RunResult{Lease: secret, Failed: true}))
		return secret
	}
	nothing := func(context.Context, *testing.T, *servertest.Server) string { return "" }
	for name, test := range map[string]struct {
		before func(context.Context, *testing.T, *servertest.Server) string
		call   func(ctx context.Context, c *client.Client, lease string) error
		want   func(registry.Run) bool // of run 1
	}{
		"link": {nothing, func(ctx context.Context, c *client.Client, _ string) error {
			_, err := c.Link(ctx, app, image)
			return err
		}, func(r registry.Run) bool { return r.Status == registry.RunQueued }},
		"unlink": {nothing, func(ctx context.Context, c *client.Client, _ string) error { return c.Unlink(ctx, app, image) },
			func(r registry.Run) bool { return r.Status == registry.RunFailed }},
		"claim takes the next one": {nothing, func(ctx context.Context, c *client.Client, _ string) error {
			claim, err := c.ClaimRun(ctx, lookForWork)
			if err == nil && (claim.Run == nil || claim.Run.ID != 2) {
				err = fmt.Errorf("the claim is %+v", claim)
			}
			return err
		}, func(r registry.Run) bool { return r.Status == registry.RunRunning && r.Attempts == 1 }},
		"renew": {lease, func(ctx context.Context, c *client.Client, lease string) error {
			_, err := c.RenewRun(ctx, 1, lease, 60)
			return err
		}, func(r registry.Run) bool { return r.Status == registry.RunRunning }},
		"log": {lease, func(ctx context.Context, c *client.Client, lease string) error {
			_, err := c.AppendRunLog(ctx, 1, registry.RunLogPart{Lease: lease, Text: "once"})
			return err
		}, func(r registry.Run) bool { return r.LogSize == 4 }},
		"finish": {lease, func(ctx context.Context, c *client.Client, lease string) error {
			_, err := c.FinishRun(ctx, 1, registry.RunResult{Lease: lease, Failed: true, Message: "exit status 1"})
			return err
		}, func(r registry.Run) bool { return r.Status == registry.RunFailed && r.Message == "exit status 1" }},
		"repeat": {fail, func(ctx context.Context, c *client.Client, _ string) error {
			run, err := c.RepeatRun(ctx, 1)
			if err == nil && run.Fingerprint != "almanac-run-1.2" {
				err = fmt.Errorf("the run is %+v", run)
			}
			return err
		}, func(r registry.Run) bool { return r.Status == registry.RunQueued && r.Repeats == 1 }},
	} {
		t.Run(name, func(t *testing.T) {
			s, _, ctx := real(t)
			linked(t, s, 2)
			secret := test.before(ctx, t, s)
			p := faultproxy.New(t, s.URL)
			p.Fail(1, faultproxy.ResetAfter())
			if err := test.call(ctx, through(t, s, p, patient), secret); err != nil {
				t.Error(err)
			}
			if tries := len(p.Requests()); tries < 2 {
				t.Errorf("%d requests came", tries)
			}
			if run := must[registry.Run](t)(s.Service.Run(ctx, 1)); !test.want(run) {
				t.Errorf("the run is %+v", run)
			}
		})
	}
}

func TestRepeatThatCannotBeTheOwnIsAConflict(t *testing.T) {
	for name, found := range map[string]registry.Run{
		"of a run that was never repeated": {ID: 1, Status: registry.RunQueued},
		"of a run that has ended since":    {ID: 1, Status: registry.RunDone, Repeats: 1, FinishedAt: &time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			var count atomic.Int32
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				switch count.Add(1) {
				case 1:
					hangUp(w, r)
				case 2:
					refuse(w, registry.Errorf(registry.Conflict, "run 1 is %s", found.Status))
				default:
					answer(w, 200, found)
				}
			})
			_, err := newClient(t, quick(url)).RepeatRun(t.Context(), 1)
			wantError(t, err, registry.Conflict, "run 1 is "+string(found.Status))
		})
	}
	t.Run("when no answer was lost", func(t *testing.T) {
		url := serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet {
				t.Error("the run was looked at")
			}
			refuse(w, registry.Errorf(registry.Conflict, "run 1 is queued"))
		})
		_, err := newClient(t, quick(url)).RepeatRun(t.Context(), 1)
		wantError(t, err, registry.Conflict, "run 1 is queued")
	})
}

// TestForeignAnswersAreNoRuns sends each call to a server that says 200 to everything and means something else.
func TestForeignAnswersAreNoRuns(t *testing.T) {
	other := registry.Run{ID: 2, Application: app, Target: "cargomedia/other", Status: registry.RunRunning, Fingerprint: "almanac-run-2"}
	for name, test := range map[string]struct {
		answers []any
		call    func(context.Context, *client.Client) error
	}{
		"link": {[]any{map[string]any{}, registry.Link{Application: image, Target: app}}, func(ctx context.Context, c *client.Client) error {
			_, err := c.Link(ctx, app, image)
			return err
		}},
		"links": {[]any{map[string]any{}}, func(ctx context.Context, c *client.Client) error { _, err := c.Links(ctx, ""); return err }},
		"runs": {[]any{map[string]any{}}, func(ctx context.Context, c *client.Client) error {
			_, err := c.Runs(ctx, registry.RunFilter{})
			return err
		}},
		"run":    {[]any{map[string]any{}, other}, func(ctx context.Context, c *client.Client) error { _, err := c.Run(ctx, 1); return err }},
		"repeat": {[]any{map[string]any{}, other}, func(ctx context.Context, c *client.Client) error { _, err := c.RepeatRun(ctx, 1); return err }},
		"claim": {[]any{registry.Claim{Run: &other, Lease: "alm_x"}, registry.Claim{Run: &registry.Run{ID: 1, Application: app, Target: image, Fingerprint: "almanac-run-1"}}}, func(ctx context.Context, c *client.Client) error {
			_, err := c.ClaimRun(ctx, lookForWork)
			return err
		}},
		"renew": {[]any{map[string]any{}, other}, func(ctx context.Context, c *client.Client) error {
			_, err := c.RenewRun(ctx, 1, "alm_x", 60)
			return err
		}},
		"finish": {[]any{map[string]any{}, other, registry.Run{ID: 1, Status: registry.RunRunning}}, func(ctx context.Context, c *client.Client) error {
			_, err := c.FinishRun(ctx, 1, registry.RunResult{Lease: "alm_x"})
			return err
		}},
		"log": {[]any{map[string]any{}, registry.RunLogEnd{Size: 5}}, func(ctx context.Context, c *client.Client) error {
			_, err := c.AppendRunLog(ctx, 1, registry.RunLogPart{Lease: "alm_x", Text: "four"})
			return err
		}},
		"piece of a log": {[]any{map[string]any{}, registry.RunLog{Next: 5}, registry.RunLog{Text: "x", Next: 9}}, func(ctx context.Context, c *client.Client) error {
			_, err := c.RunLog(ctx, 1, 9)
			return err
		}},
	} {
		for i, v := range test.answers {
			t.Run(fmt.Sprintf("%s %d", name, i+1), func(t *testing.T) {
				url := serve(t, func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, v) })
				wantError(t, test.call(t.Context(), newClient(t, quick(url))), registry.Unavailable, url)
			})
		}
	}
}

// TestFullLogIsNoTrouble: what there is no room for is not kept, so that the size is not what was sent.
func TestFullLogIsNoTrouble(t *testing.T) {
	s, c, ctx := real(t)
	linked(t, s, 1)
	lease := must[registry.Claim](t)(c.ClaimRun(ctx, lookForWork)).Lease
	text := strings.Repeat("\x1b", registry.MaxRunLogPart)
	end, sizes := registry.RunLogEnd{}, []int64{}
	for range registry.MaxRunLog/registry.MaxRunLogPart + 2 {
		end = must[registry.RunLogEnd](t)(c.AppendRunLog(ctx, 1, registry.RunLogPart{Lease: lease, Offset: end.Size, Text: text}))
		sizes = append(sizes, end.Size)
	}
	if !end.Full || end.Size > registry.MaxRunLog || end.Size != slices.Max(sizes) {
		t.Errorf("the log ends at %+v", end)
	}
	var whole strings.Builder
	for from, pieces := int64(0), 0; from < end.Size && pieces < 100; pieces++ {
		piece := must[registry.RunLog](t)(c.RunLog(ctx, 1, from))
		whole.WriteString(piece.Text)
		from = piece.Next
	}
	if diff := cmp.Diff(int(end.Size), whole.Len()); diff != "" {
		t.Errorf("the bytes of the log: %s", diff)
	}
}
