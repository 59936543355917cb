package provider

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// channelResource is the resource almanac_channel: where a channel points.
type channelResource struct{ managedResource }

type channelModel struct {
	ID       types.String `tfsdk:"id"`
	Artifact types.String `tfsdk:"artifact"`
	Name     types.String `tfsdk:"name"`
	Version  types.String `tfsdk:"version"`
	Reason   types.String `tfsdk:"reason"`
	Number   types.Int64  `tfsdk:"number"`
	MovedAt  types.String `tfsdk:"moved_at"`
	MovedBy  types.String `tfsdk:"moved_by"`
	Previous types.String `tfsdk:"previous"`
}

// Metadata names the resource.
func (*channelResource) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = "almanac_channel"
}

// Schema describes the resource.
func (*channelResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	replace := []planmodifier.String{stringplanmodifier.RequiresReplace()}
	text := func(description string) schema.Attribute {
		return schema.StringAttribute{Computed: true, MarkdownDescription: description}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "Points a channel of an artifact to a version: promotion as code. The token needs the role `promote`.\n\n" +
			"A channel that somebody else moved is seen, and the plan moves it back. One that is moved after the plan stays, and the apply fails. So let either Terraform move a channel, or people and builds. " +
			"Destroying it removes the channel, and who asks for it finds nothing any more.",
		Attributes: map[string]schema.Attribute{
			"artifact": schema.StringAttribute{
				Required: true, Validators: []validator.String{isArtifactName}, PlanModifiers: replace, MarkdownDescription: "Artifact, as `namespace/name`.",
			},
			"name": schema.StringAttribute{
				Required: true, Validators: []validator.String{isChannelName}, PlanModifiers: replace, MarkdownDescription: "Channel, such as `production`.",
			},
			"version": schema.StringAttribute{
				Required: true, Validators: []validator.String{isFixedRef},
				MarkdownDescription: "Version to point to, which must be complete and not revoked: a number (`7`), an exact version (`1.4.0`), or `fingerprint:F`. " +
					"One that is revoked later stays, with a warning.",
			},
			"reason": schema.StringAttribute{
				Optional: true, Validators: []validator.String{stringvalidator.LengthBetween(1, 1000)},
				MarkdownDescription: "Why it is moved, for the channel's history. A change of the reason alone moves nothing, and is not recorded.",
			},
			"id":       text("`namespace/name/channel`."),
			"number":   schema.Int64Attribute{Computed: true, MarkdownDescription: "Number of the version."},
			"moved_at": text("When it was moved last, in UTC (RFC 3339)."),
			"moved_by": text("Name of the token that moved it last."),
			"previous": text("Version that it pointed to before; null when there was none."),
		},
	}
}

// ModifyPlan looks the version up, so that a plan names the number, and refuses a version that the registry would refuse.
func (r *channelResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() || req.Plan.Raw.Equal(req.State.Raw) {
		return
	}
	var m, state channelModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	if !req.State.Raw.IsNull() {
		resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	}
	if resp.Diagnostics.HasError() || m.Artifact.IsUnknown() || m.Name.IsUnknown() {
		return
	}
	m.ID = types.StringValue(m.id())
	if !m.Version.IsUnknown() && r.client != nil {
		v, err := r.client.Version(ctx, m.Artifact.ValueString(), m.Version.ValueString())
		if err != nil {
			r.fail(ctx, &resp.Diagnostics, m.request(), err)
			return
		}
		m.Number = types.Int64Value(v.Number)
		if m.ID.Equal(state.ID) && m.Number.Equal(state.Number) {
			m.MovedAt, m.MovedBy, m.Previous = state.MovedAt, state.MovedBy, state.Previous
		} else {
			checkOffered(v, &resp.Diagnostics)
		}
	}
	resp.Diagnostics.Append(resp.Plan.Set(ctx, &m)...)
}

// checkOffered says why a channel cannot point to a version.
func checkOffered(v registry.Version, diags *diag.Diagnostics) {
	at, next := path.Root("version"), fmt.Sprintf(" `almanac show %s %d` shows it, and `almanac versions --offered %s` what a channel can point to.", v.Artifact, v.Number, v.Artifact)
	name := fmt.Sprintf("Version %s of %s", versionText(v.VersionID), v.Artifact)
	switch {
	case v.Status != registry.StatusComplete:
		detail := name + " is " + string(v.Status)
		if missing := v.Missing(); len(missing) > 0 {
			detail += ": it still expects " + strings.Join(missing, ", ")
		}
		diags.AddAttributeError(at, "The version is not complete", detail+". A channel points to complete versions alone."+next)
	case v.RevokedAt(time.Now()):
		diags.AddAttributeError(at, "The version is revoked", name+" is revoked: "+v.Revocation.Reason+"."+next)
	}
}

// Create makes the channel. One that is there already is somebody's, and is not taken over silently.
func (r *channelResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var m channelModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() || !r.ready(&resp.Diagnostics) {
		return
	}
	r.move(ctx, m, 0, &resp.State, &resp.Diagnostics)
}

