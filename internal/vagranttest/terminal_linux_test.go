package vagranttest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestTalk(t *testing.T) {
	var asked string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		asked = r.Method + " " + r.URL.Path + " " + string(body)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer server.Close()
	r := New(t, server.URL).Talk(t, []Answer{{"username or email", "ada"}, {"Password", "secret"}, {"Token description", "mine"}}, "cloud", "auth", "login")
	if r.Code == 0 || !strings.Contains(r.Output, "401 Unauthorized") {
		t.Errorf("exit code %d:\n%s", r.Code, r.Output)
	}
	const want = `POST /api/v1/authenticate {"user":{"login":"ada","password":"secret"},"token":{"description":"mine"}`
	if !strings.HasPrefix(asked, want) {
		t.Errorf("the server was asked %s, want %s …", asked, want)
	}
}
