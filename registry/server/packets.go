package server

import (
	"context"
	"net"
	"syscall"
)

// connKey is the key of a connection in the context of its requests.
type connKey struct{}

// withConn is for [net/http.Server.ConnContext].
func withConn(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, conn)
}

// fullPackets lets the kernel wait for more of a file before it sends less than a packet, until end is called, which sends
// what is left. Go's connections are set not to wait, so that each piece that sendfile takes at a time, 64 KiB, ends in a
// short packet and wakes up a reader who is as fast: a quarter of the rate of a download. A connection with TLS has no
// sendfile and stays as it is.
func fullPackets(ctx context.Context) (end func()) {
	conn, ok := ctx.Value(connKey{}).(syscall.Conn)
	if !ok {
		return func() {}
	}
	cork(conn, true)
	return func() { cork(conn, false) }
}
