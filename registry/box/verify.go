package box

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"math"
)

// readAhead is how much Verify takes at once. Whoever feeds it through a pipe goes on meanwhile.
const readAhead = 1 << 20

// Verify reads the box that r holds to its end. It accepts what [Read] accepts, if nothing of it is missing or
// damaged: each member of the tar archive and the archive's end are there, and where it is gzipped, so is the gzip
// data, of one part or several, with the right checksums and nothing else after it. It returns what Read returns.
//
// Its memory does not grow with the box. It does not read on after it has found a mistake.
func Verify(r io.Reader) (Info, error) { return verify(r, maxUnpacked) }

// verify is Verify of a gzipped box that has less than limit bytes unpacked.
func verify(r io.Reader, limit int64) (Info, error) {
	// The buffer also hides that r may seek: the tar archive would skip what must be read.
	content := bufio.NewReaderSize(r, readAhead)
	head, err := content.Peek(magicSize)
	if err != nil && err != io.EOF {
		return Info{}, err
	}
	if err := checkFormat(head); err != nil {
		return Info{}, err
	}
	w := &whole{r: content, left: math.MaxInt64}
	otherwise := notTar
	if isGzip(head) {
		if w.r, err = unzip(content); err != nil {
			return Info{}, err
		}
		w.left, otherwise = limit, notTarInside
	}
	archive := tar.NewReader(w)
	info, findErr := find(archive, otherwise)
	if findErr == nil {
		err = skipMembers(archive)
	} else if findErr != errNoMetadata && findErr != errBoxInside {
		return Info{}, findErr
	}
	if err == nil {
		err = w.finish()
	}
	// A box that was cut short may have lost its metadata.json with the rest.
	if err == nil {
		err = findErr
	}
	if err != nil {
		return Info{}, err
	}
	return info, nil
}

// skipMembers reads all that is left of an archive.
func skipMembers(archive *tar.Reader) error {
	for {
		if _, err := archive.Next(); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("it is broken or cut short after its metadata.json: %w", plain(err))
		}
	}
}

// whole is the tar archive of a box. It fails when it has no bytes left to give, although there are more.
type whole struct {
	r    io.Reader
	left int64
	// ended is set when the tar archive has asked for more than there is.
	ended bool
}

func (w *whole) Read(p []byte) (int, error) {
	if w.left == 0 {
		return 0, errors.New("unpacked, it is larger than any box may be")
	}
	n, err := w.r.Read(p[:min(int64(len(p)), w.left)])
	w.left -= int64(n)
	if err == io.EOF && n > 0 {
		err = nil
	}
	w.ended = w.ended || err == io.EOF
	return n, err
}

// finish reads what follows the archive that a tar reader has come to the end of.
func (w *whole) finish() error {
	// A tar reader takes the end of all bytes for that of the archive, which is two blocks of zeros.
	if w.ended {
		return errors.New("it is cut short: the end of its tar archive is missing")
	}
	_, err := io.Copy(io.Discard, w)
	switch {
	case errors.Is(err, gzip.ErrHeader):
		return errors.New("after its gzip data it has bytes that are not gzip")
	case err != nil:
		return fmt.Errorf("it is broken or cut short after its tar archive: %w", plain(err))
	}
	return nil
}
