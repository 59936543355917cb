package client

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/problem"
)

func unavailable(format string, args ...any) *registry.Error {
	return registry.Errorf(registry.Unavailable, format, args...)
}

// callError is the error of a call that failed. Causes of the library are not kept as such: they
// repeat URLs, which may be signed.
func (c *Client) callError(ctx context.Context, err error, t *tries) *registry.Error {
	if e, ok := errors.AsType[*registry.Error](err); ok {
		return e
	}
	if stopped := ctx.Err(); stopped != nil {
		return c.stopped(stopped, t.last)
	}
	trouble, answered := errors.AsType[*trouble](err)
	var e *registry.Error
	if answered {
		e = trouble.cause
	} else {
		e = c.unanswered(err)
	}
	switch {
	case t.once && t.unsure:
		e.Msg += "; it may have been done all the same: look before you repeat it"
	case answered && trouble.own:
		// The registry's own words are left as they are.
	case t.count > 1:
		e.Msg += fmt.Sprintf(" (tried %d times)", t.count)
	}
	return e
}

// stopped is the error of a call whose context ended. It wraps the context's error.
func (c *Client) stopped(err, last error) *registry.Error {
	e := unavailable("the call to the registry at %s was stopped", c.address)
	if errors.Is(err, context.DeadlineExceeded) {
		e = unavailable("the registry at %s did not answer in the time that was left", c.address)
	}
	if last != nil && !errors.Is(last, context.Canceled) && !errors.Is(last, context.DeadlineExceeded) {
		e.Msg += "; the last try: " + c.redact(cause(last))
	}
	e.Err = err
	return e
}

// unanswered tells apart why a request got no answer.
func (c *Client) unanswered(err error) *registry.Error {
	text := c.redact(cause(err))
	op, _ := errors.AsType[*net.OpError](err)
	if _, ok := errors.AsType[*refusedRedirect](err); ok {
		return unavailable("the registry at %s cannot be called: %s", c.address, text)
	}
	if op != nil && op.Op == "proxyconnect" {
		return unavailable("the HTTP proxy on the way to the registry at %s does not answer: %s; see HTTPS_PROXY, HTTP_PROXY and NO_PROXY in the environment", c.address, text)
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return unavailable("the registry at %s cannot be found: %s", c.address, text)
	}
	switch {
	case errors.Is(err, http.ErrSchemeMismatch):
		return unavailable("the server at %s does not speak TLS; if it is the registry, its address begins with http://", c.address)
	case isTLS(err):
		if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
			text += "; if it is your own authority, add its certificate to those that this machine trusts (or name it in SSL_CERT_FILE)"
		}
		return unavailable("no trusted connection to the registry at %s: %s", c.address, text)
	}
	return unavailable("the registry at %s does not answer: %s", c.address, text)
}

// cause puts into words why a request got no answer, without URLs.
func cause(err error) string {
	if t, ok := errors.AsType[*trouble](err); ok {
		return t.short
	}
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if r, ok := errors.AsType[*refusedRedirect](err); ok {
		return r.Error()
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		switch {
		case dns.IsNotFound:
			return fmt.Sprintf("the host name %q does not exist", dns.Name)
		case dns.IsTimeout:
			return fmt.Sprintf("nobody answers who knows the host name %q", dns.Name)
		}
		return fmt.Sprintf("looking up the host name %q failed: %s", dns.Name, dns.Err)
	}
	if isTLS(err) {
		return strings.TrimPrefix(err.Error(), "tls: ")
	}
	timeout, ok := errors.AsType[net.Error](err)
	switch {
	case errors.Is(err, errStalled):
		return errStalled.Error()
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the connection was reset"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was closed in the middle"
	case ok && timeout.Timeout():
		return "it takes too long"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err.Error()
	}
	return err.Error()
}

// refusal is the error that an answer with an error status stands for: the registry's own, or what a
// proxy or a foreign server means by it.
func (c *Client) refusal(resp *http.Response, body []byte) (e *registry.Error, own bool) {
	if mediaType(resp) == problem.ContentType {
		var p problem.Problem
		if json.Unmarshal(body, &p) == nil {
			p.Status = cmp.Or(p.Status, resp.StatusCode)
			return c.redacted(p.Err()), true
		}
	}
	return c.foreign(resp, body), false
}

// foreign is the error for an answer with an error status that no Almanac registry gives.
func (c *Client) foreign(resp *http.Response, body []byte) *registry.Error {
	switch {
	case resp.StatusCode < 400 && resp.Header.Get("Location") != "":
		to := "elsewhere"
		if u, err := resp.Location(); err == nil {
			to = "to " + place(u)
		}
		return unavailable("the registry at %s cannot be called: it redirects %s; if the registry has moved there, change the address", c.address, c.redact(to))
	case resp.StatusCode == http.StatusRequestEntityTooLarge:
		return registry.Errorf(registry.TooLarge, "a proxy in front of the registry at %s refuses bodies of this size; raise its limit (client_max_body_size in nginx)", c.address)
	case passingStatus(resp.StatusCode):
		return unavailable("the registry at %s is not available: the server in front of it answers %s", c.address, statusText(resp))
	case resp.StatusCode == http.StatusBadRequest && strings.Contains(string(body), "HTTP request to an HTTPS server"):
		return unavailable("the server at %s speaks TLS; if it is the registry, its address begins with https://", c.address)
	}
	return unavailable("the server at %s is not an Almanac registry: it answers %s with %s; check the address, and its path if the registry is behind a reverse proxy",
		c.address, c.redact(resp.Request.Method+" "+resp.Request.URL.Path), c.redact(contentText(resp)))
}

// contentText is the status of an answer and the type of its content.
func contentText(resp *http.Response) string {
	got := statusText(resp)
	if media := mediaType(resp); media != "" {
		got += " and " + media
	}
	return got
}

func statusText(resp *http.Response) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", resp.StatusCode, http.StatusText(resp.StatusCode)))
}

func mediaType(resp *http.Response) string {
	media, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return media
}

// redacted takes the token out of an error that a server sent: some echo what they were sent.
func (c *Client) redacted(e *registry.Error) *registry.Error {
	e.Msg = c.redact(e.Msg)
	for i, f := range e.Fields {
		e.Fields[i] = registry.FieldError{Field: c.redact(f.Field), Message: c.redact(f.Message)}
	}
	for i, choice := range e.Choices {
		e.Choices[i] = c.redact(choice)
	}
	return e
}
