package sbom

import (
	"bytes"
	"cmp"
	"hash/maphash"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
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
	maxNamed    = 10     // mistakes that an error names
	maxMistakes = 10_000 // a document with more is not read further
	maxClip     = 80     // bytes of a document's text that an error quotes
	maxPath     = 200    // bytes of a path in an error
	maxIDs      = 1 << 20
)

// always is the version until which a rule applies when it applies to all; other rules have the minor version.
const always = 99

// mistakes collects what is wrong with a document, by standard and by the last minor version that a rule is in.
type mistakes struct {
	buckets map[bucketKey]*bucket
	always  [spdx3 + 1]int // by standard, those of rules that are in all versions
}

func newMistakes() mistakes { return mistakes{buckets: map[bucketKey]*bucket{}} }

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

// count counts a mistake and returns where to note it, nil if it will not be named. Most of the cost of a
// mistake is to put it into words, and a document may have one for every two bytes.
func (m *mistakes) count(of standard, until int) *bucket {
	if until == always {
		m.always[of]++
	}
	b := m.buckets[bucketKey{of, until}]
	if b == nil {
		b = &bucket{}
		m.buckets[bucketKey{of, until}] = b
	}
	b.count++
	if len(b.first) == maxNamed {
		return nil
	}
	return b
}

func (b *bucket) note(at int64, text string) { b.first = append(b.first, mistake{at, text}) }

// tooMany reports whether a document of the standard, of whatever version, has so many that the rest of it
// does not matter.
func (m *mistakes) tooMany(of standard) bool { return m.always[of] > maxMistakes }

// err returns the mistakes of a document in its order, nil if there are none. Rules that apply until a minor
// version before that of the document do not count.
func (m *mistakes) err(of standard, minor int, subject string) error {
	var named []mistake
	count := 0
	for key, b := range m.buckets {
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
	all := strings.Join(texts, "; ")
	switch {
	case count > maxMistakes:
		return flawf("is %s with more than %d mistakes: %s; and more", subject, maxMistakes, all)
	case count > len(named):
		return flawf("is %s with %d mistakes: %s; and %d more", subject, count, all, count-len(named))
	case count > 1:
		return flawf("is %s with %d mistakes: %s", subject, count, all)
	}
	return flawf("is %s with 1 mistake: %s", subject, all)
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

// clipPath returns a path that is fit to be shown, without its middle if it is long. Elements end with sep.
func clipPath(path []byte, sep byte) string {
	if len(path) <= maxPath {
		return printable(path)
	}
	head, tail := path[:maxPath/2], path[len(path)-maxPath/2:]
	if i := bytes.LastIndexByte(head, sep); i > 0 {
		head = head[:i+1]
	}
	if i := bytes.IndexByte(tail, sep); i >= 0 {
		tail = tail[i:]
	}
	return printable(head) + "…" + printable(tail)
}

// printable leaves out what is left of characters that were cut. It never makes text longer.
func printable(text []byte) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError:
			return -1
		case !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, string(text))
}
