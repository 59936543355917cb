package blob

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

const (
	dirMode  = 0o700
	fileMode = 0o600
)

// Disk is a [registry.BlobStore] in a local directory:
//
//	blobs/ab/abcdef…     a blob, named by its digest
//	uploads/ID/data      the bytes of an upload
//	uploads/ID/state     how many of them are safe, and the sha256 up to there
//
// An upload exists as long as its data file does, and a blob from the moment that file is renamed
// to it, so a crash leaves one or the other and never half a blob. The state is written after the
// bytes that it counts were synced: at the end of each Append, and within one, while more bytes come
// in, every 64 MiB and every ten seconds. Bytes after the recorded offset are cut off when the upload
// is used again. Where the state is missing
// or damaged, or the data file is shorter than it says, nothing is known of the bytes: the upload
// is back at offset 0.
//
// Where the system can, whole buffers are written past the kernel's page cache: a large upload then costs neither a copy
// of its bytes nor the cache of what others read. The first reader of a large blob gets it from the disk.
//
// Commit and Abort of an upload to which somebody appends right now are a Conflict, as a second
// Append is. One process at a time may use a directory: these locks are its own.
type Disk struct {
	blobs, uploads string

	// busy holds the ids of uploads that are being changed.
	busy locks
	// settling holds the digests of blobs that may be visible before they are durable.
	settling locks
	// states is held for reading while a state is read and for writing while one is replaced,
	// because Windows does not replace a file that is open.
	states sync.RWMutex
}

var _ registry.BlobStore = (*Disk)(nil)

// OpenDisk opens the store in a directory, which is made if it does not exist. Uploads that a
// crash interrupted go on from where they were safe. A directory that cannot be made is
// Unavailable.
func OpenDisk(dir string) (*Disk, error) {
	if dir == "" {
		return nil, registry.Errorf(registry.Invalid, "the directory for blobs must have a name")
	}
	// A later change of the working directory must not move the store.
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, diskError(err)
	}
	d := &Disk{blobs: filepath.Join(dir, "blobs"), uploads: filepath.Join(dir, "uploads")}
	for _, dir := range []string{dir, d.blobs, d.uploads} {
		if err := makeDir(dir); err != nil {
			return nil, diskError(err)
		}
	}
	if err := d.recover(); err != nil {
		return nil, diskError(err)
	}
	return d, nil
}

