package faultproxy_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/internal/faultproxy"
)

// echo notes what reaches it and answers with what it was sent, behind a fixed head.
type echo struct {
	mu   sync.Mutex
	got  []int // lengths of bodies
	errs []error
}

const head = "the registry's own answer, which is long enough to be cut; "

func (e *echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	e.mu.Lock()
	e.got, e.errs = append(e.got, len(body)), append(e.errs, err)
	e.mu.Unlock()
	if r.Method == http.MethodPut {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("X-Query", r.URL.RawQuery)
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(append([]byte(head), body...))
}

func (e *echo) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.got)
}

// seen returns the lengths of the bodies that arrived, once there are n.
func (e *echo) seen(t *testing.T, n int) ([]int, []error) {
	t.Helper()
	for range 200 {
		e.mu.Lock()
		got, errs := e.got, e.errs
		e.mu.Unlock()
		if len(got) >= n {
			return got, errs
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("fewer than %d requests reached the registry", n)
	return nil, nil
}

func start(t *testing.T) (*faultproxy.Proxy, *echo, *http.Client) {
	t.Helper()
	e := &echo{}
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	// Without kept connections no request is repeated by the client's own transport.
	return faultproxy.New(t, server.URL), e, &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
}

// send makes a request and returns status and body; err is that of either.
func send(c *http.Client, method, url string, body string) (status int, got string, err error) {
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(content), err
}

func TestRequestsPassAndAreCounted(t *testing.T) {
	p, _, c := start(t)
	status, got, err := send(c, "POST", p.URL+"/v1/a%2Fb?q=1", "hello")
	if status != 201 || got != head+"hello" || err != nil {
		t.Errorf("%d %q %v", status, got, err)
	}
	if status, _, err := send(c, "PUT", p.URL+"/v1/x", ""); status != 204 || err != nil {
		t.Errorf("%d %v", status, err)
	}
	want := []faultproxy.Request{{Method: "POST", Path: "/v1/a%2Fb"}, {Method: "PUT", Path: "/v1/x"}}
	if diff := cmp.Diff(want, p.Requests()); diff != "" {
		t.Error(diff)
	}
}

func TestFaultsMeetTheRequestsThatAreNamed(t *testing.T) {
	p, _, c := start(t)
	statuses := func(n int) (got []int) {
		for range n {
			status, _, err := send(c, "GET", p.URL, "")
			if err != nil {
				t.Error(err)
			}
			got = append(got, status)
		}
		return got
	}
	p.Fail(2, faultproxy.Answer(500))
	p.FailFrom(4, faultproxy.Answer(502))
	p.FailFrom(6, faultproxy.Answer(503))
	p.Fail(7, faultproxy.Answer(429))
	if diff := cmp.Diff([]int{201, 500, 201, 502, 502, 503, 429, 503}, statuses(8)); diff != "" {
		t.Error(diff)
	}
	if got := p.Requests()[1].Fault; got != "500 instead of the registry" {
		t.Errorf("the second request met %q", got)
	}
	p.Heal()
	if diff := cmp.Diff([]int{201}, statuses(1)); diff != "" {
		t.Error(diff)
	}
	p.Reset()
	p.Fail(1, faultproxy.Answer(500))
	if diff := cmp.Diff([]int{500, 201}, statuses(2)); diff != "" || len(p.Requests()) != 2 {
		t.Errorf("%d requests; %s", len(p.Requests()), diff)
	}
}

func TestRequestIsCut(t *testing.T) {
	for _, tc := range []struct {
		body  int
		after int64
		want  int
	}{{5000, 0, 0}, {5000, 1000, 1000}, {10, 1000, 9}} {
		t.Run(fmt.Sprintf("of %d bytes after %d", tc.body, tc.after), func(t *testing.T) {
			p, e, c := start(t)
			p.Fail(1, faultproxy.CutRequest(tc.after))
			if _, _, err := send(c, "POST", p.URL, strings.Repeat("x", tc.body)); err == nil {
				t.Error("the client got an answer")
			}
			got, errs := e.seen(t, 1)
			if got[0] != tc.want || !errors.Is(errs[0], io.ErrUnexpectedEOF) {
				t.Errorf("the registry got %d bytes and %v", got[0], errs[0])
			}
		})
	}
	t.Run("without a body does not reach the registry", func(t *testing.T) {
		p, e, c := start(t)
		p.Fail(1, faultproxy.CutRequest(0))
		if _, _, err := send(c, "GET", p.URL, ""); err == nil {
			t.Error("the client got an answer")
		}
		if e.count() > 0 {
			t.Error("the registry was asked")
		}
	})
}

func TestAnswerIsCut(t *testing.T) {
	for _, after := range []int{0, 20, 1 << 20} {
		p, e, c := start(t)
		p.Fail(1, faultproxy.CutAnswer(after))
		status, got, err := send(c, "POST", p.URL, "")
		want := head[:min(after, len(head)/2)]
		if status != 201 || got != want || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("after %d: %d %q %v", after, status, got, err)
		}
		e.seen(t, 1)

		p.Fail(2, faultproxy.CutAnswer(after))
		if status, _, err := send(c, "PUT", p.URL, ""); err == nil {
			t.Errorf("an answer without a body came with status %d", status)
		}
		e.seen(t, 2)
	}
}

func TestConnectionIsReset(t *testing.T) {
	for name, tc := range map[string]struct {
		fault   faultproxy.Fault
		reached int
	}{"before": {faultproxy.ResetBefore(), 0}, "after": {faultproxy.ResetAfter(), 1}} {
		t.Run(name+" the registry", func(t *testing.T) {
			p, e, c := start(t)
			p.Fail(1, tc.fault)
			_, _, err := send(c, "POST", p.URL, "hello")
			if !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
				t.Errorf("got %v", err)
			}
			if e.count() != tc.reached {
				t.Errorf("%d requests reached the registry, want %d", e.count(), tc.reached)
			}
		})
	}
}

