//go:build unix

package packertest

import (
	"os/exec"
	"syscall"
)

// ownGroup puts Packer and its plugins into a process group of their own, which ends as one.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}

// interrupt does what Ctrl-C on a terminal does: Packer runs as two processes, of which the first one
// leaves it to the terminal to tell the second.
func interrupt(cmd *exec.Cmd) error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
