package sbom

import (
	"net/url"
	"regexp"
	"strings"
	"time"
)

const documentID = "SPDXRef-DOCUMENT"

// spdxContext is the JSON-LD context of SPDX 3; the version is in it.
var spdxContext = regexp.MustCompile(`^https?://spdx\.org/rdf/(3(?:\.[0-9]+)*)/spdx-context\.jsonld$`)

var spdx3Version = regexp.MustCompile(`^3\.0(\.[0-9]+)?$`)

// spdx2Fields are the fields of an SPDX 2 document that are checked.
func spdx2Fields() []field {
	id := &shape{is: isText, text: checkSPDXID}
	checksums := listOf(&shape{is: isObject, fields: []field{
		{name: "algorithm", value: filled, need: required},
		{name: "checksumValue", value: filled, need: required},
	}})
	return []field{
		{name: "spdxVersion", value: &shape{is: isText, text: foundSPDXVersion}, need: required},
		{name: "dataLicense", value: &shape{is: isText, text: only("CC0-1.0")}, need: required},
		{name: "SPDXID", value: &shape{is: isText, text: only(documentID)}, need: required},
		{name: "name", value: text, need: required},
		{name: "documentNamespace", value: &shape{is: isText, text: checkNamespace}, need: required},
		{name: "creationInfo", value: &shape{is: isObject, fields: []field{
			{name: "created", value: &shape{is: isText, text: checkCreated}, need: required},
			{name: "creators", value: &shape{is: isList, filled: true, each: filled}, need: required},
		}}, need: required},
		{name: "packages", value: listOf(&shape{is: isObject, counts: "*", fields: []field{
			{name: "SPDXID", value: id, need: required},
			{name: "name", value: filled, need: required},
			{name: "downloadLocation", value: filled, need: required},
			{name: "versionInfo", value: text},
			{name: "filesAnalyzed", value: &shape{is: isBool}},
			{name: "checksums", value: checksums},
		}})},
		{name: "files", value: listOf(&shape{is: isObject, fields: []field{
			{name: "SPDXID", value: id, need: required},
			{name: "fileName", value: filled, need: required},
			{name: "checksums", value: &shape{is: isList, filled: true, each: checksums.each}, need: required},
		}})},
		{name: "snippets", value: listOf(&shape{is: isObject, fields: []field{
			{name: "SPDXID", value: id, need: required},
			{name: "snippetFromFile", value: filled, need: required},
		}})},
		{name: "relationships", value: listOf(&shape{is: isObject, fields: []field{
			{name: "spdxElementId", value: filled, need: required},
			{name: "relationshipType", value: filled, need: required},
			{name: "relatedSpdxElement", value: filled, need: required},
		}})},
		{name: "hasExtractedLicensingInfos", value: listOf(&shape{is: isObject, fields: []field{
			{name: "licenseId", value: filled, need: required},
			{name: "extractedText", value: text, need: required},
		}})},
	}
}

// typeNames are the types of SPDX 3 objects that have rules.
var typeNames = []string{
	"CreationInfo", "SpdxDocument", "Relationship", "LifecycleScopedRelationship",
	"software_Sbom", "software_Package", "software_File", "software_Snippet",
}

// typeName returns the text if it is in typeNames, else "".
func typeName(text []byte) string {
	for _, name := range typeNames {
		if string(text) == name {
			return name
		}
	}
	return ""
}

// spdx3Fields are the fields of an SPDX 3 document that are checked.
func spdx3Fields() []field {
	id := &shape{is: isText, filled: true, text: identify}
	elements := requiredOf(typeNames[1:]...)
	created := requiredOf("CreationInfo")
	linked := requiredOf("Relationship", "LifecycleScopedRelationship")
	info := []field{
		{name: "type", alias: "@type", value: text, need: required},
		{name: "specVersion", value: &shape{is: isText, text: checkSpecVersion}, need: created},
		{name: "created", value: &shape{is: isText, text: checkCreated}, need: created},
		{name: "createdBy", value: &shape{is: isList, filled: true}, need: created},
	}
	element := &shape{is: isObject, counts: "software_Package", fields: append([]field{
		{name: "spdxId", alias: "@id", value: id, need: elements},
		{name: "creationInfo", value: &shape{is: isText | isObject, fields: info}, need: elements},
		{name: "name", value: text, need: requiredOf("software_Package", "software_File")},
		{name: "from", need: linked},
		{name: "to", value: &shape{is: isList}, need: linked},
		{name: "relationshipType", value: filled, need: linked},
	}, info...)}
	return []field{
		{name: "@context", value: &shape{is: isText | isList, text: foundContext, each: &shape{text: foundContext}}, need: required},
		{name: "@graph", value: &shape{is: isList, filled: true, each: element}, need: required},
	}
}

func foundSPDXVersion(w *walker, text []byte) error {
	w.found.spdxVersion = clip(text)
	return nil
}

func foundContext(w *walker, text []byte) error {
	if m := spdxContext.FindSubmatch(text); m != nil {
		w.found.context = clip(m[1])
	}
	return nil
}

func only(want string) func(*walker, []byte) error {
	return func(w *walker, text []byte) error {
		if string(text) != want {
			w.addText(always, text, ", not %s", want)
		}
		return nil
	}
}

func checkSPDXID(w *walker, text []byte) error {
	if problem := spdxIDProblem(text); problem != "" {
		w.addText(always, text, "%s", problem)
		return nil
	}
	return identify(w, text)
}

// spdxIDProblem returns what is wrong with the identifier of a part of a document.
func spdxIDProblem(id []byte) string {
	switch rest, ok := strings.CutPrefix(string(id), "SPDXRef-"); {
	case !ok || rest == "":
		return ", which does not begin with SPDXRef-"
	case string(id) == documentID:
		return ", which is the document's"
	}
	return ""
}

func checkNamespace(w *walker, text []byte) error {
	if !isNamespace(string(text)) {
		w.addText(always, text, ", not an absolute URI without #")
	}
	return nil
}

func isNamespace(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.IsAbs() && !strings.Contains(text, "#")
}

func checkCreated(w *walker, text []byte) error {
	if !isUTC(string(text)) {
		w.addText(always, text, ", not a UTC time such as 2026-01-31T12:00:00Z")
	}
	return nil
}

func isUTC(text string) bool {
	_, err := time.Parse("2006-01-02T15:04:05Z", text)
	return err == nil
}

func checkSpecVersion(w *walker, text []byte) error {
	if !spdx3Version.Match(text) {
		w.addText(always, text, ", not 3.0.x")
	}
	return nil
}
