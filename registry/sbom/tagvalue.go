package sbom

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// maxLine is how long a line of a tag-value document may be; a text of several lines may be longer.
const maxLine = 1 << 20

// section is a part of a tag-value document: it begins with a tag of its own.
type section struct {
	what     string // "" for the document itself
	required []string
	ids      bool // its SPDXID must be its own
}

// documentTags are those that a document must have. They may come after its packages.
var documentTags = []string{"SPDXVersion", "DataLicense", "SPDXID", "DocumentName", "DocumentNamespace", "Creator", "Created"}

// sections has them by the tag that begins them.
var sections = map[string]section{
	"PackageName": {
		what: "package", ids: true,
		required: []string{"SPDXID", "PackageDownloadLocation"},
	},
	"FileName": {
		what: "file", ids: true,
		required: []string{"SPDXID", "FileChecksum"},
	},
	"SnippetSPDXID": {what: "snippet", required: []string{"SnippetFromFileSPDXID"}},
	"LicenseID":     {what: "license", required: []string{"ExtractedText"}},
}

// tagReader checks an SPDX 2 document in tag-value form.
type tagReader struct {
	lines      *bufio.Scanner
	line       int
	mistakes   mistakes
	ids        identifiers
	version    string
	packages   int
	document   map[string]bool // the tags of the document that were there
	now        section
	began      int             // the line
	tags       map[string]bool // the tags of the section that were there
	recognized bool
}

// readTagValue reads a document in the tag-value form of SPDX 2.
func readTagValue(in *source) (Document, error) {
	t := &tagReader{
		lines:    bufio.NewScanner(in),
		mistakes: newMistakes(), ids: newIdentifiers(),
		document: map[string]bool{},
	}
	t.lines.Buffer(nil, maxLine)
	stopped := false
	for !stopped && t.scan() {
		if err := t.tag(t.lines.Bytes()); err != nil {
			return Document{}, err
		}
		stopped = t.mistakes.tooMany(spdx2)
	}
	if stopped {
		return t.finish(nil)
	}
	if err := t.lines.Err(); err != nil {
		return Document{}, t.fail(err)
	}
	if !t.document["SPDXVersion"] && !t.document["SPDXID"] {
		return Document{}, flawNeither
	}
	t.endSection()
	return t.finish(documentTags)
}

// scan goes on to the next line. When the reader fails, what the scanner still has is no line: it may be cut.
func (t *tagReader) scan() bool {
	if !t.lines.Scan() {
		return false
	}
	if _, failed := errors.AsType[*ReadError](t.lines.Err()); failed {
		return false
	}
	t.line++
	return true
}

// finish returns the document if it has the tags and no mistakes.
func (t *tagReader) finish(tags []string) (Document, error) {
	d := Document{Standard: "SPDX", Version: strings.TrimPrefix(t.version, "SPDX-"), Encoding: "tag-value", Components: t.packages}
	minor, err := supported(spdx2, d)
	if err != nil {
		return Document{}, err
	}
	for _, name := range tags {
		if !t.document[name] {
			t.add("%s is missing", name)
		}
	}
	return d.finish(&t.mistakes, spdx2, minor)
}

func (t *tagReader) fail(err error) error {
	switch {
	case !errors.Is(err, bufio.ErrTooLong):
		return err
	case t.recognized:
		return flawf("is SPDX with a line of more than %d bytes, line %d", maxLine, t.line+1)
	}
	return flawNeither
}

func (t *tagReader) add(format string, args ...any) {
	if b := t.mistakes.count(spdx2, always); b != nil {
		b.note(int64(t.line), fmt.Sprintf(format, args...))
	}
}

