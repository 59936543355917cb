package server

import (
	"bytes"
	"context"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/server/foreign"
)

// resolve is a plain handler, for it is what machines ask most: the answer comes from the service as it is
// sent, and there is nothing to decode that a query does not say itself.
func (s *Server) resolve(x *exchange, r *http.Request) error {
	query := x.query
	q := registry.Question{
		Type: query.Get("type"), Region: query.Get("region"), Provider: query.Get("provider"),
		Architecture: query.Get("arch"), Component: query.Get("component"),
	}
	for name, values := range query {
		if key, ok := strings.CutPrefix(name, "metadata."); ok {
			if q.Metadata == nil {
				q.Metadata = registry.Metadata{}
			}
			q.Metadata[key] = values[0]
		}
	}
	found, err := s.svc.ResolveJSON(r.Context(), r.PathValue("namespace")+"/"+r.PathValue("name"), r.PathValue("ref"), q)
	if err != nil {
		return err
	}
	media, body := jsonType, found.JSON
	if preferred(r.Header["Accept"], "application/json", "text/plain") == "text/plain" {
		if found.BareErr != nil {
			return found.BareErr
		}
		media, body = plainType, []byte(found.Bare+"\n")
	}
	if found.Revocation != nil {
		x.Header()["Warning"] = []string{foreign.RevokedWarning(found.Revocation.Reason)}
	}
	x.Header()["Content-Type"] = media
	x.held = bytes.NewBuffer(body)
	return nil
}

// resolveOperation describes the two forms of the answer and the open query parameters.
func resolveOperation(schemas huma.Registry) huma.Operation {
	o := op("resolve", "GET", "/v1/resolve/{namespace}/{name}/{ref}", tagLookups, needRead, "Look up a build or an image",
		"The one build that the ref and the parameters name. More than one that fits is a conflict that lists them, and a region that the version lacks is not found and lists the regions there are: no lookup takes the first of several or falls back to another region. With Accept: text/plain the answer is the bare id (of the one image, or the sha256 of the one file) and a newline. A revoked version is answered with a Warning header.")
	o.Responses = map[string]*huma.Response{"200": {Description: http.StatusText(http.StatusOK), Headers: map[string]*huma.Param{
		"Warning": {Description: `299 almanac "revoked: REASON", when the version is revoked.`, Schema: &huma.Schema{Type: huma.TypeString}},
	}, Content: map[string]*huma.MediaType{
		"application/json": {Schema: schemas.Schema(reflect.TypeFor[registry.Resolution](), true, "Resolution")},
		"text/plain":       {Schema: &huma.Schema{Type: huma.TypeString, Examples: []any{"ami-0abc1234\n"}}},
	}}}
	text := &huma.Schema{Type: huma.TypeString}
	o.Parameters = []*huma.Param{
		pathParameter("namespace", "First part of the artifact's name.", "cargomedia"),
		pathParameter("name", "Second part of the artifact's name.", "app"),
		pathParameter("ref", "Number, version, constraint, channel, fingerprint, or latest; percent-encoded.", "latest"),
		{Name: "type", In: "query", Description: "Type of the build; aliases are fine.", Schema: text, Example: "aws.ami"},
		{Name: "region", In: "query", Description: "Region of the image.", Schema: text, Example: "eu-west-1"},
		{Name: "arch", In: "query", Description: "Architecture of the build.", Schema: text, Example: "x86_64"},
		{Name: "provider", In: "query", Description: "Vagrant provider of a box, or provider of an image.", Schema: text},
		{Name: "component", In: "query", Description: "Packer source that made the build.", Schema: text, Example: "amazon-ebs.app"},
		{Name: "metadata.KEY", In: "query", Schema: text,
			Description: "Value that the build's full metadata must have under KEY, such as metadata.git=4f2a91c. May be given for several keys."},
	}
	return o
}

func pathParameter(name, description, example string) *huma.Param {
	return &huma.Param{Name: name, In: "path", Required: true, Description: description, Schema: &huma.Schema{Type: huma.TypeString}, Example: example}
}

type imagePath struct {
	Provider string `path:"provider" doc:"Provider of the image." example:"aws"`
	Region   string `path:"region" doc:"Region of the image." example:"eu-west-1"`
	ID       string `path:"id" doc:"The provider's id; may contain slashes." example:"ami-0abc1234"`
}

// imageUses is the body of an answer to what an image is.
type imageUses struct {
	Uses []registry.ImageUse `json:"uses" doc:"The newest version first, at most 100."`
}

func (s *Server) findImage(ctx context.Context, in *imagePath) (*body[imageUses], error) {
	uses, err := s.svc.ImageUses(ctx, in.Provider, in.Region, in.ID)
	return answer(imageUses{uses}, err)
}
