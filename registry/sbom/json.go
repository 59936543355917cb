package sbom

import (
	"bytes"
	"io"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	maxDepth = 1000
	maxText  = 64 << 10 // bytes that are kept of a text
)

// jsonReader reads JSON (RFC 8259) from beginning to end. It differs from encoding/json in that texts nobody
// asks for take no memory, however long they are.
type jsonReader struct {
	in    *source
	depth int
	path  []byte // where it is, such as ".components[2].name"
	text  []byte // the string or number read last; clipped to maxText
	long  bool   // text was clipped
}

// fail explains an error of the source or, if err is nil, the unexpected byte that was read last.
func (j *jsonReader) fail(c byte, err error) error {
	in := ""
	if len(j.path) > 0 {
		in = " (in " + j.where() + ")"
	}
	switch {
	case err == nil:
		return flawf("is broken JSON: %q is unexpected at byte %d%s", rune(c), j.in.at-1, in)
	case err == io.EOF:
		return flawf("is incomplete JSON: it ends at byte %d%s", j.in.at, in)
	default:
		return err
	}
}

// where is the path of the value that is read, without its middle if it is long.
func (j *jsonReader) where() string {
	return clipPath(bytes.TrimPrefix(j.path, []byte(".")), '.')
}

// kind is what a JSON value is.
type kind uint8

const (
	isText kind = 1 << iota
	isInteger
	isNumber
	isBool
	isNull
	isList
	isObject
)

var kindNames = []string{"text", "an integer", "a number", "true or false", "null", "a list", "an object"}

// String names the kinds, such as "text or an object".
func (k kind) String() string {
	var names []string
	for i, name := range kindNames {
		if k&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, " or ")
}

// peek returns what the next value is, without reading it; isNumber for integers too.
func (j *jsonReader) peek() (kind, error) {
	c, err := j.in.space()
	if err != nil {
		return 0, j.fail(0, err)
	}
	switch {
	case c == '{':
		return isObject, nil
	case c == '[':
		return isList, nil
	case c == '"':
		return isText, nil
	case c == 't', c == 'f':
		return isBool, nil
	case c == 'n':
		return isNull, nil
	case c == '-', '0' <= c && c <= '9':
		return isNumber, nil
	}
	c, _ = j.in.next() // it was there
	return 0, j.fail(c, nil)
}

// scalar reads a value that is neither list nor object, into text if keep is set.
func (j *jsonReader) scalar(k kind, keep bool) (kind, error) {
	switch k {
	case isText:
		return k, j.string(keep)
	case isNumber:
		return j.number()
	case isNull:
		return k, j.word("null")
	}
	c, err := j.in.space()
	if err != nil {
		return 0, j.fail(0, err)
	}
	if c == 't' {
		return k, j.word("true")
	}
	return k, j.word("false")
}

func (j *jsonReader) word(word string) error {
	for i := range len(word) {
		if c, err := j.in.next(); err != nil || c != word[i] {
			return j.fail(c, err)
		}
	}
	return nil
}

// number reads a number and says whether it is an integer. A document that ends after it is incomplete: at
// its top level there is an object.
func (j *jsonReader) number() (kind, error) {
	j.text = j.text[:0]
	k := isInteger
	c, err := j.in.next()
	if err == nil && c == '-' {
		c, err = j.in.next()
	}
	if err == nil && c == '0' {
		c, err = j.in.next()
	} else if c, err = j.digits(c, err); err != nil {
		return 0, err
	}
	if err == nil && c == '.' {
		k = isNumber
		c, err = j.in.next()
		if c, err = j.digits(c, err); err != nil {
			return 0, err
		}
	}
	if err == nil && (c == 'e' || c == 'E') {
		k = isNumber
		if c, err = j.in.next(); err == nil && (c == '+' || c == '-') {
			c, err = j.in.next()
		}
		if _, err = j.digits(c, err); err != nil {
			return 0, err
		}
	}
	if err != nil {
		return 0, j.fail(0, err)
	}
	j.in.back()
	return k, nil
}

// digits reads on while c is a digit, of which one must be there. It returns the byte after them.
func (j *jsonReader) digits(c byte, err error) (byte, error) {
	if err != nil || c < '0' || c > '9' {
		return 0, j.fail(c, err)
	}
	for err == nil && '0' <= c && c <= '9' {
		c, err = j.in.next()
	}
	if err != nil {
		return 0, j.fail(0, err)
	}
	return c, nil
}

