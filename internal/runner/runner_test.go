//go:build unix

package runner_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/runner"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func TestRunnerTakesRuns(t *testing.T) {
	t.Run("links take turns", func(t *testing.T) {
		f := newFake(t)
		other := f.queued[0]
		other.ID, other.Application = 8, "cargomedia/other"
		f.queued = append(f.queued, other, f.queued[0])
		s := start(t, f, "true", func(c *runner.Config) {
			c.Once = false
			c.Links = append(c.Links, runner.Link{Application: "cargomedia/other", Target: "cargomedia/app-image"})
		})
		until(t, "three runs are reported", f.has(func() bool { return len(f.results) == 3 }))
		s.stop()
		if err := s.wait(t); err != nil {
			t.Fatal(err)
		}
		var ids []int64
		for _, r := range s.finished {
			ids = append(ids, r.ID)
		}
		if want := []int64{7, 8, 7}; !slices.Equal(ids, want) {
			t.Errorf("the runs were %v, want %v", ids, want)
		}
	})
	t.Run("a registry that is away is asked again, and told of once", func(t *testing.T) {
		f := newFake(t)
		f.onClaim = func(n int) error {
			if n < 5 {
				return unavailable()
			}
			return nil
		}
		_, s := once(t, f, "true", nil)
		if len(f.claims) != 5 || len(s.notes) != 2 {
			t.Errorf("%d claims, and the notes %v", len(f.claims), s.notes)
		}
	})
	t.Run("a refusal ends the runner", func(t *testing.T) {
		f := newFake(t)
		f.onClaim = func(int) error { return registry.Errorf(registry.Forbidden, "not with this token") }
		err := start(t, f, "true", func(c *runner.Config) { c.Once = false }).wait(t)
		if registry.KindOf(err) != registry.Forbidden {
			t.Fatalf("got %v", err)
		}
		contains(t, err.Error(), "cargomedia/app:cargomedia/app-image", "not with this token")
	})
	t.Run("it ends while it waits", func(t *testing.T) {
		for _, single := range []bool{false, true} {
			f := newFake(t)
			f.queued = nil
			s := start(t, f, "true", func(c *runner.Config) { c.Once = single })
			until(t, "it has asked twice", f.has(func() bool { return len(f.claims) > 1 }))
			s.stop()
			if err := s.wait(t); errors.Is(err, context.Canceled) != single {
				t.Errorf("once %v: got %v", single, err)
			}
		}
	})
}

func TestSignals(t *testing.T) {
	t.Run("a run in the answer to a claim that was on its way is done", func(t *testing.T) {
		f := newFake(t)
		asked, stopped := make(chan struct{}), make(chan struct{})
		f.onClaim = func(int) error {
			close(asked)
			<-stopped
			return nil
		}
		s := start(t, f, "true", func(c *runner.Config) { c.Once = false })
		<-asked
		s.stop()
		close(stopped)
		if err := s.wait(t); err != nil || len(s.finished) != 1 {
			t.Errorf("got %v, reported is %+v", err, s.finished)
		}
	})
	t.Run("the first one lets the command end, and nothing new is taken", func(t *testing.T) {
		f := newFake(t)
		f.queued = append(f.queued, f.queued[0])
		at := t.TempDir()
		s := start(t, f, "touch "+at+"/started; while [ ! -e "+at+"/go ]; do sleep 0.01; done", func(c *runner.Config) { c.Once = false })
		until(t, "the command runs", exists(filepath.Join(at, "started")))
		s.stop()
		touch(t, filepath.Join(at, "go"))
		if err := s.wait(t); err != nil {
			t.Fatal(err)
		}
		if len(s.finished) != 1 || s.finished[0].Status != registry.RunDone || len(f.queued) != 1 {
			t.Errorf("reported is %+v, and %d runs are left", s.finished, len(f.queued))
		}
	})
	t.Run("the second one interrupts the command, and the run fails", func(t *testing.T) {
		f := newFake(t)
		at := t.TempDir()
		s := start(t, f, "trap 'touch "+at+"/cleaned; exit 1' INT; touch "+at+"/started; while :; do sleep 0.01; done", nil)
		until(t, "the command runs", exists(filepath.Join(at, "started")))
		s.kill()
		if err := s.wait(t); err != nil {
			t.Fatal(err)
		}
		if len(f.results) != 1 || f.results[0].Message != "the runner was stopped" {
			t.Errorf("reported is %+v", f.results)
		}
		if !exists(filepath.Join(at, "cleaned"))() {
			t.Error("the command had no time to clean up")
		}
	})
	t.Run("a command that does not heed it is killed, with what it started", func(t *testing.T) {
		f := newFake(t)
		at := t.TempDir()
		s := start(t, f, "trap '' INT; (while :; do sleep 0.01; done) & echo $! > "+at+"/pid; touch "+at+"/started; wait", func(c *runner.Config) { c.Grace = 1 })
		until(t, "the command runs", exists(filepath.Join(at, "started")))
		s.kill()
		if err := s.wait(t); err != nil {
			t.Fatal(err)
		}
		gone(t, filepath.Join(at, "pid"))
	})
}
