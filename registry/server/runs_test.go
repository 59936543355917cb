package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/blob"
	"github.com/cargomedia/packer-plugin-almanac/registry/server"
	"github.com/cargomedia/packer-plugin-almanac/registry/sqlstore"
)

// archive publishes a version of an application.
func archive(t *testing.T, s *servertest.Server, artifact, fingerprint string) {
	t.Helper()
	c := s.Client(t, s.AdminToken)
	file, err := c.Upload(t.Context(), artifact, "app.tar.gz", strings.NewReader("bytes of "+fingerprint), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Publish(t.Context(), artifact, registry.Publication{Fingerprint: fingerprint, Build: registry.Build{
		Component: "application", Type: registry.Archive, Files: []registry.File{file}}})
	if err != nil {
		t.Fatal(err)
	}
}

// runOf links an application to a target, publishes a version of it, and takes the run that it asks for.
func runOf(t *testing.T, s *servertest.Server, application, target string) registry.Claim {
	t.Helper()
	c := as(s, s.AdminToken)
	c.send(t, "PUT", "/v1/links/"+application+"/"+target, "").ok(t)
	archive(t, s, application, "push-1")
	claim := decode[registry.Claim](t, c.send(t, "POST", "/v1/runs/claim", claimOf(application, target)).ok(t))
	if claim.Run == nil || claim.Lease == "" {
		t.Fatalf("the claim is %+v", claim)
	}
	return claim
}

func claimOf(application, target string) string {
	return fmt.Sprintf(`{"application":%q,"target":%q,"runner":"build-1"}`, application, target)
}

func TestRunEndsWithTheVersionThatWasBuilt(t *testing.T) {
	s := servertest.New(t)
	c := as(s, s.AdminToken)
	claim := runOf(t, s, "cargomedia/app", "cargomedia/image")
	if got := c.send(t, "POST", "/v1/runs/claim", claimOf("cargomedia/app", "cargomedia/image")).ok(t); got.body != "{}\n" {
		t.Errorf("a claim when there is nothing to do is answered with %s", got.body)
	}
	c.send(t, "POST", "/v1/artifacts/cargomedia/image/publish", publication(claim.Run.Fingerprint, "amazon-ebs.app")).ok(t)
	finish := fmt.Sprintf(`{"lease":%q}`, claim.Lease)
	run := decode[registry.Run](t, c.send(t, "POST", "/v1/runs/1/finish", finish).ok(t))
	if run.Status != registry.RunDone || run.Result == nil || run.Result.Number != 1 || run.FinishedAt == nil {
		t.Errorf("the run is %+v", run)
	}
	version := decode[registry.Version](t, c.get(t, "/v1/artifacts/cargomedia/image/versions/1").ok(t))
	if version.Metadata["application"] != "cargomedia/app" || version.Metadata["application_version"] != "0.1.0" {
		t.Errorf("the version says %v", version.Metadata)
	}
	t.Run("the same report again changes nothing", func(t *testing.T) {
		again := c.send(t, "POST", "/v1/runs/1/finish", finish).ok(t)
		if same := decode[registry.Run](t, again); !same.FinishedAt.Equal(*run.FinishedAt) || same.Status != registry.RunDone {
			t.Errorf("got %+v", same)
		}
	})
	t.Run("one that is done is not repeated", func(t *testing.T) {
		p := c.send(t, "POST", "/v1/runs/1/repeat", "").problem(t, 409)
		if !strings.Contains(p.Detail, "run 1 is done") {
			t.Errorf("got %s", p.Detail)
		}
	})
}

func TestWhoMayDoWhatWithRuns(t *testing.T) {
	s := servertest.New(t)
	lease := runOf(t, s, "cargomedia/app", "cargomedia/image").Lease
	callers := []caller{
		as(s, ""),
		as(s, s.Token(t, "reader", "read", "cargomedia/*")),
		as(s, s.Token(t, "half", "publish", "cargomedia/app")),
		as(s, s.Token(t, "publisher", "publish", "cargomedia/*")),
		as(s, s.Token(t, "stranger", "admin", "other/*")),
	}
	link, with := "/v1/links/cargomedia/app/cargomedia/image", func(more string) string { return fmt.Sprintf(`{"lease":%q%s}`, lease, more) }
	for _, test := range []struct {
		name, method, path, body string
		want                     [5]int
	}{
		{"list links", "GET", "/v1/links", "", [5]int{401, 200, 200, 200, 200}},
		{"list runs", "GET", "/v1/runs", "", [5]int{401, 200, 200, 200, 200}},
		{"link", "PUT", link, "", [5]int{401, 403, 403, 200, 403}},
		{"show a run", "GET", "/v1/runs/1", "", [5]int{401, 200, 404, 200, 404}},
		{"show a run that does not exist", "GET", "/v1/runs/2", "", [5]int{401, 404, 404, 404, 404}},
		{"claim", "POST", "/v1/runs/claim", claimOf("cargomedia/app", "cargomedia/image"), [5]int{401, 403, 403, 200, 403}},
		{"renew", "POST", "/v1/runs/1/renew", with(`,"lease_seconds":60`), [5]int{401, 403, 404, 200, 404}},
		{"log", "POST", "/v1/runs/1/log", with(`,"offset":0,"text":"x"`), [5]int{401, 403, 404, 200, 404}},
		{"read the log", "GET", "/v1/runs/1/log", "", [5]int{401, 403, 404, 200, 404}},
		{"finish", "POST", "/v1/runs/1/finish", with(`,"failed":true`), [5]int{401, 403, 404, 200, 404}},
		{"repeat", "POST", "/v1/runs/1/repeat", "", [5]int{401, 403, 404, 200, 404}},
		{"unlink", "DELETE", link, "", [5]int{401, 403, 403, 204, 403}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for i, c := range callers {
				if got := c.send(t, test.method, test.path, test.body); got.status != test.want[i] {
					t.Errorf("caller %d: got %d, want %d: %s", i, got.status, test.want[i], got.body)
				}
			}
		})
	}
	t.Run("what one may not see is in no list", func(t *testing.T) {
		for _, path := range []string{"/v1/links", "/v1/runs"} {
			for _, i := range []int{2, 4} {
				if got := callers[i].get(t, path).ok(t).body; strings.Contains(got, "cargomedia") {
					t.Errorf("caller %d: %s answers %s", i, path, got)
				}
			}
		}
	})
}

