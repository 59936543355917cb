package registry_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// runMachine does what a model chooses to the runs of one link, in any order, and knows what must come of it.
type runMachine struct {
	ctx                 context.Context
	w                   *world
	application, target string
	linked              bool
	pushed              int
	runs                []*modelRun
	claims              []modelClaim
}

// modelRun is what the documented rules say of a run.
type modelRun struct {
	id                int64
	number            int64 // of the application
	status            registry.RunStatus
	attempts, repeats int
	lease             string
	until             time.Time
	revoked, built    bool
	hasResult         bool
}

// modelClaim is a lease that some runner had at some time.
type modelClaim struct {
	run   *modelRun
	lease string
}

func (r *modelRun) fingerprint() string {
	if r.repeats == 0 {
		return fmt.Sprintf("almanac-run-%d", r.id)
	}
	return fmt.Sprintf("almanac-run-%d.%d", r.id, r.repeats+1)
}

// waits says whether no runner has the run.
func (r *modelRun) waits(now time.Time) bool {
	return r.status == registry.RunQueued || r.status == registry.RunRunning && r.until.Before(now)
}

func (r *modelRun) end(failed bool) {
	r.status, r.hasResult = registry.RunDone, r.built
	if failed && !(r.built && r.attempts > 1) || !r.built {
		r.status = registry.RunFailed
	}
}

func TestRunsKeepTheirRules(t *testing.T) {
	given := checksAreGiven()
	onBothEngines(t, func(t *testing.T, w *world) {
		if !given {
			moderateChecks(t)
		}
		ctx, n := admin(t), 0
		rapid.Check(t, func(rt *rapid.T) {
			n++
			m := &runMachine{ctx: ctx, w: w, application: fmt.Sprintf("run%d/app", n), target: fmt.Sprintf("run%d/image", n)}
			m.link(rt)
			rt.Repeat(map[string]func(*rapid.T){
				"": m.check, "link": m.link, "unlink": m.unlink, "push": m.push, "claim": m.claim, "claim again": m.claim, "renew": m.renew, "publish": m.publish,
				"finish": m.finish, "repeat": m.repeat, "revoke": m.revoke, "let time pass": m.letTimePass,
			})
		})
	})
}

func (m *runMachine) link(t *rapid.T) {
	_, err := m.w.Link(m.ctx, m.application, m.target)
	sameKind(t, "Link", err, "")
	m.linked = true
}

func (m *runMachine) unlink(t *rapid.T) {
	err := m.w.Unlink(m.ctx, m.application, m.target)
	if !m.linked {
		sameKind(t, "Unlink", err, registry.NotFound)
		return
	}
	sameKind(t, "Unlink", err, "")
	m.linked = false
	for _, r := range m.runs {
		if r.waits(m.w.clock) {
			r.end(false)
		}
	}
}

func (m *runMachine) push(t *rapid.T) {
	m.pushed++
	receipt, err := m.w.Publish(m.ctx, m.application, archiveOf(fmt.Sprintf("push-%d", m.pushed), m.w.upload(m.ctx, m.application, "bytes")))
	sameKind(t, "Publish", err, "")
	if !m.linked {
		return
	}
	page, err := m.w.Runs(m.ctx, registry.RunFilter{Artifact: m.application, Limit: 1})
	if err != nil || len(page.Runs) != 1 || page.Runs[0].From != receipt.VersionID {
		t.Fatalf("after a push of %+v: %+v, %v", receipt.VersionID, page.Runs, err)
	}
	m.runs = append(m.runs, &modelRun{id: page.Runs[0].ID, number: receipt.Number, status: registry.RunQueued})
}

func (m *runMachine) claim(t *rapid.T) {
	seconds := rapid.SampledFrom([]int{5, 60, 600}).Draw(t, "lease")
	claim, err := m.w.ClaimRun(m.ctx, registry.ClaimRequest{Application: m.application, Target: m.target, Runner: "builder", LeaseSeconds: seconds})
	if !m.linked {
		sameKind(t, "ClaimRun", err, registry.NotFound)
		return
	}
	sameKind(t, "ClaimRun", err, "")
	for _, r := range m.runs {
		switch {
		case !r.waits(m.w.clock):
		case r.built || r.revoked:
			r.end(false)
		default:
			if claim.Run == nil || claim.Run.ID != r.id {
				t.Fatalf("claimed %+v; want run %d", claim.Run, r.id)
			}
			r.status, r.lease, r.until = registry.RunRunning, claim.Lease, m.w.clock.Add(time.Duration(seconds)*time.Second)
			r.attempts++
			m.claims = append(m.claims, modelClaim{r, claim.Lease})
			return
		}
	}
	if claim.Run != nil {
		t.Fatalf("claimed %+v; want none", claim.Run)
	}
}

