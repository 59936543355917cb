// Package provider is the Terraform provider: it reads artifacts out of a registry at plan time, and moves channels.
//
// Its types have two prefixes. Those with almanac_ are what to use; those with atlas_ keep the contract that the provider
// of HashiCorp Atlas had in 2015, so that its configurations run as they are when the provider has the local name atlas.
//
//	terraform {
//	  required_providers {
//	    almanac = { source = "almanac.example.com/cargomedia/almanac" }
//	  }
//	}
package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

// Almanac is the provider.
type Almanac struct {
	// Log is told about requests and repetitions; nil is told nothing. The token never gets there.
	Log func(format string, args ...any)

	version string
	// client are the options of the client that are no setting of the provider.
	client client.Options
}

// New returns the provider. version is that of the release, such as 1.2.0.
func New(version string) *Almanac { return &Almanac{version: version} }

// Metadata names the provider.
func (p *Almanac) Metadata(_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse) {
	resp.TypeName, resp.Version = "almanac", p.version
}

// Schema says how the provider is configured.
func (p *Almanac) Schema(_ context.Context, _ provider.SchemaRequest, resp *provider.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Reads what an Almanac registry has recorded: AMIs in every region, Vagrant boxes, archives and other images.",
		Attributes: map[string]schema.Attribute{
			"address": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: "Address of the registry, such as `https://almanac.example.com`. Default: the environment variable " +
					"`ALMANAC_ADDR`, and `ATLAS_ADDRESS` without that. There is no other default: a plan must not read another registry by accident.",
			},
			"token": schema.StringAttribute{
				Optional:  true,
				Sensitive: true,
				MarkdownDescription: "Token of the role `read`, or `promote` to manage channels. Default: the environment variable " +
					"`ALMANAC_TOKEN`, and `ATLAS_TOKEN` without that, which keeps it out of the configuration. Public artifacts need none.",
			},
			"ca_certificate_pem": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: "Certificates of your own authority, in PEM, which are trusted besides those of the machine: " +
					"`file(\"ca.pem\")`. The environment variable `SSL_CERT_FILE` works, too.",
			},
		},
	}
}

// DataSources lists the data sources.
func (p *Almanac) DataSources(context.Context) []func() datasource.DataSource {
	return []func() datasource.DataSource{
		func() datasource.DataSource { return &artifactData{} },
		func() datasource.DataSource { return &artifactsData{} },
		func() datasource.DataSource { return &versionsData{} },
		func() datasource.DataSource { return &atlasData{} },
	}
}

// Resources lists the resources.
func (p *Almanac) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{
		func() resource.Resource { return &channelResource{} },
		func() resource.Resource { return &atlasResource{} },
	}
}

// Functions lists the functions.
func (p *Almanac) Functions(context.Context) []func() function.Function {
	return []func() function.Function{
		func() function.Function { return amiFunction{} },
	}
}

// EphemeralResources lists the ephemeral resources.
func (p *Almanac) EphemeralResources(context.Context) []func() ephemeral.EphemeralResource {
	return []func() ephemeral.EphemeralResource{
		func() ephemeral.EphemeralResource { return &downloadResource{} },
	}
}
