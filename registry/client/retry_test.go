package client_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

// failing answers its first requests in a bad way and then as a registry.
type failing struct {
	count atomic.Int32
	bad   int32
	how   http.HandlerFunc
	then  any
}

func (f *failing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.count.Add(1) <= f.bad {
		f.how(w, r)
		return
	}
	answer(w, 200, f.then)
}

func status(code int, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
	}
}

func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// half promises more than it sends.
func half(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", "1000")
	_, _ = w.Write([]byte(`{"artifact":`))
	panic(http.ErrAbortHandler)
}

var receipt = registry.Receipt{Artifact: "a/b", VersionID: registry.VersionID{Number: 7, Version: "0.7.0"}, Fingerprint: "f"}

func publish(ctx context.Context, c *client.Client) error {
	got, err := c.Publish(ctx, "a/b", registry.Publication{Fingerprint: "f"})
	if err == nil && got.Number != 7 {
		return errors.New("another receipt")
	}
	return err
}

func TestTroubleThatPassesIsWaitedOut(t *testing.T) {
	for name, how := range map[string]http.HandlerFunc{
		"408": status(408), "425": status(425), "429": status(429), "500": status(500), "502": status(502), "503": status(503, "Retry-After", "0"), "504": status(504), "507": status(507),
		"connection closed": hangUp, "answer cut": half,
	} {
		t.Run(name, func(t *testing.T) {
			f := &failing{bad: 3, how: how, then: receipt}
			c := newClient(t, quick(serve(t, f.ServeHTTP)))
			if err := publish(t.Context(), c); err != nil {
				t.Fatal(err)
			}
			if got := f.count.Load(); got != 4 {
				t.Errorf("%d tries, want 4", got)
			}
		})
	}
}

func TestTriesAreBounded(t *testing.T) {
	f := &failing{bad: 99, how: status(502)}
	url := serve(t, f.ServeHTTP)
	wantError(t, publish(t.Context(), newClient(t, quick(url))), registry.Unavailable, url, "502 Bad Gateway")
	if got := f.count.Load(); got != 4 {
		t.Errorf("%d tries, want 4", got)
	}
	f.count.Store(0)
	o := quick(url)
	o.RetryMax = -1
	wantError(t, publish(t.Context(), newClient(t, o)), registry.Unavailable)
	if got := f.count.Load(); got != 1 {
		t.Errorf("%d tries without repetition, want 1", got)
	}
}

func TestRefusalsAreNotRepeated(t *testing.T) {
	for _, code := range []int{400, 401, 403, 404, 409, 413, 422, 501, 505} {
		t.Run(http.StatusText(code), func(t *testing.T) {
			f := &failing{bad: 99, how: status(code)}
			if err := publish(t.Context(), newClient(t, quick(serve(t, f.ServeHTTP)))); err == nil {
				t.Error("no error")
			}
			if got := f.count.Load(); got != 1 {
				t.Errorf("%d tries, want 1", got)
			}
		})
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	for name, after := range map[string]func() string{
		"in seconds": func() string { return "1" },
		"as a date":  func() string { return time.Now().Add(2 * time.Second).UTC().Format(http.TimeFormat) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &failing{bad: 1, then: receipt, how: func(w http.ResponseWriter, r *http.Request) { status(429, "Retry-After", after())(w, r) }}
			o := quick(serve(t, f.ServeHTTP))
			o.RetryWaitMax = 10 * time.Second
			start := time.Now()
			if err := publish(t.Context(), newClient(t, o)); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(start); took < 900*time.Millisecond {
				t.Errorf("tried again after %s", took)
			}
		})
	}
	t.Run("but not beyond the longest that is waited for", func(t *testing.T) {
		for _, after := range []string{"3600", time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)} {
			f := &failing{bad: 1, how: status(503, "Retry-After", after), then: receipt}
			o := quick(serve(t, f.ServeHTTP))
			o.RetryAfterMax = time.Minute
			err := publish(t.Context(), newClient(t, o))
			wantError(t, err, registry.Unavailable, "503 Service Unavailable", "it asks to be called again in ", "and at most 1m0s is waited for")
			if got := f.count.Load(); got != 1 {
				t.Errorf("%d tries, want 1", got)
			}
		}
	})
	t.Run("when none is waited for", func(t *testing.T) {
		f := &failing{bad: 1, how: status(429, "Retry-After", "1"), then: receipt}
		o := quick(serve(t, f.ServeHTTP))
		o.RetryAfterMax = -1
		wantError(t, publish(t.Context(), newClient(t, o)), registry.Unavailable, "called again in 1s, and at most 0s")
	})
}

