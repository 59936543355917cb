package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"slices"

	"github.com/alecthomas/kong"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), endSignals...)
	// The first signal ends the work in an orderly way, the second one the process; serve puts away
	// what it has first.
	context.AfterFunc(ctx, stop)
	code := run(ctx, os.Args[1:], os.Getenv, os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is the program: it does what args say and returns the exit code. It reads nothing of the
// process but what it is given, so that tests can call it.
func run(ctx context.Context, args []string, getenv func(string) string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{ctx: ctx, getenv: getenv, stdin: stdin, stdout: stdout, stderr: stderr}
	a.json = wantsJSON(args)
	var grammar cli
	parser, err := newParser(&grammar, a)
	if err != nil {
		return a.report(err)
	}
	if wantsVersion(args) {
		return a.report(a.printVersion())
	}
	if len(args) > 0 && args[0] == completeCommand {
		return a.report(complete(parser.Model.Node, args[1:], stdout))
	}
	if len(args) == 0 {
		parser.Stdout = stderr
		if _, err := parser.Parse([]string{"--help"}); !errors.Is(err, errShown) {
			return a.report(err)
		}
		return exitUsage
	}
	command, err := parser.Parse(args)
	if errors.Is(err, errShown) {
		return exitOK
	}
	if err != nil {
		return a.report(usageError(err))
	}
	a.globals = grammar.globals
	a.json = grammar.Output == "json"
	return a.report(command.Run(a))
}

// errShown ends the parsing after --help, which has printed all that was asked for.
var errShown = errors.New("shown")

func newParser(grammar *cli, a *app) (*kong.Kong, error) {
	return kong.New(grammar,
		kong.Name("almanac"),
		kong.Description("Almanac keeps what Packer builds, and finds the right one: AMIs in every region, Vagrant boxes, archives."),
		kong.Writers(a.stdout, a.stderr),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
		kong.Help(func(options kong.HelpOptions, ctx *kong.Context) error {
			if err := kong.DefaultHelpPrinter(options, ctx); err != nil {
				return err
			}
			return errShown
		}),
		kong.ValueFormatter(helpWithVariable),
		kong.Resolvers(environment{a.getenv}),
		kong.Groups{"global": "Global flags:"},
	)
}

// wantsJSON looks for the output format in arguments that may turn out not to be valid: their error
// is to have that format, too.
func wantsJSON(args []string) bool {
	for i, arg := range args {
		if slices.Contains([]string{"-ojson", "-o=json", "--output=json"}, arg) {
			return true
		}
		if (arg == "-o" || arg == "--output") && i+1 < len(args) && args[i+1] == "json" {
			return true
		}
	}
	return false
}

// wantsVersion says whether the arguments are --version and nothing else but the output format. It is
// no flag of the parser's, because publish has one of that name.
func wantsVersion(args []string) bool {
	asked := false
	for i := 0; i < len(args); i++ {
		switch {
		case args[i] == "--version":
			asked = true
		case (args[i] == "-o" || args[i] == "--output") && i+1 < len(args) && slices.Contains(outputs, args[i+1]):
			i++
		case !slices.ContainsFunc(outputs, func(o string) bool { return args[i] == "-o"+o || args[i] == "-o="+o || args[i] == "--output="+o }):
			return false
		}
	}
	return asked
}

// outputs are the formats of --output.
var outputs = []string{"table", "json"}
