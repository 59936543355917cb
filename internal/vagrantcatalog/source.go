package vagrantcatalog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// Options say how a [Source] is asked.
type Options struct {
	// Token is sent as Authorization: Bearer, to the source's own scheme, host and port and nowhere else.
	Token     string
	UserAgent string
	// RetryMax is how often a request is repeated; 0 is 4, a negative number is never. RetryWaitMin is the first pause, 0 is 1 s.
	RetryMax     int
	RetryWaitMin time.Duration
	// Stall is how long a transfer may stand still; 0 is 2 min.
	Stall time.Duration
}

// Source is a catalog on a server. Its errors show neither the token nor user names, passwords and queries of URLs.
type Source struct {
	at        *url.URL
	userAgent string
	// authorize and redact know the token, in closures so that no formatted Source shows it.
	authorize func(http.Header)
	redact    func(string) string
	retry     *retryablehttp.Client
	stall     time.Duration
}

const (
	maxRedirects = 10
	maxPause     = 2 * time.Minute
)

// NewSource returns the source at an absolute http or https URL, without asking it.
func NewSource(address string, o Options) (*Source, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return nil, errors.New("it is no URL of a catalog; write for example https://vagrantcloud.com/bento/ubuntu-24.04")
	}
	if strings.ContainsFunc(o.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return nil, errors.New("its token has a space, a line end or another character that no token has")
	}
	s := &Source{
		at: u, userAgent: cmp.Or(o.UserAgent, "almanac"), authorize: func(http.Header) {}, stall: cmp.Or(o.Stall, 2*time.Minute),
		redact: func(text string) string { return queries.ReplaceAllString(text, "?…") },
	}
	if o.Token != "" {
		s.authorize = func(h http.Header) { h.Set("Authorization", "Bearer "+o.Token) }
		plain := s.redact
		s.redact = func(text string) string { return strings.ReplaceAll(plain(text), o.Token, "…") }
	}
	s.retry = &retryablehttp.Client{
		HTTPClient: &http.Client{
			Transport: &http.Transport{
				Proxy:                 http.ProxyFromEnvironment,
				DialContext:           (&net.Dialer{Timeout: 15 * time.Second}).DialContext,
				ForceAttemptHTTP2:     true,
				TLSHandshakeTimeout:   15 * time.Second,
				ResponseHeaderTimeout: 2 * time.Minute,
				// The offsets are those of the bytes themselves.
				DisableCompression: true,
			},
			CheckRedirect: s.checkRedirect,
		},
		RetryMax: max(cmp.Or(o.RetryMax, 4), 0), RetryWaitMin: cmp.Or(o.RetryWaitMin, time.Second), RetryWaitMax: 30 * time.Second,
		CheckRetry: checkRetry, ErrorHandler: retryablehttp.PassthroughErrorHandler,
		Backoff: func(low, high time.Duration, n int, resp *http.Response) time.Duration {
			return min(retryablehttp.DefaultBackoff(low, high, n, resp), maxPause)
		},
	}
	return s, nil
}

// queries are what may be signed, or hold a token, in the text of an error.
var queries = regexp.MustCompile(`\?[^\s"']+`)

var errDowngrade = errors.New("it redirects from https to http")

func checkRetry(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if errors.Is(err, errDowngrade) {
		return false, err
	}
	return retryablehttp.DefaultRetryPolicy(ctx, resp, err)
}

// checkRedirect lets the token go to the source alone. The standard library would send it to subdomains, too.
func (s *Source) checkRedirect(req *http.Request, via []*http.Request) error {
	switch {
	case len(via) > maxRedirects:
		return fmt.Errorf("it redirects more than %d times", maxRedirects)
	case via[0].URL.Scheme == "https" && req.URL.Scheme != "https":
		return errDowngrade
	}
	req.Header.Del("Authorization")
	req.Header.Del("Referer")
	if sameOrigin(s.at, req.URL) {
		s.authorize(req.Header)
	}
	return nil
}

