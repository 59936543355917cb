package server

import (
	"context"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// tokenList is the body of a list of tokens.
type tokenList struct {
	Tokens []registry.Token `json:"tokens"`
}

func (s *Server) listTokens(ctx context.Context, _ *struct{}) (*body[tokenList], error) {
	tokens, err := s.svc.Tokens(ctx)
	return answer(tokenList{tokens}, err)
}

type createTokenInput struct{ Body registry.TokenRequest }

func (s *Server) createToken(ctx context.Context, in *createTokenInput) (*body[registry.NewToken], error) {
	return answer(s.svc.CreateToken(ctx, in.Body))
}

type revokeTokenInput struct {
	Token string `path:"token" doc:"Id or name of the token." example:"ci"`
}

func (s *Server) revokeToken(ctx context.Context, in *revokeTokenInput) (*body[registry.Token], error) {
	return answer(s.svc.RevokeToken(ctx, in.Token))
}
