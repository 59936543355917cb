package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

// publishPlan is what a publisher does. It is sent to a child as JSON.
type publishPlan struct {
	URL, Token string
	// Run is the first part of all fingerprints; no two plans have the same.
	Run string
	// Writers publish at the same time, Count publications in all.
	Writers, Count int
	Regions        int
}

type publishResult struct{ Elapsed time.Duration }

// runPublish publishes new versions of as many artifacts as there are writers, each answered before
// its writer sends the next.
func runPublish(plan publishPlan) (publishResult, error) {
	c, err := newClient(plan.URL, plan.Token)
	if err != nil {
		return publishResult{}, err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var next atomic.Int64
	errs := make([]error, plan.Writers)
	var wait sync.WaitGroup
	start := time.Now()
	for writer := range plan.Writers {
		wait.Go(func() {
			for n := next.Add(1); n <= int64(plan.Count) && errs[writer] == nil; n = next.Add(1) {
				_, errs[writer] = c.Publish(ctx, artifactName(writer), publication(fmt.Sprintf("%s-%d", plan.Run, n), regions[:plan.Regions]))
			}
			if errs[writer] != nil {
				stop()
			}
		})
	}
	wait.Wait()
	return publishResult{Elapsed: time.Since(start)}, errors.Join(errs...)
}

// newClient never repeats a call: what fails must show.
func newClient(url, token string) (*client.Client, error) {
	return client.New(client.Options{Address: url, Token: token, UserAgent: "almanac-bench", RetryMax: -1})
}

const publishWriters = 64

// publish measures publications, durable and over HTTP, against the disk's own rate of fsync.
func (b *bench) publish() (figures []figure, err error) {
	server, err := b.fresh(b.cores.server, true)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.end(server, true)) }()
	token, err := server.adminToken()
	if err != nil {
		return nil, err
	}
	serial := 0
	rate := func(writers, regions, count int) (float64, error) {
		serial++
		var result publishResult
		plan := publishPlan{URL: server.url, Token: token, Run: fmt.Sprintf("run-%d", serial), Writers: writers, Regions: regions, Count: count}
		_, err := b.children.runOwn(b.ctx, b.cores.load, "publish", plan, &result)
		return float64(count) / result.Elapsed.Seconds(), err
	}
	if _, err := rate(publishWriters, len(regions), 2*publishWriters); err != nil { // makes the artifacts
		return nil, err
	}
	var one, twenty, many, fsyncs []float64
	for round := range b.scale.Rounds {
		b.say("publish, round %d of %d", round+1, b.scale.Rounds)
		for _, m := range []struct {
			to      *[]float64
			measure func() (float64, error)
		}{
			{&one, func() (float64, error) { return rate(1, 1, b.scale.Publish) }},
			{&twenty, func() (float64, error) { return rate(1, len(regions), b.scale.Publish) }},
			{&many, func() (float64, error) { return rate(publishWriters, 1, 2*b.scale.Publish) }},
			{&fsyncs, func() (float64, error) { return fsyncRate(b.scratch, b.scale.Load/2) }},
		} {
			value, err := m.measure()
			if err := errors.Join(err, server.alive()); err != nil {
				return nil, err
			}
			*m.to = append(*m.to, value)
		}
	}
	return []figure{
		median("publish 20 regions / 1 region, cost", "x", quotients(one, twenty), atMost(3, 1.5)),
		median(fmt.Sprintf("publish 1 region, %d writers / fsync", publishWriters), "x", quotients(many, fsyncs), atLeast(0.5, 2)),
		median("publish 1 region, 1 writer / fsync", "x", quotients(one, fsyncs), nil),
		median("publish 1 region, 1 writer", "1/s", one, nil),
		median("publish 20 regions, 1 writer", "1/s", twenty, nil),
		median(fmt.Sprintf("publish 1 region, %d writers", publishWriters), "1/s", many, nil),
		median("append 4 KiB + fsync", "1/s", fsyncs, nil),
	}, nil
}

// fsyncRate is how often a second 4 KiB can be appended to a file and synced.
func fsyncRate(dir string, length time.Duration) (rate float64, err error) {
	file, err := os.Create(filepath.Join(dir, "fsync"))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close(), os.Remove(file.Name())) }()
	block := make([]byte, 4096)
	count, start := 0, time.Now()
	for time.Since(start) < length {
		if _, err := file.Write(block); err != nil {
			return 0, err
		}
		if err := file.Sync(); err != nil {
			return 0, err
		}
		count++
	}
	return float64(count) / time.Since(start).Seconds(), nil
}
