package client_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
	"github.com/cargomedia/packer-plugin-almanac/registry/problem"
)

// content answers with a body of a type.
func content(code int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(code)
		_, _ = w.Write([]byte(body))
	}
}

// problemOf answers with a problem of a kind under any status.
func problemOf(code int, kind registry.Kind) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", problem.ContentType)
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(problem.New(code, kind, "a sentence", "r1"))
	}
}

func receiptLike(change func(*registry.Receipt)) http.HandlerFunc {
	r := receipt
	change(&r)
	return func(w http.ResponseWriter, _ *http.Request) { answer(w, 200, r) }
}

// wrongAnswers are answers to a publication that report a success and are none.
var wrongAnswers = map[string]struct {
	how  http.HandlerFunc
	want string
}{
	"page of a proxy":             {content(200, "text/html", "<html>"), "a proxy in front of it replaces answers: it answers POST /v1/artifacts/a/b/publish with 200 OK and text/html"},
	"receipt of the wrong type":   {content(200, "text/plain", `{"artifact":"a/b","number":7,"fingerprint":"f"}`), "200 OK and text/plain"},
	"broken JSON":                 {content(200, "application/json", `{"artifact":"a/b","number":7,"finger`), "which is no whole JSON document"},
	"JSON of another API":         {content(200, "application/json", `{"status":"ok"}`), "which is not what this route answers"},
	"JSON of another type":        {content(200, "application/json", `{"artifact":["a/b"],"number":7}`), "which is not what this route answers"},
	"null":                        {content(200, "application/json", `null`), "which is not what this route answers"},
	"nothing":                     {content(200, "application/json", ``), "which is empty"},
	"nothing, and says so":        {status(204), "204 No Content, which is empty"},
	"receipt of another artifact": {receiptLike(func(r *registry.Receipt) { r.Artifact = "a/c" }), `answered POST /v1/artifacts/a/b/publish about something else: the artifact is "a/c" and not "a/b"`},
	"receipt of another run":      {receiptLike(func(r *registry.Receipt) { r.Fingerprint = "g" }), `the fingerprint is "g" and not "f"`},
	"receipt of another build":    {receiptLike(func(r *registry.Receipt) { r.Component = "x.y" }), `the component is "x.y" and not ""`},
}

func TestWrongAnswersAreNoSuccess(t *testing.T) {
	for name, tc := range wrongAnswers {
		t.Run(name+" passes", func(t *testing.T) {
			f := &failing{bad: 3, how: tc.how, then: receipt}
			if err := publish(t.Context(), newClient(t, quick(serve(t, f.ServeHTTP)))); err != nil {
				t.Fatal(err)
			}
			if got := f.count.Load(); got != 4 {
				t.Errorf("%d tries, want 4", got)
			}
		})
		t.Run(name+" lasts", func(t *testing.T) {
			f := &failing{bad: 99, how: tc.how}
			url := serve(t, f.ServeHTTP)
			wantError(t, publish(t.Context(), newClient(t, quick(url))), registry.Unavailable, url, tc.want, "(tried 4 times)")
		})
	}
}

func TestOtherCallsTellWrongAnswersToo(t *testing.T) {
	const other = `{"status":"ok","artifact":"x/y","name":"x/y","number":3}`
	for name, call := range map[string]func(context.Context, *client.Client) error{
		"access":   func(ctx context.Context, c *client.Client) error { _, err := c.Access(ctx, "a/b"); return err },
		"artifact": func(ctx context.Context, c *client.Client) error { _, err := c.Artifact(ctx, "a/b"); return err },
		"artifacts": func(ctx context.Context, c *client.Client) error {
			_, err := c.Artifacts(ctx, registry.ArtifactFilter{})
			return err
		},
		"version": func(ctx context.Context, c *client.Client) error { _, err := c.Version(ctx, "a/b", "3"); return err },
		"versions": func(ctx context.Context, c *client.Client) error {
			_, err := c.Versions(ctx, "a/b", registry.VersionFilter{})
			return err
		},
		"verify": func(ctx context.Context, c *client.Client) error {
			_, err := c.Verify(ctx, "a/b", "3", registry.VerifyRequest{})
			return err
		},
		"resolve": func(ctx context.Context, c *client.Client) error {
			_, err := c.Resolve(ctx, "a/b", "3", registry.Question{})
			return err
		},
		"images": func(ctx context.Context, c *client.Client) error {
			_, err := c.ImageUses(ctx, "aws", "eu-west-1", "ami-1")
			return err
		},
		"events": func(ctx context.Context, c *client.Client) error { _, err := c.Events(ctx, 0, 0); return err },
		"tokens": func(ctx context.Context, c *client.Client) error { _, err := c.Tokens(ctx); return err },
		"delete": func(ctx context.Context, c *client.Client) error { return c.DeleteArtifact(ctx, "a/b") },
	} {
		t.Run(name, func(t *testing.T) {
			f := &failing{bad: 99, how: content(200, "application/json", other)}
			wantError(t, call(t.Context(), newClient(t, quick(serve(t, f.ServeHTTP)))), registry.Unavailable)
			if got := f.count.Load(); got != 4 {
				t.Errorf("%d tries, want 4", got)
			}
		})
	}
}

