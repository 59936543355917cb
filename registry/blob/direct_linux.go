package blob

import (
	"os"
	"syscall"
)

// openDirect opens a file for writes past the kernel's cache.
func openDirect(name string) (*os.File, error) {
	return os.OpenFile(name, os.O_WRONLY|syscall.O_DIRECT, 0)
}
