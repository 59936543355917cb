package emit

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// comment makes one line of a comment out of any text. Text that cannot be shown as it is (control
// characters, line ends, characters that change the direction of writing, spaces at an end) is quoted
// and escaped as in Go, so that [uncomment] gets it back.
func comment(s string) string {
	plain := utf8.ValidString(s) && !strings.HasPrefix(s, `"`) && strings.TrimSpace(s) == s
	for _, r := range s {
		plain = plain && strconv.IsPrint(r)
	}
	if plain {
		return s
	}
	return strconv.Quote(s)
}

// visible writes control characters, line ends and whatever else cannot be seen as the escapes of Go.
func visible(s string) string {
	var b strings.Builder
	for _, r := range s {
		if strconv.IsPrint(r) {
			b.WriteRune(r)
		} else {
			b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
		}
	}
	return b.String()
}

func uncomment(s string) (string, bool) {
	if !strings.HasPrefix(s, `"`) {
		return s, true
	}
	text, err := strconv.Unquote(s)
	return text, err == nil
}

var shellPlain = regexp.MustCompile(`^[A-Za-z0-9._/:@+,=-]+$`)

// ShellCommand joins words so that a POSIX shell reads each of them as it is. It is one line: a word with
// characters that cannot be shown is written as $'…', which is in POSIX since 2024. bash, zsh, ksh and
// BusyBox have it, dash does not.
func ShellCommand(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = word
		if !shellPlain.MatchString(word) {
			quoted[i] = shellQuote(word)
		}
	}
	return strings.Join(quoted, " ")
}

var shellEscapes = map[rune]string{'\n': `\n`, '\r': `\r`, '\t': `\t`, '\'': `\'`, '\\': `\\`}

func shellQuote(word string) string {
	hidden := func(r rune) bool { return !strconv.IsPrint(r) }
	if utf8.ValidString(word) && !strings.ContainsFunc(word, hidden) {
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	var b strings.Builder
	b.WriteString("$'")
	for len(word) > 0 {
		r, size := utf8.DecodeRuneInString(word)
		if escape, ok := shellEscapes[r]; ok {
			b.WriteString(escape)
		} else if !hidden(r) && (r != utf8.RuneError || size > 1) {
			b.WriteString(word[:size])
		} else {
			// Octal has at most three digits everywhere; how many \x takes differs.
			for _, octet := range []byte(word[:size]) {
				fmt.Fprintf(&b, `\%03o`, octet)
			}
		}
		word = word[size:]
	}
	b.WriteString("'")
	return b.String()
}