// drawClaim chooses a lease, and says whether it is the one that counts.
func (m *runMachine) drawClaim(t *rapid.T) (c modelClaim, latest bool) {
	if len(m.claims) == 0 {
		t.Skip("nothing was claimed")
	}
	c = rapid.SampledFrom(m.claims).Draw(t, "claim")
	return c, c.run.lease == c.lease
}

func (m *runMachine) renew(t *rapid.T) {
	c, latest := m.drawClaim(t)
	_, err := m.w.RenewRun(m.ctx, c.run.id, c.lease, 300)
	if !latest || c.run.status != registry.RunRunning {
		sameKind(t, "RenewRun", err, registry.Conflict)
		return
	}
	sameKind(t, "RenewRun", err, "")
	c.run.until = m.w.clock.Add(5 * time.Minute)
}

func (m *runMachine) publish(t *rapid.T) {
	c, _ := m.drawClaim(t)
	_, err := m.w.Publish(m.ctx, m.target, amis(c.run.fingerprint(), "a.x", "us-east-1"))
	sameKind(t, "Publish", err, "")
	if !c.run.built && c.run.status == registry.RunFailed {
		c.run.status, c.run.hasResult = registry.RunDone, true
	}
	c.run.built = true
}

func (m *runMachine) finish(t *rapid.T) {
	c, latest := m.drawClaim(t)
	failed := rapid.Bool().Draw(t, "failed")
	_, err := m.w.FinishRun(m.ctx, c.run.id, registry.RunResult{Lease: c.lease, Failed: failed, Message: "exit 1"})
	switch {
	case !latest || c.run.status == registry.RunQueued:
		sameKind(t, "FinishRun", err, registry.Conflict)
	default:
		sameKind(t, "FinishRun", err, "")
		if c.run.status == registry.RunRunning {
			c.run.end(failed)
		}
	}
}

func (m *runMachine) repeat(t *rapid.T) {
	if len(m.runs) == 0 {
		t.Skip("there is no run")
	}
	r := rapid.SampledFrom(m.runs).Draw(t, "run")
	_, err := m.w.RepeatRun(m.ctx, r.id)
	switch {
	case r.status != registry.RunFailed:
		sameKind(t, "RepeatRun", err, registry.Conflict)
	case !m.linked:
		sameKind(t, "RepeatRun", err, registry.NotFound)
	default:
		sameKind(t, "RepeatRun", err, "")
		*r = modelRun{id: r.id, number: r.number, status: registry.RunQueued, repeats: r.repeats + 1, revoked: r.revoked}
	}
}

func (m *runMachine) revoke(t *rapid.T) {
	if len(m.runs) == 0 {
		t.Skip("there is no run")
	}
	r := rapid.SampledFrom(m.runs).Draw(t, "run")
	_, err := m.w.Revoke(m.ctx, m.application, fmt.Sprint(r.number), registry.RevokeRequest{Reason: "broken"})
	sameKind(t, "Revoke", err, "")
	r.revoked = true
}

func (m *runMachine) letTimePass(t *rapid.T) {
	m.w.clock = m.w.clock.Add(rapid.SampledFrom([]time.Duration{time.Second, 30 * time.Second, 10 * time.Minute}).Draw(t, "time"))
}

func (m *runMachine) check(t *rapid.T) {
	text := func(id int64, status registry.RunStatus, fingerprint string, attempts, repeats int, result, ended bool) string {
		return fmt.Sprintf("%d %s %s attempts %d repeats %d result %v ended %v", id, status, fingerprint, attempts, repeats, result, ended)
	}
	var want, got []string
	for _, r := range slices.Backward(m.runs) {
		want = append(want, text(r.id, r.status, r.fingerprint(), r.attempts, r.repeats, r.hasResult, r.status == registry.RunDone || r.status == registry.RunFailed))
	}
	page, err := m.w.Runs(m.ctx, registry.RunFilter{Artifact: m.target, Limit: 500})
	sameKind(t, "Runs", err, "")
	for _, r := range page.Runs {
		got = append(got, text(r.ID, r.Status, r.Fingerprint, r.Attempts, r.Repeats, r.Result != nil, r.FinishedAt != nil))
		if r.Status == registry.RunRunning != (r.LeaseUntil != nil) {
			t.Errorf("run %d is %s until %v", r.ID, r.Status, r.LeaseUntil)
		}
	}
	same(t, "runs", got, want)
}
