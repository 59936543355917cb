package provider

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/terraform/metadata"
)

// atlasModel is what atlas_artifact was given and what it found, as a resource and as a data source.
type atlasModel struct {
	Name         types.String `tfsdk:"name"`
	Type         types.String `tfsdk:"type"`
	Build        types.String `tfsdk:"build"`
	Version      types.String `tfsdk:"version"`
	MetadataKeys types.List   `tfsdk:"metadata_keys"`
	Metadata     types.Map    `tfsdk:"metadata"`

	ID           types.String `tfsdk:"id"`
	FileURL      types.String `tfsdk:"file_url"`
	FullMetadata types.Map    `tfsdk:"metadata_full"`
	Slug         types.String `tfsdk:"slug"`
	VersionReal  types.String `tfsdk:"version_real"`
}

// The descriptions that the resource and the data source share.
const (
	atlasName         = "Artifact, as `namespace/name`."
	atlasType         = "Type of the build. `aws.ami`, `amazon.ami` and `amazon.image` are the same."
	atlasBuild        = "Build: a number, which is the metadata `build_number`; `latest` and `any` as for `version`. Only looked at without a `version`."
	atlasVersion      = "Version: a number; `latest`, to match against the newest version alone; `any`, for the newest that matches. Default: `latest`."
	atlasMetadataKeys = "Keys that the metadata must have, with any value: those that were published, such as `region.eu-west-1`; not those of `metadata_full`."
	atlasMetadata     = "Metadata that must be there, with the keys that were published, such as `region.eu-west-1`; not those of `metadata_full`. What was a block in 2015 is an attribute now: `metadata = { arch = \"386\" }`."
	atlasID           = "As Atlas had it: for AMIs `eu-west-1:ami-1,us-east-1:ami-2`."
	atlasFileURL      = "Address of the file; empty when there is none, or more than one. Whoever gets it needs the token, unless the artifact is public."
	atlasMetadataFull = "All metadata. Each character of a key outside `A-Z a-z 0-9 _ -` is a `-`: `region.eu-west-1` is `region-eu-west-1`."
	atlasSlug         = "`namespace/name/type/number`."
	atlasVersionReal  = "Number of the version that was found."
)

// known says whether all that is needed for the question is known.
func (m atlasModel) known() bool {
	for _, value := range []types.String{m.Name, m.Type, m.Build, m.Version} {
		if value.IsUnknown() {
			return false
		}
	}
	unknown := m.MetadataKeys.IsUnknown() || m.Metadata.IsUnknown()
	for _, key := range m.MetadataKeys.Elements() {
		unknown = unknown || key.IsUnknown()
	}
	for _, value := range m.Metadata.Elements() {
		unknown = unknown || value.IsUnknown()
	}
	return !unknown
}

// setUnknown says that what is found will be known after apply.
func (m *atlasModel) setUnknown() {
	m.ID, m.FileURL, m.Slug, m.VersionReal = types.StringUnknown(), types.StringUnknown(), types.StringUnknown(), types.StringUnknown()
	m.FullMetadata = types.MapUnknown(types.StringType)
}

// search asks the registry as the clients of Atlas asked. An artifact without a match is an empty list.
func (b *backend) search(ctx context.Context, m atlasModel, diags *diag.Diagnostics) ([]registry.Resolution, error) {
	q := registry.SearchRequest{Type: m.Type.ValueString(), Version: m.Version.ValueString(), Build: m.Build.ValueString()}
	diags.Append(m.Metadata.ElementsAs(ctx, &q.Metadata, false)...)
	diags.Append(m.MetadataKeys.ElementsAs(ctx, &q.MetadataKeys, false)...)
	if diags.HasError() {
		return nil, nil
	}
	return b.client.Search(ctx, m.Name.ValueString(), q)
}

// settle sets what a search found, which must be exactly one build, or says what is wrong.
func (b *backend) settle(ctx context.Context, m *atlasModel, found []registry.Resolution, err error, diags *diag.Diagnostics) {
	name := m.Name.ValueString()
	r := request{artifact: name, typ: m.Type.ValueString(), asked: m.asked(), at: places{
		"artifact": path.Root("name"), "type": path.Root("type"), "version": path.Root("version"), "build": path.Root("build"),
		"metadata": path.Root("metadata"), "metadata_keys": path.Root("metadata_keys"), "": path.Root("name"),
	}}
	switch {
	case err != nil:
		b.fail(ctx, diags, r, err)
	case diags.HasError():
	case len(found) == 0:
		diags.AddError("No matching artifact for '"+name+"'", "You asked for "+r.asked+". "+keysHint(m.keys())+b.nearby(ctx, r))
	case len(found) > 1:
		diags.AddError(fmt.Sprintf("Got %d results for '%s', only one is allowed", len(found), name),
			"You asked for "+r.asked+". Version "+versionText(found[0].VersionID)+" has these builds that fit: "+
				join(found, func(f registry.Resolution) string { return f.Component })+
				". Say more in metadata, or use data \"almanac_artifact\", which has component, architecture and box_provider.")
	default:
		m.set(b.client.Address(), found[0])
		if found[0].Revoked {
			diags.AddAttributeWarning(path.Root("version"), revokedSummary(found[0]), revokedDetail(found[0]))
		}
	}
}

// keys are all keys of metadata that were asked for.
func (m atlasModel) keys() []string {
	keys := slices.Collect(maps.Keys(m.Metadata.Elements()))
	for _, key := range m.MetadataKeys.Elements() {
		if text, ok := key.(types.String); ok {
			keys = append(keys, text.ValueString())
		}
	}
	return keys
}

// asked is the question in words.
func (m atlasModel) asked() string {
	parts := []string{"type " + m.Type.ValueString()}
	switch {
	case m.Version.ValueString() != "":
		parts = append(parts, "version "+m.Version.ValueString())
	case m.Build.ValueString() != "":
		parts = append(parts, "build "+m.Build.ValueString())
	default:
		parts = append(parts, "version latest")
	}
	if n := len(m.Metadata.Elements()); n > 0 {
		parts = append(parts, "metadata "+m.Metadata.String())
	}
	if n := len(m.MetadataKeys.Elements()); n > 0 {
		parts = append(parts, "metadata_keys "+m.MetadataKeys.String())
	}
	return m.Name.ValueString() + ", " + strings.Join(parts, ", ")
}

// set takes over what was found.
func (m *atlasModel) set(address string, found registry.Resolution) {
	m.ID = types.StringValue(atlasIDOf(found))
	m.Slug = types.StringValue(slug(found))
	m.VersionReal = types.StringValue(fmt.Sprint(found.Number))
	m.FileURL = types.StringValue("")
	if len(found.Files) == 1 {
		m.FileURL = types.StringValue(address + "/v1/blobs/" + string(found.Files[0].SHA256))
	}
	m.FullMetadata = textMap(metadata.Full(found.Metadata))
}

// atlasIDOf is the id that Packer gave Atlas: the places of the images, or the component for what has none.
func atlasIDOf(found registry.Resolution) string {
	if len(found.Images) == 0 {
		return found.Component
	}
	ids := make([]string, len(found.Images))
	for i, image := range found.Images {
		ids[i] = image.ID
		if image.Region != "" {
			ids[i] = image.Region + ":" + image.ID
		}
	}
	slices.Sort(ids)
	return strings.Join(ids, ",")
}
