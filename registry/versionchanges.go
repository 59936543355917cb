package registry

import (
	"context"
	"crypto/rand"
	"encoding/hex"
)

// maxVersionDescription is how many bytes the description of a version can have.
const maxVersionDescription = 64 << 10

// VersionRequest opens a version.
type VersionRequest struct {
	Version     string
	Description string
}

// OpenVersion makes a version that is open and held, with a fingerprint of the registry's choice. It needs the role
// publish; the artifact must be there. Conflict: the version exists.
func (s *Service) OpenVersion(ctx context.Context, name string, req VersionRequest) (Version, error) {
	n, err := ParseArtifactName(name)
	if err != nil {
		return Version{}, BadField("artifact", err)
	}
	if err := requireRole(ctx, RolePublish, n); err != nil {
		return Version{}, err
	}
	var bad problems
	bad.check("version", CheckSemver(req.Version))
	bad.check("description", checkVersionDescription(req.Description))
	if err := bad.err(); err != nil {
		return Version{}, err
	}
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails (crypto/rand)
	var v Version
	err = s.store.Update(ctx, func(tx Tx) error {
		p := s.newPublishing(ctx, tx, n)
		var err error
		if p.counters, err = tx.LockArtifact(ctx, n, false, p.now); err != nil {
			return notFound(err, "artifact %s does not exist", n)
		}
		err = p.insertVersion(ctx, Version{
			VersionID: VersionID{Version: req.Version}, Fingerprint: hex.EncodeToString(id[:]),
			Held: true, Description: req.Description, CreatedAt: p.now,
		})
		if err != nil {
			return err
		}
		v = p.version
		p.event(ActionVersionOpen, nil)
		return p.recordEvents(ctx)
	})
	if err != nil {
		return Version{}, err
	}
	return v.withLists(), nil
}

func checkVersionDescription(text string) error {
	return checkText(text, maxVersionDescription, "\t\n\r")
}

// DescribeVersion sets the description of a version, in any status. It needs the role publish. ref is one that names the
// same version for ever, as in all methods about boxes.
func (s *Service) DescribeVersion(ctx context.Context, name, ref, description string) (Version, error) {
	n, r, err := publisherTarget(ctx, name, ref)
	if err != nil {
		return Version{}, err
	}
	if err := BadField("description", checkVersionDescription(description)); err != nil {
		return Version{}, err
	}
	return s.changeVersion(ctx, n, r, func(p *publishing) error {
		if p.version.Description != description {
			p.version.Description, p.changed = description, true
			p.event(ActionVersionDescribe, nil)
		}
		return nil
	})
}

// ReleaseVersion ends the hold of a version, which is complete then unless it lacks something else. It needs the role
// publish. Conflict: it is not held ("… has already been released" is in the text); it has no build.
func (s *Service) ReleaseVersion(ctx context.Context, name, ref string) (Version, error) {
	n, r, err := publisherTarget(ctx, name, ref)
	if err != nil {
		return Version{}, err
	}
	return s.changeVersion(ctx, n, r, func(p *publishing) error {
		v := &p.version
		switch {
		case !v.Held:
			return Errorf(Conflict, "version %s of %s has already been released", v.Version, p.name)
		case len(v.Builds) == 0:
			return Errorf(Conflict, "version %s of %s has no build yet; upload a box before it is released", v.Version, p.name)
		}
		v.Held, p.changed = false, true
		p.event(ActionVersionRelease, nil)
		return nil
	})
}

// DeleteVersion removes a version for good. Its number is not given again; its semantic version can be. It needs the role
// publish for a version that was never complete, and admin for any other.
func (s *Service) DeleteVersion(ctx context.Context, name, ref string) error {
	n, r, err := publisherTarget(ctx, name, ref)
	if err != nil {
		return err
	}
	return s.store.Update(ctx, func(tx Tx) error {
		p := s.newPublishing(ctx, tx, n)
		if err := p.lockVersion(ctx, r); err != nil {
			return err
		}
		if err := p.requireUndoable(ctx); err != nil {
			return err
		}
		if err := tx.DeleteVersion(ctx, n, p.version.Number); err != nil {
			return err
		}
		if err := p.refreshLatest(ctx, tx, n, headTypes(p.version)); err != nil {
			return err
		}
		p.event(ActionVersionDelete, nil)
		return p.recordEvents(ctx)
	})
}

// requireUndoable checks the right to take back what the version has: somebody may rely on what was complete once.
func (p *publishing) requireUndoable(ctx context.Context) error {
	if p.version.Completed == nil {
		return nil
	}
	return requireRole(ctx, RoleAdmin, p.name)
}

// publisherTarget reads what a publisher wants to change, and checks that it may.
func publisherTarget(ctx context.Context, name, ref string) (ArtifactName, Ref, error) {
	n, r, err := parseTarget(name, ref)
	if err != nil {
		return "", Ref{}, err
	}
	return n, r, requireRole(ctx, RolePublish, n)
}

func (s *Service) newPublishing(ctx context.Context, tx Tx, name ArtifactName) publishing {
	return publishing{Service: s, tx: tx, name: name, now: s.time(), actor: PrincipalFrom(ctx).Name}
}

// lockVersion finds the version that a ref names for ever.
func (p *publishing) lockVersion(ctx context.Context, ref Ref) (err error) {
	if p.counters, err = p.tx.LockArtifact(ctx, p.name, false, p.now); err != nil {
		return notFound(err, "artifact %s does not exist", p.name)
	}
	p.version, err = p.findFixed(ctx, p.tx, p.name, ref)
	return err
}

// event notes what was done to the version, with its semantic version and what else there is to say.
func (p *publishing) event(action string, detail Metadata) {
	if detail == nil {
		detail = Metadata{}
	}
	detail["version"] = p.version.Version
	p.events = append(p.events, Event{Action: action, Detail: detail})
}

// changeVersion changes a version that exists, lets status, answers, latest and channels follow, and returns
// the version as it is then. change may run more than once.
func (s *Service) changeVersion(ctx context.Context, name ArtifactName, ref Ref, change func(*publishing) error) (Version, error) {
	var v Version
	err := s.store.Update(ctx, func(tx Tx) error {
		p := s.newPublishing(ctx, tx, name)
		if err := p.lockVersion(ctx, ref); err != nil {
			return err
		}
		if err := change(&p); err != nil {
			return err
		}
		if err := p.complete(ctx); err != nil {
			return err
		}
		var err error
		if v, err = tx.Version(ctx, name, Selector{Number: p.version.Number}); err != nil {
			return err
		}
		return p.recordEvents(ctx)
	})
	if err != nil {
		return Version{}, err
	}
	return v.withLists(), nil
}
