package client

import (
	"context"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// Download writes the bytes of a digest to a file at path. They are collected in a hidden file beside
// it, .NAME.DIGEST.partial with the first 12 digits of the digest, where a later call goes on, and get
// their name when size and digest are right and they are safe on the disk: no half file is ever there.
// A file at path that has the digest already is left as it is; another is replaced. Only one process
// at a time may download a digest to a path.
//
// NotFound: the registry has no such bytes, or the token may not read them. Invalid: path cannot be
// written, or what was received has another digest; it is removed then.
func (c *Client) Download(ctx context.Context, digest registry.Digest, size int64, path string, track Track) error {
	want, err := registry.ParseDigest(string(digest))
	if err != nil {
		return registry.BadField("digest", err)
	}
	if size < 0 {
		return registry.Errorf(registry.Invalid, "a file cannot have %d bytes", size)
	}
	d := &download{c: c, digest: want, size: size, path: path, partial: partialPath(path, want), track: track}
	there, err := d.isThere(ctx)
	if there || err != nil {
		return err
	}
	defer d.close()
	if err := d.open(ctx); err != nil {
		return err
	}
	found := d.offset
	err = d.fetch(ctx)
	if errors.Is(err, errWrongDigest) && found > 0 {
		// What was there before may have been of another file.
		c.log("%s: the partial file was of other content; beginning again", path)
		if err = d.restart(); err == nil {
			err = d.fetch(ctx)
		}
	}
	if errors.Is(err, errWrongDigest) {
		d.close()
		d.file = nil
		if err := os.Remove(d.partial); err != nil {
			return d.unwritable(err)
		}
		return registry.Errorf(registry.Invalid, "what the registry at %s sent has the sha256 %s, not %s; it was removed", c.address, digestOf(d.hash), want)
	}
	if err != nil {
		d.tidy()
		return err
	}
	return d.finish()
}

// partialPath is where the bytes for a file are collected: a name that neither a file of the user
// nor another download has.
func partialPath(path string, digest registry.Digest) string {
	dir, name := filepath.Split(path)
	// File systems take 255 bytes.
	const most = 200
	if len(name) > most {
		name = strings.ToValidUTF8(name[:most], "")
	}
	return filepath.Join(dir, "."+name+"."+string(digest[:12])+".partial")
}

var errWrongDigest = errors.New("wrong digest")

// download is the way of one blob to a file.
type download struct {
	c             *Client
	digest        registry.Digest
	size          int64
	path, partial string
	track         Track

	file   *os.File
	hash   hash.Hash // of what file has
	offset int64     // length of what file has
}

func (d *download) close() {
	if d.file != nil {
		d.file.Close()
	}
}

// tidy removes a partial file with nothing in it.
func (d *download) tidy() {
	if d.file != nil && d.offset == 0 {
		d.close()
		d.file = nil
		_ = os.Remove(d.partial)
	}
}

// isThere says whether the file is there with the right content.
func (d *download) isThere(ctx context.Context) (bool, error) {
	info, err := os.Stat(d.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, localError(err, "the file cannot be written")
	case !info.Mode().IsRegular():
		return false, registry.Errorf(registry.Invalid, "%s exists and is not a regular file; give the path of a file", d.path)
	case info.Size() != d.size:
		return false, nil
	}
	same, err := HasContent(ctx, d.path, d.digest, d.size)
	if ctx.Err() != nil {
		return false, d.c.stopped(ctx.Err(), nil)
	}
	// A file need not be readable to be replaced.
	return same && err == nil, nil
}

// HasContent says whether a regular file has a size and a digest. Its errors are those of the file
// system and of the context.
func HasContent(ctx context.Context, path string, digest registry.Digest, size int64) (bool, error) {
	file, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || info.Size() != size {
		return false, err
	}
	h := newHash()
	if _, err := hashAll(ctx, h, file); err != nil {
		return false, err
	}
	return digestOf(h) == digest, nil
}

// open opens the partial file and hashes what is in it.
func (d *download) open(ctx context.Context) error {
	info, err := os.Lstat(d.partial)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return d.unwritable(err)
	}
	if err != nil || info.Size() > d.size {
		return d.restart()
	}
	if !info.Mode().IsRegular() {
		return registry.Errorf(registry.Invalid, "%s exists and is not a regular file; remove it", d.partial)
	}
	if d.file, err = os.OpenFile(d.partial, os.O_RDWR, 0); err != nil {
		return d.unwritable(err)
	}
	d.hash = newHash()
	d.offset, err = hashAll(ctx, d.hash, d.file)
	switch {
	case ctx.Err() != nil:
		return d.c.stopped(ctx.Err(), nil)
	case err != nil:
		return d.unwritable(err)
	}
	return nil
}

