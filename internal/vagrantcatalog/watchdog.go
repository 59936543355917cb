package vagrantcatalog

import (
	"context"
	"errors"
	"io"
	"time"
)

var errStalled = errors.New("the transfer stands still")

// watchdog ends a context when nothing was read for a while.
type watchdog struct {
	ctx    context.Context
	timer  *time.Timer
	limit  time.Duration
	cancel context.CancelCauseFunc
}

func watch(ctx context.Context, limit time.Duration) (context.Context, *watchdog) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watchdog{ctx: ctx, limit: limit, cancel: cancel}
	w.timer = time.AfterFunc(limit, func() { cancel(errStalled) })
	// The clock of a transfer starts with its first byte: repetitions and their pauses have limits of their own.
	w.timer.Stop()
	return ctx, w
}

func (w *watchdog) stop() {
	w.timer.Stop()
	w.cancel(nil)
}

func (w *watchdog) barked() bool { return context.Cause(w.ctx) == errStalled }

// reader returns a reader of r whose every Read keeps the watchdog quiet.
func (w *watchdog) reader(r io.Reader) io.Reader {
	w.timer.Reset(w.limit)
	return &watched{r, w}
}

type watched struct {
	r   io.Reader
	dog *watchdog
}

func (r *watched) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.dog.timer.Reset(r.dog.limit)
	return n, err
}
