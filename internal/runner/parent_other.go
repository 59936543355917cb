//go:build unix && !linux

package runner

import "syscall"

// endWithParent can do nothing: only Linux tells a process of the death of its parent.
func endWithParent(*syscall.SysProcAttr) {}
