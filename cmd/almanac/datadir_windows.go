package main

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/windows"
)

// tryLock locks a file until it is closed, also by a crash. errLocked: another process has it.
func tryLock(f *os.File) error {
	err := windows.LockFileEx(windows.Handle(f.Fd()), windows.LOCKFILE_EXCLUSIVE_LOCK|windows.LOCKFILE_FAIL_IMMEDIATELY, 0, 1, 0, &windows.Overlapped{})
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return errLocked
	}
	return err
}

// openToOthers is false: who may enter is said by access lists, which a mode does not show.
func openToOthers(fs.FileInfo) bool { return false }

// syncDir does nothing: a directory cannot be synced on Windows.
func syncDir(string) error { return nil }
