package vagrantcatalog

import (
	"path"
	"regexp"
	"slices"
	"strings"
)

// architectures are words at the end of a file's name that are no provider.
var architectures = []string{
	"amd64", "i386", "arm", "arm64", "ppc64", "ppc64le", "mips", "mipsle", "mips64", "mips64le", "riscv64", "s390x",
	"x86_64", "aarch64", "i686", Unknown,
}

var (
	versionShape  = regexp.MustCompile(`^[0-9]+(\.[0-9]+){0,3}([-.+][0-9A-Za-z.-]+)?$`)
	providerShape = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.]*$`)
)

// slash is how Vagrant writes the slash of a box's name in the name of a directory.
const slash = "-VAGRANTSLASH-"

// place is what the name of a file says of the box in it.
type place struct{ name, version, provider, architecture string }

// nameOf reads NAME-VERSION-PROVIDER[-ARCH].box. A name may have parts of digits, such as ubuntu-24.04: the version is
// what stands before the provider.
func nameOf(file string) (place, bool) {
	stem, isBox := strings.CutSuffix(file, ".box")
	words := strings.Split(strings.ReplaceAll(stem, slash, "/"), "-")
	var p place
	if n := len(words); n > 3 && slices.Contains(architectures, words[n-1]) {
		p.architecture, words = words[n-1], words[:n-1]
	}
	n := len(words)
	if !isBox || n < 3 || !providerShape.MatchString(words[n-1]) {
		return place{}, false
	}
	p.provider, words = words[n-1], words[:n-1]
	// One word, or more for a pre-release: 1.2.0-rc.1.
	for first := len(words) - 1; first > 0; first-- {
		version := strings.Join(words[first:], "-")
		if versionShape.MatchString(version) {
			p.name, p.version = strings.Join(words[:first], "-"), version
			return p, true
		}
	}
	return place{}, false
}

// placeOf reads [[ORG/]NAME/]VERSION/PROVIDER[/ARCH]/FILE.box, relative to the directory that was given.
func placeOf(file string) (place, bool) {
	parts := strings.Split(path.Dir(file), "/")
	at := slices.IndexFunc(parts, versionShape.MatchString)
	if at < 0 {
		return place{}, false
	}
	// A name can look like a version, such as 24.04 in ubuntu/24.04/1.0.0/virtualbox.
	if more := slices.IndexFunc(parts[at+1:], versionShape.MatchString); more >= 0 {
		at += 1 + more
	}
	name, rest := parts[:at], parts[at+1:]
	if len(name) > 2 || len(rest) < 1 || len(rest) > 2 {
		return place{}, false
	}
	p := place{name: strings.ReplaceAll(strings.Join(name, "/"), slash, "/"), version: parts[at], provider: rest[0]}
	if len(rest) == 2 {
		p.architecture = rest[1]
	}
	return p, true
}
