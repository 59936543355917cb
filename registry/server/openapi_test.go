package server_test

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/golden"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/server"
)

func describe(t *testing.T, path string) reply {
	t.Helper()
	s := servertestHandler(t, server.New(registry.NewService(nil, nil), server.Options{Version: "1.2.3"}))
	return as(s, "").get(t, path).ok(t)
}

// TestOpenAPIIsAsAgreed shows every change of the API in review.
func TestOpenAPIIsAsAgreed(t *testing.T) {
	got := describe(t, "/openapi.json").body
	golden.Equal(t, filepath.Join("testdata", "openapi.json"), got)
}

func TestOpenAPIIsSound(t *testing.T) {
	var spec map[string]any
	if err := json.Unmarshal([]byte(describe(t, "/openapi.json").body), &spec); err != nil {
		t.Fatal(err)
	}
	t.Run("every reference leads somewhere", func(t *testing.T) {
		refs := 0
		walk(spec, func(key string, value any) {
			ref, ok := value.(string)
			if key != "$ref" || !ok {
				return
			}
			refs++
			var at any = spec
			for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
				at, _ = at.(map[string]any)[part]
				if at == nil {
					t.Errorf("%s leads nowhere", ref)
					return
				}
			}
		})
		if refs < 20 {
			t.Errorf("there are only %d references", refs)
		}
	})
	inPath := regexp.MustCompile(`\{([^}]*)\}`)
	ids := map[string]bool{}
	for path, item := range spec["paths"].(map[string]any) {
		for method, o := range item.(map[string]any) {
			op := o.(map[string]any)
			where := method + " " + path
			id, _ := op["operationId"].(string)
			if id == "" || ids[id] || op["summary"] == nil || len(op["tags"].([]any)) != 1 {
				t.Errorf("%s: no id of its own (%q), no summary, or not one tag", where, id)
			}
			ids[id] = true
			var want, got []string
			for _, match := range inPath.FindAllStringSubmatch(path, -1) {
				want = append(want, match[1])
			}
			parameters, _ := op["parameters"].([]any)
			for _, p := range parameters {
				if p := p.(map[string]any); p["in"] == "path" {
					got = append(got, p["name"].(string))
				} else if p["description"] == nil || p["schema"] == nil {
					t.Errorf("%s: parameter %v has no description or schema", where, p["name"])
				}
			}
			slices.Sort(want)
			slices.Sort(got)
			if !slices.Equal(want, got) {
				t.Errorf("%s: describes the path parameters %q", where, got)
			}
			if strings.HasPrefix(path, "/v1/") {
				responses := op["responses"].(map[string]any)
				problems, _ := json.Marshal(responses["default"])
				if !strings.Contains(string(problems), `"application/problem+json":{"schema":{"$ref":"#/components/schemas/Problem"}}`) {
					t.Errorf("%s: its errors are described as %s", where, problems)
				}
				if op["security"] == nil {
					t.Errorf("%s: no security", where)
				}
			}
		}
	}
}

func walk(v any, visit func(key string, value any)) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			visit(key, value)
			walk(value, visit)
		}
	case []any:
		for _, value := range v {
			walk(value, visit)
		}
	}
}

func TestDocsPageStandsAlone(t *testing.T) {
	got := describe(t, "/docs")
	for _, loads := range []string{"<script", "<link", "<img", "<iframe", "@import", "url(", "src=", "//unpkg", "https://", "onclick"} {
		if strings.Contains(got.body, loads) {
			t.Errorf("the page has %q", loads)
		}
	}
	for _, match := range regexp.MustCompile(`href="([^"]*)"`).FindAllStringSubmatch(got.body, -1) {
		target := match[1]
		if id, ok := strings.CutPrefix(target, "#"); ok {
			if !strings.Contains(got.body, `id="`+id+`"`) {
				t.Errorf("the link %s leads nowhere", target)
			}
		} else if target != "/openapi.json" {
			t.Errorf("the page links to %s", target)
		}
	}
	policy := got.header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") || strings.Contains(policy, "unsafe") {
		t.Errorf("the policy is %s", policy)
	}
	if got.header.Get("Content-Type") != "text/html; charset=utf-8" || got.status != http.StatusOK {
		t.Errorf("got %d %v", got.status, got.header)
	}
	if strings.Contains(got.body, "ZgotmplZ") {
		t.Error("the template refused a value")
	}
}

// TestBodiesUseOnlyWhatIsChecked holds the schemas of bodies to the keywords that the check of bodies
// knows: it would not notice another one.
func TestBodiesUseOnlyWhatIsChecked(t *testing.T) {
	var spec struct {
		Paths map[string]map[string]struct {
			RequestBody struct {
				Content map[string]struct{ Schema any }
			}
		}
		Components struct{ Schemas map[string]any }
	}
	if err := json.Unmarshal([]byte(describe(t, "/openapi.json").body), &spec); err != nil {
		t.Fatal(err)
	}
	known := []string{"type", "format", "description", "readOnly", "properties", "required", "additionalProperties", "items", "$ref", "minLength", "maxLength", "enum"}
	members := 0
	var check func(at string, schema any)
	check = func(at string, schema any) {
		s, ok := schema.(map[string]any)
		if !ok {
			return // additionalProperties may be true or false
		}
		for keyword := range s {
			if !slices.Contains(known, keyword) {
				t.Errorf("%s: the check of bodies does not know %s", at, keyword)
			}
		}
		if ref, ok := s["$ref"].(string); ok {
			check(at, spec.Components.Schemas[strings.TrimPrefix(ref, "#/components/schemas/")])
		}
		check(at+"[]", s["items"])
		check(at+"{}", s["additionalProperties"])
		properties, _ := s["properties"].(map[string]any)
		for name, member := range properties {
			members++
			check(at+"."+name, member)
		}
	}
	for path, methods := range spec.Paths {
		for method, o := range methods {
			check(method+" "+path, o.RequestBody.Content["application/json"].Schema)
		}
	}
	if members == 0 {
		t.Error("no body was found")
	}
}
