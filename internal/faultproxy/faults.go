package faultproxy

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Fault is what can happen to a request between client and registry.
type Fault struct {
	name  string
	spoil func(p *Proxy, w http.ResponseWriter, r *http.Request)
}

// String returns the fault's name, which says what happens.
func (f Fault) String() string { return f.name }

// CutRequest lets the registry have n bytes of the body, or one less than all if there are not more,
// and breaks both connections. Of a request without a body the registry sees nothing.
func CutRequest(n int64) Fault {
	return Fault{fmt.Sprintf("request cut after %d bytes", n), func(p *Proxy, w http.ResponseWriter, r *http.Request) {
		if r.ContentLength != 0 {
			limit := n
			if r.ContentLength > 0 {
				limit = min(n, r.ContentLength-1)
			}
			r.Body = io.NopCloser(io.MultiReader(io.LimitReader(r.Body, limit), broken{}))
			p.forward.ServeHTTP(discard{}, r)
		}
		reset(w)
	}}
}

var errCut = errors.New("cut by the fault proxy")

// broken is a body that breaks off.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errCut }

// CutAnswer has the registry carry the request out and breaks its answer off after n bytes of the
// body, or after half of them if there are not more, or within the head if there are none.
func CutAnswer(n int) Fault {
	return Fault{fmt.Sprintf("answer cut after %d bytes", n), func(p *Proxy, w http.ResponseWriter, r *http.Request) {
		c := &cutter{ResponseWriter: w, limit: n}
		p.forward.ServeHTTP(c, r)
		c.finish()
	}}
}

// ResetBefore resets the connection before the registry sees anything.
func ResetBefore() Fault {
	return Fault{"reset before the registry", func(_ *Proxy, w http.ResponseWriter, _ *http.Request) { reset(w) }}
}

// ResetAfter resets the connection when the registry has carried the request out: the answer is lost.
func ResetAfter() Fault {
	return Fault{"reset after the registry", func(p *Proxy, w http.ResponseWriter, r *http.Request) {
		p.forward.ServeHTTP(discard{}, r)
		reset(w)
	}}
}

// Answer answers with a status instead of the registry, and a page in the manner of a proxy. header
// are names and values.
func Answer(status int, header ...string) Fault {
	name := fmt.Sprintf("%d instead of the registry", status)
	if len(header) > 0 {
		name += " with " + strings.Join(header, " ")
	}
	return Fault{name, func(_ *Proxy, w http.ResponseWriter, _ *http.Request) { page(w, status, header...) }}
}

// AnswerAfter has the registry carry the request out and answers with another status.
func AnswerAfter(status int) Fault {
	return Fault{fmt.Sprintf("%d after the registry", status), func(p *Proxy, w http.ResponseWriter, r *http.Request) {
		p.forward.ServeHTTP(discard{}, r)
		page(w, status)
	}}
}

func page(w http.ResponseWriter, status int, header ...string) {
	for i := 0; i+1 < len(header); i += 2 {
		w.Header().Set(header[i], header[i+1])
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<html><body><h1>%d %s</h1></body></html>\n", status, http.StatusText(status))
}

// Delay forwards a request after a while.
func Delay(d time.Duration) Fault {
	return Fault{fmt.Sprintf("%v late", d), func(p *Proxy, w http.ResponseWriter, r *http.Request) {
		select {
		case <-time.After(d):
			p.forward.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	}}
}

// Drip lets an answer through in pieces of n bytes with a pause before each.
func Drip(n int, pause time.Duration) Fault {
	return Fault{fmt.Sprintf("answer drips %d bytes each %v", n, pause), func(p *Proxy, w http.ResponseWriter, r *http.Request) {
		p.forward.ServeHTTP(&dripper{ResponseWriter: w, ctx: r.Context(), n: n, pause: pause}, r)
	}}
}

// Replace has the registry carry the request out and answers with a status of success and another
// body, which name describes.
func Replace(name, contentType, body string) Fault {
	return Fault{name, func(p *Proxy, w http.ResponseWriter, r *http.Request) {
		p.forward.ServeHTTP(discard{}, r)
		w.Header().Set("Content-Type", contentType)
		_, _ = io.WriteString(w, body)
	}}
}

// somethingElse has all words that answers of a registry have, and says other things with them than
// any test asks.
const somethingElse = `{"artifact":"somebody/else","name":"somebody/else","number":7,"version":"7.0.0","fingerprint":"another-run",
"component":"another.component","status":"complete","published_at":"2026-01-02T03:04:05Z","publish":true,"read":true,
"id":"0123456789abcdef0123456789abcdef","size":1,"offset":1,"done":true,
"sha256":"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"}`

// The faults that answer 200 with what the route does not answer, after the registry has carried the
// request out.

// HTML is the page of a proxy.
func HTML() Fault {
	return Replace("web page instead of the answer", "text/html; charset=utf-8", "<html><body>Welcome! Please sign in.</body></html>\n")
}

// BrokenJSON ends too early, and says that it is whole.
func BrokenJSON() Fault {
	return Replace("broken JSON instead of the answer", "application/json", `{"artifact":"cargomedia/app","number":1,"ver`)
}

// OtherJSON is of another API.
func OtherJSON() Fault {
	return Replace("JSON of another API instead of the answer", "application/json", `{"status":"ok","data":[1,2,3]}`)
}

// SomethingElse is an answer to a question that nobody asked.
func SomethingElse() Fault {
	return Replace("answer about something else", "application/json", somethingElse)
}

// Empty is no body at all.
func Empty() Fault { return Replace("empty answer", "application/json", "") }

// All returns a fault of every sort. Those that only delay, for a tenth of a second or so, are the
// last ones; a client gets through them without trying again.
func All() []Fault {
	return []Fault{
		CutRequest(0), CutRequest(1), CutRequest(1 << 20),
		CutAnswer(0), CutAnswer(20),
		ResetBefore(), ResetAfter(),
		Answer(500), Answer(502), Answer(503), Answer(503, "Retry-After", "0"), Answer(504),
		Answer(429), Answer(429, "Retry-After", "0"),
		AnswerAfter(500), AnswerAfter(502),
		HTML(), BrokenJSON(), OtherJSON(), SomethingElse(), Empty(),
		Delay(50 * time.Millisecond), Drip(100, 5*time.Millisecond),
	}
}
