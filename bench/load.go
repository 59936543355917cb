package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"
)

// loadPlan is what a load generator does. It is sent to a child as JSON.
type loadPlan struct {
	Address     string // host:port
	Connections int
	Duration    time.Duration
	Seed        uint64
	// Paths are drawn at random, each as likely as any other.
	Paths []string
	// Header are the lines that all requests have besides Host, each with its CRLF.
	Header string
}

// loadResult is what came of it.
type loadResult struct {
	Requests int
	// Body is the length of the last body, in bytes.
	Body    int
	Elapsed time.Duration
	// P50 and P99 are latencies as one connection sees them, with all connections busy.
	P50, P99 time.Duration
}

// runLoad sends requests over all connections until the time is over. Every answer must be 2xx.
func runLoad(plan loadPlan) (loadResult, error) {
	requests := make([][]byte, len(plan.Paths))
	for i, path := range plan.Paths {
		requests[i] = []byte("GET " + path + " HTTP/1.1\r\nHost: " + plan.Address + "\r\n" + plan.Header + "\r\n")
	}
	callers := make([]*caller, plan.Connections)
	for i := range callers {
		conn, err := net.Dial("tcp", plan.Address)
		if err != nil {
			return loadResult{}, err
		}
		defer conn.Close()
		callers[i] = &caller{conn: conn, requests: requests, random: rand.New(rand.NewPCG(plan.Seed, uint64(i))), buffer: make([]byte, 64<<10)}
	}
	start := time.Now()
	end := start.Add(plan.Duration)
	var wait sync.WaitGroup
	for _, c := range callers {
		wait.Go(func() { c.err = c.call(end) })
	}
	wait.Wait()
	return collect(callers, time.Since(start))
}

func collect(callers []*caller, elapsed time.Duration) (loadResult, error) {
	var latencies []time.Duration
	var errs []error
	result := loadResult{Elapsed: elapsed}
	for _, c := range callers {
		latencies = append(latencies, c.latencies...)
		errs = append(errs, c.err)
		result.Body = max(result.Body, c.body)
	}
	if err := errors.Join(errs...); err != nil {
		return loadResult{}, err
	}
	slices.Sort(latencies)
	result.Requests = len(latencies)
	result.P50, result.P99 = percentile(latencies, 50), percentile(latencies, 99)
	return result, nil
}

// percentile is the smallest value that at least p percent of the sorted values do not exceed; 0 of none.
func percentile[T any](sorted []T, p int) T {
	if len(sorted) == 0 {
		var zero T
		return zero
	}
	return sorted[max(0, (len(sorted)*p+99)/100-1)]
}

// caller is one connection, which sends its next request when it has the answer to the last.
type caller struct {
	conn     net.Conn
	requests [][]byte
	random   *rand.Rand
	buffer   []byte

	latencies []time.Duration
	body      int
	err       error
}

func (c *caller) call(end time.Time) error {
	for now := time.Now(); now.Before(end); {
		request := c.requests[c.random.IntN(len(c.requests))]
		if _, err := c.conn.Write(request); err != nil {
			return err
		}
		if err := c.receive(request); err != nil {
			return err
		}
		answered := time.Now()
		c.latencies = append(c.latencies, answered.Sub(now))
		now = answered
	}
	return nil
}

// receive reads one answer whole.
func (c *caller) receive(request []byte) error {
	have := 0
	for have < len(c.buffer) {
		n, err := c.conn.Read(c.buffer[have:])
		have += n
		if err != nil {
			return fmt.Errorf("the answer to %s was cut: %w", firstLine(request), err)
		}
		a, whole, err := parseAnswer(c.buffer[:have])
		if err != nil {
			return err
		}
		if whole && have >= a.head+a.body {
			if a.status < 200 || a.status > 299 || have > a.head+a.body {
				return fmt.Errorf("%s: status %d, %d bytes more than announced: %s", firstLine(request), a.status, have-a.head-a.body, c.buffer[a.head:have])
			}
			c.body = a.body
			return nil
		}
	}
	return fmt.Errorf("the answer to %s has more than %d bytes", firstLine(request), len(c.buffer))
}

func firstLine(request []byte) string {
	line, _, _ := bytes.Cut(request, []byte("\r\n"))
	return string(line)
}

// answer is what a load generator must know of an HTTP answer: its status, and the lengths of head
// (with the empty line) and body.
type answer struct{ status, head, body int }

var (
	headEnd       = []byte("\r\n\r\n")
	contentLength = []byte("content-length:")
)

// lengthBits bounds a Content-Length to a tebibyte, and to what an int holds.
const lengthBits = min(40, strconv.IntSize-1)

// parseAnswer reads the head of an HTTP/1.1 answer that has a Content-Length (RFC 9112, 2.1 and 6.2).
// It is false while the head is not whole.
func parseAnswer(b []byte) (answer, bool, error) {
	end := bytes.Index(b, headEnd)
	if end < 0 {
		return answer{}, false, nil
	}
	line, rest, _ := bytes.Cut(b[:end], []byte("\r\n"))
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.1 ")) {
		return answer{}, false, fmt.Errorf("%q is no answer of HTTP/1.1", line)
	}
	status, err := strconv.Atoi(string(line[9:12]))
	if err != nil {
		return answer{}, false, fmt.Errorf("%q has no status", line)
	}
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, []byte("\r\n"))
		if len(line) < len(contentLength) || !bytes.EqualFold(line[:len(contentLength)], contentLength) {
			continue
		}
		length, err := strconv.ParseUint(string(bytes.TrimSpace(line[len(contentLength):])), 10, lengthBits)
		if err != nil {
			return answer{}, false, fmt.Errorf("%q is no length", line)
		}
		return answer{status: status, head: end + len(headEnd), body: int(length)}, true, nil
	}
	return answer{}, false, fmt.Errorf("the answer has no Content-Length: %q", b[:end])
}
