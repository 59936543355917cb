package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestClean(t *testing.T) {
	for name, tt := range map[string]struct{ in, want string }{
		"plain text stays":                {"größe 寸法 👍", "größe 寸法 👍"},
		"an escape sequence is shown":     {"\x1b[31mred\x07", `\x1b[31mred\a`},
		"line ends are shown":             {"a\r\nb\tc", `a\r\nb\tc`},
		"the 8-bit CSI is shown":          {"\u009b31m", `\u009b31m`},
		"a direction override is shown":   {"a\u202egpj.exe", `a\u202egpj.exe`},
		"an invisible space is shown":     {"a\u200bb\ufeff", `a\u200bb\ufeff`},
		"what is no UTF-8 is shown":       {"a\xffb", `a\xffb`},
		"the replacement character stays": {"a\ufffdb", "a\ufffdb"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := clean(tt.in); got != tt.want {
				t.Errorf("clean(%q) = %q, want %q", tt.in, got, tt.want)
			}
		})
	}
}

func FuzzClean(f *testing.F) {
	f.Add("plain")
	f.Add("\x1b]0;title\x07\u202e\xff\ufffd")
	f.Fuzz(func(t *testing.T, s string) {
		got := clean(s)
		if strings.ContainsFunc(got, dangerous) || !utf8.ValidString(got) {
			t.Errorf("clean(%q) = %q, which a terminal would obey", s, got)
		}
		if again := clean(got); again != got {
			t.Errorf("clean is not stable: %q, then %q", got, again)
		}
	})
}

func TestWriteJSON(t *testing.T) {
	t.Run("what a terminal would obey is escaped and comes back", func(t *testing.T) {
		want := "a\u009b31m\u202e\U000e0001<&>"
		var b bytes.Buffer
		if err := writeJSON(&b, map[string]string{"k": want}); err != nil {
			t.Fatal(err)
		}
		if strings.ContainsFunc(strings.ReplaceAll(b.String(), "\n", ""), dangerous) {
			t.Errorf("output %q holds what a terminal would obey", b.String())
		}
		if !strings.Contains(b.String(), "<&>") {
			t.Errorf("output %q is escaped for HTML", b.String())
		}
		var got map[string]string
		if err := json.Unmarshal(b.Bytes(), &got); err != nil || got["k"] != want {
			t.Errorf("read back %q, %v; want %q", got["k"], err, want)
		}
	})
}

func TestTable(t *testing.T) {
	table := newTable("NAME", "STATE", "NOTE")
	table.add("a", cell{"complete", green}, "first")
	table.add("寸法", cell{"x\x1b[0m", red}, "")
	t.Run("columns are aligned by width and cells are clean", func(t *testing.T) {
		want := "NAME  STATE     NOTE\na     complete  first\n寸法  x\\x1b[0m\n"
		if got := table.format("", false); got != want {
			t.Errorf("got\n%q, want\n%q", got, want)
		}
	})
	t.Run("colours do not move columns", func(t *testing.T) {
		colours := strings.NewReplacer("\x1b[1m", "", "\x1b[31m", "", "\x1b[32m", "", "\x1b[0m", "")
		coloured := table.format("  ", true)
		if !strings.Contains(coloured, "\x1b[32mcomplete\x1b[0m") {
			t.Errorf("got %q without colour", coloured)
		}
		if got, want := colours.Replace(coloured), table.format("  ", false); got != want {
			t.Errorf("without its colours the table is\n%q, want\n%q", got, want)
		}
	})
}

func TestByteSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 10 << 30: "10.0 GiB", 1 << 50: "1.0 PiB"} {
		if got := byteSize(n); got != want {
			t.Errorf("byteSize(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestParseWhen(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for in, want := range map[string]time.Time{
		"2026-07-01":                now.AddDate(0, 2, 0).Truncate(24 * time.Hour),
		"2026-07-01T12:00:00+02:00": time.Date(2026, 7, 1, 10, 0, 0, 0, time.UTC),
		"90d":                       now.Add(90 * 24 * time.Hour),
		"2w":                        now.Add(14 * 24 * time.Hour),
		"12h":                       now.Add(12 * time.Hour),
		"30m":                       now.Add(30 * time.Minute),
	} {
		t.Run(in+" is understood", func(t *testing.T) {
			if got, err := parseWhen(in, now); err != nil || !got.Equal(want) {
				t.Errorf("got %v, %v; want %v", got, err, want)
			}
		})
	}
	for _, in := range []string{"", "d", "soon", "-1d", "1.5h", "90", "90s", "2026-13-01", "4000000000w", "99999999999999999999d"} {
		t.Run(in+" is refused", func(t *testing.T) {
			if got, err := parseWhen(in, now); err == nil {
				t.Errorf("got %v, want an error", got)
			}
		})
	}
}

func FuzzParseWhen(f *testing.F) {
	for _, seed := range []string{"90d", "2026-07-01", "2026-07-01T12:00:00Z", "1w"} {
		f.Add(seed)
	}
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		if span, err := parseSpan(s); err == nil && (span < 0 || span > maxSpan) {
			t.Errorf("parseSpan(%q) = %v", s, span)
		}
		_, _ = parseWhen(s, now)
	})
}
