package registry

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// ChannelHistory is a channel and how it came to point where it does.
type ChannelHistory struct {
	Artifact ArtifactName `json:"artifact"`
	Channel
	// Revocation is that of the version to which the channel points.
	Revocation *Revocation `json:"revocation,omitempty"`
	// Moves are the newest first, at most 100.
	Moves []ChannelMove `json:"moves" doc:"The newest first, at most 100."`
}

const maxMoves = 100

// Channel returns a channel and its history.
func (s *Service) Channel(ctx context.Context, name, channel string) (ChannelHistory, error) {
	n, err := ParseArtifactName(name)
	if err != nil {
		return ChannelHistory{}, BadField("artifact", err)
	}
	if err := CheckChannelName(channel); err != nil {
		return ChannelHistory{}, BadField("channel", err)
	}
	if err := s.readable(ctx, s.store, n); err != nil {
		return ChannelHistory{}, err
	}
	return s.channelHistory(ctx, s.store, n, channel)
}

func (s *Service) channelHistory(ctx context.Context, r Reader, name ArtifactName, channel string) (ChannelHistory, error) {
	c, moves, err := r.Channel(ctx, name, channel, maxMoves)
	if KindOf(err) == NotFound {
		return ChannelHistory{}, s.explainMissing(ctx, r, name, Ref{Kind: RefName, Text: channel}, "")
	}
	if err != nil {
		return ChannelHistory{}, err
	}
	v, err := r.Version(ctx, name, Selector{Number: c.Number})
	if err != nil {
		return ChannelHistory{}, err
	}
	return ChannelHistory{Artifact: name, Channel: c, Revocation: v.Revocation, Moves: moves}, nil
}

// ChannelChange says where a channel shall point. Exactly one of Ref and Rollback is set.
type ChannelChange struct {
	// Ref is resolved now; the channel does not follow it later.
	Ref string `json:"ref,omitempty" doc:"Version to point to: a number, a version, a constraint, a channel, latest …; resolved now."`
	// Rollback takes back the channel's last move, which is a move itself: a second rollback takes back
	// the first. So it is the one change that must not be sent twice.
	Rollback bool   `json:"rollback,omitempty" doc:"Take back the channel's last move; a second rollback takes back the first."`
	Reason   string `json:"reason,omitempty" maxLength:"1000"`
	// From keeps a change that was decided on earlier from undoing what somebody else did since.
	From *int64 `json:"from,omitempty" doc:"Number of the version that the channel must point to now; 0: there must be no such channel; left out: whatever it is."`
}

// SetChannel points a channel to a version, which must be complete and not revoked; it makes the
// channel if it is not there. It needs the role promote. Pointing it to where it points already
// changes nothing. Conflict: a version that is not offered, a rollback without an earlier move, a channel that does not
// point to From.
func (s *Service) SetChannel(ctx context.Context, name, channel string, change ChannelChange) (ChannelHistory, error) {
	n, err := ParseArtifactName(name)
	if err != nil {
		return ChannelHistory{}, BadField("artifact", err)
	}
	if err := requireRole(ctx, RolePromote, n); err != nil {
		return ChannelHistory{}, err
	}
	ref, err := checkChange(channel, change)
	if err != nil {
		return ChannelHistory{}, err
	}
	var history ChannelHistory
	err = s.store.Update(ctx, func(tx Tx) error {
		now := s.time()
		if _, err := tx.LockArtifact(ctx, n, false, now); err != nil {
			return notFound(err, "artifact %s does not exist", n)
		}
		current, moves, err := tx.Channel(ctx, n, channel, 1)
		if err != nil && KindOf(err) != NotFound {
			return err
		}
		if err := checkFrom(n, channel, current, change.From); err != nil {
			return err
		}
		if change.Rollback {
			if len(moves) == 0 || moves[0].From == nil {
				return Errorf(Conflict, "channel %s of %s has no earlier version to go back to", channel, n)
			}
			ref = Ref{Kind: RefNumber, Number: moves[0].From.Number, Text: strconv.FormatInt(moves[0].From.Number, 10)}
		}
		v, err := s.find(ctx, tx, n, ref, "")
		if err != nil {
			return err
		}
		if err := s.checkOffered(v); err != nil {
			return err
		}
		if v.Number != current.Number {
			move := ChannelMove{To: v.VersionID, At: now, By: PrincipalFrom(ctx).Name, Reason: change.Reason}
			if current.Number > 0 {
				move.From = &current.VersionID
			}
			if err := tx.MoveChannel(ctx, n, channel, move); err != nil {
				return err
			}
			event := channelEvent(channel, move)
			event.Artifact, event.Number = n, v.Number
			if err := s.record(ctx, tx, event); err != nil {
				return err
			}
		}
		history, err = s.channelHistory(ctx, tx, n, channel)
		return err
	})
	return history, err
}

