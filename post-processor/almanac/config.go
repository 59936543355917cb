//go:generate packer-sdc mapstructure-to-hcl2 -type Config,TerraformConfig
//go:generate packer-sdc struct-markdown

package almanac

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/hashicorp/packer-plugin-sdk/common"
	"github.com/hashicorp/packer-plugin-sdk/template/config"
	"github.com/hashicorp/packer-plugin-sdk/template/interpolate"
	"github.com/zclconf/go-cty/cty"
)

// Config is the post-processor's block in a template.
type Config struct {
	common.PackerConfig `mapstructure:",squash"`

	// The artifact that the build is recorded under, as `namespace/name`, such as `cargomedia/app`.
	Artifact string `mapstructure:"artifact" required:"true"`
	// The registry's address, such as `https://almanac.example.com`. Defaults to the environment
	// variable `ALMANAC_ADDR`, and then to `http://127.0.0.1:7480`.
	Address string `mapstructure:"address"`
	// A token with the role `publish` for the artifact, or `promote` if `channels` are given. It is never
	// logged and never recorded. Defaults to the environment variable `ALMANAC_TOKEN`.
	Token string `mapstructure:"token"`
	// The version that the build belongs to, a semantic version such as `1.4.0`. Without it the
	// registry takes the next minor version after the artifact's highest.
	Version string `mapstructure:"version"`
	// The channels to point to the version once it is complete. A channel that points to a newer
	// version stays there.
	Channels []string `mapstructure:"channels"`
	// What to record with the build, text by name. Names that start with `region.` are kept for the
	// AMI ids, which the registry derives itself.
	Metadata map[string]string `mapstructure:"metadata"`
	// The components without which the version is not complete, such as
	// `["amazon-ebs.app", "virtualbox-iso.app"]`. Until all of them are recorded the version is open: nobody is
	// offered it. A source that is not listed is recorded, too, and the version does not wait for it. Without
	// it the first recorded build completes the version.
	Expect []string `mapstructure:"expect"`
	// Whether to upload the artifact's files. Defaults to `true` when the artifact has files.
	Files config.Trilean `mapstructure:"files"`
	// What the build is: `amazon.image` (or its alias `aws.ami`), `vagrant.box`, `archive`,
	// `amazon.volume` or `PROVIDER.image`. Defaults to what the builder made; see the table below.
	// JSON templates write `artifact_type`, because `type` names the post-processor there.
	Type string `mapstructure:"type"`
	// The same as `type`, under a name that JSON templates can use.
	ArtifactType string `mapstructure:"artifact_type"`
	// The name of the build within its version. Defaults to the source, such as `amazon-ebs.app`.
	// Set it when a template uses one source twice: `"${source.type}.${source.name}"`.
	Component string `mapstructure:"component"`
	// The architecture of the build, such as `x86_64` or `arm64`. What a Vagrant box says of itself
	// wins over it; without either it is left out.
	Architecture string `mapstructure:"architecture"`
	// What tells this run from others: all builds with the same fingerprint go to the same version.
	// Defaults to the environment variable `ALMANAC_FINGERPRINT`, and then to the id that Packer gives each run.
	Fingerprint string `mapstructure:"fingerprint"`
	// How long to keep trying when the registry does not answer at the end of a build, such as `30s`
	// or `5m`. Defaults to `2m`, as does `0s`. When it has passed, and an upload got no further meanwhile, the
	// build is kept and not recorded. One call, or one pause of an upload, may take a minute more.
	RetryTimeout time.Duration `mapstructure:"retry_timeout"`
	// What to do when the build cannot be recorded: `keep` it and leave a publish file that records it
	// later, or `fail`, with which Packer destroys what was built. Defaults to `keep`; see
	// [below](#when-the-registry-does-not-answer).
	OnRegistryError string `mapstructure:"on_registry_error"`
	// Whether to read each AMI back from EC2 before it is recorded; see [below](#aws_verify). Defaults to
	// `false`.
	AWSVerify bool `mapstructure:"aws_verify"`
	// How long `aws_verify` waits for AMIs that are still pending, such as `5m`. Defaults to `10m`, as does
	// `0s`.
	AWSVerifyTimeout time.Duration `mapstructure:"aws_verify_timeout"`
	// Bills of materials to store with the build, such as `["sbom.cdx.json"]`: CycloneDX or SPDX. Paths
	// begin at the directory that Packer runs in. They are read, and checked, when the build is done.
	SBOM []string `mapstructure:"sbom"`
	// Other documents to store with the build, such as `["scan.txt"]`, as for `sbom`.
	Attach []string `mapstructure:"attach"`
	// A block that writes a Terraform file once the version is complete; see [below](#terraform).
	Terraform *TerraformConfig `mapstructure:"terraform"`
}

