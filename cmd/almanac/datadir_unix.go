//go:build !windows

package main

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// tryLock locks a file until it is closed, also by a crash. errLocked: another process has it.
func tryLock(f *os.File) error {
	for {
		switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EWOULDBLOCK):
			return errLocked
		default:
			return err
		}
	}
}

func openToOthers(stat fs.FileInfo) bool { return stat.Mode().Perm()&0o077 != 0 }

// syncDir makes a renamed file survive a loss of power.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
