package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// fetchPlan is what a downloader does. It is sent to a child as JSON.
type fetchPlan struct {
	Address, Path, Header string
	Times                 int
}

type fetchResult struct {
	Bytes   int64
	Elapsed time.Duration
}

// runFetch downloads over one connection, and drops the bytes.
func runFetch(plan fetchPlan) (fetchResult, error) {
	conn, err := net.Dial("tcp", plan.Address)
	if err != nil {
		return fetchResult{}, err
	}
	defer conn.Close()
	request := []byte("GET " + plan.Path + " HTTP/1.1\r\nHost: " + plan.Address + "\r\n" + plan.Header + "\r\n")
	buffer := make([]byte, block)
	var result fetchResult
	start := time.Now()
	for range plan.Times {
		n, err := fetch(conn, request, buffer)
		if err != nil {
			return fetchResult{}, err
		}
		result.Bytes += n
	}
	result.Elapsed = time.Since(start)
	return result, nil
}

// fetch sends a request and reads all of its answer's body, whose length it returns.
func fetch(conn net.Conn, request, buffer []byte) (int64, error) {
	if _, err := conn.Write(request); err != nil {
		return 0, err
	}
	have := 0
	for have < len(buffer) {
		n, err := conn.Read(buffer[have:])
		if err != nil {
			return 0, err
		}
		have += n
		a, whole, err := parseAnswer(buffer[:have])
		switch {
		case err != nil:
			return 0, err
		case !whole:
			continue
		case a.status != 200:
			return 0, fmt.Errorf("%s: status %d: %s", firstLine(request), a.status, buffer[a.head:have])
		}
		left := a.body - (have - a.head)
		for left > 0 {
			n, err := conn.Read(buffer)
			if err != nil {
				return 0, fmt.Errorf("%s: %d bytes are missing: %w", firstLine(request), left, err)
			}
			left -= n
		}
		if left < 0 {
			return 0, fmt.Errorf("%s: %d bytes more than announced", firstLine(request), -left)
		}
		return int64(a.body), nil
	}
	return 0, errors.New("the head of the answer is too long")
}

// source is something to download from.
type source struct {
	name      string
	server    *process
	plan      fetchPlan
	rate, cpu []float64 // MiB/s; CPU seconds per GiB
}

// fetchTimes makes a round long enough for a clock of 10 ms.
const fetchTimes = 4

// download measures the way of a file out of the registry, against net/http's own ways to send one.
func (b *bench) download() (figures []figure, err error) {
	c, err := newContent(b.scratch, b.scale.File)
	if err != nil {
		return nil, err
	}
	defer os.Remove(c.path)
	digest, err := c.change()
	if err != nil {
		return nil, err
	}
	server, err := b.fresh(b.cores.server, true)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.end(server, true)) }()
	token, err := server.adminToken()
	if err != nil {
		return nil, err
	}
	if err := b.uploadFile(server, token, c.path); err != nil {
		return nil, err
	}
	files, address, err := b.children.startOwn(b.ctx, b.cores.server, "files", c.path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.children.stop(files)) }()
	header := "Authorization: Bearer " + token + "\r\n"
	ours := &source{name: "download", server: server.process, plan: fetchPlan{server.address(), "/v1/blobs/sha256:" + string(digest), header, fetchTimes}}
	sendfile := &source{name: "http.ServeFile", server: files, plan: fetchPlan{address, "/sendfile", header, fetchTimes}}
	copying := &source{name: "copy in user space", server: files, plan: fetchPlan{address, "/copy", header, fetchTimes}}
	all := []*source{ours, sendfile, copying}
	if err := b.warm(all...); err != nil {
		return nil, err
	}
	for round := range b.scale.Rounds {
		b.say("download, round %d of %d", round+1, b.scale.Rounds)
		for _, s := range all {
			if err := b.fetchFrom(s, c.size); err != nil {
				return nil, fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	return downloadFigures(ours, sendfile, copying), nil
}

// warm downloads once from each source: the registry writes large blobs past the page cache.
func (b *bench) warm(all ...*source) error {
	for _, s := range all {
		plan, result := s.plan, fetchResult{}
		plan.Times = 1
		if _, err := b.children.runOwn(b.ctx, b.cores.load, "fetch", plan, &result); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	settle()
	return nil
}

func (b *bench) fetchFrom(s *source, size int64) error {
	before, err := cpuTime(s.server.pid)
	known := err == nil
	var result fetchResult
	_, err = b.children.runOwn(b.ctx, b.cores.load, "fetch", s.plan, &result)
	if err := errors.Join(err, s.server.alive()); err != nil {
		return err
	}
	if want := size * int64(s.plan.Times); result.Bytes != want {
		return fmt.Errorf("it sent %d bytes; the files have %d", result.Bytes, want)
	}
	s.rate = append(s.rate, float64(result.Bytes)/(1<<20)/result.Elapsed.Seconds())
	if known {
		after, err := cpuTime(s.server.pid)
		if err != nil {
			return err
		}
		s.cpu = append(s.cpu, (after-before).Seconds()/(float64(result.Bytes)/(1<<30)))
	}
	return nil
}

func downloadFigures(ours, sendfile, copying *source) []figure {
	figures := []figure{
		median("download / http.ServeFile, CPU", "x", nil, atMost(1.2, 1.1)),
		median("download / http.ServeFile, rate", "x", quotients(ours.rate, sendfile.rate), nil),
		median("download / copy in user space, CPU", "x", nil, nil),
	}
	if len(ours.cpu) > 0 {
		figures[0] = median(figures[0].Name, "x", quotients(ours.cpu, sendfile.cpu), figures[0].Limits)
		figures[2] = median(figures[2].Name, "x", quotients(ours.cpu, copying.cpu), nil)
	} else {
		figures[0].Missing, figures[2].Missing = noProc, noProc
	}
	for _, s := range []*source{ours, sendfile, copying} {
		figures = append(figures, s.details()...)
	}
	return figures
}

func (s *source) details() []figure {
	figures := []figure{median(s.name, "MiB/s", s.rate, nil)}
	if len(s.cpu) > 0 {
		figures = append(figures, median(s.name, "CPU s/GiB", s.cpu, nil))
	}
	return figures
}
