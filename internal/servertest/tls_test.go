package servertest

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"strings"
	"testing"
)

func TestTLSDoor(t *testing.T) {
	s := New(t)
	door := s.TLS(t)
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(door.CA) {
		t.Fatal("the authority is not PEM")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	defer transport.CloseIdleConnections()
	trusting := &http.Client{Transport: transport}

	t.Run("opens for who trusts the authority", func(t *testing.T) {
		for _, url := range []string{door.URL, strings.Replace(door.URL, "127.0.0.1", "localhost", 1)} {
			resp, err := trusting.Get(url + "/healthz")
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusOK || resp.TLS == nil {
				t.Errorf("%s answers %s", url, resp.Status)
			}
		}
	})
	t.Run("stays shut for others", func(t *testing.T) {
		resp, err := http.Get(door.URL + "/healthz")
		if err == nil {
			_ = resp.Body.Close()
			t.Error("anybody trusts it")
		}
	})
	t.Run("leads to the same service", func(t *testing.T) {
		token := s.Token(t, "ci", "admin")
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, door.URL+"/v1/tokens", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := trusting.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("a token of the server gets %s", resp.Status)
		}
	})
}
