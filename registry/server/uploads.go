package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// uploadOffset is the header that says where an upload is, or where bytes begin.
const uploadOffset = "Upload-Offset"

type beginUploadInput struct{ Body registry.UploadRequest }

type uploadOutput struct {
	Status   int
	Location string `header:"Location" doc:"Path of the upload, when there are bytes to send."`
	Offset   int64  `header:"Upload-Offset" doc:"Bytes that are safe; where to go on."`
	Body     registry.UploadStatus
}

func (s *Server) beginUpload(ctx context.Context, in *beginUploadInput) (*uploadOutput, error) {
	status, err := s.svc.BeginUpload(ctx, in.Body)
	if err != nil {
		return nil, err
	}
	out := &uploadOutput{Status: http.StatusOK, Offset: status.Offset, Body: status}
	if !status.Done {
		out.Status, out.Location = http.StatusCreated, "/v1/uploads/"+status.ID
	}
	return out, nil
}

type uploadPath struct {
	ID string `path:"id" doc:"Id of the upload."`
}

func (s *Server) getUpload(ctx context.Context, in *uploadPath) (*uploadOutput, error) {
	return uploadAnswer(s.svc.Upload(ctx, in.ID))
}

func (s *Server) commitUpload(ctx context.Context, in *uploadPath) (*uploadOutput, error) {
	status, err := s.svc.CommitUpload(ctx, in.ID)
	if registry.KindOf(err) == registry.Conflict {
		h := http.Header{}
		s.tellOffset(ctx, h, in.ID)
		return nil, huma.ErrorWithHeaders(err, h)
	}
	return uploadAnswer(status, err)
}

func (s *Server) abortUpload(ctx context.Context, in *uploadPath) (*none, error) {
	return nil, s.svc.AbortUpload(ctx, in.ID)
}

func uploadAnswer(status registry.UploadStatus, err error) (*uploadOutput, error) {
	if err != nil {
		return nil, err
	}
	return &uploadOutput{Status: http.StatusOK, Offset: status.Offset, Body: status}, nil
}

// appendUploadOperation describes the one plain route of uploads.
func appendUploadOperation() huma.Operation {
	o := op("appendUpload", "PATCH", "/v1/uploads/{id}", tagBytes, needPublish, "Send bytes of an upload",
		"The body is the bytes from Upload-Offset on, as many as the caller likes. What arrived before a connection broke is kept. An offset that is not where the upload is gets 409, with the right one in the header Upload-Offset. A client that sends Expect: 100-continue learns of a refusal before it sends anything.")
	text := &huma.Schema{Type: huma.TypeString}
	offset := &huma.Schema{Type: huma.TypeInteger, Format: "int64"}
	o.Parameters = []*huma.Param{
		{Name: "id", In: "path", Required: true, Description: "Id of the upload.", Schema: text},
		{Name: uploadOffset, In: "header", Required: true, Description: "Where the bytes begin.", Schema: offset},
	}
	o.RequestBody = &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"application/octet-stream": {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}},
	}}
	o.Responses = map[string]*huma.Response{"204": {
		Description: http.StatusText(http.StatusNoContent),
		Headers:     map[string]*huma.Param{uploadOffset: {Description: "Bytes that are safe now.", Schema: offset}},
	}}
	return o
}

func (s *Server) appendUpload(x *exchange, r *http.Request) error {
	offset, err := parseOffset(r)
	if err != nil {
		return err
	}
	id := r.PathValue("id")
	in := s.receive(x, r)
	// What has arrived is kept when the client goes away, so its going must not end the writing. A
	// client that is gone, or silent for too long, ends the body with an error.
	now, err := s.svc.AppendUpload(context.WithoutCancel(r.Context()), id, offset, in)
	in.done()
	s.metrics.uploaded.Add(float64(in.read))
	switch {
	case err != nil && in.err != nil:
		x.Header().Set(uploadOffset, strconv.FormatInt(now, 10))
		return uploadBroken(in.err, s.opts.StallTimeout, "what came before is kept, go on at Upload-Offset")
	case registry.KindOf(err) == registry.Conflict:
		s.tellOffset(r.Context(), x.Header(), id)
		return err
	case err != nil:
		return err
	}
	x.Header().Set(uploadOffset, strconv.FormatInt(now, 10))
	x.WriteHeader(http.StatusNoContent)
	return nil
}

