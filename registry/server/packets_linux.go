package server

import "syscall"

// cork sets TCP_CORK, as nginx does with tcp_nopush. Nagle's algorithm, which is the other way, does not keep packets full
// where the reader is fast. A connection that cannot be set sends all the same.
func cork(conn syscall.Conn, on bool) {
	value := 0
	if on {
		value = 1
	}
	if raw, err := conn.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_CORK, value) })
	}
}
