package runner

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"github.com/cargomedia/packer-plugin-almanac/internal/publishfile"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// errStopped cuts a command short at the second signal.
var errStopped = errors.New("the runner was stopped")

// reportGrace is how long a runner that is to end at once tries to say so.
const reportGrace = 10 * time.Second

// attempt is one run in the hands of this runner.
type attempt struct {
	*runner
	run   registry.Run
	lease *lease
	log   *runLog
}

// do does a run that was claimed. The error says that it was lost to another runner, or not reported.
func (r *runner) do(kill context.Context, claim registry.Claim, asked time.Time) error {
	a := &attempt{runner: r, run: *claim.Run, lease: newLease(r.Registry, claim, r.Lease)}
	defer a.lease.lose(nil)
	a.log = newRunLog(a.run.LogSize, r.Token, r.Output)
	running, cut := context.WithCancelCause(a.lease.held)
	defer cut(nil)
	defer context.AfterFunc(kill, func() { cut(errStopped) })()
	go a.lease.keep(asked, func() { cut(errSilent) })

	// What is to be reported is reported when the command has long ended, unless there is no time.
	reporting, giveUp := context.WithCancel(a.lease.held)
	defer giveUp()
	defer context.AfterFunc(kill, func() { time.AfterFunc(reportGrace, giveUp) })()
	go a.log.send(reporting, a.lease)

	a.log.say("Run %d: %s %s for %s, on %s.\n", a.run.ID, a.run.Application, a.run.From.Version, a.run.Target, r.Name)
	err := a.build(running)
	if err != nil && running.Err() != nil {
		err = context.Cause(running)
	}
	if lost := context.Cause(a.lease.held); lost != nil {
		return lost
	}
	if errors.Is(err, errSilent) {
		return fmt.Errorf("run %d was given up: %w", a.run.ID, err)
	}
	if err != nil {
		a.log.say("Failed: %v.\n", err)
	}
	a.log.close(reporting)
	return a.report(reporting, err)
}

// report tells the registry how the command ended, for as long as the registry is away.
func (a *attempt) report(ctx context.Context, failure error) error {
	result := registry.RunResult{Lease: a.lease.secret}
	if failure != nil {
		result.Failed, result.Message = true, messageOf(failure)
	}
	var run registry.Run
	err := persist(ctx, func() (err error) {
		run, err = a.Registry.FinishRun(ctx, a.run.ID, result)
		return err
	})
	if err != nil {
		return fmt.Errorf("run %d ended, and that is not recorded: %w", a.run.ID, err)
	}
	a.Finished(run)
	return nil
}

const maxMessage = 1000

// messageOf is an error as the registry takes it.
func messageOf(err error) string {
	text := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(err.Error(), "?"))
	if len(text) > maxMessage {
		text = text[:wholeRunes([]byte(text), maxMessage-len("…"))] + "…"
	}
	return text
}

// build makes the application ready and runs the command on it. The error says why the run failed.
func (a *attempt) build(ctx context.Context) error {
	dir, err := os.MkdirTemp(a.WorkDir, fmt.Sprintf("almanac-run-%d-", a.run.ID))
	if err != nil {
		return fmt.Errorf("no directory could be made on the runner: %w", err)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	there := map[string]bool{}
	defer func() { a.remove(dir, there) }()
	var app application
	err = persist(ctx, func() (err error) {
		app, err = a.fetch(ctx, dir)
		return err
	})
	if err != nil {
		return err
	}
	for _, path := range pendingBelow(dir) {
		there[path] = true
	}
	workDir := ""
	if a.Chdir {
		workDir = app.dir
	}
	return a.command(ctx, dir, workDir, a.environment(app))
}

// remove removes the directory of an attempt. One in which the post-processor left a publish file stays: the file is all
// that is known of an image that was built.
func (a *attempt) remove(dir string, there map[string]bool) {
	for _, path := range pendingBelow(dir) {
		if there[path] {
			continue
		}
		a.Log("run %d left a build that is not recorded; finish it with: almanac publish --from %s", a.run.ID, path)
		a.log.say("A build is not recorded; on the runner: almanac publish --from %s\n", path)
		return
	}
	if err := os.RemoveAll(dir); err != nil {
		a.Log("%s is left: %v", dir, err)
	}
}

// pendingBelow are the publish files in a directory and below.
func pendingBelow(dir string) []string {
	var paths []string
	_ = filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err == nil && !entry.IsDir() && strings.HasSuffix(path, publishfile.Suffix) {
			paths = append(paths, path)
		}
		return nil // what cannot be read cannot be removed either
	})
	return paths
}
