package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// maxAnswer bounds what is read of an answer that is not a blob.
const maxAnswer = 64 << 20

// request is one call of the API.
type request struct {
	method string
	path   string // escaped, from /v1 on
	query  url.Values
	body   any // sent as JSON unless nil
	// once is set for a call that must not be carried out twice.
	once bool
}

func get(path string, query url.Values) request {
	return request{method: http.MethodGet, path: path, query: query}
}

func (r request) url(c *Client) string {
	u := c.address + r.path
	if len(r.query) > 0 {
		u += "?" + r.query.Encode()
	}
	return u
}

// call makes a call whose answer is a T in JSON. whole is nil for an answer that is one, errOtherShape
// for one that is not, because JSON of a foreign server fits any type and must not pass for a receipt,
// and what [same] says for one that is about something else. Members that T does not know are those of
// newer registries.
func call[T any](ctx context.Context, c *Client, r request, whole func(T) error) (T, error) {
	answer, _, err := callTries(ctx, c, r, whole)
	return answer, err
}

// callTries is call, and tells about its tries.
func callTries[T any](ctx context.Context, c *Client, r request, whole func(T) error) (T, *tries, error) {
	var answer, none T
	t, err := c.do(ctx, r, func(resp *http.Response, body []byte) error {
		answer = none // of a try before
		err := decode(resp, body, &answer)
		if err == nil {
			err = whole(answer)
		}
		if err != nil {
			return c.wrongAnswer(resp, err)
		}
		return nil
	})
	if err != nil {
		return none, t, err
	}
	return answer, t, nil
}

// decode reads the JSON of an answer.
func decode(resp *http.Response, body []byte, answer any) error {
	switch media := mediaType(resp); {
	case len(body) == 0:
		return errEmpty
	case media != "application/json":
		return errOtherMedia
	case !json.Valid(body):
		return errBroken
	case json.Unmarshal(body, answer) != nil:
		return errOtherShape
	}
	return nil
}

// shaped turns what an answer must have into the error of one that has it not.
func shaped(ok bool) error {
	if ok {
		return nil
	}
	return errOtherShape
}

// callEmpty makes a call whose answer has no content.
func (c *Client) callEmpty(ctx context.Context, r request) (*tries, error) {
	return c.do(ctx, r, func(resp *http.Response, _ []byte) error {
		if resp.StatusCode != http.StatusNoContent {
			return c.wrongAnswer(resp, errOtherShape)
		}
		return nil
	})
}

// do makes a call, repeats it where that may help, and gives a successful answer to read.
func (c *Client) do(ctx context.Context, r request, read func(*http.Response, []byte) error) (*tries, error) {
	var body any
	if r.body != nil {
		content, err := json.Marshal(r.body)
		if err != nil {
			return nil, &registry.Error{Kind: registry.Invalid, Msg: "the request cannot be written as JSON", Err: err}
		}
		body = content
	}
	t := &tries{what: r.method + " " + c.address + r.path, once: r.once}
	req, err := retryablehttp.NewRequestWithContext(context.WithValue(ctx, triesKey{}, t), r.method, r.url(c), body)
	if err != nil {
		return nil, &registry.Error{Kind: registry.Invalid, Msg: "the request cannot be addressed", Err: err}
	}
	c.setHeaders(req.Header)
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.SetResponseHandler(func(resp *http.Response) error { return c.take(t, resp, read) })
	if _, err = c.retry.Do(req); err != nil {
		return t, c.callError(ctx, err, t)
	}
	return t, nil
}

func (c *Client) setHeaders(h http.Header) {
	h.Set("User-Agent", c.userAgent)
	c.authorize(h)
}

// take reads an answer to its end. An error of the connection and a [*trouble] may be worth another
// try; an [*registry.Error] is not.
func (c *Client) take(t *tries, resp *http.Response, read func(*http.Response, []byte) error) error {
	body, err := c.readAnswer(resp)
	if errors.Is(err, errTooMuch) {
		err = unavailable("the registry at %s sent an answer of more than %d MiB", c.address, maxAnswer>>20)
	}
	if err == nil {
		err = c.judge(resp, body)
	}
	if err == nil {
		err = read(resp, body)
	}
	if _, again := errors.AsType[*trouble](err); !again {
		c.log("%s: %s", t.what, statusText(resp))
	}
	return err
}

var errTooMuch = errors.New("the answer is too large")

// readAnswer reads the body of an answer that is not a blob, unless it stands still for too long.
func (c *Client) readAnswer(resp *http.Response) ([]byte, error) {
	defer resp.Body.Close()
	stalled, dog, cancel := watch(resp.Request.Context(), c.stall)
	defer cancel()
	// Closing is what ends a Read that waits; a body may be closed more than once.
	defer context.AfterFunc(stalled, func() { resp.Body.Close() })()
	body, err := io.ReadAll(&touching{r: io.LimitReader(resp.Body, maxAnswer+1), dog: dog})
	switch {
	case err != nil && context.Cause(stalled) == errStalled:
		err = errStalled
	case err == nil && len(body) > maxAnswer:
		err = errTooMuch
	}
	return body, err
}

// path joins escaped segments below /v1. A segment that a server or a proxy would take for a step in
// the tree is Invalid.
func path(segments ...string) (string, error) {
	var b strings.Builder
	b.WriteString("/v1")
	for _, s := range segments {
		if !isSegment(s) {
			return "", registry.Errorf(registry.Invalid, "%q cannot be looked up; it is no name, number or id", s)
		}
		b.WriteString("/" + url.PathEscape(s))
	}
	return b.String(), nil
}

func isSegment(s string) bool { return s != "" && s != "." && s != ".." }

// artifactPath is the path of something that belongs to an artifact. A name that is not one is
// Invalid in the words of the domain, as the registry itself would say it.
func artifactPath(room, artifact string, segments ...string) (string, error) {
	name, err := registry.ParseArtifactName(artifact)
	if err != nil {
		return "", registry.BadField("artifact", err)
	}
	return path(append([]string{room, name.Namespace(), name.Name()}, segments...)...)
}

// versionPath is the path of something that belongs to the version that a ref names.
func versionPath(artifact, ref string, segments ...string) (string, error) {
	if !isSegment(strings.TrimSpace(ref)) {
		if _, err := registry.ParseRef(ref); err != nil {
			return "", registry.BadField("ref", err)
		}
	}
	return artifactPath("artifacts", artifact, append([]string{"versions", ref}, segments...)...)
}

// params are query parameters; empty values are left out.
func params(pairs ...string) url.Values {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			q.Set(pairs[i], pairs[i+1])
		}
	}
	return q
}

// number is an integer as a query parameter; 0 leaves the choice to the registry.
func number[N int | int64](n N) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(n)
}
