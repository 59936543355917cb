package server_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/server"
)

// stream follows events and returns its lines; the channel is closed at its end.
func stream(t *testing.T, c caller, path string, headers ...string) <-chan string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", c.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Authorization", "Bearer "+c.token)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("got %s %v", resp.Status, resp.Header)
	}
	lines := make(chan string, 1000)
	go func() {
		defer close(lines)
		defer resp.Body.Close()
		for scan := bufio.NewScanner(resp.Body); scan.Scan(); {
			lines <- scan.Text()
		}
	}()
	return lines
}

// next returns the next line that begins so.
func next(t *testing.T, lines <-chan string, prefix string) string {
	t.Helper()
	timeout := time.After(10 * time.Second)
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				t.Fatalf("the stream ended before a line %q", prefix)
			}
			if rest, ok := strings.CutPrefix(line, prefix); ok {
				return rest
			}
		case <-timeout:
			t.Fatalf("no line %q came", prefix)
		}
	}
}

func ended(t *testing.T, lines <-chan string) {
	t.Helper()
	timeout := time.After(10 * time.Second)
	for {
		select {
		case _, ok := <-lines:
			if !ok {
				return
			}
		case <-timeout:
			t.Fatal("the stream did not end")
		}
	}
}

func TestEventsAreStreamed(t *testing.T) {
	s := servertest.New(t, servertest.WithOptions(server.Options{EventPoll: 20 * time.Millisecond, Heartbeat: 100 * time.Millisecond}))
	c := as(s, s.AdminToken)
	c.send(t, "POST", appPath+"/publish", publication("run-1", "x")).ok(t)

	t.Run("what happened and what happens", func(t *testing.T) {
		lines := stream(t, c, "/v1/events")
		if id, action := next(t, lines, "id: "), next(t, lines, "event: "); id != "1" || action != registry.ActionBuildPublish {
			t.Errorf("got %s %s", id, action)
		}
		next(t, lines, "id: 2")
		next(t, lines, ": still here")
		c.send(t, "PUT", appPath+"/channels/production", `{"ref":"1"}`).ok(t)
		next(t, lines, "event: "+registry.ActionChannelMove)
		var e registry.Event
		if err := json.Unmarshal([]byte(next(t, lines, "data: ")), &e); err != nil || e.ID != 3 || e.Detail["channel"] != "production" {
			t.Errorf("got %+v %v", e, err)
		}
	})
	t.Run("from where the client was", func(t *testing.T) {
		if id := next(t, stream(t, c, "/v1/events?after=1"), "id: "); id != "2" {
			t.Errorf("after=1: got %s", id)
		}
		if id := next(t, stream(t, c, "/v1/events?after=1", "Last-Event-ID", "2"), "id: "); id != "3" {
			t.Errorf("Last-Event-ID 2: got %s", id)
		}
	})
	t.Run("until the token is revoked", func(t *testing.T) {
		lines := stream(t, as(s, s.Token(t, "watcher", "read")), "/v1/events")
		next(t, lines, "id: 1")
		c.send(t, "DELETE", "/v1/tokens/watcher", "").ok(t)
		ended(t, lines)
	})
	t.Run("only what may be read", func(t *testing.T) {
		c.send(t, "POST", "/v1/artifacts/other/app/publish", publication("run-1", "x")).ok(t)
		lines := stream(t, as(s, s.Token(t, "other", "read", "other/*")), "/v1/events")
		if data := next(t, lines, "data: "); !strings.Contains(data, `"artifact":"other/app"`) {
			t.Errorf("got %s", data)
		}
	})
	t.Run("not to nobody, and not by HEAD", func(t *testing.T) {
		as(s, "").get(t, "/v1/events", "Accept", "text/event-stream").problem(t, 401)
		if got := c.send(t, "HEAD", "/v1/events", "", "Accept", "text/event-stream"); got.status != 200 {
			t.Errorf("HEAD: got %d", got.status)
		}
		c.get(t, "/v1/events", "Last-Event-ID", "x").problem(t, 400)
	})
	t.Run("until the server stops", func(t *testing.T) {
		lines := stream(t, c, "/v1/events")
		next(t, lines, "id: 1")
		begun := time.Now()
		s.Stop(t)
		if took := time.Since(begun); took > 5*time.Second {
			t.Errorf("stopping took %v", took)
		}
		ended(t, lines)
	})
}
