package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"
)

// DefaultGrace is a [Config.Grace] in which Packer can take down the machine that it builds on.
const DefaultGrace = 30 * time.Second

// command runs the command to its end, or interrupts it when the context is done, and kills it if it does not end then. The
// error says how it failed. What it says goes by a file in the directory of the run: a command that outlives its runner for
// the time that it takes to clean up would die of a broken pipe.
func (a *attempt) command(ctx context.Context, runDir, workDir string, env []string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	path := filepath.Join(runDir, "output")
	to, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = to.Close() }()
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()

	cmd := exec.CommandContext(ctx, a.Command[0], a.Command[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = workDir, env, to, to
	cmd.WaitDelay = a.Grace
	ownGroup(cmd)
	cmd.Cancel = func() error { return interruptGroup(cmd) }
	ended, followed := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(followed)
		follow(from, a.log, ended)
	}()
	err = runCommand(cmd)
	close(ended)
	<-followed
	return err
}

// runCommand says how a command failed.
func runCommand(cmd *exec.Cmd) error {
	// Linux tells the child of the death of the thread that started it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	name := filepath.Base(cmd.Args[0])
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("%s cannot be started: %w", name, err)
	}
	err := cmd.Wait()
	killGroup(cmd) // what the command left
	exit, ok := errors.AsType[*exec.ExitError](err)
	switch {
	case !ok:
		return err
	case exit.Exited():
		return fmt.Errorf("%s exited with status %d", name, exit.ExitCode())
	}
	return fmt.Errorf("%s was ended: %v", name, exit)
}

// followPause is how long it takes at most until what a command says is seen.
const followPause = 100 * time.Millisecond

// follow copies a file that grows, up to what it has when the command has ended: what a command leaves behind may write
// for ever. A shell that opens /dev/stderr empties the file; what it has then is copied from its beginning.
func follow(from *os.File, to io.Writer, ended <-chan struct{}) {
	at := int64(0)
	for last := false; ; {
		stat, err := from.Stat()
		if err != nil {
			return
		}
		if stat.Size() < at {
			at = 0
		}
		n, err := io.Copy(to, io.NewSectionReader(from, at, stat.Size()-at))
		if at += n; err != nil || last {
			return
		}
		select {
		case <-ended:
			last = true
		case <-time.After(followPause):
		}
	}
}
