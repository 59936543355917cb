package server

import (
	"context"
	"net/http"
	"reflect"
	"strings"
	"unicode"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

type resolveInput struct {
	VersionPath
	Type         string `query:"type" doc:"Type of the build; aliases are fine." example:"aws.ami"`
	Region       string `query:"region" doc:"Region of the image." example:"eu-west-1"`
	Architecture string `query:"arch" doc:"Architecture of the build." example:"x86_64"`
	Provider     string `query:"provider" doc:"Vagrant provider of a box, or provider of an image."`
	Component    string `query:"component" doc:"Packer source that made the build." example:"amazon-ebs.app"`

	metadata registry.Metadata
	plain    bool
}

// Resolve implements [huma.Resolver]: it reads what huma's tags cannot say.
func (in *resolveInput) Resolve(ctx huma.Context) []error {
	r, _ := humago.Unwrap(ctx)
	in.plain = preferred(r.Header["Accept"], "application/json", "text/plain") == "text/plain"
	if !strings.Contains(r.URL.RawQuery, "metadata.") {
		return nil
	}
	for name, values := range r.URL.Query() {
		if key, ok := strings.CutPrefix(name, "metadata."); ok {
			if in.metadata == nil {
				in.metadata = registry.Metadata{}
			}
			in.metadata[key] = values[0]
		}
	}
	return nil
}

type resolveOutput struct {
	ContentType string `header:"Content-Type" hidden:"true"`
	Warning     string `header:"Warning" doc:"299 almanac \"revoked: REASON\", when the version is revoked."`
	// Body is a Resolution, or the text of a plain answer.
	Body any
}

func (s *Server) resolve(ctx context.Context, in *resolveInput) (*resolveOutput, error) {
	res, err := s.svc.Resolve(ctx, in.artifact(), in.Ref, registry.Question{
		Type: in.Type, Region: in.Region, Provider: in.Provider, Architecture: in.Architecture,
		Component: in.Component, Metadata: in.metadata,
	})
	if err != nil {
		return nil, err
	}
	out := &resolveOutput{Warning: revokedWarning(res)}
	if in.plain {
		id, err := res.Bare()
		if err != nil {
			return nil, err
		}
		out.ContentType, out.Body = "text/plain; charset=utf-8", []byte(id+"\n")
		return out, nil
	}
	out.Body = res
	return out, nil
}

// revokedWarning is the value of a Warning header (RFC 7234, 5.5: code, agent, quoted text); "" when
// nothing is revoked at this time.
func revokedWarning(r registry.Resolution) string {
	if !r.Revoked {
		return ""
	}
	var text strings.Builder
	for _, c := range r.Revocation.Reason {
		switch {
		case c == '"' || c == '\\':
			text.WriteByte('\\')
			text.WriteRune(c)
		case unicode.IsControl(c):
			text.WriteByte(' ')
		default:
			text.WriteRune(c)
		}
	}
	return `299 almanac "revoked: ` + text.String() + `"`
}

// resolveOperation describes the two forms of the answer and the open query parameters.
func resolveOperation(schemas huma.Registry) huma.Operation {
	o := op("resolve", "GET", "/v1/resolve/{namespace}/{name}/{ref}", tagLookups, needRead, "Look up a build or an image",
		"The one build that the ref and the parameters name. More than one that fits is a conflict that lists them, and a region that the version lacks is not found and lists the regions there are: no lookup takes the first of several or falls back to another region. With Accept: text/plain the answer is the bare id (of the one image, or the sha256 of the one file) and a newline. A revoked version is answered with a Warning header.")
	o.Responses = map[string]*huma.Response{"200": {Description: http.StatusText(http.StatusOK), Content: map[string]*huma.MediaType{
		"application/json": {Schema: schemas.Schema(reflect.TypeFor[registry.Resolution](), true, "Resolution")},
		"text/plain":       {Schema: &huma.Schema{Type: huma.TypeString, Examples: []any{"ami-0abc1234\n"}}},
	}}}
	o.Parameters = []*huma.Param{{
		Name: "metadata.KEY", In: "query", Schema: &huma.Schema{Type: huma.TypeString},
		Description: "Value that the build's full metadata must have under KEY, such as metadata.git=4f2a91c. May be given for several keys.",
	}}
	return o
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
