package registry

import (
	"context"
	"crypto/subtle"
	"fmt"
	"time"
)

// ClaimRequest is a runner that looks for work.
type ClaimRequest struct {
	Application string `json:"application" doc:"Application of the link."`
	Target      string `json:"target" doc:"Target of the link."`
	Runner      string `json:"runner" doc:"Who asks, such as the name of its machine."`
	// LeaseSeconds is how long the runner may be silent: 5 to 3600; 0 is 60.
	LeaseSeconds int `json:"lease_seconds,omitempty" doc:"How long the runner may be silent before another one may take the run: 5 to 3600. Default: 60."`
}

// Claim answers a runner.
type Claim struct {
	// Run is nil where there is nothing to do.
	Run *Run `json:"run,omitempty" doc:"The run to do; absent when there is none."`
	// Lease is a secret: who has it has the run.
	Lease string `json:"lease,omitempty" doc:"Secret to send with all that is about the run."`
}

const (
	minLease     = 5
	defaultLease = 60
	maxLease     = 3600
)

// maxClaims bounds how many runs that need no runner any more a claim puts away.
const maxClaims = 1000

// ClaimRun gives the oldest run of a link that is queued, or whose runner fell silent, to the caller. A run whose version is
// recorded already is not built again: it is done, and the next one is looked at. What an earlier runner began under the
// run's fingerprint and left open is deleted, so that it can be built anew. A run whose application version is gone or
// revoked fails. It needs the role publish for the target, and the right to read the application. NotFound: the two are not linked.
func (s *Service) ClaimRun(ctx context.Context, req ClaimRequest) (Claim, error) {
	from, to, err := checkClaim(&req)
	if err != nil {
		return Claim{}, err
	}
	if err := requireRole(ctx, RolePublish, to); err != nil {
		return Claim{}, err
	}
	if err := s.readable(ctx, s.store, from); err != nil {
		return Claim{}, err
	}
	// Runners ask often, and mostly there is nothing: that must not cost a transaction that writes.
	if _, err := findLink(ctx, s.store, from, to); err != nil {
		return Claim{}, err
	}
	if _, err := s.store.NextRun(ctx, from, to, s.time()); KindOf(err) == NotFound {
		return Claim{}, nil
	} else if err != nil {
		return Claim{}, err
	}
	secret := NewSecret()
	var claim Claim
	err = s.store.Update(ctx, func(tx Tx) error {
		claim = Claim{}
		if _, err := tx.LockArtifact(ctx, to, false, s.time()); err != nil {
			return notFound(err, "artifact %s does not exist", to)
		}
		if _, err := findLink(ctx, tx, from, to); err != nil {
			return err
		}
		for range maxClaims {
			run, err := tx.NextRun(ctx, from, to, s.time())
			if KindOf(err) == NotFound {
				return nil
			}
			if err != nil {
				return err
			}
			settled, err := s.settleRun(ctx, tx, run)
			if err != nil {
				return err
			}
			if settled {
				continue
			}
			started, until := s.time(), s.time().Add(time.Duration(req.LeaseSeconds)*time.Second)
			run.Status, run.Runner, run.StartedAt, run.LeaseUntil = RunRunning, req.Runner, &started, &until
			run.Lease = SecretDigest(secret)
			run.Attempts++
			claim = Claim{Run: &run, Lease: secret}
			if err := tx.UpdateRun(ctx, run); err != nil {
				return err
			}
			return s.runEvent(ctx, tx, ActionRunStart, run)
		}
		return nil
	})
	if err != nil {
		return Claim{}, err
	}
	return claim, nil
}

// checkClaim reads what a runner asks for, and sets what it left out.
func checkClaim(req *ClaimRequest) (from, to ArtifactName, err error) {
	var p problems
	from, err = ParseArtifactName(req.Application)
	p.check("application", err)
	to, err = ParseArtifactName(req.Target)
	p.check("target", err)
	p.check("runner", checkText(req.Runner, 255, ""))
	if req.Runner == "" {
		p.add("runner", "is empty; say who asks, such as the name of the machine")
	}
	if req.LeaseSeconds == 0 {
		req.LeaseSeconds = defaultLease
	}
	if req.LeaseSeconds < minLease || req.LeaseSeconds > maxLease {
		p.add("lease_seconds", "%d must be %d to %d", req.LeaseSeconds, minLease, maxLease)
	}
	return from, to, p.err()
}

