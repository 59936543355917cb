package main

import (
	"errors"
	"os/exec"
	"path/filepath"
	"time"
)

// start measures how soon a server over the large data set answers, and what it holds in memory then.
func (b *bench) start() ([]figure, error) {
	data, err := b.dataset(b.scale.Big)
	if err != nil {
		return nil, err
	}
	var warm, cold, memory []float64
	var evictErr error
	for range b.scale.Rounds {
		took, rss, err := b.startOnce(data.dir)
		if err != nil {
			return nil, err
		}
		warm = append(warm, took)
		if rss > 0 {
			memory = append(memory, rss)
		}
		if evictErr = evict(filepath.Join(data.dir, "almanac.db")); evictErr != nil {
			continue
		}
		if took, _, err = b.startOnce(data.dir); err != nil {
			return nil, err
		}
		cold = append(cold, took)
	}
	figures := []figure{
		median("start to ready", "ms", warm, atMost(1000, 200)),
		median("start to ready, database not in the page cache", "ms", cold, nil),
		median("memory of the idle server", "MiB", memory, atMost(150, 64)),
	}
	if evictErr != nil {
		figures[1].Missing = "the file cannot be dropped from the page cache: " + evictErr.Error()
	}
	if len(memory) == 0 {
		figures[2].Missing = noProc
	}
	return figures, nil
}

// startOnce returns milliseconds, and MiB or 0 where the system does not say.
func (b *bench) startOnce(dir string) (took, rss float64, err error) {
	begun := time.Now()
	server, err := b.serve(dir, "", false)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, b.end(server, false)) }()
	if err := b.ready(server); err != nil {
		return 0, 0, err
	}
	took = millis(time.Since(begun))
	time.Sleep(b.scale.Idle)
	if value, err := resident(server.pid, "VmRSS"); err == nil {
		rss = value
	}
	return took, rss, nil
}

// evict drops a file from the page cache, which GNU dd can.
func evict(path string) error {
	return exec.Command("dd", "if="+path, "iflag=nocache", "count=0", "status=none").Run()
}
