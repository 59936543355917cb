package emit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// Pin is what a generated file says of itself.
type Pin struct {
	Artifact registry.ArtifactName
	registry.VersionID
	// Ref is what the file follows.
	Ref          string
	Type         registry.Type
	Component    string
	Architecture string
	Style        Style
	// AWSProvider and Owners are set in the style data only.
	AWSProvider int
	Owners      []string
	Ident       string
	// Address is the registry's base URL; "" if the file does not say it.
	Address string
}

// Options are those with which the file was written.
func (p Pin) Options() Options {
	return Options{Address: p.Address, Ref: p.Ref, Style: p.Style, AWSProvider: p.AWSProvider, Ident: p.Ident, Owners: p.Owners}
}

// Question finds the same build in whichever version the ref names now.
func (p Pin) Question() registry.Question {
	return registry.Question{Type: string(p.Type), Component: p.Component, Architecture: p.Architecture}
}

// subject is whose file it is: what another source must not overwrite.
func (p Pin) subject() string {
	return string(p.Artifact) + " (type " + string(p.Type) + ", component " + comment(p.Component) + ")"
}

func (p Pin) version() string { return describeVersion(p.VersionID) }

// ReadPin reads the header of a generated HCL file, or the pin of a generated tfvars file. It is
// false for any other file, and for one whose header was damaged.
func ReadPin(existing []byte) (Pin, bool) {
	existing = unixLines(existing)
	if bytes.HasPrefix(bytes.TrimSpace(existing), []byte("{")) {
		return readTfvarsPin(existing)
	}
	return readHeaderPin(string(existing))
}

func readHeaderPin(text string) (Pin, bool) {
	text, ok := strings.CutPrefix(text, "# "+Marker+"\n")
	if !ok {
		return Pin{}, false
	}
	values := map[string]string{}
	for line := range strings.Lines(text) {
		line, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "#")
		if !ok {
			break
		}
		name, rest, _ := strings.Cut(strings.TrimPrefix(line, " "), " ")
		value, ok := uncomment(strings.TrimLeft(rest, " "))
		if _, twice := values[name]; !ok || twice && name != "" {
			return Pin{}, false
		}
		values[name] = value
	}
	version, number, ok := strings.Cut(strings.TrimSuffix(values[entryVersion], ")"), " (number ")
	if !ok {
		return Pin{}, false
	}
	ref := values[entryRef]
	if channel, ok := values[entryChannel]; ok {
		ref = channel
	}
	pin := Pin{
		Artifact: registry.ArtifactName(values[entryArtifact]), Ref: ref, Type: registry.Type(values[entryType]),
		Component: values[entryComponent], Architecture: values[entryArchitecture],
		Style: Style(values[entryStyle]), Ident: values[entryIdentifier], Address: addressOf(values[entrySource]),
	}
	pin.Version = version
	pin.Number, _ = strconv.ParseInt(number, 10, 64)
	if pin.Style == StyleData {
		pin.AWSProvider, _ = strconv.Atoi(values[entryAWSProvider])
		pin.Owners = strings.Split(values[entryOwners], ",")
	}
	return pin, pin.whole()
}

// tfvarsPin is the part of a tfvars file's one variable that says where the file is from.
type tfvarsPin struct {
	Generated string `json:"generated"`
	Ref       string `json:"ref"`
	Source    string `json:"source"`
}

func readTfvarsPin(content []byte) (Pin, bool) {
	var file map[string]struct {
		Pin          tfvarsPin             `json:"almanac"`
		Name         registry.ArtifactName `json:"name"`
		Type         registry.Type         `json:"type"`
		Component    string                `json:"component"`
		Architecture string                `json:"architecture"`
		registry.VersionID
	}
	if json.Unmarshal(content, &file) != nil || len(file) != 1 {
		return Pin{}, false
	}
	for ident, v := range file {
		pin := Pin{
			Artifact: v.Name, VersionID: v.VersionID, Ref: v.Pin.Ref, Type: v.Type, Component: v.Component,
			Architecture: v.Architecture, Style: StyleTfvars, Ident: ident, Address: addressOf(v.Pin.Source),
		}
		return pin, v.Pin.Generated == Marker && pin.whole()
	}
	return Pin{}, false
}

// whole says whether nothing is missing without which the file cannot be compared or made again.
func (p Pin) whole() bool {
	_, nameErr := registry.ParseArtifactName(string(p.Artifact))
	_, refErr := registry.ParseRef(p.Ref)
	return nameErr == nil && refErr == nil && p.Number > 0 && p.Version != "" && p.Type != "" && p.Component != "" &&
		p.Style != "" && p.Options().Validate(p.Type) == nil
}

func addressOf(source string) string {
	if i := strings.LastIndex(source, sourcePath); i >= 0 {
		return source[:i]
	}
	return ""
}

const checksumPrefix = "sha256:"

// blankChecksum stands in the place of the checksum while it is computed.
var blankChecksum = checksumPrefix + strings.Repeat("0", sha256.Size*2)

// checksumPlace finds the checksum in a file of either kind. Text of the registry cannot stand in
// this place: in HCL its line would not start so, and in JSON its quotes are escaped and the members
// that are maps come later.
var checksumPlace = regexp.MustCompile(`(?m)^(?:# checksum +|\s*"checksum": ")` + checksumPrefix + `([0-9a-f]{64})`)

// seal puts the checksum of a file into it, by which a change by hand is noticed later. It guards
// against oversight, not against intent.
func seal(content []byte) []byte {
	place := checksumPlace.FindSubmatchIndex(content)
	if place == nil {
		return content
	}
	sealed := bytes.Clone(content)
	copy(sealed[place[2]:place[3]], strings.Repeat("0", sha256.Size*2))
	sum := sha256.Sum256(sealed)
	hex.Encode(sealed[place[2]:place[3]], sum[:])
	return sealed
}

// unixLines undoes what a checkout on Windows does to line ends.
func unixLines(content []byte) []byte {
	return bytes.ReplaceAll(content, []byte("\r\n"), []byte("\n"))
}
