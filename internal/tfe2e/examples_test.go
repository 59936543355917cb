package tfe2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclwrite"

	"github.com/cargomedia/packer-plugin-almanac/internal/tftest"
)

// stubbed are the resources of hashicorp/aws that the stub has.
var stubbed = map[string]bool{"aws_instance": true}

// withoutAWS is a configuration without the resources of hashicorp/aws that nothing here can validate.
func withoutAWS(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file, diags := hclwrite.ParseConfig(content, path, hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	for _, block := range file.Body().Blocks() {
		if labels := block.Labels(); block.Type() == "resource" && strings.HasPrefix(labels[0], "aws_") && !stubbed[labels[0]] {
			file.Body().RemoveBlock(block)
		}
	}
	return string(file.Bytes())
}

func TestExamplesOfTheProviderAreValid(t *testing.T) {
	t.Parallel()
	examples, err := filepath.Glob(filepath.Join("..", "..", "terraform", "provider", "examples", "*", "*", "*.tf"))
	if err != nil {
		t.Fatal(err)
	}
	one, err := filepath.Glob(filepath.Join("..", "..", "terraform", "provider", "examples", "provider", "*.tf"))
	if err != nil {
		t.Fatal(err)
	}
	if examples = append(examples, one...); len(examples) < 9 {
		t.Fatalf("found %v alone", examples)
	}
	w := newWorld(t)
	tftest.Each(t, func(t *testing.T, c tftest.Client) {
		t.Parallel()
		for _, path := range examples {
			t.Run(filepath.Base(filepath.Dir(path)), func(t *testing.T) {
				t.Parallel()
				m := w.withProvider(t, c, 6, "almanac")
				content := withoutAWS(t, path)
				if strings.Contains(content, "required_providers") {
					m.Write("versions.tf", "")
				}
				m.Write("main.tf", content)
				m.MustRun("init")
				m.MustRun("validate")
			})
		}
	}, tftest.ProviderFunctions, tftest.EphemeralResources)
}
