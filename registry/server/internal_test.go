package server

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func FuzzParseBearer(f *testing.F) {
	for _, seed := range []string{"Bearer abc", "bearer  a.b-c_d~e+f/g=", "Bearer", "Bearer ", "Basic x", "Bearer a b", "", " Bearer x", "Bearer \xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		token, err := parseBearer(value)
		if err != nil {
			if registry.KindOf(err) != registry.Unauthorized || token != "" {
				t.Fatalf("%q: %q %v", value, token, err)
			}
			return
		}
		if token == "" || strings.ContainsFunc(token, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == ',' }) {
			t.Fatalf("%q: the token is %q", value, token)
		}
		if len(value) < 8 || !strings.EqualFold(value[:7], "bearer ") || !strings.HasSuffix(value, token) {
			t.Fatalf("%q was accepted", value)
		}
	})
}

func FuzzPreferred(f *testing.F) {
	for _, seed := range []string{"text/plain", "*/*", "text/*;q=0.5, application/json;q=0.4", "a;q=NaN", "application/json;q=0,text/plain;q=1.0", ",,;;=", "text/plain;q=+1e300"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, accept string) {
		got := preferred([]string{accept}, "application/json", "text/plain")
		if got != "application/json" && got != "text/plain" {
			t.Fatalf("%q: %q", accept, got)
		}
		if q := quality([]string{accept}, "text/plain"); !(q >= 0 && q <= 1) {
			t.Fatalf("%q: q is %v", accept, q)
		}
		if got == "text/plain" && !strings.Contains(strings.ToLower(accept), "text/") && !strings.Contains(accept, "*") {
			t.Fatalf("%q does not ask for text", accept)
		}
	})
}

func FuzzCheckJSON(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":[1,{"b":"\ud83d\ude00"}]}`, `{"a":"\ud800"}`, `{"a":1,"a":2}`, `{"a":1.5}`, "{\"\xff\":1}", `{}x`, `"\\ud800"`, `"\ud800\ud800"`, `"\udc00"`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if checkJSON(body, shape{}) != nil {
			return
		}
		// What is accepted decodes, and survives without a replacement character that was not there.
		var v any
		if err := json.Unmarshal(body, &v); err != nil {
			t.Fatalf("%q was accepted: %v", body, err)
		}
		again, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(again), `\ufffd`) || strings.ContainsRune(string(again), utf8.RuneError) {
			if !strings.ContainsRune(string(body), utf8.RuneError) && !strings.Contains(strings.ToLower(string(body)), `\ufffd`) {
				t.Fatalf("%q was changed to %q", body, again)
			}
		}
	})
}

// FuzzBodyShape holds what is accepted as a publication to be one that decodes.
func FuzzBodyShape(f *testing.F) {
	for _, seed := range []string{
		`{"fingerprint":"x","build":{"component":"c","type":"archive","metadata":{"a.b[":"1"},"files":[{"name":"n","size":1,"sha256":"x"}]}}`,
		`{"fingerprint":"x","expect":null,"build":{"component":"c","type":"archive","created_at":"2026-01-01T00:00:00Z","images":[{}]}}`,
		`{"Fingerprint":"x","build":{"metadata":{"k":null}}}`, `null`, `[]`, `{"":{"":[]}}`,
	} {
		f.Add([]byte(seed))
	}
	schemas := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	expected := shape{schemas, schemas.Schema(reflect.TypeFor[registry.Publication](), true, "")}
	f.Fuzz(func(t *testing.T, body []byte) {
		if checkJSON(body, expected) != nil {
			return
		}
		dec := json.NewDecoder(bytes.NewReader(body))
		dec.DisallowUnknownFields()
		var pub registry.Publication
		if err := dec.Decode(&pub); err != nil {
			t.Fatalf("%q was accepted: %v", body, err)
		}
	})
}

func FuzzFileName(f *testing.F) {
	for _, seed := range []string{"app.box", "../../etc/passwd", `a\b`, "x\r\ny", "\xff", "...", "con:1", strings.Repeat("x", 1000)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		got := fileName(name)
		if strings.ContainsAny(got, "/\\\"\r\n\x00;%") || strings.HasPrefix(got, ".") || !utf8.ValidString(got) || utf8.RuneCountInString(got) > 150 || strings.ContainsFunc(got, unicode.IsControl) {
			t.Fatalf("%q became %q", name, got)
		}
	})
}

// TestAProtocolCanHaveAllBelowItsSegment mounts what other protocols would beside the catalog, which begins with a namespace.
func TestAProtocolCanHaveAllBelowItsSegment(t *testing.T) {
	s := New(nil, Options{})
	for _, pattern := range []string{"/v2/", "GET /tf/{rest...}", "/ui/", "GET /v2/{namespace}/boxes/{rest...}"} {
		s.mux.HandleFunc(pattern, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	}
	for _, path := range []string{"/v2/x", "/tf/x", "/ui/x", "/v2/acme/boxes/tiny/versions/1.0.0/providers/libvirt.box"} {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != http.StatusTeapot {
			t.Errorf("%s: got %d %s", path, w.Code, w.Body)
		}
	}
}

// BenchmarkMiddleware measures all that a request passes besides its handler and its token.
func BenchmarkMiddleware(b *testing.B) {
	for name, logger := range map[string]*slog.Logger{"no log": nil, "JSON log": slog.New(slog.NewJSONHandler(io.Discard, nil))} {
		b.Run(name, func(b *testing.B) {
			s := New(registry.NewService(nil, nil), Options{Logger: logger})
			s.mux.HandleFunc("GET /v1/bench/{a}", (&route{server: s, path: "/v1/bench/{a}", handler: func(x *exchange, _ *http.Request) error {
				x.WriteHeader(204)
				return nil
			}}).serve)
			r := httptest.NewRequest("GET", "/v1/bench/x", nil)
			b.ReportAllocs()
			for b.Loop() {
				s.ServeHTTP(discardWriter{http.Header{}}, r)
			}
		})
	}
}

// discardWriter costs nothing itself.
type discardWriter struct{ h http.Header }

func (w discardWriter) Header() http.Header         { return w.h }
func (w discardWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w discardWriter) WriteHeader(int)             {}
