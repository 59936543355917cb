package box

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

var (
	numeric  = regexp.MustCompile(`^[0-9]+(\.[0-9]+)*$`)
	semantic = regexp.MustCompile(`^(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*)){2}-(` + identifier + `)(\.(` + identifier + `))*$`)
)

const (
	// identifier is a part of a pre-release: a number without leading zeros, or text.
	identifier = `0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*`
	// Each number of a version has at most maxDigits digits, and all of it maxVersion characters.
	maxDigits  = 9
	maxVersion = 64
)

// Version returns the version of a box as MAJOR.MINOR.PATCH. Vagrant compares versions as RubyGems does: 2004.01 is
// the same as 2004.1.0, and 1 the same as 1.0.0. So one to three numbers get the form of the latter. A semantic
// version, which may have a pre-release, comes back as it is. All else is refused, in a sentence that names the
// version and says what is wrong with it.
func Version(s string) (string, error) {
	version, err := canonical(s)
	if err != nil {
		return "", fmt.Errorf("version %q %w", clip(s), err)
	}
	return version, nil
}

func canonical(s string) (string, error) {
	switch {
	case s == "":
		return "", errors.New("is empty; it must be such as 1.4.0")
	case len(s) > maxVersion:
		return "", fmt.Errorf("has %d characters; at most %d are allowed", len(s), maxVersion)
	}
	core, preRelease, _ := strings.Cut(s, "-")
	switch {
	case numeric.MatchString(s), semantic.MatchString(s):
	case strings.Contains(s, "+"):
		return "", errors.New("has build metadata (+), which no version of a box can have")
	case preRelease != "" && numeric.MatchString(core):
		return "", errors.New("has a pre-release, so all of it must be a semantic version such as 1.4.0-rc.1, without leading zeros")
	default:
		return "", errors.New("must be one to three numbers, or a semantic version, such as 1.4.0 or 1.4.0-rc.1")
	}
	numbers := strings.Split(core, ".")
	if len(numbers) > 3 {
		return "", fmt.Errorf("has %d numbers; at most three, such as 1.4.0, are allowed", len(numbers))
	}
	for i, n := range numbers {
		n = strings.TrimLeft(n, "0")
		if len(n) > maxDigits {
			return "", fmt.Errorf("has a number of %d digits; each may have at most %d", len(n), maxDigits)
		}
		numbers[i] = n
		if n == "" {
			numbers[i] = "0"
		}
	}
	for len(numbers) < 3 {
		numbers = append(numbers, "0")
	}
	if len(s) > len(core) {
		return strings.Join(numbers, ".") + s[len(core):], nil
	}
	return strings.Join(numbers, "."), nil
}

// clip shortens what is quoted in an error.
func clip(s string) string {
	if len(s) > maxVersion {
		return s[:maxVersion] + "…"
	}
	return s
}
