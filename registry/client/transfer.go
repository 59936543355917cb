package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// Track wraps the bytes of a transfer, to show its progress. It is called for each connection that a
// transfer takes, with the offset where that one begins; what it returns is read by one goroutine at
// a time and closed once. name is that of the file.
type Track func(name string, offset, size int64, r io.ReadCloser) io.ReadCloser

func (t Track) wrap(name string, offset, size int64, r io.Reader) io.ReadCloser {
	if t == nil {
		return io.NopCloser(r)
	}
	return t(name, offset, size, io.NopCloser(r))
}

var errStalled = errors.New("the transfer stands still")

// stream is the bytes of one connection of a transfer. Its Close waits for a Read and lets none
// follow: the transport may still read a body after it has returned, and the next connection reads
// the same content from another place.
type stream struct {
	mu     sync.Mutex
	r      io.ReadCloser
	closed bool
}

func (s *stream) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	return s.r.Read(p)
}

func (s *stream) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	return s.r.Close()
}

// watchdog ends a context when nobody has touched it for a while.
type watchdog struct {
	timer *time.Timer
	limit time.Duration
}

func watch(ctx context.Context, limit time.Duration) (context.Context, *watchdog, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watchdog{limit: limit, timer: time.AfterFunc(limit, func() { cancel(errStalled) })}
	return ctx, w, func() {
		w.timer.Stop()
		cancel(nil)
	}
}

func (w *watchdog) touch() { w.timer.Reset(w.limit) }

// touching is a reader whose every Read that ends touches a watchdog.
type touching struct {
	r   io.Reader
	dog *watchdog
}

func (t *touching) Read(p []byte) (int, error) {
	n, err := t.r.Read(p)
	t.dog.touch()
	return n, err
}

// interruption is why a connection of a transfer ended before its time, while another may go on.
type interruption struct {
	cause *registry.Error
	// after is the pause that the registry asked for; 0 is none.
	after time.Duration
	// offset is where to go on, if the registry said it; else -1.
	offset int64
}

func (i *interruption) Error() string { return i.cause.Error() }

// interrupted is the interruption by an error of the connection, or the final error that it is. ctx
// is the caller's and conn that of the connection.
func (c *Client) interrupted(ctx, conn context.Context, err error) error {
	if stopped := ctx.Err(); stopped != nil {
		return c.stopped(stopped, nil)
	}
	if context.Cause(conn) == errStalled {
		err = errStalled
	}
	if !temporary(err) {
		return c.unanswered(err)
	}
	return &interruption{cause: c.unanswered(err), offset: -1}
}

// passing is the interruption by an answer after which another connection may go on at offset, or the
// final error that it is.
func passing(err error, offset int64) error {
	t, ok := errors.AsType[*trouble](err)
	switch {
	case !ok:
		return err
	case t.final:
		return t.cause
	}
	return &interruption{cause: t.cause, after: t.after, offset: offset}
}

// patience bounds the connections of a transfer that bring it no further.
type patience struct {
	c       *Client
	what    string
	reached int64
	idle    int
}

// rest waits before the next connection. It returns the error of the transfer when too many
// connections have brought it no further than offset, which is -1 when it is not known yet.
func (p *patience) rest(ctx context.Context, i *interruption, offset int64) error {
	// A connection that broke unseen keeps the registry from taking the next one for a while, so
	// there are more tries than for a call.
	if !p.advanced(offset) {
		p.idle++
	}
	if p.idle > 2*p.c.retry.RetryMax+1 {
		i.cause.Msg += "; the transfer got no further in the last tries"
		return i.cause
	}
	low, high := p.c.retry.RetryWaitMin, p.c.retry.RetryWaitMax
	pause := backoff(low, high, max(p.idle-1, 0), nil)
	if i.after > 0 {
		pause = max(i.after, low)
	}
	p.c.log("%s: %s; going on in %s", p.what, i.cause.Msg, pause.Round(time.Millisecond))
	if err := wait(ctx, pause); err != nil {
		return p.c.stopped(err, nil)
	}
	return nil
}

// advanced notes how far the transfer is, and whether that is further than ever.
func (p *patience) advanced(offset int64) bool {
	if offset <= p.reached {
		return false
	}
	p.reached, p.idle = offset, 0
	return true
}

// bufferSize is that of copies which are not made by the transport.
const bufferSize = 256 << 10

// hashAll adds what r has left to h and returns its length.
func hashAll(ctx context.Context, h hash.Hash, r io.Reader) (int64, error) {
	buf := make([]byte, bufferSize)
	var n int64
	for {
		if err := ctx.Err(); err != nil {
			return n, err
		}
		m, err := r.Read(buf)
		h.Write(buf[:m])
		n += int64(m)
		if err == io.EOF {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
}

func newHash() hash.Hash { return sha256.New() }

func digestOf(h hash.Hash) registry.Digest {
	return registry.Digest(hex.EncodeToString(h.Sum(nil)))
}

// localError is the error of a file or a directory on this side.
func localError(err error, format string, args ...any) *registry.Error {
	e := registry.Errorf(registry.Invalid, format, args...)
	e.Err = err
	return e
}