// DeleteChannel removes a channel, so that its name stands for nothing. A channel of its name that is made later goes on
// with its history. It needs the role promote. NotFound: there is none.
func (s *Service) DeleteChannel(ctx context.Context, name, channel string) error {
	n, err := ParseArtifactName(name)
	if err != nil {
		return BadField("artifact", err)
	}
	if err := requireRole(ctx, RolePromote, n); err != nil {
		return err
	}
	if err := CheckChannelName(channel); err != nil {
		return BadField("channel", err)
	}
	return s.store.Update(ctx, func(tx Tx) error {
		if _, err := tx.LockArtifact(ctx, n, false, s.time()); err != nil {
			return notFound(err, "artifact %s does not exist", n)
		}
		current, _, err := tx.Channel(ctx, n, channel, 0)
		if KindOf(err) == NotFound {
			return s.explainMissing(ctx, tx, n, Ref{Kind: RefName, Text: channel}, "")
		}
		if err != nil {
			return err
		}
		if err := tx.DeleteChannel(ctx, n, channel); err != nil {
			return err
		}
		from := fmt.Sprintf("%s (number %d)", current.Version, current.Number)
		return s.record(ctx, tx, Event{
			Action: ActionChannelDelete, Artifact: n, Number: current.Number, Detail: Metadata{"channel": channel, "from": from},
		})
	})
}

func checkChange(channel string, change ChannelChange) (Ref, error) {
	var p problems
	var ref Ref
	p.check("channel", CheckChannelName(channel))
	p.check("reason", checkText(change.Reason, 1000, "\t\n\r"))
	if change.From != nil && *change.From < 0 {
		p.add("from", "%d must be the number of a version, or 0 for a channel that is not there", *change.From)
	}
	switch {
	case change.Rollback && change.Ref != "":
		p.add("rollback", "cannot be given together with ref")
	case !change.Rollback:
		var err error
		ref, err = ParseRef(change.Ref)
		p.check("ref", err)
	}
	return ref, p.err()
}

// checkFrom refuses a channel that does not point to from. The number of a channel that is not there is 0.
func checkFrom(name ArtifactName, channel string, current Channel, from *int64) error {
	if from == nil || *from == current.Number {
		return nil
	}
	if current.Number == 0 {
		return Errorf(Conflict, "%s has no channel %s, which had to point to number %d", name, channel, *from)
	}
	there := fmt.Sprintf("channel %s of %s points to %s (number %d) since %s by %s",
		channel, name, current.Version, current.Number, current.MovedAt.UTC().Format(time.RFC3339), current.MovedBy)
	if *from == 0 {
		return Errorf(Conflict, "%s, and had to be new", there)
	}
	return Errorf(Conflict, "%s, not to number %d", there, *from)
}

// checkOffered refuses a version that nobody should be sent to.
func (s *Service) checkOffered(v Version) error {
	switch {
	case v.Status != StatusComplete:
		return Errorf(Conflict, "%s", v.unfinished())
	case v.RevokedAt(s.time()):
		return Errorf(Conflict, "version %s (number %d) of %s is revoked: %s", v.Version, v.Number, v.Artifact, v.Revocation.Reason)
	}
	return nil
}

func channelEvent(channel string, move ChannelMove) Event {
	detail := Metadata{"channel": channel, "to": fmt.Sprintf("%s (number %d)", move.To.Version, move.To.Number)}
	if move.From != nil {
		detail["from"] = fmt.Sprintf("%s (number %d)", move.From.Version, move.From.Number)
	}
	if move.Reason != "" {
		detail["reason"] = move.Reason
	}
	return Event{Action: ActionChannelMove, Detail: detail}
}
