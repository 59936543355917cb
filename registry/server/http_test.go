package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/server"
)

func TestReadsCarryAnETag(t *testing.T) {
	s := servertest.New(t)
	c := as(s, s.AdminToken)
	c.send(t, "POST", appPath+"/publish", publication("run-1", "amazon-ebs.app")).ok(t)
	for _, path := range []string{"/v1/artifacts", appPath, appPath + "/versions", appPath + "/versions/1", "/v1/resolve/cargomedia/app/latest", "/v1/events", "/v1/tokens", "/v1/images/aws/eu-west-1/ami-0e1", "/openapi.json", "/docs"} {
		first := c.get(t, path).ok(t)
		tag := first.header.Get("ETag")
		if len(tag) < 10 || tag[0] != '"' || first.header.Get("Cache-Control") != "private, no-cache" || first.header.Get("Vary") != "Accept, Authorization" {
			t.Errorf("%s: headers %v", path, first.header)
		}
		for _, have := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
			again := c.get(t, path, "If-None-Match", have)
			if again.status != 304 || again.body != "" || again.header.Get("ETag") != tag || again.header.Get("Vary") == "" {
				t.Errorf("%s with %s: got %d %q %v", path, have, again.status, again.body, again.header)
			}
		}
		if again := c.get(t, path, "If-None-Match", `"x"`); again.status != 200 {
			t.Errorf("%s with another tag: got %d", path, again.status)
		}
	}
	before := c.get(t, appPath).header.Get("ETag")
	c.send(t, "PUT", appPath, `{"description":"new"}`).ok(t)
	if got := c.get(t, appPath, "If-None-Match", before); got.status != 200 || got.header.Get("ETag") == before {
		t.Errorf("a change: got %d %s", got.status, got.header.Get("ETag"))
	}
}

func TestAnswersThatAreNoReadsAreNotKept(t *testing.T) {
	s := servertest.New(t)
	c := as(s, s.AdminToken)
	for _, got := range []reply{
		c.send(t, "POST", appPath+"/publish", publication("run-1", "amazon-ebs.app")),
		c.get(t, "/v1/artifacts/cargomedia/none"),
		c.send(t, "POST", "/v1/tokens", `{"name":"x","role":"read","scopes":["*"]}`),
		c.get(t, "/healthz"),
	} {
		if got.header.Get("Cache-Control") != "no-store" || got.header.Get("ETag") != "" {
			t.Errorf("%d: %v", got.status, got.header)
		}
	}
}

func TestEveryAnswerHasItsHeaders(t *testing.T) {
	s := servertest.New(t)
	c := as(s, s.AdminToken)
	for _, path := range []string{"/v1/artifacts", "/nothing", "/healthz", "/docs", "/v1/artifacts/a/../b"} {
		h := c.get(t, path).header
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin"} {
			if h.Get(name) != want {
				t.Errorf("%s: %s is %q", path, name, h.Get(name))
			}
		}
		if !strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none'") || len(h.Get("X-Request-Id")) != 16 {
			t.Errorf("%s: headers %v", path, h)
		}
	}
}

func TestRequestIDIsTakenIfItIsHarmless(t *testing.T) {
	var log bytes.Buffer
	s := servertest.New(t, servertest.WithOptions(server.Options{Logger: jsonLog(&log)}))
	c := as(s, s.AdminToken)
	if got := c.get(t, appPath, "X-Request-Id", "build-7.a_B").problem(t, 404).RequestID; got != "build-7.a_B" {
		t.Errorf("got %q", got)
	}
	for _, bad := range []string{strings.Repeat("x", 65), "a b", "a\"b", "é", "a/b"} {
		if got := c.get(t, appPath, "X-Request-Id", bad).header.Get("X-Request-Id"); got == bad || len(got) != 16 {
			t.Errorf("%q: got %q", bad, got)
		}
	}
	s.Stop(t)
	if !strings.Contains(log.String(), `"request_id":"build-7.a_B"`) {
		t.Errorf("the log does not have the id: %s", log.String())
	}
}

