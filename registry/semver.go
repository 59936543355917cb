package registry

import (
	"fmt"
	"regexp"
	"strings"
	"sync"

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
	return parseSemver(a).Compare(parseSemver(b))
}

// semvers are versions that were parsed lately. A constraint looks at all versions of an artifact, and to parse
// one costs more than to read it from the store.
var semvers struct {
	mu     sync.RWMutex
	parsed map[string]*goversion.Version
}

const maxParsedSemvers = 1 << 14

// parseSemver parses a version that passed [CheckSemver]. The result is shared, and must not be changed.
func parseSemver(s string) *goversion.Version {
	semvers.mu.RLock()
	v := semvers.parsed[s]
	semvers.mu.RUnlock()
	if v != nil {
		return v
	}
	v = goversion.Must(goversion.NewVersion(s))
	semvers.mu.Lock()
	defer semvers.mu.Unlock()
	if semvers.parsed == nil || len(semvers.parsed) >= maxParsedSemvers {
		semvers.parsed = map[string]*goversion.Version{}
	}
	semvers.parsed[strings.Clone(s)] = v // s can be a part of a long text
	return v
}

// nextMinor returns the version that follows highest: its next minor, or 0.1.0 when there is none.
func nextMinor(highest string) string {
	if highest == "" {
		return "0.1.0"
	}
	segments := parseSemver(highest).Segments64()
	return fmt.Sprintf("%d.%d.0", segments[0], segments[1]+1)
}
