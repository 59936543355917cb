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
	// offered it. Without it the first recorded build completes the version.
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
	// The architecture of the build, such as `x86_64` or `arm64`. Defaults to what a Vagrant box says
	// of itself, and is else left out.
	Architecture string `mapstructure:"architecture"`
	// What tells this run from others: all builds with the same fingerprint go to the same version.
	// Defaults to the environment variable `ALMANAC_FINGERPRINT`, and then to the id that Packer gives each run.
	Fingerprint string `mapstructure:"fingerprint"`
	// How long to keep trying when the registry does not answer at the end of a build, such as `30s`
	// or `5m`. Defaults to `2m`. When it has passed, the build is kept and not recorded.
	RetryTimeout time.Duration `mapstructure:"retry_timeout"`
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
	// Overwrite a file that Almanac did not write.
	Force bool `mapstructure:"force"`
}

// decode reads the configuration as Packer handed it over. data are the values of a build for
// {{build `…`}} and {{.…}} in JSON templates; nil before there are any. raws are left as they are, to
// be decoded again.
func decode(raws []any, data map[string]any) (Config, error) {
	var c Config
	raws = slices.Clone(raws)
	if err := config.Decode(&c, &config.DecodeOpts{
		PluginType: "almanac", Interpolate: true, InterpolateContext: &interpolate.Context{Data: templateData(raws, data)},
	}, raws...); err != nil {
		return c, err
	}
	return c, nil
}

// isHCL2 says whether a configuration comes from an HCL2 template.
func isHCL2(raws []any) bool {
	return slices.ContainsFunc(raws, func(raw any) bool { _, ok := raw.(cty.Value); return ok })
}

// templateData joins what a JSON template can name: the build's name and type, and the values of the
// build or, before there are any, Packer's placeholders for them.
func templateData(raws []any, data map[string]any) map[string]any {
	all := map[string]any{}
	if placeholders, _ := config.DetectContextData(raws...); placeholders != nil {
		for key, value := range placeholders {
			all[fmt.Sprint(key)] = value
		}
	}
	maps.Copy(all, data)
	if ctx, err := config.DetectContext(raws...); err == nil {
		all["BuildName"], all["BuilderType"] = ctx.BuildName, ctx.BuildType
	}
	return all
}
