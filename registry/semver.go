package registry

import (
	"fmt"
	"regexp"

	goversion "github.com/hashicorp/go-version"
)

const maxSemver = 64

// Numbers are kept to nine digits so that every client's integer holds them.
var semverShape = regexp.MustCompile(`^(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})\.(0|[1-9][0-9]{0,8})(-(0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)(\.(0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*))*)?$`)

// CheckSemver accepts MAJOR.MINOR.PATCH with an optional pre-release (semver.org 2.0.0). Build
// metadata ("+…") is refused: it does not order versions, and Vagrant cannot read it.
func CheckSemver(s string) error {
	if len(s) > maxSemver || !semverShape.MatchString(s) {
		return Errorf(Invalid, "version %q must be a semantic version MAJOR.MINOR.PATCH, such as 1.4.0 or 1.4.0-rc.1, without build metadata and with at most %d characters", clip(s), maxSemver)
	}
	return nil
}

// CompareSemver orders two versions that passed [CheckSemver]: -1, 0 or 1.
func CompareSemver(a, b string) int {
	return goversion.Must(goversion.NewVersion(a)).Compare(goversion.Must(goversion.NewVersion(b)))
}

// nextMinor returns the version that follows highest: its next minor, or 0.1.0 when there is none.
func nextMinor(highest string) string {
	if highest == "" {
		return "0.1.0"
	}
	segments := goversion.Must(goversion.NewVersion(highest)).Segments64()
	return fmt.Sprintf("%d.%d.0", segments[0], segments[1]+1)
}
