package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// ami is data "aws_ami" of version 5: the region is that of the provider.
type ami struct{ configured }

// regionalAMI is data "aws_ami" of version 6, with an argument region.
type regionalAMI struct{ ami }

type filterModel struct {
	Name   string   `tfsdk:"name"`
	Values []string `tfsdk:"values"`
}

type amiModel struct {
	Owners            []string      `tfsdk:"owners"`
	IncludeDeprecated types.Bool    `tfsdk:"include_deprecated"`
	MostRecent        types.Bool    `tfsdk:"most_recent"`
	Filter            []filterModel `tfsdk:"filter"`
	ID                types.String  `tfsdk:"id"`
	ImageID           types.String  `tfsdk:"image_id"`
	Name              types.String  `tfsdk:"name"`
	State             types.String  `tfsdk:"state"`
	Architecture      types.String  `tfsdk:"architecture"`
	DeprecationTime   types.String  `tfsdk:"deprecation_time"`
	OwnerID           types.String  `tfsdk:"owner_id"`
}

type regionalAMIModel struct {
	amiModel
	Region types.String `tfsdk:"region"`
}

func (d *ami) Metadata(_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = "aws_ami"
}

func (d *ami) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	attributes := map[string]schema.Attribute{
		"owners":             schema.ListAttribute{ElementType: types.StringType, Optional: true},
		"include_deprecated": schema.BoolAttribute{Optional: true},
		"most_recent":        schema.BoolAttribute{Optional: true},
	}
	for _, name := range []string{"id", "image_id", "name", "state", "architecture", "deprecation_time", "owner_id"} {
		attributes[name] = schema.StringAttribute{Computed: true}
	}
	resp.Schema = schema.Schema{
		Attributes: attributes,
		Blocks: map[string]schema.Block{"filter": schema.SetNestedBlock{NestedObject: schema.NestedBlockObject{
			Attributes: map[string]schema.Attribute{
				"name":   schema.StringAttribute{Required: true},
				"values": schema.SetAttribute{ElementType: types.StringType, Required: true},
			},
		}}},
	}
}

func (d *regionalAMI) Schema(ctx context.Context, req datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	d.ami.Schema(ctx, req, resp)
	resp.Schema.Attributes["region"] = schema.StringAttribute{Optional: true, Computed: true}
}

func (d *ami) Configure(_ context.Context, req datasource.ConfigureRequest, _ *datasource.ConfigureResponse) {
	if c, ok := req.ProviderData.(configured); ok {
		d.configured = c
	}
}

func (d *ami) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var m amiModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	d.find(ctx, d.region, &m, &resp.Diagnostics)
	if !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(resp.State.Set(ctx, &m)...)
	}
}

func (d *regionalAMI) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var m regionalAMIModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	if m.Region.IsNull() {
		m.Region = types.StringValue(d.region)
	}
	d.find(ctx, m.Region.ValueString(), &m.amiModel, &resp.Diagnostics)
	if !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(resp.State.Set(ctx, &m)...)
	}
}

// find fills m with the one image that fits. Its errors have the words of the real provider, so that
// tests see what a user would.
func (d *ami) find(ctx context.Context, region string, m *amiModel, diags *diag.Diagnostics) {
	if region == "" {
		diags.AddError("Invalid provider configuration", "Provider \"registry.terraform.io/hashicorp/aws\" requires explicit configuration: no region.")
		return
	}
	all, err := d.images.images(ctx, region)
	if err != nil {
		diags.AddError("reading EC2 AMIs: "+err.Error(), "")
		return
	}
	var fitting []image
	for _, i := range all {
		fits, err := i.fits(m)
		if err != nil {
			diags.AddError("reading EC2 AMIs: "+err.Error(), "")
			return
		}
		if fits {
			fitting = append(fitting, i)
		}
	}
	switch len(fitting) {
	case 0:
		diags.AddError("Your query returned no results. Please change your search criteria and try again.", "")
	case 1:
		fitting[0].fill(m)
	default:
		diags.AddError("Your query returned more than one result. Please try a more specific search criteria, or set `most_recent` attribute to true.", "")
	}
}

func (i image) fits(m *amiModel) (bool, error) {
	owner := len(m.Owners) == 0 || slices.Contains(m.Owners, i.OwnerID) || i.own() && slices.Contains(m.Owners, "self")
	if !owner || i.deprecated() && !i.own() && !m.IncludeDeprecated.ValueBool() {
		return false, nil
	}
	for _, f := range m.Filter {
		attributes := map[string]string{"image-id": i.ID, "name": i.Name, "state": i.State, "architecture": i.Architecture, "owner-id": i.OwnerID}
		value, ok := attributes[f.Name]
		if !ok {
			return false, fmt.Errorf("InvalidParameterValue: The filter '%s' is invalid", f.Name)
		}
		if !slices.Contains(f.Values, value) {
			return false, nil
		}
	}
	return true, nil
}

func (i image) fill(m *amiModel) {
	m.ID, m.ImageID, m.Name = types.StringValue(i.ID), types.StringValue(i.ID), types.StringValue(i.Name)
	m.State, m.Architecture = types.StringValue(i.State), types.StringValue(i.Architecture)
	m.DeprecationTime, m.OwnerID = types.StringValue(i.DeprecationTime), types.StringValue(i.OwnerID)
}
