// Package faultproxy puts trouble between a client and a registry: a reverse proxy on 127.0.0.1 that
// counts the requests which pass it and spoils the ones that a test names.
//
//	p := faultproxy.New(t, server.URL)
//	p.Fail(4, faultproxy.ResetAfter())       // the fourth request is carried out, its answer lost
//	p.FailFrom(6, faultproxy.Answer(503))    // the registry is away from the sixth on
//	… a client that talks to p.URL …
//	for _, r := range p.Requests() { t.Log(r.Method, r.Path, r.Fault) }
//
// [All] lists a fault of every sort, so that a test can loop over them.
package faultproxy

import (
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"testing"
)

// Request is one that reached the proxy.
type Request struct {
	Method string
	// Path is escaped, as it was sent, without the query.
	Path string
	// Fault is the name of the fault that the request met; "" is none.
	Fault string
}

// Proxy forwards to one target. Its methods may be called while requests pass.
type Proxy struct {
	// URL is where it listens, such as http://127.0.0.1:40123.
	URL string

	forward *httputil.ReverseProxy

	mu       sync.Mutex
	requests []Request
	once     map[int]Fault
	from     map[int]Fault
}

// New starts a proxy in front of a base URL, which stops when the test ends.
func New(t testing.TB, target string) *Proxy {
	t.Helper()
	to, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	// A connection for each request: one that the registry closed meanwhile must not look like a fault.
	transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	p := &Proxy{once: map[int]Fault{}, from: map[int]Fault{}}
	p.forward = &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(to) },
		Transport:     transport,
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
		// A registry that cannot be reached through the proxy looks as it does without it.
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { reset(w) },
	}
	server := httptest.NewUnstartedServer(p)
	server.Config.ErrorLog = p.forward.ErrorLog
	server.Start()
	p.URL = server.URL
	t.Cleanup(func() {
		// Streams that nobody reads to their end would hold up Close.
		server.CloseClientConnections()
		server.Close()
		transport.CloseIdleConnections()
	})
	return p
}

// Fail has request n meet a fault, counted from 1 and from the last Reset.
func (p *Proxy) Fail(n int, f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.once[n] = f
}

// FailFrom has request n and all later ones meet a fault, except those that Fail or a later FailFrom
// names.
func (p *Proxy) FailFrom(n int, f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.from[n] = f
}

// Heal takes all faults away that were not met yet. Requests are counted on.
func (p *Proxy) Heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.once)
	clear(p.from)
}

// Reset takes all faults away and counts from 1 again.
func (p *Proxy) Reset() {
	p.Heal()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = nil
}

// Requests returns what reached the proxy since the last Reset, in the order of arrival.
func (p *Proxy) Requests() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.requests)
}

// ServeHTTP counts a request, and forwards it or does to it what its fault says.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := p.next(r)
	if f.spoil == nil {
		p.forward.ServeHTTP(w, r)
		return
	}
	f.spoil(p, w, r)
}

func (p *Proxy) next(r *http.Request) Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.requests) + 1
	f, ok := p.once[n]
	latest := 0
	for first, fault := range p.from {
		if !ok && first <= n && first > latest {
			f, latest = fault, first
		}
	}
	p.requests = append(p.requests, Request{Method: r.Method, Path: r.URL.EscapedPath(), Fault: f.name})
	return f
}
