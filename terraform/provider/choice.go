package provider

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// choice is which version is meant: exactly one of its attributes is given.
type choice struct {
	Version types.String `tfsdk:"version"`
	Channel types.String `tfsdk:"channel"`
	Ref     types.String `tfsdk:"ref"`
}

// The descriptions of the attributes of a choice.
const (
	describeVersion = "Version that does not move: a number (`7`), an exact version (`1.4.0`), or `fingerprint:F`. `latest` works, with a warning."
	describeChannel = "Channel, such as `production`: the version that somebody moved it to."
	describeRef     = "Any way to name a version that the registry knows: also a constraint, such as `~> 1.2`. What floats works, with a warning."
	describeFilter  = "Metadata that the build must have, with the keys that were published, such as `region.eu-west-1`; not those of `metadata_full`."
)

func (c choice) attributes() map[string]types.String {
	return map[string]types.String{"version": c.Version, "channel": c.Channel, "ref": c.Ref}
}

// given are the names of the attributes that are set to a known value, in the order of the documentation.
func (c choice) given() (names []string, unknown bool) {
	all := c.attributes()
	for _, name := range []string{"version", "channel", "ref"} {
		switch value := all[name]; {
		case value.IsUnknown():
			unknown = true
		case !value.IsNull():
			names = append(names, name)
		}
	}
	return names, unknown
}

// checkChoice checks the choice of a configuration.
func checkChoice(ctx context.Context, config tfsdk.Config, diags *diag.Diagnostics) {
	var c choice
	for name, value := range map[string]*types.String{"version": &c.Version, "channel": &c.Channel, "ref": &c.Ref} {
		diags.Append(config.GetAttribute(ctx, path.Root(name), value)...)
	}
	if !diags.HasError() {
		c.check(diags)
	}
}

// check says that none or several are given, and which; and that a version is not one.
func (c choice) check(diags *diag.Diagnostics) {
	const example = `version = "1.4.0" stays at that version; channel = "production" moves with the channel.`
	given, unknown := c.given()
	switch {
	case len(given) == 0 && !unknown:
		diags.AddError("Which version is meant?", "One of version, channel and ref must be given, and none is. "+example)
		return
	case len(given) > 1:
		diags.AddAttributeError(path.Root(given[1]), "More than one of version, channel and ref",
			"Exactly one of version, channel and ref must be given; given are "+strings.Join(given, " and ")+". "+example)
		return
	}
	if v := c.Version; slices.Contains(given, "version") && v.ValueString() != registry.Latest {
		if err := fixedRef(v.ValueString()); err != nil {
			diags.AddAttributeError(path.Root("version"), "Bad value", capital(err.Error())+". A channel belongs into channel, and a constraint into ref.")
		}
	}
	if ch := c.Channel; slices.Contains(given, "channel") && ch.ValueString() != registry.Latest {
		if err := registry.CheckChannelName(ch.ValueString()); err != nil {
			diags.AddAttributeError(path.Root("channel"), "Bad value", capital(err.Error())+".")
		}
	}
}

// ref is what to ask the registry for, and the attribute that says so.
func (c choice) ref() (attribute, ref string) {
	given, _ := c.given()
	if len(given) != 1 {
		return "", ""
	}
	return given[0], strings.TrimSpace(c.attributes()[given[0]].ValueString())
}

// warnFloating warns of a ref that names another version after the next build, and says what it names now. effect is what
// comes of that.
func (c choice) warnFloating(diags *diag.Diagnostics, effect string, artifact registry.ArtifactName, now registry.VersionID) {
	attribute, text := c.ref()
	ref, err := registry.ParseRef(text)
	if err != nil || ref.Kind != registry.RefLatest && ref.Kind != registry.RefConstraint {
		return
	}
	diags.AddAttributeWarning(path.Root(attribute), fmt.Sprintf("%s = %q floats", attribute, text),
		fmt.Sprintf("It names version %s of %s now, and another one after a build that fits: %s, "+
			"without a change to the configuration. Write version = %q to stay, or channel = \"production\" to move when somebody moves the channel.",
			versionText(now), artifact, effect, now.Version))
}
