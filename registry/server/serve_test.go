package server_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/server"
)

// running is a server that a test stops by itself, over the service of another.
type running struct {
	*servertest.Server
	base *servertest.Server
	stop func()
	kill func()
	done chan error
}

func run(t *testing.T, grace time.Duration) running {
	t.Helper()
	base := servertest.New(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	hard, kill := context.WithCancel(context.Background())
	t.Cleanup(stop)
	t.Cleanup(kill)
	r := running{base: base, Server: &servertest.Server{URL: "http://" + listener.Addr().String(), AdminToken: base.AdminToken}, stop: stop, kill: kill, done: make(chan error, 1)}
	go func() {
		r.done <- server.New(base.Service, server.Options{}).Serve(ctx, listener, server.ServeOptions{Grace: grace, Kill: hard})
	}()
	return r
}

func (r running) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-r.done:
		return err
	case <-time.After(10 * time.Second):
		t.Fatal("the server did not stop")
		return nil
	}
}

// halfSent begins an upload of 12 bytes and sends 5 of them.
func halfSent(t *testing.T, r running) (location string, conn net.Conn) {
	t.Helper()
	location = begin(t, as(r.Server, r.AdminToken), "hello world\n")
	conn = dial(t, r.Server, patchHead(r.Server, location, 0, 12, "Expect: 100-continue\r\n"))
	// The server has begun to read once it says so.
	buf := make([]byte, len("HTTP/1.1 100 Continue\r\n\r\n"))
	if _, err := io.ReadFull(conn, buf); err != nil || !strings.Contains(string(buf), " 100 ") {
		t.Fatalf("%q %v", buf, err)
	}
	if _, err := io.WriteString(conn, "hello"); err != nil {
		t.Fatal(err)
	}
	return location, conn
}

func TestShutdownFinishesARunningUpload(t *testing.T) {
	r := run(t, 10*time.Second)
	// A second connection that is open already, with a request on it, learns that the server is not
	// ready any more.
	probe := dial(t, r.Server, "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\nGET /read")
	probed := bufio.NewReader(probe)
	if resp, err := http.ReadResponse(probed, nil); err != nil || resp.StatusCode != 200 {
		t.Fatalf("%v %v", resp, err)
	} else if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
	_, conn := halfSent(t, r)
	r.stop()
	time.Sleep(200 * time.Millisecond)
	select {
	case err := <-r.done:
		t.Fatalf("the server stopped under a running upload: %v", err)
	default:
	}
	if _, err := net.Dial("tcp", strings.TrimPrefix(r.URL, "http://")); err == nil {
		t.Error("the server still accepts connections")
	}
	if _, err := io.WriteString(probe, "yz HTTP/1.1\r\nHost: x\r\n\r\n"); err == nil {
		if resp, err := http.ReadResponse(probed, nil); err == nil && resp.StatusCode != 503 {
			t.Errorf("/readyz answers %s", resp.Status)
		}
	}
	if _, err := io.WriteString(conn, " world\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != http.StatusNoContent || resp.Header.Get("Upload-Offset") != "12" {
		t.Errorf("the upload was answered %v %v", resp, err)
	}
	if err := r.wait(t); err != nil {
		t.Errorf("Serve: %v", err)
	}
}

// TestReadyzSaysThatTheServerStops calls Drain itself, as Serve does first of all when it stops: a
// server that stops takes no new connection that could ask.
func TestReadyzSaysThatTheServerStops(t *testing.T) {
	s := servertest.New(t)
	h := server.New(s.Service, server.Options{})
	h.Drain()
	h.Drain()
	web := servertestHandler(t, h)
	as(web, "").get(t, "/readyz").problem(t, 503)
	as(web, "").get(t, "/healthz").ok(t)
}

func TestShutdownCutsWhatTakesTooLong(t *testing.T) {
	for name, test := range map[string]struct {
		grace time.Duration
		why   string
	}{
		"when the grace is over": {200 * time.Millisecond, "the grace of 200ms was over"},
		"when it is told again":  {time.Hour, "it was told to stop at once"},
	} {
		t.Run(name, func(t *testing.T) {
			r := run(t, test.grace)
			location, _ := halfSent(t, r)
			r.stop()
			if test.grace == time.Hour {
				time.Sleep(100 * time.Millisecond)
				r.kill()
			}
			err := r.wait(t)
			if err == nil || !strings.Contains(err.Error(), test.why) {
				t.Errorf("Serve: %v", err)
			}
			if kind := registry.KindOf(err); kind != registry.Internal {
				t.Errorf("its end looks like one of the kind %s", kind)
			}
			// What had arrived is kept all the same, and was when Serve returned.
			status := decode[registry.UploadStatus](t, as(r.base, r.AdminToken).get(t, location).ok(t))
			if status.Offset != 5 {
				t.Errorf("the upload is at %d, want 5", status.Offset)
			}
		})
	}
}

func TestServeReportsAListenerThatFails(t *testing.T) {
	s := servertest.New(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	if err := server.New(s.Service, server.Options{}).Serve(t.Context(), listener, server.ServeOptions{}); err == nil {
		t.Error("no error")
	}
}

func TestCheckListen(t *testing.T) {
	for addr, public := range map[string]bool{
		"127.0.0.1:7480": false, "localhost:7480": false, "[::1]:0": false, "127.1.2.3:1": false, "[::ffff:127.0.0.1]:1": false,
		":7480": true, "0.0.0.0:7480": true, "[::]:7480": true, "192.168.1.2:7480": true, "10.0.0.1:1": true, "example.com:7480": true,
		"localhost.example.com:1": true, "127.0.0.1.nip.io:1": true,
	} {
		err := server.CheckListen(addr, false, false)
		if (err != nil) != public {
			t.Errorf("%s: %v", addr, err)
		}
		if public && (registry.KindOf(err) != registry.Invalid || !strings.Contains(err.Error(), "--behind-proxy") || !strings.Contains(err.Error(), "--tls-cert")) {
			t.Errorf("%s: the error gives no remedy: %v", addr, err)
		}
		if err := server.CheckListen(addr, true, false); err != nil {
			t.Errorf("%s with TLS: %v", addr, err)
		}
		if err := server.CheckListen(addr, false, true); err != nil {
			t.Errorf("%s behind a proxy: %v", addr, err)
		}
	}
	for _, addr := range []string{"", "127.0.0.1", "7480", "127.0.0.1:http", "127.0.0.1:65536", "127.0.0.1:", "::1:7480"} {
		if err := server.CheckListen(addr, true, true); registry.KindOf(err) != registry.Invalid {
			t.Errorf("%q: %v", addr, err)
		}
	}
}