func TestWhatTheRegistrySaysOfARequestCountsMoreThanTheStatus(t *testing.T) {
	for _, tc := range []struct {
		code  int
		kind  registry.Kind
		tries int32
	}{
		{500, registry.Internal, 4}, {503, registry.Unavailable, 4}, {408, registry.Unavailable, 4}, {507, "", 4},
		{500, registry.Invalid, 1}, {502, registry.Conflict, 1}, {503, registry.Forbidden, 1}, {429, registry.TooLarge, 1}, {501, registry.Internal, 1},
	} {
		t.Run(fmt.Sprintf("%d of kind %q is tried %d times", tc.code, tc.kind, tc.tries), func(t *testing.T) {
			f := &failing{bad: 99, how: problemOf(tc.code, tc.kind)}
			err := publish(t.Context(), newClient(t, quick(serve(t, f.ServeHTTP))))
			want := tc.kind
			if want == "" {
				want = registry.Internal
			}
			wantError(t, err, want, "a sentence")
			if strings.Contains(err.Error(), "tried") {
				t.Errorf("the registry's words were changed: %v", err)
			}
			if got := f.count.Load(); got != tc.tries {
				t.Errorf("%d tries", got)
			}
		})
	}
}

func TestWhatMustNotHappenTwiceIsNotRepeatedAfterTrouble(t *testing.T) {
	for name, how := range map[string]http.HandlerFunc{
		"500": status(500), "503": status(503), "problem": problemOf(500, registry.Internal), "page": content(200, "text/html", "<html>"),
		"broken JSON": content(201, "application/json", `{"secret":`),
	} {
		t.Run(name, func(t *testing.T) {
			f := &failing{bad: 99, how: how}
			_, err := newClient(t, quick(serve(t, f.ServeHTTP))).CreateToken(t.Context(), registry.TokenRequest{Name: "ci"})
			if err == nil || !strings.Contains(err.Error(), "look before you repeat it") {
				t.Errorf("got %v", err)
			}
			if got := f.count.Load(); got != 1 {
				t.Errorf("sent %d times", got)
			}
		})
	}
}

