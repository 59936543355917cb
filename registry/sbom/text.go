package sbom

import (
	"io"
	"unicode/utf8"
)

// textReader passes UTF-8 text on, at most MaxSize bytes. Its errors are io.EOF, a flaw of the text, or a
// *ReadError. What is before a flaw is passed on first, so that a parser finds its own mistakes in order.
type textReader struct {
	r    io.Reader
	at   int64 // bytes passed on
	part []byte
	err  error
}

func (t *textReader) Read(p []byte) (int, error) {
	if t.err != nil {
		return 0, t.err
	}
	n, err := t.r.Read(p)
	switch {
	case err == nil:
	case err == io.EOF: // as io.Reader has it: an error that wraps io.EOF is no end, and must not pass for one
		t.err = io.EOF
	default:
		t.err = &ReadError{err}
	}
	if room := MaxSize - t.at; int64(n) > room {
		n, t.err = int(room), flawf("is larger than %d MiB, the most that is read of an SBOM; attach it as a document", MaxSize>>20)
	}
	good := t.check(p[:n])
	if good < n {
		t.err = flawf("is not text: byte %d is 0x%02x", t.at+int64(good), p[good])
	} else if t.err == io.EOF && len(t.part) > 0 {
		t.err = flawf("is not text: it ends at byte %d, within a character", t.at+int64(good))
	}
	t.at += int64(good)
	if good > 0 {
		return good, nil
	}
	return 0, t.err
}

// check returns how many of the bytes are text. A character may begin in one call and end in the next.
func (t *textReader) check(b []byte) int {
	i := 0
	for i < len(b) {
		if c := b[i]; len(t.part) == 0 && c < utf8.RuneSelf {
			if c < ' ' && c != '\n' && c != '\r' && c != '\t' {
				return i
			}
			i++
			continue
		}
		t.part = append(t.part, b[i])
		if utf8.FullRune(t.part) {
			if r, size := utf8.DecodeRune(t.part); r == utf8.RuneError && size == 1 {
				return i
			}
			t.part = t.part[:0]
		}
		i++
	}
	return i
}
