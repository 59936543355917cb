package provider

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// The values of on_revoked.
const (
	revokedWarn   = "warn"
	revokedError  = "error"
	revokedIgnore = "ignore"
)

// artifactData is the data source almanac_artifact.
type artifactData struct{ dataSource }

// Metadata names the data source.
func (*artifactData) Metadata(_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = "almanac_artifact"
}

// Schema describes the data source.
func (*artifactData) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	attributes := resolutionAttributes()
	for name, attribute := range map[string]schema.Attribute{
		"name": schema.StringAttribute{
			Required: true, Validators: []validator.String{isArtifactName},
			MarkdownDescription: "Artifact, as `namespace/name`.",
		},
		"type": schema.StringAttribute{
			Required: true, Validators: []validator.String{isType},
			MarkdownDescription: "Type of the build: `amazon.image` (or `aws.ami`), `vagrant.box`, `archive`, `googlecompute.image` …",
		},
		"version": schema.StringAttribute{
			Optional: true, Computed: true,
			MarkdownDescription: describeVersion + " Exactly one of `version`, `channel` and `ref` is given. After the read it is the semantic version that was found.",
		},
		"channel": schema.StringAttribute{Optional: true, MarkdownDescription: describeChannel},
		"ref":     schema.StringAttribute{Optional: true, Validators: []validator.String{isRef}, MarkdownDescription: describeRef},
		"region": schema.StringAttribute{
			Optional:            true,
			MarkdownDescription: "Region of which `ami_id` is wanted. It is an error when the version has no image there.",
		},
		"architecture": schema.StringAttribute{
			Optional: true, Computed: true,
			MarkdownDescription: "Architecture of the build, such as `arm64`, where the version has several. After the read it is that of the build, or null when nobody said it.",
		},
		"component": schema.StringAttribute{
			Optional: true, Computed: true,
			MarkdownDescription: "Packer source of the build, such as `amazon-ebs.app`, where the version has several that fit. After the read it is that of the build.",
		},
		"box_provider": schema.StringAttribute{
			Optional: true, Computed: true,
			MarkdownDescription: "Vagrant provider of a box, such as `virtualbox`, where the version has several. After the read it is that of the box, or null.",
		},
		"metadata": schema.MapAttribute{
			Optional: true, ElementType: types.StringType, Validators: noNullsInMap,
			MarkdownDescription: describeFilter,
		},
		"require_regions": schema.SetAttribute{
			Optional: true, ElementType: types.StringType, Validators: noNullsInSet,
			MarkdownDescription: "Regions that the version must have an image in. It is an error when one lacks.",
		},
		"on_revoked": schema.StringAttribute{
			Optional: true, Validators: []validator.String{stringvalidator.OneOf(revokedWarn, revokedError, revokedIgnore)},
			MarkdownDescription: "What a version that is revoked leads to: `warn` (the default), `error`, or `ignore`. `revoked` tells it in any case.",
		},
	} {
		attributes[name] = attribute
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "One version of an artifact, with its images in all regions. It is read with one request while Terraform plans.\n\n" +
			"Do not put `depends_on` on it, nor on a module that has it: Terraform then reads it during apply, " +
			"and everything that uses it is unknown in the plan.",
		Attributes: attributes,
	}
}

// ValidateConfig checks that exactly one way to name a version is given.
func (*artifactData) ValidateConfig(ctx context.Context, req datasource.ValidateConfigRequest, resp *datasource.ValidateConfigResponse) {
	checkChoice(ctx, req.Config, &resp.Diagnostics)
}

// Read asks the registry.
func (d *artifactData) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var m artifactModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() || !d.ready(&resp.Diagnostics) {
		return
	}
	var regions []string
	q := registry.Question{
		Type: m.Type.ValueString(), Architecture: m.Architecture.ValueString(), Component: m.Component.ValueString(), Provider: m.BoxProvider.ValueString(),
	}
	resp.Diagnostics.Append(m.Metadata.ElementsAs(ctx, &q.Metadata, false)...)
	resp.Diagnostics.Append(m.RequireRegions.ElementsAs(ctx, &regions, false)...)
	if resp.Diagnostics.HasError() {
		return
	}
	found, ok := d.resolve(ctx, m, q, &resp.Diagnostics)
	if !ok {
		return
	}
	m.requireRegions(found, regions, &resp.Diagnostics)
	m.tellRevocation(found, &resp.Diagnostics)
	m.warnFloating(&resp.Diagnostics, "a plan will then replace what is made from it", found.Artifact, found.VersionID)
	if resp.Diagnostics.HasError() {
		return
	}
	m.set(found)
	resp.Diagnostics.Append(resp.State.Set(ctx, &m)...)
}

