// Package client talks to an Almanac registry over its native HTTP API, and gives the domain's types
// and errors back:
//
//	c, err := client.New(client.Options{Address: "https://almanac.example.com", Token: token})
//	file, err := c.UploadFile(ctx, "cargomedia/app", "output/app.box", "app.box", nil)
//	receipt, err := c.Publish(ctx, "cargomedia/app", registry.Publication{…})
//
// Every error is an [*registry.Error]. What the registry refused comes back with the kind, the text,
// the fields and the choices that it gave. What kept a call from being answered (no connection, no
// such host, a certificate that is not trusted, a server that is no Almanac registry) is of kind
// [registry.Unavailable] and names the address and the cause.
//
// Calls are repeated on connection errors, on the statuses 429 and 5xx (except 501 and 505, and what
// the registry itself says is final), and on answers that report a success and are not what the route
// answers: the page of a proxy, broken JSON, a receipt for something else. Every write of the API can
// be sent again; the two that cannot, [Client.CreateToken] and a rollback by [Client.SetChannel], are
// repeated only if the registry cannot have carried them out. The bytes of files go on where they
// stopped, for as many connections as bring them further.
//
// Nothing waits for ever. Without an end in the context of a call, a connection must come about within
// 15 seconds, its TLS within another 15; the registry may think for 5 minutes about a request that it
// has (unless [Options.HTTP] says otherwise); and a body, of a request or of an answer, may stand still
// for 2 minutes. Each counts as a failed try.
package client

import (
	"cmp"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// Names of the environment variables that programs read the [Options] from. The package itself reads
// no environment.
const (
	EnvAddress = "ALMANAC_ADDR"
	EnvToken   = "ALMANAC_TOKEN"
)

// DefaultAddress is where a registry listens unless told otherwise.
const DefaultAddress = "http://127.0.0.1:7480"

const (
	defaultUserAgent = "almanac-client"
	defaultRetryMax  = 4
	defaultWaitMin   = 500 * time.Millisecond
	defaultWaitMax   = 15 * time.Second
	defaultAfterMax  = 2 * time.Minute
	// defaultStall is how long a transfer may stand still before its connection is given up.
	defaultStall = 2 * time.Minute
	// headerTimeout is how long the registry may think about a request that it has received.
	headerTimeout = 5 * time.Minute
)

// Options say which registry a [Client] talks to, and how patiently.
type Options struct {
	// Address is an absolute http or https URL without query; [DefaultAddress] if empty. A path is
	// kept: it is the place of a registry behind a reverse proxy.
	Address string
	// Token is sent as Authorization: Bearer, to this address alone. Without one only what is public
	// can be read.
	Token string
	// UserAgent names the program that calls.
	UserAgent string
	// RetryMax is how often a call is repeated; 0 is 4, a negative number is never.
	RetryMax int
	// RetryWaitMin and RetryWaitMax are the pauses before the first and at most before a later
	// repetition; 0 is 0.5 s and 15 s. A registry that asks for another pause, by Retry-After, gets it.
	RetryWaitMin, RetryWaitMax time.Duration
	// RetryAfterMax is the longest pause that is made because the registry asks for it; 0 is 2 min, a
	// negative number is none. A call whose registry asks for more fails at once, Unavailable, and its
	// error says what was asked for.
	RetryAfterMax time.Duration
	// HTTP makes the requests. It is optional, is not changed, and its CheckRedirect is not used. A
	// Timeout of it bounds whole transfers.
	HTTP *http.Client
	// Log is told about requests and repetitions; nil is told nothing. The token never gets there.
	Log func(format string, args ...any)
}

// Client is a registry at an address. Its methods may be called from many goroutines.
type Client struct {
	address   string // absolute URL without trailing slash, nothing secret in it
	userAgent string
	// authorize and redact know the token. It is kept in closures so that no formatted Client shows it.
	authorize func(http.Header)
	redact    func(string) string
	http      *http.Client
	retry     *retryablehttp.Client
	log       func(format string, args ...any)
	stall     time.Duration

	retryAfterMax time.Duration
}

// New returns a client, without talking to the registry. Invalid: all that is wrong with the address
// and the token, with the fields "address" and "token".
func New(o Options) (*Client, error) {
	var fields []registry.FieldError
	token := strings.TrimSpace(o.Token)
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		fields = append(fields, registry.FieldError{Field: "token", Message: "has a space, a line end or another character that no token has; copy it again"})
	}
	base, err := parseAddress(o.Address)
	if err != nil {
		fields = append(fields, registry.FieldError{Field: "address", Message: err.Error()})
	}
	if len(fields) > 0 {
		return nil, &registry.Error{Kind: registry.Invalid, Msg: "the registry cannot be called", Fields: fields}
	}
	c := &Client{
		address:   base,
		userAgent: cmp.Or(o.UserAgent, defaultUserAgent),
		authorize: func(http.Header) {},
		redact:    func(s string) string { return s },
		log:       func(string, ...any) {},
		stall:     defaultStall,

		retryAfterMax: max(cmp.Or(o.RetryAfterMax, defaultAfterMax), 0),
	}
	if token != "" {
		c.authorize = func(h http.Header) { h.Set("Authorization", "Bearer "+token) }
		// A word this short is no secret of ours, and would be found inside other words.
		if len(token) >= 8 {
			c.redact = func(s string) string { return strings.ReplaceAll(s, token, "[token]") }
		}
	}
	if o.Log != nil {
		c.log = func(format string, args ...any) { o.Log("%s", c.redact(fmt.Sprintf(format, args...))) }
	}
	c.http = c.newHTTP(o.HTTP)
	c.retry = c.newRetry(o)
	return c, nil
}

