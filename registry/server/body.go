package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// maxBody is the most that a JSON body may have.
const maxBody = 4 << 20

// readJSON reads and checks a JSON body and puts it back, so that huma can decode it. What
// encoding/json would let pass or mend in silence is refused here: a key that is there twice, bytes
// after the value, text that is not valid Unicode.
// What is beside the shape that the route expects is refused here, too.
func readJSON(x *exchange, r *http.Request, expected shape) error {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); r.Header.Get("Content-Type") != "" && (err != nil || media != "application/json") {
		return withStatus(http.StatusUnsupportedMediaType, &registry.Error{
			Kind: registry.Invalid, Msg: "the body must be JSON; send it with Content-Type: application/json",
			Fields: []registry.FieldError{{Field: "Content-Type", Message: "must be application/json"}},
		})
	}
	body, err := readBody(x, r, maxBody)
	if err != nil {
		return err
	}
	if err := checkJSON(body, expected); err != nil {
		return err
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	r.Header["Content-Type"] = jsonType // huma knows this spelling alone
	return nil
}

// readBody reads a body that must not be larger than limit.
func readBody(x *exchange, r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit {
		return nil, errTooLarge(limit)
	}
	var body bytes.Buffer
	// The limit closes the connection when it is hit, which only net/http's own writer knows how to.
	if _, err := body.ReadFrom(http.MaxBytesReader(x.ResponseWriter, r.Body, limit)); err != nil {
		return nil, bodyError(err)
	}
	return body.Bytes(), nil
}

// noBody refuses a body on a route that would ignore it.
func noBody(r *http.Request) error {
	if r.ContentLength == 0 {
		return nil
	}
	var one [1]byte
	if n, _ := io.ReadFull(r.Body, one[:]); n == 0 {
		return nil
	}
	return badRequest("this request takes no body; nothing was done", registry.FieldError{Field: "body", Message: "must be empty"})
}

func errTooLarge(limit int64) error {
	return &registry.Error{
		Kind: registry.TooLarge, Msg: fmt.Sprintf("the body is larger than %d MiB", limit>>20),
		Fields: []registry.FieldError{{Field: "body", Message: fmt.Sprintf("must have at most %d bytes", limit)}},
	}
}

// bodyError is why a body could not be read to its end.
func bodyError(err error) error {
	if over, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return errTooLarge(over.Limit)
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return withStatus(http.StatusRequestTimeout, &registry.Error{Kind: registry.Unavailable, Msg: "the body did not arrive in time", Err: err})
	}
	return badRequest("the body ended before its announced length, or is not framed as HTTP asks",
		registry.FieldError{Field: "body", Message: "could not be read to its end"})
}

// checkJSON returns all that is wrong with a body's text, whatever its meaning; or, if nothing is, all
// in which it is not of the expected shape.
func checkJSON(body []byte, expected shape) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return badRequest("the body is missing", registry.FieldError{Field: "body", Message: "must be a JSON object"})
	}
	if !utf8.Valid(body) {
		return badRequest("the body is not valid UTF-8",
			registry.FieldError{Field: "body", Message: fmt.Sprintf("byte %d is not valid UTF-8", invalidAt(body))})
	}
	c := jsonChecker{dec: json.NewDecoder(bytes.NewReader(body)), shape: expected}
	c.dec.UseNumber()
	err := c.value(0, expected.schema, false)
	if err == nil {
		if _, err = c.dec.Token(); err == io.EOF {
			err = nil
		} else {
			err = errors.New("there is something after the JSON value")
		}
	}
	if limit, ok := errors.AsType[jsonLimit](err); ok {
		return badRequest("the body is beyond what any request needs: "+limit.Error(),
			registry.FieldError{Field: "body", Message: fmt.Sprintf("%s, at byte %d", limit, c.dec.InputOffset())})
	}
	if err != nil {
		return badRequest("the body is not valid JSON: "+jsonText(err),
			registry.FieldError{Field: "body", Message: fmt.Sprintf("%s, at byte %d", jsonText(err), c.dec.InputOffset())})
	}
	// Only valid JSON has its backslashes where the search expects them.
	if at := loneSurrogate(body); at >= 0 {
		return badRequest("the body has a character that is not valid Unicode",
			registry.FieldError{Field: "body", Message: fmt.Sprintf("the escape at byte %d is half of a surrogate pair", at)})
	}
	if err := c.mistakes.err(); err != nil {
		return err
	}
	if c.misshapen.count > 0 {
		return &registry.Error{Kind: registry.Invalid, Msg: c.misshapen.text(), Fields: c.misshapen.fields}
	}
	return nil
}

func jsonText(err error) string {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return "it ends too early"
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

func invalidAt(body []byte) int {
	at := 0
	for at < len(body) {
		r, size := utf8.DecodeRune(body[at:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		at += size
	}
	return at
}

// loneSurrogate returns where valid JSON has an escape such as \ud800 without its other half, which
// encoding/json replaces without a word; -1 if nowhere.
func loneSurrogate(body []byte) int {
	for i := 0; i < len(body); i++ {
		if body[i] != '\\' {
			continue
		}
		switch unit := escapedUnit(body[i:]); {
		case unit >= 0xDC00 && unit < 0xE000:
			return i
		case unit >= 0xD800 && unit < 0xDC00:
			low := escapedUnit(body[i+6:])
			if low < 0xDC00 || low >= 0xE000 {
				return i
			}
			i += 11
		default:
			i++ // the character after the backslash is no backslash of its own
		}
	}
	return -1
}

// escapedUnit reads \uXXXX; 0 if b does not start with one.
func escapedUnit(b []byte) uint64 {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0
	}
	unit, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	if err != nil {
		return 0
	}
	return unit
}
