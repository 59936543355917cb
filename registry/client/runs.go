package client

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"unicode/utf8"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// Link is [registry.Service.Link].
func (c *Client) Link(ctx context.Context, application, target string) (registry.Link, error) {
	p, err := linkPath(application, target)
	if err != nil {
		return registry.Link{}, err
	}
	return call(ctx, c, request{method: http.MethodPut, path: p}, func(l registry.Link) error {
		if l.Application == "" || l.Target == "" {
			return errOtherShape
		}
		return same("application", string(l.Application), application, "target", string(l.Target), target)
	})
}

// Unlink is [registry.Service.Unlink]. When the answer to a first try was lost, a link that is gone at the second counts
// as ended.
func (c *Client) Unlink(ctx context.Context, application, target string) error {
	p, err := linkPath(application, target)
	if err != nil {
		return err
	}
	t, err := c.callEmpty(ctx, request{method: http.MethodDelete, path: p})
	if registry.KindOf(err) == registry.NotFound && t.unsure {
		return nil
	}
	return err
}

// linkPath is the path of a link. What is no name at its ends is told at once.
func linkPath(application, target string) (string, error) {
	from, fromErr := registry.ParseArtifactName(application)
	to, toErr := registry.ParseArtifactName(target)
	var fields []registry.FieldError
	if fromErr != nil {
		fields = append(fields, registry.FieldError{Field: "application", Message: fromErr.Error()})
	}
	if toErr != nil {
		fields = append(fields, registry.FieldError{Field: "target", Message: toErr.Error()})
	}
	if len(fields) > 0 {
		return "", &registry.Error{Kind: registry.Invalid, Msg: "there can be no such link", Fields: fields}
	}
	return path("links", from.Namespace(), from.Name(), to.Namespace(), to.Name())
}

// Links is [registry.Service.Links].
func (c *Client) Links(ctx context.Context, artifact string) ([]registry.Link, error) {
	type answer struct {
		Links []registry.Link `json:"links"`
	}
	a, err := call(ctx, c, get("/v1/links", params("artifact", artifact)), func(a answer) error { return shaped(a.Links != nil) })
	return a.Links, err
}

// Runs is [registry.Service.Runs]: one page, the newest first.
func (c *Client) Runs(ctx context.Context, f registry.RunFilter) (registry.RunPage, error) {
	q := params("artifact", f.Artifact, "status", f.Status, "cursor", f.Cursor, "limit", number(f.Limit))
	return call(ctx, c, get("/v1/runs", q), func(p registry.RunPage) error { return shaped(p.Runs != nil) })
}

// Run is [registry.Service.Run].
func (c *Client) Run(ctx context.Context, id int64) (registry.Run, error) {
	return call(ctx, c, get(runPath(id, ""), nil), isRun(id))
}

// runPath is the path of a run, or of what is done with it.
func runPath(id int64, action string) string { return "/v1/runs/" + strconv.FormatInt(id, 10) + action }

// isRun returns what holds a run against the one that was asked about.
func isRun(id int64) func(registry.Run) error {
	return func(r registry.Run) error {
		if r.ID < 1 || r.Status == "" {
			return errOtherShape
		}
		return same("run", strconv.FormatInt(r.ID, 10), strconv.FormatInt(id, 10))
	}
}

// RepeatRun is [registry.Service.RepeatRun]. When the answer to a first try was lost, a run that waits for a runner as a
// repeated one, or is with one, counts as repeated.
func (c *Client) RepeatRun(ctx context.Context, id int64) (registry.Run, error) {
	r := request{method: http.MethodPost, path: runPath(id, "/repeat")}
	run, t, err := callTries(ctx, c, r, isRun(id))
	if registry.KindOf(err) == registry.Conflict && t.unsure {
		if found, lost := c.Run(ctx, id); lost == nil && found.Repeats > 0 && found.FinishedAt == nil {
			return found, nil
		}
	}
	return run, err
}

// ClaimRun is [registry.Service.ClaimRun]. When the answer to a first try was lost, the run that was in it is with nobody
// until its lease ends; then a runner gets it, this one or another. The second try takes the next one.
func (c *Client) ClaimRun(ctx context.Context, req registry.ClaimRequest) (registry.Claim, error) {
	return call(ctx, c, request{method: http.MethodPost, path: "/v1/runs/claim", body: req}, func(claim registry.Claim) error {
		run := claim.Run
		if run == nil {
			// Nothing to do is {}, which JSON of a foreign server passes for. Runners ask again anyway.
			return shaped(claim.Lease == "")
		}
		if claim.Lease == "" || run.ID < 1 || run.Fingerprint == "" {
			return errOtherShape
		}
		return same("application", string(run.Application), req.Application, "target", string(run.Target), req.Target)
	})
}

// RenewRun is [registry.Service.RenewRun].
func (c *Client) RenewRun(ctx context.Context, id int64, lease string, seconds int) (registry.Run, error) {
	type renewal struct {
		Lease        string `json:"lease"`
		LeaseSeconds int    `json:"lease_seconds"`
	}
	r := request{method: http.MethodPost, path: runPath(id, "/renew"), body: renewal{lease, seconds}}
	return call(ctx, c, r, isRun(id))
}

// FinishRun is [registry.Service.FinishRun].
func (c *Client) FinishRun(ctx context.Context, id int64, result registry.RunResult) (registry.Run, error) {
	r := request{method: http.MethodPost, path: runPath(id, "/finish"), body: result}
	return call(ctx, c, r, func(run registry.Run) error {
		if run.FinishedAt == nil {
			return errOtherShape
		}
		return isRun(id)(run)
	})
}

// AppendRunLog is [registry.Service.AppendRunLog].
func (c *Client) AppendRunLog(ctx context.Context, id int64, part registry.RunLogPart) (registry.RunLogEnd, error) {
	// JSON would mend it, and the log would have another length than the caller thinks.
	if !utf8.ValidString(part.Text) {
		return registry.RunLogEnd{}, registry.BadField("text", errors.New("is not UTF-8, or has a NUL"))
	}
	r := request{method: http.MethodPost, path: runPath(id, "/log"), body: part}
	return call(ctx, c, r, func(end registry.RunLogEnd) error {
		return shaped(end.Full || end.Size == part.Offset+int64(len(part.Text)))
	})
}

// RunLog is [registry.Service.RunLog].
func (c *Client) RunLog(ctx context.Context, id, from int64) (registry.RunLog, error) {
	return call(ctx, c, get(runPath(id, "/log"), params("from", number(from))), func(l registry.RunLog) error {
		// Whoever follows a log asks again from Next: it must lead on.
		return shaped(l.Next >= from && (l.Text == "") == (l.Next == from))
	})
}