// recover finishes what a crash interrupted in Commit and Abort. An upload without data has ended,
// but the blob that it may have become is not durable before its directory is synced.
func (d *Disk) recover() error {
	entries, err := os.ReadDir(d.uploads)
	if err != nil {
		return err
	}
	for _, e := range entries {
		id, dir := e.Name(), d.uploadPath(e.Name())
		if checkID(id) != nil || !e.IsDir() {
			continue
		}
		if _, err := os.Lstat(filepath.Join(dir, dataName)); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		s, err := d.readState(dir)
		if err != nil {
			return err
		}
		if err := d.syncBlob(s.digest()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := d.remove(id); err != nil {
			return err
		}
	}
	return nil
}

// Stat returns the size of a blob in bytes.
func (d *Disk) Stat(ctx context.Context, digest registry.Digest) (int64, error) {
	digest, err := registry.ParseDigest(string(digest))
	if err != nil {
		return 0, err
	}
	for {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		info, err := os.Stat(d.blobPath(digest))
		if err != nil {
			return 0, d.missing(err, d.blobs, "blob %s does not exist", digest)
		}
		// Whoever sees a blob relies on it, so one that power loss could still undo is not shown:
		// wait for its Commit, and look again because that may have failed.
		settled := d.settling.held(string(digest))
		if settled == nil {
			return info.Size(), nil
		}
		select {
		case <-settled:
		case <-ctx.Done():
		}
	}
}

// Open returns a blob as an [*os.File].
func (d *Disk) Open(ctx context.Context, digest registry.Digest) (io.ReadSeekCloser, error) {
	if _, err := d.Stat(ctx, digest); err != nil {
		return nil, err
	}
	digest, err := registry.ParseDigest(string(digest))
	if err != nil {
		return nil, err
	}
	f, err := os.Open(d.blobPath(digest))
	if err != nil {
		return nil, d.missing(err, d.blobs, "blob %s does not exist", digest)
	}
	return f, nil
}

// Create begins an upload.
func (d *Disk) Create(ctx context.Context, id string) error {
	unlock, err := d.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()

	dir := d.uploadPath(id)
	if err := os.Mkdir(dir, dirMode); errors.Is(err, fs.ErrExist) {
		if _, err := os.Lstat(filepath.Join(dir, dataName)); err == nil {
			return registry.Errorf(registry.Conflict, "upload %s exists already", id)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return diskError(err)
		}
		// What a crash left of an upload that had ended. Its state must be gone before there is a
		// new data file that it could be taken for.
		if err := d.removeState(dir); err != nil {
			return diskError(err)
		}
	} else if err != nil {
		return diskError(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, dataName), os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return diskError(err)
	}
	if err := errors.Join(f.Close(), syncDir(dir), syncDir(d.uploads)); err != nil {
		// An upload of which the caller does not know would make the next try a Conflict.
		return diskError(errors.Join(err, d.remove(id)))
	}
	return nil
}

// Offset returns how many bytes of an upload are safe. While somebody appends, that is the last
// checkpoint.
func (d *Disk) Offset(ctx context.Context, id string) (int64, error) {
	if err := checkID(id); err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	s, err := d.safeState(id)
	return s.offset, err
}

// Sum returns the digest and the number of the safe bytes of an upload. The state has the hash, so none of them is read.
func (d *Disk) Sum(ctx context.Context, id string) (registry.Digest, int64, error) {
	unlock, err := d.lock(ctx, id)
	if err != nil {
		return "", 0, err
	}
	defer unlock()
	s, err := d.safeState(id)
	if err != nil {
		return "", 0, err
	}
	return s.digest(), s.offset, nil
}

// Append adds bytes at offset. A cancelled context ends it with the context's error between two
// reads of r; like a failure of r, that keeps what came before. With an error of kind TooLarge the
// upload holds limit bytes. After a failure of the disk the offset is that of the last checkpoint
// that succeeded; Offset says where to go on.
func (d *Disk) Append(ctx context.Context, id string, offset, limit int64, r io.Reader) (int64, error) {
	unlock, err := d.lock(ctx, id)
	if err != nil {
		return 0, err
	}
	defer unlock()
	u, err := d.openUpload(id)
	if err != nil {
		return 0, err
	}
	defer u.close()

	if offset != u.offset {
		return u.offset, registry.Errorf(registry.Conflict, "upload %s goes on at offset %d, not at %d", id, u.offset, offset)
	}
	u.direct, _ = openDirect(filepath.Join(u.dir, dataName)) // without it the bytes go the usual way
	appendErr := u.appendFrom(ctx, r, limit)
	if err := u.checkpoint(); err != nil {
		return u.safe, err
	}
	return u.safe, appendErr
}

// Commit makes the bytes a blob and ends the upload. A want that is no digest at all is Invalid
// and leaves the upload as it is.
func (d *Disk) Commit(ctx context.Context, id string, want registry.Digest, size int64) error {
	want, err := registry.ParseDigest(string(want))
	if err != nil {
		return err
	}
	unlock, err := d.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	u, err := d.openUpload(id)
	if err != nil {
		return err
	}
	defer u.file.Close()

	if err := compare(u.digest(), want, u.offset, size); err != nil {
		// Windows does not remove an open file, nor rename one.
		u.file.Close()
		if err := d.remove(id); err != nil {
			return diskError(err)
		}
		return err
	}
	if err := errors.Join(u.file.Sync(), u.file.Close()); err != nil {
		return diskError(err)
	}

	settle, err := d.settling.lock(ctx, string(want))
	if err != nil {
		return err
	}
	defer settle()
	data, blob := filepath.Join(u.dir, dataName), d.blobPath(want)
	_, err = os.Lstat(blob)
	exists := err == nil
	if !exists {
		if !errors.Is(err, fs.ErrNotExist) {
			return diskError(err)
		}
		if err := os.Mkdir(filepath.Dir(blob), dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
			return diskError(err)
		}
		if err := os.Rename(data, blob); err != nil {
			return diskError(err)
		}
	}
	if err := d.syncBlob(want); err != nil {
		if !exists {
			// Nobody has seen the blob, so the upload can be what it was and Commit be tried again.
			err = errors.Join(err, os.Rename(blob, data))
		}
		return diskError(err)
	}
	// A renamed upload has ended, so a failure to remove the rest of it is none of Commit: OpenDisk
	// removes that.
	if err := d.remove(id); err != nil && exists {
		return diskError(err)
	}
	return nil
}

// Abort ends an upload.
func (d *Disk) Abort(ctx context.Context, id string) error {
	unlock, err := d.lock(ctx, id)
	if err != nil {
		return err
	}
	defer unlock()
	return diskError(d.remove(id))
}

// Ping returns nil when bytes can be written. It writes some, but does not wait for the disk.
func (d *Disk) Ping(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// The hyphen keeps the name apart from every upload's.
	f, err := os.CreateTemp(d.uploads, "ping-*")
	if err != nil {
		return diskError(err)
	}
	_, err = f.Write(make([]byte, 4096))
	return diskError(errors.Join(err, f.Close(), os.Remove(f.Name())))
}

// lock makes the caller the only one who changes an upload, until it calls unlock.
func (d *Disk) lock(ctx context.Context, id string) (unlock func(), err error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	unlock, ok := d.busy.try(id)
	if !ok {
		return nil, registry.Errorf(registry.Conflict, "upload %s is in use by another request", id)
	}
	return unlock, nil
}

// remove removes an upload, or what a crash left of one. The data file goes first: without it the
// upload has ended, whatever happens to the rest.
func (d *Disk) remove(id string) error {
	dir := d.uploadPath(id)
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		_, err := os.Stat(d.uploads)
		return err
	}
	if err := os.Remove(filepath.Join(dir, dataName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	d.states.Lock()
	err := os.RemoveAll(dir)
	d.states.Unlock()
	return errors.Join(err, syncDir(d.uploads))
}

// syncBlob makes the name of a blob durable.
func (d *Disk) syncBlob(digest registry.Digest) error {
	return errors.Join(syncDir(filepath.Dir(d.blobPath(digest))), syncDir(d.blobs))
}

// missing returns the error of looking for something under root. Where the root itself is gone,
// the medium is: nothing can be said of what it holds.
func (d *Disk) missing(err error, root, format string, args ...any) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return diskError(err)
	}
	if _, err := os.Stat(root); err != nil {
		return diskError(err)
	}
	return registry.Errorf(registry.NotFound, format, args...)
}

// compare names each of digest and size that is not what it should be.
func compare(digest, wantDigest registry.Digest, size, wantSize int64) error {
	var wrong []string
	if digest != wantDigest {
		wrong = append(wrong, fmt.Sprintf("their sha256 is %s, expected %s", digest, wantDigest))
	}
	if size != wantSize {
		wrong = append(wrong, fmt.Sprintf("their size is %d bytes, expected %d", size, wantSize))
	}
	if len(wrong) == 0 {
		return nil
	}
	return registry.Errorf(registry.Invalid, "the uploaded bytes are not the announced ones: %s", strings.Join(wrong, "; "))
}