func TestBadRequestsAboutRunsNameTheirFields(t *testing.T) {
	s := servertest.New(t)
	c := as(s, s.AdminToken)
	lease := runOf(t, s, "cargomedia/app", "cargomedia/image").Lease
	part := func(offset int, text string) string {
		raw, _ := json.Marshal(registry.RunLogPart{Lease: lease, Offset: int64(offset), Text: text})
		return string(raw)
	}
	for name, test := range map[string]struct {
		method, path, body string
		status             int
		fields             []string
	}{
		"an id that is no number":             {"GET", "/v1/runs/first", "", 422, []string{"id"}},
		"an id beyond 64 bits":                {"GET", "/v1/runs/18446744073709551616", "", 422, []string{"id"}},
		"the number 0":                        {"GET", "/v1/runs/0", "", 404, nil},
		"a negative number":                   {"GET", "/v1/runs/-1/log", "", 404, nil},
		"a run that does not exist":           {"POST", "/v1/runs/99/repeat", "", 404, nil},
		"another status":                      {"GET", "/v1/runs?status=stopped&limit=501&artifact=app&cursor=x", "", 422, []string{"artifact", "cursor", "limit", "status"}},
		"a limit of nothing":                  {"GET", "/v1/runs?limit=0", "", 422, []string{"limit"}},
		"another parameter":                   {"GET", "/v1/runs?target=cargomedia/image", "", 400, []string{"target"}},
		"links of a name that is none":        {"GET", "/v1/links?artifact=app", "", 422, []string{"artifact"}},
		"ends that are no names":              {"PUT", "/v1/links/-/app/cargomedia/..%2Fx", "", 422, []string{"application", "target"}},
		"a link to itself":                    {"PUT", "/v1/links/cargomedia/app/cargomedia/app", "", 422, []string{"target"}},
		"a link with a body":                  {"PUT", "/v1/links/cargomedia/app/cargomedia/image", "{}", 400, []string{"body"}},
		"a link that does not exist":          {"DELETE", "/v1/links/cargomedia/app/cargomedia/other", "", 404, nil},
		"a claim of nothing":                  {"POST", "/v1/runs/claim", `{}`, 422, []string{"application", "runner", "target"}},
		"a claim with mistakes":               {"POST", "/v1/runs/claim", `{"application":"app","target":"","runner":"","lease_seconds":4}`, 422, []string{"application", "lease_seconds", "runner", "target"}},
		"a claim for what is not linked":      {"POST", "/v1/runs/claim", claimOf("cargomedia/app", "cargomedia/other"), 404, nil},
		"a renewal without a time":            {"POST", "/v1/runs/1/renew", fmt.Sprintf(`{"lease":%q}`, lease), 422, []string{"lease_seconds"}},
		"a renewal for a day":                 {"POST", "/v1/runs/1/renew", fmt.Sprintf(`{"lease":%q,"lease_seconds":86400}`, lease), 422, []string{"lease_seconds"}},
		"a report without a lease":            {"POST", "/v1/runs/1/finish", `{"failed":true}`, 422, []string{"lease"}},
		"a message that is too long":          {"POST", "/v1/runs/1/finish", fmt.Sprintf(`{"lease":%q,"failed":true,"message":%q}`, lease, strings.Repeat("x", 1001)), 422, []string{"message"}},
		"a report of something else":          {"POST", "/v1/runs/1/finish", fmt.Sprintf(`{"lease":%q,"status":"done"}`, lease), 422, []string{"status"}},
		"repeating with a body":               {"POST", "/v1/runs/1/repeat", "{}", 400, []string{"body"}},
		"repeating what did not fail":         {"POST", "/v1/runs/1/repeat", "", 409, nil},
		"a log without a place":               {"POST", "/v1/runs/1/log", fmt.Sprintf(`{"lease":%q,"text":"x"}`, lease), 422, []string{"offset"}},
		"a log before its start, with a NUL":  {"POST", "/v1/runs/1/log", part(-1, "\x00"), 422, []string{"offset", "text"}},
		"a log behind its end":                {"POST", "/v1/runs/1/log", part(5, "x"), 409, nil},
		"a part that is too long":             {"POST", "/v1/runs/1/log", part(0, strings.Repeat("x", registry.MaxRunLogPart+1)), 422, []string{"text"}},
		"a log from a place that is no place": {"GET", "/v1/runs/1/log?from=start", "", 400, []string{"from"}},
		"a log from behind its end":           {"GET", "/v1/runs/1/log?from=1", "", 422, []string{"from"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := c.send(t, test.method, test.path, test.body).problem(t, test.status)
			got := fields(p)
			slices.Sort(got)
			if !slices.Equal(slices.Compact(got), test.fields) {
				t.Errorf("got the fields %q, want %q (%s, %+v)", got, test.fields, p.Detail, p.Fields)
			}
		})
	}
	t.Run("nothing of it was done", func(t *testing.T) {
		run := decode[registry.Run](t, c.get(t, "/v1/runs/1").ok(t))
		if run.Status != registry.RunRunning || run.LogSize != 0 {
			t.Errorf("the run is %+v", run)
		}
	})
}

