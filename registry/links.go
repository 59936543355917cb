package registry

import (
	"context"
	"slices"
	"time"
)

// Link says that each new version of an application asks for a build of another artifact. The registry itself runs nothing:
// what is asked for is a [Run], which a runner takes.
type Link struct {
	Application ArtifactName `json:"application" doc:"Artifact whose new versions with an archive ask for a build."`
	Target      ArtifactName `json:"target" doc:"Artifact that is built then."`
	CreatedAt   time.Time    `json:"created_at"`
	CreatedBy   string       `json:"created_by" doc:"Name of the token that linked them."`
}

// Link links an application to a target. Both are made if they are not there. From then on, every version of the application
// asks for a run when it is complete and has a build of type archive; those that are there ask for none. Linking again
// changes nothing. It needs the role publish for both. Invalid: a bad name, or twice the same.
func (s *Service) Link(ctx context.Context, application, target string) (Link, error) {
	from, to, err := linkEnds(ctx, application, target)
	if err != nil {
		return Link{}, err
	}
	var link Link
	err = s.store.Update(ctx, func(tx Tx) error {
		now := s.time()
		for _, name := range bothEnds(from, to) {
			if _, err := s.lock(ctx, tx, name, now); err != nil {
				return err
			}
		}
		var err error
		if link, err = findLink(ctx, tx, from, to); KindOf(err) != NotFound {
			return err
		}
		link = Link{Application: from, Target: to, CreatedAt: now, CreatedBy: PrincipalFrom(ctx).Name}
		if err := tx.PutLink(ctx, link); err != nil {
			return err
		}
		return s.record(ctx, tx, Event{Action: ActionLinkCreate, Artifact: to, Detail: Metadata{"application": string(from)}})
	})
	if err != nil {
		return Link{}, err
	}
	return link, nil
}

// Unlink ends a link. Runs that wait for a runner, or whose runner fell silent, fail, unless their version is there; one that
// a runner has goes on. It needs the role publish for both ends. NotFound: there is no such link.
func (s *Service) Unlink(ctx context.Context, application, target string) error {
	from, to, err := linkEnds(ctx, application, target)
	if err != nil {
		return err
	}
	return s.store.Update(ctx, func(tx Tx) error {
		for _, name := range bothEnds(from, to) {
			if _, err := tx.LockArtifact(ctx, name, false, s.time()); err != nil {
				return notFound(err, "%s is not linked to %s", from, to)
			}
		}
		if err := tx.DeleteLink(ctx, from, to); err != nil {
			return notFound(err, "%s is not linked to %s", from, to)
		}
		for _, status := range []RunStatus{RunQueued, RunRunning} {
			if err := s.endWaiting(ctx, tx, from, to, status); err != nil {
				return err
			}
		}
		return s.record(ctx, tx, Event{Action: ActionLinkDelete, Artifact: to, Detail: Metadata{"application": string(from)}})
	})
}

// endWaiting ends the runs of a link that have a status and no runner.
func (s *Service) endWaiting(ctx context.Context, tx Tx, application, target ArtifactName, status RunStatus) error {
	q := RunQuery{Artifact: target, Status: status, Limit: maxLimit}
	for {
		runs, err := tx.Runs(ctx, q)
		if err != nil {
			return err
		}
		for _, r := range runs {
			held := r.LeaseUntil != nil && !r.LeaseUntil.Before(s.time())
			if r.Application != application || r.Target != target || held {
				continue
			}
			built, err := tx.Version(ctx, target, Selector{Fingerprint: r.Fingerprint})
			switch {
			case err == nil && built.Status == StatusComplete:
				err = s.endBuilt(ctx, tx, r, built)
			case err == nil || KindOf(err) == NotFound:
				err = s.endRun(ctx, tx, r, RunFailed, "the link was removed, and no runner had it")
			}
			if err != nil {
				return err
			}
		}
		if len(runs) < q.Limit {
			return nil
		}
		q.Before = runs[len(runs)-1].ID
	}
}

// Links lists the links from or to an artifact, or all for "", as far as the caller may read both ends.
func (s *Service) Links(ctx context.Context, artifact string) ([]Link, error) {
	name := ArtifactName("")
	if artifact != "" {
		var err error
		if name, err = ParseArtifactName(artifact); err != nil {
			return nil, BadField("artifact", err)
		}
	}
	if err := requireEverywhere(ctx, RoleRead); err != nil {
		return nil, err
	}
	links, err := s.store.Links(ctx, name)
	if err != nil {
		return nil, err
	}
	see, visible := s.seer(ctx, s.store), []Link{}
	for _, l := range links {
		if ok, err := see(l.Application, l.Target); err != nil {
			return nil, err
		} else if ok {
			visible = append(visible, l)
		}
	}
	return visible, nil
}

// seer returns what says whether the caller may read both ends of a link. It asks the store about each artifact once.
func (s *Service) seer(ctx context.Context, r Reader) func(application, target ArtifactName) (bool, error) {
	known := map[ArtifactName]bool{}
	return func(application, target ArtifactName) (bool, error) {
		for _, name := range []ArtifactName{application, target} {
			if _, ok := known[name]; !ok {
				visible, err := s.visible(ctx, r, name)
				if err != nil {
					return false, err
				}
				known[name] = visible
			}
			if !known[name] {
				return false, nil
			}
		}
		return true, nil
	}
}

// linkEnds reads the two ends of a link, and checks that the caller may change it.
func linkEnds(ctx context.Context, application, target string) (from, to ArtifactName, err error) {
	var p problems
	from, err = ParseArtifactName(application)
	p.check("application", err)
	to, err = ParseArtifactName(target)
	p.check("target", err)
	if from == to && from != "" {
		p.add("target", "is the application itself; link it to the artifact that is built from it")
	}
	if err := p.err(); err != nil {
		return "", "", err
	}
	if err := requireRole(ctx, RolePublish, from); err != nil {
		return "", "", err
	}
	return from, to, requireRole(ctx, RolePublish, to)
}

// bothEnds is the order in which the ends of a link are locked, whichever it links to which: else two callers could wait
// for each other.
func bothEnds(application, target ArtifactName) []ArtifactName {
	return slices.Sorted(slices.Values([]ArtifactName{application, target}))
}

// findLink returns a link. NotFound: the two are not linked.
func findLink(ctx context.Context, r Reader, application, target ArtifactName) (Link, error) {
	links, err := r.Links(ctx, application)
	if err != nil {
		return Link{}, err
	}
	for _, l := range links {
		if l.Application == application && l.Target == target {
			return l, nil
		}
	}
	return Link{}, Errorf(NotFound, "%s is not linked to %s; link them with: almanac link %s %s", application, target, application, target)
}
