package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/server"
)

// watchedConn is a TCP connection that counts what the server copies to it, and what it leaves to
// the kernel.
type watchedConn struct {
	*net.TCPConn
	sent *sent
}

type sent struct {
	mu           sync.Mutex
	copied, file int64
	other        []string // what else was to be sent by ReadFrom
	corked       []int    // TCP_CORK at each ReadFrom, and when the connection is closed
}

// noteCork notes whether the kernel waits for full packets.
func (c watchedConn) noteCork() {
	raw, err := c.SyscallConn()
	if err != nil {
		panic(err)
	}
	// An error says that the connection is closed already.
	_ = raw.Control(func(fd uintptr) {
		value, err := syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_CORK)
		if err != nil {
			value = -1
		}
		c.sent.mu.Lock()
		c.sent.corked = append(c.sent.corked, value)
		c.sent.mu.Unlock()
	})
}

// Close notes whether bytes could still be waiting.
func (c watchedConn) Close() error {
	c.noteCork()
	return c.TCPConn.Close()
}

func (c watchedConn) Write(p []byte) (int, error) {
	n, err := c.TCPConn.Write(p)
	c.sent.mu.Lock()
	c.sent.copied += int64(n)
	c.sent.mu.Unlock()
	return n, err
}

// ReadFrom is where net uses sendfile: for a file, bare or limited once.
func (c watchedConn) ReadFrom(r io.Reader) (int64, error) {
	c.noteCork()
	src := r
	if limited, ok := r.(*io.LimitedReader); ok {
		src = limited.R
	}
	_, isFile := src.(*os.File)
	n, err := c.TCPConn.ReadFrom(r)
	c.sent.mu.Lock()
	defer c.sent.mu.Unlock()
	if isFile {
		c.sent.file += n
	} else {
		c.sent.other = append(c.sent.other, fmt.Sprintf("%T", src))
	}
	return n, err
}

type watchedListener struct {
	net.Listener
	sent *sent
}

func (l watchedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return watchedConn{conn.(*net.TCPConn), l.sent}, nil
}

// TestDownloadGoesThroughSendfile gets a blob from a server as it runs, with all that a request
// passes: the bytes must reach the connection as a file, not as a copy.
func TestDownloadGoesThroughSendfile(t *testing.T) {
	base := servertest.New(t)
	content := strings.Repeat("0123456789abcdef", (5<<20+16)/16)
	admin := as(base, base.AdminToken)
	path := store(t, admin, content)
	admin.send(t, "POST", "/v1/artifacts/cargomedia/box/publish", fmt.Sprintf(`{"fingerprint":"run-1","version":"1.0.0","build":{"component":"c","type":"vagrant.box",`+
		`"provider":"virtualbox","files":[{"name":"app.box","size":%d,"sha256":%q}]}}`, len(content), registry.SecretDigest(content))).ok(t)
	const boxPath = "/cargomedia/boxes/box/versions/1.0.0/providers/virtualbox/unknown/vagrant.box"
	for name, test := range map[string]struct {
		header []string
		want   string
	}{
		"whole":                 {nil, content},
		"with a name":           {nil, content},
		"from an offset":        {[]string{"Range", "bytes=100-"}, content[100:]},
		"less than a block":     {[]string{"Range", "bytes=5-9"}, content[5:10]},
		"a part in the middle":  {[]string{"Range", "bytes=1000-3000000"}, content[1000:3000001]},
		"over a closing answer": {[]string{"Connection", "close"}, content},
		"a box":                 {nil, content},
		"a box from an offset":  {[]string{"Range", "bytes=100-"}, content[100:]},
		"a box beyond its end":  {[]string{"Range", "bytes=999999999-"}, content},
	} {
		t.Run(name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			seen := &sent{}
			ctx, stop := context.WithCancel(context.Background())
			done := make(chan error, 1)
			go func() {
				done <- server.New(base.Service, server.Options{}).Serve(ctx, watchedListener{listener, seen}, server.ServeOptions{})
			}()
			c := caller{"http://" + listener.Addr().String(), base.AdminToken}
			path := path
			switch {
			case name == "with a name":
				path += "?name=app.box"
			case strings.HasPrefix(name, "a box"):
				path = boxPath
			}
			got := c.get(t, path, test.header...).ok(t)
			stop()
			if err := <-done; err != nil {
				t.Error(err)
			}
			if got.body != test.want {
				t.Errorf("got %d bytes, want %d", len(got.body), len(test.want))
			}
			// net/http copies so many bytes to look at them, before it turns to the file itself.
			const sniffed = 512
			if want := int64(max(0, len(test.want)-sniffed)); seen.file != want || len(seen.other) > 0 {
				t.Errorf("%d bytes were sent from the file, want %d, besides %v", seen.file, want, seen.other)
			}
			if last := len(seen.corked) - 1; last < 0 || slices.Contains(seen.corked[:last], 0) || seen.corked[last] != 0 {
				t.Errorf("TCP_CORK was %v, want 1 at each part of the file, and 0 at the end", seen.corked)
			}
			if seen.copied == 0 || seen.copied > 2000 {
				t.Errorf("%d bytes were copied, want the header and %d", seen.copied, sniffed)
			}
		})
	}
}

