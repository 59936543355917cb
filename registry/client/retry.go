package client

import (
	"context"
	"crypto/tls"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// tries is what is known about the tries of one call. It travels in the call's context, because
// retryablehttp gives its hooks nothing else.
type tries struct {
	what string
	// once is set for a call that must not be carried out twice.
	once  bool
	count int
	// unsure is set when the registry may have carried out a try whose answer was lost.
	unsure bool
	// last is why the last try that ended failed; nil when there was none.
	last error
}

type triesKey struct{}

// countTry is the retryablehttp.RequestLogHook of all calls.
func countTry(_ retryablehttp.Logger, req *http.Request, n int) {
	if t, ok := req.Context().Value(triesKey{}).(*tries); ok {
		t.count = n + 1
	}
}

// checkRetry is the retryablehttp.CheckRetry of all calls. It is asked about the head of an answer
// first, which it lets pass: what the body says decides. It is asked again when that is read.
func (c *Client) checkRetry(ctx context.Context, _ *http.Response, err error) (bool, error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	t, ok := ctx.Value(triesKey{}).(*tries)
	if _, final := errors.AsType[*registry.Error](err); err == nil || final || !ok {
		return false, nil
	}
	t.last = err
	c.log("%s: %s", t.what, cause(err))
	if trouble, ok := errors.AsType[*trouble](err); ok {
		t.unsure = t.unsure || !trouble.untouched
		return !trouble.final && (!t.once || trouble.untouched), nil
	}
	t.unsure = t.unsure || !notSent(err)
	return temporary(err) && (!t.once || notSent(err)), nil
}

// temporary says whether the same request may succeed a moment later.
func temporary(err error) bool {
	if _, ok := errors.AsType[*registry.Error](err); ok {
		return false
	}
	if _, ok := errors.AsType[*refusedRedirect](err); ok {
		return false
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return !dns.IsNotFound
	}
	return !isTLS(err)
}

func isTLS(err error) bool {
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.AlertError](err); ok {
		return true
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return true
	}
	// The alerts that the other side sends have an unexported type.
	return errors.Is(err, http.ErrSchemeMismatch) || strings.Contains(err.Error(), "remote error: tls:")
}

// notSent says whether a request failed before the registry could see any of it.
func notSent(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && (op.Op == "dial" || op.Op == "proxyconnect")
}

// backoff is the retryablehttp.Backoff of all calls: the pause before repetition n (from 0), doubling
// from low to high with half of it at random, or what Retry-After asks for. A call whose registry asks
// for too much is not repeated, so that here is no limit.
func backoff(low, high time.Duration, n int, resp *http.Response) time.Duration {
	if after, ok := retryAfter(resp); ok {
		return max(after, low)
	}
	pause := high
	if n < 30 && low<<n > 0 && low<<n < high {
		pause = low << n
	}
	return pause/2 + rand.N(pause/2+1)
}

func wait(ctx context.Context, pause time.Duration) error {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