func TestAnswersAreReplaced(t *testing.T) {
	for _, tc := range []struct {
		fault   faultproxy.Fault
		status  int
		part    string
		reached int
	}{
		{faultproxy.Answer(500), 500, "<h1>500", 0},
		{faultproxy.Answer(429), 429, "Too Many Requests", 0},
		{faultproxy.AnswerAfter(502), 502, "Bad Gateway", 1},
		{faultproxy.HTML(), 200, "<html>", 1},
		{faultproxy.BrokenJSON(), 200, `"ver`, 1},
		{faultproxy.OtherJSON(), 200, `"status":"ok"`, 1},
		{faultproxy.SomethingElse(), 200, "somebody/else", 1},
		{faultproxy.Empty(), 200, "", 1},
	} {
		t.Run(tc.fault.String(), func(t *testing.T) {
			p, e, c := start(t)
			p.Fail(1, tc.fault)
			status, got, err := send(c, "POST", p.URL, "hello")
			if status != tc.status || !strings.Contains(got, tc.part) || strings.Contains(got, head) || err != nil {
				t.Errorf("%d %q %v", status, got, err)
			}
			if e.count() != tc.reached {
				t.Errorf("%d requests reached the registry, want %d", e.count(), tc.reached)
			}
		})
	}
	t.Run("with headers", func(t *testing.T) {
		p, _, c := start(t)
		p.Fail(1, faultproxy.Answer(503, "Retry-After", "7"))
		resp, err := c.Get(p.URL)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got := resp.Header.Get("Retry-After"); got != "7" {
			t.Errorf("Retry-After is %q", got)
		}
	})
}

func TestSlowRequestsArrive(t *testing.T) {
	for _, f := range []faultproxy.Fault{faultproxy.Delay(60 * time.Millisecond), faultproxy.Drip(10, 10*time.Millisecond)} {
		t.Run(f.String(), func(t *testing.T) {
			p, _, c := start(t)
			p.Fail(1, f)
			begin := time.Now()
			status, got, err := send(c, "POST", p.URL, "hello")
			if status != 201 || got != head+"hello" || err != nil {
				t.Errorf("%d %q %v", status, got, err)
			}
			if took := time.Since(begin); took < 50*time.Millisecond {
				t.Errorf("it took %v only", took)
			}
		})
	}
}

func TestRegistryThatIsAwayIsAwayBehindTheProxy(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	server.Close()
	p := faultproxy.New(t, server.URL)
	if status, _, err := send(http.DefaultClient, "POST", p.URL, "x"); err == nil {
		t.Errorf("answered %d", status)
	}
}

func TestAllFaultsHaveNamesOfTheirOwnAndDoSomething(t *testing.T) {
	names := map[string]bool{}
	for _, f := range faultproxy.All() {
		if f.String() == "" || names[f.String()] {
			t.Errorf("the name %q is there twice or empty", f)
		}
		names[f.String()] = true
		p, _, c := start(t)
		p.Fail(1, f)
		begin := time.Now()
		status, got, err := send(c, "POST", p.URL, "hello")
		if status == 201 && got == head+"hello" && err == nil && time.Since(begin) < 5*time.Millisecond {
			t.Errorf("%s did nothing", f)
		}
		if next, _, err := send(c, "POST", p.URL, string(bytes.Repeat([]byte("x"), 10))); next != 201 || err != nil {
			t.Errorf("after %s: %d %v", f, next, err)
		}
	}
}
