// Package runner does the runs of links: it takes a run from the registry, unpacks the version of the application that it is
// about, runs a command on it, and reports how that ended.
//
//	err := runner.Run(stop, kill, runner.Config{
//		Registry: client, Links: []runner.Link{{Application: "cargomedia/app", Target: "cargomedia/app-image"}},
//		Name: "build-1", Command: []string{"packer", "build", "image.pkr.hcl"}, …
//	})
//
// A run is done at least once: a runner that falls silent loses it to another. What keeps it one version all the same is the
// fingerprint, which every runner that has the run gives to its command.
package runner

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

// Registry is what a runner asks of a registry; a [client.Client] is one.
type Registry interface {
	ClaimRun(context.Context, registry.ClaimRequest) (registry.Claim, error)
	RenewRun(ctx context.Context, id int64, lease string, seconds int) (registry.Run, error)
	AppendRunLog(ctx context.Context, id int64, part registry.RunLogPart) (registry.RunLogEnd, error)
	FinishRun(ctx context.Context, id int64, result registry.RunResult) (registry.Run, error)
	Version(ctx context.Context, artifact, ref string) (registry.Version, error)
	Download(ctx context.Context, digest registry.Digest, size int64, path string, track client.Track) error
}

// Link is one whose runs a runner does.
type Link struct{ Application, Target registry.ArtifactName }

func (l Link) String() string { return string(l.Application) + ":" + string(l.Target) }

// Config is all that a runner works with. Every field but Chdir, Once and WorkDir is needed.
type Config struct {
	Registry Registry
	Links    []Link
	// Name is what the registry calls the runner.
	Name string
	// Command is a program and its arguments.
	Command []string
	// Chdir runs the command in the unpacked application, and not in the runner's own directory.
	Chdir bool
	// Environ is the environment of the runner, NAME=value. Address and Token are added to it for the command, and the
	// token is left out of what the command says.
	Environ        []string
	Address, Token string
	// WorkDir is where applications are unpacked; "" is the system's temporary directory.
	WorkDir string
	// Poll is the pause after a round in which there was nothing to do.
	Poll time.Duration
	// Lease is how long the runner may be silent before another one takes its run: whole seconds, 5 to 3600.
	Lease time.Duration
	// Grace is how long a command that was interrupted has to clean up before it is killed.
	Grace time.Duration
	// Once ends the runner after one run.
	Once bool
	// Output gets what commands say.
	Output io.Writer
	// Log is told what the runner itself does.
	Log func(format string, args ...any)
	// Finished is told of each run whose end the registry has recorded.
	Finished func(registry.Run)
}

// Run takes runs and does them, until stop is done: it takes nothing new then, and returns when the command that runs has
// ended. When kill is done, too, that command is interrupted, and its run fails. A registry that is away is waited for. The
// error is the refusal of a registry that will not give this runner a run. With Once it is also that of a run that was lost to
// another runner, and [context.Canceled] when there was no run before stop was done.
func Run(stop, kill context.Context, c Config) error {
	r := &runner{Config: c}
	for {
		claim, asked, err := r.next(stop, kill)
		if err != nil {
			return err
		}
		if claim.Run == nil {
			if c.Once {
				return stop.Err()
			}
			return nil
		}
		err = r.do(kill, claim, asked)
		if c.Once {
			return err
		}
		if err != nil {
			c.Log("%v", err)
		}
	}
}

type runner struct {
	Config
	// turn counts claims, so that links take turns.
	turn int
	// missed is true while the registry is away.
	missed bool
}

const (
	maxPause = time.Minute
	// claimGrace is how long a claim that is on its way when the runner is stopped may take: the run in its answer would
	// wait for the end of its lease.
	claimGrace = 2 * time.Second
)

// next waits for a run; there is none when stop is done. asked is when it was asked for.
func (r *runner) next(stop, kill context.Context) (claim registry.Claim, asked time.Time, err error) {
	for pause := r.Poll; stop.Err() == nil; {
		reached := false
		for range r.Links {
			link := r.Links[r.turn%len(r.Links)]
			r.turn++
			asked = time.Now()
			claim, err = r.claim(stop, kill, link)
			switch {
			case stop.Err() != nil && err != nil:
				return registry.Claim{}, asked, nil
			case err != nil && !away(err):
				return registry.Claim{}, asked, fmt.Errorf("--link %s: %w", link, err)
			case err != nil:
				r.miss(err)
				continue
			}
			r.miss(nil)
			if claim.Run != nil {
				return claim, asked, nil
			}
			reached = true
			if stop.Err() != nil {
				break
			}
		}
		rest(stop, pause)
		if pause = min(2*pause, max(maxPause, r.Poll)); reached {
			pause = r.Poll
		}
	}
	return registry.Claim{}, asked, nil
}

// claim asks for a run of a link.
func (r *runner) claim(stop, kill context.Context, link Link) (registry.Claim, error) {
	ctx, cancel := context.WithTimeout(kill, r.Lease)
	defer cancel()
	defer context.AfterFunc(stop, func() { time.AfterFunc(claimGrace, cancel) })()
	return r.Registry.ClaimRun(ctx, registry.ClaimRequest{
		Application: string(link.Application), Target: string(link.Target), Runner: r.Name, LeaseSeconds: int(r.Lease / time.Second),
	})
}

// miss says, once, that the registry is away, or back.
func (r *runner) miss(err error) {
	if err != nil && !r.missed {
		r.Log("%v; the runner goes on asking", err)
	}
	if err == nil && r.missed {
		r.Log("the registry is back")
	}
	r.missed = err != nil
}

// away says whether an error is the registry's trouble, which passes.
func away(err error) bool {
	kind := registry.KindOf(err)
	return kind == registry.Unavailable || kind == registry.Internal
}

// rest waits, at most until the context is done.
func rest(ctx context.Context, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

const (
	firstRetry = 250 * time.Millisecond
	lastRetry  = 10 * time.Second
)

// persist repeats a call until the registry is there, or the context is done.
func persist(ctx context.Context, call func() error) error {
	for pause := firstRetry; ; pause = min(2*pause, lastRetry) {
		err := call()
		if registry.KindOf(err) != registry.Unavailable || err == nil || ctx.Err() != nil {
			return err
		}
		rest(ctx, pause)
	}
}
