package server

import (
	"net/http"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func (s *Server) healthz(x *exchange, _ *http.Request) error {
	return x.text("text/plain; charset=utf-8", []byte("ok\n"))
}

func (s *Server) readyz(x *exchange, r *http.Request) error {
	select {
	case <-s.draining:
		return registry.Errorf(registry.Unavailable, "the server is shutting down")
	default:
	}
	if err := s.svc.Ready(r.Context()); err != nil {
		return &registry.Error{Kind: registry.Unavailable, Msg: "a store is not available; the log says why", Err: err}
	}
	return x.text("text/plain; charset=utf-8", []byte("ready\n"))
}

func (s *Server) serveMetrics(x *exchange, r *http.Request) error {
	s.metrics.handler.ServeHTTP(x, r)
	return nil
}

func (s *Server) serveOpenAPI(x *exchange, r *http.Request) error {
	x.hold()
	return x.text("application/json", s.openAPI)
}

func (s *Server) serveDocs(x *exchange, r *http.Request) error {
	x.hold()
	x.Header()["Content-Security-Policy"] = []string{docsPolicy}
	return x.text("text/html; charset=utf-8", s.docs)
}

// toDocs sends a person who knows no more than the registry's address to the page that explains it.
func toDocs(x *exchange, _ *http.Request) error {
	x.Header().Set("Location", "/docs")
	x.WriteHeader(http.StatusSeeOther)
	return nil
}

func (x *exchange) text(media string, body []byte) error {
	x.Header()["Content-Type"] = []string{media}
	// An error means that the client is gone.
	_, _ = x.Write(body)
	return nil
}
