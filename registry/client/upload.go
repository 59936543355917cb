package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

const (
	// maxRestarts bounds how often an upload begins from nothing.
	maxRestarts = 3
	// maxDamages bounds how often a whole file is sent again because it did not arrive as it is.
	maxDamages = 1
	// abortTimeout is how long the caller waits for the registry to drop what came of a failed upload.
	abortTimeout = 3 * time.Second
)

// UploadFile brings the bytes of a file into the registry, on behalf of an artifact, and returns what
// a publication says of them. name is the file's name there. It reads the file twice, once for its
// digest; bytes that the registry has are not sent. Interrupted connections are resumed where the
// registry says. Invalid: the file cannot be read, or changed meanwhile.
//
// Once it is known what the file is, it is returned with an error, too, so that nobody has to read it
// again; the zero File comes with an error that was found before that, or that doubts it.
func (c *Client) UploadFile(ctx context.Context, artifact, path, name string, track Track) (registry.File, error) {
	if err := checkUpload(artifact, name); err != nil {
		return registry.File{}, err
	}
	file, err := openRegular(path)
	if err != nil {
		return registry.File{}, err
	}
	defer file.Close()
	return c.Upload(ctx, artifact, name, file, track)
}

// UploadExactly is [Client.UploadFile] for a file of which it is known what it should be. Conflict: it is
// something else; the registry is not told of it then, and the error does not say what is there instead.
func (c *Client) UploadExactly(ctx context.Context, artifact, path string, want registry.File, track Track) error {
	if err := checkUpload(artifact, want.Name); err != nil {
		return err
	}
	file, err := openRegular(path)
	if err != nil {
		return err
	}
	defer file.Close()
	u := &upload{c: c, artifact: artifact, content: file, track: track, file: registry.File{Name: want.Name}}
	// One byte more tells that there is more than there should be, however much that is.
	if err := u.measure(ctx, want.Size+1); err != nil {
		return err
	}
	if u.file != want {
		return registry.Errorf(registry.Conflict, "the file %q is not what it should be: %d bytes with the sha256 %s; put that back", want.Name, want.Size, want.SHA256)
	}
	return u.run(ctx)
}

func openRegular(path string) (*os.File, error) {
	// Opening a pipe would wait for a writer.
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, registry.Errorf(registry.Invalid, "%s is not a regular file; only files can be uploaded", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, localError(err, "the file cannot be uploaded")
	}
	return file, nil
}

// Upload does for all of content, from its start, what [Client.UploadFile] does for a file.
func (c *Client) Upload(ctx context.Context, artifact, name string, content io.ReadSeeker, track Track) (registry.File, error) {
	if err := checkUpload(artifact, name); err != nil {
		return registry.File{}, err
	}
	u := &upload{c: c, artifact: artifact, content: content, track: track, file: registry.File{Name: name}}
	if err := u.measure(ctx, math.MaxInt64); err != nil {
		return registry.File{}, err
	}
	err := u.run(ctx)
	if u.doubted {
		return registry.File{}, err
	}
	return u.file, err
}

func checkUpload(artifact, name string) error {
	var fields []registry.FieldError
	if _, err := registry.ParseArtifactName(artifact); err != nil {
		fields = append(fields, registry.FieldError{Field: "artifact", Message: err.Error()})
	}
	if err := registry.CheckFileName(name); err != nil {
		fields = append(fields, registry.FieldError{Field: "name", Message: err.Error()})
	}
	if len(fields) > 0 {
		return &registry.Error{Kind: registry.Invalid, Msg: "the file cannot be uploaded", Fields: fields}
	}
	return nil
}

// upload is the way of one file into the registry.
type upload struct {
	c        *Client
	artifact string
	file     registry.File
	content  io.ReadSeeker
	track    Track
	// doubted is set when the content was found to be something else than file by now.
	doubted bool
}

// measure finds out what the file is, by its first limit bytes.
func (u *upload) measure(ctx context.Context, limit int64) (err error) {
	u.file.SHA256, u.file.Size, err = u.digest(ctx, limit)
	return err
}

func (u *upload) digest(ctx context.Context, limit int64) (registry.Digest, int64, error) {
	if _, err := u.content.Seek(0, io.SeekStart); err != nil {
		return "", 0, u.unreadable(err)
	}
	h := newHash()
	size, err := hashAll(ctx, h, io.LimitReader(u.content, limit))
	switch {
	case ctx.Err() != nil:
		return "", 0, u.c.stopped(ctx.Err(), nil)
	case err != nil:
		return "", 0, u.unreadable(err)
	}
	return digestOf(h), size, nil
}

