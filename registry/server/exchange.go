package server

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/cargomedia/packer-plugin-almanac/registry/server/foreign"
)

// exchange is one request's answer on its way out: the only [http.ResponseWriter] between the
// handlers and net/http. It passes ReadFrom on, so that the kernel can send files itself, and
// can hold an answer back until it is whole.
type exchange struct {
	http.ResponseWriter
	server *Server
	start  time.Time
	id     string // of the request
	route  string // the pattern's path; "" when none matched
	token  string // name of the caller's token
	quiet  bool   // log at debug level only
	query  url.Values
	basic  bool // a token is asked for as a password
	// protocol is whose form errors have; nil is the native API.
	protocol *foreign.Protocol

	status int // 0 until the header is sent
	bytes  int64

	// held is the body of an answer that is held back; its status is heldStatus.
	held       *bytes.Buffer
	heldStatus int
}

// Unwrap lets [http.ResponseController] reach the connection.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// WriteHeader sends the header, or notes the status of an answer that is held back.
func (x *exchange) WriteHeader(status int) {
	if x.held != nil {
		x.heldStatus = status
		return
	}
	if x.status == 0 && status >= 200 {
		x.status = status
	}
	x.ResponseWriter.WriteHeader(status)
}

// Write sends bytes of the body, or keeps them while the answer is held back.
func (x *exchange) Write(p []byte) (int, error) {
	if x.held != nil {
		return x.held.Write(p)
	}
	if x.status == 0 {
		x.status = http.StatusOK
	}
	n, err := x.ResponseWriter.Write(p)
	x.bytes += int64(n)
	return n, err
}

// longAnswer is well below the time that the server gives an answer.
const longAnswer = answerTimeout / 4

// sendChunk is what a client must take within the stall timeout: small enough for a slow one. Larger ones
// would save calls of the system, but what the kernel buffers says nothing of how fast the client is.
const sendChunk = 1 << 20

// ReadFrom sends all of src. The bytes of a file go from the kernel's cache to the socket
// (sendfile), in chunks, so that the deadline can be set anew as long as there is progress.
func (x *exchange) ReadFrom(src io.Reader) (int64, error) {
	if x.held != nil {
		return x.held.ReadFrom(src)
	}
	if x.status == 0 {
		x.status = http.StatusOK
	}
	limited, ok := src.(*io.LimitedReader)
	if !ok {
		limited = &io.LimitedReader{R: src, N: 1<<63 - 1}
	}
	control := http.NewResponseController(x.ResponseWriter)
	// A deadline would outlive this answer and hit the connection's next one.
	defer func() { _ = control.SetWriteDeadline(time.Time{}) }()
	var total int64
	for limited.N > 0 {
		// Writers without deadlines (tests, other servers) send all the same.
		_ = control.SetWriteDeadline(time.Now().Add(x.server.opts.StallTimeout))
		chunk := &io.LimitedReader{R: limited.R, N: min(limited.N, sendChunk)}
		want := chunk.N
		n, err := io.Copy(x.ResponseWriter, chunk) // uses the writer's ReadFrom where it has one
		limited.N -= n
		total += n
		x.bytes += n
		if err != nil || n < want {
			return total, err
		}
	}
	return total, nil
}

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// hold keeps the answer back until release or discard.
func (x *exchange) hold() { x.held = buffers.Get().(*bytes.Buffer) }

// discard forgets an answer that is held back.
func (x *exchange) discard() {
	if held := x.held; held != nil {
		x.held, x.heldStatus = nil, 0
		recycle(held)
	}
}

func recycle(b *bytes.Buffer) {
	// One huge answer must not pin its memory.
	if b.Cap() <= 1<<20 {
		b.Reset()
		buffers.Put(b)
	}
}

