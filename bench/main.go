// Command bench measures the registry against references that it starts itself, and prints a line per
// figure: name, value, unit, floor, goal, and whether the floor is met.
//
//	go run ./bench [-quick] [-only resolve,publish,upload,download,vagrant,start,plugin,terraform] [-record]
//
// It builds the programs that it needs. What takes long to make stays below .bench, for the next run.
// Figures are reported, not judged: the exit code is 0 although some are short, 1 when something
// failed, such as an answer that is not 2xx, and 2 for wrong arguments.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 2 && os.Args[1] == childArgument {
		os.Exit(child(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// scale says how much is measured.
type scale struct {
	Big, Small shape
	Rounds     int
	Load       time.Duration // of one round of one target of lookups
	File       int64         // bytes of a transfer
	Large      int64         // bytes of the box during whose transfer the memory is read
	Publish    int           // publications of one round
	Idle       time.Duration // how long a server is left alone before its memory is read
	Builds     int           // pairs of builds
}

var (
	full = scale{
		Big: shape{500, 100, 20}, Small: shape{5, 100, 20},
		Rounds: 3, Load: 3 * time.Second, File: 1 << 30, Large: 10 << 30, Publish: 1000, Idle: 2 * time.Second, Builds: 9,
	}
	quick = scale{
		Big: shape{50, 100, 20}, Small: shape{5, 10, 20},
		Rounds: 3, Load: time.Second, File: 128 << 20, Large: 512 << 20, Publish: 200, Idle: time.Second, Builds: 3,
	}
)

// bench is one run.
type bench struct {
	ctx      context.Context
	scale    scale
	root     string // of the module
	work     string // what stays
	scratch  string // below work; what goes
	program  string // almanac
	cores    cores
	children *processes
	load     string // average before the run
	progress io.Writer
}

// section measures one concern.
type section struct {
	name string
	run  func(*bench) ([]figure, error)
}

var sections = []section{
	{"resolve", (*bench).resolve},
	{"publish", (*bench).publish},
	{"upload", (*bench).upload},
	{"download", (*bench).download},
	{"vagrant", (*bench).vagrant},
	{"start", (*bench).start},
	{"plugin", (*bench).plugin},
	{"terraform", (*bench).terraform},
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	small := flags.Bool("quick", false, "a tenth of the rows, a second a round")
	only := flags.String("only", "", "`sections` to run, separated by commas: "+strings.Join(sectionNames(), ", "))
	keep := flags.Bool("record", false, "write docs/benchmarks.md anew")
	work := flags.String("work", "", "`directory` for data sets and transfers; .bench of the repository unless told otherwise")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return 0
	} else if err != nil {
		return 2
	}
	chosen, err := choose(*only)
	switch {
	case err != nil:
	case flags.NArg() > 0:
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case *keep && (*small || *only != ""):
		err = errors.New("-record is for whole runs; leave out -quick and -only")
	}
	if err != nil {
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return 2
	}
	s := full
	if *small {
		s = quick
	}
	if err := runSections(ctx, options{scale: s, sections: chosen, work: *work, record: *keep}, stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "bench: %v\n", err)
		return 1
	}
	return 0
}

func sectionNames() []string {
	var names []string
	for _, s := range sections {
		names = append(names, s.name)
	}
	return names
}

func choose(only string) ([]section, error) {
	if only == "" {
		return sections, nil
	}
	names := strings.Split(only, ",")
	for _, name := range names {
		if !slices.Contains(sectionNames(), name) {
			return nil, fmt.Errorf("-only: there is no section %q; there are %s", name, strings.Join(sectionNames(), ", "))
		}
	}
	return slices.DeleteFunc(slices.Clone(sections), func(s section) bool { return !slices.Contains(names, s.name) }), nil
}

type options struct {
	scale    scale
	sections []section
	work     string
	record   bool
}

// runSections measures, prints the table, and leaves no child behind. What was measured before
// something failed is printed all the same.
func runSections(ctx context.Context, o options, stdout, progress io.Writer) (err error) {
	b, err := newBench(ctx, o, progress)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.children.stopAll(), os.RemoveAll(b.scratch)) }()
	if err := b.buildProgram("almanac", "./cmd/almanac", ""); err != nil {
		return err
	}
	b.program = b.built("almanac")
	var figures []figure
	for _, s := range o.sections {
		begun := time.Now()
		found, err := s.run(b)
		figures = append(figures, found...)
		if err != nil {
			return errors.Join(fmt.Errorf("%s: %w", s.name, err), printTable(stdout, figures))
		}
		b.say("%s took %s", s.name, since(begun))
	}
	if err := printTable(stdout, figures); err != nil || !o.record {
		return err
	}
	return b.record(figures)
}

func newBench(ctx context.Context, o options, progress io.Writer) (*bench, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	work := o.work
	if work == "" {
		work = filepath.Join(root, ".bench")
	}
	if work, err = filepath.Abs(work); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(work, 0o755); err != nil {
		return nil, err
	}
	scratch, err := os.MkdirTemp(work, "run-")
	if err != nil {
		return nil, err
	}
	b := &bench{
		ctx: ctx, scale: o.scale, root: root, work: work, scratch: scratch, cores: findCores(), progress: progress, load: loadAverage(),
		children: &processes{dir: filepath.Join(scratch, "log"), running: map[*process]bool{}},
	}
	b.say("%s", b.cores)
	return b, nil
}

func (c cores) String() string {
	if c.note != "" {
		return c.note
	}
	return fmt.Sprintf("lookups, publications and downloads: server on core %s, load on core %s; the rest: all cores", c.server, c.load)
}

// say writes a line about what happens.
func (b *bench) say(format string, args ...any) {
	fmt.Fprintf(b.progress, "bench: "+format+"\n", args...)
}

// since is the time from start on, for messages.
func since(start time.Time) time.Duration { return time.Since(start).Round(10 * time.Millisecond) }

// temporary is the name of a file that does not exist yet.
func (b *bench) temporary(name string) (string, error) {
	dir, err := os.MkdirTemp(b.scratch, name+"-")
	return filepath.Join(dir, name), err
}

func (b *bench) built(name string) string { return filepath.Join(b.scratch, "bin", name) }

// buildProgram builds a package of this module.
func (b *bench) buildProgram(name, pkg, ldflags string) error {
	b.say("building %s", name)
	cmd := exec.CommandContext(b.ctx, "go", "build", "-buildvcs=false", "-ldflags", ldflags, "-o", b.built(name), pkg)
	cmd.Dir = b.root
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", pkg, err, output)
	}
	return nil
}

func (b *bench) record(figures []figure) error {
	var page strings.Builder
	m := describeMachine(b.root, b.work)
	m.Load = b.load + " before the run, " + loadAverage() + " at its end"
	r := record{Machine: m, Pinning: b.cores.String(), Scale: b.scale, Figures: figures}
	if err := r.writeMarkdown(&page); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.root, "docs", "benchmarks.md"), []byte(page.String()), 0o644)
}

func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("this is not inside a Go module; run it in the repository")
		}
		dir = parent
	}
}