// tag reads a line, and those after it if its text goes on there.
func (t *tagReader) tag(line []byte) error {
	line = bytes.TrimSpace(line)
	if len(line) == 0 || line[0] == '#' {
		return nil
	}
	before, after, ok := bytes.Cut(line, []byte(":"))
	if !ok || !isTag(before) {
		if !t.recognized {
			return flawNeither
		}
		t.add("line %d is no tag and value", t.line)
		return nil
	}
	name, value := string(before), string(bytes.TrimLeft(after, " \t"))
	if !t.recognized {
		if err := t.recognize(name); err != nil {
			return err
		}
	}
	value, err := t.text(value)
	if err != nil {
		return err
	}
	if section, begins := sections[name]; begins {
		t.endSection()
		t.now, t.began, t.tags = section, t.line, map[string]bool{}
		if name == "PackageName" {
			t.packages++
		}
	}
	return t.value(name, value)
}

// isTag reports whether the text is a letter and then letters and digits.
func isTag(text []byte) bool {
	for i, c := range text {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return len(text) > 0
}

// recognize looks at the first tag: SPDX documents begin with those of the document itself.
func (t *tagReader) recognize(name string) error {
	switch {
	case slices.Contains(documentTags, name):
		t.recognized = true
		return nil
	case name == "spdxVersion" || name == "bomFormat":
		return flaw("looks like YAML, which is not read; convert it to JSON")
	}
	return flawNeither
}

// text returns a value. One in <text> goes on until </text>; its first line that is not empty stands for it.
func (t *tagReader) text(value string) (string, error) {
	rest, ok := strings.CutPrefix(value, "<text>")
	if !ok {
		return value, nil
	}
	began := t.line
	value = ""
	for {
		before, _, ended := strings.Cut(rest, "</text>")
		if value == "" {
			value = before
		}
		if ended {
			return value, nil
		}
		if !t.scan() {
			break
		}
		rest = t.lines.Text()
	}
	if err := t.lines.Err(); err != nil {
		return "", t.fail(err)
	}
	return "", flawf("is incomplete SPDX: the <text> of line %d has no </text>", began)
}

// value checks one tag.
func (t *tagReader) value(name, value string) error {
	if slices.Contains(documentTags, name) && (name != "SPDXID" || t.now.what == "") {
		if t.document[name] && name != "Creator" {
			t.add("%s is there twice (line %d)", name, t.line)
		}
		t.document[name] = true
		t.documentValue(name, value)
		return nil
	}
	if slices.Contains(t.now.required, name) {
		t.tags[name] = true
	}
	switch {
	case name == "SPDXID" && t.now.ids, name == "SnippetSPDXID":
		return t.identify(name, value)
	case value == "" && (name == "PackageName" || name == "FileName" || name == "PackageDownloadLocation"):
		t.add("%s is empty (line %d)", name, t.line)
	case name == "Relationship" && len(strings.Fields(value)) < 3:
		t.add("Relationship is %q, not ID TYPE ID (line %d)", clip(value), t.line)
	}
	return nil
}

func (t *tagReader) identify(name, id string) error {
	if problem := spdxIDProblem([]byte(id)); problem != "" {
		t.add("%s is %q%s (line %d)", name, clip(id), problem, t.line)
		return nil
	}
	fresh, err := t.ids.add([]byte(id))
	if err == nil && !fresh {
		t.add("%s is %q, which another part has (line %d)", name, clip(id), t.line)
	}
	return err
}

func (t *tagReader) documentValue(name, value string) {
	wrong := ""
	switch {
	case name == "SPDXVersion":
		t.version = clip(value)
		if value == "" {
			t.add("SPDXVersion is empty (line %d)", t.line)
		}
	case name == "DataLicense" && value != "CC0-1.0":
		wrong = "CC0-1.0"
	case name == "SPDXID" && value != documentID:
		wrong = documentID
	case name == "DocumentNamespace" && !isNamespace(value):
		wrong = "an absolute URI without #"
	case name == "Created" && !isUTC(value):
		wrong = "a UTC time such as 2026-01-31T12:00:00Z"
	}
	if wrong != "" {
		t.add("%s is %q, not %s (line %d)", name, clip(value), wrong, t.line)
	}
}

// endSection notes what the section that ends has not got.
func (t *tagReader) endSection() {
	if t.now.what == "" {
		return
	}
	for _, name := range t.now.required {
		if !t.tags[name] {
			t.add("%s of the %s at line %d is missing", name, t.now.what, t.began)
		}
	}
}
