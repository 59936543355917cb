package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// cores says where children run. An empty core leaves a child where the system puts it.
type cores struct {
	server, load string
	// note says why nothing is pinned; empty when it is.
	note string
}

// findCores chooses the first two cores that this process may use.
func findCores() cores {
	allowed := allowedCores()
	if len(allowed) < 2 {
		return cores{note: "not pinned: fewer than two cores are known"}
	}
	if _, err := exec.LookPath("taskset"); err != nil {
		return cores{note: "not pinned: taskset is missing; install util-linux"}
	}
	return cores{server: allowed[0], load: allowed[1]}
}

// command is a program that is to be started.
type command struct {
	name string // for messages
	core string // "" is any
	args []string
	env  []string
	// silent drops what the program writes to standard error; without it that goes to a log file.
	silent bool
}

// process is a child that runs.
type process struct {
	name  string
	pid   int
	cmd   *exec.Cmd
	stdin io.Closer
	log   string // file; "" when silent
	// ended is closed after the child's end; err is its result then.
	ended chan struct{}
	err   error
}

// processes are all children of this run, so that none outlives it.
type processes struct {
	dir string // of the log files

	mu      sync.Mutex
	running map[*process]bool
	serial  int
}

// pinned is the command line that runs args on a core.
func pinned(core string, args []string) []string {
	if core == "" {
		return args
	}
	return append([]string{"taskset", "-c", core}, args...)
}

func (p *processes) prepare(ctx context.Context, c command) *exec.Cmd {
	args := pinned(c.core, c.args)
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Env = append(os.Environ(), c.env...)
	if c.core != "" {
		cmd.Env = append(cmd.Env, "GOMAXPROCS=1")
	}
	return cmd
}

// start starts a server and returns what it writes to standard output.
func (p *processes) start(ctx context.Context, c command) (*process, *bufio.Reader, error) {
	cmd := p.prepare(context.WithoutCancel(ctx), c) // stopAll ends it, in order
	child := &process{name: c.name, cmd: cmd, ended: make(chan struct{})}
	var err error
	if child.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, nil, err
	}
	// Not cmd.StdoutPipe: Wait would close it under the reader.
	stdout, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer w.Close()
	cmd.Stdout = w
	if !c.silent {
		log, err := p.logFile(c.name)
		if err != nil {
			return nil, nil, errors.Join(err, stdout.Close())
		}
		defer log.Close() // the child has its own handle
		child.log, cmd.Stderr = log.Name(), log
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%s: %w", c.name, err), stdout.Close())
	}
	child.pid = cmd.Process.Pid
	p.mu.Lock()
	p.running[child] = true
	p.mu.Unlock()
	go func() {
		child.err = cmd.Wait()
		_ = stdout.SetReadDeadline(time.Now().Add(time.Second)) // whoever still reads has seen all
		close(child.ended)
	}()
	return child, bufio.NewReader(stdout), nil
}

func (p *processes) logFile(name string) (*os.File, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.serial++
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return nil, err
	}
	return os.Create(filepath.Join(p.dir, fmt.Sprintf("%02d-%s.log", p.serial, strings.ReplaceAll(name, " ", "-"))))
}

// startOwn starts this program as one of its child servers, which says its address first.
func (p *processes) startOwn(ctx context.Context, core, mode string, args ...string) (*process, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	child, stdout, err := p.start(ctx, command{name: mode, core: core, args: append([]string{self, childArgument, mode}, args...)})
	if err != nil {
		return nil, "", err
	}
	address, err := stdout.ReadString('\n')
	if err != nil {
		return nil, "", errors.Join(fmt.Errorf("%s gave no address: %w", mode, err), p.stop(child))
	}
	return child, strings.TrimSpace(address), nil
}

// ran is how a child ran that does one thing and ends.
type ran struct {
	cpu time.Duration // user and system
}

// runOwn runs this program as a child that reads in as JSON and answers out as JSON.
func (p *processes) runOwn(ctx context.Context, core, mode string, in, out any) (ran, error) {
	self, err := os.Executable()
	if err != nil {
		return ran{}, err
	}
	content, err := json.Marshal(in)
	if err != nil {
		return ran{}, err
	}
	cmd := p.prepare(ctx, command{core: core, args: []string{self, childArgument, mode}})
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(content), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return ran{}, errors.Join(ctx.Err(), fmt.Errorf("%s: %w: %s", mode, err, strings.TrimSpace(stderr.String())))
	}
	if err := json.Unmarshal(stdout.Bytes(), out); err != nil {
		return ran{}, fmt.Errorf("%s: %w", mode, err)
	}
	return ran{cpu: cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()}, nil
}

// alive is an error when the child has ended.
func (c *process) alive() error {
	select {
	case <-c.ended:
		return fmt.Errorf("%s has ended: %v%s", c.name, c.err, c.tail())
	default:
		return nil
	}
}

// tail is the end of the child's log, on a line of its own.
func (c *process) tail() string {
	content, err := os.ReadFile(c.log)
	if err != nil || len(content) == 0 {
		return ""
	}
	return "\n" + string(content[max(0, len(content)-2000):])
}

const stopTime = 20 * time.Second

// stop ends a child as its user would, and kills it when that takes too long. A child that ended
// with an error, or earlier, is an error.
func (p *processes) stop(child *process) error {
	p.mu.Lock()
	known := p.running[child]
	delete(p.running, child)
	p.mu.Unlock()
	if !known {
		return nil
	}
	early := child.alive()
	_ = child.stdin.Close()                    // ends this program's own children
	_ = child.cmd.Process.Signal(os.Interrupt) // ends the others
	select {
	case <-child.ended:
	case <-time.After(stopTime):
		_ = child.cmd.Process.Kill()
		<-child.ended
		return fmt.Errorf("%s did not stop within %s", child.name, stopTime)
	}
	if early != nil {
		return early
	}
	if child.err != nil {
		return fmt.Errorf("%s stopped with %w%s", child.name, child.err, child.tail())
	}
	return nil
}

// stopAll ends all children that are left.
func (p *processes) stopAll() error {
	p.mu.Lock()
	var left []*process
	for child := range p.running {
		left = append(left, child)
	}
	p.mu.Unlock()
	var errs []error
	for _, child := range left {
		errs = append(errs, p.stop(child))
	}
	return errors.Join(errs...)
}