// restart begins with an empty partial file. It makes a new one rather than empty the old one, which
// may have got its final name by now.
func (d *download) restart() error {
	d.close()
	d.file, d.hash, d.offset = nil, newHash(), 0
	if err := os.Remove(d.partial); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return d.unwritable(err)
	}
	var err error
	if d.file, err = os.OpenFile(d.partial, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600); err != nil {
		return d.unwritable(err)
	}
	return nil
}

func (d *download) unwritable(err error) error { return localError(err, "the file cannot be written") }

// fetch receives what the partial file has not, over as many connections as it takes, and compares
// the digest.
func (d *download) fetch(ctx context.Context) error {
	p := &patience{c: d.c, what: "download of " + d.path, reached: d.offset}
	// Even for an empty file the registry is asked: it knows whether this token may have it.
	for d.offset < d.size || d.size == 0 {
		err := d.receive(ctx)
		if err == nil {
			break
		}
		i, ok := err.(*interruption)
		if !ok {
			return err
		}
		if err := p.rest(ctx, i, d.offset); err != nil {
			return err
		}
	}
	if digestOf(d.hash) != d.digest {
		return errWrongDigest
	}
	return nil
}

// receive takes what one connection gives. It returns nil when all is there and an [*interruption]
// when another connection can go on.
func (d *download) receive(ctx context.Context) error {
	conn, dog, cancel := watch(context.WithValue(ctx, leaveKey{}, true), d.c.stall)
	defer cancel()
	req, err := http.NewRequestWithContext(conn, http.MethodGet, d.c.address+"/v1/blobs/"+string(d.digest), nil)
	if err != nil {
		return localError(err, "the download cannot be addressed")
	}
	d.c.setHeaders(req.Header)
	// The offsets are those of the bytes themselves, not of a compressed form of them.
	req.Header.Set("Accept-Encoding", "identity")
	if d.offset > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", d.offset))
	}
	resp, err := d.c.http.Do(req)
	if err != nil {
		return d.c.interrupted(ctx, conn, err)
	}
	defer resp.Body.Close()
	if readErr, err := d.judge(resp); err != nil {
		return err
	} else if readErr != nil {
		return d.c.interrupted(ctx, conn, readErr)
	}
	body := &stream{r: d.track.wrap(filepath.Base(d.path), d.offset, d.size, resp.Body)}
	defer body.Close()
	if readErr, err := d.store(body, dog); err != nil {
		return err
	} else if readErr != nil {
		return d.c.interrupted(ctx, conn, readErr)
	}
	return nil
}

