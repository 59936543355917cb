package emit

import (
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

// ShellCommand joins words so that a POSIX shell reads each of them as it is.
func ShellCommand(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = word
		if !shellPlain.MatchString(word) {
			quoted[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
	}
	return strings.Join(quoted, " ")
}
