package registry

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// VersionFilter narrows and pages a list of versions.
type VersionFilter struct {
	Type string
	// Status is open, complete or failed; "" is any.
	Status string
	// Offered keeps versions that are complete and not revoked.
	Offered bool
	// Cursor is the Next of the page before; "" begins at the newest.
	Cursor string
	// Limit is 1 to 500; 0 is 50.
	Limit int
}

// VersionPage is one page of a list of versions.
type VersionPage struct {
	Versions []Version `json:"versions"`
	Next     string    `json:"next_cursor,omitempty" doc:"Send as cursor for the next page; absent on the last."`
}

// Versions lists an artifact's versions, the highest number first. Their builds come without
// metadata, images and files. Held versions are for those who may publish; a page without them can be shorter.
func (s *Service) Versions(ctx context.Context, name string, f VersionFilter) (VersionPage, error) {
	n, err := ParseArtifactName(name)
	if err != nil {
		return VersionPage{}, BadField("artifact", err)
	}
	if err := s.readable(ctx, s.store, n); err != nil {
		return VersionPage{}, err
	}
	var p problems
	q := VersionQuery{Limit: pageLimit(&p, f.Limit)}
	if f.Type != "" {
		q.Type, err = ParseType(f.Type)
		p.check("type", err)
	}
	switch q.Status = Status(f.Status); q.Status {
	case "", StatusOpen, StatusComplete, StatusFailed:
	default:
		p.add("status", "%q is none; use open, complete or failed", clip(f.Status))
	}
	if f.Offered {
		q.OfferedAt = s.time()
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
	if err := p.err(); err != nil {
		return VersionPage{}, err
	}
	limit := q.Limit
	q.Limit++
	versions, err := s.store.Versions(ctx, n, q)
	if err != nil {
		return VersionPage{}, notFound(err, "artifact %s does not exist", n)
	}
	page := VersionPage{Versions: []Version{}}
	publisher := PrincipalFrom(ctx).may(RolePublish, n)
	for _, v := range versions[:min(limit, len(versions))] {
		if !v.Held || publisher {
			page.Versions = append(page.Versions, v.withLists())
		}
	}
	if len(versions) > limit {
		page.Next = encodeCursor(strconv.FormatInt(versions[limit-1].Number, 10))
	}
	return page, nil
}

// Version returns the version that a ref names, with all that belongs to it. Numbers, versions and fingerprints find
// versions that are open or revoked, too. Held versions and pending boxes are for those who may publish.
func (s *Service) Version(ctx context.Context, name, ref string) (Version, error) {
	n, r, err := parseTarget(name, ref)
	if err != nil {
		return Version{}, err
	}
	if err := s.readable(ctx, s.store, n); err != nil {
		return Version{}, err
	}
	v, err := s.find(ctx, s.store, n, r, "")
	if !PrincipalFrom(ctx).may(RolePublish, n) {
		if v.Held {
			return Version{}, s.explainMissing(ctx, s.store, n, r, "")
		}
		v.Pending = nil
	}
	return v.withLists(), err
}

func parseTarget(name, ref string) (ArtifactName, Ref, error) {
	var p problems
	n, err := ParseArtifactName(name)
	p.check("artifact", err)
	r, err := ParseRef(ref)
	p.check("ref", err)
	return n, r, p.err()
}

// find returns the version that a ref names. typ narrows latest and constraints to versions that
// have a build of that type; "" does not.
func (s *Service) find(ctx context.Context, r Reader, name ArtifactName, ref Ref, typ Type) (Version, error) {
	var v Version
	var err error
	switch ref.Kind {
	case RefLatest:
		v, err = s.latest(ctx, r, name, typ)
	case RefNumber:
		v, err = r.Version(ctx, name, Selector{Number: ref.Number})
	case RefVersion:
		v, err = r.Version(ctx, name, Selector{Version: ref.Name})
	case RefFingerprint:
		v, err = r.Version(ctx, name, Selector{Fingerprint: ref.Name})
	case RefConstraint:
		v, err = s.newestAllowed(ctx, r, name, ref, typ)
	case RefName:
		v, err = r.Version(ctx, name, Selector{Channel: ref.Name})
		if KindOf(err) == NotFound {
			v, err = r.Version(ctx, name, Selector{Fingerprint: ref.Name})
		}
	}
	if KindOf(err) == NotFound {
		return Version{}, s.explainMissing(ctx, r, name, ref, typ)
	}
	return v, err
}

// latest follows the head that the store keeps. A revocation that was set for later moves no head
// when its time comes, so the head is checked against the clock.
func (s *Service) latest(ctx context.Context, r Reader, name ArtifactName, typ Type) (Version, error) {
	v, err := r.Version(ctx, name, Selector{Latest: true, Type: typ})
	if err != nil || v.OfferedAt(s.time()) {
		return v, err
	}
	return s.newestOffered(ctx, r, name, typ)
}

func (s *Service) newestOffered(ctx context.Context, r Reader, name ArtifactName, typ Type) (Version, error) {
	newest, err := r.VersionIDs(ctx, name, VersionQuery{Type: typ, OfferedAt: s.time(), Limit: 1})
	if err != nil {
		return Version{}, err
	}
	if len(newest) == 0 {
		return Version{}, Errorf(NotFound, "no version is offered")
	}
	return r.Version(ctx, name, Selector{Number: newest[0].Number})
}

// newestAllowed returns the offered version with the highest semantic version that fits.
func (s *Service) newestAllowed(ctx context.Context, r Reader, name ArtifactName, ref Ref, typ Type) (Version, error) {
	var best VersionID
	q := VersionQuery{Type: typ, OfferedAt: s.time(), Limit: maxLimit}
	for {
		versions, err := r.VersionIDs(ctx, name, q)
		if err != nil {
			return Version{}, err
		}
		for _, v := range versions {
			if ref.allows(v.Version) && (best.Number == 0 || CompareSemver(v.Version, best.Version) > 0) {
				best = v
			}
		}
		if len(versions) < q.Limit {
			break
		}
		q.Before = versions[len(versions)-1].Number
	}
	if best.Number == 0 {
		return Version{}, Errorf(NotFound, "no version fits")
	}
	return r.Version(ctx, name, Selector{Number: best.Number})
}

// explainMissing says what was asked for and what there is instead.
func (s *Service) explainMissing(ctx context.Context, r Reader, name ArtifactName, ref Ref, typ Type) error {
	a, err := r.Artifact(ctx, name)
	if err != nil {
		return notFound(err, "artifact %s does not exist", name)
	}
	ofType := ""
	if typ != "" {
		ofType = " with a build of type " + string(typ)
	}
	e := &Error{Kind: NotFound}
	switch ref.Kind {
	case RefLatest:
		e.Msg = string(name) + " has no version" + ofType + " that is complete and not revoked"
		if a.Latest != nil && typ != "" {
			e.Choices = typeNames(a.Types)
			e.Msg += "; it offers: " + strings.Join(e.Choices, ", ")
		}
		return e
	case RefName:
		for _, c := range a.Channels {
			e.Choices = append(e.Choices, c.Name)
		}
		e.Msg = string(name) + " has no channel or fingerprint " + strconv.Quote(ref.Text)
		if len(e.Choices) > 0 {
			e.Msg += "; its channels are: " + strings.Join(e.Choices, ", ")
		}
	case RefConstraint:
		e.Msg = string(name) + " offers no version" + ofType + " that fits " + strconv.Quote(ref.Text)
	default:
		e.Msg = string(name) + " has no version " + ref.Text
	}
	if a.Latest != nil {
		e.Msg += "; the latest is " + a.Latest.Version + " (number " + strconv.FormatInt(a.Latest.Number, 10) + ")"
	}
	return e
}

func typeNames(types []Type) []string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = string(t)
	}
	return names
}

