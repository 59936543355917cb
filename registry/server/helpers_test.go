package server_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry/problem"
)

// caller sends requests with one token and gives whole answers back.
type caller struct {
	url, token string
}

type reply struct {
	status int
	header http.Header
	body   string
}

func as(s *servertest.Server, token string) caller { return caller{s.URL, token} }

// send makes a request. Headers are pairs; a body is sent as JSON unless they say otherwise.
func (c caller) send(t *testing.T, method, path, body string, headers ...string) reply {
	t.Helper()
	var r io.Reader
	if body != "" {
		r = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, c.url+path, r)
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i+1] == "" {
			req.Header.Del(headers[i])
			continue
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	// Redirects would hide what the server says.
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(got)}
}

func (c caller) get(t *testing.T, path string, headers ...string) reply {
	t.Helper()
	return c.send(t, "GET", path, "", headers...)
}

// ok fails the test unless the answer is a success.
func (r reply) ok(t *testing.T) reply {
	t.Helper()
	if r.status < 200 || r.status > 299 {
		t.Fatalf("got %d %s", r.status, r.body)
	}
	return r
}

// problem reads the answer as one, and holds it to the form that every problem has.
func (r reply) problem(t *testing.T, status int) problem.Problem {
	t.Helper()
	var p problem.Problem
	if r.status != status || r.header.Get("Content-Type") != problem.ContentType {
		t.Fatalf("got %d %s %s, want a problem with the status %d", r.status, r.header.Get("Content-Type"), r.body, status)
	}
	if err := json.Unmarshal([]byte(r.body), &p); err != nil {
		t.Fatalf("%v: %s", err, r.body)
	}
	if p.Status != status || p.Title != http.StatusText(status) || p.Detail == "" || p.Kind == "" || p.RequestID != r.header.Get("X-Request-Id") {
		t.Errorf("the problem does not fit its answer (request id %s): %s", r.header.Get("X-Request-Id"), r.body)
	}
	return p
}

// fields returns the names of the problem's fields.
func fields(p problem.Problem) []string {
	var names []string
	for _, f := range p.Fields {
		names = append(names, f.Field)
	}
	return names
}

func decode[T any](t *testing.T, r reply) T {
	t.Helper()
	var v T
	dec := json.NewDecoder(bytes.NewReader([]byte(r.body)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil {
		t.Fatalf("%v: %s", err, r.body)
	}
	return v
}

// publication is an AMI build in two regions.
func publication(fingerprint, component string, extra ...string) string {
	return `{"fingerprint":"` + fingerprint + `",` + strings.Join(extra, "") + `"build":{"component":"` + component + `","type":"aws.ami","architecture":"x86_64","images":[` +
		`{"provider":"aws","region":"eu-west-1","id":"ami-0e1"},{"provider":"aws","region":"us-east-1","id":"ami-0u1"}]}}`
}

const appPath = "/v1/artifacts/cargomedia/app"

// servertestHandler serves a handler as it is.
func servertestHandler(t *testing.T, h http.Handler) *servertest.Server {
	t.Helper()
	web := httptest.NewServer(h)
	t.Cleanup(web.Close)
	return &servertest.Server{URL: web.URL}
}
