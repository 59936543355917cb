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
	// ringSize is how many buffers one Append has: one is filled while others are written and
	// hashed, or wait for that.
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
// Reading goes on in the caller's goroutine while a second one writes, a third one hashes and a fourth one
// waits for the disk at checkpoints; none is left when appendFrom returns, or r panics.
func (u *upload) appendFrom(ctx context.Context, r io.Reader, limit int64) error {
	if u.written > limit {
		return tooLarge(limit)
	}
	ctx, u.stop = context.WithCancel(ctx)
	defer u.stop()
	l := newLine(u)
	defer l.finish()
	err := l.feed(ctx, r, u.written, limit)
	l.finish()
	if l.failed != nil {
		return l.failed
	}
	return err
}

func tooLarge(limit int64) error {
	return registry.Errorf(registry.TooLarge, "an upload may have at most %d bytes", limit)
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

// line is the way of the bytes of one Append: each buffer is filled, then written, then hashed.
type line struct {
	upload *upload
	ring   []*buffer
	// No channel ever blocks its sender: no more buffers exist than each can hold.
	toWrite, toHash chan filled
	free            chan *buffer
	done            chan struct{}
	end             sync.Once
	// failed is the error of the first write that failed; nothing is written after it. It is to be read after finish.
	failed error
}

type filled struct {
	buffer *buffer
	n      int
}

func newLine(u *upload) *line {
	l := &line{
		upload:  u,
		toWrite: make(chan filled, ringSize), toHash: make(chan filled, ringSize), free: make(chan *buffer, ringSize),
		done: make(chan struct{}),
	}
	go l.write()
	go l.hash()
	return l
}

// feed takes what r gives, as long as an upload with offset bytes has room for it.
func (l *line) feed(ctx context.Context, r io.Reader, offset, limit int64) error {
	for {
		buf := l.buffer()
		room := limit - offset
		// Whole buffers lie at multiples of their size. One byte more than may be kept tells whether there is more.
		n, err := fill(ctx, r, buf[:min(bufferSize-1-offset%bufferSize, room)+1])
		over := int64(n) > room
		if over {
			n, err = int(room), tooLarge(limit)
		}
		l.toWrite <- filled{buf, n}
		offset += int64(n)
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
	}
}

// buffer returns one to be filled. It waits only when hashing, or the disk, is slower than the
// reader, and takes a new one only when it would have to wait.
func (l *line) buffer() *buffer {
	select {
	case b := <-l.free:
		return b
	default:
	}
	if len(l.ring) == ringSize {
		return <-l.free
	}
	b := buffers.Get().(*buffer)
	l.ring = append(l.ring, b)
	return b
}

// finish waits until all that was fed is written and hashed, and the last checkpoint has ended.
func (l *line) finish() {
	l.end.Do(func() {
		close(l.toWrite)
		<-l.done
		for _, b := range l.ring {
			buffers.Put(b)
		}
	})
}

func (l *line) write() {
	defer close(l.toHash)
	for f := range l.toWrite {
		if l.failed == nil {
			if l.failed = l.upload.write(f.buffer[:f.n]); l.failed != nil {
				l.upload.stop()
			}
		}
		if l.failed != nil {
			f.n = 0
		}
		l.toHash <- f
	}
}

func (l *line) hash() {
	defer close(l.done)
	u := l.upload
	begun, last := u.offset, time.Now()
	for f := range l.toHash {
		u.add(f.buffer[:f.n])
		l.free <- f.buffer
		if u.offset-begun >= checkpointEvery || u.offset > begun && time.Since(last) >= checkpointAfter {
			u.beginCheckpoint()
			begun, last = u.offset, time.Now()
		}
	}
	_ = u.endCheckpoint() // the error stays in the upload
}
