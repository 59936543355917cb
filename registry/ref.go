package registry

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	goversion "github.com/hashicorp/go-version"
)

// RefKind says in which way a [Ref] names a version.
type RefKind int

// The kinds of refs.
const (
	// RefLatest is the newest version that is offered.
	RefLatest RefKind = iota
	// RefNumber is a version's number.
	RefNumber
	// RefVersion is an exact semantic version.
	RefVersion
	// RefConstraint is the newest offered version that fits, such as "~> 1.2".
	RefConstraint
	// RefName is a channel or, when no channel has that name, a fingerprint.
	RefName
	// RefFingerprint is a fingerprint, written "fingerprint:…" where it could be mistaken.
	RefFingerprint
)

// Ref is how a version is asked for. Make one with [ParseRef].
type Ref struct {
	Kind RefKind
	// Text is the ref as it was written, without surrounding space.
	Text string
	// Number is set for RefNumber.
	Number int64
	// Name is the semantic version of RefVersion, the channel or fingerprint of RefName, or the
	// fingerprint of RefFingerprint.
	Name string

	constraint goversion.Constraints
}

const maxRef = 200

// fingerprintPrefix makes a fingerprint of digits only, such as a pipeline's number, reachable.
const fingerprintPrefix = "fingerprint:"

// ParseRef reads a ref: a number ("3"), a version ("1.2.0"), a constraint ("~> 1.2", ">= 1.0, < 2.0";
// the syntax of hashicorp/go-version), "latest", a channel, a fingerprint, or
// "fingerprint:F". The empty string is an error: nobody gets a floating version by leaving one out.
func ParseRef(s string) (Ref, error) {
	s = strings.TrimSpace(s)
	ref := Ref{Text: s}
	if s == "" {
		return ref, Errorf(Invalid, "the ref is empty; use a number, a version, a constraint such as ~> 1.2, a channel, a fingerprint, or latest")
	}
	if len(s) > maxRef {
		return ref, Errorf(Invalid, "ref %q has %d characters; at most %d are allowed", clip(s), len(s), maxRef)
	}
	if s == Latest {
		ref.Kind = RefLatest
		return ref, nil
	}
	if f, ok := strings.CutPrefix(s, fingerprintPrefix); ok {
		ref.Kind, ref.Name = RefFingerprint, f
		return ref, CheckFingerprint(f)
	}
	if isDigits(s) {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < 1 {
			return ref, Errorf(Invalid, "ref %q is not a version's number; numbers start at 1 (a fingerprint of digits is written fingerprint:%s)", clip(s), clip(s))
		}
		ref.Kind, ref.Number = RefNumber, n
		return ref, nil
	}
	if CheckSemver(s) == nil {
		ref.Kind, ref.Name = RefVersion, s
		return ref, nil
	}
	if strings.ContainsAny(s, "<>=~!, ") {
		c, err := goversion.NewConstraint(s)
		if err != nil {
			return ref, Errorf(Invalid, "ref %q is not a version constraint; write for example ~> 1.2, or >= 1.0, < 2.0", clip(s))
		}
		ref.Kind, ref.constraint = RefConstraint, c
		return ref, nil
	}
	if CheckChannelName(s) == nil || CheckFingerprint(s) == nil && !looksLikeVersion(s) {
		ref.Kind, ref.Name = RefName, s
		return ref, nil
	}
	return ref, Errorf(Invalid, "ref %q is not a number, a full version such as 1.2.0, a constraint such as ~> 1.2, a channel, a fingerprint, or latest", clip(s))
}

// String returns the ref as it was written.
func (r Ref) String() string { return r.Text }

// allows says whether a constraint fits a version that passed [CheckSemver]. Pre-releases fit only a
// constraint that asks for one, as in Terraform and Packer; "!= 1.0.0" and "!= 1.0.0-rc.1" do not.
func (r Ref) allows(version string) bool {
	v := parseSemver(version)
	if v.Prerelease() != "" && !slices.ContainsFunc(r.constraint, asksForPrerelease) {
		return false
	}
	return r.constraint.Check(v)
}

// asksForPrerelease is needed because go-version takes every pre-release for one that fits "!=".
func asksForPrerelease(c *goversion.Constraint) bool {
	return c.Prerelease() && !strings.HasPrefix(strings.TrimSpace(c.String()), "!=")
}

func isDigits(s string) bool {
	return strings.Trim(s, "0123456789") == ""
}

// looksLikeVersion catches "1.2", "v1.2.0" and "1.2.0+linux": read as a fingerprint they would end in
// a puzzling "not found".
func looksLikeVersion(s string) bool { return versionLike.MatchString(s) }

var versionLike = regexp.MustCompile(`^v?[0-9]+(\.[0-9]+)+([-+].*)?$`)
