package runner

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

const (
	// sendEvery is how often what was said goes to the registry, and sendSoon how much of it goes at once.
	sendEvery = time.Second
	sendSoon  = 64 << 10
)

// runLog takes what a command says, and sends it to the registry in parts.
type runLog struct {
	offset int64
	copy   io.Writer

	mu      sync.Mutex
	cleaner cleaner
	text    []byte
	// room is how much the registry still takes.
	room   int64
	closed bool

	wake chan struct{}
	sent chan struct{} // closed when nothing more is sent
}

// newRunLog goes on with a log that has size bytes. What is said goes to output, too. secret is left out of both.
func newRunLog(size int64, secret string, output io.Writer) *runLog {
	return &runLog{
		offset: size, room: registry.MaxRunLog - size, copy: output, cleaner: cleaner{secret: []byte(secret)},
		wake: make(chan struct{}, 1), sent: make(chan struct{}),
	}
}

// Write takes what a command says. It never fails: neither a terminal that is gone nor a registry that is away ends a build.
func (l *runLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.add(l.cleaner.clean(p, false))
	return len(p), nil
}

// say adds a line of the runner's own.
func (l *runLog) say(format string, args ...any) { _, _ = fmt.Fprintf(l, format, args...) }

func (l *runLog) add(text []byte) {
	_, _ = l.copy.Write(text)
	if fits := wholeRunes(text, int(min(l.room, int64(len(text))))); fits > 0 {
		l.text = append(l.text, text[:fits]...)
		l.room -= int64(fits)
	}
	if len(l.text) >= sendSoon || l.closed {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

// close sends what is left. It returns when that is done, or given up.
func (l *runLog) close(ctx context.Context) {
	l.mu.Lock()
	l.closed = true
	l.add(l.cleaner.clean(nil, true))
	l.mu.Unlock()
	select {
	case <-l.sent:
	case <-ctx.Done():
	}
}

// send sends parts until the log is closed or full, or the context is done.
func (l *runLog) send(ctx context.Context, lease *lease) {
	defer close(l.sent)
	defer l.drop()
	tick := time.NewTicker(sendEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-l.wake:
		}
		for {
			text, last := l.part()
			if text == "" && last {
				return
			}
			if text == "" {
				break
			}
			if more := l.sendPart(ctx, lease, text); !more {
				return
			}
		}
	}
}

// sendPart sends one part until the registry has it. The same part is sent each time, so that one whose answer was lost is
// known again. It says whether there can be another.
func (l *runLog) sendPart(ctx context.Context, lease *lease, text string) (more bool) {
	part := registry.RunLogPart{Lease: lease.secret, Offset: l.offset, Text: text}
	var end registry.RunLogEnd
	err := persist(ctx, func() (err error) {
		end, err = lease.registry.AppendRunLog(ctx, lease.id, part)
		return err
	})
	if registry.KindOf(err) == registry.Conflict {
		lease.suspect()
	}
	l.offset = end.Size
	return err == nil && !end.Full
}

// part takes what the next part has; nothing comes after the last one.
func (l *runLog) part() (text string, last bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := wholeRunes(l.text, registry.MaxRunLogPart)
	text = string(l.text[:n])
	l.text = l.text[n:]
	return text, l.closed && len(l.text) == 0
}

// drop keeps nothing more for the registry.
func (l *runLog) drop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text, l.room = nil, 0
}
