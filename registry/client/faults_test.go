package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/internal/faultproxy"
	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

// run is one build that is recorded through a proxy which spoils some of its requests.
type run struct {
	n       int
	fault   faultproxy.Fault
	request int
	lasting bool
}

func (r run) artifact() string { return fmt.Sprintf("cargomedia/run-%d", r.n) }

func (r run) String() string {
	if r.lasting {
		return fmt.Sprintf("%s, from request %d on", r.fault, r.request)
	}
	return fmt.Sprintf("%s, at request %d", r.fault, r.request)
}

// record does what the post-processor does for a build with a file.
func (r run) record(ctx context.Context, c *client.Client, path string) error {
	const fingerprint = "3f9c1ad2"
	if _, err := c.Access(ctx, r.artifact()); err != nil {
		return fmt.Errorf("access: %w", err)
	}
	if _, err := c.Version(ctx, r.artifact(), "fingerprint:"+fingerprint); err != nil && registry.KindOf(err) != registry.NotFound {
		return fmt.Errorf("version: %w", err)
	}
	file, err := c.UploadFile(ctx, r.artifact(), path, "app.box", nil)
	if err != nil {
		return fmt.Errorf("upload: %w", err)
	}
	receipt, err := c.Publish(ctx, r.artifact(), registry.Publication{Fingerprint: fingerprint, Build: registry.Build{
		Component: "virtualbox-iso.app", Type: registry.VagrantBox, Provider: "virtualbox", Files: []registry.File{file},
	}})
	if err != nil {
		return fmt.Errorf("publish: %w", err)
	}
	if receipt.Number != 1 || receipt.Status != registry.StatusComplete {
		return fmt.Errorf("the receipt is %+v", receipt)
	}
	return nil
}

// recorded says whether the registry has the build, whole; anything but all or nothing is an error.
func (r run) recorded(ctx context.Context, s *registry.Service, content []byte) (bool, error) {
	page, err := s.Versions(ctx, r.artifact(), registry.VersionFilter{})
	if registry.KindOf(err) == registry.NotFound {
		return false, nil
	}
	if err != nil || len(page.Versions) != 1 {
		return false, fmt.Errorf("%d versions, %w", len(page.Versions), err)
	}
	v, err := s.Version(ctx, r.artifact(), "1")
	if err != nil || v.Status != registry.StatusComplete || len(v.Builds) != 1 || len(v.Builds[0].Files) != 1 {
		return false, fmt.Errorf("%+v, %w", v, err)
	}
	want := digest(content)
	if got := v.Builds[0].Files[0].SHA256; got != want {
		return false, fmt.Errorf("the file has the digest %s, not %s", got, want)
	}
	blob, err := s.Blob(ctx, string(want))
	if err != nil {
		return false, err
	}
	defer blob.Close()
	if got, err := io.ReadAll(blob); err != nil || !bytes.Equal(got, content) {
		return false, fmt.Errorf("the blob has %d other bytes, %w", len(got), err)
	}
	return true, nil
}

// publishes counts the events of builds that were recorded, by artifact.
func publishes(t *testing.T, ctx context.Context, s *registry.Service) map[string]int {
	counts := map[string]int{}
	for after := int64(0); ; {
		page := must[registry.EventPage](t)(s.Events(ctx, after, 500))
		for _, e := range page.Events {
			if e.Action == registry.ActionBuildPublish {
				counts[string(e.Artifact)]++
			}
		}
		if len(page.Events) == 0 {
			return counts
		}
		after = page.Last
	}
}

