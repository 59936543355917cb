package runner

import "syscall"

// endWithParent has the command end when the runner dies, whatever kills it. It is asked to, and not killed: Packer takes
// down what it has made, and of its two processes the first one passes that on to the second, which would go on otherwise.
func endWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGTERM }
