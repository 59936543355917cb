package provenance

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/shirou/gopsutil/v4/process"
)

const (
	// maxAncestors is how far up Packer is looked for: it starts plugins itself, but perhaps through a
	// script of somebody's.
	maxAncestors = 4
	// processTimeout bounds the look at other processes.
	processTimeout = 2 * time.Second
)

// PackerTemplate returns the absolute path of the template of the `packer build` that runs this
// process: a file, or a directory. It is "" if there is none, if it comes from standard input, or if it
// cannot be known. Packer itself tells its plugins of JSON templates only.
//
// Packer is an ancestor whose program is named so. Of its command line nothing but the template is used.
func PackerTemplate(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, processTimeout)
	defer cancel()
	pid := int32(os.Getppid())
	for range maxAncestors {
		p, err := process.NewProcessWithContext(ctx, pid)
		if err != nil {
			return ""
		}
		if args, err := p.CmdlineSliceWithContext(ctx); err == nil && isPacker(args) {
			return templateOf(ctx, p, args[1:])
		}
		if pid, err = p.PpidWithContext(ctx); err != nil || pid <= 1 {
			return ""
		}
	}
	return ""
}

// isPacker tells `packer build` from what else builds things: docker, make, npm.
func isPacker(args []string) bool {
	if len(args) < 2 {
		return false
	}
	program := filepath.Base(filepath.FromSlash(args[0]))
	return strings.Contains(strings.ToLower(program), "packer") && slices.Contains(args, "build")
}

func templateOf(ctx context.Context, p *process.Process, args []string) string {
	name := templateArgument(args)
	if name == "" {
		return ""
	}
	if !filepath.IsAbs(name) {
		// A plugin runs where Packer runs.
		cwd, _ := p.CwdWithContext(ctx)
		own, _ := os.Getwd()
		if cwd = cmp.Or(cwd, own); cwd == "" {
			return ""
		}
		name = filepath.Join(cwd, name)
	}
	if _, err := os.Stat(name); err != nil {
		return ""
	}
	return filepath.Clean(name)
}

// The flags of `packer build` up to Packer 1.15, by whether they take a value.
var (
	boolFlags = []string{
		"color", "debug", "force", "timestamp-ui", "machine-readable", "warn-on-undeclared-var", "use-sequential-evaluation",
		"ignore-prerelease-plugins",
	}
	valueFlags = []string{"parallel-builds", "on-error", "only", "except", "var", "var-file", "config-type"}
)

// templateArgument returns the template that the arguments of Packer name, the program's name not among
// them; "" if they are not those of a `packer build` that runs, or if the template is standard input.
//
// Packer builds only where exactly one argument is neither a flag nor a flag's value, and that is the
// last one. So a flag that is not known here, of a later Packer, cannot have the last argument as its
// value.
func templateArgument(args []string) string {
	// Packer takes the first one out before it looks at anything else.
	if i := slices.Index(args, "-machine-readable"); i >= 0 {
		args = slices.Concat(args[:i], args[i+1:])
	}
	if len(args) < 2 || args[0] != "build" {
		return ""
	}
	rest := afterFlags(args[1:])
	if len(rest) != 1 || rest[0] == "-" {
		return ""
	}
	return rest[0]
}

// afterFlags returns the arguments that follow the flags; the last one alone where a flag is not known.
func afterFlags(args []string) []string {
	for len(args) > 0 && isFlag(args[0]) {
		if args[0] == "--" {
			return args[1:]
		}
		name, ok := strings.CutPrefix(args[0], "--")
		if !ok {
			name = args[0][1:]
		}
		switch {
		case strings.Contains(name, "="), slices.Contains(boolFlags, name):
			args = args[1:]
		case slices.Contains(valueFlags, name):
			args = args[min(2, len(args)):]
		case isFlag(args[len(args)-1]):
			return nil
		default:
			return args[len(args)-1:]
		}
	}
	return args
}

func isFlag(arg string) bool { return len(arg) > 1 && arg[0] == '-' }