func TestAnswerThatStandsStillIsLeft(t *testing.T) {
	release := make(chan struct{})
	f := &failing{bad: 2, then: receipt, how: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"artifact":`))
		w.(http.Flusher).Flush()
		<-release
	}}
	url := serve(t, f.ServeHTTP)
	t.Cleanup(func() { close(release) })
	c := newClient(t, quick(url))
	c.SetStall(50 * time.Millisecond)
	if err := publish(t.Context(), c); err != nil {
		t.Error(err)
	}
	f.count.Store(-9)
	wantError(t, publish(t.Context(), c), registry.Unavailable, "the transfer stands still")
}

func TestUploadGoesOnAfterTrouble(t *testing.T) {
	for name, how := range map[string]http.HandlerFunc{
		"500": status(500), "503 of the registry": problemOf(503, registry.Unavailable), "429": status(429),
		"a wrong offset beside a 502": status(502, "Upload-Offset", "7"),
		"page":                        content(200, "text/html", "<html>"), "204 without an offset": status(204), "204 with an impossible offset": status(204, "Upload-Offset", "99999999"),
	} {
		t.Run(name+" for the bytes", func(t *testing.T) {
			d, file, p := &depot{}, pattern(100<<10), &progress{}
			d.patch = func(n int, w http.ResponseWriter, r *http.Request) bool {
				if n == 1 {
					// They arrive in part, and the answer does not say it.
					first := make([]byte, 1)
					if _, err := r.Body.Read(first); err != nil {
						t.Error(err)
					}
					d.got = append(d.got, first...)
					how(w, r)
				}
				return n == 1
			}
			got, err := start(t, d).Upload(t.Context(), "a/b", "app.box", bytes.NewReader(file), p.track)
			d.check(t, file, got, err)
			p.check(t, 0, 1)
		})
		t.Run(name+" for the commit", func(t *testing.T) {
			d, file := &depot{}, pattern(1000)
			d.put = func(n int, w http.ResponseWriter) bool {
				if n == 1 {
					how(w, nil)
				}
				return n == 1
			}
			got, err := start(t, d).Upload(t.Context(), "a/b", "app.box", bytes.NewReader(file), nil)
			d.check(t, file, got, err)
		})
	}
}

func TestUploadStatusThatContradictsTheRequest(t *testing.T) {
	file := pattern(1000)
	right := registry.UploadStatus{Upload: registry.Upload{ID: "u", Size: 1000, SHA256: digest(file)}}
	for name, tc := range map[string]struct {
		change func(*registry.UploadStatus)
		want   string
	}{
		"another digest":     {func(s *registry.UploadStatus) { s.SHA256 = digest(nil) }, "about something else: the sha256 is"},
		"another size":       {func(s *registry.UploadStatus) { s.Size = 999 }, `about something else: the size is "999" and not "1000"`},
		"done too early":     {func(s *registry.UploadStatus) { s.Done, s.Offset = true, 999 }, `the offset is "999"`},
		"beyond the end":     {func(s *registry.UploadStatus) { s.Offset = 1001 }, `the offset is "1001"`},
		"before the start":   {func(s *registry.UploadStatus) { s.Offset = -1 }, `the offset is "-1"`},
		"no id":              {func(s *registry.UploadStatus) { s.ID = "" }, "not what this route answers"},
		"an id that is none": {func(s *registry.UploadStatus) { s.ID = ".." }, "not what this route answers"},
	} {
		t.Run(name, func(t *testing.T) {
			wrong := right
			tc.change(&wrong)
			c := newClient(t, quick(serve(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodPost {
					t.Errorf("%s %s was sent after an answer that is wrong", r.Method, r.URL.Path)
				}
				answer(w, 201, wrong)
			})))
			_, err := c.Upload(t.Context(), "a/b", "f", bytes.NewReader(file), nil)
			wantError(t, err, registry.Unavailable, tc.want, "(tried 4 times)")
		})
	}
	t.Run("not done after the commit", func(t *testing.T) {
		d := &depot{}
		d.put = func(_ int, w http.ResponseWriter) bool { answer(w, 200, d.status()); return true }
		_, err := start(t, d).Upload(t.Context(), "a/b", "app.box", bytes.NewReader(file), nil)
		wantError(t, err, registry.Unavailable, "not what this route answers")
	})
}

func TestTransfersGiveUpWhenAskedToWaitForTooLong(t *testing.T) {
	late := status(503, "Retry-After", "3600")
	t.Run("upload", func(t *testing.T) {
		d := &depot{patch: func(_ int, w http.ResponseWriter, r *http.Request) bool { late(w, r); return true }}
		_, err := start(t, d).Upload(t.Context(), "a/b", "app.box", bytes.NewReader(pattern(1000)), nil)
		wantError(t, err, registry.Unavailable, "it asks to be called again in 1h0m0s, and at most 2m0s is waited for")
		d.freeze(t)
		if len(d.patches) != 1 {
			t.Errorf("%d tries", len(d.patches))
		}
	})
	t.Run("download", func(t *testing.T) {
		to, s := newTarget(t, nil), &shelf{}
		s.answer = func(_ int, w http.ResponseWriter, r *http.Request) bool { late(w, r); return true }
		wantError(t, to.download(s, pattern(10)), registry.Unavailable, "it asks to be called again in 1h0m0s")
		if len(s.ranges) != 1 {
			t.Errorf("%d tries", len(s.ranges))
		}
	})
}

func TestDownloadGoesOnAfterTrouble(t *testing.T) {
	for name, how := range map[string]http.HandlerFunc{
		"500": status(500), "page": content(200, "text/html", "<html>"), "JSON": content(200, "application/json", "{}"), "nothing": status(204),
		"another range": status(206, "Content-Range", "bytes 7-9/10"),
	} {
		t.Run(name, func(t *testing.T) {
			file := pattern(5000)
			to, s := newTarget(t, file), &shelf{content: file}
			to.partial(file[:1000])
			s.answer = func(n int, w http.ResponseWriter, r *http.Request) bool {
				if n <= 2 {
					how(w, r)
				}
				return n <= 2
			}
			if err := to.download(s, file); err != nil {
				t.Fatal(err)
			}
			to.has(file, nil)
		})
	}
}

// logged collects what a client says of its work.
type logged struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logged) log(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fmt.Fprintf(&l.text, format+"\n", args...)
}

func TestRepetitionsAreLogged(t *testing.T) {
	var l logged
	f := &failing{bad: 1, how: content(200, "text/html", "<html>"), then: receipt}
	o := quick(serve(t, f.ServeHTTP))
	o.Log = l.log
	if err := publish(t.Context(), newClient(t, o)); err != nil {
		t.Fatal(err)
	}
	if got := l.text.String(); !strings.Contains(got, "it answered with 200 OK and text/html") || !strings.Contains(got, "publish: 200 OK\n") {
		t.Errorf("log is %q", got)
	}
}

func TestDeadlineNamesTheTroubleBeforeIt(t *testing.T) {
	f := &failing{bad: 99, how: content(200, "text/html", "<html>")}
	o := quick(serve(t, f.ServeHTTP))
	o.RetryWaitMin, o.RetryWaitMax = time.Minute, time.Minute
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	err := publish(ctx, newClient(t, o))
	wantError(t, err, registry.Unavailable, "in the time that was left; the last try: it answered with 200 OK and text/html")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v does not wrap the context's error", err)
	}
}
