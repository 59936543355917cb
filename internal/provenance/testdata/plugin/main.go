// Program plugin is a Packer plugin for the tests of package provenance: its post-processor "report"
// writes what that package finds out, from where it finds it out in a build.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/hashicorp/hcl/v2/hcldec"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
	"github.com/hashicorp/packer-plugin-sdk/plugin"
	"github.com/hashicorp/packer-plugin-sdk/template/config"
	"github.com/hashicorp/packer-plugin-sdk/version"
	"github.com/zclconf/go-cty/cty"

	"github.com/cargomedia/packer-plugin-almanac/internal/provenance"
)

// settings is the configuration: where to write.
type settings struct {
	Output string `mapstructure:"output"`
}

// FlatMapstructure is how the SDK reads a configuration that comes from HCL2.
func (*settings) FlatMapstructure() interface{ HCL2Spec() map[string]hcldec.Spec } {
	return new(flatSettings)
}

type flatSettings struct {
	Output *string `mapstructure:"output" cty:"output" hcl:"output"`
}

// HCL2Spec names the attributes of the block.
func (*flatSettings) HCL2Spec() map[string]hcldec.Spec {
	return map[string]hcldec.Spec{"output": &hcldec.AttrSpec{Name: "output", Type: cty.String}}
}

type postProcessor struct {
	settings settings
	told     string
}

func (p *postProcessor) ConfigSpec() hcldec.ObjectSpec { return new(flatSettings).HCL2Spec() }

func (p *postProcessor) Configure(raws ...any) error {
	ctx, err := config.DetectContext(raws...)
	if err != nil {
		return err
	}
	p.told = ctx.TemplatePath
	return config.Decode(&p.settings, nil, raws...)
}

func (p *postProcessor) PostProcess(ctx context.Context, _ packersdk.Ui, a packersdk.Artifact) (packersdk.Artifact, bool, bool, error) {
	found := provenance.PackerTemplate(ctx)
	report, err := json.Marshal(map[string]any{
		"told": p.told, "found": found, "provenance": provenance.Collect(ctx, provenance.Source{Template: found}),
	})
	if err != nil {
		return nil, false, false, err
	}
	return a, true, true, os.WriteFile(p.settings.Output, report, 0o600)
}

func main() {
	set := plugin.NewSet()
	set.SetVersion(version.NewPluginVersion("0.1.0", "dev", ""))
	set.RegisterPostProcessor("report", new(postProcessor))
	if err := set.Run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
