package blob

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

const (
	bufferSize = 1 << 20
	// ringSize is how many buffers one Append has: one is filled and written while others are
	// hashed or wait for that.
	ringSize = 4
	// checkpointEvery bytes, and checkpointAfter so much time, bound what a crash within an Append
	// costs. One checkpoint may be under way while the next one's bytes come in, so it is at most
	// twice as much.
	checkpointEvery = 64 << 20
	checkpointAfter = 10 * time.Second
	// fillTime is how long a slow reader may keep what it has given from being written.
	fillTime = time.Second
)

type buffer [bufferSize]byte

// buffers makes many small uploads as cheap as they are: without it each costs a buffer.
var buffers = sync.Pool{New: func() any { return new(buffer) }}

// appendFrom writes and hashes what r gives, until it ends or there are limit bytes in all.
// Reading and writing go on in the caller's goroutine while a second one hashes and a third one
// waits for the disk at checkpoints; neither is left when appendFrom returns, or r panics.
func (u *upload) appendFrom(ctx context.Context, r io.Reader, limit int64) error {
	tooLarge := registry.Errorf(registry.TooLarge, "an upload may have at most %d bytes", limit)
	if u.written > limit {
		return tooLarge
	}
	ctx, u.stop = context.WithCancel(ctx)
	defer u.stop()
	h := newHasher(u)
	defer h.finish()
	for {
		buf := h.buffer()
		// One byte more than may be kept tells whether there is more.
		room := limit - u.written
		n, readErr := fill(ctx, r, buf[:min(bufferSize-1, room)+1])
		over := int64(n) > room
		if over {
			n = int(room)
		}
		if err := u.write(buf[:n]); err != nil {
			return err
		}
		h.take(buf, n)
		switch {
		case over:
			return tooLarge
		case readErr == io.EOF:
			return nil
		case readErr != nil:
			return readErr
		}
	}
}

// fill reads until p is full, r ends or fails, ctx does, or r has taken too long for what it gave.
func fill(ctx context.Context, r io.Reader, p []byte) (n int, err error) {
	start := time.Now()
	for n < len(p) && err == nil && (n == 0 || time.Since(start) < fillTime) {
		if err = ctx.Err(); err == nil {
			var m int
			m, err = r.Read(p[n:])
			n += m
		}
	}
	return n, err
}

// hasher hashes in a goroutine of its own what an upload has written, and makes checkpoints.
type hasher struct {
	upload *upload
	ring   []*buffer
	// Neither channel ever blocks its sender: no more buffers exist than each can hold.
	full chan filled
	free chan *buffer
	done chan struct{}
}

type filled struct {
	buffer *buffer
	n      int
}

func newHasher(u *upload) *hasher {
	h := &hasher{
		upload: u,
		full:   make(chan filled, ringSize), free: make(chan *buffer, ringSize), done: make(chan struct{}),
	}
	go h.run()
	return h
}

// buffer returns one to be filled. It waits only when hashing, or the disk, is slower than the
// reader, and takes a new one only when it would have to wait.
func (h *hasher) buffer() *buffer {
	select {
	case b := <-h.free:
		return b
	default:
	}
	if len(h.ring) == ringSize {
		return <-h.free
	}
	b := buffers.Get().(*buffer)
	h.ring = append(h.ring, b)
	return b
}

// take hands over a buffer whose first n bytes were written.
func (h *hasher) take(b *buffer, n int) { h.full <- filled{b, n} }

// finish waits until all that was taken is hashed and the last checkpoint has ended.
func (h *hasher) finish() {
	close(h.full)
	<-h.done
	for _, b := range h.ring {
		buffers.Put(b)
	}
}

func (h *hasher) run() {
	defer close(h.done)
	u := h.upload
	begun, last := u.offset, time.Now()
	for f := range h.full {
		u.add(f.buffer[:f.n])
		h.free <- f.buffer
		if u.offset-begun >= checkpointEvery || u.offset > begun && time.Since(last) >= checkpointAfter {
			u.beginCheckpoint()
			begun, last = u.offset, time.Now()
		}
	}
	_ = u.endCheckpoint() // the error stays in the upload
}
