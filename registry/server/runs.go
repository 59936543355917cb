package server

import (
	"context"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

type linkPath struct {
	Namespace       string `path:"namespace" doc:"First part of the application's name." example:"cargomedia"`
	Name            string `path:"name" doc:"Second part of the application's name." example:"app"`
	TargetNamespace string `path:"target_namespace" doc:"First part of the target's name." example:"cargomedia"`
	TargetName      string `path:"target_name" doc:"Second part of the target's name." example:"app-image"`
}

func (p linkPath) application() string { return p.Namespace + "/" + p.Name }
func (p linkPath) target() string      { return p.TargetNamespace + "/" + p.TargetName }

func (s *Server) link(ctx context.Context, in *linkPath) (*body[registry.Link], error) {
	return answer(s.svc.Link(ctx, in.application(), in.target()))
}

func (s *Server) unlink(ctx context.Context, in *linkPath) (*none, error) {
	return nil, s.svc.Unlink(ctx, in.application(), in.target())
}

type listLinksInput struct {
	Artifact string `query:"artifact" doc:"Only links from or to this artifact." example:"cargomedia/app"`
}

// linkList is the body of a list of links.
type linkList struct {
	Links []registry.Link `json:"links" doc:"In the order of application and target."`
}

func (s *Server) listLinks(ctx context.Context, in *listLinksInput) (*body[linkList], error) {
	links, err := s.svc.Links(ctx, in.Artifact)
	return answer(linkList{links}, err)
}

type listRunsInput struct {
	Artifact string `query:"artifact" doc:"Only runs of this application, or for this target." example:"cargomedia/app"`
	Status   string `query:"status" doc:"Only runs of this status: queued, running, done or failed." example:"failed"`
	Page
}

func (s *Server) listRuns(ctx context.Context, in *listRunsInput) (*body[registry.RunPage], error) {
	return answer(s.svc.Runs(ctx, registry.RunFilter{Artifact: in.Artifact, Status: in.Status, Cursor: in.Cursor, Limit: in.Limit}))
}

// RunPath is the part of a path that names a run.
type RunPath struct {
	ID int64 `path:"id" doc:"Id of the run." example:"1"`
}

func (s *Server) getRun(ctx context.Context, in *RunPath) (*body[registry.Run], error) {
	return answer(s.svc.Run(ctx, in.ID))
}

func (s *Server) repeatRun(ctx context.Context, in *RunPath) (*body[registry.Run], error) {
	return answer(s.svc.RepeatRun(ctx, in.ID))
}

type claimRunInput struct{ Body registry.ClaimRequest }

func (s *Server) claimRun(ctx context.Context, in *claimRunInput) (*body[registry.Claim], error) {
	return answer(s.svc.ClaimRun(ctx, in.Body))
}

// RunRenewal is the body of a sign of life.
type RunRenewal struct {
	Lease        string `json:"lease" doc:"The secret of the claim."`
	LeaseSeconds int    `json:"lease_seconds" doc:"How long the runner may be silent from now on: 5 to 3600."`
}

type renewRunInput struct {
	RunPath
	Body RunRenewal
}

func (s *Server) renewRun(ctx context.Context, in *renewRunInput) (*body[registry.Run], error) {
	return answer(s.svc.RenewRun(ctx, in.ID, in.Body.Lease, in.Body.LeaseSeconds))
}

type finishRunInput struct {
	RunPath
	Body registry.RunResult
}

func (s *Server) finishRun(ctx context.Context, in *finishRunInput) (*body[registry.Run], error) {
	return answer(s.svc.FinishRun(ctx, in.ID, in.Body))
}

type appendRunLogInput struct {
	RunPath
	Body registry.RunLogPart
}

func (s *Server) appendRunLog(ctx context.Context, in *appendRunLogInput) (*body[registry.RunLogEnd], error) {
	return answer(s.svc.AppendRunLog(ctx, in.ID, in.Body))
}

type getRunLogInput struct {
	RunPath
	From int64 `query:"from" doc:"Where to begin, in bytes: next of the piece before. 0, or left out, begins at the start."`
}

func (s *Server) getRunLog(ctx context.Context, in *getRunLogInput) (*body[registry.RunLog], error) {
	return answer(s.svc.RunLog(ctx, in.ID, in.From))
}
