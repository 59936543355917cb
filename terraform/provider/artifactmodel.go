package provider

import (
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/terraform/metadata"
)

// artifactModel is what almanac_artifact was given and what it found.
type artifactModel struct {
	choice
	Name           types.String `tfsdk:"name"`
	Type           types.String `tfsdk:"type"`
	Region         types.String `tfsdk:"region"`
	Architecture   types.String `tfsdk:"architecture"`
	Component      types.String `tfsdk:"component"`
	BoxProvider    types.String `tfsdk:"box_provider"`
	Metadata       types.Map    `tfsdk:"metadata"`
	RequireRegions types.Set    `tfsdk:"require_regions"`
	OnRevoked      types.String `tfsdk:"on_revoked"`

	ID               types.String `tfsdk:"id"`
	Slug             types.String `tfsdk:"slug"`
	Number           types.Int64  `tfsdk:"number"`
	Fingerprint      types.String `tfsdk:"fingerprint"`
	AMIs             types.Map    `tfsdk:"ami_ids"`
	AMI              types.String `tfsdk:"ami_id"`
	Images           types.List   `tfsdk:"images"`
	Regions          types.List   `tfsdk:"regions"`
	Files            types.List   `tfsdk:"files"`
	FullMetadata     types.Map    `tfsdk:"metadata_full"`
	CreatedAt        types.String `tfsdk:"created_at"`
	CompletedAt      types.String `tfsdk:"completed_at"`
	Revoked          types.Bool   `tfsdk:"revoked"`
	RevokedAt        types.String `tfsdk:"revoked_at"`
	RevocationReason types.String `tfsdk:"revocation_reason"`
}

var (
	imageType = types.ObjectType{AttrTypes: map[string]attr.Type{"provider": types.StringType, "region": types.StringType, "id": types.StringType}}
	fileType  = types.ObjectType{AttrTypes: map[string]attr.Type{"name": types.StringType, "size": types.Int64Type, "sha256": types.StringType}}
)

// resolutionAttributes are what a data source tells about one build of one version.
func resolutionAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"id":          computedText("Names the build: `namespace/name/number/component`. The id of an AMI is in `ami_id` and `ami_ids`."),
		"slug":        computedText("As Atlas wrote it: `namespace/name/type/number`."),
		"number":      schema.Int64Attribute{Computed: true, MarkdownDescription: "Number of the version: 1, 2, 3 …, never reused."},
		"fingerprint": computedText("Names the Packer run that made the version."),
		"ami_ids": schema.MapAttribute{
			Computed: true, ElementType: types.StringType,
			MarkdownDescription: "Region to AMI id; empty for other types than `amazon.image`.",
		},
		"ami_id": computedText("AMI id in `region`; without a `region`, the only one. Null when there are several, or none."),
		// Lists of objects, not nested attributes: Terraform has less to do for them, which counts with hundreds of artifacts in
		// twenty regions.
		"images": schema.ListAttribute{
			Computed: true, ElementType: imageType,
			MarkdownDescription: "All images of the build, sorted by region: their `provider`, such as `aws`, `gce` or `azure`, " +
				"`region` (or zone, or location) and `id`, such as `ami-0abc`.",
		},
		"regions": schema.ListAttribute{
			Computed: true, ElementType: types.StringType,
			MarkdownDescription: "Regions of the images, sorted.",
		},
		"files": schema.ListAttribute{
			Computed: true, ElementType: fileType,
			MarkdownDescription: "Files of the build, sorted by name: their `name`, a relative path, `size` in bytes and `sha256`, " +
				"64 hexadecimal digits. The ephemeral resource `almanac_download` gives an address for one.",
		},
		"metadata_full": schema.MapAttribute{
			Computed: true, ElementType: types.StringType,
			MarkdownDescription: "Metadata of the version and the build. Each character of a key outside `A-Z a-z 0-9 _ -` is a `-`. " +
				"For AMIs there are also `region-REGION` for each region, `ami_id` and `region`.",
		},
		"created_at":        computedText("When the version was made, in UTC (RFC 3339)."),
		"completed_at":      computedText("When the version was complete, in UTC (RFC 3339)."),
		"revoked":           schema.BoolAttribute{Computed: true, MarkdownDescription: "Whether the version is revoked now."},
		"revoked_at":        computedText("When the version is revoked, which may be in the future, in UTC (RFC 3339); null when it is not."),
		"revocation_reason": computedText("Why the version is revoked; null when it is not."),
	}
}

// set takes over what was found.
func (m *artifactModel) set(found registry.Resolution) {
	m.Version = types.StringValue(found.Version)
	m.Architecture, m.Component = orNull(found.Architecture), types.StringValue(found.Component)
	m.BoxProvider = orNull(found.Provider)
	m.ID, m.Slug = types.StringValue(buildID(found)), types.StringValue(slug(found))
	m.Number, m.Fingerprint = types.Int64Value(found.Number), types.StringValue(found.Fingerprint)
	m.AMIs, m.AMI = textMap(found.AMIs), orNull(amiOf(found, m.Region.ValueString()))
	m.Images = objects(imageType, found.Images, func(i registry.Image) map[string]attr.Value {
		return map[string]attr.Value{"provider": types.StringValue(i.Provider), "region": types.StringValue(i.Region), "id": types.StringValue(i.ID)}
	})
	m.Regions = textList(regionsOf(found))
	m.Files = objects(fileType, found.Files, func(f registry.File) map[string]attr.Value {
		return map[string]attr.Value{"name": types.StringValue(f.Name), "size": types.Int64Value(f.Size), "sha256": types.StringValue(string(f.SHA256))}
	})
	m.FullMetadata = textMap(metadata.Full(found.Metadata))
	m.CreatedAt, m.CompletedAt = types.StringValue(timeText(found.CreatedAt)), timeOrNull(found.CompletedAt)
	m.Revoked = types.BoolValue(found.Revoked)
	if found.Revocation != nil {
		m.RevokedAt, m.RevocationReason = types.StringValue(timeText(found.Revocation.At)), types.StringValue(found.Revocation.Reason)
	}
}

// amiOf is the AMI of a region or, without one, the only AMI; else "".
func amiOf(found registry.Resolution, region string) string {
	if region == "" && len(found.AMIs) == 1 {
		for _, id := range found.AMIs {
			return id
		}
	}
	return found.AMIs[region]
}

func regionsOf(found registry.Resolution) []string {
	regions := map[string]bool{}
	for _, image := range found.Images {
		if image.Region != "" {
			regions[image.Region] = true
		}
	}
	return slices.Sorted(maps.Keys(regions))
}

func buildID(found registry.Resolution) string {
	return fmt.Sprintf("%s/%d/%s", found.Artifact, found.Number, found.Component)
}

func slug(found registry.Resolution) string {
	return fmt.Sprintf("%s/%s/%d", found.Artifact, found.Type, found.Number)
}

// computedText is an attribute of a data source that the registry fills.
func computedText(description string) schema.Attribute {
	return schema.StringAttribute{Computed: true, MarkdownDescription: description}
}
