package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
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
)

// Serve answers the requests of a listener, which it closes, until ctx is done. For TLS the listener
// is one of [crypto/tls.NewListener]. When ctx is done it accepts no more, lets /readyz answer 503,
// ends the streams of events, and lets running requests finish. It returns nil when all of them did,
// and an error when the grace was over first and they were cut.
func (s *Server) Serve(ctx context.Context, listener net.Listener, o ServeOptions) error {
	if o.Grace <= 0 {
		o.Grace = defaultGrace
	}
	requests, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	srv := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       bodyTimeout,
		WriteTimeout:      answerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return requests },
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(listener) }()
	select {
	case err := <-failed:
		// Serve returns only with an error when nobody called Shutdown.
		return errors.Join(fmt.Errorf("serve %s: %w", listener.Addr(), err), srv.Close())
	case <-ctx.Done():
	}
	return s.stop(srv, cut, o)
}

func (s *Server) stop(srv *http.Server, cut func(), o ServeOptions) error {
	s.Drain()
	s.log.Info("shutting down: running requests may finish", "grace", o.Grace)
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
	if closed := srv.Close(); closed != nil && !errors.Is(closed, net.ErrClosed) {
		err = errors.Join(err, closed)
	}
	return fmt.Errorf("the server stopped before all running requests had finished: %w", err)
}
