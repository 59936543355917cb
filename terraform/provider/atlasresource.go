package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// atlasResource is the resource atlas_artifact: a lookup that is kept in the state, as in 2015.
type atlasResource struct{ managedResource }

// Metadata names the resource.
func (*atlasResource) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = "atlas_artifact"
}

// Schema describes the resource.
func (*atlasResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	text := func(description string) schema.Attribute {
		return schema.StringAttribute{Computed: true, MarkdownDescription: description}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "The resource of the provider of HashiCorp Atlas, with the contract that it had: configurations of 2015 run as they are. " +
			"It makes nothing and removes nothing. `latest`, the default, moves at every refresh, and what uses it is replaced.",
		DeprecationMessage: "Use data \"almanac_artifact\", which pins a version or follows a channel: latest, the default here, moves at every refresh. " +
			"A removed block with destroy = false takes this resource out of the state.",
		Attributes: map[string]schema.Attribute{
			"name":          schema.StringAttribute{Required: true, Validators: []validator.String{isArtifactName}, MarkdownDescription: atlasName},
			"type":          schema.StringAttribute{Required: true, Validators: []validator.String{isType}, MarkdownDescription: atlasType},
			"build":         schema.StringAttribute{Optional: true, MarkdownDescription: atlasBuild},
			"version":       schema.StringAttribute{Optional: true, MarkdownDescription: atlasVersion},
			"metadata_keys": schema.ListAttribute{Optional: true, ElementType: types.StringType, Validators: noNullsInList, MarkdownDescription: atlasMetadataKeys},
			"metadata":      schema.MapAttribute{Optional: true, ElementType: types.StringType, Validators: noNullsInMap, MarkdownDescription: atlasMetadata},
			"id":            text(atlasID),
			"file_url":      text(atlasFileURL),
			"metadata_full": schema.MapAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: atlasMetadataFull},
			"slug":          text(atlasSlug),
			"version_real":  text(atlasVersionReal),
		},
	}
}

// ModifyPlan looks the artifact up, so that what uses it is known in the plan. A plan without a change needs no lookup:
// the refresh has just made one. Terraform calls it again when it applies: with another answer, because of a version
// that came between, it stops with "inconsistent final plan", and what was approved is not replaced by something else.
func (r *atlasResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() || req.Plan.Raw.Equal(req.State.Raw) {
		return
	}
	var m atlasModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	m.setUnknown()
	if m.known() && r.client != nil {
		found, err := r.search(ctx, m, &resp.Diagnostics)
		r.settle(ctx, &m, found, err, &resp.Diagnostics)
	}
	if !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(resp.Plan.Set(ctx, &m)...)
	}
}

// Create keeps what the plan says. What was not known then is looked up.
func (r *atlasResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	r.keep(ctx, req.Plan, &resp.State, &resp.Diagnostics)
}

// Update is Create.
func (r *atlasResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	r.keep(ctx, req.Plan, &resp.State, &resp.Diagnostics)
}

func (r *atlasResource) keep(ctx context.Context, plan tfsdk.Plan, state *tfsdk.State, diags *diag.Diagnostics) {
	var m atlasModel
	diags.Append(plan.Get(ctx, &m)...)
	if diags.HasError() {
		return
	}
	if m.ID.IsUnknown() {
		if !r.ready(diags) {
			return
		}
		found, err := r.search(ctx, m, diags)
		r.settle(ctx, &m, found, err, diags)
	}
	if !diags.HasError() {
		diags.Append(state.Set(ctx, &m)...)
	}
}

// Read looks the artifact up anew. One that is gone leaves the state: the plan then says what is missing, and a destroy
// is not held up. While the registry is not known, the state stays as it is.
func (r *atlasResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var m atlasModel
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() || r.client == nil {
		return
	}
	found, err := r.search(ctx, m, &resp.Diagnostics)
	if registry.KindOf(err) == registry.NotFound || err == nil && len(found) == 0 && !resp.Diagnostics.HasError() {
		resp.State.RemoveResource(ctx)
		return
	}
	r.settle(ctx, &m, found, err, &resp.Diagnostics)
	if !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(resp.State.Set(ctx, &m)...)
	}
}

// Delete forgets: the artifact stays in the registry.
func (*atlasResource) Delete(context.Context, resource.DeleteRequest, *resource.DeleteResponse) {}