// Update moves the channel from where the plan saw it. What somebody else decided since stays. Where the number stays, as
// with another reason, there is nothing to move.
func (r *channelResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var m, state channelModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() || !r.ready(&resp.Diagnostics) {
		return
	}
	if m.Number.Equal(state.Number) {
		resp.Diagnostics.Append(resp.State.Set(ctx, &m)...)
		return
	}
	r.move(ctx, m, state.Number.ValueInt64(), &resp.State, &resp.Diagnostics)
}

// move points the channel to the version, if it points to the number from now. 0 is a channel that is not there.
func (r *channelResource) move(ctx context.Context, m channelModel, from int64, state *tfsdk.State, diags *diag.Diagnostics) {
	h, err := r.client.SetChannel(ctx, m.Artifact.ValueString(), m.Name.ValueString(),
		registry.ChannelChange{Ref: m.Version.ValueString(), Reason: m.Reason.ValueString(), From: &from})
	var now registry.ChannelHistory
	if registry.KindOf(err) == registry.Conflict {
		now, _ = r.client.Channel(ctx, m.Artifact.ValueString(), m.Name.ValueString())
	}
	switch {
	case err == nil:
	case now.Number == from || now.Number == 0:
		r.fail(ctx, diags, m.request(), err)
		return
	case from == 0:
		diags.AddAttributeError(path.Root("name"), "The channel exists already",
			capital(err.Error())+fmt.Sprintf(". Take it over with:\n\nimport {\n  to = almanac_channel.NAME\n  id = %q\n}", m.id()))
		return
	case now.Number == m.Number.ValueInt64():
		h = now // Somebody else did the same, or this call did, and its answer was lost.
	default:
		diags.AddAttributeError(path.Root("name"), "The channel was moved since the plan",
			capital(err.Error())+". Plan again: the new plan shows what it would undo.")
		return
	}
	m.set(h)
	diags.Append(state.Set(ctx, &m)...)
}

// Read sees where the channel points now. While it points to the number of the state, the version stays as it was written.
func (r *channelResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var m channelModel
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() || r.client == nil {
		return
	}
	h, err := r.client.Channel(ctx, m.Artifact.ValueString(), m.Name.ValueString())
	switch {
	case registry.KindOf(err) == registry.NotFound:
		resp.State.RemoveResource(ctx)
		return
	case err != nil:
		r.fail(ctx, &resp.Diagnostics, m.request(), err)
		return
	}
	if m.Number.ValueInt64() != h.Number {
		m.Version = types.StringValue(h.Version)
	}
	if v := h.Revocation; v != nil && !v.At.After(time.Now()) {
		resp.Diagnostics.AddAttributeWarning(path.Root("version"), "The channel points to a revoked version",
			fmt.Sprintf("Channel %s of %s points to %s, which was revoked by %s on %s: %s\n\n`almanac versions --offered %s` lists what it can point to.",
				h.Name, h.Artifact, versionText(h.VersionID), v.By, timeText(v.At), v.Reason, h.Artifact))
	}
	m.set(h)
	resp.Diagnostics.Append(resp.State.Set(ctx, &m)...)
}

// Delete removes the channel. One that is gone is as good.
func (r *channelResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var m channelModel
	resp.Diagnostics.Append(req.State.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() || !r.ready(&resp.Diagnostics) {
		return
	}
	err := r.client.DeleteChannel(ctx, m.Artifact.ValueString(), m.Name.ValueString())
	if err != nil && registry.KindOf(err) != registry.NotFound {
		r.fail(ctx, &resp.Diagnostics, m.request(), err)
	}
}

// ImportState takes a channel over by namespace/name/channel.
func (*channelResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	i := strings.LastIndex(req.ID, "/")
	name, err := registry.ParseArtifactName(req.ID[:max(i, 0)])
	if channel := req.ID[i+1:]; err == nil && registry.CheckChannelName(channel) == nil {
		resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("artifact"), string(name))...)
		resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("name"), channel)...)
		return
	}
	resp.Diagnostics.AddError("Bad id of a channel", fmt.Sprintf("%q must be namespace/name/channel, such as cargomedia/app/production.", req.ID))
}

func (m channelModel) id() string { return m.Artifact.ValueString() + "/" + m.Name.ValueString() }

func (m channelModel) request() request {
	return request{
		artifact: m.Artifact.ValueString(), conflict: "The channel cannot be moved to this version",
		asked: fmt.Sprintf("channel %s of %s, to point to version %s", m.Name.ValueString(), m.Artifact.ValueString(), m.Version.ValueString()),
		at: places{
			"artifact": path.Root("artifact"), "channel": path.Root("name"), "ref": path.Root("version"), "reason": path.Root("reason"), "": path.Root("version"),
		},
	}
}

// set takes over where the channel points.
func (m *channelModel) set(h registry.ChannelHistory) {
	m.ID, m.Number = types.StringValue(m.id()), types.Int64Value(h.Number)
	m.MovedAt, m.MovedBy = types.StringValue(timeText(h.MovedAt)), types.StringValue(h.MovedBy)
	m.Previous = types.StringNull()
	if len(h.Moves) > 0 && h.Moves[0].From != nil {
		m.Previous = types.StringValue(h.Moves[0].From.Version)
	}
}
