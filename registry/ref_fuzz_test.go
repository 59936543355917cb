package registry

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// FuzzConstraint compares which versions a constraint allows with a second opinion: plain comparisons of numbers,
// for constraints of simple parts.
func FuzzConstraint(f *testing.F) {
	for _, constraint := range []string{
		"~> 1.2", "~> 1.2.3", "~>1", ">= 1.0, < 2.0", "> 1, != 1.5.0", "!= 1.0.0", "!= 1.0.0-rc.1", "= 1.2.3", "=1.2.3-rc.1", ">= 1.2.3-rc.1", "<= 1.2.3-rc.1, != 1.2.3-rc.0",
		"~> 1.2.3-rc.1", "~> v1.2", ">= 1.2.3.4", ">= 01.2", ", 1", "1, 2", "~> 1,", ">=1.2.3+x", "~> 99999999999999999999", "=! 1", "< 1\n", "< 1.0beta",
	} {
		for _, version := range []string{"1.2.3", "1.2.3-rc.1", "2.0.0-rc.1", "0.0.0", "1.10.0"} {
			f.Add(constraint, version)
		}
	}
	f.Fuzz(func(t *testing.T, constraint, version string) {
		ref, err := ParseRef(constraint)
		if err != nil || ref.Kind != RefConstraint || CheckSemver(version) != nil {
			return
		}
		allowed := ref.allows(version)
		again, err := ParseRef(ref.Text)
		if err != nil || again.Kind != RefConstraint || again.Text != ref.Text || again.allows(version) != allowed {
			t.Fatalf("%q is read again as %+v, %v", constraint, again, err)
		}
		if strings.Contains(version, "-") && !strings.Contains(constraint, "-") && allowed && !strings.ContainsFunc(constraint, isLetter) {
			t.Fatalf("%q, which names no pre-release, allows %s", constraint, version)
		}
		if want, ok := simplyAllows(ref.Text, version); ok && want != allowed {
			t.Errorf("%q allows %s: %v, want %v", constraint, version, allowed, want)
		}
	})
}

// isLetter is for what go-version takes for a pre-release without a dash: "1.0beta".
func isLetter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '~' }

var (
	simplePart    = regexp.MustCompile(`^ *(~>|>=|<=|!=|>|<|=) *([0-9]{1,9}(?:\.[0-9]{1,9}){0,2})(-rc\.[0-9])? *$`)
	simpleVersion = regexp.MustCompile(`^([0-9]+\.[0-9]+\.[0-9]+)(-rc\.[0-9])?$`)
)

// simplyAllows evaluates constraints with bounds of up to three numbers and pre-releases -rc.0 to -rc.9, which order as
// text. ok is false for others.
func simplyAllows(constraint, version string) (allows, ok bool) {
	v := simpleVersion.FindStringSubmatch(version)
	if v == nil {
		return false, false
	}
	allows, asked := true, v[2] == ""
	for part := range strings.SplitSeq(constraint, ",") {
		p := simplePart.FindStringSubmatch(part)
		if p == nil {
			return false, false
		}
		operator, bound, pre := p[1], p[2], p[3]
		asked = asked || pre != "" && operator != "!="
		if !simplyFits(operator, numbersOf(v[1]), numbersOf(bound), v[2], pre) {
			allows = false
		}
	}
	return allows && asked, true
}

func simplyFits(operator string, version, bound []int, versionPre, boundPre string) bool {
	padded := append(slices.Clone(bound), 0, 0)[:3]
	order := slices.Compare(version, padded)
	// A pre-release compares with pre-releases of the same release only.
	comparable := versionPre == "" || boundPre != "" && order == 0
	if order == 0 && versionPre != boundPre {
		switch {
		case versionPre == "":
			order = 1
		case boundPre == "":
			order = -1
		default:
			order = strings.Compare(versionPre, boundPre)
		}
	}
	switch operator {
	case "=":
		return order == 0
	case "!=":
		return order != 0
	case ">":
		return comparable && order > 0
	case ">=":
		return comparable && order >= 0
	case "<":
		return comparable && order < 0
	case "<=":
		return comparable && order <= 0
	}
	// "~>" lets the last number that was given grow; with a pre-release it is for pre-releases.
	return comparable && order >= 0 && (boundPre == "" || versionPre != "") && slices.Equal(version[:len(bound)-1], bound[:len(bound)-1])
}

func numbersOf(s string) []int {
	var numbers []int
	for part := range strings.SplitSeq(s, ".") {
		n, err := strconv.Atoi(part)
		if err != nil {
			panic(err)
		}
		numbers = append(numbers, n)
	}
	return numbers
}

func TestPreReleasesAreAskedFor(t *testing.T) {
	for _, c := range []struct {
		constraint, version string
		fits                bool
	}{
		{"!= 1.0.0", "2.0.0-rc.1", false}, {"!= 2.0.0-rc.1", "2.0.0-rc.2", false}, {"!= 1.0.0", "2.0.0", true},
		{">= 2.0.0-rc.1, != 2.0.0-rc.2", "2.0.0-rc.3", true}, {">= 2.0.0-rc.1, != 2.0.0-rc.2", "2.0.0-rc.2", false}, {"= 2.0.0-rc.1", "2.0.0-rc.1", true},
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
