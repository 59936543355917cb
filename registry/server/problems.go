package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/danielgtaylor/huma/v2/validation"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/problem"
)

var errPanicked = errors.New("a handler panicked")

// statusError is an error of the domain with a status that is not its kind's own.
type statusError struct {
	status int
	err    *registry.Error
}

func (e *statusError) Error() string { return e.err.Error() }
func (e *statusError) Unwrap() error { return e.err }

func withStatus(status int, err *registry.Error) error { return &statusError{status: status, err: err} }

// badRequest is a request that cannot even be read: 400, where [registry.Invalid] alone is 422.
func badRequest(msg string, fields ...registry.FieldError) error {
	return withStatus(http.StatusBadRequest, &registry.Error{Kind: registry.Invalid, Msg: msg, Fields: fields})
}

// problem turns an error into what is sent, sets the headers that go with it, and logs the cause of
// what is the registry's own fault.
func (x *exchange) problem(r *http.Request, err error) problem.Problem {
	if registry.KindOf(err) == registry.Internal && r.Context().Err() != nil {
		// The client is gone, or the server is being closed: what broke off is no defect.
		err = &registry.Error{Kind: registry.Unavailable, Msg: "the request was broken off", Err: err}
	}
	p := problem.FromError(err, x.id)
	if e, ok := errors.AsType[*statusError](err); ok {
		p.Status, p.Title = e.status, http.StatusText(e.status)
	}
	h := x.Header()
	h["Cache-Control"] = noStore
	switch p.Kind {
	case registry.Unauthorized:
		challenge := `Bearer realm="almanac"`
		if x.basic {
			challenge = `Basic realm="almanac", charset="UTF-8"`
			if registry.PrincipalFrom(r.Context()).Anonymous() && len(r.Header["Authorization"]) == 0 {
				p.Detail = "a token is needed; send it as the password of Basic, with any user"
			}
		} else if len(r.Header["Authorization"]) > 0 {
			challenge += `, error="invalid_token"`
		}
		h["Www-Authenticate"] = []string{challenge}
	case registry.Unavailable:
		h["Retry-After"] = []string{"5"}
		x.logFailure(slog.LevelWarn, err)
	case registry.Internal:
		if !errors.Is(err, errPanicked) {
			x.logFailure(slog.LevelError, err)
		}
	}
	return p
}

func (x *exchange) logFailure(level slog.Level, err error) {
	x.server.log.LogAttrs(context.Background(), level, "a request failed",
		slog.String("request_id", x.id), slog.String("route", x.route), slog.String("error", err.Error()))
}

// fail answers with the problem that err is. Nothing can be answered once the header is sent.
func (x *exchange) fail(r *http.Request, err error) {
	x.discard()
	p := x.problem(r, err)
	if x.status != 0 {
		return
	}
	h := x.Header()
	delete(h, "Etag")
	if x.protocol != nil {
		x.protocol.Fail(x, r, p)
		return
	}
	body, err := json.Marshal(p)
	if err != nil {
		panic(err) // a Problem is strings and numbers
	}
	h["Content-Type"] = problemType
	x.WriteHeader(p.Status)
	// An error means that the client is gone.
	_, _ = x.Write(append(body, '\n'))
}

// humaProblem is a [problem.Problem] in the form in which huma takes errors.
type humaProblem struct{ problem.Problem }

func (p *humaProblem) Error() string             { return p.Detail }
func (p *humaProblem) GetStatus() int            { return p.Status }
func (p *humaProblem) ContentType(string) string { return problem.ContentType }

// setUpHuma points huma's package-level variables to this package's form of errors and of JSON: huma
// has no such settings for one API. The values are the same for every server of a process, so they
// are set once, before the first API is made; setting them again would race with requests.
var setUpHuma = sync.OnceFunc(func() {
	huma.NewError = func(status int, msg string, errs ...error) huma.StatusError {
		return &humaProblem{problem.New(status, problem.KindOfStatus(status), msg, "")}
	}
	huma.NewErrorWithContext = func(ctx huma.Context, status int, msg string, errs ...error) huma.StatusError {
		r, w := humago.Unwrap(ctx)
		err := humaError(status, msg, errs)
		if status == http.StatusInternalServerError && len(errs) == 1 && errs[0] != nil {
			err = errs[0] // what a handler returned
		}
		return &humaProblem{w.(*exchange).problem(r, err)}
	}
	huma.DefaultArrayNullable = false
})

// humaError is what huma found wrong with a request, as an error of the domain.
func humaError(status int, msg string, errs []error) error {
	e := &registry.Error{Kind: problem.KindOfStatus(status), Msg: msg}
	var found mistakes
	query := len(errs) > 0
	for _, err := range errs {
		var detail *huma.ErrorDetail
		if !errors.As(err, &detail) {
			detail = &huma.ErrorDetail{Location: "body", Message: err.Error()}
		}
		query = query && strings.HasPrefix(detail.Location, "query.")
		found.add(func() registry.FieldError { return fieldError(detail) })
	}
	if found.count > 0 {
		e.Msg, e.Fields = found.text(), found.fields
	}
	if query {
		status = http.StatusBadRequest
	}
	return withStatus(status, e)
}

var humaWords = map[string]string{
	validation.MsgExpectedString:          "must be a string",
	validation.MsgExpectedBoolean:         "must be true or false",
	validation.MsgExpectedInteger:         "must be a whole number",
	validation.MsgExpectedNumber:          "must be a number",
	validation.MsgExpectedArray:           "must be an array",
	validation.MsgExpectedObject:          "must be an object",
	validation.MsgExpectedRFC3339DateTime: "must be a time such as 2026-01-31T12:00:00Z (RFC 3339)",
	"invalid integer":                     "must be a whole number",
	"invalid boolean":                     "must be true or false",
}

// humaLimits are the sentences of huma that end in a number, up to it.
var humaLimits = []struct{ sentence, words string }{
	{validation.MsgExpectedMinLength, "must have %s characters or more"},
	{validation.MsgExpectedMaxLength, "must have %s characters or fewer"},
}

// fieldError names the place as the domain does (no "query.") and says what would be right.
func fieldError(d *huma.ErrorDetail) registry.FieldError {
	field := d.Location
	for _, prefix := range []string{"query.", "path.", "header."} {
		if rest, ok := strings.CutPrefix(field, prefix); ok {
			field = rest
			break
		}
	}
	return registry.FieldError{Field: field, Message: wordsFor(d.Message)}
}

// wordsFor is a sentence of huma in this package's words.
func wordsFor(message string) string {
	if words, ok := humaWords[message]; ok {
		return words
	}
	for _, limit := range humaLimits {
		before, _, _ := strings.Cut(limit.sentence, "%")
		if number, ok := strings.CutPrefix(message, before); ok {
			return fmt.Sprintf(limit.words, number)
		}
	}
	return message
}