// RevokeRequest says when and why a version is taken out of what is offered.
type RevokeRequest struct {
	// At is when it takes effect; nil is now.
	At     *time.Time `json:"at,omitempty" doc:"When it takes effect; now, if left out."`
	Reason string     `json:"reason" minLength:"1" maxLength:"1000" doc:"Shown to whoever still asks for the version."`
}

// Revoke takes a complete version, or a failed one for good, out of what latest, constraints and catalogs offer, now or at a
// later time; an exact number, version or fingerprint, and a channel that points to it, still find it
// and say that it is revoked. It needs the role promote. Revoking again replaces time and reason.
// Invalid: a ref that can float (latest, a constraint, a channel), no reason. Conflict: a version that
// is open.
func (s *Service) Revoke(ctx context.Context, name, ref string, req RevokeRequest) (Version, error) {
	var p problems
	if strings.TrimSpace(req.Reason) == "" {
		p.add("reason", "is missing; say why, for whoever still uses the version")
	}
	p.check("reason", checkText(req.Reason, 1000, "\t\n\r"))
	if err := p.err(); err != nil {
		return Version{}, err
	}
	return s.changeOffer(ctx, name, ref, func(v *Version, now time.Time) (Event, error) {
		if v.Status == StatusOpen {
			return Event{}, Errorf(Conflict, "version %d of %s is open; only a complete or failed version can be revoked", v.Number, v.Artifact)
		}
		at := now
		if req.At != nil {
			at = req.At.UTC().Truncate(time.Microsecond)
		}
		v.Revocation = &Revocation{At: at, By: PrincipalFrom(ctx).Name, Reason: req.Reason}
		return Event{Action: ActionVersionRevoke, Detail: Metadata{"at": at.Format(time.RFC3339Nano), "reason": req.Reason}}, nil
	})
}

