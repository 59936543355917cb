package main

import (
	"cmp"
	"context"
	"os"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// stub is the provider. regional says whether data sources and resources have the argument region (version 6).
type stub struct{ regional bool }

func newProvider(regional bool) func() provider.Provider {
	return func() provider.Provider { return &stub{regional: regional} }
}

type config struct {
	Region    types.String `tfsdk:"region"`
	AccessKey types.String `tfsdk:"access_key"`
	SecretKey types.String `tfsdk:"secret_key"`
}

func (s *stub) Metadata(_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse) {
	resp.TypeName = "aws"
}

func (s *stub) Schema(_ context.Context, _ provider.SchemaRequest, resp *provider.SchemaResponse) {
	resp.Schema = schema.Schema{Attributes: map[string]schema.Attribute{
		"region":     schema.StringAttribute{Optional: true},
		"access_key": schema.StringAttribute{Optional: true},
		"secret_key": schema.StringAttribute{Optional: true, Sensitive: true},
	}}
}

func (s *stub) Configure(ctx context.Context, req provider.ConfigureRequest, resp *provider.ConfigureResponse) {
	var c config
	resp.Diagnostics.Append(req.Config.Get(ctx, &c)...)
	if resp.Diagnostics.HasError() {
		return
	}
	images, err := openSource()
	if err != nil {
		resp.Diagnostics.AddError("No images to read", err.Error())
		return
	}
	region := cmp.Or(c.Region.ValueString(), os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION"))
	all := configured{images: images, instances: instances(os.Getenv("STUB_AWS_INSTANCES")), region: region}
	resp.DataSourceData, resp.ResourceData = all, all
}

// configured is what the data source and the resource get of the provider.
type configured struct {
	images    source
	instances instances
	region    string
}

func (s *stub) DataSources(context.Context) []func() datasource.DataSource {
	return []func() datasource.DataSource{func() datasource.DataSource {
		if s.regional {
			return &regionalAMI{}
		}
		return &ami{}
	}}
}

func (s *stub) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{func() resource.Resource { return &instance{regional: s.regional} }}
}
