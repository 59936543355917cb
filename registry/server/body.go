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
func readJSON(x *exchange, r *http.Request) error {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); r.Header.Get("Content-Type") != "" && (err != nil || media != "application/json") {
		return withStatus(http.StatusUnsupportedMediaType, &registry.Error{
			Kind: registry.Invalid, Msg: "the body must be JSON; send it with Content-Type: application/json",
			Fields: []registry.FieldError{{Field: "Content-Type", Message: "must be application/json"}},
		})
	}
	if r.ContentLength > maxBody {
		return errTooLarge()
	}
	var body bytes.Buffer
	// The limit closes the connection when it is hit, which only net/http's own writer knows how to.
	if _, err := body.ReadFrom(http.MaxBytesReader(x.ResponseWriter, r.Body, maxBody)); err != nil {
		return bodyError(err)
	}
	if err := checkJSON(body.Bytes()); err != nil {
		return err
	}
	r.Body = io.NopCloser(&body)
	r.Header["Content-Type"] = jsonType // huma knows this spelling alone
	return nil
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

func errTooLarge() error {
	return &registry.Error{
		Kind: registry.TooLarge, Msg: fmt.Sprintf("the body is larger than %d MiB", maxBody>>20),
		Fields: []registry.FieldError{{Field: "body", Message: fmt.Sprintf("must have at most %d bytes", maxBody)}},
	}
}

// bodyError is why a body could not be read to its end.
func bodyError(err error) error {
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return errTooLarge()
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return withStatus(http.StatusRequestTimeout, &registry.Error{Kind: registry.Unavailable, Msg: "the body did not arrive in time", Err: err})
	}
	return badRequest("the body ended before its announced length, or is not framed as HTTP asks",
		registry.FieldError{Field: "body", Message: "could not be read to its end"})
}

// checkJSON returns all that is wrong with a body's text, whatever its meaning.
func checkJSON(body []byte) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return badRequest("the body is missing", registry.FieldError{Field: "body", Message: "must be a JSON object"})
	}
	if !utf8.Valid(body) {
		return badRequest("the body is not valid UTF-8",
			registry.FieldError{Field: "body", Message: fmt.Sprintf("byte %d is not valid UTF-8", invalidAt(body))})
	}
	c := jsonChecker{dec: json.NewDecoder(bytes.NewReader(body))}
	c.dec.UseNumber()
	err := c.value(0)
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
	return c.mistakes.err()
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

// jsonChecker walks through one JSON value.
type jsonChecker struct {
	dec      *json.Decoder
	path     []pathPart
	values   int
	mistakes mistakes
}

// pathPart is a key, or an index where the key is "".
type pathPart struct {
	key   string
	index int
}

// Limits of a JSON body: far beyond what any request has, and far below what would hurt. What comes
// after this check spends memory on every value of a body, right or wrong.
const (
	maxNesting  = 32
	maxValues   = 100_000
	maxElements = 1000 // of one array; the longest that the registry takes
)

// jsonLimit is a limit of a JSON body that was hit.
type jsonLimit string

func (l jsonLimit) Error() string { return string(l) }

func (c *jsonChecker) value(depth int) error {
	if c.values++; c.values > maxValues {
		return jsonLimit(fmt.Sprintf("it has more than %d values", maxValues))
	}
	token, err := c.dec.Token()
	if err != nil {
		return err
	}
	switch token := token.(type) {
	case json.Number:
		// All numbers of the API are whole. Neither 1e3 nor 1.0 nor 2^64 decodes into an int64.
		if _, err := strconv.ParseInt(token.String(), 10, 64); err != nil {
			c.add("%s is not a whole number of at most 64 bits, written in digits", clip(token.String()))
		}
	case json.Delim:
		if depth == maxNesting {
			return jsonLimit(fmt.Sprintf("it is nested more than %d deep", maxNesting))
		}
		if token == '{' {
			err = c.object(depth)
		} else {
			err = c.array(depth)
		}
		if err == nil {
			_, err = c.dec.Token() // the closing delimiter
		}
	}
	return err
}

func (c *jsonChecker) object(depth int) error {
	seen := map[string]bool{}
	for c.dec.More() {
		token, err := c.dec.Token()
		if err != nil {
			return err
		}
		key, _ := token.(string)
		c.path = append(c.path, pathPart{key: key})
		if seen[key] {
			c.add("is there twice")
		}
		seen[key] = true
		if err := c.value(depth + 1); err != nil {
			return err
		}
		c.path = c.path[:len(c.path)-1]
	}
	return nil
}

func (c *jsonChecker) array(depth int) error {
	for i := 0; c.dec.More(); i++ {
		c.path = append(c.path, pathPart{index: i})
		if err := c.value(depth + 1); err != nil {
			return err
		}
		c.path = c.path[:len(c.path)-1]
		if i == maxElements {
			c.add("has more than %d entries", maxElements)
		}
	}
	return nil
}

func (c *jsonChecker) add(format string, args ...any) {
	c.mistakes.add(func() registry.FieldError {
		return registry.FieldError{Field: c.place(), Message: fmt.Sprintf(format, args...)}
	})
}

// place is where the checker is, as the domain names fields.
func (c *jsonChecker) place() string {
	if len(c.path) == 0 {
		return "body"
	}
	var at strings.Builder
	for i, part := range c.path {
		switch {
		case part.key == "":
			fmt.Fprintf(&at, "[%d]", part.index)
		case i > 0:
			at.WriteString("." + clip(part.key))
		default:
			at.WriteString(clip(part.key))
		}
	}
	return at.String()
}
