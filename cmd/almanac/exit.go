package main

import (
	"context"
	"errors"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// Exit codes, which scripts rely on; docs/cli.md lists them.
const (
	exitOK          = 0
	exitError       = 1   // something else went wrong, such as a file that cannot be written
	exitUsage       = 2   // the command line or the request can never succeed as it is
	exitNotFound    = 3   // it does not exist, or the token may not see it
	exitRefused     = 4   // no valid token, or one that does not allow it
	exitConflict    = 5   // it contradicts what is there, or fits more than one thing
	exitUnavailable = 6   // the registry cannot be reached or is busy; later may succeed
	exitStale       = 7   // terraform --check: the file is not what the ref stands for now
	exitPending     = 8   // aws verify: an AMI is still pending; later may succeed
	exitFailed      = 9   // aws verify: an AMI cannot be used
	exitInterrupted = 130 // ended by a signal
)

func exitCode(err error) int {
	if err == nil {
		return exitOK
	}
	if e, ok := errors.AsType[*cliError](err); ok && e.code != 0 {
		return e.code
	}
	if errors.Is(err, context.Canceled) {
		return exitInterrupted
	}
	switch registry.KindOf(err) {
	case registry.Invalid, registry.TooLarge:
		return exitUsage
	case registry.NotFound:
		return exitNotFound
	case registry.Unauthorized, registry.Forbidden:
		return exitRefused
	case registry.Conflict:
		return exitConflict
	case registry.Unavailable:
		return exitUnavailable
	}
	return exitError
}
