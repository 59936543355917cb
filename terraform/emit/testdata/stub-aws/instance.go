package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// defaultInstanceType is what EC2 takes where nothing is said.
const defaultInstanceType = "m1.small"

// instance is resource "aws_instance". regional says whether it has the argument region (version 6).
type instance struct {
	configured
	regional bool
}

type instanceModel struct {
	ID               types.String `tfsdk:"id"`
	AMI              types.String `tfsdk:"ami"`
	InstanceType     types.String `tfsdk:"instance_type"`
	AvailabilityZone types.String `tfsdk:"availability_zone"`
	Tags             types.Map    `tfsdk:"tags"`
}

type regionalInstanceModel struct {
	instanceModel
	Region types.String `tfsdk:"region"`
}

func (i *instance) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = "aws_instance"
}

func (i *instance) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	fixed := []planmodifier.String{stringplanmodifier.UseStateForUnknown(), stringplanmodifier.RequiresReplace()}
	resp.Schema = schema.Schema{Attributes: map[string]schema.Attribute{
		"id":                schema.StringAttribute{Computed: true, PlanModifiers: fixed[:1]},
		"ami":               schema.StringAttribute{Optional: true, Computed: true, PlanModifiers: fixed},
		"instance_type":     schema.StringAttribute{Optional: true, Computed: true, PlanModifiers: fixed[:1]},
		"availability_zone": schema.StringAttribute{Optional: true, Computed: true, PlanModifiers: fixed},
		"tags":              schema.MapAttribute{ElementType: types.StringType, Optional: true},
	}}
	if i.regional {
		resp.Schema.Attributes["region"] = schema.StringAttribute{Optional: true, Computed: true, PlanModifiers: fixed}
	}
}

func (i *instance) Configure(_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse) {
	if c, ok := req.ProviderData.(configured); ok {
		i.configured = c
	}
}

// getter is a plan or a state.
type getter interface {
	Get(ctx context.Context, target any) diag.Diagnostics
}

// get reads a plan or a state of either version.
func (i *instance) get(ctx context.Context, from getter) (regionalInstanceModel, diag.Diagnostics) {
	var m regionalInstanceModel
	if i.regional {
		diags := from.Get(ctx, &m)
		m.Region = types.StringValue(cmp.Or(m.Region.ValueString(), i.region))
		return m, diags
	}
	diags := from.Get(ctx, &m.instanceModel)
	m.Region = types.StringValue(i.region)
	return m, diags
}

func (i *instance) set(ctx context.Context, state *tfsdk.State, m regionalInstanceModel) diag.Diagnostics {
	if i.regional {
		return state.Set(ctx, &m)
	}
	return state.Set(ctx, &m.instanceModel)
}

func (i *instance) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	m, diags := i.get(ctx, req.Plan)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	if m.AMI.ValueString() == "" {
		resp.Diagnostics.AddError("creating EC2 Instance: MissingParameter: The request must contain the parameter ImageId", "")
		return
	}
	m.ID = types.StringValue(newInstanceID())
	m.InstanceType = types.StringValue(cmp.Or(m.InstanceType.ValueString(), defaultInstanceType))
	m.AvailabilityZone = types.StringValue(cmp.Or(m.AvailabilityZone.ValueString(), m.Region.ValueString()+"a"))
	i.write(ctx, m, &resp.State, &resp.Diagnostics)
}

func (i *instance) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	m, diags := i.get(ctx, req.Plan)
	resp.Diagnostics.Append(diags...)
	if !resp.Diagnostics.HasError() {
		i.write(ctx, m, &resp.State, &resp.Diagnostics)
	}
}

func (i *instance) write(ctx context.Context, m regionalInstanceModel, state *tfsdk.State, diags *diag.Diagnostics) {
	r := record{AMI: m.AMI.ValueString(), InstanceType: m.InstanceType.ValueString(), AvailabilityZone: m.AvailabilityZone.ValueString()}
	diags.Append(m.Tags.ElementsAs(ctx, &r.Tags, false)...)
	if err := i.instances.write(m.Region.ValueString(), m.ID.ValueString(), r); err != nil {
		diags.AddError("writing EC2 Instance: "+err.Error(), "")
	}
	if !diags.HasError() {
		diags.Append(i.set(ctx, state, m)...)
	}
}

func (i *instance) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	m, diags := i.get(ctx, req.State)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	r, err := i.instances.read(m.Region.ValueString(), m.ID.ValueString())
	if err != nil {
		resp.Diagnostics.AddError("reading EC2 Instance: "+err.Error(), "")
		return
	}
	if r == nil {
		resp.State.RemoveResource(ctx)
		return
	}
	m.AMI, m.InstanceType, m.AvailabilityZone = types.StringValue(r.AMI), types.StringValue(r.InstanceType), types.StringValue(r.AvailabilityZone)
	if len(r.Tags) > 0 || !m.Tags.IsNull() {
		tags, diags := types.MapValueFrom(ctx, types.StringType, r.Tags)
		resp.Diagnostics.Append(diags...)
		m.Tags = tags
	}
	resp.Diagnostics.Append(i.set(ctx, &resp.State, m)...)
}

func (i *instance) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	m, diags := i.get(ctx, req.State)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	if err := i.instances.remove(m.Region.ValueString(), m.ID.ValueString()); err != nil {
		resp.Diagnostics.AddError("terminating EC2 Instance: "+err.Error(), "")
	}
}

// ImportState takes an id, and in version 6 id@region.
func (i *instance) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	id, region, found := strings.Cut(req.ID, "@")
	if found && !i.regional {
		resp.Diagnostics.AddError("Unexpected import id", fmt.Sprintf("version 5 does not know regions in import ids: %s", req.ID))
		return
	}
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("id"), id)...)
	if i.regional {
		resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("region"), cmp.Or(region, i.region))...)
	}
}
