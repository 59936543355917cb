package server

import (
	"context"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

type searchInput struct {
	ArtifactPath
	Body registry.SearchRequest
}

// Matches is the answer to a search.
type Matches struct {
	Matches []registry.Resolution `json:"matches" doc:"The builds that fit, all of one version."`
}

func (s *Server) search(ctx context.Context, in *searchInput) (*body[Matches], error) {
	found, err := s.svc.Search(ctx, in.artifact(), in.Body)
	if found == nil {
		found = []registry.Resolution{}
	}
	return answer(Matches{found}, err)
}