// Address returns the registry's address, without a trailing slash.
func (c *Client) Address() string { return c.address }

// parseAddress checks an address and returns it without trailing slash. Its errors do not repeat the
// address: it may hold a password.
func parseAddress(s string) (string, error) {
	s = cmp.Or(strings.TrimSpace(s), DefaultAddress)
	scheme, _, _ := strings.Cut(s, "://")
	if scheme = strings.ToLower(scheme); scheme != "http" && scheme != "https" {
		return "", fmt.Errorf("must begin with http:// or https://, such as https://almanac.example.com or %s", DefaultAddress)
	}
	u, err := url.Parse(s)
	port := 0
	if err == nil && u.Port() != "" {
		port, err = strconv.Atoi(u.Port())
	}
	switch {
	case err != nil || port > 65535:
		return "", fmt.Errorf("is not a URL; write for example https://almanac.example.com or %s", DefaultAddress)
	case u.User != nil:
		return "", fmt.Errorf("has a user name; put the token into %s, not into the address", EnvToken)
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(s, "#"):
		return "", fmt.Errorf("has a query or a fragment; leave out what begins with '?' or '#' (a token goes into %s)", EnvToken)
	case u.Hostname() == "":
		return "", fmt.Errorf("has no host name; write for example https://almanac.example.com")
	}
	return scheme + "://" + u.Host + strings.TrimRight(u.EscapedPath(), "/"), nil
}

// newHTTP returns what makes single requests: without a time limit on whole transfers, which end by
// their context or when they stand still.
func (c *Client) newHTTP(given *http.Client) *http.Client {
	h := http.Client{}
	if given != nil {
		h = *given
	} else {
		h.Transport = &http.Transport{
			Proxy:                 http.ProxyFromEnvironment,
			DialContext:           (&net.Dialer{Timeout: 15 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
			ForceAttemptHTTP2:     true,
			MaxIdleConnsPerHost:   8,
			IdleConnTimeout:       90 * time.Second,
			TLSHandshakeTimeout:   15 * time.Second,
			ResponseHeaderTimeout: headerTimeout,
		}
	}
	h.CheckRedirect = c.checkRedirect
	return &h
}

func (c *Client) newRetry(o Options) *retryablehttp.Client {
	r := &retryablehttp.Client{
		HTTPClient:   c.http,
		RetryMax:     cmp.Or(o.RetryMax, defaultRetryMax),
		RetryWaitMin: cmp.Or(o.RetryWaitMin, defaultWaitMin),
		RetryWaitMax: cmp.Or(o.RetryWaitMax, defaultWaitMax),
		CheckRetry:   c.checkRetry,
		Backoff:      backoff,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,

		RequestLogHook: countTry,
	}
	r.RetryMax = max(r.RetryMax, 0)
	r.RetryWaitMax = max(r.RetryWaitMax, r.RetryWaitMin)
	return r
}
