package server

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/server/foreign"
)

// handler answers one request. It may return an error as long as it has written nothing.
type handler func(x *exchange, r *http.Request) error

// route is one method and path: what is checked before its handler runs.
type route struct {
	server *Server
	path   string
	// open routes are for everybody, and look at no token: probes must work while the store is away.
	open bool
	// private routes are of no use without a token. Nothing else of a request without one is looked
	// at, its body least of all.
	private bool
	// token finds the caller's secret in a request; nil is bearer.
	token func(*http.Request) (string, error)
	// basic routes ask for a password where a token is needed.
	basic bool
	// held answers go out when they are whole, with an ETag.
	held bool
	// body says what is done about the request's body before the handler runs.
	body    func(*exchange, *http.Request) error
	strict  bool     // other query parameters are refused
	params  []string // query parameters
	known   string   // which these are, for people
	prefix  string   // of the query parameters whose names are open, such as "metadata."
	handler handler
	// protocol is nil for the native API.
	protocol *foreign.Protocol
}

func (s *Server) mount(op *huma.Operation, rt *route) {
	rt.server, rt.path = s, op.Path
	needs := op.Metadata["needs"]
	rt.private = needs != needNothing && needs != needRead
	s.operations = append(s.operations, op)
	var query []string
	for _, p := range op.Parameters {
		if p.In == "query" {
			query = append(query, p.Name)
		}
	}
	rt.knows(query)
	s.mux.HandleFunc(op.Method+" "+op.Path, rt.serve)
}

// knows says which query parameters the route has. All others are refused.
func (rt *route) knows(params []string) {
	rt.strict = true
	for _, name := range params {
		if prefix, ok := strings.CutSuffix(name, ".KEY"); ok {
			rt.prefix = prefix + "."
		} else {
			rt.params = append(rt.params, name)
		}
	}
	rt.known = rt.knownParams()
}

func (rt *route) serve(w http.ResponseWriter, r *http.Request) {
	x := w.(*exchange)
	x.route, x.quiet, x.protocol, x.basic = rt.path, rt.open && rt.protocol == nil, rt.protocol, rt.basic
	r, err := rt.admit(x, r)
	if err == nil {
		if rt.held {
			x.hold()
		}
		err = rt.handler(x, r)
	}
	if err != nil {
		x.fail(r, err)
		return
	}
	x.release(r)
}

// admit checks who asks, and that the request says nothing that the handler would not hear.
func (rt *route) admit(x *exchange, r *http.Request) (*http.Request, error) {
	if !rt.open {
		find := bearer
		if rt.token != nil {
			find = rt.token
		}
		var err error
		if r, err = rt.server.authenticate(x, r, find); err != nil {
			return r, err
		}
	}
	if rt.private && registry.PrincipalFrom(r.Context()).Anonymous() {
		return r, registry.NoToken()
	}
	if r.URL.RawQuery != "" && !rt.open && rt.strict {
		var err error
		if x.query, err = rt.checkQuery(r.URL.RawQuery); err != nil {
			return r, err
		}
	}
	if rt.body != nil {
		return r, rt.body(x, r)
	}
	return r, nil
}

// checkQuery reads a query, and refuses what would be overheard: a misspelt "regoin" must not widen a lookup, and
// neither must "region=" out of a script whose variable is empty.
func (rt *route) checkQuery(raw string) (url.Values, error) {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return nil, badRequest("the query cannot be read: it must be name=value pairs, joined by & and percent-encoded",
			registry.FieldError{Field: "query", Message: clip(err.Error())})
	}
	var wrong []string
	for name, values := range query {
		if rt.mistake(name, values) != "" {
			wrong = append(wrong, name)
		}
	}
	slices.Sort(wrong)
	var found mistakes
	for _, name := range wrong {
		found.add(func() registry.FieldError {
			return registry.FieldError{Field: clip(name), Message: rt.mistake(name, query[name])}
		})
	}
	return query, found.err()
}

// mistake says what is wrong with a query parameter; "" is nothing.
func (rt *route) mistake(name string, values []string) string {
	open := rt.prefix != "" && len(name) > len(rt.prefix) && strings.HasPrefix(name, rt.prefix)
	switch {
	case !open && !slices.Contains(rt.params, name):
		return "is not a query parameter of this request" + rt.known
	case len(values) > 1:
		return fmt.Sprintf("is there %d times; give it once", len(values))
	case values[0] == "" && !open:
		return "is empty; give it a value or leave it out"
	case !utf8.ValidString(name) || !utf8.ValidString(values[0]) || strings.Contains(name, "\x00") || strings.Contains(values[0], "\x00"):
		return "is not valid UTF-8, or has a NUL"
	}
	return ""
}

func (rt *route) knownParams() string {
	known := slices.Clone(rt.params)
	if rt.prefix != "" {
		known = append(known, rt.prefix+"KEY")
	}
	if len(known) == 0 {
		return "; it has none"
	}
	return "; it has " + strings.Join(known, ", ")
}

// adapter mounts huma's operations as routes of a server.
type adapter struct{ server *Server }

// Handle implements [huma.Adapter].
func (a adapter) Handle(op *huma.Operation, handle func(huma.Context)) {
	rt := &route{held: true, handler: func(x *exchange, r *http.Request) error {
		handle(humago.NewContext(op, r, x))
		return nil
	}}
	switch {
	case op.RequestBody != nil:
		expected := shape{a.server.api.OpenAPI().Components.Schemas, op.RequestBody.Content[jsonType[0]].Schema}
		rt.body = func(x *exchange, r *http.Request) error { return readJSON(x, r, expected) }
	case op.Method == http.MethodPost || op.Method == http.MethodPut:
		rt.body = func(_ *exchange, r *http.Request) error { return noBody(r) }
	}
	a.server.mount(op, rt)
}

// ServeHTTP implements [huma.Adapter].
func (a adapter) ServeHTTP(w http.ResponseWriter, r *http.Request) { a.server.ServeHTTP(w, r) }

// format is JSON, for bodies and for problems alike.
var format = huma.Format{
	Marshal:   writeJSON,
	Unmarshal: json.Unmarshal,
}

func writeJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
