//go:build unix

package runner_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/internal/archive"
	"github.com/cargomedia/packer-plugin-almanac/internal/runner"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

const token = "alm_tokentokentoken"

// fake is a registry with runs to hand out. Its hooks are called before what they are about, and can refuse it.
type fake struct {
	mu      sync.Mutex
	queued  []registry.Run
	version registry.Version
	blobs   map[registry.Digest][]byte

	claims  []registry.ClaimRequest
	renewed int
	parts   []registry.RunLogPart
	log     string
	results []registry.RunResult

	onClaim  func(n int) error
	onRenew  func(n int) error
	onAppend func(f *fake, part registry.RunLogPart) (end registry.RunLogEnd, answered bool, err error)
	onFinish func(n int) error
}

const digest = registry.Digest("0000000000000000000000000000000000000000000000000000000000000001")

// newFake has a run for an application that is a packed directory.
func newFake(t *testing.T) *fake {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "greeting.txt"), []byte("hello"), 0o600); err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	if err := archive.Pack(t.Context(), &packed, dir); err != nil {
		t.Fatal(err)
	}
	f := &fake{blobs: map[registry.Digest][]byte{digest: packed.Bytes()}}
	f.queued = []registry.Run{{
		ID: 7, Application: "cargomedia/app", From: registry.VersionID{Number: 3, Version: "1.2.0"},
		Target: "cargomedia/app-image", Fingerprint: "almanac-run-7",
	}}
	f.version = registry.Version{Artifact: "cargomedia/app", VersionID: f.queued[0].From, Builds: []registry.Build{{
		Component: "application", Type: registry.Archive, Files: []registry.File{{Name: "app.tar.gz", SHA256: digest}},
		Provenance: registry.Metadata{"git_commit": "4f2a1c9", "git_ref": "main"},
	}}}
	return f
}

func unavailable() error { return registry.Errorf(registry.Unavailable, "the registry is away") }

func (f *fake) ClaimRun(_ context.Context, req registry.ClaimRequest) (registry.Claim, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.claims = append(f.claims, req)
	if f.onClaim != nil {
		if err := f.onClaim(len(f.claims)); err != nil {
			return registry.Claim{}, err
		}
	}
	i := slices.IndexFunc(f.queued, func(r registry.Run) bool { return string(r.Application) == req.Application })
	if i < 0 {
		return registry.Claim{}, nil
	}
	run := f.queued[i]
	f.queued = slices.Delete(f.queued, i, i+1)
	return registry.Claim{Run: &run, Lease: "lease"}, nil
}

func (f *fake) RenewRun(context.Context, int64, string, int) (registry.Run, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.renewed++
	if f.onRenew != nil {
		return registry.Run{}, f.onRenew(f.renewed)
	}
	return registry.Run{}, nil
}

func (f *fake) AppendRunLog(_ context.Context, _ int64, part registry.RunLogPart) (registry.RunLogEnd, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.parts = append(f.parts, part)
	if f.onAppend != nil {
		if end, answered, err := f.onAppend(f, part); answered {
			return end, err
		}
	}
	return f.keep(part)
}

// keep does what the service does with a part.
func (f *fake) keep(part registry.RunLogPart) (registry.RunLogEnd, error) {
	switch size := int64(len(f.log)); size {
	case part.Offset + int64(len(part.Text)):
	case part.Offset:
		f.log += part.Text
	default:
		return registry.RunLogEnd{}, registry.Errorf(registry.Conflict, "the log has %d bytes", size)
	}
	return registry.RunLogEnd{Size: int64(len(f.log))}, nil
}

func (f *fake) FinishRun(_ context.Context, id int64, result registry.RunResult) (registry.Run, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.results = append(f.results, result)
	if f.onFinish != nil {
		if err := f.onFinish(len(f.results)); err != nil {
			return registry.Run{}, err
		}
	}
	run := registry.Run{ID: id, Status: registry.RunDone}
	if result.Failed {
		run.Status, run.Message = registry.RunFailed, result.Message
	}
	return run, nil
}

func (f *fake) Version(context.Context, string, string) (registry.Version, error) {
	return f.version, nil
}

func (f *fake) Download(_ context.Context, d registry.Digest, _ int64, path string, _ client.Track) error {
	return os.WriteFile(path, f.blobs[d], 0o600)
}

// has says whether something is so, under the lock.
func (f *fake) has(is func() bool) func() bool {
	return func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return is()
	}
}

// started is a runner in a test.
type started struct {
	stop, kill context.CancelFunc
	done       chan error
	finished   []registry.Run
	output     bytes.Buffer
	notes      []string
	workDir    string
}

// start starts a runner whose command is a line for a shell.
func start(t *testing.T, f *fake, line string, change func(*runner.Config)) *started {
	t.Helper()
	s := &started{done: make(chan error, 1), workDir: t.TempDir()}
	stop, cancelStop := context.WithCancel(t.Context())
	kill, cancelKill := context.WithCancel(t.Context())
	s.stop, s.kill = cancelStop, func() { cancelStop(); cancelKill() }
	c := runner.Config{
		Registry: f, Links: []runner.Link{{Application: "cargomedia/app", Target: "cargomedia/app-image"}}, Name: "builder",
		Command: []string{"sh", "-c", line}, Environ: []string{"PATH=" + os.Getenv("PATH")}, Address: "http://registry", Token: token,
		WorkDir: s.workDir, Poll: time.Millisecond, Lease: time.Hour, Grace: 10 * time.Second, Once: true, Output: &s.output,
		Log:      func(format string, args ...any) { s.notes = append(s.notes, fmt.Sprintf(format, args...)) },
		Finished: func(r registry.Run) { s.finished = append(s.finished, r) },
	}
	if change != nil {
		change(&c)
	}
	go func() { s.done <- runner.Run(stop, kill, c) }()
	return s
}

// wait returns what the runner returned.
func (s *started) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-s.done:
		return err
	case <-time.After(time.Minute):
		t.Fatalf("the runner does not end; it says %v and %s", s.notes, &s.output)
		return nil
	}
}

// once runs one command to its end, and returns what was reported of it.
func once(t *testing.T, f *fake, line string, change func(*runner.Config)) (registry.Run, *started) {
	t.Helper()
	s := start(t, f, line, change)
	if err := s.wait(t); err != nil {
		t.Fatal(err)
	}
	if len(s.finished) != 1 {
		t.Fatalf("%d runs were reported, want one", len(s.finished))
	}
	return s.finished[0], s
}

// until waits for something.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

func exists(path string) func() bool {
	return func() bool { _, err := os.Stat(path); return err == nil }
}

// contains fails for parts that a text lacks.
func contains(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q is missing in:\n%s", part, text)
		}
	}
}
