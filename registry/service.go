package registry

import (
	"context"
	"encoding/base64"
	"sync"
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

	maxFile int64 // bytes

	sbomReaders chan struct{} // holds one for each SBOM that is being read
	// receiving holds the ids of uploads of boxes that are being received: between two calls of the blob store, another
	// transfer could put its own bytes in the place of those that were verified.
	receiving sync.Map
	// secrets are those that [Service.Secret] has returned; they never change.
	secrets     map[string][]byte
	secretsLock sync.Mutex
}

// Option changes a [Service] that is being made.
type Option func(*Service)

// WithClock replaces the clock; tests use it.
func WithClock(now func() time.Time) Option { return func(s *Service) { s.now = now } }

// WithMaxFile limits the size of a file, in bytes; without it the limit is 1 PiB.
func WithMaxFile(bytes int64) Option { return func(s *Service) { s.maxFile = bytes } }

// NewService returns a Service over two stores, which stay the caller's to close.
func NewService(store Store, blobs BlobStore, options ...Option) *Service {
	s := &Service{store: store, blobs: blobs, now: time.Now, maxFile: maxFileSize, sbomReaders: make(chan struct{}, maxSBOMReaders), secrets: map[string][]byte{}}
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

// visible says whether the caller may read an artifact, and an error only when that cannot be told.
func (s *Service) visible(ctx context.Context, r Reader, name ArtifactName) (bool, error) {
	switch err := s.readable(ctx, r, name); KindOf(err) {
	case "":
		return true, nil
	case NotFound, Unauthorized:
		return false, nil
	default:
		return false, err
	}
}

// checkCase refuses a name that differs from an existing one in case alone. It names the other only
// to those who may read it.
func (s *Service) checkCase(ctx context.Context, r Reader, name ArtifactName) error {
	other, err := r.Folded(ctx, name)
	if KindOf(err) == NotFound || err == nil && other == name {
		return nil
	}
	if err != nil {
		return err
	}
	see, err := s.visible(ctx, r, other)
	if err != nil {
		return err
	}
	e := Errorf(Conflict, "another artifact is called like %s but for upper and lower case; names differ in more than that, so choose another", name)
	if see {
		e = Errorf(Conflict, "artifact %s exists as %s; names differ in more than upper and lower case, so use that one or choose another", name, other)
	}
	return e
}

// lock locks an artifact that is made if it is not there.
func (s *Service) lock(ctx context.Context, tx Tx, name ArtifactName, now time.Time) (Counters, error) {
	counters, err := tx.LockArtifact(ctx, name, true, now)
	if KindOf(err) == Conflict {
		if explained := s.checkCase(ctx, tx, name); explained != nil {
			return Counters{}, explained
		}
	}
	return counters, err
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