func TestAccessLogHasNoSecrets(t *testing.T) {
	var log bytes.Buffer
	s := servertest.New(t, servertest.WithOptions(server.Options{Logger: jsonLog(&log)}))
	c := as(s, s.AdminToken)
	c.get(t, "/v1/resolve/cargomedia/app/latest?metadata.key=hunter2").problem(t, 404)
	c.send(t, "DELETE", "/v1/tokens/"+s.AdminToken, "").problem(t, 404)
	secret := decode[registry.NewToken](t, c.send(t, "POST", "/v1/tokens", `{"name":"x","role":"read","scopes":["*"]}`)).Secret
	s.Stop(t)
	for _, hidden := range []string{"hunter2", s.AdminToken, secret, "alm_"} {
		if strings.Contains(log.String(), hidden) {
			t.Errorf("the log has %q: %s", hidden, log.String())
		}
	}
	var line map[string]any
	if err := json.Unmarshal([]byte(strings.SplitN(log.String(), "\n", 2)[0]), &line); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{
		"msg": "request", "method": "GET", "route": "/v1/resolve/{namespace}/{name}/{ref}", "path": "/v1/resolve/cargomedia/app/latest",
		"status": 404.0, "token": "admin",
	} {
		if line[key] != want {
			t.Errorf("%s is %v, want %v", key, line[key], want)
		}
	}
}

// jsonLog writes whole lines, one at a time.
func jsonLog(w *bytes.Buffer) *slog.Logger {
	return slog.New(slog.NewJSONHandler(&lockedWriter{w: w}, nil))
}

type lockedWriter struct {
	mu sync.Mutex
	w  *bytes.Buffer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

// brokenStore fails every read; the embedded nil makes all else panic.
type brokenStore struct {
	registry.Store
	err error
}

func (b brokenStore) Artifacts(context.Context, registry.ArtifactQuery) ([]registry.Artifact, error) {
	return nil, b.err
}
func (b brokenStore) Ping(context.Context) error { return b.err }

func TestFailuresOfTheRegistry(t *testing.T) {
	var log bytes.Buffer
	serve := func(err error, path string) *httptest.ResponseRecorder {
		log.Reset()
		w := httptest.NewRecorder()
		svc := registry.NewService(brokenStore{err: err}, nil)
		server.New(svc, server.Options{Logger: jsonLog(&log)}).ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		return w
	}
	t.Run("an unknown error is logged and never sent", func(t *testing.T) {
		w := serve(errors.New("password is hunter2"), "/v1/artifacts")
		if w.Code != 500 || strings.Contains(w.Body.String(), "hunter2") || !strings.Contains(log.String(), "hunter2") {
			t.Errorf("got %d %s, log %s", w.Code, w.Body, log.String())
		}
		if id := w.Header().Get("X-Request-Id"); !strings.Contains(log.String(), id) || !strings.Contains(w.Body.String(), id) {
			t.Errorf("the request id %s is not in both: %s, log %s", id, w.Body, log.String())
		}
	})
	t.Run("a store that is away is 503", func(t *testing.T) {
		w := serve(&registry.Error{Kind: registry.Unavailable, Msg: "the database is away", Err: errors.New("dial tcp: refused")}, "/v1/artifacts")
		if w.Code != 503 || w.Header().Get("Retry-After") == "" || strings.Contains(w.Body.String(), "dial") || !strings.Contains(log.String(), "dial") {
			t.Errorf("got %d %s, log %s", w.Code, w.Body, log.String())
		}
	})
	t.Run("not ready is 503", func(t *testing.T) {
		w := serve(errors.New("disk is gone"), "/readyz")
		if w.Code != 503 || strings.Contains(w.Body.String(), "gone") || !strings.Contains(log.String(), "gone") {
			t.Errorf("got %d %s, log %s", w.Code, w.Body, log.String())
		}
		if w := serve(errors.New("disk is gone"), "/healthz"); w.Code != 200 {
			t.Errorf("/healthz: got %d", w.Code)
		}
	})
	t.Run("a panic is 500", func(t *testing.T) {
		w := serve(nil, appPath) // brokenStore has no Artifact
		if w.Code != 500 || w.Header().Get("Content-Type") != "application/problem+json" || !strings.Contains(log.String(), "goroutine") {
			t.Errorf("got %d %s, log %s", w.Code, w.Body, log.String())
		}
		if !strings.Contains(log.String(), `"status":500`) {
			t.Errorf("the access log misses it: %s", log.String())
		}
	})
}
