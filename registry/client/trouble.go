package client

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// trouble is an answer after which the same request may succeed a moment later: the registry or a
// proxy in front of it is ill or asks for patience, or what came is not what the route answers.
type trouble struct {
	cause *registry.Error
	// own is set when the registry itself put cause into words.
	own bool
	// short is what was answered, for a sentence that names the registry already.
	short string
	// after is the pause that was asked for; 0 is none.
	after time.Duration
	// untouched is set when the registry has carried nothing out.
	untouched bool
	// final is set when the pause that was asked for is longer than anybody waits.
	final bool
}

func (t *trouble) Error() string { return t.cause.Error() }

// judge is the error that an answer stands for: nil for a status of success, a [*trouble] when
// another try may help, and an [*registry.Error] when none will.
func (c *Client) judge(resp *http.Response, body []byte) error {
	if resp.StatusCode >= 200 && resp.StatusCode <= 299 {
		return nil
	}
	refusal, own := c.refusal(resp, body)
	if !passes(resp.StatusCode, refusal.Kind, own) {
		return refusal
	}
	// 429 is said before anything is done; 503 may be a store that went away in the middle.
	t := &trouble{cause: refusal, own: own, short: statusText(resp), untouched: resp.StatusCode == http.StatusTooManyRequests}
	t.after, _ = retryAfter(resp)
	if t.after > c.retryAfterMax {
		refusal.Kind = registry.Unavailable
		refusal.Msg += "; it asks to be called again in " + t.after.Round(time.Second).String() +
			", and at most " + c.retryAfterMax.String() + " is waited for"
		t.final = true
	}
	return t
}

// passes says whether a refusal may be gone a moment later. What the registry itself says of a
// request counts more than the status: a proxy may have changed that.
func passes(status int, kind registry.Kind, own bool) bool {
	switch {
	case own && kind == registry.Unavailable:
		return true
	case own && kind != registry.Internal:
		return false
	}
	return passingStatus(status)
}

// passingStatus says whether a status tells of something that may pass. 501 and 505 are said of what
// the server cannot do at all.
func passingStatus(status int) bool {
	switch status {
	case http.StatusTooManyRequests, http.StatusRequestTimeout, http.StatusTooEarly:
		return true
	case http.StatusNotImplemented, http.StatusHTTPVersionNotSupported:
		return false
	}
	return status >= 500
}

// retryAfter reads seconds, or a date in one of the forms of HTTP (RFC 9110, 10.2.3).
func retryAfter(resp *http.Response) (time.Duration, bool) {
	if resp == nil || resp.StatusCode < 400 {
		return 0, false
	}
	value := strings.TrimSpace(resp.Header.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(value, 10, 32); err == nil {
		return time.Duration(seconds) * time.Second, true
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(time.Until(at), 0), true
	}
	return 0, false
}

// The ways in which an answer is not what its route gives, as they continue the sentence of
// [Client.wrongAnswer].
var (
	errOtherMedia = errors.New("")
	errEmpty      = errors.New(", which is empty")
	errBroken     = errors.New(", which is no whole JSON document")
	errOtherShape = errors.New(", which is not what this route answers")
)

// otherMatter says that an answer is of the right shape and about something that was not asked.
type otherMatter struct{ what, got, want string }

func (o *otherMatter) Error() string {
	return "the " + o.what + " is " + strconv.Quote(o.got) + " and not " + strconv.Quote(o.want)
}

// same is nil or the first difference of triples: what is compared, what was answered, what was asked.
func same(triples ...string) error {
	for i := 0; i < len(triples); i += 3 {
		if triples[i+1] != triples[i+2] {
			return &otherMatter{what: triples[i], got: triples[i+1], want: triples[i+2]}
		}
	}
	return nil
}

// wrongAnswer is the trouble of an answer that reports a success and cannot be one. Nobody knows then
// whether the registry has carried the request out.
func (c *Client) wrongAnswer(resp *http.Response, why error) *trouble {
	request := c.redact(resp.Request.Method + " " + resp.Request.URL.Path)
	if o, ok := errors.AsType[*otherMatter](why); ok {
		return &trouble{
			short: "it answered about something else",
			cause: unavailable("the registry at %s, or a proxy in front of it, answered %s about something else: %s", c.address, request, c.redact(o.Error())),
		}
	}
	got := c.redact(contentText(resp)) + why.Error()
	return &trouble{
		short: "it answered with " + got,
		cause: unavailable("the server at %s is not an Almanac registry, or a proxy in front of it replaces answers: it answers %s with %s; "+
			"check the address, and its path if the registry is behind a reverse proxy", c.address, request, got),
	}
}
