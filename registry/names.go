package registry

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ArtifactName is "namespace/name", such as "cargomedia/app". Make one with [ParseArtifactName].
// Upper and lower case are kept, and told apart in lookups, but two artifacts never differ in case
// alone.
type ArtifactName string

// Namespace returns the part before the slash.
func (n ArtifactName) Namespace() string { ns, _, _ := strings.Cut(string(n), "/"); return ns }

// Name returns the part after the slash.
func (n ArtifactName) Name() string { _, name, _ := strings.Cut(string(n), "/"); return name }

const maxNamePart = 128

// isNamePart says whether s has the characters of a name's part. Every lookup asks, so it is no regular expression.
func isNamePart(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case i == 0 || c != '.' && c != '_' && c != '-':
			return false
		}
	}
	return s != "" && !strings.Contains(s, "..")
}

// reservedNamespaces are first path segments that the server's own routes use, now or by a protocol
// whose routes are known: an artifact there could not be reached by the clients that ask for
// /namespace/name at the root.
var reservedNamespaces = map[string]bool{
	"api": true, "docs": true, "healthz": true, "metrics": true, "oauth2": true, "openapi.json": true,
	"packer": true, "readyz": true, "resource-manager": true, "static": true, "tf": true, "ui": true,
	"v1": true, "v2": true, "vagrant": true,
}

// ParseArtifactName checks s: two parts of 1 to 128 characters out of A-Z a-z 0-9 . _ - that start
// with a letter or a digit, without "..", and a namespace that no route of the server uses.
func ParseArtifactName(s string) (ArtifactName, error) {
	ns, name, ok := strings.Cut(s, "/")
	if !ok || strings.Contains(name, "/") {
		return "", Errorf(Invalid, "artifact name %q must be namespace/name, such as cargomedia/app", clip(s))
	}
	for _, part := range []struct{ what, value string }{{"namespace", ns}, {"name", name}} {
		switch {
		case part.value == "":
			return "", Errorf(Invalid, "artifact name %q has an empty %s; it must be namespace/name, such as cargomedia/app", clip(s), part.what)
		case len(part.value) > maxNamePart:
			return "", Errorf(Invalid, "artifact name %q: the %s has %d characters; at most %d are allowed", clip(s), part.what, len(part.value), maxNamePart)
		case !isNamePart(part.value):
			return "", Errorf(Invalid, "artifact name %q: the %s must start with a letter or digit and have only letters, digits, '.', '_' and '-', without '..'", clip(s), part.what)
		}
	}
	if reservedNamespaces[strings.ToLower(ns)] {
		return "", Errorf(Invalid, "artifact name %q: the namespace %q is reserved for the server's own routes; choose another", clip(s), ns)
	}
	return ArtifactName(s), nil
}

// ParseNamespace checks a namespace by the rules of [ParseArtifactName].
func ParseNamespace(s string) (string, error) {
	if _, err := ParseArtifactName(s + "/x"); err != nil || strings.Contains(s, "/") {
		return "", Errorf(Invalid, "namespace %q must start with a letter or digit, have only letters, digits, '.', '_' and '-' (at most %d), and not be reserved", clip(s), maxNamePart)
	}
	return s, nil
}

var (
	channelName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,62}$`)
	uuidShape   = regexp.MustCompile(`^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$`)
)

// Latest is the ref of the newest version that is offered; no channel can be named so.
const Latest = "latest"

// CheckChannelName accepts a letter followed by up to 62 letters, digits, '_' and '-', except
// "latest" and "any", which the registry keeps, and names with the shape of a UUID, which are
// fingerprints. So no channel can be mistaken for a number, a version or a constraint.
func CheckChannelName(s string) error {
	switch {
	case s == Latest || s == "any":
		return Errorf(Invalid, "channel name %q is kept by the registry itself; choose another, such as staging", s)
	case uuidShape.MatchString(s):
		return Errorf(Invalid, "channel name %q looks like a fingerprint; choose another, such as staging", s)
	case !channelName.MatchString(s):
		return Errorf(Invalid, "channel name %q must start with a letter and have only letters, digits, '_' and '-', at most 63", clip(s))
	}
	return nil
}

var fingerprintShape = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:+-]{0,127}$`)

// CheckFingerprint accepts 1 to 128 characters out of A-Z a-z 0-9 . _ : + - that start with a
// letter or a digit: a UUID, a commit id, a pipeline number.
func CheckFingerprint(s string) error {
	if !fingerprintShape.MatchString(s) {
		return Errorf(Invalid, "fingerprint %q must start with a letter or digit and have only letters, digits and . _ : + -, at most 128", clip(s))
	}
	return nil
}

const maxComponent = 255

// CheckComponent accepts the name of a Packer source, such as "amazon-ebs.app": 1 to 255 characters
// without spaces or control characters.
func CheckComponent(s string) error {
	if s == "" || len(s) > maxComponent || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return Errorf(Invalid, "component %q must have 1 to %d characters and no spaces, such as amazon-ebs.app", clip(s), maxComponent)
	}
	return nil
}

// checkText accepts up to limit bytes of UTF-8 without control characters; allowed lists those that
// are allowed all the same.
func checkText(s string, limit int, allowed string) error {
	if len(s) > limit {
		return fmt.Errorf("has %d bytes; at most %d are allowed", len(s), limit)
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("is not valid UTF-8")
	}
	if i := strings.IndexFunc(s, func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune(allowed, r) }); i >= 0 {
		return fmt.Errorf("has a control character at byte %d", i)
	}
	return nil
}

// clip shortens what a caller sent for an error text.
func clip(s string) string {
	const most = 80
	s = strings.ToValidUTF8(s, "\uFFFD")
	if utf8.RuneCountInString(s) <= most {
		return s
	}
	return string([]rune(s)[:most]) + "…"
}
