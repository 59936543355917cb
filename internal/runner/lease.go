package runner

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// errSilent cuts a command short whose run another runner may have by now.
var errSilent = errors.New("the registry did not answer for as long as the lease lasts, so that another runner may have the run by now")

// lease is the hold of a runner on a run.
type lease struct {
	registry Registry
	id       int64
	secret   string
	span     time.Duration
	// held is done when the run is another runner's, with the reason as its cause.
	held context.Context
	lose context.CancelCauseFunc
	// doubt asks whether the run is still held.
	doubt chan struct{}
}

func newLease(r Registry, claim registry.Claim, span time.Duration) *lease {
	l := &lease{registry: r, id: claim.Run.ID, secret: claim.Lease, span: span, doubt: make(chan struct{}, 1)}
	l.held, l.lose = context.WithCancelCause(context.Background())
	return l
}

// suspect has the lease looked at soon.
func (l *lease) suspect() {
	select {
	case l.doubt <- struct{}{}:
	default:
	}
}

// keep renews the lease every third of its time, until it is lost. asked is when it was asked for: before that it cannot
// have begun. silent is called when it may have ended because the registry did not answer.
func (l *lease) keep(asked time.Time, silent func()) {
	end := time.AfterFunc(time.Until(asked.Add(l.span)), silent)
	defer end.Stop()
	next := time.NewTimer(time.Until(asked.Add(l.span / 3)))
	defer next.Stop()
	for {
		select {
		case <-l.held.Done():
			return
		case <-next.C:
		case <-l.doubt:
		}
		sent := time.Now()
		switch err := l.renew(); registry.KindOf(err) {
		case registry.Conflict, registry.NotFound:
			l.lose(fmt.Errorf("run %d is lost: %w", l.id, err))
		default:
			if err != nil {
				next.Reset(l.span / 12)
				continue
			}
			end.Reset(time.Until(sent.Add(l.span)))
			next.Reset(time.Until(sent.Add(l.span / 3)))
		}
	}
}

func (l *lease) renew() error {
	ctx, cancel := context.WithTimeout(l.held, l.span/3)
	defer cancel()
	_, err := l.registry.RenewRun(ctx, l.id, l.secret, int(l.span/time.Second))
	return err
}
