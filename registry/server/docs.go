package server

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the page and its style
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

//go:embed docs.html
var docsHTML string

//go:embed docs.css
var docsCSS string

// docsPolicy lets the page use its own style, known by its digest, and nothing else.
var docsPolicy = func() string {
	sum := sha256.Sum256([]byte(docsCSS))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}()

// The page's view of an OpenAPI description.
type (
	docsPage struct {
		Title, Version, Description string
		Style                       template.CSS
		Groups                      []docsGroup
		Schemas                     []docsSchema
	}
	docsGroup struct {
		Name, Description string
		Operations        []docsOperation
	}
	docsOperation struct {
		ID, Method, Path, Summary, Description, Needs, Curl string
		Params                                              []docsField
		Bodies, Responses                                   []docsBody
	}
	docsField struct {
		Name, In, Description string
		Type                  docsType
		Required              bool
	}
	docsBody struct {
		Status, Media string
		Type          docsType
	}
	// docsType is a type in words; Ref is the schema that it refers to, if any.
	docsType struct{ Before, Ref, After string }

	docsSchema struct {
		Name   string
		Fields []docsField
	}
)

// renderDocs makes the page once: the description does not change while the server runs.
// The operations are in the order of the routes, which is the one to read them in.
func renderDocs(spec *huma.OpenAPI, operations []*huma.Operation) []byte {
	page := docsPage{Title: spec.Info.Title, Version: spec.Info.Version, Description: spec.Info.Description, Style: template.CSS(docsCSS)}
	for _, tag := range spec.Tags {
		group := docsGroup{Name: tag.Name, Description: tag.Description}
		for _, o := range operations {
			if slices.Contains(o.Tags, tag.Name) {
				group.Operations = append(group.Operations, docsOperationOf(specPath(o.Path), o))
			}
		}
		page.Groups = append(page.Groups, group)
	}
	schemas := spec.Components.Schemas.Map()
	for _, name := range slices.Sorted(maps.Keys(schemas)) {
		page.Schemas = append(page.Schemas, docsSchema{name, fieldsOf(schemas[name])})
	}
	var out bytes.Buffer
	if err := template.Must(template.New("docs").Parse(docsHTML)).Execute(&out, page); err != nil {
		panic(err) // the template and its data are this program's own
	}
	return out.Bytes()
}

func docsOperationOf(path string, o *huma.Operation) docsOperation {
	needs, _ := o.Metadata["needs"].(string)
	d := docsOperation{
		ID: o.OperationID, Method: o.Method, Path: path, Summary: o.Summary, Description: o.Description,
		Needs: map[string]string{
			needNothing: "no token", needRead: "read, or nothing if the artifact is public", needToken: "any token",
		}[needs],
		Curl: curl(path, o),
	}
	if d.Needs == "" {
		d.Needs = "role " + needs
	}
	for _, p := range o.Parameters {
		d.Params = append(d.Params, docsField{p.Name, p.In, p.Description, typeOf(p.Schema), p.Required})
	}
	if o.RequestBody != nil {
		for _, media := range slices.Sorted(maps.Keys(o.RequestBody.Content)) {
			d.Bodies = append(d.Bodies, docsBody{"", media, typeOf(o.RequestBody.Content[media].Schema)})
		}
	}
	for _, status := range slices.Sorted(maps.Keys(o.Responses)) {
		response := o.Responses[status]
		label := status + " " + response.Description
		if status == "default" {
			label = "any error"
		}
		if len(response.Content) == 0 {
			d.Responses = append(d.Responses, docsBody{Status: label})
		}
		for _, media := range slices.Sorted(maps.Keys(response.Content)) {
			d.Responses = append(d.Responses, docsBody{label, media, typeOf(response.Content[media].Schema)})
		}
	}
	return d
}

func fieldsOf(s *huma.Schema) []docsField {
	var fields []docsField
	names := slices.Sorted(maps.Keys(s.Properties))
	// What must be there comes first.
	slices.SortStableFunc(names, func(a, b string) int {
		return boolRank(slices.Contains(s.Required, b)) - boolRank(slices.Contains(s.Required, a))
	})
	for _, name := range names {
		p := s.Properties[name]
		fields = append(fields, docsField{name, "", p.Description, typeOf(p), slices.Contains(s.Required, name)})
	}
	return fields
}

func boolRank(b bool) int {
	if b {
		return 1
	}
	return 0
}

func typeOf(s *huma.Schema) docsType {
	switch {
	case s == nil:
		return docsType{Before: "anything"}
	case s.Ref != "":
		return docsType{Ref: s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]}
	case s.Type == huma.TypeArray:
		t := typeOf(s.Items)
		t.Before = "list of " + t.Before
		return t
	case len(s.Enum) > 0:
		values := make([]string, len(s.Enum))
		for i, v := range s.Enum {
			values[i] = fmt.Sprint(v)
		}
		return docsType{Before: strings.Join(values, " | ")}
	case s.Type == huma.TypeObject:
		if of, ok := s.AdditionalProperties.(*huma.Schema); ok {
			t := typeOf(of)
			t.Before = "map of string to " + t.Before
			return t
		}
	case s.Format == "date-time":
		return docsType{Before: "time"}
	case s.Format == "binary":
		return docsType{Before: "bytes"}
	case s.Type == huma.TypeInteger:
		return docsType{Before: "integer"}
	}
	return docsType{Before: s.Type}
}

// curlExtras are what a call needs besides its path and its JSON body.
var curlExtras = map[string]string{
	"resolve":      " \\\n  -H 'Accept: text/plain'",
	"getBlob":      " \\\n  -o app.box",
	"appendUpload": " \\\n  -H 'Upload-Offset: 0' \\\n  -H 'Content-Type: application/octet-stream' \\\n  --data-binary @app.box",
	"listEvents":   " \\\n  -N -H 'Accept: text/event-stream'",
}

// curlQueries are queries that show what a lookup or a list is for.
var curlQueries = map[string]string{
	"resolve":       "?type=aws.ami&region=eu-west-1",
	"listArtifacts": "?namespace=cargomedia&limit=10",
	"listVersions":  "?offered=true",
}

func curl(path string, o *huma.Operation) string {
	for _, p := range o.Parameters {
		if p.In != "path" {
			continue
		}
		value := fmt.Sprint(p.Example)
		if p.Example == nil && p.Schema != nil && len(p.Schema.Examples) > 0 {
			value = fmt.Sprint(p.Schema.Examples[0])
		} else if p.Example == nil {
			value = "$" + strings.ToUpper(p.Name)
		}
		path = strings.Replace(path, "{"+p.Name+"}", value, 1)
	}
	var b strings.Builder
	b.WriteString("curl ")
	if o.Method != "GET" {
		b.WriteString("-X " + o.Method + " ")
	}
	if o.Metadata["needs"] != needNothing {
		b.WriteString("-H \"Authorization: Bearer $ALMANAC_TOKEN\" \\\n  ")
	}
	b.WriteString("\"$ALMANAC_ADDR" + path + curlQueries[o.OperationID] + "\"" + curlExtras[o.OperationID])
	if example, ok := bodyExamples[o.OperationID]; ok {
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, []byte(example), "  ", "  "); err != nil {
			panic(err) // a constant of this program
		}
		b.WriteString(" \\\n  -H 'Content-Type: application/json' -d '" + strings.TrimSpace(pretty.String()) + "'")
	}
	return b.String()
}