func sameOrigin(a, b *url.URL) bool {
	port := func(u *url.URL) string {
		return cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	}
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

// StatusError is an answer that is no success.
type StatusError struct {
	Status int
	place  string
}

func (e *StatusError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("%s answers %d %s", e.place, e.Status, http.StatusText(e.Status)))
}

// ContentError is an answer that is no catalog.
type ContentError struct {
	place string
	err   error
}

func (e *ContentError) Error() string { return e.place + ": " + e.err.Error() }

func (e *ContentError) Unwrap() error { return e.err }

// bare is a URL without what may be secret in it.
func bare(u *url.URL) string {
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// get asks for what is at a URL. more are headers, in pairs.
func (s *Source) get(ctx context.Context, u *url.URL, more ...string) (*http.Response, error) {
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be asked", bare(u))
	}
	req.Header.Set("User-Agent", s.userAgent)
	for i := 0; i < len(more); i += 2 {
		req.Header.Set(more[i], more[i+1])
	}
	if sameOrigin(s.at, u) {
		s.authorize(req.Header)
	}
	resp, err := s.retry.Do(req)
	if err != nil {
		return nil, s.unanswered(ctx, u, err)
	}
	return resp, nil
}

// unanswered puts into words why there is no answer. The library's errors repeat URLs.
func (s *Source) unanswered(ctx context.Context, u *url.URL, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if inner, ok := errors.AsType[*url.Error](err); ok {
		err = inner.Err
	}
	return fmt.Errorf("%s does not answer: %s", bare(u), s.redact(err.Error()))
}

// Catalog reads the catalog. Where a server has none at the URL of a box, /org/name, it is asked for the one that it
// has for newer clients, /api/v2/vagrant/org/name. URLs of boxes are absolute.
func (s *Source) Catalog(ctx context.Context) (Catalog, []Problem, error) {
	c, problems, err := s.catalogAt(ctx, s.at)
	if err == nil || ctx.Err() != nil {
		return c, problems, err
	}
	other, ok := s.newer()
	if !ok {
		return c, problems, err
	}
	c, problems, second := s.catalogAt(ctx, other)
	if second != nil && second.Error() != err.Error() {
		return c, problems, fmt.Errorf("%w; and %w", err, second)
	}
	return c, problems, second
}

const newerRoute = "/api/v2/vagrant/"

// newer is the URL for newer clients of a URL that ends in /org/name.
func (s *Source) newer() (*url.URL, bool) {
	parts := strings.Split(strings.Trim(s.at.Path, "/"), "/")
	n := len(parts)
	if n < 2 || strings.Contains(s.at.Path, newerRoute) {
		return nil, false
	}
	other := *s.at
	base := ""
	if n > 2 {
		base = "/" + strings.Join(parts[:n-2], "/")
	}
	other.Path, other.RawPath = base+newerRoute+parts[n-2]+"/"+parts[n-1], ""
	return &other, true
}

func (s *Source) catalogAt(ctx context.Context, u *url.URL) (Catalog, []Problem, error) {
	conn, dog := watch(ctx, s.stall)
	defer dog.stop()
	resp, err := s.get(conn, u, "Accept", "application/json")
	if err != nil {
		return Catalog{}, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return Catalog{}, nil, &StatusError{resp.StatusCode, bare(u)}
	}
	content, err := io.ReadAll(io.LimitReader(dog.reader(resp.Body), maxCatalog+1))
	switch {
	case err != nil && dog.barked():
		return Catalog{}, nil, s.unanswered(ctx, u, errStalled)
	case err != nil:
		return Catalog{}, nil, s.unanswered(ctx, u, err)
	case len(content) > maxCatalog:
		return Catalog{}, nil, &ContentError{bare(u), errTooLarge}
	}
	c, problems, err := Parse(content)
	if err != nil {
		return Catalog{}, nil, &ContentError{bare(u), err}
	}
	for v := range c.Versions {
		for b := range c.Versions[v].Boxes {
			box := &c.Versions[v].Boxes[b]
			if at, err := resp.Request.URL.Parse(box.URL); err == nil && box.URL != "" {
				box.URL = at.String()
			}
		}
	}
	return c, problems, nil
}