// judge makes sure that the body of an answer is what comes next, or begins again if it is all.
// readErr is the error of the connection; err is any other.
func (d *download) judge(resp *http.Response) (readErr, err error) {
	// Blobs are served as bare bytes; a bucket to which the registry redirects names no such type either.
	if media := mediaType(resp); resp.StatusCode >= 200 && resp.StatusCode <= 299 && (media == "text/html" || media == "application/json") {
		return nil, passing(d.c.wrongAnswer(resp, errOtherMedia), -1)
	}
	switch resp.StatusCode {
	case http.StatusOK:
		if resp.ContentLength >= 0 && resp.ContentLength != d.size {
			return nil, registry.Errorf(registry.Invalid, "%s has %d bytes in the registry at %s, not %d", d.digest, resp.ContentLength, d.c.address, d.size)
		}
		if d.offset > 0 {
			return nil, d.restart()
		}
		return nil, nil
	case http.StatusPartialContent:
		if from, total, ok := contentRange(resp); !ok || from != d.offset || total != d.size {
			return nil, &interruption{offset: -1, cause: unavailable("the registry at %s sent the range %q when it was asked for what follows byte %d of %d",
				d.c.address, d.c.redact(resp.Header.Get("Content-Range")), d.offset, d.size)}
		}
		return nil, nil
	case http.StatusRequestedRangeNotSatisfiable:
		return nil, registry.Errorf(registry.Invalid, "%s has fewer bytes in the registry at %s than %d", d.digest, d.c.address, d.size)
	}
	answer, readErr := d.c.readAnswer(resp)
	if readErr != nil {
		return readErr, nil
	}
	if err := d.c.judge(resp, answer); err != nil {
		return nil, passing(err, -1)
	}
	return nil, passing(d.c.wrongAnswer(resp, errOtherShape), -1)
}

// contentRange reads "bytes FROM-TO/TOTAL".
func contentRange(resp *http.Response) (from, total int64, ok bool) {
	value, found := strings.CutPrefix(resp.Header.Get("Content-Range"), "bytes ")
	span, of, cut := strings.Cut(value, "/")
	first, _, dash := strings.Cut(span, "-")
	from, err1 := strconv.ParseInt(first, 10, 64)
	total, err2 := strconv.ParseInt(of, 10, 64)
	return from, total, found && cut && dash && err1 == nil && err2 == nil
}

// store adds a body to the partial file. readErr is the error of the connection, a body that ends too
// early included; err is any other.
func (d *download) store(body io.Reader, dog *watchdog) (readErr, err error) {
	buf := make([]byte, bufferSize)
	for {
		n, readErr := body.Read(buf)
		dog.touch()
		if d.offset+int64(n) > d.size {
			return nil, registry.Errorf(registry.Invalid, "the registry at %s sends more than the %d bytes that %s should have", d.c.address, d.size, d.digest)
		}
		if _, err := d.file.Write(buf[:n]); err != nil {
			return nil, d.unwritable(err)
		}
		d.hash.Write(buf[:n])
		d.offset += int64(n)
		switch {
		case readErr == io.EOF && d.offset == d.size:
			return nil, nil
		case readErr == io.EOF:
			return io.ErrUnexpectedEOF, nil
		case readErr != nil:
			return readErr, nil
		}
	}
}

// finish makes the partial file safe and gives it its name.
func (d *download) finish() error {
	mode, err := d.finalMode()
	if err == nil {
		err = d.file.Chmod(mode)
	}
	if err == nil {
		err = d.file.Sync()
	}
	if err == nil {
		err = d.file.Close()
		d.file = nil
	}
	if err == nil {
		err = os.Rename(d.partial, d.path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(d.path))
	}
	if err != nil {
		return d.unwritable(err)
	}
	return nil
}

// finalMode is what a file that anybody may read gets from the system here. Asking the process for
// its umask would change it for a moment, also for files that others make just then.
func (d *download) finalMode() (fs.FileMode, error) {
	probe := d.partial + ".mode"
	_ = os.Remove(probe) // of a process that was killed
	file, err := os.OpenFile(probe, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return 0, err
	}
	info, err := file.Stat()
	file.Close()
	if removed := os.Remove(probe); err == nil {
		err = removed
	}
	if err != nil {
		return 0, err
	}
	return info.Mode().Perm(), nil
}

// syncDir makes a new name in a directory safe, where the system has a way to.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	file, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer file.Close()
	return file.Sync()
}
