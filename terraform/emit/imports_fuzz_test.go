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

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/terraform/emit"
)

// FuzzImports writes import blocks for instances with any text in every place, and expects one for each, with its id
// and a name of its own, and in a fleet what it is.
func FuzzImports(f *testing.F) {
	for key, value := range hostile().Metadata {
		f.Add(value, key, key, value, "cargomedia/app", "1.4.0", "production")
	}
	f.Add("web", "web i-0a02", "Name", "web", "cargomedia/app\nlocals {}", "1.0.0\r}", "\u2028")
	f.Add("i-0a02", "web_i_0a01", "aws:x", "y", "", "", "")
	f.Add("e\u0301", "\u00e9", "$${", "%", "a/b", "1", "\u202e")
	f.Add("\xff", "x", "x", "x", "x", "x", "x")
	f.Fuzz(func(t *testing.T, name, other, key, value, artifact, version, ref string) {
		use := &registry.ImageUse{Artifact: registry.ArtifactName(artifact), VersionID: registry.VersionID{Number: 1, Version: version}}
		tags := map[string]string{key: value}
		instances := []emit.Instance{
			{ID: "i-0a01", Region: "eu-west-1", Name: name, ImageID: value, Type: key, Tags: tags, Use: use, Ref: ref, Current: &use.VersionID},
			{ID: "i-0a02", Region: "eu-west-1", Name: other, ImageID: value, Type: key, Use: use, Ref: ref},
			{ID: "i-0a03", Region: "us-east-1", Name: name, ImageID: other, Type: key, Tags: tags},
		}
		valid := utf8.ValidString(key) && utf8.ValidString(value) && utf8.ValidString(name) && utf8.ValidString(other)
		for _, o := range []emit.ImportOptions{{}, {AWSProvider: 5}, {ForEach: true}, {ForEach: true, AWSProvider: 5}} {
			content, err := emit.Imports(instances, o)
			if !valid {
				if e, ok := errors.AsType[*registry.Error](err); !ok || e.Kind != registry.Invalid || len(e.Fields) == 0 {
					t.Fatalf("text that is not UTF-8 gives %v", err)
				}
				continue
			}
			if err != nil {
				t.Fatal(err)
			}
			checkImports(t, content, instances, o)
		}
	})
}

func checkImports(t *testing.T, content []byte, instances []emit.Instance, o emit.ImportOptions) {
	t.Helper()
	if string(hclwrite.Format(content)) != string(content) {
		t.Errorf("formatting changes it:\n%s", content)
	}
	f, diags := hclsyntax.ParseConfig(content, "import.tf", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatalf("%v\n%s", diags, content)
	}
	imported, targets := map[string]map[string]any{}, map[string]bool{}
	add := func(id string, what map[string]any) {
		if imported[id] != nil {
			t.Errorf("%s is imported twice:\n%s", id, content)
		}
		imported[id] = what
	}
	for _, block := range f.Body.(*hclsyntax.Body).Blocks {
		kind := strings.Join(append([]string{block.Type}, block.Labels...), " ")
		switch {
		case block.Type == "import" && !o.ForEach:
			target := string(block.Body.Attributes["to"].Expr.Range().SliceBytes(content))
			if targets[target] {
				t.Errorf("two are called %s:\n%s", target, content)
			}
			targets[target] = true
			id, diags := block.Body.Attributes["id"].Expr.Value(nil)
			if diags.HasErrors() {
				t.Fatal(diags)
			}
			add(id.AsString(), map[string]any{})
		case block.Type == "locals" && o.ForEach:
			for name, attribute := range block.Body.Attributes {
				if targets[name] {
					t.Errorf("two are called %s:\n%s", name, content)
				}
				targets[name] = true
				value, diags := attribute.Expr.Value(nil)
				if diags.HasErrors() {
					t.Fatal(diags)
				}
				for id, instance := range value.AsValueMap() {
					members := instance.AsValueMap()
					if members["tags"].IsNull() {
						delete(members, "tags")
					}
					add(id, plain(t, cty.ObjectVal(members)).(map[string]any))
				}
			}
		case o.ForEach && (block.Type == "import" || strings.HasPrefix(kind, "resource aws_instance ")):
		default:
			t.Errorf("there is a block %s:\n%s", kind, content)
		}
	}
	if diff := cmp.Diff(wantImports(instances, o), imported); diff != "" {
		t.Errorf("(-want +got):\n%s\n%s", diff, content)
	}
}

// wantImports are the ids that are imported, and what a fleet says of them.
func wantImports(instances []emit.Instance, o emit.ImportOptions) map[string]map[string]any {
	want := map[string]map[string]any{}
	for _, i := range instances {
		what := map[string]any{}
		id := i.ID
		if o.AWSProvider != 5 && !o.ForEach {
			id += "@" + i.Region
		}
		if o.ForEach {
			what = map[string]any{"ami": cty.NormalizeString(i.ImageID), "instance_type": cty.NormalizeString(i.Type)}
			if o.AWSProvider != 5 {
				what["region"] = i.Region
			}
			tags := map[string]any{}
			for key, value := range i.Tags {
				if !strings.HasPrefix(key, "aws:") {
					tags[cty.NormalizeString(key)] = cty.NormalizeString(value)
				}
			}
			if len(tags) > 0 {
				what["tags"] = tags
			}
		}
		want[id] = what
	}
	return want
}