func TestLostLeaseIsAConflictAndNoSecretIsLogged(t *testing.T) {
	var log bytes.Buffer
	now := time.Now()
	s := servertest.New(t, servertest.WithClock(func() time.Time { return now }),
		servertest.WithOptions(server.Options{Logger: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}))
	c := as(s, s.AdminToken)
	first := runOf(t, s, "cargomedia/app", "cargomedia/image").Lease
	now = now.Add(time.Minute + time.Second)
	second := decode[registry.Claim](t, c.send(t, "POST", "/v1/runs/claim", strings.Replace(claimOf("cargomedia/app", "cargomedia/image"), "build-1", "build-2", 1)).ok(t))
	if second.Run == nil || second.Run.ID != 1 || second.Run.Attempts != 2 || second.Run.Fingerprint != "almanac-run-1" {
		t.Fatalf("the second runner gets %+v", second.Run)
	}
	requests := func(lease string) map[string]string {
		return map[string]string{
			"renew":  fmt.Sprintf(`{"lease":%q,"lease_seconds":60}`, lease),
			"log":    fmt.Sprintf(`{"lease":%q,"offset":0,"text":"x"}`, lease),
			"finish": fmt.Sprintf(`{"lease":%q,"failed":true}`, lease),
		}
	}
	for action, body := range requests(first) {
		got := c.send(t, "POST", "/v1/runs/1/"+action, body)
		if p := got.problem(t, 409); !strings.Contains(p.Detail, "run 1 is with another runner by now: build-2") {
			t.Errorf("%s: %s", action, p.Detail)
		}
	}
	for _, action := range []string{"renew", "log", "finish"} {
		c.send(t, "POST", "/v1/runs/1/"+action, requests(second.Lease)[action]).ok(t)
	}
	// Where a secret does not belong, too.
	for _, path := range []string{"/v1/runs/" + first, "/v1/runs/1/" + first, "/v1/runs?cursor=" + first} {
		c.get(t, path)
	}
	answers := c.get(t, "/v1/runs/1").ok(t).body + c.get(t, "/v1/events").ok(t).body
	s.Stop(t) // a request is logged behind its answer
	for _, lease := range []string{first, second.Lease} {
		if strings.Contains(log.String(), lease) || strings.Contains(answers, lease) {
			t.Error("a lease is in the log, or in what others can read")
		}
	}
	if !strings.Contains(log.String(), "/v1/runs/{id}/renew") {
		t.Errorf("the log is %s", log.String())
	}
}

