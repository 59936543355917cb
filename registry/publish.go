package registry

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Publication is one build of one version, as a publisher sends it.
type Publication struct {
	// Fingerprint names the run. All builds with the same one go to the same version.
	Fingerprint string `json:"fingerprint" doc:"Names the run; all builds with the same one go to the same version."`
	// Version is optional: without it the version is the next minor after the highest.
	Version string `json:"version,omitempty" doc:"Semantic version; the next minor after the highest, if left out."`
	// Expect are the components without which the version is not complete. Without them it is
	// complete at once.
	Expect []string `json:"expect,omitempty" doc:"Components without which the version is not complete."`
	// Channels are moved to the version when it is complete, unless they point to a newer one.
	Channels []string `json:"channels,omitempty" doc:"Channels to move to the version when it is complete. Needs the role promote."`
	// BuiltAt is when it was built, for a publication that comes late. A version that it makes counts as made
	// then, and a channel that points to a version which was made since stays there.
	BuiltAt *time.Time `json:"built_at,omitempty" doc:"When it was built, if it is published later: channels that point to a version made since stay there."`
	// VersionMetadata is about all builds of the version.
	VersionMetadata Metadata `json:"version_metadata,omitempty"`
	// Build is the build itself; CreatedAt and CreatedBy are the registry's to set.
	Build Build `json:"build"`
}

// Receipt answers a publication. The same publication gets the same answer again.
type Receipt struct {
	Artifact ArtifactName `json:"artifact"`
	VersionID
	Fingerprint string    `json:"fingerprint"`
	Component   string    `json:"component"`
	Type        Type      `json:"type"`
	PublishedAt time.Time `json:"published_at" doc:"When the build was recorded first."`
	Status      Status    `json:"status" enum:"open,complete,failed"`
	// Missing are the components that an open version still expects.
	Missing []string `json:"missing,omitempty" doc:"Components that an open version still expects."`
	// Waiting says of each image of the build that is not offered what was found of it.
	Waiting []string `json:"waiting,omitempty" doc:"Images of the build that are not offered, and what was found of them."`
	// Channels says of each requested channel where it points.
	Channels []ChannelOutcome `json:"channels,omitempty"`
}

// ChannelOutcome says what became of a channel that a publication asked for.
type ChannelOutcome struct {
	Name string `json:"name"`
	// Points is true when the channel points to the published version.
	Points bool `json:"points" doc:"Whether the channel points to the published version."`
	// Note says why it does not.
	Note string `json:"note,omitempty" doc:"Why it does not."`
}

// Publish records one build. The first publication of a fingerprint makes the version, with the next
// number; later ones add their builds to it. Publishing the same content again changes nothing and
// answers the same; a publication that has all images of before and more adds those.
//
// It needs the role publish, promote if it names channels, and admin for a terraform.provider. Invalid: any bad value, all at once;
// a file whose bytes were not uploaded. Conflict: a version that another run has, or content that
// differs from what was published, with the names of what differs.
//
// A channel never goes back by a publication: one that points to a newer version, or to one that was made
// since a late publication was built, stays there, so that a slow build does not undo a fast one. [Service.SetChannel] can move it back.
func (s *Service) Publish(ctx context.Context, name string, pub Publication) (Receipt, error) {
	n, err := ParseArtifactName(name)
	if err != nil {
		return Receipt{}, BadField("artifact", err)
	}
	role := RolePublish
	if len(pub.Channels) > 0 {
		role = RolePromote
	}
	// A provider runs with the rights of everybody who plans, administrators included.
	if typ, err := ParseType(string(pub.Build.Type)); err == nil && typ == TerraformProvider {
		role = RoleAdmin
	}
	if err := requireRole(ctx, role, n); err != nil {
		return Receipt{}, err
	}
	pub, err = normalizePublication(pub)
	if err != nil {
		return Receipt{}, err
	}
	s.stampImages(pub.Build.Images)
	if err := s.checkBlobs(ctx, n, pub.Build); err != nil {
		return Receipt{}, err
	}
	if err := s.readSBOMs(ctx, n, pub); err != nil {
		return Receipt{}, err
	}
	var receipt Receipt
	err = s.store.Update(ctx, func(tx Tx) error {
		p := s.newPublishing(ctx, tx, n)
		p.pub = pub
		receipt, err = p.run(ctx)
		return err
	})
	if err != nil {
		return Receipt{}, err
	}
	return receipt, nil
}

// checkBlobs makes sure that the bytes of all files are there, in the right size, and that the
// publisher has shown that it has them: by uploading them for this artifact, or by being allowed to
// read an artifact that has them. Else the digest of somebody else's file would be enough to read it.
func (s *Service) checkBlobs(ctx context.Context, name ArtifactName, b Build) error {
	var p problems
	for i, f := range b.Files {
		if err := s.checkBlob(ctx, &p, name, fmt.Sprintf("build.files[%d]", i), f); err != nil {
			return err
		}
	}
	for i, a := range b.Attachments {
		if err := s.checkBlob(ctx, &p, name, fmt.Sprintf("build.attachments[%d]", i), a.File); err != nil {
			return err
		}
	}
	return p.err()
}

func (s *Service) checkBlob(ctx context.Context, p *problems, name ArtifactName, field string, f File) error {
	size, err := s.blobs.Stat(ctx, f.SHA256)
	if err != nil && KindOf(err) != NotFound {
		return err
	}
	known := err == nil
	if known {
		visible := PrincipalFrom(ctx).visibility()
		visible.Artifacts = append(slices.Clone(visible.Artifacts), name)
		if known, err = s.store.BlobVisible(ctx, f.SHA256, visible); err != nil {
			return err
		}
	}
	switch {
	case !known:
		p.add(field+".sha256", "the bytes of %q (%s) are not in the registry; upload them first", f.Name, f.SHA256)
	case size != f.Size:
		p.add(field+".size", "%q is said to have %d bytes; its digest %s belongs to %d bytes", f.Name, f.Size, f.SHA256, size)
	}
	return nil
}
