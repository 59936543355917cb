package sbom

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	lastCycloneDX      = 7 // the last minor version
	firstCycloneDXJSON = 2
)

// componentTypes has the types of CycloneDX components and the minor version that brought each.
var componentTypes = map[string]int{
	"application": 0, "framework": 0, "library": 0, "operating-system": 0, "device": 0,
	"file":      1,
	"container": 2, "firmware": 2,
	"platform": 5, "device-driver": 5, "machine-learning-model": 5, "data": 5,
	"cryptographic-asset": 6,
}

var serialNumber = regexp.MustCompile(`^(urn:uuid:)?\{?[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\}?$`)

// cycloneDXFields are the fields of a document that are checked.
func cycloneDXFields() []field {
	hashes := listOf(&shape{is: isObject, fields: []field{
		{name: "alg", value: filled, need: required},
		{name: "content", value: filled, need: required},
	}})
	references := listOf(&shape{is: isObject, fields: []field{
		{name: "type", value: filled, need: required},
		{name: "url", value: text, need: required},
		{name: "hashes", value: hashes},
	}})
	part := &shape{is: isObject, counts: "*"}
	part.fields = []field{
		{name: "type", value: &shape{is: isText, text: checkComponentType}, need: required},
		{name: "name", value: text, need: required},
		{name: "version", value: text, need: requiredUntil(3)},
		{name: "group", value: text},
		{name: "purl", value: text},
		{name: "cpe", value: text},
		{name: "licenses", value: listOf(&shape{is: isObject})},
		{name: "hashes", value: hashes},
		{name: "externalReferences", value: references},
		{name: "components", value: listOf(part)},
	}
	about := *part
	about.counts = ""
	service := &shape{is: isObject}
	service.fields = []field{
		{name: "name", value: text, need: required},
		{name: "version", value: text},
		{name: "externalReferences", value: references},
		{name: "services", value: listOf(service)},
	}
	return []field{
		{name: "bomFormat", value: &shape{is: isText, text: checkBOMFormat}, need: required},
		{name: "specVersion", value: &shape{is: isText, text: foundSpecVersion}, need: required},
		{name: "version", value: integer, need: requiredUntil(4)},
		{name: "serialNumber", value: &shape{is: isText, text: checkSerialNumber}},
		{name: "metadata", value: &shape{is: isObject, fields: []field{
			{name: "timestamp", value: &shape{is: isText, text: checkTimestamp}},
			{name: "component", value: &about},
			{name: "tools", value: &shape{is: isList | isObject}},
		}}},
		{name: "components", value: listOf(part)},
		{name: "services", value: listOf(service)},
		{name: "externalReferences", value: references},
		{name: "dependencies", value: listOf(&shape{is: isObject, fields: []field{
			{name: "ref", value: filled, need: required},
			{name: "dependsOn", value: listOf(text)},
		}})},
		{name: "compositions", value: listOf(&shape{is: isObject, fields: []field{
			{name: "aggregate", value: filled, need: required},
		}})},
		{name: "vulnerabilities", value: listOf(&shape{is: isObject})},
	}
}

func checkBOMFormat(w *walker, text []byte) error {
	w.found.bomFormat = clip(text)
	if string(text) != "CycloneDX" {
		w.addText(always, text, ", not CycloneDX")
	}
	return nil
}

func foundSpecVersion(w *walker, text []byte) error {
	w.found.specVersion = clip(text)
	return nil
}

func checkSerialNumber(w *walker, text []byte) error {
	if problem := serialNumberProblem(string(text)); problem != "" {
		w.add(always, "%s", problem)
	}
	return nil
}

func serialNumberProblem(text string) string {
	if serialNumber.MatchString(text) && (strings.HasPrefix(text, "urn:uuid:") || text[0] == '{') {
		return ""
	}
	return "is " + strconv.Quote(clip(text)) + ", not urn:uuid: and a UUID"
}

func checkTimestamp(w *walker, text []byte) error {
	if !isTimestamp(string(text)) {
		w.addText(always, text, ", not a time such as 2026-01-31T12:00:00Z")
	}
	return nil
}

// isTimestamp accepts times without zone, which XML Schema allows and tools write in JSON as well.
func isTimestamp(text string) bool {
	_, err := time.Parse(time.RFC3339, text)
	if err != nil {
		_, err = time.Parse("2006-01-02T15:04:05", text)
	}
	return err == nil
}

func checkComponentType(w *walker, text []byte) error {
	since, known := componentTypes[string(text)]
	switch {
	case !known:
		w.addText(always, text, ", which no version has")
	case since > 0:
		w.addText(since-1, text, ", which came with CycloneDX 1.%d", since)
	}
	return nil
}

// minorOf returns the minor version of "1.N"; false if it is none.
func minorOf(version string) (int, bool) {
	rest, ok := strings.CutPrefix(version, "1.")
	minor, err := strconv.Atoi(rest)
	return minor, ok && err == nil && minor >= 0 && strconv.Itoa(minor) == rest
}
