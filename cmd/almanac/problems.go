package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// cliError adds to an error what only the command line can say.
type cliError struct {
	err error
	// hint is what the user can do next: a command, or a short sentence.
	hint string
	// code is the exit code; 0 takes that of the error's kind.
	code int
}

func (e *cliError) Error() string { return e.err.Error() }
func (e *cliError) Unwrap() error { return e.err }

// hinted adds a hint to an error of one of the given kinds; no kinds means any.
func hinted(err error, hint string, kinds ...registry.Kind) error {
	if err == nil {
		return nil
	}
	for _, kind := range kinds {
		if registry.KindOf(err) == kind {
			return &cliError{err: err, hint: hint}
		}
	}
	if len(kinds) == 0 {
		return &cliError{err: err, hint: hint}
	}
	return err
}

// missing says where to look when something of an artifact, or the artifact itself, is not there.
func missing(err error, artifact string) error {
	hint := "almanac versions " + artifact
	if e, ok := errors.AsType[*registry.Error](err); ok && strings.HasPrefix(e.Msg, "artifact ") {
		hint = "almanac artifacts " + registry.ArtifactName(artifact).Namespace()
	}
	return hinted(err, hint, registry.NotFound)
}

// usageError gives an error of the parser its exit code and the command whose help to read.
func usageError(err error) error {
	hint := "almanac --help"
	if parse, ok := errors.AsType[*kong.ParseError](err); ok && parse.Context != nil {
		if selected := parse.Context.Selected(); selected != nil {
			hint = selected.FullPath() + " --help"
		}
	}
	if strings.HasPrefix(err.Error(), "unexpected argument version,") {
		hint = "almanac --version" // which many programs have as a command
	}
	// The parser's words for this are its own.
	if missing, ok := strings.CutPrefix(err.Error(), `expected "<`); ok {
		err = fmt.Errorf("missing arguments: <%s", strings.TrimSuffix(missing, `"`))
	}
	return &cliError{err: err, hint: hint, code: exitUsage}
}

// problems collects what is wrong with the arguments of one command, so that all is reported at once.
type problems struct{ fields []registry.FieldError }

func (p *problems) add(argument, format string, args ...any) {
	p.fields = append(p.fields, registry.FieldError{Field: argument, Message: fmt.Sprintf(format, args...)})
}

// check records err, if any, at an argument.
func (p *problems) check(argument string, err error) {
	if err == nil {
		return
	}
	if e, ok := errors.AsType[*registry.Error](err); ok && len(e.Fields) > 0 {
		p.fields = append(p.fields, e.Fields...)
		return
	}
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		p.add(argument, "%s: %v", path.Path, path.Err)
		return
	}
	p.add(argument, "%v", err)
}

// err returns nil when nothing was collected.
func (p *problems) err(command string) error {
	if len(p.fields) == 0 {
		return nil
	}
	msg := "the command line has a mistake"
	if n := len(p.fields); n > 1 {
		msg = fmt.Sprintf("the command line has %d mistakes", n)
	}
	return hinted(&registry.Error{Kind: registry.Invalid, Msg: msg, Fields: p.fields}, "almanac "+command+" --help")
}
