package provider

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func TestIDIsAsInAtlas(t *testing.T) {
	image := func(region, id string) registry.Image { return registry.Image{Region: region, ID: id} }
	for want, images := range map[string][]registry.Image{
		"file.app":                        nil,
		"abc":                             {image("", "abc")},
		"eu-west-1:ami-1,us-east-1:ami-2": {image("us-east-1", "ami-2"), image("eu-west-1", "ami-1")},
	} {
		found := registry.Resolution{Lookup: registry.Lookup{Images: images}, Resolved: registry.Resolved{Component: "file.app"}}
		if got := atlasIDOf(found); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestWhatFloatsIsWarnedOf(t *testing.T) {
	now := registry.VersionID{Number: 7, Version: "1.4.0"}
	const stay = `Write version = "1.4.0" to stay, or channel = "production"`
	for name, c := range map[string]struct {
		choice choice
		want   string
	}{
		"a number":     {choice{Version: types.StringValue("7")}, ""},
		"a version":    {choice{Version: types.StringValue("1.4.0")}, ""},
		"a channel":    {choice{Channel: types.StringValue("production")}, ""},
		"latest":       {choice{Version: types.StringValue("latest")}, `version = "latest" floats`},
		"ref latest":   {choice{Ref: types.StringValue(" latest")}, `ref = "latest" floats`},
		"a constraint": {choice{Ref: types.StringValue("~> 1.4")}, `ref = "~> 1.4" floats`},
	} {
		t.Run(name, func(t *testing.T) {
			var diags diag.Diagnostics
			c.choice.warnFloating(&diags, "a plan will then replace it", "cargomedia/app", now)
			wantWarning(t, diags, c.want, stay)
		})
	}
	for version, want := range map[string]string{"": "a/b: version latest floats", "any": "a/b: version any floats", "7": ""} {
		t.Run("atlas "+version, func(t *testing.T) {
			var diags diag.Diagnostics
			atlasModel{Name: types.StringValue("a/b"), Version: types.StringValue(version)}.warnFloating(now, &diags)
			wantWarning(t, diags, want, `Write version = "7" to stay.`)
		})
	}
	for build, want := range map[string]string{"latest": "a/b: build latest floats", "any": "a/b: build any floats", "42": ""} {
		t.Run("atlas build "+build, func(t *testing.T) {
			var diags diag.Diagnostics
			atlasModel{Name: types.StringValue("a/b"), Build: types.StringValue(build)}.warnFloating(now, &diags)
			wantWarning(t, diags, want, `Write version = "7" to stay.`)
		})
	}
}

func TestRevocationIsToldAsConfigured(t *testing.T) {
	found := registry.Resolution{Lookup: registry.Lookup{Revoked: true, Revocation: &registry.Revocation{By: "ops", Reason: "too old"}}}
	for on, want := range map[string]string{"": " is revoked", "warn": " is revoked", "ignore": ""} {
		t.Run(on, func(t *testing.T) {
			var diags diag.Diagnostics
			m := artifactModel{choice: choice{Version: types.StringValue("1")}}
			if on != "" {
				m.OnRevoked = types.StringValue(on)
			}
			m.tellRevocation(found, &diags)
			wantWarning(t, diags, want, "too old")
		})
	}
}

// wantWarning expects no diagnostic for "", and else one warning.
func wantWarning(t *testing.T, diags diag.Diagnostics, summary, detail string) {
	t.Helper()
	if summary == "" {
		if len(diags) > 0 {
			t.Errorf("got %v", diags)
		}
		return
	}
	if len(diags) != 1 || diags.WarningsCount() != 1 || !strings.Contains(diags[0].Summary(), summary) || !strings.Contains(diags[0].Detail(), detail) {
		t.Errorf("got %v, want a warning %q, %q", diags, summary, detail)
	}
}

func TestSentencesBeginWithACapitalUnlessTheyBeginWithAName(t *testing.T) {
	for text, want := range map[string]string{
		"the token is not valid": "The token is not valid", "cargomedia/app has no version 9": "cargomedia/app has no version 9", "": "", "ämi": "ämi",
	} {
		if got := capital(text); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestPagesAreFollowedUpToTheLimit(t *testing.T) {
	const there = 1203
	for limit, want := range map[int64]struct{ count, calls int }{
		0: {defaultLimit, 2}, 1: {1, 1}, 500: {500, 1}, 501: {501, 2}, there: {there, 3}, maxLimit: {there, 3},
	} {
		calls := 0
		page := func(cursor string, most int) ([]int, string, error) {
			calls++
			from, _ := strconv.Atoi(cursor)
			to := min(from+most, there)
			list := make([]int, to-from)
			for i := range list {
				list[i] = from + i
			}
			if to == there {
				return list, "", nil
			}
			return list, strconv.Itoa(to), nil
		}
		given := types.Int64Value(limit)
		if limit == 0 {
			given = types.Int64Null()
		}
		got, truncated, err := collect(given, page)
		if err != nil || len(got) != want.count || got[want.count-1] != want.count-1 || truncated != (want.count < there) || calls != want.calls {
			t.Errorf("limit %d: %d entries by %d calls, truncated: %t, %v", limit, len(got), calls, truncated, err)
		}
	}
	failed := errors.New("away")
	if _, _, err := collect(types.Int64Null(), func(string, int) ([]int, string, error) { return nil, "", failed }); err != failed {
		t.Errorf("got %v", err)
	}
}

// TestEveryAttributeIsDescribed covers all types: the documentation is made from what they say.
func TestEveryAttributeIsDescribed(t *testing.T) {
	ctx, p := t.Context(), New("1.2.3")
	var config provider.SchemaResponse
	p.Schema(ctx, provider.SchemaRequest{}, &config)
	described(t, "provider", config.Schema.Attributes)
	for _, construct := range p.DataSources(ctx) {
		var meta datasource.MetadataResponse
		var s datasource.SchemaResponse
		construct().Metadata(ctx, datasource.MetadataRequest{}, &meta)
		construct().Schema(ctx, datasource.SchemaRequest{}, &s)
		valid(ctx, t, meta.TypeName, s.Schema)
		described(t, "data "+meta.TypeName, s.Schema.Attributes)
	}
	for _, construct := range p.Resources(ctx) {
		var meta resource.MetadataResponse
		var s resource.SchemaResponse
		construct().Metadata(ctx, resource.MetadataRequest{}, &meta)
		construct().Schema(ctx, resource.SchemaRequest{}, &s)
		valid(ctx, t, meta.TypeName, s.Schema)
		described(t, "resource "+meta.TypeName, s.Schema.Attributes)
	}
	for _, construct := range p.EphemeralResources(ctx) {
		var meta ephemeral.MetadataResponse
		var s ephemeral.SchemaResponse
		construct().Metadata(ctx, ephemeral.MetadataRequest{}, &meta)
		construct().Schema(ctx, ephemeral.SchemaRequest{}, &s)
		valid(ctx, t, meta.TypeName, s.Schema)
		described(t, "ephemeral "+meta.TypeName, s.Schema.Attributes)
	}
}

func valid(ctx context.Context, t *testing.T, name string, schema interface {
	ValidateImplementation(context.Context) diag.Diagnostics
}) {
	t.Helper()
	if diags := schema.ValidateImplementation(ctx); diags.HasError() {
		t.Errorf("%s: %v", name, diags)
	}
}

func described[A interface{ GetMarkdownDescription() string }](t *testing.T, where string, attributes map[string]A) {
	t.Helper()
	if len(attributes) == 0 {
		t.Errorf("%s has no attributes", where)
	}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		if text := attributes[name].GetMarkdownDescription(); !strings.HasSuffix(text, ".") && !strings.HasSuffix(text, "…") {
			t.Errorf("%s: %s: %q is no sentence", where, name, text)
		}
	}
}