func TestContextEndsTheWaiting(t *testing.T) {
	f := &failing{bad: 99, how: status(503, "Retry-After", "3600")}
	o := quick(serve(t, f.ServeHTTP))
	o.RetryAfterMax = 2 * time.Hour
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := publish(ctx, newClient(t, o))
	wantError(t, err, registry.Unavailable, "did not answer in the time that was left", "503 Service Unavailable")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v does not wrap the context's error", err)
	}
}

func TestSlowServerIsLeftWhenTheContextEnds(t *testing.T) {
	release := make(chan struct{})
	url := serve(t, func(http.ResponseWriter, *http.Request) { <-release })
	t.Cleanup(func() { close(release) })
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	err := publish(ctx, newClient(t, quick(url)))
	wantError(t, err, registry.Unavailable, "was stopped")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v does not wrap the context's error", err)
	}
}

func TestWhatMustNotHappenTwiceIsSentOnce(t *testing.T) {
	rollback := func(ctx context.Context, c *client.Client) error {
		_, err := c.SetChannel(ctx, "a/b", "production", registry.ChannelChange{Rollback: true})
		return err
	}
	create := func(ctx context.Context, c *client.Client) error {
		_, err := c.CreateToken(ctx, registry.TokenRequest{Name: "ci"})
		return err
	}
	for name, call := range map[string]func(context.Context, *client.Client) error{"rollback": rollback, "token": create} {
		t.Run(name+" when the answer is lost", func(t *testing.T) {
			f := &failing{bad: 99, how: hangUp}
			err := call(t.Context(), newClient(t, quick(serve(t, f.ServeHTTP))))
			wantError(t, err, registry.Unavailable, "look before you repeat it")
			if got := f.count.Load(); got != 1 {
				t.Errorf("sent %d times", got)
			}
		})
		t.Run(name+" again when nothing was done", func(t *testing.T) {
			f := &failing{bad: 99, how: status(429)}
			wantError(t, call(t.Context(), newClient(t, quick(serve(t, f.ServeHTTP)))), registry.Unavailable, "429")
			if got := f.count.Load(); got != 4 {
				t.Errorf("sent %d times, want 4", got)
			}
		})
	}
	t.Run("moving a channel to a version is repeated", func(t *testing.T) {
		f := &failing{bad: 1, how: hangUp, then: registry.ChannelHistory{Channel: registry.Channel{VersionID: registry.VersionID{Number: 3}}}}
		if _, err := newClient(t, quick(serve(t, f.ServeHTTP))).SetChannel(t.Context(), "a/b", "production", registry.ChannelChange{Ref: "3"}); err != nil {
			t.Error(err)
		}
	})
}

func TestDeletionWhoseAnswerWasLostSucceeds(t *testing.T) {
	var count atomic.Int32
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if count.Add(1) == 1 {
			hangUp(w, r)
		}
		refuse(w, registry.Errorf(registry.NotFound, "artifact a/b does not exist"))
	})
	c := newClient(t, quick(url))
	if err := c.DeleteArtifact(t.Context(), "a/b"); err != nil {
		t.Error(err)
	}
	wantError(t, c.DeleteArtifact(t.Context(), "a/b"), registry.NotFound)
}
