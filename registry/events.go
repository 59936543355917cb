package registry

import (
	"context"
	"slices"
)

// EventPage is one page of the audit log.
type EventPage struct {
	Events []Event `json:"events"`
	// Last is the position behind this page: the after of the next one. It is there on every page,
	// so that a caller can go on later.
	Last int64 `json:"last" doc:"Send as after for what comes next, now or later."`
}

// Events lists what happened after a position, the oldest first, of what the caller's token covers. Events
// about no artifact (tokens) are for administrators of everything; those about public artifacts are for
// tokens that cover them; what is begun and not to be seen yet is for publishers. limit is 1 to 500; 0 is 50. A page can be short, or empty, before the log
// ends: Last tells how far it was read.
func (s *Service) Events(ctx context.Context, after int64, limit int) (EventPage, error) {
	p := PrincipalFrom(ctx)
	if err := requireEverywhere(ctx, RoleRead); err != nil {
		return EventPage{}, err
	}
	var bad problems
	limit = pageLimit(&bad, limit)
	if after < 0 {
		bad.add("after", "must not be negative")
	}
	if err := bad.err(); err != nil {
		return EventPage{}, err
	}
	page := EventPage{Events: []Event{}, Last: after}
	for range maxEventReads {
		events, err := s.store.Events(ctx, page.Last, maxLimit)
		if err != nil {
			return EventPage{}, err
		}
		for _, e := range events {
			page.Last = e.ID
			role := RoleRead
			if e.Action == ActionVersionOpen || e.Action == ActionBuildAnnounce {
				role = RolePublish
			}
			visible := p.may(role, e.Artifact)
			if e.Artifact == "" {
				visible = p.Role == RoleAdmin && slices.Contains(p.Scopes, ScopeAll)
			}
			if !visible {
				continue
			}
			if page.Events = append(page.Events, e); len(page.Events) == limit {
				return page, nil
			}
		}
		if len(events) < maxLimit {
			break
		}
	}
	return page, nil
}

// maxEventReads bounds the work for a caller who may see little of the log.
const maxEventReads = 10

// record adds an event with the time and the caller's name. It comes last in its transaction.
func (s *Service) record(ctx context.Context, tx Tx, e Event) error {
	e.At, e.Actor = s.time(), PrincipalFrom(ctx).Name
	return tx.AppendEvent(ctx, e)
}
