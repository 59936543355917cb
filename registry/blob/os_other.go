//go:build !windows

package blob

import (
	"errors"
	"os"
	"syscall"
)

var (
	errFull     = []error{syscall.ENOSPC, syscall.EDQUOT}
	errReadOnly = []error{syscall.EROFS}
	errBroken   = []error{syscall.EIO, syscall.ESTALE, syscall.ENXIO}
)

// syncDir makes the names in a directory durable, where the file system can.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil
	}
	return errors.Join(err, f.Close())
}
