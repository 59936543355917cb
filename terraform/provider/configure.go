package provider

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

// The names that the provider of Atlas had for its environment variables.
const (
	envAtlasAddress = "ATLAS_ADDRESS"
	envAtlasToken   = "ATLAS_TOKEN"
)

type settings struct {
	Address          types.String `tfsdk:"address"`
	Token            types.String `tfsdk:"token"`
	CACertificatePEM types.String `tfsdk:"ca_certificate_pem"`
}

// Configure makes the client that all types share. A value that is known only after apply is no error: what needs the
// registry says so when it is asked.
func (p *Almanac) Configure(ctx context.Context, req provider.ConfigureRequest, resp *provider.ConfigureResponse) {
	var s settings
	resp.Diagnostics.Append(req.Config.Get(ctx, &s)...)
	if resp.Diagnostics.HasError() {
		return
	}
	b := &backend{}
	if b.unknown = s.unknown(); b.unknown == "" {
		b.client, b.hasToken = p.newClient(s, req.TerraformVersion, &resp.Diagnostics)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	resp.DataSourceData, resp.ResourceData, resp.EphemeralResourceData = b, b, b
}

// unknown is the name of the first setting whose value is not known yet.
func (s settings) unknown() string {
	switch {
	case s.Address.IsUnknown():
		return "address"
	case s.Token.IsUnknown():
		return "token"
	case s.CACertificatePEM.IsUnknown():
		return "ca_certificate_pem"
	}
	return ""
}

func (p *Almanac) newClient(s settings, terraform string, diags *diag.Diagnostics) (c *client.Client, hasToken bool) {
	address, addressFrom := setting(s.Address, "address", client.EnvAddress, envAtlasAddress)
	token, tokenFrom := setting(s.Token, "token", client.EnvToken, envAtlasToken)
	if address == "" {
		diags.AddAttributeError(path.Root("address"), "The address of the registry is missing",
			"Set address in the provider block, or the environment variable "+client.EnvAddress+" (or "+envAtlasAddress+
				"), such as https://almanac.example.com. There is no default: a plan must not read another registry by accident.")
		return nil, false
	}
	o := p.client
	o.Address, o.Token, o.UserAgent, o.Log = address, token, p.userAgent(terraform), p.Log
	var err error
	if o.HTTP, err = httpClient(s.CACertificatePEM.ValueString()); err != nil {
		diags.AddAttributeError(path.Root("ca_certificate_pem"), "Bad certificate", err.Error()+".")
	}
	c, err = client.New(o)
	for _, f := range fieldsOf(err) {
		from := map[string]string{"address": addressFrom, "token": tokenFrom}[f.Field]
		diags.AddAttributeError(path.Root(f.Field), "Bad "+f.Field+" of the registry", from+" "+f.Message+".")
	}
	return c, token != ""
}

// setting is a setting's value and where it is from: the provider block or the first environment variable that is not empty.
func setting(value types.String, name string, variables ...string) (text, from string) {
	if text := strings.TrimSpace(value.ValueString()); text != "" {
		return text, name
	}
	for _, variable := range variables {
		if text := strings.TrimSpace(os.Getenv(variable)); text != "" {
			return text, variable
		}
	}
	return "", name
}

func (p *Almanac) userAgent(terraform string) string {
	agent := "terraform-provider-almanac/" + p.version + " terraform/" + cmp.Or(terraform, "unknown")
	return strings.TrimSpace(agent + " " + os.Getenv("TF_APPEND_USER_AGENT"))
}

// httpClient trusts more certificates, and keeps a connection for each of the reads that Terraform makes at once. The
// calls themselves end by their contexts.
func httpClient(pem string) (*http.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 10
	transport.ResponseHeaderTimeout = time.Minute
	if pem != "" {
		pool, err := x509.SystemCertPool()
		if err != nil {
			pool = x509.NewCertPool()
		}
		if !pool.AppendCertsFromPEM([]byte(pem)) {
			return nil, errors.New("ca_certificate_pem has no certificate; it is the text between BEGIN CERTIFICATE and END CERTIFICATE, with these lines, such as file(\"ca.pem\")")
		}
		transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
	}
	return &http.Client{Transport: transport}, nil
}

func fieldsOf(err error) []registry.FieldError {
	if e, ok := errors.AsType[*registry.Error](err); ok {
		return e.Fields
	}
	return nil
}
