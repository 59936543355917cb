package registry

import (
	"context"
	"maps"
	"slices"
	"strconv"
)

// SearchRequest is the question that clients of Atlas asked: for builds of one type, of a version that is chosen by
// number or by what it has.
type SearchRequest struct {
	Type string `json:"type" doc:"Type of the build."`
	// Version goes before Build.
	Version string `json:"version,omitempty" doc:"A number or a version; latest, to look at the latest alone; any, for the newest that fits. Default: latest."`
	Build   string `json:"build,omitempty" doc:"A number, which is the metadata build_number; latest and any as for version. Looked at where there is no version."`
	// Metadata and MetadataKeys are compared with [FullMetadata], and with what tells the builds of one version apart:
	// component, architecture and, of a box, provider and version, where the metadata does not have them.
	Metadata     Metadata `json:"metadata,omitempty" doc:"Metadata that the build must have."`
	MetadataKeys []string `json:"metadata_keys,omitempty" doc:"Names of metadata that the build must have, with any value."`
}

// What a version or a build of a [SearchRequest] can be besides a number.
const (
	searchLatest = "latest"
	searchAny    = "any"
)

// buildNumberKey is the metadata that has the number of a build.
const buildNumberKey = "build_number"

// Search returns the builds that fit, all of one version: the one that is asked for, or with "any" the newest that has any.
// None is no error. An exact number finds versions that are revoked, too. NotFound: there is no such artifact.
func (s *Service) Search(ctx context.Context, name string, req SearchRequest) ([]Resolution, error) {
	n, err := ParseArtifactName(name)
	if err != nil {
		return nil, BadField("artifact", err)
	}
	q, err := parseSearch(req)
	if err != nil {
		return nil, err
	}
	if err := s.readable(ctx, s.store, n); err != nil {
		return nil, err
	}
	if _, err := s.store.Artifact(ctx, n); err != nil {
		return nil, notFound(err, "artifact %s does not exist", n)
	}
	if q.any {
		return s.searchAll(ctx, n, q)
	}
	v, err := s.find(ctx, s.store, n, q.ref, q.typ)
	if KindOf(err) == NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return s.searchIn(v, q)
}

// search is a request that was read.
type search struct {
	SearchRequest
	typ Type
	// ref is the version to look at, unless any is true.
	ref Ref
	any bool
	// build is "" unless a number was asked for.
	build string
}

func parseSearch(req SearchRequest) (search, error) {
	q := search{SearchRequest: req}
	var p problems
	var err error
	q.typ, err = ParseType(req.Type)
	p.check("type", err)
	switch {
	case req.Version != "":
		q.ref, q.any, err = parseSearched(req.Version)
		p.check("version", err)
	case req.Build != "" && req.Build != searchLatest && req.Build != searchAny:
		if _, err := strconv.ParseUint(req.Build, 10, 63); err != nil {
			p.add("build", "%q must be a number, latest or any", clip(req.Build))
		}
		q.any, q.build = true, req.Build
	default:
		q.ref, q.any = Ref{Kind: RefLatest, Text: searchLatest}, req.Build == searchAny
	}
	return q, p.err()
}

func parseSearched(version string) (ref Ref, any bool, err error) {
	if version == searchAny {
		return Ref{}, true, nil
	}
	ref, err = ParseRef(version)
	if err == nil && ref.Kind != RefNumber && ref.Kind != RefVersion && ref.Kind != RefLatest {
		err = Errorf(Invalid, "%q must be a number, an exact version, latest or any", clip(version))
	}
	return ref, false, err
}

// searchAll looks at all versions that are offered, the newest first.
func (s *Service) searchAll(ctx context.Context, n ArtifactName, q search) ([]Resolution, error) {
	list := VersionQuery{Type: q.typ, OfferedAt: s.time(), Limit: maxLimit}
	for {
		page, err := s.store.VersionIDs(ctx, n, list)
		if err != nil {
			return nil, err
		}
		for _, id := range page {
			v, err := s.store.Version(ctx, n, Selector{Number: id.Number})
			if err != nil && KindOf(err) != NotFound { // it may have gone meanwhile
				return nil, err
			}
			if found, err := s.searchIn(v, q); err != nil || len(found) > 0 {
				return found, err
			}
		}
		if len(page) < list.Limit {
			return nil, nil
		}
		list.Before = page[len(page)-1].Number
	}
}

// searchIn returns the builds of a version that fit.
func (s *Service) searchIn(v Version, q search) ([]Resolution, error) {
	if v.Status != StatusComplete {
		return nil, nil
	}
	var found []Resolution
	for _, b := range v.Builds {
		if !b.offered() || b.Type != q.typ || !q.fits(searched(v, b)) {
			continue
		}
		r, err := resolution(v, Ref{Text: strconv.FormatInt(v.Number, 10)}, b, Question{})
		if err != nil {
			return nil, err
		}
		r.Revoked = v.RevokedAt(s.time())
		found = append(found, r)
	}
	return found, nil
}

// searched is what a search compares with. Clients of Atlas sent provider and version of a box as its metadata.
func searched(v Version, b Build) Metadata {
	have := FullMetadata(v.Metadata, b)
	also := Metadata{"component": b.Component}
	if b.Architecture != "" {
		also["architecture"] = b.Architecture
	}
	if b.Type == VagrantBox {
		also["provider"], also["version"] = b.Provider, v.Version
	}
	maps.Copy(also, have)
	return also
}

func (q search) fits(have Metadata) bool {
	return matches(q.build, have[buildNumberKey]) && hasMetadata(have, q.Metadata) &&
		!slices.ContainsFunc(q.MetadataKeys, func(key string) bool { _, ok := have[key]; return !ok })
}