// tellOffset says in a header where an upload is, so that a client that was wrong about it can go on.
func (s *Server) tellOffset(ctx context.Context, h http.Header, id string) {
	if status, err := s.svc.Upload(ctx, id); err == nil {
		h.Set(uploadOffset, strconv.FormatInt(status.Offset, 10))
	}
}

func parseOffset(r *http.Request) (int64, error) {
	if sent := r.Header.Get("Content-Type"); sent != "" {
		if media, _, err := mime.ParseMediaType(sent); err != nil || media != "application/octet-stream" {
			return 0, withStatus(http.StatusUnsupportedMediaType, &registry.Error{
				Kind: registry.Invalid, Msg: "the body must be the bare bytes; send it with Content-Type: application/octet-stream",
				Fields: []registry.FieldError{{Field: "Content-Type", Message: "must be application/octet-stream"}},
			})
		}
	}
	values := r.Header[uploadOffset]
	if len(values) == 1 {
		// ParseUint takes no sign; 63 bits fit an int64.
		if offset, err := strconv.ParseUint(values[0], 10, 63); err == nil {
			return int64(offset), nil
		}
	}
	return 0, badRequest("the header Upload-Offset must say at which byte the body begins, such as Upload-Offset: 0",
		registry.FieldError{Field: uploadOffset, Message: "must be one whole number, 0 or more"})
}

// uploadBroken is the answer to a body that broke off. next says what became of the bytes, and what to do.
func uploadBroken(err error, stall time.Duration, next string) error {
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return withStatus(http.StatusRequestTimeout, &registry.Error{
			Kind: registry.Unavailable, Err: err, Msg: fmt.Sprintf("no bytes came for %v; %s", stall, next),
		})
	}
	return badRequest("the body ended before its announced length; "+next,
		registry.FieldError{Field: "body", Message: "could not be read to its end"})
}

// incoming is the body of an upload. A slow client may take all the time it needs; one that sends
// nothing for the stall timeout is cut.
type incoming struct {
	body    io.Reader
	control *http.ResponseController
	stall   time.Duration
	read    int64
	err     error // why it broke off; nil at its end
}

// receive begins to receive the body of an upload. Whoever reads it calls done afterwards.
func (s *Server) receive(x *exchange, r *http.Request) *incoming {
	in := &incoming{body: r.Body, control: http.NewResponseController(x.ResponseWriter), stall: s.opts.StallTimeout}
	// The server's own deadline is for short answers; done sets one for this answer.
	_ = in.control.SetWriteDeadline(time.Time{})
	return in
}

func (in *incoming) Read(p []byte) (int, error) {
	// A writer without deadlines (tests, other servers) leaves the cutting to others.
	_ = in.control.SetReadDeadline(time.Now().Add(in.stall))
	n, err := in.body.Read(p)
	in.read += int64(n)
	switch {
	case err == io.EOF:
		// What is done with the bytes may take its time. Meanwhile net/http waits for the next request.
		_ = in.control.SetReadDeadline(time.Time{})
	case err != nil:
		in.err = err
	}
	return n, err
}

// done gives the answer, and what net/http still reads of a body that was refused, a time of their
// own. The connection's next request gets its own from net/http. A body that broke off keeps the
// deadline that it ran into, so that net/http does not wait for the rest before it answers.
func (in *incoming) done() {
	if in.err == nil {
		_ = in.control.SetReadDeadline(time.Now().Add(in.stall))
	}
	// net/http reads first and answers then.
	_ = in.control.SetWriteDeadline(time.Now().Add(2 * in.stall))
}
