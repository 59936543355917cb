package provider

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// versionsData is the data source almanac_versions.
type versionsData struct{ dataSource }

type versionsModel struct {
	Name      types.String `tfsdk:"name"`
	Type      types.String `tfsdk:"type"`
	Status    types.String `tfsdk:"status"`
	Offered   types.Bool   `tfsdk:"offered"`
	Limit     types.Int64  `tfsdk:"limit"`
	Versions  types.List   `tfsdk:"versions"`
	Truncated types.Bool   `tfsdk:"truncated"`
}

var listedVersion = types.ObjectType{AttrTypes: map[string]attr.Type{
	"number": types.Int64Type, "version": types.StringType, "fingerprint": types.StringType, "status": types.StringType,
	"description": types.StringType, "components": types.ListType{ElemType: types.StringType},
	"created_at": types.StringType, "created_by": types.StringType, "completed_at": types.StringType,
	"revoked": types.BoolType, "revoked_at": types.StringType, "revocation_reason": types.StringType,
}}

// Metadata names the data source.
func (*versionsData) Metadata(_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = "almanac_versions"
}

// Schema describes the data source.
func (*versionsData) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Lists the versions of an artifact, the newest first.",
		Attributes: map[string]schema.Attribute{
			"name": schema.StringAttribute{
				Required: true, Validators: []validator.String{isArtifactName}, MarkdownDescription: "Artifact, as `namespace/name`.",
			},
			"type": schema.StringAttribute{
				Optional: true, Validators: []validator.String{isType}, MarkdownDescription: "Only those with a build of a type, such as `amazon.image`.",
			},
			"status": schema.StringAttribute{
				Optional:            true,
				Validators:          []validator.String{stringvalidator.OneOf(string(registry.StatusOpen), string(registry.StatusComplete), string(registry.StatusFailed))},
				MarkdownDescription: "Only those that are `open`, `complete` or `failed`.",
			},
			"offered":   schema.BoolAttribute{Optional: true, MarkdownDescription: "Only those that are complete and not revoked."},
			"limit":     limitAttribute,
			"truncated": truncatedAttribute,
			"versions": schema.ListNestedAttribute{
				Computed: true, MarkdownDescription: "The versions.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"number":            schema.Int64Attribute{Computed: true, MarkdownDescription: "Number: 1, 2, 3 …, never reused."},
					"version":           computedText("Semantic version."),
					"fingerprint":       computedText("Names the Packer run that made it."),
					"status":            computedText("`open`, `complete` or `failed`."),
					"description":       computedText("What its publisher wrote; null when nothing."),
					"components":        schema.ListAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: "Packer sources of its builds, sorted."},
					"created_at":        computedText("When it was made, in UTC (RFC 3339)."),
					"created_by":        computedText("Name of the token that made it."),
					"completed_at":      computedText("When it was complete, in UTC (RFC 3339); null before."),
					"revoked":           schema.BoolAttribute{Computed: true, MarkdownDescription: "Whether it is revoked now."},
					"revoked_at":        computedText("When it is revoked, which may be in the future, in UTC (RFC 3339); null when it is not."),
					"revocation_reason": computedText("Why it is revoked; null when it is not."),
				}},
			},
		},
	}
}

// Read asks the registry, page by page.
func (d *versionsData) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var m versionsModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() || !d.ready(&resp.Diagnostics) {
		return
	}
	name, typ := m.Name.ValueString(), m.Type.ValueString()
	found, truncated, err := collect(m.Limit, func(cursor string, most int) ([]registry.Version, string, error) {
		p, err := d.client.Versions(ctx, name, registry.VersionFilter{
			Type: typ, Status: m.Status.ValueString(), Offered: m.Offered.ValueBool(), Cursor: cursor, Limit: most,
		})
		return p.Versions, p.Next, err
	})
	if err != nil {
		at := places{"artifact": path.Root("name"), "type": path.Root("type"), "status": path.Root("status"), "": path.Root("name")}
		d.fail(ctx, &resp.Diagnostics, request{artifact: name, typ: typ, asked: "the versions of " + name, at: at}, err)
		return
	}
	m.Versions, m.Truncated = objects(listedVersion, found, listVersion), types.BoolValue(truncated)
	resp.Diagnostics.Append(resp.State.Set(ctx, &m)...)
}

func listVersion(v registry.Version) map[string]attr.Value {
	components := make([]string, len(v.Builds))
	for i, b := range v.Builds {
		components[i] = b.Component
	}
	revokedAt, reason := types.StringNull(), types.StringNull()
	if v.Revocation != nil {
		revokedAt, reason = types.StringValue(timeText(v.Revocation.At)), types.StringValue(v.Revocation.Reason)
	}
	return map[string]attr.Value{
		"number": types.Int64Value(v.Number), "version": types.StringValue(v.Version), "fingerprint": types.StringValue(v.Fingerprint),
		"status": types.StringValue(string(v.Status)), "description": orNull(v.Description), "components": textList(components),
		"created_at": types.StringValue(timeText(v.CreatedAt)), "created_by": types.StringValue(v.CreatedBy), "completed_at": timeOrNull(v.Completed),
		"revoked": types.BoolValue(v.RevokedAt(time.Now())), "revoked_at": revokedAt, "revocation_reason": reason,
	}
}
