package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"
)

const (
	loadConnections = 32
	seed            = 20150914
	// smallBody is what the prototypes answered; a Resolution has more to say.
	smallBody = 229
)

// target is something that answers requests of one kind.
type target struct {
	name    string
	server  *process
	address string
	token   string
	accept  string
	paths   []string

	samples []sample
}

// sample is one round of a target.
type sample struct {
	rate     float64 // requests per second
	cpu      float64 // microseconds of the server per request
	loadCPU  float64 // microseconds of the load generator per request
	p50, p99 float64 // milliseconds
	body     int     // bytes
}

// measure sends requests to a target for some time.
func (b *bench) measure(t *target, length time.Duration) (sample, error) {
	before, err := cpuTime(t.server.pid)
	known := err == nil
	var result loadResult
	run, err := b.children.runOwn(b.ctx, b.cores.load, "load", loadPlan{
		Address: t.address, Connections: loadConnections, Duration: length, Seed: seed, Paths: t.paths,
		Header: "Authorization: Bearer " + t.token + "\r\nAccept: " + t.accept + "\r\n",
	}, &result)
	if err := errors.Join(err, t.server.alive()); err != nil {
		return sample{}, fmt.Errorf("%s: %w", t.name, err)
	}
	if result.Requests == 0 {
		return sample{}, fmt.Errorf("%s: not one request was answered within %s", t.name, length)
	}
	n := float64(result.Requests)
	s := sample{
		rate: n / result.Elapsed.Seconds(), loadCPU: micros(run.cpu) / n,
		p50: millis(result.P50), p99: millis(result.P99), body: result.Body,
	}
	if known {
		after, err := cpuTime(t.server.pid)
		if err != nil {
			return sample{}, err
		}
		s.cpu = micros(after-before) / n
	}
	return s, nil
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// lookups are paths of one lookup for each region of every step-th artifact, with the ref that refOf gives.
func lookups(s shape, step int, refOf func(artifact int) string) []string {
	var paths []string
	for artifact := 0; artifact < s.Artifacts; artifact += step {
		for _, region := range regions[:s.Regions] {
			paths = append(paths, "/v1/resolve/"+artifactName(artifact)+"/"+refOf(artifact)+"?type=amazon.image&region="+region)
		}
	}
	return paths
}

func fixed(ref string) func(int) string { return func(int) string { return ref } }

// resolveTargets are the servers' lookups; the references come first.
type resolveTargets struct {
	bare, sameSize, latest, few, small, text *target
	others                                   []*target
}

func (r *resolveTargets) all() []*target {
	return append([]*target{r.bare, r.sameSize, r.latest, r.few, r.small, r.text}, r.others...)
}

// resolve measures lookups that nothing caches.
func (b *bench) resolve() ([]figure, error) {
	targets, stop, err := b.resolveTargets()
	if err != nil {
		return nil, errors.Join(err, stop())
	}
	for _, t := range targets.all() { // connections, statements and the page cache get warm
		if _, err := b.measure(t, b.scale.Load/4); err != nil {
			return nil, errors.Join(err, stop())
		}
	}
	for round := range b.scale.Rounds {
		b.say("resolve, round %d of %d", round+1, b.scale.Rounds)
		for _, t := range targets.all() {
			s, err := b.measure(t, b.scale.Load)
			if err != nil {
				return nil, errors.Join(err, stop())
			}
			t.samples = append(t.samples, s)
		}
	}
	figures := targets.figures(b.scale)
	return append(figures, memoryAfter(targets.latest.server.pid)...), stop()
}

// memoryAfter is what a server holds once it is no longer idle. Each connection to the database maps
// its file anew, and the system counts the same pages for each.
func memoryAfter(pid int) []figure {
	const name = "memory of the server after the lookups"
	var figures []figure
	for _, m := range []struct{ name, field string }{{name, "VmRSS"}, {name + ", without mapped files", "RssAnon"}} {
		if mib, err := resident(pid, m.field); err == nil {
			figures = append(figures, median(m.name, "MiB", []float64{mib}, nil))
		} else {
			figures = append(figures, missing(m.name, "MiB", noProc, nil))
		}
	}
	return figures
}

// resolveTargets starts the servers. stop is never nil.
func (b *bench) resolveTargets() (targets *resolveTargets, stop func() error, err error) {
	var servers []*process
	stop = func() error {
		var errs []error
		for _, server := range servers {
			errs = append(errs, b.children.stop(server))
		}
		return errors.Join(errs...)
	}
	serve := func(s shape) (*almanac, dataset, error) {
		data, err := b.dataset(s)
		if err != nil {
			return nil, data, err
		}
		server, err := b.serve(data.dir, b.cores.server, true)
		if err == nil {
			servers = append(servers, server.process)
		}
		return server, data, err
	}
	big, data, err := serve(b.scale.Big)
	if err != nil {
		return nil, stop, err
	}
	small, smallData, err := serve(b.scale.Small)
	if err != nil {
		return nil, stop, err
	}
	lookup := func(name, accept string, server *almanac, d dataset, refOf func(int) string) *target {
		return &target{name: "resolve " + name, server: server.process, address: server.address(), token: d.Token, accept: accept, paths: lookups(d.Shape, 1, refOf)}
	}
	targets = &resolveTargets{
		latest: lookup("latest", "application/json", big, data, fixed("latest")),
		small:  lookup("latest, small data set", "application/json", small, smallData, fixed("latest")),
		text:   lookup("latest, text/plain", "text/plain", big, data, fixed("latest")),
	}
	// As many keys as the small data set has, from all over the large one: what is compared is the rows, and not how
	// many answers the processor's caches hold.
	targets.few = lookup("latest, as many keys as the small data set", "application/json", big, data, fixed("latest"))
	targets.few.paths = lookups(data.Shape, max(1, data.Shape.Artifacts/smallData.Shape.Artifacts), fixed("latest"))
	random := rand.New(rand.NewPCG(seed, 0))
	versions := data.Shape.Versions
	targets.others = []*target{
		lookup("by channel", "application/json", big, data, fixed(channel)),
		lookup("by number", "application/json", big, data, func(int) string { return strconv.Itoa(1 + random.IntN(versions)) }),
		lookup("by version", "application/json", big, data, func(int) string { return fmt.Sprintf("0.%d.0", 1+random.IntN(versions)) }),
		lookup("by constraint", "application/json", big, data, fixed("~%3E%200.1")),
	}
	// A look at an answer says how long the same-sized reference is.
	first, err := b.measure(targets.latest, b.scale.Load/10)
	if err != nil {
		return nil, stop, err
	}
	sizes := []string{strconv.Itoa(smallBody), strconv.Itoa(first.body)}
	bare, address, err := b.children.startOwn(b.ctx, b.cores.server, "constant", sizes...)
	if err != nil {
		return nil, stop, err
	}
	servers = append(servers, bare)
	targets.bare = &target{name: "bare", server: bare, address: address, token: data.Token, accept: "application/json", paths: []string{"/" + sizes[0]}}
	targets.sameSize = &target{name: "bare of the same size", server: bare, address: address, token: data.Token, accept: "application/json", paths: []string{"/" + sizes[1]}}
	return targets, stop, nil
}

// values are one number of each round.
func (t *target) values(of func(sample) float64) []float64 {
	var values []float64
	for _, s := range t.samples {
		values = append(values, of(s))
	}
	return values
}

func rateOf(s sample) float64 { return s.rate }
func cpuOf(s sample) float64  { return s.cpu }

// ratios divide the rates of each round.
func ratios(t, reference *target) []float64 {
	return quotients(t.values(rateOf), reference.values(rateOf))
}

func quotients(values, references []float64) []float64 {
	var q []float64
	for i, v := range values {
		q = append(q, v/references[i])
	}
	return q
}

func (r *resolveTargets) figures(s scale) []figure {
	body := r.latest.samples[0].body
	figures := []figure{
		median(fmt.Sprintf("resolve latest / bare (%d B)", smallBody), "x", ratios(r.latest, r.bare), atLeast(0.30, 0.50)),
		median(fmt.Sprintf("resolve latest / bare of as many bytes (%d B)", body), "x", ratios(r.latest, r.sameSize), nil),
		median(fmt.Sprintf("resolve latest, %d rows / %d rows, as many keys", s.Big.rows(), s.Small.rows()), "x", ratios(r.few, r.small), atLeast(0.90, 0.95)),
		median(fmt.Sprintf("resolve latest, %d rows / %d rows, %d keys / %d keys", s.Big.rows(), s.Small.rows(), len(r.latest.paths), len(r.small.paths)), "x", ratios(r.latest, r.small), nil),
		median("resolve latest, text/plain / bare", "x", ratios(r.text, r.bare), nil),
	}
	if cpu := r.latest.values(cpuOf); slices.Max(cpu) > 0 {
		figures = append(figures, median("resolve latest / bare, by CPU", "x", quotients(r.bare.values(cpuOf), cpu), nil))
	}
	for _, t := range r.all() {
		figures = append(figures, median(t.name, "req/s", t.values(rateOf), nil), t.cpuFigure())
	}
	for _, t := range []*target{r.bare, r.latest} {
		figures = append(figures,
			median(t.name+", p50", "ms", t.values(func(s sample) float64 { return s.p50 }), nil),
			median(t.name+", p99", "ms", t.values(func(s sample) float64 { return s.p99 }), nil),
			median(t.name+", load generator", "CPU us/req", t.values(func(s sample) float64 { return s.loadCPU }), nil),
		)
	}
	return figures
}

func (t *target) cpuFigure() figure {
	f := median(t.name, "CPU us/req", t.values(cpuOf), nil)
	if f.High == 0 {
		f.Missing = noProc
	}
	return f
}
