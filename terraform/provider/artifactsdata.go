package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// artifactsData is the data source almanac_artifacts.
type artifactsData struct{ dataSource }

type artifactsModel struct {
	Namespace types.String `tfsdk:"namespace"`
	Type      types.String `tfsdk:"type"`
	Text      types.String `tfsdk:"q"`
	Limit     types.Int64  `tfsdk:"limit"`
	Names     types.List   `tfsdk:"names"`
	Artifacts types.List   `tfsdk:"artifacts"`
	Truncated types.Bool   `tfsdk:"truncated"`
}

var listedArtifact = types.ObjectType{AttrTypes: map[string]attr.Type{
	"name": types.StringType, "summary": types.StringType, "public": types.BoolType, "types": types.ListType{ElemType: types.StringType},
	"latest_version": types.StringType, "latest_number": types.Int64Type, "channels": types.MapType{ElemType: types.StringType},
	"created_at": types.StringType, "updated_at": types.StringType,
}}

// Metadata names the data source.
func (*artifactsData) Metadata(_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = "almanac_artifacts"
}

// Schema describes the data source.
func (*artifactsData) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Lists the artifacts that the token may read, sorted by name.",
		Attributes: map[string]schema.Attribute{
			"namespace": schema.StringAttribute{
				Optional: true, Validators: []validator.String{isNamespace}, MarkdownDescription: "Only those of a namespace.",
			},
			"type": schema.StringAttribute{
				Optional: true, Validators: []validator.String{isType}, MarkdownDescription: "Only those that offer a build of a type, such as `amazon.image`.",
			},
			"q":         schema.StringAttribute{Optional: true, MarkdownDescription: "Only those with a text in their name or description, whatever its case."},
			"limit":     limitAttribute,
			"truncated": truncatedAttribute,
			"names": schema.ListAttribute{
				Computed: true, ElementType: types.StringType, MarkdownDescription: "The names alone, as `namespace/name`.",
			},
			"artifacts": schema.ListNestedAttribute{
				Computed: true, MarkdownDescription: "The artifacts.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"name":           computedText("Name, as `namespace/name`."),
					"summary":        computedText("One line that says what it is; null when nobody wrote one."),
					"public":         schema.BoolAttribute{Computed: true, MarkdownDescription: "Whether it can be read without a token."},
					"types":          schema.ListAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: "Types of the builds that it offers."},
					"latest_version": computedText("Newest version that is offered; null when there is none."),
					"latest_number":  schema.Int64Attribute{Computed: true, MarkdownDescription: "Number of that version."},
					"channels":       schema.MapAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: "Channel to the version that it points to."},
					"created_at":     computedText("When it was made, in UTC (RFC 3339)."),
					"updated_at":     computedText("When it changed last, in UTC (RFC 3339)."),
				}},
			},
		},
	}
}

// Read asks the registry, page by page.
func (d *artifactsData) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var m artifactsModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() || !d.ready(&resp.Diagnostics) {
		return
	}
	found, truncated, err := collect(m.Limit, func(cursor string, most int) ([]registry.Artifact, string, error) {
		p, err := d.client.Artifacts(ctx, registry.ArtifactFilter{
			Namespace: m.Namespace.ValueString(), Type: m.Type.ValueString(), Text: m.Text.ValueString(), Cursor: cursor, Limit: most,
		})
		return p.Artifacts, p.Next, err
	})
	if err != nil {
		at := places{"namespace": path.Root("namespace"), "type": path.Root("type"), "q": path.Root("q")}
		d.fail(ctx, &resp.Diagnostics, request{asked: "a list of artifacts", at: at}, err)
		return
	}
	names := make([]registry.ArtifactName, len(found))
	for i, a := range found {
		names[i] = a.Name
	}
	m.Names, m.Artifacts, m.Truncated = textList(names), objects(listedArtifact, found, listArtifact), types.BoolValue(truncated)
	resp.Diagnostics.Append(resp.State.Set(ctx, &m)...)
}

func listArtifact(a registry.Artifact) map[string]attr.Value {
	channels := map[string]string{}
	for _, c := range a.Channels {
		channels[c.Name] = c.Version
	}
	latest, number := types.StringNull(), types.Int64Null()
	if a.Latest != nil {
		latest, number = types.StringValue(a.Latest.Version), types.Int64Value(a.Latest.Number)
	}
	return map[string]attr.Value{
		"name": types.StringValue(string(a.Name)), "summary": orNull(a.Summary), "public": types.BoolValue(a.Public), "types": textList(a.Types),
		"latest_version": latest, "latest_number": number, "channels": textMap(channels),
		"created_at": types.StringValue(timeText(a.CreatedAt)), "updated_at": types.StringValue(timeText(a.UpdatedAt)),
	}
}
