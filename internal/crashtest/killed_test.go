// Package crashtest kills a registry's server with SIGKILL, again and again, while many clients
// write to it, and holds every restart against what was acknowledged before:
//
//   - what was acknowledged is there, exactly as it was sent, with its events in the audit log once;
//   - what was not acknowledged is there as a whole or not at all, and can be sent again;
//   - every blob that a version refers to has its digest, and an upload goes on from where it is.
//
// A failure prints the seed; -seed with it repeats what is sent and when the server is killed, though
// not how the two meet. The counts of a run are in the output of -v.
package crashtest

import (
	"context"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/internal/pgtest"
)

var (
	seedFlag   = flag.Uint64("seed", 0, "seed of the load and of the kills; 0 takes one by chance")
	roundsFlag = flag.Int("rounds", 0, "how often each server is killed; 0 is some hundred times, or a few with -short")
)

func TestMain(m *testing.M) {
	if os.Getenv(databaseVariable) != "" {
		os.Exit(servePostgres())
	}
	pgtest.Main(m)
}

func TestKilledServerOnSQLite(t *testing.T) {
	crash(t, &almanacServe{data: filepath.Join(t.TempDir(), "data")}, 300, 15)
}

// The command cannot be told to use PostgreSQL yet, so the same parts run in a process of this program.
func TestKilledServerOnPostgreSQL(t *testing.T) {
	crash(t, &postgresServe{data: filepath.Join(t.TempDir(), "data"), database: pgtest.New(t)}, 60, 5)
}

const (
	clients = 6
	// budget is the time after which no round begins, on a machine that has other work. The count of rounds
	// tells how many there were.
	budget = 4 * time.Minute
	// everything is how many rounds pass between two checks of all that was ever acknowledged.
	everything = 100
	// recent is how many rounds each check goes back.
	recent = 2
	// tidyUp is what is left of the test's time to end the server in.
	tidyUp = 10 * time.Second
)

// crash kills a server some number of times.
func crash(t *testing.T, program program, rounds, shortRounds int) {
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	if testing.Short() {
		rounds = shortRounds
	}
	if *roundsFlag > 0 {
		rounds = *roundsFlag
	}
	t.Logf("seed %d, %d rounds", seed, rounds)
	ctx, cancel := t.Context(), context.CancelFunc(func() {})
	if deadline, ok := t.Deadline(); ok {
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-tidyUp))
	}
	defer cancel()
	h := newHarness(t, ctx, program, seed)
	began := time.Now()
	defer h.report(began)
	h.start()
	for round, last := 1, false; !last; round++ {
		h.round(round)
		last = round == rounds || time.Since(began) > budget
		h.check(round, last || round%everything == 0)
		if t.Failed() {
			t.Fatalf("round %d of seed %d", round, seed)
		}
	}
	h.kill()
	h.checkAtRest()
}

// round puts load on the server, kills it in the midst of that, and starts it again. Now and then it
// is killed in its start, too.
func (h *harness) round(n int) {
	h.t.Helper()
	rng := rand.New(rand.NewPCG(h.seed, uint64(n)))
	delay := time.Duration(5+rng.IntN(116)) * time.Millisecond
	done := make(chan struct{})
	for worker := range clients {
		plans := rand.New(rand.NewPCG(h.seed, uint64(n)<<16|uint64(worker)+1))
		go func() {
			defer func() { done <- struct{}{} }()
			h.load(n, worker, plans)
		}()
	}
	time.Sleep(delay)
	h.kill()
	for range clients {
		<-done
	}
	if n%10 == 0 {
		h.startAndKill(time.Duration(rng.IntN(40)) * time.Millisecond)
	}
	h.start()
}

// load goes on with the run that the last kill has cut, as a publisher would, and begins one after the
// other then, until the server does not answer any more.
func (h *harness) load(round, worker int, rng *rand.Rand) {
	r := h.cut[worker]
	for seq := 0; h.ctx.Err() == nil && !h.t.Failed(); seq++ {
		if r == nil {
			r = h.newRun(round, worker, seq)
			r.steps = h.plan(r, rng)
			h.remember(r)
		} else {
			r.round = round
		}
		for len(r.steps) > 0 {
			s := r.steps[0]
			r.steps = r.steps[1:] // the check after the restart finishes it
			if !h.perform(s) {
				h.cut[worker] = r
				return
			}
		}
		h.count("runs that went through", 1)
		r = nil
	}
}

// perform does the tasks of a step at once, and says whether all of them were acknowledged.
func (h *harness) perform(s step) bool {
	results := make(chan bool, len(s))
	for _, task := range s {
		go func() { results <- task() }()
	}
	all := true
	for range s {
		all = <-results && all
	}
	return all
}
