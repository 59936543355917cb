package provider

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// check is a validator of strings by a rule of the registry, so that a mistake is told before anything is asked.
type check struct {
	description string
	err         func(string) error
}

// Description says what is valid.
func (c check) Description(context.Context) string { return c.description }

// MarkdownDescription says what is valid.
func (c check) MarkdownDescription(context.Context) string { return c.description }

// ValidateString holds a value that is known to the rule.
func (c check) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if req.ConfigValue.IsNull() || req.ConfigValue.IsUnknown() {
		return
	}
	if err := c.err(req.ConfigValue.ValueString()); err != nil {
		resp.Diagnostics.AddAttributeError(req.Path, "Bad value", capital(err.Error())+".")
	}
}

var (
	isArtifactName = check{"namespace/name", func(s string) error { _, err := registry.ParseArtifactName(s); return err }}
	isType         = check{"a type of the registry", func(s string) error { _, err := registry.ParseType(s); return err }}
	isNamespace    = check{"a namespace", func(s string) error { _, err := registry.ParseNamespace(s); return err }}
	isChannelName  = check{"the name of a channel", registry.CheckChannelName}
	isRef          = check{"a ref", func(s string) error { _, err := registry.ParseRef(s); return err }}
	isFixedRef     = check{"a number, an exact version or fingerprint:F", fixedRef}
)

// A null within a list, such as a variable without a value, has no meaning.
var (
	noNullsInMap  = []validator.Map{mapvalidator.NoNullValues()}
	noNullsInSet  = []validator.Set{setvalidator.NoNullValues()}
	noNullsInList = []validator.List{listvalidator.NoNullValues()}
)

// fixedRef accepts a ref that names the same version for ever.
func fixedRef(s string) error {
	ref, err := registry.ParseRef(s)
	if err != nil {
		return err
	}
	switch ref.Kind {
	case registry.RefNumber, registry.RefVersion, registry.RefFingerprint:
		return nil
	}
	return fmt.Errorf("%q can mean another version tomorrow; write a number, an exact version such as 1.4.0, or fingerprint:F", s)
}
