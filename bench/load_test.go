package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestParseAnswer(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       answer
		whole      bool
		fails      bool
	}{
		{name: "status, head and body", text: "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 12\r\nC: d\r\n\r\nhello", want: answer{200, 51, 12}, whole: true},
		{name: "the name's case does not matter", text: "HTTP/1.1 404 Not Found\r\ncontent-length:0\r\n\r\n", want: answer{404, 44, 0}, whole: true},
		{name: "a head that goes on", text: "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n"},
		{name: "nothing yet", text: ""},
		{name: "another protocol is refused", text: "SSH-2.0-OpenSSH\r\n\r\n", fails: true},
		{name: "a status of letters is refused", text: "HTTP/1.1 abc OK\r\nContent-Length: 1\r\n\r\n", fails: true},
		{name: "no length is refused", text: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", fails: true},
		{name: "a negative length is refused", text: "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", fails: true},
		{name: "a huge length is refused", text: "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999\r\n\r\n", fails: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, whole, err := parseAnswer([]byte(test.text))
			if (err != nil) != test.fails || whole != test.whole || got != test.want {
				t.Errorf("got %+v, %v, %v", got, whole, err)
			}
		})
	}
}

func FuzzParseAnswer(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nhello"))
	f.Add([]byte("HTTP/1.1 200\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, whole, err := parseAnswer(b)
		if err != nil || !whole {
			if a != (answer{}) {
				t.Errorf("got %+v with %v, %v", a, whole, err)
			}
			return
		}
		if a.head > len(b) || !bytes.HasSuffix(b[:a.head], headEnd) || a.body < 0 || !bytes.Contains(b, []byte(strconv.Itoa(a.status)[:1])) {
			t.Errorf("got %+v of %q", a, b)
		}
	})
}

func TestLoad(t *testing.T) {
	load := func(t *testing.T, h http.HandlerFunc) (loadResult, error) {
		server := httptest.NewServer(h)
		t.Cleanup(server.Close)
		return runLoad(loadPlan{
			Address: strings.TrimPrefix(server.URL, "http://"), Connections: 4, Duration: 100 * time.Millisecond, Seed: 1,
			Paths: []string{"/a", "/b"}, Header: "Authorization: Bearer x\r\n",
		})
	}
	t.Run("every request is answered and counted", func(t *testing.T) {
		var served atomic.Int64
		var a, b atomic.Bool
		result, err := load(t, func(w http.ResponseWriter, r *http.Request) {
			served.Add(1)
			a.Store(a.Load() || r.URL.Path == "/a")
			b.Store(b.Load() || r.URL.Path == "/b")
			if r.Header.Get("Authorization") != "Bearer x" {
				w.WriteHeader(http.StatusUnauthorized)
			}
			_, _ = w.Write(make([]byte, 1000))
		})
		if err != nil {
			t.Fatal(err)
		}
		if result.Requests == 0 || int64(result.Requests) != served.Load() || result.Body != 1000 || !a.Load() || !b.Load() {
			t.Errorf("got %+v; the server saw %d requests, /a: %v, /b: %v", result, served.Load(), a.Load(), b.Load())
		}
		if result.P50 <= 0 || result.P99 < result.P50 || result.Elapsed < 100*time.Millisecond {
			t.Errorf("got %+v", result)
		}
	})
	t.Run("one answer that is not 2xx fails", func(t *testing.T) {
		var served atomic.Int64
		_, err := load(t, func(w http.ResponseWriter, _ *http.Request) {
			if served.Add(1) == 20 {
				http.Error(w, "nothing here", http.StatusNotFound)
			}
		})
		if err == nil || !strings.Contains(err.Error(), "404") || !strings.Contains(err.Error(), "nothing here") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("an answer that is cut fails", func(t *testing.T) {
		_, err := load(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("short"))
			panic(http.ErrAbortHandler)
		})
		if err == nil || !strings.Contains(err.Error(), "cut") {
			t.Errorf("got %v", err)
		}
	})
}
