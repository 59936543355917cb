package foreign

import (
	"strings"
	"unicode"
)

// RevokedWarning is the value of a Warning header (RFC 7234, 5.5: code, agent, quoted text) for what is revoked.
func RevokedWarning(reason string) string {
	var text strings.Builder
	for _, c := range reason {
		switch {
		case c == '"' || c == '\\':
			text.WriteByte('\\')
			text.WriteRune(c)
		case unicode.IsControl(c):
			text.WriteByte(' ')
		default:
			text.WriteRune(c)
		}
	}
	return `299 almanac "revoked: ` + text.String() + `"`
}
