package vagrantcatalog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// Track wraps the bytes of one connection of a download, to show its progress: offset is where it begins, and size that of
// the whole, or -1. What it returns is closed once.
type Track func(offset, size int64, r io.ReadCloser) io.ReadCloser

// maxIdle is how many connections in a row may bring a download no further.
const maxIdle = 5

// Download brings the bytes at a URL into the file at path. What is in the file counts as their beginning, and a connection that is
// cut is followed by another, which goes on where it stopped. What was received stays there when it fails. resumed says that there were
// bytes before: if they turn out to be wrong, the file is to be removed and this called again.
func (s *Source) Download(ctx context.Context, address, path string, track Track) (resumed bool, err error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return false, errors.New("its url does not begin with http:// or https://")
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return false, err
	}
	defer func() {
		if closed := file.Close(); err == nil {
			err = closed
		}
	}()
	offset, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return false, err
	}
	d := download{s: s, u: u, file: file, offset: offset, track: track}
	if err = d.run(ctx); err != nil && d.offset == 0 {
		_ = os.Remove(path) // nothing is in it
	}
	return offset > 0, err
}

// download is the way of one box to a file.
type download struct {
	s      *Source
	u      *url.URL
	file   *os.File
	offset int64
	track  Track
	// validator is what If-Range needs to go on with the same bytes, and not with those of a box that has taken their place.
	validator string
}

// cut is the error of a connection that broke off, while another may go on.
type cut struct{ error }

func (d *download) run(ctx context.Context) error {
	for idle := 0; ; {
		before := d.offset
		err := d.receive(ctx)
		broken, again := errors.AsType[cut](err)
		if !again {
			return err
		}
		if idle++; d.offset > before {
			idle = 0
		}
		if idle >= maxIdle {
			return d.s.unanswered(ctx, d.u, broken.error)
		}
		if err := pause(ctx, d.s.retry.RetryWaitMin<<idle); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// receive takes what one connection gives.
func (d *download) receive(ctx context.Context) error {
	conn, dog := watch(ctx, d.s.stall)
	defer dog.stop()
	headers := []string{"Accept", "*/*"}
	if d.offset > 0 {
		headers = append(headers, "Range", fmt.Sprintf("bytes=%d-", d.offset))
		if d.validator != "" {
			headers = append(headers, "If-Range", d.validator)
		}
	}
	resp, err := d.s.get(conn, d.u, headers...)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	size := int64(-1)
	switch resp.StatusCode {
	case http.StatusOK:
		if err := d.restart(); err != nil {
			return err
		}
		size = resp.ContentLength
	case http.StatusPartialContent:
		from, total := contentRange(resp.Header.Get("Content-Range"))
		if from != d.offset {
			return fmt.Errorf("%s sent another range than the one that was asked for", bare(d.u))
		}
		size = total
	case http.StatusRequestedRangeNotSatisfiable:
		if _, total := contentRange(resp.Header.Get("Content-Range")); total == d.offset {
			return nil
		}
		return d.beginAgain(ctx)
	default:
		return &StatusError{resp.StatusCode, bare(d.u)}
	}
	d.validator = validator(resp.Header)
	return d.store(ctx, dog, resp.Body, size)
}

// validator is what If-Range takes; it may not be a weak tag.
func validator(h http.Header) string {
	if tag := h.Get("ETag"); strings.HasPrefix(tag, `"`) {
		return tag
	}
	return h.Get("Last-Modified")
}

// beginAgain is for a file that has more than the server.
func (d *download) beginAgain(ctx context.Context) error {
	if d.offset == 0 {
		return &StatusError{http.StatusRequestedRangeNotSatisfiable, bare(d.u)}
	}
	if err := d.restart(); err != nil {
		return err
	}
	return d.receive(ctx)
}

func (d *download) restart() error {
	d.offset = 0
	if err := d.file.Truncate(0); err != nil {
		return err
	}
	_, err := d.file.Seek(0, io.SeekStart)
	return err
}

// store adds a body to the file. An end before the size that was announced is a cut.
func (d *download) store(ctx context.Context, dog *watchdog, body io.ReadCloser, size int64) error {
	if d.track != nil {
		body = d.track(d.offset, size, body)
		defer func() { _ = body.Close() }()
	}
	w := &writer{w: d.file}
	n, err := io.Copy(w, dog.reader(body))
	d.offset += n
	switch {
	case w.err != nil:
		return w.err
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil && dog.barked():
		return cut{errStalled}
	case err == nil && size >= 0 && d.offset < size:
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return cut{err}
	}
	return nil
}

// writer keeps apart what fails here from what fails on the other side.
type writer struct {
	w   io.Writer
	err error
}

func (w *writer) Write(p []byte) (int, error) {
	n, err := w.w.Write(p)
	w.err = err
	return n, err
}

// contentRange reads "bytes FROM-TO/TOTAL" and "bytes */TOTAL"; -1 is what is not there.
func contentRange(value string) (from, total int64) {
	span, of, _ := strings.Cut(strings.TrimPrefix(value, "bytes "), "/")
	first, _, _ := strings.Cut(span, "-")
	number := func(s string) int64 {
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return n
		}
		return -1
	}
	return number(first), number(of)
}