// resolve asks for all regions at once. Where several builds fit, and a region is wanted, it asks which of them has the
// region, and then for all regions of that one.
func (d *artifactData) resolve(ctx context.Context, m artifactModel, q registry.Question, diags *diag.Diagnostics) (registry.Resolution, bool) {
	name, region := m.Name.ValueString(), m.Region.ValueString()
	attribute, ref := m.ref()
	r := request{
		artifact: name, typ: q.Type, asked: fmt.Sprintf("%s %q of %s, type %s", attribute, ref, name, q.Type), conflict: "More than one build fits",
		filter: slices.Collect(maps.Keys(q.Metadata)),
		at:     places{"artifact": path.Root("name"), "ref": path.Root(attribute), "type": path.Root("type"), "": path.Root(attribute)},
	}
	found, err := d.client.Resolve(ctx, name, ref, q)
	if registry.KindOf(err) == registry.Conflict && region != "" {
		q.Region = region
		r.asked += ", region " + region
		r.at[""] = path.Root("region")
		if found, err = d.client.Resolve(ctx, name, ref, q); err == nil {
			q.Region, q.Component = "", found.Component
			found, err = d.client.Resolve(ctx, name, ref, q)
		}
	}
	switch {
	case err != nil:
		d.fail(ctx, diags, r, err)
		return found, false
	case attribute == "channel" && found.Fingerprint == ref && !d.isChannel(ctx, name, ref):
		diags.AddAttributeError(path.Root("channel"), "Not found in the registry (404)",
			fmt.Sprintf("%s has no channel %q. It has a version with this fingerprint, which is version = \"fingerprint:%s\".", name, ref, ref))
		return found, false
	case region == "":
		return found, true
	}
	return found, inRegion(found, region, diags)
}

// isChannel is needed because the registry takes a name for a fingerprint where no channel has it.
func (d *artifactData) isChannel(ctx context.Context, artifact, name string) bool {
	_, err := d.client.Channel(ctx, artifact, name)
	return err == nil
}

// inRegion says whether there is one image in the region, and else adds which regions there are.
func inRegion(found registry.Resolution, region string, diags *diag.Diagnostics) bool {
	images := slices.DeleteFunc(slices.Clone(found.Images), func(i registry.Image) bool { return i.Region != region })
	switch len(images) {
	case 1:
		return true
	case 0:
		diags.AddAttributeError(path.Root("region"), "No image in this region",
			fmt.Sprintf("%s %s has no image in region %q; %s.", found.Artifact, versionText(found.VersionID), region, there(regionsOf(found))))
	default:
		diags.AddAttributeError(path.Root("region"), "More than one image in this region",
			fmt.Sprintf("%s %s has %d images in region %s: %s. Use images.", found.Artifact, versionText(found.VersionID), len(images), region,
				join(images, registry.Image.String)))
	}
	return false
}

func there(regions []string) string {
	if len(regions) == 0 {
		return "it has no images"
	}
	return "it has: " + strings.Join(regions, ", ")
}

func (m artifactModel) requireRegions(found registry.Resolution, wanted []string, diags *diag.Diagnostics) {
	have := regionsOf(found)
	missing := slices.DeleteFunc(wanted, func(region string) bool { return slices.Contains(have, region) })
	if len(missing) == 0 {
		return
	}
	slices.Sort(missing)
	diags.AddAttributeError(path.Root("require_regions"), "Required regions are missing",
		fmt.Sprintf("%s %s has no image in %s; %s. Copy the image there and publish the copy to the same version, or name a version that has it.",
			found.Artifact, versionText(found.VersionID), strings.Join(missing, ", "), there(have)))
}

func (m artifactModel) tellRevocation(found registry.Resolution, diags *diag.Diagnostics) {
	if !found.Revoked || m.OnRevoked.ValueString() == revokedIgnore {
		return
	}
	attribute, _ := m.ref()
	summary, detail := revokedSummary(found), revokedDetail(found)
	if m.OnRevoked.ValueString() == revokedError {
		diags.AddAttributeError(path.Root(attribute), summary, detail)
		return
	}
	diags.AddAttributeWarning(path.Root(attribute), summary, detail+" on_revoked = \"error\" makes this an error, and \"ignore\" silences it.")
}

func revokedSummary(found registry.Resolution) string {
	return fmt.Sprintf("%s %s is revoked", found.Artifact, found.Version)
}

func revokedDetail(found registry.Resolution) string {
	return fmt.Sprintf("Version %s was revoked by %s on %s: %s\n\n`almanac versions --offered %s` lists what to use instead.",
		versionText(found.VersionID), found.Revocation.By, timeText(found.Revocation.At), found.Revocation.Reason, found.Artifact)
}
