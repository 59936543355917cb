package registry

import (
	"context"
	"encoding/base64"
	"time"
)

// Service is the registry: all rules, and the only door to a [Store] and a [BlobStore]. Its methods
// may be called from many goroutines. Who calls travels in the context ([WithPrincipal]); each
// method checks the caller's right once.
//
// Kinds of errors that any method may return: Unauthorized without a token that is needed, Forbidden
// with one that does not allow it, NotFound for what is not there or may not be known, Unavailable
// while a store is away. What a method's comment lists comes on top.
type Service struct {
	store Store
	blobs BlobStore
	now   func() time.Time
}

// Option changes a [Service] that is being made.
type Option func(*Service)

// WithClock replaces the clock; tests use it.
func WithClock(now func() time.Time) Option { return func(s *Service) { s.now = now } }

// NewService returns a Service over two stores, which stay the caller's to close.
func NewService(store Store, blobs BlobStore, options ...Option) *Service {
	s := &Service{store: store, blobs: blobs, now: time.Now}
	for _, option := range options {
		option(s)
	}
	return s
}

// time returns the present to the microsecond, which is what a store keeps.
func (s *Service) time() time.Time { return s.now().UTC().Truncate(time.Microsecond) }

// Ready returns nil when both stores can be read and written.
func (s *Service) Ready(ctx context.Context) error {
	if err := s.store.Ping(ctx); err != nil {
		return err
	}
	return s.blobs.Ping(ctx)
}

// readable returns nil when the caller may read an artifact: its token covers it, or it is public.
// It does not say whether an artifact that the token covers exists.
func (s *Service) readable(ctx context.Context, r Reader, name ArtifactName) error {
	if PrincipalFrom(ctx).may(RoleRead, name) {
		return nil
	}
	a, err := r.Artifact(ctx, name)
	if KindOf(err) == NotFound || err == nil && !a.Public {
		return errHidden(ctx, "artifact %s does not exist, or this token may not read it", name)
	}
	return err
}

// notFound gives an error of a store that something is not there the words of the domain.
func notFound(err error, format string, args ...any) error {
	if KindOf(err) == NotFound {
		return Errorf(NotFound, format, args...)
	}
	return err
}

// Limits of lists.
const (
	defaultLimit = 50
	maxLimit     = 500
)

func pageLimit(p *problems, limit int) int {
	switch {
	case limit == 0:
		return defaultLimit
	case limit < 0 || limit > maxLimit:
		p.add("limit", "must be 1 to %d", maxLimit)
	}
	return limit
}

// Cursors are opaque to callers, so that what they hold can change.
func encodeCursor(position string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(position))
}

// decodeCursor hands what a cursor holds to parse, and reports a cursor of which it makes nothing.
func decodeCursor(p *problems, cursor string, parse func(position string) error) {
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		err = parse(string(raw))
	}
	if err != nil {
		p.add("cursor", "is not one that this registry gave out; leave it out to begin at the start")
	}
}

// list is s, or an empty list for nil, so that JSON has [] and never null.
func list[S ~[]E, E any](s S) S {
	if s == nil {
		return S{}
	}
	return s
}

// withLists returns v as callers see it, without nil lists and maps.
func (v Version) withLists() Version {
	v.Expect, v.Requested, v.Builds = list(v.Expect), list(v.Requested), list(v.Builds)
	if v.Metadata == nil {
		v.Metadata = Metadata{}
	}
	return v
}

// withLists returns a as callers see it, without nil lists.
func (a Artifact) withLists() Artifact {
	a.Types, a.Channels = list(a.Types), list(a.Channels)
	return a
}
