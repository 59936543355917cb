package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// runsCmd lists runs unless one of its other commands is named.
type runsCmd struct {
	List   runsListCmd   `cmd:"" default:"withargs" help:"List runs, the newest first. The word list can be left out."`
	Show   runsShowCmd   `cmd:"" help:"Show a run."`
	Log    runsLogCmd    `cmd:"" help:"Print what a run said."`
	Repeat runsRepeatCmd `cmd:"" help:"Ask again for a run that failed."`
}

type runsListCmd struct {
	Artifact string `arg:"" optional:"" help:"NAMESPACE/NAME of an application, or of what is built. Default: all runs."`
	Status   string `placeholder:"STATUS" complete:"queued,running,done,failed" help:"Only runs that are queued, running, done or failed."`
	listFlags
}

func (c *runsListCmd) Help() string {
	return `A run is a request to build a target from one version of an application that is linked to it.

Examples:

    almanac runs
    almanac runs cargomedia/app-image --status failed`
}

func (c *runsListCmd) Run(a *app) error {
	var p problems
	limit := c.limit(&p)
	if c.Artifact != "" {
		checkArtifact(&p, c.Artifact)
	}
	statuses := []registry.RunStatus{"", registry.RunQueued, registry.RunRunning, registry.RunDone, registry.RunFailed}
	if !slices.Contains(statuses, registry.RunStatus(c.Status)) {
		p.add("--status", "%q is none; use queued, running, done or failed", shorten(c.Status, 40))
	}
	if err := p.err("runs"); err != nil {
		return err
	}
	client, err := a.client()
	if err != nil {
		return err
	}
	runs, next, err := collect(a.ctx, limit, func(ctx context.Context, cursor string, limit int) ([]registry.Run, string, error) {
		page, err := client.Runs(ctx, registry.RunFilter{Artifact: c.Artifact, Status: c.Status, Cursor: cursor, Limit: limit})
		return page.Runs, page.Next, err
	})
	if err != nil {
		return err
	}
	return a.show(registry.RunPage{Runs: runs, Next: next}, func() {
		if len(runs) == 0 {
			a.note("No runs.")
			return
		}
		t := newTable("RUN", "STATUS", "APPLICATION", "TARGET", "RESULT", "RUNNER", "WHEN")
		now := time.Now()
		for _, r := range runs {
			t.add(strconv.FormatInt(r.ID, 10), runStatusCell(r, now), string(r.Application)+" "+r.From.Version, string(r.Target),
				orDash(shorten(runResult(r), 60)), orDash(shorten(r.Runner, 30)), shortTime(runTime(r)))
		}
		a.printTable(t, "")
		a.noteRest(len(runs), next)
	})
}

// runStatusCell says of a run whose runner lets its lease end that nothing is heard of it.
func runStatusCell(r registry.Run, now time.Time) cell {
	switch r.Status {
	case registry.RunDone:
		return cell{string(r.Status), green}
	case registry.RunFailed:
		return cell{string(r.Status), red}
	case registry.RunRunning:
		if r.LeaseUntil != nil && r.LeaseUntil.Before(now) {
			return cell{"running, silent since " + shortTime(*r.LeaseUntil), yellow}
		}
	}
	return cell{string(r.Status), plain}
}

// runResult is the version that came of a run, or why there is none.
func runResult(r registry.Run) string {
	if r.Result == nil {
		return r.Message
	}
	if r.Message != "" {
		return r.Result.Version + ": " + r.Message
	}
	return r.Result.Version
}

// runTime is when the last thing happened to a run.
func runTime(r registry.Run) time.Time {
	return *cmp.Or(r.FinishedAt, r.StartedAt, &r.RequestedAt)
}

// runID is the argument of the commands that are about one run.
type runID struct {
	ID string `arg:"" name:"id" help:"Number of the run, from almanac runs."`
}

func (r runID) check(command string) (int64, error) {
	id, err := strconv.ParseInt(r.ID, 10, 64)
	if err != nil || id < 1 {
		var p problems
		p.add("ID", "%q is not the number of a run, such as 3", shorten(r.ID, 40))
		return 0, p.err(command)
	}
	return id, nil
}

type runsShowCmd struct{ runID }

func (c *runsShowCmd) Help() string {
	return `Example:

    almanac runs show 3`
}

func (c *runsShowCmd) Run(a *app) error {
	id, err := c.check("runs show")
	if err != nil {
		return err
	}
	client, err := a.client()
	if err != nil {
		return err
	}
	r, err := client.Run(a.ctx, id)
	if err != nil {
		return hinted(err, "almanac runs", registry.NotFound)
	}
	return a.show(r, func() { a.showRun(r) })
}

func (a *app) showRun(r registry.Run) {
	t := newTable()
	t.add("Run", cell{strconv.FormatInt(r.ID, 10), bold})
	t.add("Status", runStatusCell(r, time.Now()))
	if r.Message != "" {
		t.add("Why", r.Message)
	}
	t.add("Application", string(r.Application)+" "+versionText(r.From))
	t.add("Target", string(r.Target))
	if r.Result != nil {
		t.add("Result", string(r.Target)+" "+versionText(*r.Result))
	}
	t.add("Fingerprint", r.Fingerprint)
	t.add("Runner", orDash(r.Runner))
	if r.Attempts > 1 {
		t.add("Attempts", fmt.Sprintf("%d; a run goes to another runner when one falls silent", r.Attempts))
	}
	if r.Repeats > 0 {
		t.add("Repeated", strconv.Itoa(r.Repeats))
	}
	t.add("Requested", shortTime(r.RequestedAt))
	t.add("Started", optionalTime(r.StartedAt))
	t.add("Finished", optionalTime(r.FinishedAt))
	t.add("Log", byteSize(r.LogSize))
	a.printTable(t, "")
}

type runsRepeatCmd struct{ runID }

func (c *runsRepeatCmd) Help() string {
	return `What is built then is a version of its own. It needs the role publish for the target.

Example:

    almanac runs repeat 3`
}

func (c *runsRepeatCmd) Run(a *app) error {
	id, err := c.check("runs repeat")
	if err != nil {
		return err
	}
	client, err := a.client()
	if err != nil {
		return err
	}
	r, err := client.RepeatRun(a.ctx, id)
	if err != nil {
		return hinted(err, "almanac runs", registry.NotFound)
	}
	return a.show(r, func() {
		a.printf("Run %d is queued again: %s %s for %s.\n", r.ID, r.Application, clean(r.From.Version), r.Target)
	})
}
