package provenance

import (
	"net/url"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func TestCleanURL(t *testing.T) {
	for in, want := range map[string]string{
		"https://example.com/a/b":                   "https://example.com/a/b",
		" http://[::1]:8080/x%2Fy/%7Bz%7D ":         "http://[::1]:8080/x%2Fy/%7Bz%7D",
		"https://user:pass@example.com/a?b=c#d":     "https://example.com/a",
		"https://token@example.com":                 "https://example.com",
		"https://user:p@ss@example.com/a":           "https://example.com/a",
		"https://user:12/ss@example.com/a":          "",
		"https://example.com/https://u:p@h/":        "",
		"https://example.com/x%40y":                 "https://example.com/x%40y",
		"https://example.com/?":                     "https://example.com/",
		"HTTPS://example.com/a b":                   "https://example.com/a%20b",
		"https://":                                  "",
		"https:opaque":                              "",
		"ftp://example.com/":                        "",
		"javascript:alert(1)":                       "",
		"//example.com/a":                           "",
		"/etc/passwd":                               "",
		"https://exa\x00mple.com/":                  "",
		"https://example.com/\xff":                  "https://example.com/%FF",
		"":                                          "",
		"https://example.com:443/" + "\u202ea":      "https://example.com:443/%E2%80%AEa",
		"https://user:pass@example.com:bad/":        "",
		"https://example.com/a;jsessionid=secret/b": "https://example.com/a",
	} {
		if got := cleanURL(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func FuzzCleanURL(f *testing.F) {
	for _, seed := range []string{"https://u:p@example.com/a?b#c", "https://a@b@c/", "http://[::1%25eth0]/", "https://x/%40", "https://x//@", "https://x/:///", "https://x/a;b", "http://[::%25\xac]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got := cleanURL(in)
		if got == "" {
			return
		}
		if strings.ContainsAny(got, "@?#") {
			t.Errorf("%q: %q has more than an address", in, got)
		}
		if u, err := url.Parse(got); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			t.Errorf("%q: %q is no address of a page: %v", in, got, err)
		}
		if again := cleanURL(got); again != got {
			t.Errorf("%q: %q becomes %q", in, got, again)
		}
		if again := cleanText(got); again != got {
			t.Errorf("%q: %q becomes %q as text", in, got, again)
		}
	})
}

func TestCleanText(t *testing.T) {
	for in, want := range map[string]string{
		"Ada <ada@example.com>":                   "Ada <ada@example.com>",
		" a\tb\r\nc\x00\x1b\u0085 ":               "a b  c",
		"\u202eevil\u2069":                        "evil",
		"see https://u:p@h/a, https://v:q@i/b":    "see https://h/a, https://i/b",
		"https://u:p/q@h/a":                       "https://h/a",
		"git+ssh://t@h":                           "git+ssh://h",
		"https://h/a?token=x <https://h/b#token>": "https://h/a <https://h/b",
		"\xff": "",
		"😀":    "😀",
	} {
		if got := cleanText(in); got != want {
			t.Errorf("%q: got %q, want %q", in, got, want)
		}
	}
}

func FuzzCleanText(f *testing.F) {
	for _, seed := range []string{"a b", "://://@@", "x\x00://@", ":\x00//a@", "\u202e", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		got := cleanText(in)
		if again := cleanText(got); again != got {
			t.Errorf("%q: %q becomes %q", in, got, again)
		}
		if len(got) <= maxValue && len(registry.CheckMetadata("m", registry.Metadata{"key": got})) > 0 {
			t.Errorf("%q: %q cannot be recorded", in, got)
		}
	})
}
