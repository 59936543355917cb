package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Kind says what went wrong in terms that every door can translate: the server into an HTTP
// status, the client back into a Kind, the CLI into an exit code.
type Kind string

// The kinds of errors. An error that is not an [*Error] is of kind Internal.
const (
	Invalid      Kind = "invalid"      // the request can never succeed as it is
	Unauthorized Kind = "unauthorized" // no token, or one that is not valid (any more)
	Forbidden    Kind = "forbidden"    // the token's role or scope does not allow it
	NotFound     Kind = "not_found"    // it does not exist, or the caller may not know that it does
	Conflict     Kind = "conflict"     // it contradicts what is recorded
	TooLarge     Kind = "too_large"    // a body or an upload exceeds its limit
	Unavailable  Kind = "unavailable"  // try again later
	Internal     Kind = "internal"     // a defect; the text is for the log, never for the caller
)

// Error is the one error type of the domain.
type Error struct {
	Kind Kind
	// Msg is one clear sentence for the person who made the request: what was wrong and what
	// would be right.
	Msg string
	// Fields are all the problems of a request, each with the place where it is.
	Fields []FieldError
	// Choices are the values that would have been right, where there is a list of them: the regions
	// of a version, the components that a lookup fits.
	Choices []string
	// Err is the cause. It is logged and never shown to the caller.
	Err error
}

// FieldError is one problem of a request.
type FieldError struct {
	// Field is the path of the value in the request, such as "build.images[0].region".
	Field string `json:"field" doc:"Path of the value in the request."`
	// Message says what is wrong and what would be right.
	Message string `json:"message" doc:"What is wrong, and what would be right."`
}

// Error returns the sentence for the caller, with all fields and the cause.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Msg)
	for i, f := range e.Fields {
		if i == 0 && b.Len() > 0 {
			b.WriteString(": ")
		} else if i > 0 {
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "%s: %s", f.Field, f.Message)
	}
	if e.Err != nil {
		if b.Len() > 0 {
			b.WriteString(": ")
		}
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an error of a kind from a format.
func Errorf(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Msg: fmt.Sprintf(format, args...)}
}

// KindOf returns the kind of the first [*Error] in err's chain, Unavailable for a context that
// ended, Internal for any other error and "" for nil.
func KindOf(err error) Kind {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Kind
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return Unavailable
	}
	return Internal
}

// MaxProblems is how many problems of one request are told. A request with more is not a person's
// mistake, and its answer must not be many times its size.
const MaxProblems = 100

// problems collects the field errors of one request, so that all are reported at once.
type problems struct {
	fields []FieldError
	more   int // problems beyond MaxProblems
}

func (p *problems) add(field, format string, args ...any) {
	if len(p.fields) >= MaxProblems {
		p.more++
		return
	}
	p.fields = append(p.fields, FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
}

func (p *problems) addAll(fields []FieldError) {
	for _, f := range fields {
		p.add(f.Field, "%s", f.Message)
	}
}

// check records err, if any, at field.
func (p *problems) check(field string, err error) {
	if err != nil {
		p.add(field, "%s", err.Error())
	}
}

// BadField is the error of kind Invalid for one bad value that stands for itself, such as a name in a
// path; nil when err is nil.
func BadField(field string, err error) error {
	var p problems
	p.check(field, err)
	return p.err()
}

// err returns nil when nothing was collected.
func (p *problems) err() error {
	if len(p.fields) == 0 {
		return nil
	}
	msg := "the request has a mistake"
	if n := len(p.fields) + p.more; n > 1 {
		msg = fmt.Sprintf("the request has %d mistakes", n)
	}
	if p.more > 0 {
		msg += fmt.Sprintf(", of which the first %d are named", MaxProblems)
	}
	return &Error{Kind: Invalid, Msg: msg, Fields: slices.Clone(p.fields)}
}
