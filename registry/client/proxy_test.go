package client_test

import (
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// cuttingProxy forwards connections to a server. It counts the bytes of both directions, and cuts
// those connections that cuts has a number of bytes for.
type cuttingProxy struct {
	url      string
	up, down atomic.Int64

	mu sync.Mutex
	// cutUp and cutDown are after how many bytes of a direction in all a connection is cut, in order.
	cutUp, cutDown []int64
}

func newCuttingProxy(t *testing.T, server string) *cuttingProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &cuttingProxy{url: "http://" + l.Addr().String()}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go p.serve(client, strings.TrimPrefix(server, "http://"))
		}
	}()
	return p
}

func (p *cuttingProxy) serve(client net.Conn, address string) {
	server, err := net.Dial("tcp", address)
	if err != nil {
		client.Close()
		return
	}
	cut := func() {
		client.Close()
		server.Close()
	}
	go func() {
		defer cut()
		p.copy(server, client, &p.up, &p.cutUp)
	}()
	defer cut()
	p.copy(client, server, &p.down, &p.cutDown)
}

// copy returns when a side has ended or the connection is to be cut.
func (p *cuttingProxy) copy(to io.Writer, from io.Reader, count *atomic.Int64, cuts *[]int64) {
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		if _, failed := to.Write(buf[:n]); failed != nil || err != nil {
			return
		}
		if p.passed(count.Add(int64(n)), cuts) {
			return
		}
	}
}

func (p *cuttingProxy) passed(count int64, cuts *[]int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(*cuts) == 0 || count < (*cuts)[0] {
		return false
	}
	*cuts = (*cuts)[1:]
	return true
}
