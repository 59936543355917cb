package emit_test

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function/stdlib"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/terraform/emit"
	"github.com/cargomedia/packer-plugin-almanac/terraform/metadata"
)

// FuzzModule writes modules with any text in every place, and expects the blocks of a module and no others, the
// builds as they are recorded, and messages that have the text as it is.
func FuzzModule(f *testing.F) {
	for key, value := range hostile().Metadata {
		f.Add(key, value, value, value, value, "cargomedia/app", "1.4.0")
	}
	f.Add("k", "v", "a.b", "x86_64", "ami-1", "cargomedia/app\nlocals {}", "1.0.0\n}")
	f.Add("e\u0301", "\u00e9", "$", "$${", "%", "a/b", "0.1.0-rc.1")
	f.Add("k", "\xff", "\"", "", "\\", "a/b", "1.0.0+${x}")
	f.Fuzz(func(t *testing.T, key, value, component, architecture, id, artifact, number string) {
		v := version()
		v.Artifact, v.Version = registry.ArtifactName(artifact), number
		v.Metadata = registry.Metadata{key: value}
		first := registry.Build{
			Component: component, Architecture: architecture, Type: registry.AmazonImage,
			Images: []registry.Image{{Provider: "aws", Region: "eu-west-1", ID: id}},
		}
		second := first
		second.Component += "x"
		for _, v.Builds = range [][]registry.Build{{first}, {first, second}} {
			checkModule(t, v)
		}
	})
}

func checkModule(t *testing.T, v registry.Version) {
	t.Helper()
	files, err := emit.Module(v, emit.ModuleOptions{})
	_, nameErr := registry.ParseArtifactName(string(v.Artifact))
	valid := nameErr == nil && registry.CheckSemver(v.Version) == nil
	var want []map[string]any
	for _, b := range v.Builds {
		full := map[string]any{}
		for name, value := range metadata.Full(registry.FullMetadata(v.Metadata, b)) {
			full[name] = cty.NormalizeString(value)
			valid = valid && utf8.ValidString(value)
		}
		build := map[string]any{
			"component": cty.NormalizeString(b.Component), "metadata_full": full,
			"ami_ids": map[string]any{"eu-west-1": cty.NormalizeString(b.Images[0].ID)},
		}
		if b.Architecture != "" {
			build["architecture"] = cty.NormalizeString(b.Architecture)
		}
		want = append(want, build)
		valid = valid && utf8.ValidString(b.Component) && utf8.ValidString(b.Architecture) && utf8.ValidString(b.Images[0].ID)
	}
	if !valid {
		if e, ok := errors.AsType[*registry.Error](err); !ok || e.Kind != registry.Invalid || len(e.Fields) == 0 {
			t.Fatalf("what Terraform cannot hold, or no registry has, gives %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	content := files["main.tf"]
	if string(hclwrite.Format(content)) != string(content) {
		t.Errorf("formatting changes it:\n%s", content)
	}
	f, diags := hclsyntax.ParseConfig(content, "main.tf", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatalf("%v\n%s", diags, content)
	}
	body := f.Body.(*hclsyntax.Body)
	var blocks []string
	for _, block := range body.Blocks {
		blocks = append(blocks, strings.Join(append([]string{block.Type}, block.Labels...), " "))
		if block.Type == "locals" {
			if diff := cmp.Diff(want, moduleBuilds(t, block.Body)); diff != "" {
				t.Errorf("builds (-want +got):\n%s\n%s", diff, content)
			}
		}
		if block.Type == "variable" && block.Labels[0] != "region" {
			checkChoices(t, v, block)
		}
	}
	wantBlocks := []string{
		"terraform", "variable region", "variable component", "variable architecture", "locals", "output ami_ids", "output ami_id", "output metadata_full",
		"output component", "output architecture", "output name", "output version", "output number", "output type",
	}
	if diff := cmp.Diff(wantBlocks, blocks); diff != "" || len(body.Attributes) > 0 {
		t.Errorf("blocks (-want +got):\n%s\n%s", diff, content)
	}
}

// moduleBuilds evaluates the one build of a module, or all of several.
func moduleBuilds(t *testing.T, locals *hclsyntax.Body) []map[string]any {
	t.Helper()
	name := "build"
	if locals.Attributes["builds"] != nil {
		name = "builds"
	}
	value, diags := locals.Attributes[name].Expr.Value(nil)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	values := []cty.Value{value}
	if name == "builds" {
		values = value.AsValueSlice()
	}
	var builds []map[string]any
	for _, value := range values {
		members := value.AsValueMap()
		if members["architecture"].IsNull() {
			delete(members, "architecture")
		}
		builds = append(builds, plain(t, cty.ObjectVal(members)).(map[string]any))
	}
	return builds
}

// checkChoices evaluates the validation of a variable for a value that there is, and for one that there is not.
func checkChoices(t *testing.T, v registry.Version, variable *hclsyntax.Block) {
	t.Helper()
	name := variable.Labels[0]
	validation := onlyBlock(t, &hclsyntax.Body{Blocks: variable.Body.Blocks}, "validation")
	functions := planFunctions(planTime)
	functions["contains"] = stdlib.ContainsFunc
	evaluate := func(attribute, value string) cty.Value {
		t.Helper()
		got, diags := validation.Attributes[attribute].Expr.Value(&hcl.EvalContext{
			Variables: map[string]cty.Value{"var": cty.ObjectVal(map[string]cty.Value{name: cty.StringVal(value)})}, Functions: functions,
		})
		if diags.HasErrors() {
			t.Fatalf("%s of %s: %v", attribute, name, diags)
		}
		return got
	}
	var choices []string
	for _, b := range v.Builds {
		switch {
		case name == "component":
			choices = append(choices, b.Component)
		case b.Architecture != "" && len(choices) == 0:
			choices = append(choices, b.Architecture)
		}
	}
	for _, choice := range choices {
		if !evaluate("condition", choice).True() {
			t.Errorf("%s does not take %q", name, choice)
		}
	}
	if evaluate("condition", "\u2603other").True() {
		t.Errorf("%s takes what there is not", name)
	}
	want := cty.NormalizeString(string(v.Artifact) + " version " + v.Version + " has no AMI of " + name + " \u2603other; it has: " + strings.Join(choices, ", ") + ".")
	if len(choices) == 0 {
		want = string(v.Artifact) + " version " + v.Version + " has no AMI of " + name + " \u2603other; it has: none that was recorded."
	}
	if got := evaluate("error_message", "\u2603other").AsString(); got != want {
		t.Errorf("the message is %q, want %q", got, want)
	}
}
