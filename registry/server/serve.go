package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// ServeOptions say how [Server.Serve] runs and stops.
type ServeOptions struct {
	// Grace is how long running requests may take to finish once the context is done; 0 is 30 seconds.
	Grace time.Duration
	// Kill ends the grace early: when it is done, running requests are cut. Nil never is.
	Kill context.Context
}

// Timeouts of connections. Transfers of bytes and streams set deadlines of their own, which these
// do not end.
const (
	headerTimeout = 10 * time.Second
	bodyTimeout   = time.Minute
	answerTimeout = 5 * time.Minute
	idleTimeout   = 2 * time.Minute
	maxHeader     = 64 << 10
	defaultGrace  = 30 * time.Second
	// cutTimeout is how long requests that were cut may take to put away what they have.
	cutTimeout = 5 * time.Second
)

// Serve answers the requests of a listener, which it closes, until ctx is done. For TLS the listener
// is one of [crypto/tls.NewListener]. When ctx is done it accepts no more connections, lets /readyz
// answer 503 on those that are open, ends the streams of events, and lets running requests finish. It
// returns nil when all of them did. When the grace was over first they are cut: uploads keep what
// arrived, and the error is one sentence that says so and wraps no other.
func (s *Server) Serve(ctx context.Context, listener net.Listener, o ServeOptions) error {
	if o.Grace <= 0 {
		o.Grace = defaultGrace
	}
	requests, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	var running atomic.Int64
	srv := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			running.Add(1)
			defer running.Add(-1)
			s.ServeHTTP(w, r)
		}),
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       bodyTimeout,
		WriteTimeout:      answerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return requests },
		ConnContext:       withConn,
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(listener) }()
	select {
	case err := <-failed:
		// Serve returns only with an error when nobody called Shutdown.
		return errors.Join(fmt.Errorf("serve %s: %w", listener.Addr(), err), srv.Close())
	case <-ctx.Done():
	}
	return s.stop(srv, cut, &running, o)
}

func (s *Server) stop(srv *http.Server, cut func(), running *atomic.Int64, o ServeOptions) error {
	s.Drain()
	s.log.Info("shutting down: running requests may finish", "grace", o.Grace.String())
	grace, cancel := context.WithTimeout(context.Background(), o.Grace)
	defer cancel()
	if o.Kill != nil {
		defer context.AfterFunc(o.Kill, cancel)()
	}
	err := srv.Shutdown(grace)
	if err == nil {
		return nil
	}
	cut()
	// The connections are gone whatever it says, and their uploads with them.
	_ = srv.Close()
	for end := time.Now().Add(cutTimeout); running.Load() > 0 && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	why := fmt.Sprintf("the grace of %v was over", o.Grace)
	switch {
	case o.Kill != nil && o.Kill.Err() != nil:
		why = "it was told to stop at once"
	case grace.Err() == nil:
		why = err.Error()
	}
	return fmt.Errorf("running requests were cut, because %s; uploads keep what had arrived", why)
}
