package blob

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// upload is an upload while one method changes it.
type upload struct {
	disk *Disk
	dir  string
	file *os.File
	// direct writes to the same file past the kernel's cache; nil where that is not to be had.
	direct *os.File
	// written counts the bytes that are in the file. The state counts those of them that were hashed
	// as well, and safe those that survive a crash: safe <= state.offset <= written.
	written int64
	state
	safe int64
	// saving gives the outcome of the checkpoint that is under way, which will make saved bytes
	// safe; nil when there is none.
	saving chan error
	saved  int64
	// failed is the error of the first checkpoint that failed. There is none after it: a second
	// fsync would succeed although the kernel has dropped what it could not write.
	failed error
	// stop ends the reading when a checkpoint has failed.
	stop context.CancelFunc
}

// openUpload opens an upload that the caller has locked and cuts off all bytes that are not known
// to be safe.
func (d *Disk) openUpload(id string) (*upload, error) {
	u := &upload{disk: d, dir: d.uploadPath(id), stop: func() {}}
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
	u.safe, u.written = u.offset, u.offset
	return nil
}

// write adds all of p to the file, or none of it.
func (u *upload) write(p []byte) error {
	if err := u.put(p); err != nil {
		// The half that was written would be cut off later anyway; now it gives back the space
		// that a last checkpoint on a full disk needs.
		_ = u.file.Truncate(u.written)
		return diskError(err)
	}
	u.written += int64(len(p))
	return nil
}

// put writes whole buffers past the kernel's cache, which spares their copy and keeps the cache for what is read. Where the
// file system or the device does not take them like that, and for all other bytes, it is the usual way.
func (u *upload) put(p []byte) error {
	if u.direct != nil && len(p) == bufferSize && u.written%bufferSize == 0 {
		_, err := u.direct.WriteAt(p, u.written)
		if !errors.Is(err, syscall.EINVAL) {
			return err
		}
		u.closeDirect()
	}
	_, err := u.file.WriteAt(p, u.written)
	return err
}

func (u *upload) closeDirect() {
	if u.direct != nil {
		_ = u.direct.Close() // what was written is synced through file
		u.direct = nil
	}
}

// close closes an upload's file.
func (u *upload) close() error {
	u.closeDirect()
	return u.file.Close()
}

// add takes bytes that were written into the hash.
func (u *upload) add(p []byte) {
	u.hash.Write(p)
	u.offset += int64(len(p))
}

// checkpoint makes all bytes that were hashed so far safe, and returns when they are.
func (u *upload) checkpoint() error {
	u.beginCheckpoint()
	return u.endCheckpoint()
}

// beginCheckpoint starts to make all bytes that were hashed so far safe: first they, then the state
// that counts them. Meanwhile more may be written and hashed. It waits for the checkpoint before
// this one, so a disk that is slower than the network holds the network back.
func (u *upload) beginCheckpoint() {
	if u.endCheckpoint() != nil || u.offset == u.safe {
		return
	}
	// The hash goes on, so the state is taken now.
	state, err := u.encode()
	saving := make(chan error, 1)
	u.saving, u.saved = saving, u.offset
	go func() {
		if err == nil {
			err = u.file.Sync()
		}
		if err == nil {
			err = u.disk.writeState(u.dir, state)
		}
		if err != nil {
			u.stop()
		}
		saving <- err
	}()
}

// endCheckpoint waits for the checkpoint that is under way, and returns the error of the first one
// that failed.
func (u *upload) endCheckpoint() error {
	if u.saving == nil {
		return u.failed
	}
	err := <-u.saving
	u.saving = nil
	if err != nil {
		u.failed = diskError(err)
		return u.failed
	}
	u.safe = u.saved
	return nil
}
