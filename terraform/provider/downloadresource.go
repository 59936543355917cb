package provider

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// downloadResource is the ephemeral resource almanac_download.
type downloadResource struct{ ephemeralResource }

type downloadModel struct {
	choice
	Name         types.String `tfsdk:"name"`
	Type         types.String `tfsdk:"type"`
	Component    types.String `tfsdk:"component"`
	Architecture types.String `tfsdk:"architecture"`
	BoxProvider  types.String `tfsdk:"box_provider"`
	Metadata     types.Map    `tfsdk:"metadata"`
	File         types.String `tfsdk:"file"`

	URL       types.String `tfsdk:"url"`
	Number    types.Int64  `tfsdk:"number"`
	Size      types.Int64  `tfsdk:"size"`
	SHA256    types.String `tfsdk:"sha256"`
	ExpiresAt types.String `tfsdk:"expires_at"`
}

// Metadata names the ephemeral resource.
func (*downloadResource) Metadata(_ context.Context, _ ephemeral.MetadataRequest, resp *ephemeral.MetadataResponse) {
	resp.TypeName = "almanac_download"
}

// Schema describes the ephemeral resource.
func (*downloadResource) Schema(_ context.Context, _ ephemeral.SchemaRequest, resp *ephemeral.SchemaResponse) {
	optional := func(description string, validators ...validator.String) schema.Attribute {
		return schema.StringAttribute{Optional: true, Validators: validators, MarkdownDescription: description}
	}
	computed := func(description string) schema.Attribute {
		return schema.StringAttribute{Computed: true, MarkdownDescription: description}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "An address from which whoever has it can get one file for 15 minutes, without a token. It is in neither state nor plan. Needs Terraform 1.10.",
		Attributes: map[string]schema.Attribute{
			"name": schema.StringAttribute{
				Required: true, Validators: []validator.String{isArtifactName}, MarkdownDescription: "Artifact, as `namespace/name`.",
			},
			"type":         optional("Type of the build, such as `archive` or `vagrant.box`, where the version has several.", isType),
			"version":      optional(describeVersion + " Exactly one of `version`, `channel` and `ref` is given."),
			"channel":      optional(describeChannel),
			"ref":          optional(describeRef, isRef),
			"component":    optional("Packer source of the build, where the version has several that fit."),
			"architecture": optional("Architecture of the build, where the version has several."),
			"box_provider": optional("Vagrant provider of a box, such as `virtualbox`."),
			"metadata": schema.MapAttribute{
				Optional: true, ElementType: types.StringType, Validators: noNullsInMap, MarkdownDescription: describeFilter,
			},
			"file": schema.StringAttribute{
				Optional: true, Computed: true,
				MarkdownDescription: "Name of the file; can be left out where the build has one.",
			},
			"url":        schema.StringAttribute{Computed: true, Sensitive: true, MarkdownDescription: "Address of the file. It is a secret until it expires."},
			"number":     schema.Int64Attribute{Computed: true, MarkdownDescription: "Number of the version."},
			"size":       schema.Int64Attribute{Computed: true, MarkdownDescription: "Bytes."},
			"sha256":     computed("Digest of the bytes, 64 hexadecimal digits."),
			"expires_at": computed("Until when the address is good, in UTC (RFC 3339)."),
		},
	}
}

// ValidateConfig checks that exactly one way to name a version is given.
func (*downloadResource) ValidateConfig(ctx context.Context, req ephemeral.ValidateConfigRequest, resp *ephemeral.ValidateConfigResponse) {
	checkChoice(ctx, req.Config, &resp.Diagnostics)
}

// Open asks the registry for an address.
func (d *downloadResource) Open(ctx context.Context, req ephemeral.OpenRequest, resp *ephemeral.OpenResponse) {
	var m downloadModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() || !d.ready(&resp.Diagnostics) {
		return
	}
	attribute, ref := m.ref()
	name, typ := m.Name.ValueString(), m.Type.ValueString()
	question := registry.DownloadRequest{
		Ref: ref, Type: typ, Component: m.Component.ValueString(), Architecture: m.Architecture.ValueString(),
		Provider: m.BoxProvider.ValueString(), File: m.File.ValueString(),
	}
	resp.Diagnostics.Append(m.Metadata.ElementsAs(ctx, &question.Metadata, false)...)
	if resp.Diagnostics.HasError() {
		return
	}
	granted, err := d.client.GrantDownload(ctx, name, question)
	if err != nil {
		d.fail(ctx, &resp.Diagnostics, request{
			artifact: name, typ: typ, asked: fmt.Sprintf("a file of %s %q of %s%s", attribute, ref, name, ofType(typ)), conflict: "More than one build or file fits", filter: slices.Collect(maps.Keys(question.Metadata)),
			at: places{"artifact": path.Root("name"), "ref": path.Root(attribute), "type": path.Root("type"), "file": path.Root("file"), "": path.Root(attribute)},
		}, err)
		return
	}
	m.warnFloating(&resp.Diagnostics, "another file is then handed out", granted.Artifact, granted.VersionID)
	m.Number, m.URL = types.Int64Value(granted.Number), types.StringValue(granted.URL)
	m.File, m.Size, m.SHA256 = types.StringValue(granted.File.Name), types.Int64Value(granted.File.Size), types.StringValue(string(granted.File.SHA256))
	m.ExpiresAt = types.StringValue(timeText(granted.ExpiresAt))
	resp.Diagnostics.Append(resp.Result.Set(ctx, &m)...)
}
