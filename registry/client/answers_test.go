package client_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// closedAddress is one at which nobody listens.
func closedAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

func TestErrorsTellApartWhyNothingAnswers(t *testing.T) {
	page := func(code int, contentType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(code)
			_, _ = w.Write([]byte(body))
		}
	}
	tlsServer := httptest.NewUnstartedServer(page(200, "application/json", "{}"))
	tlsServer.Config.ErrorLog = log.New(io.Discard, "", 0)
	tlsServer.StartTLS()
	t.Cleanup(tlsServer.Close)
	plain := serve(t, page(200, "application/json", "{}"))
	closed := closedAddress(t)

	for _, tc := range []struct {
		name, address string
		want          []string
	}{
		{"connection refused", closed, []string{"the registry at " + closed + " does not answer: connection refused (tried 4 times)"}},
		{"certificate of an unknown authority", tlsServer.URL, []string{"no trusted connection to the registry at " + tlsServer.URL, "unknown authority", "SSL_CERT_FILE"}},
		{"https to a server without TLS", strings.Replace(plain, "http:", "https:", 1), []string{"does not speak TLS", "http://"}},
		{"http to a server with TLS", strings.Replace(tlsServer.URL, "https:", "http:", 1), []string{"speaks TLS", "https://"}},
		{"a web page", serve(t, page(200, "text/html; charset=utf-8", "<html>")), []string{"is not an Almanac registry", "GET /v1/artifacts/a/b with 200 OK and text/html"}},
		{"404 of a proxy", serve(t, page(404, "text/plain", "404 page not found")), []string{"is not an Almanac registry", "404 Not Found"}},
		{"JSON error of another API", serve(t, page(404, "application/json", `{"message":"no Route matched"}`)), []string{"is not an Almanac registry", "404 Not Found and application/json"}},
		{"JSON of another API", serve(t, page(200, "application/json", `{"status":"ok"}`)), []string{"is not an Almanac registry"}},
		{"broken JSON", serve(t, page(200, "application/json", `{"name":`)), []string{"is not an Almanac registry"}},
		{"login of a proxy", serve(t, page(401, "text/html", "sign in")), []string{"is not an Almanac registry", "401 Unauthorized"}},
		{"failure without a problem", serve(t, page(500, "text/html", "oops")), []string{"is not available", "500 Internal Server Error (tried 4 times)"}},
		{"no backend behind the proxy", serve(t, page(503, "text/html", "oops")), []string{"is not available", "503 Service Unavailable"}},
		{"endless answer", serve(t, page(200, "application/json", strings.Repeat(" ", 64<<20+1))), []string{"more than 64 MiB"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := newClient(t, quick(tc.address)).Artifact(t.Context(), "a/b")
			wantError(t, err, registry.Unavailable, tc.want...)
		})
	}
}

func TestUnknownHostIsNamedAndNotRepeated(t *testing.T) {
	tries := 0
	o := quick("https://almanac.example.invalid")
	o.HTTP = &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		tries++
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: &net.DNSError{Err: "no such host", Name: "almanac.example.invalid", IsNotFound: true}}
	}}}
	_, err := newClient(t, o).Artifact(t.Context(), "a/b")
	wantError(t, err, registry.Unavailable, `the registry at https://almanac.example.invalid cannot be found: the host name "almanac.example.invalid" does not exist`)
	if tries != 1 {
		t.Errorf("%d tries", tries)
	}
}

func TestProxyOnTheWayIsNamed(t *testing.T) {
	o := quick("https://almanac.example.com")
	o.HTTP = &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		return nil, &net.OpError{Op: "proxyconnect", Net: "tcp", Err: errors.New("connection refused")}
	}}}
	_, err := newClient(t, o).Artifact(t.Context(), "a/b")
	wantError(t, err, registry.Unavailable, "the HTTP proxy on the way", "HTTPS_PROXY")
}

func TestBodyLimitOfAProxyIsNamed(t *testing.T) {
	url := serve(t, status(413, "Content-Type", "text/html"))
	wantError(t, publish(t.Context(), newClient(t, quick(url))), registry.TooLarge, "a proxy in front of the registry", "client_max_body_size")
}

func TestRedirects(t *testing.T) {
	var reached atomic.Int32
	elsewhere := serve(t, func(w http.ResponseWriter, r *http.Request) {
		reached.Add(1)
		if r.Header.Get("Authorization") != "" {
			t.Error("the token reached another server")
		}
		answer(w, 200, receipt)
	})
	redirect := func(to string, code int) string {
		return serve(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/moved" {
				body := make([]byte, 1)
				if n, _ := r.Body.Read(body); r.Method != http.MethodPost || n == 0 || r.Header.Get("Authorization") != "Bearer "+secret {
					t.Errorf("%s with %d bytes and Authorization %q arrived", r.Method, n, r.Header.Get("Authorization"))
				}
				answer(w, 200, receipt)
				return
			}
			http.Redirect(w, r, to, code)
		})
	}
	t.Run("within the server are followed with token and body", func(t *testing.T) {
		for _, code := range []int{307, 308} {
			if err := publish(t.Context(), newClient(t, quick(redirect("/moved", code)))); err != nil {
				t.Error(err)
			}
		}
	})
	t.Run("to another server are refused", func(t *testing.T) {
		for _, code := range []int{301, 302, 303, 307, 308} {
			url := redirect(elsewhere+"/x?signature=hidden", code)
			err := publish(t.Context(), newClient(t, quick(url)))
			wantError(t, err, registry.Unavailable, url, "redirects to "+elsewhere+"/x, which is another server", "change the address")
			if strings.Contains(err.Error(), "hidden") {
				t.Errorf("the query is in the error: %v", err)
			}
		}
		if reached.Load() != 0 {
			t.Error("the other server was asked")
		}
	})
	t.Run("that change the method are refused", func(t *testing.T) {
		for _, code := range []int{301, 302, 303} {
			err := publish(t.Context(), newClient(t, quick(redirect("/moved", code))))
			wantError(t, err, registry.Unavailable, "would turn the POST into a GET", "308")
		}
	})
	t.Run("in a circle end", func(t *testing.T) {
		err := publish(t.Context(), newClient(t, quick(redirect("/again", 307))))
		wantError(t, err, registry.Unavailable, "after 10 redirects")
	})
}
