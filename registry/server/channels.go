package server

import (
	"context"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// ChannelPath is the part of a path that names a channel.
type ChannelPath struct {
	ArtifactPath
	Channel string `path:"channel" doc:"Name of the channel." example:"production"`
}

func (s *Server) getChannel(ctx context.Context, in *ChannelPath) (*body[registry.ChannelHistory], error) {
	return answer(s.svc.Channel(ctx, in.artifact(), in.Channel))
}

type setChannelInput struct {
	ChannelPath
	Body registry.ChannelChange
}

func (s *Server) setChannel(ctx context.Context, in *setChannelInput) (*body[registry.ChannelHistory], error) {
	return answer(s.svc.SetChannel(ctx, in.artifact(), in.Channel, in.Body))
}

func (s *Server) deleteChannel(ctx context.Context, in *ChannelPath) (*none, error) {
	return nil, s.svc.DeleteChannel(ctx, in.artifact(), in.Channel)
}