// TerraformConfig is the block that writes a Terraform file after the build.
type TerraformConfig struct {
	// The file to write, such as `app.tf`. Its directory must exist.
	Path string `mapstructure:"path" required:"true"`
	// `data` (locals and `aws_ami` data blocks), `locals` or `tfvars`. Defaults to `data` for AMIs and to
	// `locals` for other builds.
	Style string `mapstructure:"style"`
	// The major version of the AWS provider that the file is for, `6` or `5`. Defaults to `6`.
	AWSProvider int `mapstructure:"aws_provider"`
	// The component of the version that the file is about, such as `amazon-ebs.app`. Defaults to the
	// build that completes the version; set it when the version has builds of several sources.
	Component string `mapstructure:"component"`
	// Overwrite a file that Almanac did not write, or that is for a newer version.
	Force bool `mapstructure:"force"`
}

// decode reads the configuration as Packer handed it over. generated are the values of a build for
// {{build `…`}} and {{.…}} in JSON templates; nil before there are any. raws are left as they are, to
// be decoded again: the text that a template was filled in with is no template.
func decode(raws []any, generated map[string]any) (Config, error) {
	placeholders, raws := config.DetectContextData(raws...)
	rest := make([]any, len(raws))
	for i, raw := range raws {
		rest[i] = normalize(raw) // a copy at every depth: the decoder writes into nested maps
	}
	var c Config
	err := config.Decode(&c, &config.DecodeOpts{
		PluginType: "almanac", Interpolate: true,
		InterpolateContext: &interpolate.Context{Data: templateData(rest, placeholders, generated)},
		InterpolateFilter:  &interpolate.RenderFilter{Exclude: []string{common.UserVariablesConfigKey}}, // values, not templates
	}, rest...)
	return c, err
}

// isHCL2 says whether a configuration comes from an HCL2 template.
func isHCL2(raws []any) bool {
	return slices.ContainsFunc(raws, func(raw any) bool { _, ok := raw.(cty.Value); return ok })
}

// templateData is all that a template can name: the build's name and type and, in JSON templates, those
// values of the build that may be recorded or, before there are any, Packer's placeholders for them. The
// others are kept out because a template can change a secret so that nobody would recognize it. In HCL2
// templates Packer fills in build.….
func templateData(raws []any, placeholders map[any]any, generated map[string]any) map[string]any {
	data := map[string]any{}
	if ctx, err := config.DetectContext(raws...); err == nil {
		data["BuildName"], data["BuilderType"] = ctx.BuildName, ctx.BuildType
	}
	if isHCL2(raws) {
		return data
	}
	for key, value := range placeholders {
		if _, ok := recordedValues[fmt.Sprint(key)]; !ok {
			continue
		}
		if generated != nil {
			value = unknownValue
		}
		data[fmt.Sprint(key)] = value
	}
	for key, value := range usableValues(generated) {
		data[key] = value
	}
	return data
}

// withoutMetadata is the same configuration without metadata.
func withoutMetadata(raws []any) []any {
	const key = "metadata"
	raws = slices.Clone(raws)
	for i, raw := range raws {
		switch raw := raw.(type) {
		case cty.Value:
			if raw.Type().IsObjectType() && raw.Type().HasAttribute(key) {
				values := raw.AsValueMap()
				values[key] = cty.NullVal(raw.Type().AttributeType(key))
				raws[i] = cty.ObjectVal(values)
			}
		case map[string]any:
			c := maps.Clone(raw)
			delete(c, key)
			raws[i] = c
		case map[any]any:
			c := maps.Clone(raw)
			delete(c, key)
			raws[i] = c
		}
	}
	return raws
}
