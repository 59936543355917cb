package faultproxy

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"time"
)

// reset ends the client's connection with a TCP reset. It does not return.
func reset(w http.ResponseWriter) {
	if _, ok := w.(discard); !ok {
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			if tcp, ok := conn.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0)
			}
			conn.Close()
		}
		panic(http.ErrAbortHandler)
	}
}

// discard is where an answer goes that the client does not get. A forwarding whose registry cannot be
// reached ends with it, too.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) WriteHeader(int)             {}
func (discard) Write(b []byte) (int, error) { return len(b), nil }

// cutter passes a part of an answer on.
type cutter struct {
	http.ResponseWriter
	limit  int
	status int
	body   []byte // what came, while it may be less than limit
}

func (c *cutter) WriteHeader(status int) {
	if status >= 200 {
		c.status = status
	}
}

func (c *cutter) Write(b []byte) (int, error) {
	c.body = append(c.body, b...)
	if len(c.body) > c.limit {
		c.cut(c.limit)
	}
	return len(b), nil
}

// Flush is left to cut.
func (c *cutter) Flush() {}

// finish cuts an answer that was not longer than the limit.
func (c *cutter) finish() {
	if len(c.body) > 0 {
		c.cut(len(c.body) / 2)
	}
	conn, buf, err := http.NewResponseController(c.ResponseWriter).Hijack()
	if err == nil {
		_, _ = buf.WriteString("HTTP/1.1 " + strconv.Itoa(c.status))
		_ = buf.Flush()
		conn.Close()
	}
	panic(http.ErrAbortHandler)
}

// cut sends n bytes and ends the connection. It does not return.
func (c *cutter) cut(n int) {
	c.ResponseWriter.WriteHeader(c.status)
	_, _ = c.ResponseWriter.Write(c.body[:n])
	_ = http.NewResponseController(c.ResponseWriter).Flush()
	panic(http.ErrAbortHandler)
}

// dripper passes an answer on in small pieces.
type dripper struct {
	http.ResponseWriter
	ctx   context.Context
	n     int
	pause time.Duration
}

func (d *dripper) Write(b []byte) (int, error) {
	sent := 0
	for sent < len(b) {
		select {
		case <-time.After(d.pause):
		case <-d.ctx.Done():
			return sent, d.ctx.Err()
		}
		n, err := d.ResponseWriter.Write(b[sent:min(sent+d.n, len(b))])
		sent += n
		if err == nil {
			err = http.NewResponseController(d.ResponseWriter).Flush()
		}
		if err != nil {
			return sent, err
		}
	}
	return sent, nil
}

// Unwrap lets the ends of connections be reached.
func (d *dripper) Unwrap() http.ResponseWriter { return d.ResponseWriter }
