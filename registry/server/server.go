package server

import (
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/server/atlas"
	"github.com/cargomedia/packer-plugin-almanac/registry/server/terraform"
	"github.com/cargomedia/packer-plugin-almanac/registry/server/vagrant"
)

// Options configure a [Server]. The zero value is usable.
type Options struct {
	// Version is shown in the API's description and in the metrics; "dev" if empty.
	Version string
	// Logger gets one line per request, and the causes of what fails; nothing is logged if nil.
	Logger *slog.Logger
	// StallTimeout ends a transfer of bytes that makes no progress for so long; 0 is a minute.
	StallTimeout time.Duration
	// EventPoll is how often a stream of events looks for new ones, and whether its token is still
	// valid; 0 is a second.
	EventPoll time.Duration
	// Heartbeat is how often an idle stream of events sends a comment; 0 is 15 seconds.
	Heartbeat time.Duration
	// URL is where clients reach the server, such as https://almanac.example.com ([CheckURL] says what it can be). It is
	// for the protocols that need whole addresses; if empty, they get what the request was sent to.
	URL string
	// BehindProxy trusts X-Forwarded-Proto and X-Forwarded-Host to say what the request was sent to.
	BehindProxy bool
}

// Server answers the registry's HTTP requests. It is an [http.Handler]; [Server.Serve] runs it with
// the timeouts and the shutdown that it needs.
type Server struct {
	svc     *registry.Service
	opts    Options
	log     *slog.Logger
	mux     *http.ServeMux
	api     huma.API
	metrics *metrics

	operations []*huma.Operation // in the order of the routes
	openAPI    []byte
	docs       []byte
	// named has the routes that begin with a namespace. They come after all others: in one mux, no other protocol could
	// have all that is below its own first segment.
	named *http.ServeMux
	// secretPaths are those of the foreign protocols.
	secretPaths []string

	drain    sync.Once
	draining chan struct{}
}

// New returns a server over a service.
func New(svc *registry.Service, opts Options) *Server {
	if opts.Version == "" {
		opts.Version = "dev"
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&opts.StallTimeout, time.Minute}, {&opts.EventPoll, time.Second}, {&opts.Heartbeat, 15 * time.Second}} {
		if *d.field <= 0 {
			*d.field = d.value
		}
	}
	s := &Server{
		svc: svc, opts: opts, log: opts.Logger,
		mux: http.NewServeMux(), named: http.NewServeMux(), metrics: newMetrics(opts.Version), draining: make(chan struct{}),
	}
	s.api = newAPI(s)
	s.opts.URL = strings.TrimSuffix(s.opts.URL, "/")
	s.routes()
	s.mountForeign(vagrant.New(svc, s))
	s.mountForeign(atlas.New(svc, s))
	s.mountForeign(terraform.New(svc, s))
	s.mux.HandleFunc("/", s.noRoute)
	finishOpenAPI(s.api.OpenAPI(), s.operations)
	s.openAPI = renderOpenAPI(s.api.OpenAPI())
	s.docs = renderDocs(s.api.OpenAPI(), s.operations)
	return s
}

// Drain makes /readyz answer 503 and ends the streams of events, so that a server that is about to
// stop gets no new work. Calling it again changes nothing.
func (s *Server) Drain() { s.drain.Do(func() { close(s.draining) }) }

// Headers of every answer. The slices are shared by all answers: nobody may change them in place.
var (
	noSniff       = []string{"nosniff"}
	noReferrer    = []string{"no-referrer"}
	sameOrigin    = []string{"same-origin"}
	nothingLoads  = []string{"default-src 'none'; frame-ancestors 'none'"}
	noStore       = []string{"no-store"}
	revalidate    = []string{"private, no-cache"}
	variesBy      = []string{"Accept, Authorization"}
	jsonType      = []string{"application/json"}
	plainType     = []string{"text/plain; charset=utf-8"}
	problemType   = []string{"application/problem+json"}
	bytesType     = []string{"application/octet-stream"}
	neverChanging = []string{"private, max-age=31536000, immutable"}
)

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{ResponseWriter: w, server: s, id: requestID(r), start: time.Now()}
	s.metrics.inFlight.Inc()
	defer x.end(r)
	h := w.Header()
	h["X-Request-Id"] = []string{x.id}
	h["X-Content-Type-Options"] = noSniff
	h["Referrer-Policy"] = noReferrer
	h["Cross-Origin-Resource-Policy"] = sameOrigin
	h["Content-Security-Policy"] = nothingLoads
	h["Cache-Control"] = noStore
	if err := checkPath(r); err != nil {
		x.fail(r, err)
		return
	}
	s.mux.ServeHTTP(x, atlasRoot(r))
}

// atlasRoot drops what stands twice: Packer's manual gave the address of Atlas as one that ends in /api/v1, to which its
// clients add that themselves.
func atlasRoot(r *http.Request) *http.Request {
	const root = "/api/v1"
	path, twice := strings.CutPrefix(r.URL.Path, root+root+"/")
	if !twice {
		return r
	}
	at := *r.URL
	at.Path, at.RawPath = root+"/"+path, strings.TrimPrefix(at.RawPath, root)
	once := r.WithContext(r.Context())
	once.URL = &at
	return once
}

// checkPath refuses paths that the mux would redirect to another one: a client that follows would
// ask for something that it did not name.
func checkPath(r *http.Request) error {
	path := r.URL.EscapedPath()
	switch {
	case !utf8.ValidString(r.URL.Path) || strings.Contains(r.URL.Path, "\x00"):
		return badRequest("the path is not valid UTF-8, or has a NUL", registry.FieldError{Field: "path", Message: "must be UTF-8 without NUL"})
	case !strings.HasPrefix(path, "/") || strings.Contains(path, "//") || strings.Contains(path, "/./") || strings.Contains(path, "/../") ||
		strings.HasSuffix(path, "/.") || strings.HasSuffix(path, "/.."):
		return badRequest("the path has an empty part, '.' or '..'; a slash within a value is written %2F", registry.FieldError{Field: "path", Message: "must not have empty parts, '.' or '..'"})
	}
	return nil
}

var methods = []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}

// noRoute answers what no route matches: 405 where the path exists with another method, else 404.
func (s *Server) noRoute(w http.ResponseWriter, r *http.Request) {
	if _, pattern := s.named.Handler(r); pattern != "" {
		s.named.ServeHTTP(w, r)
		return
	}
	x := w.(*exchange)
	var allow []string
	for _, method := range methods {
		probe := r.WithContext(r.Context())
		probe.Method = method
		_, pattern := s.mux.Handler(probe)
		_, named := s.named.Handler(probe)
		if pattern != "/" || named != "" {
			allow = append(allow, method)
		}
	}
	if len(allow) == 0 {
		x.fail(r, errNoRoute())
		return
	}
	x.Header().Set("Allow", strings.Join(allow, ", "))
	x.fail(r, withStatus(http.StatusMethodNotAllowed, &registry.Error{
		Kind: registry.Invalid, Msg: "this path does not know the method " + clip(r.Method) + "; it knows " + strings.Join(allow, ", "), Choices: allow,
	}))
}

func errNoRoute() error {
	return registry.Errorf(registry.NotFound, "there is nothing at this path; /docs lists what there is")
}

// clip shortens what a caller sent for an error text.
func clip(s string) string {
	const most = 80
	s = strings.ToValidUTF8(s, "\uFFFD")
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}
