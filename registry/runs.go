package registry

import (
	"context"
	"strconv"
	"strings"
	"time"
)

// RunStatus says how far a run is.
type RunStatus string

// The statuses of a run.
const (
	RunQueued  RunStatus = "queued"  // waits for a runner
	RunRunning RunStatus = "running" // a runner has it
	RunDone    RunStatus = "done"    // the target has a version from it
	RunFailed  RunStatus = "failed"  // can be repeated
)

// Run is a request to build a target from one version of an application. It is given to one runner at a time, and to another
// one when that falls silent.
type Run struct {
	ID          int64        `json:"id" doc:"1, 2, 3 …; the same for every runner that takes it."`
	Application ArtifactName `json:"application"`
	// From is the version of the application.
	From   VersionID    `json:"from" doc:"Version of the application to build from."`
	Target ArtifactName `json:"target" doc:"Artifact to build."`
	// Fingerprint is what the version that the run makes must have.
	Fingerprint string    `json:"fingerprint" doc:"Fingerprint for what it publishes: almanac-run-ID, or almanac-run-ID.N when it is repeated."`
	Status      RunStatus `json:"status" enum:"queued,running,done,failed"`
	// Attempts is how many runners took it since it was asked for, or repeated.
	Attempts int `json:"attempts" doc:"How many runners took it since it was asked for, or repeated."`
	// Repeats is how often it was asked for again.
	Repeats     int        `json:"repeats" doc:"How often it was asked for again."`
	Runner      string     `json:"runner,omitempty" doc:"Who has it, or had it last."`
	RequestedAt time.Time  `json:"requested_at"`
	StartedAt   *time.Time `json:"started_at,omitempty" doc:"When the runner took it."`
	// LeaseUntil is when the run may be given to another runner, unless this one is heard of before.
	LeaseUntil *time.Time `json:"lease_until,omitempty" doc:"When another runner may take it, unless this one is heard of before."`
	FinishedAt *time.Time `json:"finished_at,omitempty"`
	// Result is the version of the target that came of it.
	Result  *VersionID `json:"result,omitempty" doc:"Version of the target that came of it."`
	Message string     `json:"message,omitempty" doc:"Why it failed."`
	LogSize int64      `json:"log_size" doc:"Bytes of its log."`

	// Lease is the digest of the secret of the runner that has it, or had it last.
	Lease Digest `json:"-"`
}

// What the version that comes of a run says of it in its metadata, unless its publisher says something else there.
// [buildNumberKey] has the id of the run.
const (
	ApplicationKey        = "application"
	ApplicationVersionKey = "application_version"
)

const runFingerprint = "almanac-run-"

// fingerprintOf is the fingerprint for what a run makes. One that is repeated makes a version of its own; one that is taken
// over does not.
func fingerprintOf(id int64, repeats int) string {
	fingerprint := runFingerprint + strconv.FormatInt(id, 10)
	if repeats > 0 {
		fingerprint += "." + strconv.Itoa(repeats+1)
	}
	return fingerprint
}

// askedBy returns the run of a target that has a fingerprint. NotFound: it is none of a run.
func askedBy(ctx context.Context, r Reader, target ArtifactName, fingerprint string) (Run, error) {
	digits, ok := strings.CutPrefix(fingerprint, runFingerprint)
	digits, _, _ = strings.Cut(digits, ".")
	id, err := strconv.ParseInt(digits, 10, 64)
	if !ok || err != nil {
		return Run{}, Errorf(NotFound, "")
	}
	run, err := r.Run(ctx, id)
	if err == nil && (run.Target != target || run.Fingerprint != fingerprint) {
		err = Errorf(NotFound, "")
	}
	return run, err
}

// metadata is what a version that comes of the run says of it.
func (r Run) metadata() Metadata {
	return Metadata{
		ApplicationKey: string(r.Application), ApplicationVersionKey: r.From.Version, buildNumberKey: strconv.FormatInt(r.ID, 10),
	}
}

