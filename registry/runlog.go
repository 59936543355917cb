package registry

import (
	"context"
	"strings"
)

// Limits of the log of a run, in bytes.
const (
	// MaxRunLog is how long a log can be. What a run says when there is no room for another part is not kept.
	MaxRunLog = 8 << 20
	// MaxRunLogPart is how much can be added at once.
	MaxRunLogPart = 256 << 10
	runLogPage    = 1 << 20
)

// RunLogPart is text for the end of a log.
type RunLogPart struct {
	Lease string `json:"lease" doc:"The secret of the claim."`
	// Offset is the length that the log has before, in bytes.
	Offset int64  `json:"offset" doc:"Bytes that the log has before; log_size of the run, or of the answer before."`
	Text   string `json:"text" doc:"UTF-8 without NUL, at most 256 KiB."`
}

// RunLogEnd answers a part of a log.
type RunLogEnd struct {
	Size int64 `json:"log_size" doc:"Bytes of the log; the offset of the next part."`
	// Full says that no more is kept.
	Full bool `json:"full,omitempty" doc:"The log is as long as it can be; no more of it is kept."`
}

// AppendRunLog adds text to the log of a run, up to [MaxRunLog]. A part that is there already, because the answer was lost,
// changes nothing. Conflict: the run is another runner's by now; the log is not where the offset says.
func (s *Service) AppendRunLog(ctx context.Context, id int64, part RunLogPart) (RunLogEnd, error) {
	var p problems
	if len(part.Text) > MaxRunLogPart {
		p.add("text", "has %d bytes; at most %d are allowed at once", len(part.Text), MaxRunLogPart)
	}
	if strings.ToValidUTF8(part.Text, "") != part.Text || strings.Contains(part.Text, "\x00") {
		p.add("text", "is not UTF-8, or has a NUL")
	}
	if part.Offset < 0 {
		p.add("offset", "must not be negative")
	}
	if err := p.err(); err != nil {
		return RunLogEnd{}, err
	}
	run, err := s.changeRun(ctx, id, func(tx Tx, r Run) (Run, error) {
		if err := r.leasedBy(part.Lease); err != nil {
			return Run{}, err
		}
		after := part.Offset + int64(len(part.Text))
		switch {
		case r.LogSize == after || r.logFull():
			return r, nil
		case r.LogSize != part.Offset:
			return Run{}, Errorf(Conflict, "the log of run %d has %d bytes; go on there, not at %d", id, r.LogSize, part.Offset)
		}
		r.LogSize = after
		return r, tx.AppendRunLog(ctx, id, part.Offset, part.Text)
	})
	return RunLogEnd{Size: run.LogSize, Full: run.logFull()}, err
}

func (r Run) logFull() bool { return r.LogSize > MaxRunLog-MaxRunLogPart }

// RunLog is a piece of a log.
type RunLog struct {
	Text string `json:"text"`
	// Next is where the next piece begins.
	Next int64 `json:"next" doc:"Send as from for what comes next, now or later."`
	// Ended says that nothing comes after this piece.
	Ended bool `json:"ended,omitempty" doc:"Nothing comes after this: the run has ended."`
	// Full says that the run said more than was kept.
	Full bool `json:"full,omitempty" doc:"The log is as long as it can be; what came after is not kept."`
}

// RunLog returns a piece of the log of a run from an offset in bytes, 0 or the Next of another piece. It needs the role
// publish for the target: a log can tell what a person should not have printed.
func (s *Service) RunLog(ctx context.Context, id, from int64) (RunLog, error) {
	run, err := s.Run(ctx, id)
	if err != nil {
		return RunLog{}, err
	}
	if err := requireRole(ctx, RolePublish, run.Target); err != nil {
		return RunLog{}, err
	}
	if from < 0 || from > run.LogSize {
		return RunLog{}, BadField("from", Errorf(Invalid, "%d must be 0 to %d, the length of the log", from, run.LogSize))
	}
	text, err := s.store.RunLog(ctx, id, from, runLogPage)
	if err != nil {
		return RunLog{}, err
	}
	piece := RunLog{Text: text, Next: from + int64(len(text)), Full: run.logFull()}
	piece.Ended = run.FinishedAt != nil && piece.Next >= run.LogSize
	return piece, nil
}
