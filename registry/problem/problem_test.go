package problem_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/problem"
)

var kinds = map[registry.Kind]int{
	registry.Invalid: 422, registry.Unauthorized: 401, registry.Forbidden: 403, registry.NotFound: 404,
	registry.Conflict: 409, registry.TooLarge: 413, registry.Unavailable: 503, registry.Internal: 500,
}

func TestKindAndStatusAreInverse(t *testing.T) {
	for kind, status := range kinds {
		if got := problem.Status(kind); got != status {
			t.Errorf("Status(%q) = %d, want %d", kind, got, status)
		}
		if got := problem.KindOfStatus(status); got != kind {
			t.Errorf("KindOfStatus(%d) = %q, want %q", status, got, kind)
		}
	}
	if got := problem.Status("nonsense"); got != 500 {
		t.Errorf("Status of an unknown kind = %d, want 500", got)
	}
}

func TestKindOfStatusOfOtherServers(t *testing.T) {
	for status, want := range map[int]registry.Kind{
		200: "", 304: "", 400: registry.Invalid, 405: registry.Invalid, 407: registry.Unauthorized, 408: registry.Unavailable,
		410: registry.NotFound, 412: registry.Conflict, 416: registry.Invalid, 429: registry.Unavailable,
		502: registry.Unavailable, 504: registry.Unavailable, 501: registry.Internal, 599: registry.Internal,
	} {
		if got := problem.KindOfStatus(status); got != want {
			t.Errorf("KindOfStatus(%d) = %q, want %q", status, got, want)
		}
	}
}

func TestErrorSurvivesTheWire(t *testing.T) {
	for kind := range kinds {
		if kind == registry.Internal {
			continue
		}
		want := &registry.Error{
			Kind: kind, Msg: "a clear sentence", Choices: []string{"eu-west-1", "us-east-1"},
			Fields: []registry.FieldError{{Field: "build.images[0].region", Message: "is missing"}},
		}
		wrapped := fmt.Errorf("outer: %w", &registry.Error{Kind: want.Kind, Msg: want.Msg, Choices: want.Choices, Fields: want.Fields, Err: errors.New("secret cause")})
		body, err := json.Marshal(problem.FromError(wrapped, "req-1"))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(body), "secret") || strings.Contains(string(body), "outer") {
			t.Errorf("%s: the cause is on the wire: %s", kind, body)
		}
		var p problem.Problem
		if err := json.Unmarshal(body, &p); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, p.Err()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", kind, diff)
		}
		if p.RequestID != "req-1" || p.Title != http.StatusText(p.Status) || p.Type != "about:blank" {
			t.Errorf("%s: got %+v", kind, p)
		}
	}
}

func TestInternalTextIsNeverSent(t *testing.T) {
	for _, err := range []error{
		errors.New("password is hunter2"),
		registry.Errorf(registry.Internal, "password is hunter2"),
		registry.Errorf("nonsense", "password is hunter2"),
	} {
		p := problem.FromError(err, "req-7")
		body, _ := json.Marshal(p)
		if strings.Contains(string(body), "hunter2") || p.Status != 500 || p.Kind != registry.Internal {
			t.Errorf("FromError(%v) = %s", err, body)
		}
		if got := p.Err(); got.Kind != registry.Internal || !strings.Contains(got.Msg, "req-7") {
			t.Errorf("Err() = %+v; want the request id in its text", got)
		}
	}
}

func TestErrOfAnAnswerThatIsNoProblem(t *testing.T) {
	for name, test := range map[string]struct {
		problem problem.Problem
		kind    registry.Kind
		msg     string
	}{
		"only a status":             {problem.Problem{Status: 502}, registry.Unavailable, "the registry answered with the status 502"},
		"a title":                   {problem.Problem{Status: 404, Title: "Nope"}, registry.NotFound, "Nope"},
		"a kind that is unknown":    {problem.Problem{Status: 409, Kind: "odd", Detail: "d"}, registry.Conflict, "d"},
		"neither kind nor an error": {problem.Problem{Status: 200, Detail: "d"}, registry.Internal, "d"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.problem.Err(); got.Kind != test.kind || got.Msg != test.msg {
				t.Errorf("got %s %q, want %s %q", got.Kind, got.Msg, test.kind, test.msg)
			}
		})
	}
}
