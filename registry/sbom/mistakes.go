package sbom

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
)

// standard tells the grammars apart that a JSON document may follow: which one is known at its end only.
type standard uint8

const (
	anyStandard standard = iota
	cyclonedx
	spdx2
	spdx3
)

func (s standard) String() string {
	if s == cyclonedx {
		return "CycloneDX"
	}
	return "SPDX"
}

const (
	maxNamed = 10 // mistakes that an error names
	maxClip  = 80 // bytes of a document's text that an error quotes
	maxIDs   = 1 << 20
)

// always is the version until which a rule applies when it applies to all; other rules have the minor version.
const always = 99

// mistakes collects what is wrong with a document, by standard and by the last minor version that a rule is in.
type mistakes map[bucketKey]*bucket

type bucketKey struct {
	of    standard
	until int
}

type bucket struct {
	count int
	first []mistake
}

type mistake struct {
	at   int64
	text string
}

func (m mistakes) add(of standard, until int, at int64, format string, args ...any) {
	b := m[bucketKey{of, until}]
	if b == nil {
		b = &bucket{}
		m[bucketKey{of, until}] = b
	}
	b.count++
	if len(b.first) < maxNamed {
		b.first = append(b.first, mistake{at, fmt.Sprintf(format, args...)})
	}
}

// err returns the mistakes of a document in its order, nil if there are none. Rules that apply until a minor
// version before that of the document do not count.
func (m mistakes) err(of standard, minor int, subject string) error {
	var named []mistake
	count := 0
	for key, b := range m {
		if key.of == of && key.until >= minor {
			count += b.count
			named = append(named, b.first...)
		}
	}
	if count == 0 {
		return nil
	}
	slices.SortFunc(named, func(a, b mistake) int {
		return cmp.Or(cmp.Compare(a.at, b.at), strings.Compare(a.text, b.text))
	})
	named = named[:min(len(named), maxNamed)]
	texts := make([]string, len(named))
	for i, n := range named {
		texts[i] = n.text
	}
	more := ""
	if count > len(named) {
		more = fmt.Sprintf("; and %d more", count-len(named))
	}
	plural := "s"
	if count == 1 {
		plural = ""
	}
	return flawf("is %s with %d mistake%s: %s%s", subject, count, plural, strings.Join(texts, "; "), more)
}

// identifiers knows which identifiers a document has. It keeps hashes: identifiers are long. The hashes are
// seeded, so that nobody can make two identifiers that seem to be one, and with a million of them the
// chance of an accident is one in ten million.
type identifiers struct {
	seed maphash.Seed
	have map[uint64]struct{}
}

func newIdentifiers() identifiers {
	return identifiers{maphash.MakeSeed(), map[uint64]struct{}{}}
}

// add reports whether the identifier is new. It fails when there are too many to keep.
func (ids identifiers) add(id []byte) (bool, error) {
	sum := maphash.Bytes(ids.seed, id)
	if _, known := ids.have[sum]; known {
		return false, nil
	}
	if len(ids.have) == maxIDs {
		return false, flawf("has more than %d identifiers; split it, or attach it as a document", maxIDs)
	}
	ids.have[sum] = struct{}{}
	return true, nil
}

// clip returns text that is fit to be quoted.
func clip[T string | []byte](text T) string {
	if len(text) <= maxClip {
		return strings.ToValidUTF8(string(text), "")
	}
	return strings.ToValidUTF8(string(text[:maxClip]), "") + "…"
}
