package server_test

import (
	"crypto/tls"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/server"
)

// TestAddressesInAnswers looks at where the server says a version can be released.
func TestAddressesInAnswers(t *testing.T) {
	s := servertest.New(t)
	c := as(s, s.AdminToken)
	c.send(t, "POST", "/api/v1/boxes", `{"username":"acme","name":"tiny"}`).ok(t)
	c.send(t, "POST", "/api/v1/box/acme/tiny/versions", `{"version":{"version":"1.0.0"}}`).ok(t)
	forwarded := map[string]string{"X-Forwarded-Proto": "https, http", "X-Forwarded-Host": "boxes.example.com:8443, inner"}
	for name, test := range map[string]struct {
		options server.Options
		host    string
		tls     bool
		header  map[string]string
		want    string
	}{
		"what the request was sent to":         {host: "almanac:7480", want: "http://almanac:7480"},
		"with TLS":                             {host: "almanac", tls: true, want: "https://almanac"},
		"headers of a proxy that nobody knows": {host: "almanac", header: forwarded, want: "http://almanac"},
		"those of the proxy":                   {options: server.Options{BehindProxy: true}, host: "almanac", header: forwarded, want: "https://boxes.example.com:8443"},
		"a proxy that says nothing":            {options: server.Options{BehindProxy: true}, host: "almanac", want: "http://almanac"},
		"a proxy that talks nonsense": {options: server.Options{BehindProxy: true}, host: "almanac",
			header: map[string]string{"X-Forwarded-Proto": "gopher", "X-Forwarded-Host": "a/b?c"}, want: "http://almanac"},
		"what was configured": {options: server.Options{URL: "https://almanac.example.com/", BehindProxy: true}, host: "almanac", header: forwarded, want: "https://almanac.example.com"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/api/v1/box/acme/tiny/version/1.0.0", nil)
			r.Host = test.host
			if test.tls {
				r.TLS = &tls.ConnectionState{}
			}
			r.Header.Set("Authorization", "Bearer "+s.AdminToken)
			for name, value := range test.header {
				r.Header.Set(name, value)
			}
			w := httptest.NewRecorder()
			server.New(s.Service, test.options).ServeHTTP(w, r)
			if want := `"release_url":"` + test.want + `/api/v1/box/acme/tiny/version/1.0.0/release"`; !strings.Contains(w.Body.String(), want) {
				t.Errorf("got %d %s, want %s", w.Code, w.Body, want)
			}
		})
	}
}

func TestCheckURL(t *testing.T) {
	for _, good := range []string{"https://almanac.example.com", "http://127.0.0.1:7480", "https://almanac.example.com/", "http://[::1]:80"} {
		if err := server.CheckURL(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for bad, want := range map[string]string{
		"":                               "must be an address such as",
		"almanac.example.com":            "must be an address such as",
		"ftp://almanac.example.com":      "must be an address such as",
		"https://":                       "must be an address such as",
		"https://:443":                   "must be an address such as",
		"https:almanac":                  "must be an address such as",
		"https://a b":                    "must be an address such as",
		"https://example.com/almanac":    "must end with its host or port",
		"https://example.com/?x=1":       "must end with its host or port",
		"https://example.com?":           "must end with its host or port",
		"https://example.com/#x":         "must end with its host or port",
		"https://me:hunter2@example.com": "must end with its host or port",
	} {
		err := server.CheckURL(bad)
		if registry.KindOf(err) != registry.Invalid || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v, want %q", bad, err, want)
		}
	}
}
