package registry

import (
	"strings"
	"testing"
)

func TestParseRef(t *testing.T) {
	for in, want := range map[string]Ref{
		"latest":        {Kind: RefLatest, Text: "latest"},
		"3":             {Kind: RefNumber, Text: "3", Number: 3},
		" 12 ":          {Kind: RefNumber, Text: "12", Number: 12},
		"1.2.0":         {Kind: RefVersion, Text: "1.2.0", Name: "1.2.0"},
		"1.2.0-rc.1":    {Kind: RefVersion, Text: "1.2.0-rc.1", Name: "1.2.0-rc.1"},
		"production":    {Kind: RefName, Text: "production", Name: "production"},
		"8c9d1c2e-aa11": {Kind: RefName, Text: "8c9d1c2e-aa11", Name: "8c9d1c2e-aa11"},
		"fingerprint:7": {Kind: RefFingerprint, Text: "fingerprint:7", Name: "7"},
	} {
		t.Run("reads "+in, func(t *testing.T) {
			got, err := ParseRef(in)
			if err != nil || got.Kind != want.Kind || got.Text != want.Text || got.Number != want.Number || got.Name != want.Name {
				t.Errorf("got %+v, %v; want %+v", got, err, want)
			}
		})
	}
	for _, in := range []string{"~> 1.2", ">= 1.0, < 2.0", "!= 1.0.0", "= 1.0.0", "~> 1"} {
		t.Run("reads constraint "+in, func(t *testing.T) {
			if got, err := ParseRef(in); err != nil || got.Kind != RefConstraint {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	for _, in := range []string{
		"", "  ", "0", "00", "99999999999999999999", "1.2", "v1.2.0", "1.2.0+meta", "~> x", ">", "a/b", "../x", "fingerprint:", "fingerprint:a b", "-1", strings.Repeat("a", 201),
	} {
		t.Run("refuses "+clip(in), func(t *testing.T) {
			if got, err := ParseRef(in); KindOf(err) != Invalid {
				t.Errorf("got %+v, %v; want an error of kind invalid", got, err)
			}
		})
	}
}

func TestConstraintsFit(t *testing.T) {
	for _, c := range []struct {
		constraint, version string
		fits                bool
	}{
		{"~> 1.2", "1.9.0", true}, {"~> 1.2", "2.0.0", false}, {"~> 1.2.0", "1.2.7", true}, {"~> 1.2.0", "1.3.0", false},
		{">= 1.0, < 2.0", "1.5.0", true}, {">= 1.0", "1.5.0-rc.1", false}, {">= 1.5.0-rc.0", "1.5.0-rc.1", true},
	} {
		ref, err := ParseRef(c.constraint)
		if err != nil {
			t.Fatal(err)
		}
		if got := ref.allows(c.version); got != c.fits {
			t.Errorf("%q allows %s: %v", c.constraint, c.version, got)
		}
	}
}

func TestSemver(t *testing.T) {
	for _, in := range []string{"0.0.0", "1.4.0", "1.4.0-rc.1", "1.0.0-0.3.7", "1.0.0-x-y-z.4", "999999999.0.0"} {
		if err := CheckSemver(in); err != nil {
			t.Errorf("%q: %v", in, err)
		}
	}
	for _, in := range []string{"", "1", "1.2", "v1.2.3", "1.2.3.4", "01.2.3", "1.2.3-", "1.2.3-01", "1.2.3+b", "1.2.x", " 1.2.3", "1.2.3\n", "9999999999.0.0", "1.0.0-" + strings.Repeat("a", 64)} {
		if err := CheckSemver(in); KindOf(err) != Invalid {
			t.Errorf("%q: got %v, want an error of kind invalid", in, err)
		}
	}
	for highest, want := range map[string]string{"": "0.1.0", "0.1.0": "0.2.0", "1.4.9": "1.5.0", "2.0.0-rc.1": "2.1.0"} {
		if got := nextMinor(highest); got != want {
			t.Errorf("after %q comes %s, want %s", highest, got, want)
		}
	}
	if CompareSemver("1.10.0", "1.9.0") != 1 || CompareSemver("1.0.0-rc.1", "1.0.0") != -1 {
		t.Error("versions are not ordered by semver")
	}
}

// A ref that parses can be written into a URL or a file and read again as the same.
func FuzzParseRef(f *testing.F) {
	for _, seed := range []string{"latest", "3", "1.2.0", "~> 1.2", ">= 1, < 2", "production", "fingerprint:12", "1.2", "~>", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ref, err := ParseRef(s)
		if err != nil {
			if KindOf(err) != Invalid {
				t.Errorf("%q: %v is not of kind invalid", s, err)
			}
			return
		}
		again, err := ParseRef(ref.String())
		if err != nil || again.Kind != ref.Kind || again.Name != ref.Name || again.Number != ref.Number {
			t.Errorf("%q: read again as %+v, %v", s, again, err)
		}
		if ref.Kind == RefConstraint {
			ref.allows("1.2.3")
		}
	})
}

func FuzzCheckSemver(f *testing.F) {
	for _, seed := range []string{"1.2.3", "1.2.3-rc.1", "01.0.0", "1.2.3+x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if CheckSemver(s) != nil {
			return
		}
		if CompareSemver(s, s) != 0 {
			t.Errorf("%q differs from itself", s)
		}
		if next := nextMinor(s); CheckSemver(next) != nil || CompareSemver(next, s) <= 0 {
			t.Errorf("after %q comes %q", s, next)
		}
	})
}
