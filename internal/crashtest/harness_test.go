package crashtest

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

var artifacts = []string{"crash/app", "crash/base", "other/box"}

// harness is one server, what it was sent, and what it acknowledged.
type harness struct {
	t       *testing.T
	ctx     context.Context
	program program
	seed    uint64

	dir     string // for the addresses of servers
	process *process
	starts  int
	http    *http.Client
	api     *client.Client
	raw     rawClient

	cut [clients]*run // by the last kill, one of each worker

	mu       sync.Mutex // of what follows
	runs     []*run
	uploads  []*upload
	tokens   []*token
	contents map[registry.Digest]bool // all that was ever sent
	inFlight map[string]int           // requests by kind
	killedIn map[string]int           // kills while a request of that kind was under way
	counts   map[string]int64

	log  auditLog
	seen map[string]*numbers // by artifact
}

func newHarness(t *testing.T, ctx context.Context, p program, seed uint64) *harness {
	h := &harness{
		t: t, ctx: ctx, program: p, seed: seed, dir: t.TempDir(), contents: map[registry.Digest]bool{}, inFlight: map[string]int{},
		killedIn: map[string]int{}, counts: map[string]int64{}, seen: map[string]*numbers{}, log: newAuditLog(),
	}
	for _, a := range artifacts {
		h.seen[a] = &numbers{runs: map[int64]*run{}}
	}
	p.prepare(t)
	t.Cleanup(h.kill)
	return h
}

// start starts the server and the clients' connections to it.
func (h *harness) start() {
	h.t.Helper()
	began := time.Now()
	url := h.startProcess(func(p *process, addrFile string) (string, error) { return p.url(addrFile) })
	token, err := h.program.token()
	if err != nil {
		h.t.Fatal(err)
	}
	h.http = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}, Timeout: time.Minute}
	h.api = h.client(url, token)
	h.raw = rawClient{http: h.http, url: url, token: token}
	h.count("milliseconds of starts", time.Since(began).Milliseconds())
}

// client returns one that sends each request once: what was acknowledged is to be known exactly.
func (h *harness) client(url, token string) *client.Client {
	c, err := client.New(client.Options{Address: url, Token: token, UserAgent: "crashtest", RetryMax: -1, HTTP: h.http})
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

func (h *harness) startProcess(wait func(*process, string) (string, error)) string {
	h.t.Helper()
	if err := h.program.released(h.ctx); err != nil {
		h.t.Fatal(err)
	}
	h.starts++
	addrFile := filepath.Join(h.dir, fmt.Sprint("addr", h.starts))
	p, err := startProcess(h.program.command(addrFile))
	if err != nil {
		h.t.Fatal(err)
	}
	h.process = p
	url, err := wait(p, addrFile)
	if err != nil {
		h.t.Fatal(err)
	}
	return url
}

// startAndKill starts the server and kills it before it may have come up.
func (h *harness) startAndKill(after time.Duration) {
	h.t.Helper()
	h.startProcess(func(*process, string) (string, error) {
		time.Sleep(after)
		return "", nil
	})
	h.kill()
	h.count("kills in the start", 1)
}

// kill notes which requests are under way, and kills the server if one runs.
func (h *harness) kill() {
	if h.process == nil {
		return
	}
	h.mu.Lock()
	for kind, n := range h.inFlight {
		if n > 0 {
			h.killedIn[kind]++
		}
	}
	h.mu.Unlock()
	if said := h.process.kill(); said != "" {
		h.t.Errorf("the server logged errors:\n%s", said)
	}
	h.process = nil
	h.count("kills", 1)
	if h.http != nil {
		h.http.CloseIdleConnections()
	}
}

// request sends something and says whether it was acknowledged. A server that does not answer is what
// this is about; any other error is a failure.
func (h *harness) request(kind string, send func(ctx context.Context) error) bool {
	h.track(kind, 1)
	err := send(h.ctx)
	h.track(kind, -1)
	switch registry.KindOf(err) {
	case "":
		h.count("acknowledged: "+kind, 1)
		return true
	case registry.Unavailable:
	default:
		h.t.Errorf("%s: %v", kind, err)
	}
	return false
}

func (h *harness) track(kind string, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.inFlight[kind] += n
}

func (h *harness) count(what string, n int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.counts[what] += n
}

func (h *harness) remember(r *run) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.runs = append(h.runs, r)
}

// each calls do for all of a list, some at a time.
func each[T any](list []T, do func(T)) {
	var wg sync.WaitGroup
	next := make(chan T)
	for range 8 {
		wg.Go(func() {
			for v := range next {
				do(v)
			}
		})
	}
	for _, v := range list {
		next <- v
	}
	close(next)
	wg.Wait()
}

// report prints the counts.
func (h *harness) report(began time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, %.1f s\n", h.seed, time.Since(began).Seconds())
	for _, what := range slices.Sorted(maps.Keys(h.counts)) {
		fmt.Fprintf(&b, "%10d  %s\n", h.counts[what], what)
	}
	for _, kind := range slices.Sorted(maps.Keys(h.killedIn)) {
		fmt.Fprintf(&b, "%10d  kills during: %s\n", h.killedIn[kind], kind)
	}
	h.t.Log(b.String())
}
