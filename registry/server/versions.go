package server

import (
	"context"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

type listVersionsInput struct {
	ArtifactPath
	Type    string `query:"type" doc:"Only versions that have a build of this type." example:"aws.ami"`
	Status  string `query:"status" doc:"Only versions of this status: open, complete or failed." example:"complete"`
	Offered bool   `query:"offered" doc:"Only versions that are complete and not revoked."`
	Page
}

func (s *Server) listVersions(ctx context.Context, in *listVersionsInput) (*body[registry.VersionPage], error) {
	return answer(s.svc.Versions(ctx, in.artifact(), registry.VersionFilter{
		Type: in.Type, Status: in.Status, Offered: in.Offered, Cursor: in.Cursor, Limit: in.Limit,
	}))
}

// VersionPath is the part of a path that names a version.
type VersionPath struct {
	ArtifactPath
	Ref string `path:"ref" doc:"Number, version, constraint, channel, fingerprint, or latest; percent-encoded." example:"latest"`
}

func (s *Server) getVersion(ctx context.Context, in *VersionPath) (*body[registry.Version], error) {
	return answer(s.svc.Version(ctx, in.artifact(), in.Ref))
}

type publishInput struct {
	ArtifactPath
	Body registry.Publication
}

func (s *Server) publish(ctx context.Context, in *publishInput) (*body[registry.Receipt], error) {
	return answer(s.svc.Publish(ctx, in.artifact(), in.Body))
}

type verifyInput struct {
	VersionPath
	Body registry.VerifyRequest
}

func (s *Server) verifyVersion(ctx context.Context, in *verifyInput) (*body[registry.Version], error) {
	return answer(s.svc.Verify(ctx, in.artifact(), in.Ref, in.Body))
}

type revokeInput struct {
	VersionPath
	Body registry.RevokeRequest
}

func (s *Server) revokeVersion(ctx context.Context, in *revokeInput) (*body[registry.Version], error) {
	return answer(s.svc.Revoke(ctx, in.artifact(), in.Ref, in.Body))
}

func (s *Server) restoreVersion(ctx context.Context, in *VersionPath) (*body[registry.Version], error) {
	return answer(s.svc.Restore(ctx, in.artifact(), in.Ref))
}
