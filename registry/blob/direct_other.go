//go:build !linux

package blob

import (
	"errors"
	"os"
)

// openDirect opens a file for writes past the kernel's cache.
func openDirect(string) (*os.File, error) { return nil, errors.ErrUnsupported }