// string reads a string, into text if keep is set.
func (j *jsonReader) string(keep bool) error {
	j.text, j.long = j.text[:0], false
	if c, err := j.in.next(); err != nil || c != '"' {
		return j.fail(c, err)
	}
	for {
		c, err := j.in.next()
		switch {
		case err != nil || c < ' ':
			return j.fail(c, err)
		case c == '"':
			return nil
		case c == '\\':
			r, err := j.escape()
			if err != nil {
				return err
			}
			if keep {
				var buf [utf8.UTFMax]byte
				j.keep(buf[:utf8.EncodeRune(buf[:], r)]...)
			}
		case keep:
			j.keep(c)
		}
	}
}

func (j *jsonReader) keep(b ...byte) {
	if len(j.text)+len(b) > maxText {
		j.long = true
		return
	}
	j.text = append(j.text, b...)
}

// escape reads what is after a backslash.
func (j *jsonReader) escape() (rune, error) {
	c, err := j.in.next()
	if err != nil {
		return 0, j.fail(c, err)
	}
	switch c {
	case '"', '\\', '/':
		return rune(c), nil
	case 'b':
		return '\b', nil
	case 'f':
		return '\f', nil
	case 'n':
		return '\n', nil
	case 'r':
		return '\r', nil
	case 't':
		return '\t', nil
	case 'u':
		return j.unicode()
	}
	return 0, j.fail(c, nil)
}

// unicode reads the four digits after \u, and the second half of a pair. A half that is alone becomes
// U+FFFD, as in encoding/json.
func (j *jsonReader) unicode() (rune, error) {
	r, err := j.hex()
	if err != nil || !utf16.IsSurrogate(r) {
		return r, err
	}
	if next, err := j.in.Peek(2); err != nil || string(next) != `\u` {
		return utf8.RuneError, nil
	}
	j.in.at += 2
	_, _ = j.in.Discard(2) // they are in the buffer
	second, err := j.hex()
	if err != nil {
		return 0, err
	}
	return utf16.DecodeRune(r, second), nil
}

func (j *jsonReader) hex() (rune, error) {
	r := rune(0)
	for range 4 {
		c, err := j.in.next()
		switch {
		case err != nil:
			return 0, j.fail(c, err)
		case '0' <= c && c <= '9':
			r = r<<4 | rune(c-'0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			r = r<<4 | rune(c|0x20-'a'+10)
		default:
			return 0, j.fail(c, nil)
		}
	}
	return r, nil
}

// object reads an object. member must read the value of the member that is at the end of the path, and
// whose name it gets; the name is valid until then.
func (j *jsonReader) object(member func(name []byte) error) error {
	return j.items('{', '}', func(int) error {
		if c, err := j.in.space(); err != nil || c != '"' {
			if err == nil {
				_, err = j.in.next()
			}
			return j.fail(c, err)
		}
		if err := j.string(true); err != nil {
			return err
		}
		if c, err := j.in.space(); err != nil || c != ':' {
			if err == nil {
				_, err = j.in.next()
			}
			return j.fail(c, err)
		}
		if _, err := j.in.next(); err != nil {
			return j.fail(0, err)
		}
		j.path = append(j.path, '.')
		j.path = append(j.path, j.text[:min(len(j.text), maxClip)]...)
		return member(j.text)
	})
}

// list reads a list. item must read the item that is at the end of the path.
func (j *jsonReader) list(item func() error) error {
	return j.items('[', ']', func(i int) error {
		j.path = append(j.path, '[')
		j.path = strconv.AppendInt(j.path, int64(i), 10)
		j.path = append(j.path, ']')
		return item()
	})
}

func (j *jsonReader) items(begin, end byte, item func(i int) error) error {
	if c, err := j.in.next(); err != nil || c != begin {
		return j.fail(c, err)
	}
	if j.depth++; j.depth > maxDepth {
		return flawf("is JSON that is more than %d levels deep at byte %d", maxDepth, j.in.at-1)
	}
	defer func() { j.depth-- }()
	path := len(j.path)
	c, err := j.in.space()
	if err != nil {
		return j.fail(c, err)
	}
	if c == end {
		_, err := j.in.next()
		return err
	}
	for i := 0; ; i++ {
		if err := item(i); err != nil {
			return err
		}
		j.path = j.path[:path]
		if _, err := j.in.space(); err != nil {
			return j.fail(0, err)
		}
		c, err := j.in.next()
		switch {
		case err != nil || c != ',' && c != end:
			return j.fail(c, err)
		case c == end:
			return nil
		}
	}
}
