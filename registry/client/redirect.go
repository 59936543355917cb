package client

import (
	"fmt"
	"net/http"
	"net/url"
)

const maxRedirects = 10

// refusedRedirect is a redirect that would change what a request means or where the token goes.
type refusedRedirect struct {
	to     string // without query: it may be signed
	reason string
}

func (r *refusedRedirect) Error() string {
	return fmt.Sprintf("it redirects to %s, %s", r.to, r.reason)
}

// checkRedirect follows a redirect that keeps the method and the origin. To another origin it follows
// reads of blobs only, which a registry may keep elsewhere, and without the token. A method that
// becomes GET would let a write look done.
func (c *Client) checkRedirect(req *http.Request, via []*http.Request) error {
	first := via[0]
	refuse := func(reason string) error { return &refusedRedirect{to: place(req.URL), reason: reason} }
	switch {
	case len(via) > maxRedirects:
		return refuse(fmt.Sprintf("after %d redirects before", maxRedirects))
	case sameOrigin(first.URL, req.URL) && req.Method == first.Method:
		return nil
	case !sameOrigin(first.URL, req.URL) && (!mayLeave(first) || isUpgrade(first.URL, req.URL)):
		return refuse("which is another server; if the registry has moved there, change the address")
	case req.Method != first.Method:
		return refuse(fmt.Sprintf("which would turn the %s into a %s; the proxy in front of the registry must use the status 308 instead", first.Method, req.Method))
	case first.URL.Scheme == "https" && req.URL.Scheme != "https":
		return refuse("which is not encrypted")
	}
	req.Header.Del("Authorization")
	req.Header.Del("Referer")
	return nil
}

type leaveKey struct{}

// mayLeave says whether a request was made by someone who checks what comes back by its digest.
func mayLeave(req *http.Request) bool {
	return req.Context().Value(leaveKey{}) != nil
}

// isUpgrade says whether a redirect leads from http to https at the same host. That is the registry
// itself, which would miss the token.
func isUpgrade(from, to *url.URL) bool {
	return from.Hostname() == to.Hostname() && from.Scheme == "http" && to.Scheme == "https"
}

func sameOrigin(a, b *url.URL) bool { return origin(a) == origin(b) }

func origin(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme + "://" + u.Hostname() + ":" + port
}

// place is a URL without what may be secret in it.
func place(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
