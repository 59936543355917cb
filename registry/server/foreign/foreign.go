// Package foreign is what the server and the protocols of others that it speaks agree on. A protocol is a package of
// its own: it translates between its wire and a [registry.Service], and says so in a [Protocol]. The server mounts
// that like its own routes: with request ids, log, metrics, deadlines, headers and tokens.
package foreign

import (
	"errors"
	"io"
	"net/http"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/problem"
)

// Protocol is a set of routes with one form of errors.
type Protocol struct {
	Routes []Route
	// SecretPaths are parts of paths after which a secret comes. No path that has one gets into the log.
	SecretPaths []string
	// Fail answers with an error. The status is that of the problem, or another that the protocol prefers.
	Fail func(w http.ResponseWriter, r *http.Request, p problem.Problem)
}

// Route is one method and path. A request's token is found in the Authorization header (Bearer), in X-Atlas-Token or
// in the query parameter access_token, and its bearer in the request's context. Query parameters that nobody knows
// are no mistake, unless the route says which it has.
type Route struct {
	Method string
	// Path is a pattern of [http.ServeMux]. GET answers HEAD, too.
	Path string
	// Open routes look at no token.
	Open bool
	// Private routes are of no use without a token. Nothing else of a request without one is looked at.
	Private bool
	// Basic routes are for clients that can send a token only as the password of Basic, with any user. A Bearer token is as
	// good. They look for tokens nowhere else, and a request that needs one is asked for Basic.
	Basic bool
	// Query names the query parameters. If it is not nil, others are refused with 400, and so is one that is empty or there
	// twice. A name that ends in ".KEY" stands for all that begin with what is before KEY.
	Query []string
	// Handle answers a request. It may return an error as long as it has written nothing.
	Handle func(w http.ResponseWriter, r *http.Request) error
}

// ErrNoRoute is returned by a handler whose path turned out not to be its own. The answer is the one to any path
// that nobody knows.
var ErrNoRoute = errors.New("there is no such route")

// Host is what the server does for a protocol's handlers. w and r are the handler's own in all methods.
type Host interface {
	// BaseURL is where the caller reaches the registry, such as https://almanac.example.com, without a slash at the end.
	BaseURL(r *http.Request) string
	// ReadBody reads a body of at most limit bytes. TooLarge: it has more.
	ReadBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error)
	// SendJSON answers with a value. A successful read gets an ETag, or is answered 304.
	SendJSON(w http.ResponseWriter, r *http.Request, status int, v any) error
	// SendFile answers with the bytes of a blob, or those that a header Range asks for. One that cannot be read
	// or fulfilled is ignored. The blob stays the caller's to close.
	SendFile(w http.ResponseWriter, r *http.Request, blob registry.Blob)
	// Receive hands a body of any size to take, which reads it to its end. A slow sender has all the time it needs, a
	// silent one is cut. The error is the one of take, or of the body where that broke off.
	Receive(w http.ResponseWriter, r *http.Request, take func(body io.Reader) error) error
}