// TestLargestPartOfALogFits sends what JSON makes six times as long.
func TestLargestPartOfALogFits(t *testing.T) {
	s := servertest.New(t)
	c := as(s, s.AdminToken)
	lease := runOf(t, s, "cargomedia/app", "cargomedia/image").Lease
	text := strings.Repeat("\x1b", registry.MaxRunLogPart)
	body := fmt.Sprintf(`{"lease":%q,"offset":0,"text":"%s"}`, lease, strings.Repeat(`\u001b`, registry.MaxRunLogPart))
	for range 2 {
		end := decode[registry.RunLogEnd](t, c.send(t, "POST", "/v1/runs/1/log", body).ok(t))
		if end.Size != registry.MaxRunLogPart || end.Full {
			t.Errorf("the log ends at %+v", end)
		}
	}
	log := decode[registry.RunLog](t, c.get(t, "/v1/runs/1/log").ok(t))
	if log.Text != text || log.Next != registry.MaxRunLogPart || log.Ended {
		t.Errorf("%d bytes came back, next is %d", len(log.Text), log.Next)
	}
}

func TestListOfRunsHasPages(t *testing.T) {
	s := servertest.New(t)
	c := as(s, s.AdminToken)
	runOf(t, s, "cargomedia/app", "cargomedia/image")
	for _, fingerprint := range []string{"push-2", "push-3"} {
		archive(t, s, "cargomedia/app", fingerprint)
	}
	var ids []int64
	for path := "/v1/runs?limit=2"; path != ""; {
		page := decode[registry.RunPage](t, c.get(t, path).ok(t))
		for _, run := range page.Runs {
			ids = append(ids, run.ID)
		}
		path = ""
		if page.Next != "" && len(ids) < 10 {
			path = "/v1/runs?limit=2&cursor=" + page.Next
		}
	}
	if !slices.Equal(ids, []int64{3, 2, 1}) {
		t.Errorf("the runs are %v", ids)
	}
	if got := c.get(t, "/v1/runs?artifact=cargomedia/none").ok(t).body; got != `{"runs":[]}`+"\n" {
		t.Errorf("no runs are %s", got)
	}
	if got := c.get(t, "/v1/links?artifact=cargomedia/none").ok(t).body; got != `{"links":[]}`+"\n" {
		t.Errorf("no links are %s", got)
	}
}

func TestFileBeyondTheLimitIsTooLarge(t *testing.T) {
	ctx := context.WithoutCancel(t.Context())
	store, err := sqlstore.Open(ctx, filepath.Join(t.TempDir(), "almanac.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	blobs, err := blob.OpenDisk(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	svc := registry.NewService(store, blobs, registry.WithMaxFile(1<<20))
	token := registry.NewSecret()
	if _, err := svc.EnsureAdmin(ctx, token); err != nil {
		t.Fatal(err)
	}
	c := as(servertestHandler(t, server.New(svc, server.Options{})), token)
	begin := func(size int) reply {
		return c.send(t, "POST", "/v1/uploads", fmt.Sprintf(`{"artifact":"cargomedia/app","size":%d,"sha256":%q}`, size, strings.Repeat("a", 64)))
	}
	begin(1 << 20).ok(t)
	if p := begin(1<<20+1).problem(t, 413); p.Kind != registry.TooLarge || !strings.Contains(p.Detail, "1048576") {
		t.Errorf("got %+v", p)
	}
}