// queueRuns asks for a run by each link of the artifact, if the version has come to have an archive and is complete.
func (p *publishing) queueRuns(ctx context.Context, completed bool) error {
	v := p.version
	fresh := false
	for _, e := range p.events {
		fresh = fresh || e.Action == ActionBuildPublish && e.Detail["type"] == string(Archive)
	}
	if completed {
		for _, b := range v.Builds {
			fresh = fresh || b.Type == Archive
		}
	}
	if !fresh {
		return nil
	}
	links, err := p.tx.Links(ctx, p.name)
	if err != nil {
		return err
	}
	for _, link := range links {
		if link.Application != p.name {
			continue
		}
		run := Run{Application: p.name, From: v.VersionID, Target: link.Target, Status: RunQueued, RequestedAt: p.now}
		id, err := p.tx.AddRun(ctx, run)
		if KindOf(err) == NotFound { // somebody has just deleted the target
			continue
		}
		if err != nil {
			return err
		}
		if id == 0 { // this version has asked before
			continue
		}
		run.ID, run.Fingerprint = id, fingerprintOf(id, 0)
		if err := p.tx.UpdateRun(ctx, run); err != nil {
			return err
		}
		p.events = append(p.events, Event{Action: ActionRunQueue, Detail: Metadata{"run": strconv.FormatInt(id, 10), "target": string(link.Target), "version": v.Version}})
	}
	return nil
}

// answerRun ends a run that had failed when its version comes all the same: a build that could not be recorded at first.
func (p *publishing) answerRun(ctx context.Context) error {
	run, err := askedBy(ctx, p.tx, p.name, p.version.Fingerprint)
	if KindOf(err) == NotFound || err == nil && run.Status != RunFailed {
		return nil
	}
	if err != nil {
		return err
	}
	run.Status, run.Message, run.Result = RunDone, "", &p.version.VersionID
	p.events = append(p.events, run.event(ActionRunDone))
	return p.tx.UpdateRun(ctx, run)
}

// RunFilter narrows and pages a list of runs.
type RunFilter struct {
	// Artifact keeps the runs of an application, or for a target; "" keeps all.
	Artifact string
	// Status is queued, running, done or failed; "" is any.
	Status string
	// Cursor is the Next of the page before; "" begins at the newest.
	Cursor string
	// Limit is 1 to 500; 0 is 50.
	Limit int
}

// RunPage is one page of a list of runs.
type RunPage struct {
	Runs []Run  `json:"runs"`
	Next string `json:"next_cursor,omitempty" doc:"Send as cursor for the next page; absent on the last."`
}

// Runs lists runs, the newest first, as far as the caller may read both artifacts of each. A page can be short, or empty,
// before the list ends.
func (s *Service) Runs(ctx context.Context, f RunFilter) (RunPage, error) {
	var p problems
	q := RunQuery{Status: RunStatus(f.Status), Limit: pageLimit(&p, f.Limit)}
	if f.Artifact != "" {
		name, err := ParseArtifactName(f.Artifact)
		p.check("artifact", err)
		q.Artifact = name
	}
	switch q.Status {
	case "", RunQueued, RunRunning, RunDone, RunFailed:
	default:
		p.add("status", "%q is none; use queued, running, done or failed", clip(f.Status))
	}
	if f.Cursor != "" {
		decodeCursor(&p, f.Cursor, func(position string) (err error) {
			q.Before, err = strconv.ParseInt(position, 10, 64)
			if err == nil && q.Before < 1 {
				err = strconv.ErrRange
			}
			return err
		})
	}
	if err := requireEverywhere(ctx, RoleRead); err != nil {
		return RunPage{}, err
	}
	if err := p.err(); err != nil {
		return RunPage{}, err
	}
	limit := q.Limit
	q.Limit++
	runs, err := s.store.Runs(ctx, q)
	if err != nil {
		return RunPage{}, err
	}
	page := RunPage{Runs: []Run{}}
	see := s.seer(ctx, s.store)
	for _, r := range runs[:min(limit, len(runs))] {
		if ok, err := see(r.Application, r.Target); err != nil {
			return RunPage{}, err
		} else if ok {
			page.Runs = append(page.Runs, r)
		}
	}
	if len(runs) > limit {
		page.Next = encodeCursor(strconv.FormatInt(runs[limit-1].ID, 10))
	}
	return page, nil
}

