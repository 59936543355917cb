package provider

import (
	"cmp"
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// atlasData is the data source atlas_artifact.
type atlasData struct{ dataSource }

// Metadata names the data source.
func (*atlasData) Metadata(_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = "atlas_artifact"
}

// Schema describes the data source.
func (*atlasData) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "The data source of the provider of HashiCorp Atlas, with the contract that it had. New configurations use `almanac_artifact`, " +
			"which has channels, regions and revocation.",
		Attributes: map[string]schema.Attribute{
			"name":          schema.StringAttribute{Required: true, Validators: []validator.String{isArtifactName}, MarkdownDescription: atlasName},
			"type":          schema.StringAttribute{Required: true, Validators: []validator.String{isType}, MarkdownDescription: atlasType},
			"build":         schema.StringAttribute{Optional: true, MarkdownDescription: atlasBuild},
			"version":       schema.StringAttribute{Optional: true, MarkdownDescription: atlasVersion},
			"metadata_keys": schema.ListAttribute{Optional: true, ElementType: types.StringType, Validators: noNullsInList, MarkdownDescription: atlasMetadataKeys},
			"metadata":      schema.MapAttribute{Optional: true, ElementType: types.StringType, Validators: noNullsInMap, MarkdownDescription: atlasMetadata},
			"id":            computedText(atlasID),
			"file_url":      computedText(atlasFileURL),
			"metadata_full": schema.MapAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: atlasMetadataFull},
			"slug":          computedText(atlasSlug),
			"version_real":  computedText(atlasVersionReal),
		},
	}
}

// Read asks the registry.
func (d *atlasData) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var m atlasModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() || !d.ready(&resp.Diagnostics) {
		return
	}
	found, err := d.search(ctx, m, &resp.Diagnostics)
	d.settle(ctx, &m, found, err, &resp.Diagnostics)
	if !resp.Diagnostics.HasError() {
		m.warnFloating(found[0].VersionID, &resp.Diagnostics)
		resp.Diagnostics.Append(resp.State.Set(ctx, &m)...)
	}
}

// warnFloating warns of a question that another version answers after the next build.
func (m atlasModel) warnFloating(now registry.VersionID, diags *diag.Diagnostics) {
	argument, asked := "version", m.Version.ValueString()
	if asked == "" && m.Build.ValueString() != "" {
		argument, asked = "build", m.Build.ValueString()
	}
	asked = cmp.Or(asked, registry.Latest)
	if asked != registry.Latest && asked != "any" {
		return
	}
	diags.AddWarning(m.Name.ValueString()+": "+argument+" "+asked+" floats",
		fmt.Sprintf("It names version %s now, and another one after the next build: a plan will then replace what is made from it, "+
			"without a change to the configuration. Write version = \"%d\" to stay.", versionText(now), now.Number))
}