// Restore undoes [Service.Revoke]. It needs the role promote. Restoring what is not revoked changes
// nothing.
func (s *Service) Restore(ctx context.Context, name, ref string) (Version, error) {
	return s.changeOffer(ctx, name, ref, func(v *Version, _ time.Time) (Event, error) {
		if v.Revocation == nil {
			return Event{}, nil
		}
		v.Revocation = nil
		return Event{Action: ActionVersionRestore}, nil
	})
}

// changeOffer changes whether a version is offered and lets latest follow. An event without an
// action means that there was nothing to change.
func (s *Service) changeOffer(ctx context.Context, name, ref string, change func(*Version, time.Time) (Event, error)) (Version, error) {
	n, r, err := parseTarget(name, ref)
	if err != nil {
		return Version{}, err
	}
	if err := requireRole(ctx, RolePromote, n); err != nil {
		return Version{}, err
	}
	var v Version
	err = s.store.Update(ctx, func(tx Tx) error {
		now := s.time()
		if _, err := tx.LockArtifact(ctx, n, false, now); err != nil {
			return notFound(err, "artifact %s does not exist", n)
		}
		if v, err = s.findFixed(ctx, tx, n, r); err != nil {
			return err
		}
		event, err := change(&v, now)
		if err != nil || event.Action == "" {
			return err
		}
		if err := tx.UpdateVersion(ctx, v); err != nil {
			return err
		}
		if err := s.refreshLatest(ctx, tx, n, headTypes(v)); err != nil {
			return err
		}
		event.Artifact, event.Number = n, v.Number
		return s.record(ctx, tx, event)
	})
	return v.withLists(), err
}

// findFixed is find for refs that name the same version for ever.
func (s *Service) findFixed(ctx context.Context, r Reader, name ArtifactName, ref Ref) (Version, error) {
	floating := ref.Kind == RefLatest || ref.Kind == RefConstraint
	if ref.Kind == RefName {
		_, _, err := r.Channel(ctx, name, ref.Name, 0)
		if err != nil && KindOf(err) != NotFound {
			return Version{}, err
		}
		floating = err == nil
	}
	v, err := s.find(ctx, r, name, ref, "")
	if err == nil && floating {
		err = BadField("ref", fmt.Errorf("%q can name another version by the time it is read; it names number %d now, so give that", ref.Text, v.Number))
	}
	return v, err
}

// RefreshLatest lets latest, and the lists of artifacts, follow revocations that were set for a time
// which has come, and returns how many. The server calls it now and then; it needs no caller.
func (s *Service) RefreshLatest(ctx context.Context) (int, error) {
	const batch = 100
	refreshed := 0
	for {
		due, err := s.store.RevokedLatest(ctx, s.time(), batch)
		if err != nil {
			return refreshed, err
		}
		for _, key := range due {
			err := s.store.Update(ctx, func(tx Tx) error {
				if _, err := tx.LockArtifact(ctx, key.Artifact, false, s.time()); err != nil {
					return err
				}
				v, err := tx.Version(ctx, key.Artifact, Selector{Number: key.Number})
				if err != nil {
					return err
				}
				return s.refreshLatest(ctx, tx, key.Artifact, headTypes(v))
			})
			// An artifact that was deleted meanwhile has no latest.
			if err != nil && KindOf(err) != NotFound {
				return refreshed, err
			}
			refreshed++
		}
		if len(due) < batch {
			return refreshed, nil
		}
	}
}

// refreshLatest sets the heads of types, after a version that has builds of them came to be offered or
// ceased to be.
func (s *Service) refreshLatest(ctx context.Context, tx Tx, name ArtifactName, types []Type) error {
	for _, typ := range types {
		newest, err := s.newestOffered(ctx, tx, name, typ)
		if err != nil && KindOf(err) != NotFound {
			return err
		}
		if err := tx.SetLatest(ctx, name, typ, newest.Number); err != nil {
			return err
		}
	}
	return nil
}

// headTypes are the types under which latest can find a version: those of its builds, and "" for any.
func headTypes(v Version) []Type {
	types := map[Type]bool{"": true}
	for _, b := range v.Builds {
		if b.offered() {
			types[b.Type] = true
		}
	}
	return slices.Sorted(maps.Keys(types))
}
