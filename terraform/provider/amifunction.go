package provider

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// amiFunction is the function ami.
type amiFunction struct{}

// Metadata names the function.
func (amiFunction) Metadata(_ context.Context, _ function.MetadataRequest, resp *function.MetadataResponse) {
	resp.Name = "ami"
}

// Definition describes the function.
func (amiFunction) Definition(_ context.Context, _ function.DefinitionRequest, resp *function.DefinitionResponse) {
	resp.Definition = function.Definition{
		Summary: "AMI of a region out of metadata_full",
		MarkdownDescription: "Returns the AMI id of a region out of `metadata_full`, as `almanac_artifact`, `atlas_artifact`, the remote state and the " +
			"module of an artifact have it. For a region that is not there it fails, and lists those that are. It asks nobody.",
		Parameters: []function.Parameter{
			function.MapParameter{
				Name: "metadata_full", ElementType: types.StringType,
				MarkdownDescription: "Metadata with keys such as `region.eu-west-1`, or `region-eu-west-1` as Atlas wrote them.",
			},
			function.StringParameter{Name: "region", MarkdownDescription: "Region, such as `eu-west-1`."},
		},
		Return: function.StringReturn{},
	}
}

// The keys of regions, as the registry has them and as the provider of Atlas wrote them.
const (
	regionKey      = "region."
	atlasRegionKey = "region-"
)

// Run looks the region up.
func (amiFunction) Run(ctx context.Context, req function.RunRequest, resp *function.RunResponse) {
	var metadata map[string]types.String
	var region string
	if resp.Error = req.Arguments.Get(ctx, &metadata, &region); resp.Error != nil {
		return
	}
	var regions []string
	for key, value := range metadata {
		name, ok := strings.CutPrefix(key, regionKey)
		if !ok {
			name, ok = strings.CutPrefix(key, atlasRegionKey)
		}
		if !ok || value.IsNull() {
			continue
		}
		if name == region {
			resp.Error = resp.Result.Set(ctx, value)
			return
		}
		regions = append(regions, name)
	}
	slices.Sort(regions)
	if len(regions) == 0 {
		resp.Error = function.NewArgumentFuncError(0, `it has no keys such as "region.eu-west-1", so it is not the metadata_full of an amazon.image`)
		return
	}
	resp.Error = function.NewArgumentFuncError(1, fmt.Sprintf("the artifact has no AMI in region %q; it has: %s", region, strings.Join(slices.Compact(regions), ", ")))
}
