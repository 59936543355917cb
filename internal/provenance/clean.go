package provenance

import (
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxValue is the size of a value, in bytes, from which on it is none of the things that are recorded.
const maxValue = 1 << 10

// cleanURL returns the address of a page without all that can be a credential, or "" for what is not an
// http or https URL. One with an @ in its path is none: that is how credentials with a slash look.
func cleanURL(s string) string {
	u, err := url.Parse(strings.TrimSpace(s))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return ""
	}
	// What follows a semicolon is a parameter: servers of Java put the id of a session there.
	path, _, _ := strings.Cut(u.EscapedPath(), ";")
	clean := (&url.URL{Scheme: u.Scheme, Host: u.Host}).String() + path
	// Hosts are not always written so that they can be read again: a zone of an IPv6 address.
	if again, err := url.Parse(clean); err != nil || again.Host != u.Host {
		return ""
	}
	if strings.Contains(clean, "@") || strings.Count(clean, "://") > 1 || cleanText(clean) != clean {
		return ""
	}
	return clean
}

// A password can hold anything but white space where it was never percent-encoded: all up to the last @
// counts as credentials.
var (
	urlUser  = regexp.MustCompile(`://\S*@`)
	urlQuery = regexp.MustCompile(`(://[^\s?#]*)[?#]\S*`)
)

// cleanText returns one line of text without control characters, without those that turn the direction
// of what follows, and without credentials in URLs; "" for what is not UTF-8.
func cleanText(s string) string {
	if !utf8.ValidString(s) {
		return ""
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r':
			return ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, s)
	s = urlUser.ReplaceAllString(s, "://")
	s = urlQuery.ReplaceAllString(s, "$1")
	return strings.TrimSpace(s)
}
