package server

import (
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/server/foreign"
)

// mountForeign mounts the routes of a protocol beside the native ones.
func (s *Server) mountForeign(p foreign.Protocol) {
	s.secretPaths = append(s.secretPaths, p.SecretPaths...)
	for _, f := range p.Routes {
		rt := &route{server: s, path: f.Path, open: f.Open, private: f.Private, token: anyToken, protocol: &p, handler: func(x *exchange, r *http.Request) error {
			err := f.Handle(x, r)
			if errors.Is(err, foreign.ErrNoRoute) {
				x.protocol, err = nil, errNoRoute()
			}
			return err
		}}
		if f.Basic {
			rt.token, rt.basic = basicOrBearer, true
		}
		if f.Query != nil {
			rt.knows(f.Query)
		}
		mux := s.mux
		if strings.HasPrefix(f.Path, "/{") {
			mux = s.named
		}
		mux.HandleFunc(f.Method+" "+f.Path, rt.serve)
	}
}

// BaseURL implements [foreign.Host].
func (s *Server) BaseURL(r *http.Request) string {
	if s.opts.URL != "" {
		return s.opts.URL
	}
	scheme, host := "http", r.Host
	if r.TLS != nil {
		scheme = "https"
	}
	if s.opts.BehindProxy {
		if proto := firstValue(r, "X-Forwarded-Proto"); proto == "http" || proto == "https" {
			scheme = proto
		}
		if forwarded := firstValue(r, "X-Forwarded-Host"); CheckURL("http://"+forwarded) == nil {
			host = strings.TrimSuffix(forwarded, "/")
		}
	}
	return scheme + "://" + host
}

// firstValue is what the proxy that is the nearest to the client says.
func firstValue(r *http.Request, header string) string {
	first, _, _ := strings.Cut(r.Header.Get(header), ",")
	return strings.ToLower(strings.TrimSpace(first))
}

// ReadBody implements [foreign.Host].
func (s *Server) ReadBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	return readBody(w.(*exchange), r, limit)
}

// SendJSON implements [foreign.Host].
func (s *Server) SendJSON(w http.ResponseWriter, _ *http.Request, status int, v any) error {
	x := w.(*exchange)
	x.hold() // the route releases it
	x.Header()["Content-Type"] = jsonType
	x.WriteHeader(status)
	return writeJSON(x, v)
}

// SendFile implements [foreign.Host].
func (s *Server) SendFile(w http.ResponseWriter, r *http.Request, blob registry.Blob) {
	x := w.(*exchange)
	h := x.Header()
	send := func(r *http.Request) bool {
		h["Etag"] = fileTag(blob.Digest)
		h["Cache-Control"] = revalidate
		h["Content-Type"] = bytesType
		h["Vary"] = []string{"Authorization"}
		return x.sendFile(r, blob)
	}
	if send(r) {
		return
	}
	r = r.Clone(r.Context())
	r.Header.Del("Range")
	delete(h, "Content-Range") // of the refusal
	send(r)
}

// Receive implements [foreign.Host].
func (s *Server) Receive(w http.ResponseWriter, r *http.Request, take func(io.Reader) error) error {
	x := w.(*exchange)
	in := s.receive(x, r)
	err := take(in)
	in.done()
	s.metrics.uploaded.Add(float64(in.read))
	if err != nil && in.err != nil {
		return uploadBroken(in.err, s.opts.StallTimeout, "nothing of it is kept, send it again")
	}
	return err
}
