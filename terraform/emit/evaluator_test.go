package emit_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/terraform/emit"
)

// evaluator evaluates the expressions of a file as a plan does at a time.
type evaluator struct {
	t     *testing.T
	local cty.Value
}

const planTime = "2026-05-01T00:00:00Z"

// value evaluates one attribute with variables beside local.
func (e evaluator) value(body *hclsyntax.Body, name, now string, variables map[string]cty.Value) cty.Value {
	e.t.Helper()
	attribute := body.Attributes[name]
	if attribute == nil {
		e.t.Fatalf("there is no %s", name)
	}
	scope := &hcl.EvalContext{Variables: map[string]cty.Value{"local": e.local}, Functions: planFunctions(now)}
	maps.Copy(scope.Variables, variables)
	value, diags := attribute.Expr.Value(scope)
	if diags.HasErrors() {
		e.t.Fatalf("%s: %v", name, diags)
	}
	return value
}

// planFunctions are those of Terraform's functions that files use.
func planFunctions(now string) map[string]function.Function {
	text := function.Parameter{Name: "text", Type: cty.String, AllowNull: true}
	return map[string]function.Function{
		"join": stdlib.JoinFunc,
		"plantimestamp": function.New(&function.Spec{
			Type: function.StaticReturnType(cty.String),
			Impl: func([]cty.Value, cty.Type) (cty.Value, error) { return cty.StringVal(now), nil },
		}),
		"timecmp": function.New(&function.Spec{
			Params: []function.Parameter{text, text}, Type: function.StaticReturnType(cty.Number),
			Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
				var times [2]time.Time
				for i, arg := range args {
					var err error
					if times[i], err = time.Parse(time.RFC3339, arg.AsString()); err != nil {
						return cty.NilVal, err
					}
				}
				return cty.NumberIntVal(int64(times[0].Compare(times[1]))), nil
			},
		}),
		"coalesce": function.New(&function.Spec{ // Terraform's passes over empty text, too
			VarParam: &text, Type: function.StaticReturnType(cty.String),
			Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
				for _, arg := range args {
					if !arg.IsNull() && arg.AsString() != "" {
						return arg, nil
					}
				}
				return cty.NullVal(cty.String), nil
			},
		}),
		"alltrue": function.New(&function.Spec{
			Params: []function.Parameter{{Name: "list", Type: cty.List(cty.Bool)}}, Type: function.StaticReturnType(cty.Bool),
			Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
				return cty.BoolVal(!slices.ContainsFunc(args[0].AsValueSlice(), cty.Value.False)), nil
			},
		}),
	}
}

func onlyBlock(t *testing.T, body *hclsyntax.Body, types ...string) *hclsyntax.Body {
	t.Helper()
	for _, typ := range types {
		if len(body.Blocks) != 1 && typ != "filter" && typ != "lifecycle" {
			t.Fatalf("there are %d blocks where one is %s", len(body.Blocks), typ)
		}
		at := slices.IndexFunc(body.Blocks, func(b *hclsyntax.Block) bool { return b.Type == typ })
		if at < 0 {
			t.Fatalf("there is no %s", typ)
		}
		body = body.Blocks[at].Body
	}
	return body
}