// TestEveryFaultAtEveryRequestOfABuild is the promise that no build is lost and none recorded twice or
// by half, whatever happens on the way.
func TestEveryFaultAtEveryRequestOfABuild(t *testing.T) {
	s, _, ctx := real(t)
	// How many requests a build takes without trouble: each of them meets every fault.
	calm := faultproxy.New(t, s.URL)
	path, _ := box(t, 3<<20)
	if err := (run{}).record(ctx, through(t, s, calm, 0), path); err != nil {
		t.Fatal(err)
	}
	requests := len(calm.Requests())
	if requests != 6 {
		t.Fatalf("a build takes %d requests, want 6: access, version, begin, bytes, commit, publish", requests)
	}

	var runs []run
	for _, fault := range faultproxy.All() {
		for request := range requests {
			for _, lasting := range []bool{false, true} {
				runs = append(runs, run{n: len(runs) + 1, fault: fault, request: request + 1, lasting: lasting})
			}
		}
	}
	begin := time.Now()
	var straight, later atomic.Int32
	var group sync.WaitGroup
	const workers = 8 // the waiting of one is the work of another
	for worker := range workers {
		group.Go(func() {
			for i := worker; i < len(runs); i += workers {
				ok, err := runs[i].play(t, ctx, s)
				switch {
				case err != nil:
					t.Errorf("%s: %v", runs[i], err)
				case ok:
					straight.Add(1)
				default:
					later.Add(1)
				}
			}
		})
	}
	group.Wait()
	counts := publishes(t, ctx, s.Service)
	for _, r := range runs {
		if n := counts[r.artifact()]; n != 1 {
			t.Errorf("%s: recorded %d times", r, n)
		}
	}
	t.Logf("%d runs of %d faults at %d requests in %.1f s: %d recorded through the fault, %d failed as unavailable and were recorded by a repetition",
		len(runs), len(faultproxy.All()), requests, time.Since(begin).Seconds(), straight.Load(), later.Load())
	if straight.Load() == 0 || later.Load() == 0 {
		t.Error("the faults did not do what they are for")
	}
}

// through returns a client behind a proxy that makes so many repetitions of a call.
func through(t *testing.T, s *servertest.Server, p *faultproxy.Proxy, repetitions int) *client.Client {
	o := quick(p.URL)
	o.Token = s.AdminToken
	o.RetryMax, o.RetryWaitMin, o.RetryWaitMax = repetitions, 2*time.Millisecond, 250*time.Millisecond
	return newClient(t, o)
}

const (
	// patient outlives a fault that passes, on a busy machine, too: a server whose connection was cut
	// keeps an upload until what came is safe on the disk.
	patient = 12
	// brief is for a fault that does not pass, which more repetitions would only make take longer.
	brief = 3
)

// play records a build through its fault, and once more without if that failed. ok is whether the
// first time was enough.
func (r run) play(t *testing.T, ctx context.Context, s *servertest.Server) (ok bool, err error) {
	content := make([]byte, 3<<20)
	_, _ = rand.NewChaCha8([32]byte{byte(r.n), byte(r.n >> 8), 'r'}).Read(content)
	path := filepath.Join(t.TempDir(), "made.box")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		return false, err
	}
	defer os.Remove(path)
	p, repetitions := faultproxy.New(t, s.URL), patient
	if r.lasting {
		repetitions = brief
		p.FailFrom(r.request, r.fault)
	} else {
		p.Fail(r.request, r.fault)
	}
	failed := r.record(ctx, through(t, s, p, repetitions), path)
	if met := p.Requests(); len(met) < r.request || met[r.request-1].Fault != r.fault.String() {
		return false, fmt.Errorf("the fault was not met: %v", met)
	}
	recorded, err := r.recorded(ctx, s.Service, content)
	switch {
	case err != nil:
		return false, fmt.Errorf("%w (the client got: %v)", err, failed)
	case failed == nil && recorded:
		return true, nil
	case failed == nil:
		return false, errors.New("the client believes that it is recorded, and it is not")
	case registry.KindOf(failed) != registry.Unavailable:
		return false, fmt.Errorf("failed as %s: %w", registry.KindOf(failed), failed)
	case !r.lasting:
		return false, fmt.Errorf("failed by a fault that passed: %w", failed)
	}
	p.Heal()
	met := len(p.Requests())
	if err := r.record(ctx, through(t, s, p, patient), path); err != nil {
		return false, fmt.Errorf("the repetition failed: %w", err)
	}
	if after := p.Requests()[met:]; slices.ContainsFunc(after, func(q faultproxy.Request) bool { return q.Fault != "" }) {
		return false, fmt.Errorf("the repetition met a fault: %v", after)
	}
	if recorded, err = r.recorded(ctx, s.Service, content); err == nil && !recorded {
		err = errors.New("the repetition did not record it")
	}
	return false, err
}