func (u *upload) unreadable(err error) error {
	u.doubted = true
	return localError(err, "the file %q cannot be read", u.file.Name)
}

func (u *upload) changed() error {
	u.doubted = true
	return registry.Errorf(registry.Invalid, "the file changed while it was uploaded: %q; make sure that nothing writes to it, and begin again", u.file.Name)
}

// run begins uploads until one is done. Another is begun when the registry knows nothing of the one
// before: it expired, or the answer to its commit was lost, in which case nothing is sent again.
func (u *upload) run(ctx context.Context) error {
	damages := 0
	for restarts := 0; ; restarts++ {
		status, err := u.begin(ctx)
		if err != nil || status.Done {
			return err
		}
		err = u.send(ctx, status)
		if err == nil {
			return nil
		}
		again := registry.KindOf(err) == registry.NotFound
		if damaged, ok := errors.AsType[*damagedError](err); ok {
			err = damaged.cause
			damages++
			again = damages <= maxDamages
		}
		if !again || restarts == maxRestarts {
			u.abort(ctx, status.ID, err)
			return err
		}
		u.c.log("upload of %s: %v; beginning again", u.file.Name, err)
	}
}

func (u *upload) begin(ctx context.Context) (registry.UploadStatus, error) {
	body := registry.UploadRequest{Artifact: u.artifact, Size: u.file.Size, SHA256: string(u.file.SHA256)}
	return call(ctx, u.c, request{method: http.MethodPost, path: "/v1/uploads", body: body}, u.isStatus)
}

// isStatus holds what the registry says of an upload against what was asked of it.
func (u *upload) isStatus(s registry.UploadStatus) error {
	if s.SHA256 == "" || !s.Done && !isSegment(s.ID) {
		return errOtherShape
	}
	if err := same("sha256", string(s.SHA256), string(u.file.SHA256), "size", fmt.Sprint(s.Size), fmt.Sprint(u.file.Size)); err != nil {
		return err
	}
	if s.Offset < 0 || s.Offset > u.file.Size || s.Done && s.Offset != u.file.Size {
		return &otherMatter{what: "offset", got: fmt.Sprint(s.Offset), want: "one of a file of " + fmt.Sprint(u.file.Size) + " bytes"}
	}
	return nil
}

// isDone is isStatus of an upload that is finished.
func (u *upload) isDone(s registry.UploadStatus) error {
	if err := u.isStatus(s); err != nil {
		return err
	}
	return shaped(s.Done)
}

// send sends what the registry does not have yet, and commits.
func (u *upload) send(ctx context.Context, status registry.UploadStatus) error {
	where, err := path("uploads", status.ID)
	if err != nil {
		return err
	}
	p := &patience{c: u.c, what: "upload of " + u.file.Name, reached: status.Offset}
	for offset := status.Offset; offset < u.file.Size; {
		err := u.append(ctx, where, offset)
		if err == nil {
			break
		}
		i, ok := err.(*interruption)
		if !ok {
			return err
		}
		if offset, err = u.resume(ctx, where, p, i); err != nil {
			return err
		}
	}
	return u.commit(ctx, where, p)
}

// resume returns where the upload goes on after an interruption.
func (u *upload) resume(ctx context.Context, where string, p *patience, i *interruption) (int64, error) {
	if err := p.rest(ctx, i, i.offset); err != nil {
		return 0, err
	}
	if i.offset >= 0 && i.offset <= u.file.Size {
		return i.offset, nil
	}
	status, err := call(ctx, u.c, get(where, nil), u.isStatus)
	if err != nil {
		return 0, err
	}
	p.advanced(status.Offset)
	return status.Offset, nil
}

// append sends everything from offset on, as one request. It returns an [*interruption] when the
// upload can go on.
func (u *upload) append(ctx context.Context, where string, offset int64) error {
	if _, err := u.content.Seek(offset, io.SeekStart); err != nil {
		return u.unreadable(err)
	}
	conn, dog, cancel := watch(ctx, u.c.stall)
	defer cancel()
	source := &source{r: u.content, left: u.file.Size - offset, dog: dog}
	body := &stream{r: u.track.wrap(u.file.Name, offset, u.file.Size, source)}
	defer body.Close()
	req, err := http.NewRequestWithContext(conn, http.MethodPatch, u.c.address+where, body)
	if err != nil {
		return localError(err, "the upload cannot be addressed")
	}
	req.ContentLength = source.left
	u.c.setHeaders(req.Header)
	req.Header.Set("Content-Type", "application/octet-stream")
	req.Header.Set("Upload-Offset", strconv.FormatInt(offset, 10))
	resp, err := u.c.http.Do(req)
	var answer []byte
	if err == nil {
		answer, err = u.c.readAnswer(resp)
	}
	body.Close()
	switch {
	case errors.Is(source.err, io.ErrUnexpectedEOF):
		return u.changed()
	case source.err != nil:
		return u.unreadable(source.err)
	case err != nil:
		return u.c.interrupted(ctx, conn, err)
	}
	return u.appended(resp, answer)
}

