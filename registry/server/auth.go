package server

import (
	"net/http"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// bearer reads the secret out of the Authorization header (RFC 6750, 2.1). No header is "" without
// an error; one that is not "Bearer" and a token is Unauthorized.
func bearer(r *http.Request) (string, error) {
	values := r.Header["Authorization"]
	switch len(values) {
	case 0:
		return "", nil
	case 1:
		return parseBearer(values[0])
	}
	return "", registry.Errorf(registry.Unauthorized, "there are %d Authorization headers; send one: Authorization: Bearer TOKEN", len(values))
}

func parseBearer(value string) (string, error) {
	scheme, token, _ := strings.Cut(value, " ")
	token = strings.TrimLeft(token, " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" || strings.ContainsFunc(token, notToken68) {
		return "", registry.Errorf(registry.Unauthorized, "the Authorization header must be: Bearer TOKEN")
	}
	return token, nil
}

// notToken68 finds what a token cannot contain (RFC 9110, 11.2).
func notToken68(c rune) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.ContainsRune("-._~+/=", c):
		return false
	}
	return true
}

// anyToken reads the secret out of wherever the clients of other registries put it.
func anyToken(r *http.Request) (string, error) {
	if secret, err := bearer(r); err != nil || secret != "" {
		return secret, err
	}
	if secret := r.Header.Get("X-Atlas-Token"); secret != "" {
		return secret, nil
	}
	return r.URL.Query().Get("access_token"), nil
}

// basicOrBearer reads the secret out of the Authorization header, where it is the password of Basic (RFC 7617) or a
// Bearer token. No header is "" without an error.
func basicOrBearer(r *http.Request) (string, error) {
	values := r.Header["Authorization"]
	if len(values) == 1 {
		if scheme, _, _ := strings.Cut(values[0], " "); strings.EqualFold(scheme, "Bearer") {
			return parseBearer(values[0])
		}
		if _, secret, ok := r.BasicAuth(); ok && secret != "" {
			return secret, nil
		}
	}
	if len(values) > 0 {
		return "", registry.Errorf(registry.Unauthorized, "the Authorization header must be there once, as Basic with the token as the password, or as: Bearer TOKEN")
	}
	return "", nil
}

// authenticate returns the request with its caller in the context. A token that is not valid is
// refused also where none is needed: its owner would otherwise take it for a good one.
func (s *Server) authenticate(x *exchange, r *http.Request, find func(*http.Request) (string, error)) (*http.Request, error) {
	secret, err := find(r)
	if err != nil || secret == "" {
		return r, err
	}
	p, err := s.svc.Authenticate(r.Context(), secret)
	if err != nil {
		return r, err
	}
	x.token = p.Name
	return r.WithContext(registry.WithPrincipal(r.Context(), p)), nil
}
