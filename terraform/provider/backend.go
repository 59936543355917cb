package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

// backend is what the types get from the configured provider.
type backend struct {
	// client is nil while unknown is set.
	client   *client.Client
	hasToken bool
	// unknown is the setting of the provider whose value is known only after apply.
	unknown string
}

// ready says whether the registry can be asked, and else adds why not.
func (b *backend) ready(diags *diag.Diagnostics) bool {
	if b.client != nil {
		return true
	}
	diags.AddError("The registry is not known yet",
		"The provider's "+b.unknown+" comes from something that this run has yet to make, so nothing can be read from the registry now. "+
			"Give it as a value, a variable or in the environment ("+client.EnvAddress+", "+client.EnvToken+"), "+
			"or make what it comes from first, with terraform apply -target.")
	return false
}

// The three kinds of types that read from the registry are configured in three ways that are the same.
type (
	dataSource        struct{ *backend }
	managedResource   struct{ *backend }
	ephemeralResource struct{ *backend }
)

// Configure takes the backend, which is not there while a configuration is validated.
func (d *dataSource) Configure(_ context.Context, req datasource.ConfigureRequest, _ *datasource.ConfigureResponse) {
	d.backend, _ = req.ProviderData.(*backend)
}

// Configure takes the backend, which is not there while a configuration is validated.
func (r *managedResource) Configure(_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse) {
	r.backend, _ = req.ProviderData.(*backend)
}

// Configure takes the backend, which is not there while a configuration is validated.
func (r *ephemeralResource) Configure(_ context.Context, req ephemeral.ConfigureRequest, _ *ephemeral.ConfigureResponse) {
	r.backend, _ = req.ProviderData.(*backend)
}
