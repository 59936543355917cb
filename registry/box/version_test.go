package box_test

import (
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/box"
)

func TestVersion(t *testing.T) {
	for _, c := range []struct{ in, want, err string }{
		{"1.4.0", "1.4.0", ""},
		{"1.4.0-rc.1", "1.4.0-rc.1", ""},
		{"1.4.0-0a.-.7", "1.4.0-0a.-.7", ""},
		{"1", "1.0.0", ""},
		{"1.0", "1.0.0", ""},
		{"2004.01", "2004.1.0", ""},
		{"202510.26.0", "202510.26.0", ""},
		{"001.000.010", "1.0.10", ""},
		{"0", "0.0.0", ""},
		{"000000000000123456789", "123456789.0.0", ""},
		{"", "", `version "" is empty`},
		{"1.2.3.4", "", `version "1.2.3.4" has 4 numbers; at most three`},
		{"1234567890.0", "", "has a number of 10 digits; each may have at most 9"},
		{"1.2.1234567890-rc.1", "", "has a number of 10 digits"},
		{"1.2.3+build.7", "", "has build metadata (+)"},
		{"1.2-rc.1", "", "has a pre-release, so all of it must be a semantic version"},
		{"01.2.3-rc.1", "", "without leading zeros"},
		{"1.2.3-01", "", "without leading zeros"},
		{"1.2.3-", "", "must be one to three numbers, or a semantic version"},
		{"1.2.3-a..b", "", "without leading zeros"},
		{"1.2.3.pre", "", "must be one to three numbers"},
		{"v1.2.3", "", "must be one to three numbers"},
		{" 1.2", "", "must be one to three numbers"},
		{"1..2", "", "must be one to three numbers"},
		{"1.2\n", "", `version "1.2\n" must be`},
		{"١.٢", "", "must be one to three numbers"},
		{strings.Repeat("1", 65), "", "has 65 characters; at most 64"},
		{"1.2.3-" + strings.Repeat("a", 58), "1.2.3-" + strings.Repeat("a", 58), ""},
		{"1.2.3-" + strings.Repeat("a", 59), "", "has 65 characters"},
	} {
		t.Run(c.in, func(t *testing.T) {
			got, err := box.Version(c.in)
			if got != c.want || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("got %q, %v; want %q, %q", got, err, c.want, c.err)
			}
		})
	}
}

// FuzzVersion holds the result to the versions of the registry: it is one, and those are their own result.
func FuzzVersion(f *testing.F) {
	for _, seed := range []string{"1.4.0", "1.4.0-rc.1", "2004.01", "1", "1.2.3.4", "1.2.3+x", "01.2.3-rc", "1.2.3-01", "0.0.0-0.a.-", "999999999.0", "1234567890", "v1", "1.2-x", "", "1.2.3-", "1.2.3-é"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := box.Version(s)
		if err != nil {
			if got != "" || registry.CheckSemver(s) == nil {
				t.Errorf("Version(%q) = %q, %v", s, got, err)
			}
			return
		}
		if err := registry.CheckSemver(got); err != nil {
			t.Errorf("Version(%q) = %q, but %v", s, got, err)
		}
		if registry.CheckSemver(s) == nil && got != s {
			t.Errorf("Version(%q) = %q, and it is a semantic version already", s, got)
		}
		if again, err := box.Version(got); err != nil || again != got {
			t.Errorf("Version(%q) = %q, and of that it is %q, %v", s, got, again, err)
		}
	})
}
