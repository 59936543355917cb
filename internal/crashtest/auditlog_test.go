package crashtest

import (
	"fmt"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// auditLog is what was read of the registry's log, sorted by what it is about.
type auditLog struct {
	last     int64
	versions map[string]map[int64][]string // artifact and number
	moves    map[string][]string           // artifact and channel; the oldest first
	targets  map[string][]int64            // the same: where the moves go
	reasons  map[string]int                // of moves
	tokens   map[string]int
}

func newAuditLog() auditLog {
	return auditLog{
		versions: map[string]map[int64][]string{}, moves: map[string][]string{}, targets: map[string][]int64{},
		reasons: map[string]int{}, tokens: map[string]int{},
	}
}

// readLog reads what is new in the log.
func (h *harness) readLog() {
	for {
		page, err := h.api.Events(h.ctx, h.log.last, 500)
		if err != nil {
			h.t.Fatal(err)
		}
		for _, e := range page.Events {
			if e.ID != h.log.last+1 {
				h.t.Errorf("the log goes on after event %d with %d", h.log.last, e.ID)
			}
			h.log.add(e)
			h.count("events checked", 1)
		}
		if len(page.Events) < 500 {
			return
		}
	}
}

func (l *auditLog) add(e registry.Event) {
	l.last = e.ID
	if e.Artifact == "" {
		l.tokens[e.Action+" "+e.Detail["token"]]++
		return
	}
	text, d := e.Action, e.Detail
	switch e.Action {
	case registry.ActionChannelMove:
		at := string(e.Artifact) + " " + d["channel"]
		l.moves[at] = append(l.moves[at], d["from"]+" -> "+d["to"]+": "+d["reason"])
		l.targets[at] = append(l.targets[at], e.Number)
		l.reasons[d["reason"]]++
		return
	case registry.ActionBuildPublish:
		text += " " + d["component"]
	case registry.ActionImagesAdd:
		text += " " + d["component"] + " " + d["images"]
	case registry.ActionAttachmentsAdd:
		text += " " + d["component"] + " " + d["attachments"]
	case registry.ActionImageVerify:
		text += " " + d["component"] + " " + d["image"] + " " + d["status"]
	case registry.ActionVersionRevoke:
		text += " " + d["reason"]
	}
	of := l.versions[string(e.Artifact)]
	if of == nil {
		of = map[int64][]string{}
		l.versions[string(e.Artifact)] = of
	}
	of[e.Number] = append(of[e.Number], text)
}

// checkChannels holds the channels of an artifact against the moves of the log.
func (h *harness) checkChannels(artifact string) {
	for _, channel := range []string{moving, pinned} {
		at := artifact + " " + channel
		moves := h.log.moves[at]
		history, err := h.api.Channel(h.ctx, artifact, channel)
		if len(moves) == 0 {
			if registry.KindOf(err) != registry.NotFound {
				h.t.Errorf("channel %s is there without a move in the log: %+v, %v", at, history, err)
			}
			continue
		}
		if err != nil {
			h.t.Errorf("channel %s: %v", at, err)
			continue
		}
		got := make([]string, len(history.Moves))
		for i, m := range history.Moves {
			from := ""
			if m.From != nil {
				from = fmt.Sprintf("%s (number %d)", m.From.Version, m.From.Number)
			}
			got[len(got)-1-i] = fmt.Sprintf("%s -> %s (number %d): %s", from, m.To.Version, m.To.Number, m.Reason)
		}
		if diff := cmp.Diff(moves[max(0, len(moves)-100):], got); diff != "" {
			h.t.Errorf("channel %s (-log +history):\n%s", at, diff)
		}
		if to := history.Moves[0].To; history.VersionID != to {
			h.t.Errorf("channel %s points to %v, and moved last to %v", at, history.VersionID, to)
		}
		h.checkTargets(artifact, channel)
		h.count("checks of channels", 1)
	}
}

// checkTargets makes sure that a channel never went to what was not offered, and that the one that
// follows publications never went back.
func (h *harness) checkTargets(artifact, channel string) {
	before := int64(0)
	targets := h.log.targets[artifact+" "+channel]
	for _, number := range targets {
		r := h.seen[artifact].runs[number]
		if r == nil || r.last.Status != registry.StatusComplete {
			h.t.Errorf("channel %s of %s went to number %d, which is not complete", channel, artifact, number)
		}
		if channel == moving && number <= before {
			h.t.Errorf("channel %s of %s went from number %d back to %d", channel, artifact, before, number)
		}
		before = number
	}
}
