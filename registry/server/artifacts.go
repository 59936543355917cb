package server

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// body is an answer that is a JSON body and nothing else.
type body[T any] struct{ Body T }

func answer[T any](v T, err error) (*body[T], error) {
	if err != nil {
		return nil, err
	}
	return &body[T]{v}, nil
}

// none is an answer without a body.
type none struct{}

// ArtifactPath is the part of a path that names an artifact. It is exported, as are the others that
// inputs embed, because huma looks into exported fields alone.
type ArtifactPath struct {
	Namespace string `path:"namespace" doc:"First part of the artifact's name." example:"cargomedia"`
	Name      string `path:"name" doc:"Second part of the artifact's name." example:"app"`
}

func (p ArtifactPath) artifact() string { return p.Namespace + "/" + p.Name }

// Page is the query of a list.
type Page struct {
	Cursor string `query:"cursor" doc:"next_cursor of the page before; left out for the first."`
	Limit  int    `query:"limit" doc:"Most entries of a page, 1 to 500; 50 if left out."`
}

// Resolve implements [huma.Resolver]: a limit of 0 was meant as one. The service knows 0 as "not
// given", and checks limits itself, together with all else.
func (p *Page) Resolve(ctx huma.Context) []error {
	if p.Limit == 0 && ctx.Query("limit") != "" {
		p.Limit = -1
	}
	return nil
}

type listArtifactsInput struct {
	Namespace string `query:"namespace" doc:"Only artifacts of this namespace."`
	Type      string `query:"type" doc:"Only artifacts that offer a build of this type." example:"aws.ami"`
	Text      string `query:"q" doc:"Only artifacts with this text in name or description."`
	Page
}

func (s *Server) listArtifacts(ctx context.Context, in *listArtifactsInput) (*body[registry.ArtifactPage], error) {
	return answer(s.svc.Artifacts(ctx, registry.ArtifactFilter{
		Namespace: in.Namespace, Type: in.Type, Text: in.Text, Cursor: in.Cursor, Limit: in.Limit,
	}))
}

func (s *Server) getArtifact(ctx context.Context, in *ArtifactPath) (*body[registry.Artifact], error) {
	return answer(s.svc.Artifact(ctx, in.artifact()))
}

type putArtifactInput struct {
	ArtifactPath
	Body registry.ArtifactSettings
}

func (s *Server) putArtifact(ctx context.Context, in *putArtifactInput) (*body[registry.Artifact], error) {
	return answer(s.svc.PutArtifact(ctx, in.artifact(), in.Body))
}

func (s *Server) deleteArtifact(ctx context.Context, in *ArtifactPath) (*none, error) {
	return nil, s.svc.DeleteArtifact(ctx, in.artifact())
}

func (s *Server) getAccess(ctx context.Context, in *ArtifactPath) (*body[registry.Access], error) {
	return answer(s.svc.Access(ctx, in.artifact()))
}
