package blob

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"sync"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

const (
	bufferSize = 1 << 20
	// checkpointEvery bounds what a crash within an Append costs.
	checkpointEvery = 64 << 20
)

// buffers makes many small uploads as cheap as they are: without it each costs a buffer.
var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// upload is an upload while one method changes it.
type upload struct {
	disk *Disk
	dir  string
	file *os.File
	// state counts all bytes of the upload that were written and hashed, and safe those of them
	// that survive a crash.
	state
	safe int64
	// failed is the error of the first checkpoint that failed. There is none after it: a second
	// fsync would succeed although the kernel has dropped what it could not write.
	failed error
}

// openUpload opens an upload that the caller has locked and cuts off all bytes that are not known
// to be safe.
func (d *Disk) openUpload(id string) (*upload, error) {
	u := &upload{disk: d, dir: d.uploadPath(id)}
	var err error
	if u.file, err = os.OpenFile(filepath.Join(u.dir, dataName), os.O_RDWR, 0); err != nil {
		return nil, d.missing(err, d.uploads, "upload %s does not exist", id)
	}
	if err := u.rewind(); err != nil {
		u.file.Close()
		return nil, diskError(err)
	}
	return u, nil
}

// rewind goes back to the last checkpoint.
func (u *upload) rewind() error {
	var err error
	if u.state, err = u.disk.readState(u.dir); err != nil {
		return err
	}
	info, err := u.file.Stat()
	if err != nil {
		return err
	}
	if info.Size() < u.offset {
		// The state must go before bytes come that it was not made from.
		if err := u.disk.removeState(u.dir); err != nil {
			return err
		}
		u.state = newState()
	}
	if info.Size() > u.offset {
		if err := u.file.Truncate(u.offset); err != nil {
			return err
		}
	}
	u.safe = u.offset
	_, err = u.file.Seek(u.offset, io.SeekStart)
	return err
}

// appendFrom writes and hashes what r gives, until it ends or there are limit bytes in all.
func (u *upload) appendFrom(ctx context.Context, r io.Reader, limit int64) error {
	tooLarge := registry.Errorf(registry.TooLarge, "an upload may have at most %d bytes", limit)
	if u.offset > limit {
		return tooLarge
	}
	buf := buffers.Get().(*[bufferSize]byte)
	defer buffers.Put(buf)
	for {
		// One byte more than may be kept tells whether there is more.
		room := limit - u.offset
		n, readErr := fill(ctx, r, buf[:min(bufferSize-1, room)+1])
		over := int64(n) > room
		if over {
			n = int(room)
		}
		if err := u.write(buf[:n]); err != nil {
			return err
		}
		switch {
		case over:
			return tooLarge
		case readErr == io.EOF:
			return nil
		case readErr != nil:
			return readErr
		}
		if u.offset-u.safe >= checkpointEvery {
			if err := u.checkpoint(); err != nil {
				return err
			}
		}
	}
}

// fill reads until p is full, r ends or fails, or ctx does.
func fill(ctx context.Context, r io.Reader, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		if err = ctx.Err(); err == nil {
			var m int
			m, err = r.Read(p[n:])
			n += m
		}
	}
	return n, err
}

// write adds all of p, or none of it.
func (u *upload) write(p []byte) error {
	if _, err := u.file.Write(p); err != nil {
		// The half that was written would be cut off later anyway; now it gives back the space
		// that a last checkpoint on a full disk needs.
		_ = u.file.Truncate(u.offset)
		return diskError(err)
	}
	u.hash.Write(p)
	u.offset += int64(len(p))
	return nil
}

// checkpoint makes all bytes so far safe: first they, then the state that counts them.
func (u *upload) checkpoint() error {
	if u.failed != nil || u.offset == u.safe {
		return u.failed
	}
	err := u.file.Sync()
	if err == nil {
		err = u.disk.writeState(u.dir, u.state)
	}
	if err != nil {
		u.failed = diskError(err)
		return u.failed
	}
	u.safe = u.offset
	return nil
}
