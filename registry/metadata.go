package registry

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Metadata describes a version or a build: names to values, both text.
type Metadata map[string]string

const (
	maxMetadataKeys  = 256
	maxMetadataKey   = 128
	maxMetadataValue = 4096
	maxMetadataTotal = 64 << 10
)

// regionPrefix starts the keys that are derived from the images of a build.
const regionPrefix = "region."

// CheckMetadata returns one problem for each bad entry: at most 256 entries and 64 KiB in all, keys
// of 1 to 128 bytes without control characters that do not start with "region." (those are derived
// from images), values of at most 4096 bytes of UTF-8 whose only control characters are tab, newline
// and carriage return. field is the path that the problems name.
func CheckMetadata(field string, m Metadata) []FieldError { return checkMetadata(field, m, true) }

// checkMetadata is [CheckMetadata] for a build, where nothing is derived from the images of most types.
func checkMetadata(field string, m Metadata, regionsDerived bool) []FieldError {
	var p problems
	if len(m) > maxMetadataKeys {
		p.add(field, "has %d entries; at most %d are allowed", len(m), maxMetadataKeys)
		return p.fields
	}
	total := 0
	for _, key := range slices.Sorted(maps.Keys(m)) {
		value := m[key]
		at := fmt.Sprintf("%s[%q]", field, clip(key))
		total += len(key) + len(value)
		switch err := checkText(key, maxMetadataKey, ""); {
		case key == "" || strings.TrimSpace(key) != key:
			p.add(at, "the key is empty or has spaces around it")
		case err != nil:
			p.add(at, "the key %v", err)
		case regionsDerived && strings.HasPrefix(key, regionPrefix):
			p.add(at, "keys that start with %q are derived from the build's images; choose another name", regionPrefix)
		}
		if err := checkText(value, maxMetadataValue, "\t\n\r"); err != nil {
			p.add(at, "the value %v", err)
		}
	}
	if total > maxMetadataTotal {
		p.add(field, "has %d bytes in all; at most %d are allowed", total, maxMetadataTotal)
	}
	return p.fields
}

// FullMetadata is a build's own metadata on top of its version's, with what is derived from the
// images of an amazon.image that are offered: "region.REGION" for each region and, unless the build's own metadata says
// otherwise, "ami_id" and "region" as comma lists in the order of the regions (as Atlas did since 2015).
func FullMetadata(version Metadata, b Build) Metadata {
	full := maps.Clone(version)
	if full == nil {
		full = Metadata{}
	}
	maps.Copy(full, b.Metadata)
	images := b.offeredImages()
	if b.Type != AmazonImage || len(images) == 0 {
		return full
	}
	var regions, ids []string
	for _, image := range sortedImages(images) {
		full[regionPrefix+image.Region] = image.ID
		regions = append(regions, image.Region)
		ids = append(ids, image.ID)
	}
	if _, ok := b.Metadata["ami_id"]; !ok {
		full["ami_id"] = strings.Join(ids, ",")
	}
	if _, ok := b.Metadata["region"]; !ok {
		full["region"] = strings.Join(regions, ",")
	}
	return full
}