// Run returns a run. It needs the right to read both of its artifacts.
func (s *Service) Run(ctx context.Context, id int64) (Run, error) {
	if err := requireEverywhere(ctx, RoleRead); err != nil {
		return Run{}, err
	}
	return s.visibleRun(ctx, s.store, id)
}

func (s *Service) visibleRun(ctx context.Context, r Reader, id int64) (Run, error) {
	run, err := r.Run(ctx, id)
	if err == nil {
		var ok bool
		if ok, err = s.seer(ctx, r)(run.Application, run.Target); err == nil && !ok {
			err = Errorf(NotFound, "")
		}
	}
	return run, notFound(err, "run %d does not exist, or this token may not see it", id)
}

// RepeatRun asks again for a run that failed. What it makes then is a version of its own, and its log begins anew. It needs the role publish for the
// target. Conflict: it did not fail.
func (s *Service) RepeatRun(ctx context.Context, id int64) (Run, error) {
	return s.changeRun(ctx, id, func(tx Tx, r Run) (Run, error) {
		if r.Status != RunFailed {
			return Run{}, Errorf(Conflict, "run %d is %s; only one that failed can be repeated", id, r.Status)
		}
		if _, err := findLink(ctx, tx, r.Application, r.Target); err != nil {
			return Run{}, notFound(err, "run %d cannot be repeated: %s is not linked to %s any more", id, r.Application, r.Target)
		}
		r.Repeats++
		r.Status, r.Fingerprint, r.Attempts = RunQueued, fingerprintOf(id, r.Repeats), 0
		r.Runner, r.Lease, r.StartedAt, r.LeaseUntil, r.FinishedAt, r.Result, r.Message = "", "", nil, nil, nil, nil, ""
		r.LogSize = 0
		if err := tx.DeleteRunLog(ctx, id); err != nil {
			return Run{}, err
		}
		return r, s.runEvent(ctx, tx, ActionRunRepeat, r)
	})
}

// changeRun changes a run for one who may publish to its target, and returns it as it is then. The target is locked, so
// that nobody else changes a run for it meanwhile. change may run more than once; its events come last, after what it has
// written itself.
func (s *Service) changeRun(ctx context.Context, id int64, change func(Tx, Run) (Run, error)) (Run, error) {
	run, err := s.Run(ctx, id)
	if err != nil {
		return Run{}, err
	}
	if err := requireRole(ctx, RolePublish, run.Target); err != nil {
		return Run{}, err
	}
	err = s.store.Update(ctx, func(tx Tx) error {
		if _, err := tx.LockArtifact(ctx, run.Target, false, s.time()); err != nil {
			return notFound(err, "artifact %s does not exist", run.Target)
		}
		before, err := s.visibleRun(ctx, tx, id)
		if err != nil {
			return err
		}
		run, err = change(tx, before)
		if err != nil {
			return err
		}
		return tx.UpdateRun(ctx, run)
	})
	if err != nil {
		return Run{}, err
	}
	return run, nil
}

// endRun finishes a run.
func (s *Service) endRun(ctx context.Context, tx Tx, r Run, status RunStatus, message string) error {
	now := s.time()
	r.Status, r.Message, r.FinishedAt, r.LeaseUntil = status, message, &now, nil
	if err := tx.UpdateRun(ctx, r); err != nil {
		return err
	}
	action := ActionRunDone
	if status == RunFailed {
		action = ActionRunFail
	}
	return s.runEvent(ctx, tx, action, r)
}

func (s *Service) runEvent(ctx context.Context, tx Tx, action string, r Run) error {
	return s.record(ctx, tx, r.event(action))
}

func (r Run) event(action string) Event {
	e := Event{Action: action, Artifact: r.Target, Detail: Metadata{
		"run": strconv.FormatInt(r.ID, 10), "application": string(r.Application), "application_version": r.From.Version,
	}}
	if r.Runner != "" {
		e.Detail["runner"] = r.Runner
	}
	if r.Message != "" {
		e.Detail["message"] = r.Message
	}
	if r.Result != nil {
		e.Number = r.Result.Number
	}
	return e
}
