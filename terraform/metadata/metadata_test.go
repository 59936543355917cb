package metadata_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/terraform/metadata"
)

func TestFull(t *testing.T) {
	for outcome, test := range map[string]struct {
		in   registry.Metadata
		want map[string]string
	}{
		"nothing stays nothing": {nil, map[string]string{}},
		"names can stand behind a dot": {
			registry.Metadata{"region.eu-west-1": "ami-1", "created at": "today", "a_b-C9": "x", "größe": "y", "a..b": "z"},
			map[string]string{"region-eu-west-1": "ami-1", "created-at": "today", "a_b-C9": "x", "gr--e": "y", "a--b": "z"},
		},
		"a region goes before what took its name": {
			registry.Metadata{"region-eu-west-1": "mine", "region.eu-west-1": "ami-1"}, map[string]string{"region-eu-west-1": "ami-1"},
		},
		"the first of two others stays": {registry.Metadata{"a.b": "dot", "a b": "space"}, map[string]string{"a-b": "space"}},
	} {
		t.Run(outcome, func(t *testing.T) {
			if diff := cmp.Diff(test.want, metadata.Full(test.in)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
