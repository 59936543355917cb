package runner

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

const secret = "alm_secret0123456789"

// cleaned passes text through a cleaner in pieces of a length.
func cleaned(text string, length int) string {
	c := cleaner{secret: []byte(secret)}
	var out []byte
	for len(text) > length {
		out = append(out, c.clean([]byte(text[:length]), false)...)
		text = text[length:]
	}
	out = append(out, c.clean([]byte(text), false)...)
	return string(append(out, c.clean(nil, true)...))
}

func TestCleaner(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"the secret is masked", "token " + secret + ".", "token ***."},
		{"each of two secrets is masked", secret + secret, "******"},
		{"a secret after its own beginning is masked", "alm_se" + secret, "alm_se***"},
		{"what begins like the secret is kept", "alm_secret01 and alm_", "alm_secret01 and alm_"},
		{"characters of more bytes are kept", "größer 日本 🎉", "größer 日本 🎉"},
		{"what is no UTF-8 and NUL are replaced", "a\xffb\xc3\x00\xe2\x82", "a\ufffdb\ufffd\ufffd\ufffd\ufffd"},
	} {
		for length := 1; length <= len(tt.in)+1; length++ {
			if got := cleaned(tt.in, length); got != tt.want {
				t.Errorf("%s, also in pieces of %d: got %q, want %q", tt.name, length, got, tt.want)
			}
		}
	}
	t.Run("nothing is masked without a secret", func(t *testing.T) {
		var c cleaner
		if got := c.clean([]byte("text"), false); string(got) != "text" {
			t.Errorf("got %q", got)
		}
	})
}

// FuzzCleaner holds a text in pieces to what comes of it as a whole, which can be a log, and lacks the secret.
func FuzzCleaner(f *testing.F) {
	f.Add("a"+secret+"b", 3)
	f.Add("\xe2\x82alm_secret\x00", 1)
	f.Fuzz(func(t *testing.T, text string, length int) {
		if length < 1 {
			return
		}
		got := cleaned(text, length)
		if whole := cleaned(text, len(text)+1); got != whole {
			t.Errorf("in pieces of %d %q gives %q, as a whole %q", length, text, got, whole)
		}
		if !utf8.ValidString(got) || strings.Contains(got, "\x00") || strings.Contains(got, secret) {
			t.Errorf("%q gives %q", text, got)
		}
	})
}

func TestWholeRunes(t *testing.T) {
	text := []byte("aé日")
	for n, want := range []int{0, 1, 1, 3, 3, 3, 6, 6} {
		if got := wholeRunes(text, n); got != want {
			t.Errorf("of %d bytes %d are whole, want %d", n, got, want)
		}
	}
	if got := wholeRunes(bytes.Repeat([]byte("x"), 4), 9); got != 4 {
		t.Errorf("got %d", got)
	}
}

func TestMessageOf(t *testing.T) {
	for _, text := range []string{"short", strings.Repeat("é", 600), strings.Repeat("a", 1000) + "b", "two\nlines\x00\xff"} {
		got := messageOf(errors.New(text))
		if len(got) > maxMessage || !utf8.ValidString(got) || strings.ContainsFunc(got, unicode.IsControl) {
			t.Errorf("%q gives %q, which the registry does not take", text, got)
		}
		if len(text) > maxMessage != strings.HasSuffix(got, "…") {
			t.Errorf("%q gives %q", text, got)
		}
	}
}