// BenchmarkDownload gets a blob over loopback, beside the same file from http.ServeContent alone and
// from a copy through the program. The figures are medians of rounds that measure each once. CPU is
// that of the process, whose client lets the kernel throw the bytes away, so it costs next to nothing.
func BenchmarkDownload(b *testing.B) {
	const size = 256 << 20
	dir := b.TempDir()
	base := servertest.New(b, servertest.InDir(dir, ""))
	digest := storeLarge(b, base, size)
	name := filepath.Join(dir, "blobs", "blobs", string(digest[:2]), string(digest))
	plain := func(copied bool) string {
		return serveBench(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			f, err := os.Open(name)
			if err != nil {
				panic(err)
			}
			defer f.Close()
			if copied {
				w = struct{ http.ResponseWriter }{w}
			}
			w.Header()["Content-Type"] = []string{"application/octet-stream"}
			http.ServeContent(w, r, "", time.Time{}, f)
		}))
	}
	targets := []struct{ name, url string }{
		{"plain", plain(false) + "/"}, {"copied", plain(true) + "/"}, {"blob", base.URL + "/v1/blobs/" + string(digest)},
	}
	figures := map[string][]float64{}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer null.Close()
	for b.Loop() {
		took, cpu := map[string]float64{}, map[string]float64{}
		for _, target := range targets {
			before, start := cpuTime(b), time.Now()
			drain(b, target.url, base.AdminToken, size, null)
			took[target.name] = time.Since(start).Seconds()
			cpu[target.name] = (cpuTime(b) - before).Seconds()
		}
		for _, target := range targets {
			figures[target.name+"-cpu-s/GiB"] = append(figures[target.name+"-cpu-s/GiB"], cpu[target.name]*(1<<30)/size)
		}
		figures["blob-MiB/s"] = append(figures["blob-MiB/s"], size/(1<<20)/took["blob"])
		figures["rate/plain"] = append(figures["rate/plain"], took["plain"]/took["blob"])
		figures["cpu/plain"] = append(figures["cpu/plain"], cpu["blob"]/cpu["plain"])
		figures["cpu/copied"] = append(figures["cpu/copied"], cpu["blob"]/cpu["copied"])
	}
	for name, values := range figures {
		slices.Sort(values)
		b.ReportMetric(values[len(values)/2], name)
	}
	b.ReportMetric(0, "ns/op")
}

// drain gets size bytes of a body and lets the kernel throw them away (splice).
func drain(b *testing.B, address, token string, size int64, null *os.File) {
	b.Helper()
	u, err := url.Parse(address)
	if err != nil {
		b.Fatal(err)
	}
	conn, err := net.Dial("tcp", u.Host)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	const ok = "HTTP/1.1 200"
	status := make([]byte, len(ok))
	_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer %s\r\n\r\n", u.Path, token)
	if err == nil {
		_, err = io.ReadFull(conn, status)
	}
	if err != nil || string(status) != ok {
		b.Fatalf("%s: %q, %v", address, status, err)
	}
	if n, err := null.ReadFrom(conn); err != nil || n < size {
		b.Fatalf("%s: %d bytes, %v", address, n, err)
	}
}

func serveBench(b *testing.B, h http.Handler) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	srv := &http.Server{Handler: h}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(listener) }()
	b.Cleanup(func() {
		if err := errors.Join(srv.Close(), <-done); !errors.Is(err, http.ErrServerClosed) {
			b.Error(err)
		}
	})
	return "http://" + listener.Addr().String()
}

// storeLarge uploads size bytes of zeros.
func storeLarge(b *testing.B, s *servertest.Server, size int64) registry.Digest {
	b.Helper()
	zeros, err := os.CreateTemp(b.TempDir(), "")
	if err != nil {
		b.Fatal(err)
	}
	defer zeros.Close()
	if err := zeros.Truncate(size); err != nil {
		b.Fatal(err)
	}
	file, err := s.Client(b, s.AdminToken).Upload(b.Context(), "cargomedia/app", "zeros", zeros, nil)
	if err != nil {
		b.Fatal(err)
	}
	return file.SHA256
}

// cpuTime is the time that this process has had.
func cpuTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
