package localfiles

import (
	"fmt"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/box"
)

// DescribeBox gives a build the provider and the architecture that its box says of itself. They win
// over what the build was said to have: Vagrant goes by the box. The notes tell what was not used.
func DescribeBox(build *registry.Build, info box.Info) (notes []string) {
	architecture := info.Architecture
	if architecture != "" {
		if err := registry.CheckArchitecture(architecture); err != nil {
			notes = append(notes, fmt.Sprintf("what the box says of its architecture is left out: %v", err))
			architecture = ""
		}
	}
	for _, value := range []struct {
		what  string
		said  string
		build *string
	}{{"provider", info.Provider, &build.Provider}, {"architecture", architecture, &build.Architecture}} {
		if value.said == "" {
			continue
		}
		if *value.build != "" && *value.build != value.said {
			notes = append(notes, fmt.Sprintf("the %s is %s, as the box says of itself, and not %s", value.what, value.said, *value.build))
		}
		*value.build = value.said
	}
	return notes
}