// settleRun finishes a run that needs no runner any more, and clears the way for one that does.
func (s *Service) settleRun(ctx context.Context, tx Tx, run Run) (settled bool, err error) {
	built, err := tx.Version(ctx, run.Target, Selector{Fingerprint: run.Fingerprint})
	switch {
	case KindOf(err) == NotFound:
	case err != nil:
		return false, err
	case built.Status == StatusOpen:
		p := s.newPublishing(ctx, tx, run.Target)
		p.version = built
		if err := tx.DeleteVersion(ctx, run.Target, built.Number); err != nil {
			return false, err
		}
		p.event(ActionVersionDelete, Metadata{"run": fmt.Sprint(run.ID)})
		if err := p.recordEvents(ctx); err != nil {
			return false, err
		}
	default:
		return true, s.endBuilt(ctx, tx, run, built)
	}
	v, err := tx.Version(ctx, run.Application, Selector{Number: run.From.Number})
	switch {
	case KindOf(err) == NotFound:
		return true, s.endRun(ctx, tx, run, RunFailed, fmt.Sprintf("version %s of %s is gone", run.From.Version, run.Application))
	case err != nil:
		return false, err
	case v.RevokedAt(s.time()):
		return true, s.endRun(ctx, tx, run, RunFailed, fmt.Sprintf("version %s of %s is revoked: %s", v.Version, run.Application, v.Revocation.Reason))
	}
	return false, nil
}

// endBuilt finishes a run by the version that came of it.
func (s *Service) endBuilt(ctx context.Context, tx Tx, run Run, built Version) error {
	run.Result = &built.VersionID
	if built.Status != StatusComplete {
		return s.endRun(ctx, tx, run, RunFailed, built.unfinished())
	}
	return s.endRun(ctx, tx, run, RunDone, "")
}

// RenewRun says that the runner is alive: nobody else takes the run for seconds, which is 5 to 3600. Conflict: the run is
// another runner's by now, or finished; this one must stop.
func (s *Service) RenewRun(ctx context.Context, id int64, lease string, seconds int) (Run, error) {
	if seconds < minLease || seconds > maxLease {
		return Run{}, BadField("lease_seconds", Errorf(Invalid, "%d must be %d to %d", seconds, minLease, maxLease))
	}
	return s.changeRun(ctx, id, func(_ Tx, r Run) (Run, error) {
		until := s.time().Add(time.Duration(seconds) * time.Second)
		r.LeaseUntil = &until
		return r, r.leasedBy(lease)
	})
}

// leasedBy returns nil for the runner that has the run.
func (r Run) leasedBy(lease string) error {
	switch {
	case subtle.ConstantTimeCompare([]byte(r.Lease), []byte(SecretDigest(lease))) != 1 && r.Status == RunRunning:
		return Errorf(Conflict, "run %d is with another runner by now: %s", r.ID, r.Runner)
	case r.Status != RunRunning:
		return Errorf(Conflict, "run %d is %s; no runner has it", r.ID, r.Status)
	}
	return nil
}

// RunResult is what a runner reports.
type RunResult struct {
	Lease string `json:"lease" doc:"The secret of the claim."`
	// Failed says that the command failed. One that did not has recorded a version.
	Failed bool `json:"failed,omitempty" doc:"The command failed."`
	// Message says why.
	Message string `json:"message,omitempty" maxLength:"1000" doc:"Why it failed."`
}

// FinishRun reports how a run ended. A command that ended well, but left no complete version with the run's fingerprint in
// the target, makes the run fail, with a message that says so; one that failed although an earlier runner has recorded the
// version makes it done. Reporting again changes nothing. It needs the role publish for the target.
// Conflict: the run is another runner's by now.
func (s *Service) FinishRun(ctx context.Context, id int64, result RunResult) (Run, error) {
	if err := BadField("message", checkText(result.Message, 1000, "\t\n\r")); err != nil {
		return Run{}, err
	}
	return s.changeRun(ctx, id, func(tx Tx, r Run) (Run, error) {
		if r.FinishedAt != nil && subtle.ConstantTimeCompare([]byte(r.Lease), []byte(SecretDigest(result.Lease))) == 1 {
			return r, nil
		}
		if err := r.leasedBy(result.Lease); err != nil {
			return Run{}, err
		}
		built, err := tx.Version(ctx, r.Target, Selector{Fingerprint: r.Fingerprint})
		switch {
		case err != nil && KindOf(err) != NotFound:
			return Run{}, err
		case err != nil && !result.Failed:
			err = s.endRun(ctx, tx, r, RunFailed, fmt.Sprintf("the command ended well, but recorded no version of %s with the fingerprint %s; does it publish there, with $ALMANAC_FINGERPRINT?", r.Target, r.Fingerprint))
		case err != nil:
			err = s.endRun(ctx, tx, r, RunFailed, result.Message)
		// A runner before this one has recorded it after all, which is why this one failed.
		case result.Failed && built.Status == StatusComplete && r.Attempts > 1:
			err = s.endBuilt(ctx, tx, r, built)
		case result.Failed:
			if built.Status == StatusComplete {
				r.Result = &built.VersionID
			}
			err = s.endRun(ctx, tx, r, RunFailed, result.Message)
		default:
			err = s.endBuilt(ctx, tx, r, built)
		}
		if err != nil {
			return Run{}, err
		}
		return tx.Run(ctx, id)
	})
}
