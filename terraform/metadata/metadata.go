// Package metadata gives metadata the names that it has in Terraform.
package metadata

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

var notInName = regexp.MustCompile(`[^A-Za-z0-9_-]`)

// Full gives metadata the names that they have had in Terraform since 2015, which can stand behind a dot:
// every character that is no letter or digit of ASCII, _ or - becomes -, so that the AMI of a region is
// metadata_full.region-eu-west-1. Where two names become one, a name that the registry derives from images (region.…)
// comes before all others, then the one that is first in the order of bytes.
func Full(m registry.Metadata) map[string]string {
	derived := func(key string) int {
		if strings.HasPrefix(key, "region.") {
			return 0
		}
		return 1
	}
	keys := slices.SortedFunc(maps.Keys(m), func(a, b string) int {
		if d := derived(a) - derived(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	full := map[string]string{}
	for _, key := range keys {
		name := notInName.ReplaceAllString(key, "-")
		if _, taken := full[name]; !taken {
			full[name] = m[key]
		}
	}
	return full
}