// release sends an answer that was held back. A successful read gets an ETag, or is answered 304
// when the caller has it already.
func (x *exchange) release(r *http.Request) {
	held, status := x.held, x.heldStatus
	if held == nil {
		return
	}
	x.held, x.heldStatus = nil, 0
	defer recycle(held)
	if status == 0 {
		status = http.StatusOK
	}
	if status == http.StatusOK && isRead(r) {
		h := x.Header()
		h["Cache-Control"] = revalidate
		h["Vary"] = variesBy
		if setTag(h, r, entityTag(held.Bytes())) {
			delete(h, "Content-Type")
			x.WriteHeader(http.StatusNotModified)
			return
		}
	}
	if time.Since(x.start) > longAnswer {
		// The server's deadline runs from the request on; the answer shall have its own time.
		_ = http.NewResponseController(x.ResponseWriter).SetWriteDeadline(time.Now().Add(x.server.opts.StallTimeout))
	}
	if held.Len() > 0 {
		x.Header()["Content-Length"] = []string{strconv.Itoa(held.Len())}
	}
	x.WriteHeader(status)
	if held.Len() > 0 {
		// An error means that the client is gone; net/http closes the connection.
		_, _ = x.Write(held.Bytes())
	}
}

func isRead(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }

// entityTag is a strong ETag: a hash of the body, and its length. The hash need not withstand an attack, because
// whoever can choose the body of an answer can also leave it as it was.
func entityTag(body []byte) string {
	tag := make([]byte, 0, 32)
	tag = append(tag, '"')
	tag = strconv.AppendUint(tag, xxhash.Sum64(body), 16)
	tag = append(tag, '-')
	tag = strconv.AppendInt(tag, int64(len(body)), 16)
	return string(append(tag, '"'))
}

// setTag sets the ETag and says whether the caller has it (RFC 9110, 13.1.2: a weak comparison).
func setTag(h http.Header, r *http.Request, tag string) bool {
	h["Etag"] = []string{tag}
	for _, line := range r.Header["If-None-Match"] {
		for have := range strings.SplitSeq(line, ",") {
			have = strings.TrimSpace(have)
			if have == "*" || strings.TrimPrefix(have, "W/") == tag {
				return true
			}
		}
	}
	return false
}

// requestID returns the id that the caller chose, if it is a harmless one, or a new one.
func requestID(r *http.Request) string {
	if values := r.Header["X-Request-Id"]; len(values) == 1 && validID(values[0]) {
		return values[0]
	}
	const digits = "0123456789abcdef"
	var id [16]byte
	n := rand.Uint64()
	for i := range id {
		id[i] = digits[n&15]
		n >>= 4
	}
	return string(id[:])
}

func validID(s string) bool {
	if s == "" || len(s) > 64 {
		return false
	}
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '.', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

// end comes last in every request, by defer: it turns a panic into an answer, and counts and logs.
func (x *exchange) end(r *http.Request) {
	p := recover()
	if p != nil && p != http.ErrAbortHandler {
		x.discard()
		x.server.log.LogAttrs(r.Context(), slog.LevelError, "a handler panicked",
			slog.String("request_id", x.id), slog.String("route", x.route), slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
		if x.status == 0 {
			x.fail(r, errPanicked)
			p = nil
		} else {
			// The client has a part of an answer: a broken connection tells it so.
			p = http.ErrAbortHandler
		}
	}
	if x.status == 0 {
		x.status = http.StatusOK
	}
	took := time.Since(x.start)
	x.server.metrics.observe(x, r.Method, took)
	x.access(r, took)
	if p != nil {
		panic(p)
	}
}

// mayHoldSecret also finds paths that no route matches: a secret in a slightly wrong path is a secret.
func (s *Server) mayHoldSecret(path string) bool {
	return strings.Contains(path, "alm_") || slices.ContainsFunc(s.secretPaths, func(before string) bool { return strings.Contains(path, before) })
}

func (x *exchange) access(r *http.Request, took time.Duration) {
	level := slog.LevelInfo
	if x.quiet {
		level = slog.LevelDebug
	}
	ctx := context.Background()
	if !x.server.log.Enabled(ctx, level) {
		return
	}
	path := r.URL.Path
	if x.server.mayHoldSecret(path) {
		path = "(hidden: it may hold a secret)"
	}
	x.server.log.LogAttrs(ctx, level, "request",
		slog.String("method", r.Method), slog.String("route", x.route), slog.String("path", path),
		slog.Int("status", x.status), slog.Int64("bytes", x.bytes), slog.Int64("duration_us", took.Microseconds()),
		slog.String("request_id", x.id), slog.String("token", x.token))
}
