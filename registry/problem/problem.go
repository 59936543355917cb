// Package problem is the form of an error on the wire: RFC 9457 application/problem+json. It is the
// one place that maps the kinds of the domain's errors to HTTP statuses and back, shared by the
// server and its clients, so that a client gets the domain's error back exactly:
//
//	p := problem.FromError(err, requestID)   // the server
//	json.NewEncoder(w).Encode(p)
//	…
//	err := p.Err()                           // the client
package problem

import (
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// ContentType is the media type of a [Problem].
const ContentType = "application/problem+json"

// Problem is the body of every answer that is an error.
type Problem struct {
	// Type is "about:blank" always, as RFC 9457 asks where the title is that of the status. Kind is
	// what programs switch on.
	Type      string                `json:"type" doc:"Always about:blank; see kind."`
	Title     string                `json:"title" doc:"Name of the HTTP status."`
	Status    int                   `json:"status" doc:"The HTTP status."`
	Detail    string                `json:"detail" doc:"What was wrong, and what would be right."`
	Kind      registry.Kind         `json:"kind" enum:"invalid,unauthorized,forbidden,not_found,conflict,too_large,unavailable,internal" doc:"What went wrong, for programs."`
	RequestID string                `json:"request_id,omitempty" doc:"Finds the request in the server's log."`
	Fields    []registry.FieldError `json:"fields,omitempty" doc:"All problems of the request, each with its place."`
	Choices   []string              `json:"choices,omitempty" doc:"Values that would have been right."`
}

// statuses is the table: what each kind is on the wire.
var statuses = map[registry.Kind]int{
	registry.Invalid:      http.StatusUnprocessableEntity,
	registry.Unauthorized: http.StatusUnauthorized,
	registry.Forbidden:    http.StatusForbidden,
	registry.NotFound:     http.StatusNotFound,
	registry.Conflict:     http.StatusConflict,
	registry.TooLarge:     http.StatusRequestEntityTooLarge,
	registry.Unavailable:  http.StatusServiceUnavailable,
	registry.Internal:     http.StatusInternalServerError,
}

// Status returns the HTTP status of a kind; 500 for one that is unknown.
func Status(kind registry.Kind) int {
	if status, ok := statuses[kind]; ok {
		return status
	}
	return http.StatusInternalServerError
}

// KindOfStatus returns the kind that an error status stands for where no problem says it: an answer
// of a proxy, or of another server. It is "" for a status below 400.
func KindOfStatus(status int) registry.Kind {
	switch status {
	case http.StatusUnauthorized, http.StatusProxyAuthRequired:
		return registry.Unauthorized
	case http.StatusForbidden:
		return registry.Forbidden
	case http.StatusNotFound, http.StatusGone:
		return registry.NotFound
	case http.StatusConflict, http.StatusPreconditionFailed:
		return registry.Conflict
	case http.StatusRequestEntityTooLarge:
		return registry.TooLarge
	case http.StatusRequestTimeout, http.StatusTooManyRequests,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return registry.Unavailable
	}
	switch {
	case status < 400:
		return ""
	case status < 500:
		return registry.Invalid
	}
	return registry.Internal
}

// FromError returns the problem that err is. The text of a cause is left out, and all of the text of
// an error that is Internal or not the domain's: that is for the log, where requestID finds it.
func FromError(err error, requestID string) Problem {
	e, ok := errors.AsType[*registry.Error](err)
	if !ok || Status(e.Kind) == http.StatusInternalServerError {
		return internal(requestID)
	}
	p := New(Status(e.Kind), e.Kind, e.Msg, requestID)
	p.Fields, p.Choices = slices.Clone(e.Fields), slices.Clone(e.Choices)
	return p
}

// New returns a problem with a status that is not the one its kind has in the table, such as 400 for
// a body that cannot be parsed.
func New(status int, kind registry.Kind, detail, requestID string) Problem {
	if detail == "" {
		detail = http.StatusText(status)
	}
	return Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status,
		Detail: detail, Kind: kind, RequestID: requestID,
	}
}

func internal(requestID string) Problem {
	detail := "the registry failed; its log says why"
	if requestID != "" {
		detail += ", under the request id " + requestID
	}
	return New(http.StatusInternalServerError, registry.Internal, detail, requestID)
}

// Err returns the domain's error that the problem was made of. Its kind is the problem's own or, if
// that is missing or unknown, the one its status stands for.
func (p Problem) Err() *registry.Error {
	kind := p.Kind
	if _, ok := statuses[kind]; !ok {
		kind = KindOfStatus(p.Status)
	}
	if kind == "" {
		kind = registry.Internal
	}
	msg := p.Detail
	if msg == "" {
		msg = p.Title
	}
	if msg == "" {
		msg = fmt.Sprintf("the registry answered with the status %d", p.Status)
	}
	return &registry.Error{Kind: kind, Msg: msg, Fields: slices.Clone(p.Fields), Choices: slices.Clone(p.Choices)}
}
