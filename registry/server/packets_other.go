//go:build !linux

package server

import "syscall"

// cork does nothing: other systems have no such option, or other rules for it.
func cork(syscall.Conn, bool) {}
