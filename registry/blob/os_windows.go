package blob

import "syscall"

// The errors of Windows that say what ENOSPC, EROFS and EIO say elsewhere.
var (
	errFull     = []error{syscall.Errno(39), syscall.Errno(112), syscall.Errno(1295)} // HANDLE_DISK_FULL, DISK_FULL, DISK_QUOTA_EXCEEDED
	errReadOnly = []error{syscall.Errno(19)}                                          // WRITE_PROTECT
	errBroken   = []error{syscall.Errno(21), syscall.Errno(23), syscall.Errno(1117)}  // NOT_READY, CRC, IO_DEVICE
)

// syncDir does nothing: Windows has no fsync of directories, and its file systems keep a journal of
// their own.
func syncDir(string) error { return nil }
