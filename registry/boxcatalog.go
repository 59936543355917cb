package registry

import (
	"context"
)

// Boxes returns an artifact and its versions, the highest number first, with their builds of type vagrant.box, images and
// files included, and pending boxes. Callers that may not publish see the versions that are offered, and those
// that are revoked; pending boxes are for publishers. It needs the right to read.
func (s *Service) Boxes(ctx context.Context, name string) (Artifact, []Version, error) {
	a, err := s.Artifact(ctx, name)
	if err != nil {
		return Artifact{}, nil, err
	}
	all := PrincipalFrom(ctx).may(RolePublish, a.Name)
	q := VersionQuery{Boxes: true, Limit: maxLimit}
	if !all {
		q.Status = StatusComplete
	}
	versions := []Version{}
	for {
		page, err := s.store.Versions(ctx, a.Name, q)
		if err != nil {
			return Artifact{}, nil, notFound(err, "artifact %s does not exist", a.Name)
		}
		for _, v := range page {
			if !all {
				v.Pending = nil
			}
			versions = append(versions, v.withLists())
		}
		if len(page) < q.Limit {
			return a, versions, nil
		}
		q.Before = page[len(page)-1].Number
	}
}

// BoxFile opens the file of a box, to be read by one caller, who closes it. A caller that may not publish
// gets it from versions that are complete alone. NotFound: there is none, or its bytes are elsewhere.
func (s *Service) BoxFile(ctx context.Context, name, ref, component string) (Version, Blob, error) {
	n, r, err := parseTarget(name, ref)
	if err != nil {
		return Version{}, Blob{}, err
	}
	if err := s.readable(ctx, s.store, n); err != nil {
		return Version{}, Blob{}, err
	}
	v, err := s.findFixed(ctx, s.store, n, r)
	if err != nil {
		return Version{}, Blob{}, err
	}
	publisher := PrincipalFrom(ctx).may(RolePublish, n)
	b := v.box(component)
	if b == nil || v.Status != StatusComplete && !publisher {
		return Version{}, Blob{}, Errorf(NotFound, "version %s of %s has no box %q", v.Version, n, clip(component))
	}
	if len(b.Files) == 0 {
		return Version{}, Blob{}, Errorf(NotFound, "the bytes of box %s in version %s of %s are elsewhere", component, v.Version, n)
	}
	if !publisher {
		v.Pending = nil
	}
	content, err := s.openBlob(ctx, b.Files[0].SHA256)
	if err != nil {
		return Version{}, Blob{}, err
	}
	return v.withLists(), content, nil
}
