package runner

import (
	"bytes"
	"unicode/utf8"
)

// mask stands for a secret.
const mask = "***"

// cleaner makes what a command says fit for a log: UTF-8 without NUL, in which a secret is masked. It works on any pieces of a
// stream, and holds back what only the next piece can decide.
type cleaner struct {
	secret []byte
	rest   []byte
}

// clean returns what is certain after one more piece; with last, all.
func (c *cleaner) clean(p []byte, last bool) []byte {
	in := append(c.rest, p...)
	var out []byte
	for len(c.secret) > 0 {
		before, after, found := bytes.Cut(in, c.secret)
		if !found {
			break
		}
		out = append(appendText(out, before), mask...)
		in = after
	}
	held := 0
	if !last {
		held = c.undecided(in)
	}
	out = appendText(out, in[:len(in)-held])
	c.rest = bytes.Clone(in[len(in)-held:])
	return out
}

// undecided is the length of the end of b that may be the beginning of the secret, or of a character.
func (c *cleaner) undecided(b []byte) int {
	for n := min(len(c.secret)-1, len(b)); n > 0; n-- {
		if bytes.HasPrefix(c.secret, b[len(b)-n:]) {
			return n
		}
	}
	for n := 1; n < utf8.UTFMax && n <= len(b); n++ {
		if tail := b[len(b)-n:]; utf8.RuneStart(tail[0]) {
			if utf8.FullRune(tail) {
				return 0
			}
			return n
		}
	}
	return 0
}

// appendText appends b with U+FFFD for each byte that is no UTF-8, and for NUL.
func appendText(text, b []byte) []byte {
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		if r == 0 {
			r = utf8.RuneError
		}
		text = utf8.AppendRune(text, r)
		b = b[size:]
	}
	return text
}

// wholeRunes is how many of the first n bytes of UTF-8 text are whole characters.
func wholeRunes(text []byte, n int) int {
	if n >= len(text) {
		return len(text)
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return n
}