// appended judges the answer to an append.
func (u *upload) appended(resp *http.Response, answer []byte) error {
	offset, err := strconv.ParseInt(resp.Header.Get("Upload-Offset"), 10, 64)
	if err != nil {
		offset = -1
	}
	switch {
	case resp.StatusCode == http.StatusNoContent && offset == u.file.Size:
		return nil
	case resp.StatusCode == http.StatusNoContent:
		return &interruption{cause: unavailable("the registry at %s took a part of the file only", u.c.address), offset: offset}
	case resp.StatusCode >= 200 && resp.StatusCode <= 299:
		return passing(u.c.wrongAnswer(resp, errOtherShape), -1)
	case resp.StatusCode >= 500:
		// Where a server in trouble says that it is, it may not be.
		offset = -1
	}
	err = u.c.judge(resp, answer)
	if refusal, final := errors.AsType[*registry.Error](err); final && (offset >= 0 || resp.StatusCode == http.StatusRequestTimeout) {
		// Bytes that begin at the wrong place, a body that the registry saw break off, or 408, which
		// proxies say of the connection, and not of what was sent.
		return &interruption{cause: refusal, offset: offset}
	}
	return passing(err, offset)
}

// damagedError says that bytes changed on the way.
type damagedError struct{ cause *registry.Error }

func (d *damagedError) Error() string { return d.cause.Error() }

// commit has the registry verify what it has. When that is something else, the content is read once
// more to tell who changed it.
func (u *upload) commit(ctx context.Context, where string, p *patience) error {
	end, err := u.content.Seek(0, io.SeekEnd)
	if err != nil {
		return u.unreadable(err)
	}
	if end != u.file.Size {
		return u.changed()
	}
	for {
		_, err = call(ctx, u.c, request{method: http.MethodPut, path: where}, u.isDone)
		if registry.KindOf(err) != registry.Conflict {
			break
		}
		// The registry is still at it: with the last bytes, or with a commit whose answer was lost.
		busy, _ := errors.AsType[*registry.Error](err)
		if err := p.rest(ctx, &interruption{cause: busy}, -1); err != nil {
			return err
		}
	}
	if registry.KindOf(err) != registry.Invalid {
		return err
	}
	digest, size, readErr := u.digest(ctx, math.MaxInt64)
	switch {
	case readErr != nil:
		return readErr
	case digest != u.file.SHA256 || size != u.file.Size:
		return u.changed()
	}
	refusal, _ := errors.AsType[*registry.Error](err)
	return &damagedError{cause: &registry.Error{
		Kind: registry.Unavailable,
		Msg:  "the bytes of the file arrive damaged at the registry at " + u.c.address + ": " + refusal.Msg,
	}}
}

// abort has the registry drop an upload that will not be finished, if it can be asked: otherwise it
// would keep the bytes until the upload expires.
func (u *upload) abort(ctx context.Context, id string, why error) {
	kind := registry.KindOf(why)
	if kind == registry.NotFound || kind == registry.Unavailable && ctx.Err() == nil {
		return
	}
	where, err := path("uploads", id)
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	// The upload has failed already; if this does, too, it expires.
	_, _ = u.c.callEmpty(ctx, request{method: http.MethodDelete, path: where, once: true})
}

// source is what is left of a content that should have a certain size. Its err is the content's own,
// io.ErrUnexpectedEOF when it is too short; it is read after the stream around it is closed.
type source struct {
	r    io.Reader
	left int64
	dog  *watchdog
	err  error
}

func (s *source) Read(p []byte) (int, error) {
	s.dog.touch()
	if s.left == 0 {
		return 0, io.EOF
	}
	n, err := s.r.Read(p[:min(int64(len(p)), s.left)])
	s.left -= int64(n)
	if err == io.EOF {
		err = nil
		if s.left > 0 {
			s.err = io.ErrUnexpectedEOF
			return n, s.err
		}
	}
	if err != nil {
		s.err = err
	}
	return n, err
}
