package emit_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	hcljson "github.com/hashicorp/hcl/v2/json"
	"github.com/zclconf/go-cty/cty"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/terraform/emit"
)

// FuzzFile writes text of every place in every style, reads the file as Terraform does, and expects
// the same text back, nothing beside it, and the same pin.
func FuzzFile(f *testing.F) {
	for key, value := range hostile().Metadata {
		f.Add(key, value, "amazon-ebs.app", "leak", "production", "cargomedia/my-app", "1.4.0")
	}
	f.Add("k", "v", "a.b", "leak", "production", "cargomedia/my-app", "1.0.0\nresource \"null_resource\" \"x\" {}\n")
	f.Add("k", "v", "a.b", "leak", "production", "cargomedia/my-app\rlocals {}", "1.0.0")
	f.Add("e\u0301", "\u00e9", "a'b", "\x00", "~> 1.2, < '3'", "a/b", "0.1.0-rc.1")
	f.Add("k", "$${a}$$${b}%%%{c}$", "\"quoted", "# x", "fingerprint:1", "a/my-app", "1.0.0")
	f.Add("\ufeff", "\U000e0001", "\u2028", "\\u0041", "4", "a/my-app", "1.0.0")
	f.Add("\xff", "x", "x", "x", "latest", "a/my-app", "1.0.0")
	f.Fuzz(func(t *testing.T, key, value, component, reason, ref, artifact, version string) {
		if component == "" {
			return // the registry has no component without a name
		}
		if _, err := registry.ParseRef(ref); err != nil {
			return // refused before
		}
		r := ami()
		r.Artifact, r.Version = registry.ArtifactName(artifact), version
		r.Ref, r.Component = ref, component
		r.Metadata = registry.Metadata{key: value, "x" + value: key}
		r.Revocation = &registry.Revocation{Reason: reason}
		for _, style := range []emit.Style{emit.StyleData, emit.StyleLocals, emit.StyleTfvars} {
			for _, aws := range []int{5, 6} {
				checkRoundTrip(t, r, emit.Options{Style: style, AWSProvider: aws, Address: address})
			}
		}
	})
}

func checkRoundTrip(t *testing.T, r registry.Resolution, o emit.Options) {
	t.Helper()
	content, err := emit.File(r, o)
	_, nameErr := registry.ParseArtifactName(string(r.Artifact))
	if nameErr != nil || registry.CheckSemver(r.Version) != nil || !representable(r) {
		if e, ok := errors.AsType[*registry.Error](err); !ok || e.Kind != registry.Invalid || len(e.Fields) == 0 {
			t.Fatalf("what Terraform cannot hold, or no registry has, gives %v", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	var got cty.Value
	ident := emit.Ident(r.Artifact.Name())
	if o.Style == emit.StyleTfvars {
		got = evaluateTfvars(t, content, ident)
	} else {
		got = evaluateLocals(t, content, ident)
		if string(hclwrite.Format(content)) != string(content) {
			t.Errorf("formatting changes it:\n%s", content)
		}
	}
	want := map[string]string{
		"name": string(r.Artifact), "type": string(r.Type), "version": r.Version, "fingerprint": r.Fingerprint,
		"component": r.Component, "architecture": r.Architecture, "revocation_message": r.Revocation.Reason,
	}
	for name, text := range want {
		if got := got.GetAttr(name); !got.RawEquals(cty.StringVal(text)) {
			t.Errorf("%s is %#v, want %q", name, got, text)
		}
	}
	if !got.GetAttr("number").RawEquals(cty.NumberIntVal(r.Number)) {
		t.Errorf("number is %#v", got.GetAttr("number"))
	}
	if diff := cmp.Diff(normalized(r.Metadata), stringsOf(got.GetAttr("metadata"))); diff != "" {
		t.Errorf("metadata (-want +got):\n%s\n%s", diff, content)
	}
	if diff := cmp.Diff(r.AMIs, stringsOf(got.GetAttr("ami_ids"))); diff != "" {
		t.Errorf("ami_ids (-want +got):\n%s", diff)
	}
	pin, ok := emit.ReadPin(content)
	if !ok || pin.Component != r.Component || pin.Ref != r.Ref || pin.Number != r.Number || pin.Address != address {
		t.Errorf("the pin is %+v, %v", pin, ok)
	}
	if err := emit.Check(content, r, o); err != nil {
		t.Errorf("the file that was just written: %v", err)
	}
}

// evaluateLocals returns local.ident of a file that has the expected blocks and no others.
func evaluateLocals(t *testing.T, content []byte, ident string) cty.Value {
	t.Helper()
	f, diags := hclsyntax.ParseConfig(content, "app.tf", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatalf("%v\n%s", diags, content)
	}
	body := f.Body.(*hclsyntax.Body)
	if len(body.Attributes) > 0 {
		t.Fatalf("attributes at the top:\n%s", content)
	}
	var value cty.Value
	for _, block := range body.Blocks {
		switch {
		case block.Type == "locals" && len(block.Body.Attributes) == 1 && value == cty.NilVal:
			value, diags = block.Body.Attributes[ident].Expr.Value(nil)
			if diags.HasErrors() {
				t.Fatalf("%v\n%s", diags, content)
			}
		case block.Type == "data" && block.Labels[0] == "aws_ami", block.Type == "check" && strings.HasPrefix(block.Labels[0], ident):
		default:
			t.Fatalf("unexpected block %s %q:\n%s", block.Type, block.Labels, content)
		}
	}
	return value
}

// evaluateTfvars reads a *.tfvars.json as Terraform does: by HCL's JSON, without a scope.
func evaluateTfvars(t *testing.T, content []byte, ident string) cty.Value {
	t.Helper()
	f, diags := hcljson.Parse(content, "app.tfvars.json")
	if diags.HasErrors() {
		t.Fatalf("%v\n%s", diags, content)
	}
	attrs, diags := f.Body.JustAttributes()
	if diags.HasErrors() || len(attrs) != 1 {
		t.Fatalf("%v\n%s", diags, content)
	}
	value, diags := attrs[ident].Expr.Value(nil)
	if diags.HasErrors() {
		t.Fatalf("%v\n%s", diags, content)
	}
	return value
}

// representable says whether Terraform can hold the texts: UTF-8, with names that stay different
// when Unicode is normalized.
func representable(r registry.Resolution) bool {
	texts := slices.Concat(slices.Collect(maps.Keys(r.Metadata)), slices.Collect(maps.Values(r.Metadata)), []string{r.Component, r.Revocation.Reason})
	return !slices.ContainsFunc(texts, func(s string) bool { return !utf8.ValidString(s) }) && len(normalized(r.Metadata)) == len(r.Metadata)
}

func normalized(m map[string]string) map[string]string {
	n := map[string]string{}
	for key, value := range m {
		n[cty.NormalizeString(key)] = cty.NormalizeString(value)
	}
	return n
}

func stringsOf(v cty.Value) map[string]string {
	m := map[string]string{}
	for key, value := range v.AsValueMap() {
		m[key] = value.AsString()
	}
	return m
}
