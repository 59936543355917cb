package server

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/cargomedia/packer-plugin-almanac/registry/problem"
)

// newAPI returns huma without what it would bring along: no pages that load scripts from elsewhere,
// no links to schemas in bodies, no format but JSON.
func newAPI(s *Server) huma.API {
	setUpHuma()
	schemas := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	schemas.RegisterTypeAlias(reflect.TypeFor[humaProblem](), reflect.TypeFor[problem.Problem]())
	return huma.NewAPI(huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "Almanac", Version: s.opts.Version,
				Description: "A registry of what Packer builds. Text is UTF-8, times are RFC 3339 in UTC, lists use cursors. Reads carry an ETag and answer 304. Every error is an RFC 9457 problem; its kind is for programs, its detail and fields are for people.",
			},
			Components: &huma.Components{
				Schemas: schemas,
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"token": {Type: "http", Scheme: "bearer", Description: "A token of this registry, made with POST /v1/tokens or `almanac token create`."},
				},
			},
			Tags: []*huma.Tag{
				{Name: tagArtifacts, Description: "Lines of things that are built again and again."},
				{Name: tagVersions, Description: "Immutable steps of an artifact, and the builds that make them up."},
				{Name: tagLookups, Description: "From a ref to the one build or image that it stands for, and back."},
				{Name: tagChannels, Description: "Named pointers to versions, with history."},
				{Name: tagBytes, Description: "Files, stored once per digest: resumable uploads, verified; downloads with ranges."},
				{Name: tagRuns, Description: "Builds that new versions of an application ask for, and the runners that take them. The registry itself runs nothing."},
				{Name: tagEvents, Description: "The audit log."},
				{Name: tagTokens, Description: "Who may do what."},
				{Name: tagOperations, Description: "For probes, monitoring and readers of this page. No token is needed."},
			},
		},
		Formats:       map[string]huma.Format{"application/json": format, "json": format},
		DefaultFormat: "application/json",
	}, adapter{s})
}

func security(needs string) []map[string][]string {
	token := map[string][]string{"token": {}}
	switch needs {
	case needNothing:
		return nil
	case needRead:
		return []map[string][]string{token, {}}
	}
	return []map[string][]string{token}
}

// bodyExamples are requests that the tests send as they are written here.
var bodyExamples = map[string]string{
	"putArtifact":   `{"description":"Image of the application","public":false}`,
	"publish":       `{"fingerprint":"run-42","channels":["staging"],"version_metadata":{"git":"4f2a91c"},"build":{"component":"amazon-ebs.app","type":"amazon.image","architecture":"x86_64","images":[{"provider":"aws","region":"eu-west-1","id":"ami-0abc1234"},{"provider":"aws","region":"us-east-1","id":"ami-0def5678"}]}}`,
	"revokeVersion": `{"reason":"CVE-2026-0001; use 0.2.0"}`,
	"setChannel":    `{"ref":"0.1.0","reason":"passed the tests"}`,
	"beginUpload":   `{"artifact":"cargomedia/app","size":12,"sha256":"7509e5bda0c762d2bac7f90d758b5b2263fa01ccbc542ab5e3df163be08e6ca9"}`,
	"claimRun":      `{"application":"cargomedia/app","target":"cargomedia/app-image","runner":"build-1"}`,
	"createToken":   `{"name":"ci","role":"promote","scopes":["cargomedia/*"]}`,
}

// finishOpenAPI adds what huma does not know, once all operations are there.
func finishOpenAPI(spec *huma.OpenAPI, operations []*huma.Operation) {
	problemSchema := spec.Components.Schemas.Schema(reflect.TypeFor[problem.Problem](), true, "Problem")
	for _, o := range operations {
		// Open names come last; huma adds its own behind what is there already.
		slices.SortStableFunc(o.Parameters, func(a, b *huma.Param) int {
			return boolRank(strings.HasSuffix(a.Name, ".KEY")) - boolRank(strings.HasSuffix(b.Name, ".KEY"))
		})
		if o.Metadata["needs"] != needNothing || o.OperationID == "ready" {
			o.Responses["default"] = &huma.Response{
				Description: "Problem",
				Content:     map[string]*huma.MediaType{problem.ContentType: {Schema: problemSchema}},
			}
		}
		if example, ok := bodyExamples[o.OperationID]; ok {
			o.RequestBody.Content["application/json"].Example = json.RawMessage(example)
		}
	}
	paths := map[string]*huma.PathItem{}
	for path, item := range spec.Paths {
		paths[specPath(path)] = item
	}
	spec.Paths = paths
}

// specPath is a route's path as OpenAPI writes it: the mux knows wildcards of several parts, {id...},
// and OpenAPI does not.
func specPath(path string) string { return strings.ReplaceAll(path, "...}", "}") }

func renderOpenAPI(spec *huma.OpenAPI) []byte {
	raw, err := json.Marshal(spec)
	if err != nil {
		panic(err) // made of strings and numbers of this program alone
	}
	var out bytes.Buffer
	if err := json.Indent(&out, raw, "", "  "); err != nil {
		panic(err)
	}
	out.WriteByte('\n')
	return out.Bytes()
}
