package blob

import (
	"errors"
	"io/fs"
	"slices"
	"syscall"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// diskError gives an error of the file system its kind and a sentence for the caller, and returns
// nil for nil. The paths stay in the cause, which the caller does not see.
func diskError(err error) error {
	is := func(targets ...error) bool {
		return slices.ContainsFunc(targets, func(t error) bool { return errors.Is(err, t) })
	}
	kind, msg := registry.Unavailable, ""
	switch {
	case err == nil:
		return nil
	case is(errFull...):
		msg = "the registry's disk is full"
	case is(errReadOnly...):
		msg = "the registry's disk is read-only"
	case is(errBroken...):
		msg = "the registry's disk fails to read or write"
	case is(syscall.EMFILE, syscall.ENFILE):
		msg = "the registry has too many files open"
	case is(fs.ErrPermission):
		msg = "the registry has no access to its disk"
	case is(fs.ErrNotExist):
		// What a caller asked for is not looked up here: this is a directory of the store itself.
		msg = "a directory of the registry's disk is missing"
	default:
		kind, msg = registry.Internal, "the registry's disk failed"
	}
	return &registry.Error{Kind: kind, Msg: msg, Err: err}
}
