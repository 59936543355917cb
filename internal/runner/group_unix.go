//go:build unix

package runner

import (
	"os/exec"
	"syscall"
)

// ownGroup puts the command and what it starts into a process group, which ends as one and does not get what a terminal
// sends to the runner.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	endWithParent(cmd.SysProcAttr)
}

// interruptGroup does what Ctrl-C on a terminal does: Packer cleans up then.
func interruptGroup(cmd *exec.Cmd) error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }

func killGroup(cmd *exec.Cmd) { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