// checkData expects a block to read one image back, and to refuse what is not the image that was recorded.
func (e evaluator) checkData(body *hclsyntax.Body, r registry.Resolution, o emit.Options, region string, id cty.Value) {
	e.t.Helper()
	each := map[string]cty.Value{"each": cty.ObjectVal(map[string]cty.Value{"key": cty.StringVal(region), "value": id})}
	if o.AWSProvider == 6 {
		if got := e.value(body, "region", planTime, each); !got.RawEquals(cty.StringVal(region)) {
			e.t.Errorf("the region is %#v, want %s", got, region)
		}
		if diff := cmp.Diff(plain(e.t, e.local.AsValueMap()[emit.Ident(r.Artifact.Name())].GetAttr("ami_ids")), plain(e.t, e.value(body, "for_each", planTime, nil))); diff != "" {
			e.t.Errorf("for_each (-want +got):\n%s", diff)
		}
	}
	filter := onlyBlock(e.t, body, "filter")
	got := []any{
		plain(e.t, e.value(body, "owners", planTime, each)), plain(e.t, e.value(body, "include_deprecated", planTime, each)),
		plain(e.t, e.value(filter, "name", planTime, each)), plain(e.t, e.value(filter, "values", planTime, each)),
	}
	if diff := cmp.Diff([]any{[]any{"self"}, true, "image-id", []any{id.AsString()}}, got); diff != "" {
		e.t.Errorf("the lookup in %s (-want +got):\n%s", region, diff)
	}
	post := onlyBlock(e.t, body, "lifecycle", "postcondition")
	for _, c := range []struct {
		id                  cty.Value
		state, architecture string
		fits                bool
	}{
		{id, "available", "x86_64", r.Architecture != "arm64"}, {id, "available", "arm64", r.Architecture != "x86_64"},
		{id, "failed", "x86_64", false}, {cty.StringVal(id.AsString() + "other"), "available", "x86_64", false},
	} {
		if !slices.Contains([]string{"x86_64", "arm64", ""}, r.Architecture) && c.fits {
			continue // EC2 may have another name for it
		}
		each["self"] = cty.ObjectVal(map[string]cty.Value{"id": c.id, "state": cty.StringVal(c.state), "architecture": cty.StringVal(c.architecture)})
		if got := e.value(post, "condition", planTime, each); !got.RawEquals(cty.BoolVal(c.fits)) {
			e.t.Errorf("the condition is %#v for %#v, recorded as %q", got, each["self"], r.Architecture)
		}
		message := e.value(post, "error_message", planTime, each).AsString()
		want := cty.NormalizeString(id.AsString() + " of " + string(r.Artifact) + " " + r.Version + " in " + region + " is " + c.state + ", " + c.architecture + ";")
		if !strings.HasPrefix(message, want) {
			e.t.Errorf("the message is %q, want it to begin with %q", message, want)
		}
	}
}

// checkDeprecation expects the check to fail, with the region's name, once one image is past its time.
func (e evaluator) checkDeprecation(body *hclsyntax.Body, r registry.Resolution, o emit.Options, ident string) {
	e.t.Helper()
	if body == nil {
		e.t.Fatal("no check of deprecation times")
	}
	regions := slices.Sorted(maps.Keys(r.AMIs))
	for past := -1; past < len(regions); past++ {
		data, byRegion := map[string]cty.Value{}, map[string]cty.Value{}
		for i, region := range regions {
			at := cty.NullVal(cty.String)
			switch {
			case i == past:
				at = cty.StringVal("2026-04-30T23:59:59Z")
			case i%2 == 0:
				at = cty.StringVal("2027-01-01T00:00:00Z")
			}
			image := cty.ObjectVal(map[string]cty.Value{"deprecation_time": at})
			byRegion[region] = image
			data[ident+"_"+strings.ReplaceAll(region, "-", "_")] = image
		}
		if o.AWSProvider == 6 {
			data = map[string]cty.Value{ident: cty.ObjectVal(byRegion)}
		}
		scope := map[string]cty.Value{"data": cty.ObjectVal(map[string]cty.Value{"aws_ami": cty.ObjectVal(data)})}
		var failed []string
		for _, block := range body.Blocks {
			if e.value(block.Body, "condition", planTime, scope).False() {
				failed = append(failed, e.value(block.Body, "error_message", planTime, scope).AsString())
			}
		}
		var want []string
		if past >= 0 {
			want = []string{string(r.Artifact) + " " + r.Version + " is past its deprecation time in " + regions[past] + "; move to a newer version."}
		}
		if diff := cmp.Diff(want, failed); diff != "" {
			e.t.Errorf("warnings when number %d of %q is past its time (-want +got):\n%s", past, regions, diff)
		}
	}
}

// checkRevocation expects the check to fail from the time of the revocation on.
func (e evaluator) checkRevocation(body *hclsyntax.Body, r registry.Resolution) {
	e.t.Helper()
	if body == nil {
		e.t.Fatal("no check of the revocation")
	}
	assert := onlyBlock(e.t, body, "assert")
	for now, want := range map[string]bool{"2026-04-02T07:59:59Z": true, "2026-04-02T08:00:00Z": false, planTime: false} {
		if got := e.value(assert, "condition", now, nil); !got.RawEquals(cty.BoolVal(want)) {
			e.t.Errorf("at %s the condition is %#v", now, got)
		}
	}
	want := cty.NormalizeString(string(r.Artifact) + " " + r.Version + " is revoked: " + r.Revocation.Reason)
	if got := e.value(assert, "error_message", planTime, nil).AsString(); got != want {
		e.t.Errorf("the message is %q, want %q", got, want)
	}
}
