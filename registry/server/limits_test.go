package server_test

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
)

// TestAnswerToManyMistakesIsBounded sends, at each place that collects mistakes, more of them than
// an answer may list.
func TestAnswerToManyMistakesIsBounded(t *testing.T) {
	s := servertest.New(t)
	c := as(s, s.AdminToken)
	publish := appPath + "/publish"
	many := func(one string, n int) string { return strings.TrimSuffix(strings.Repeat(one+",", n), ",") }
	deep := strings.Repeat(`{"`+strings.Repeat("k", 100)+`":`, 20) + "%s" + strings.Repeat("}", 20)
	var query strings.Builder
	for i := range 900 {
		fmt.Fprintf(&query, "&q%03d=1", i)
	}
	for name, test := range map[string]struct {
		method, path, body string
		status             int
		detail             string
	}{
		"in the text of a body": {"POST", publish, fmt.Sprintf(deep, "["+many("1e3", 900)+"]"), 400, "900 mistakes; these are the first 100"},
		"in its fields":         {"POST", publish, `{"fingerprint":"x","build":{"component":"c","type":"custom.image","images":[` + many("{}", 900) + `]}}`, 422, "1800 mistakes; these are the first 100"},
		"in its keys":           {"POST", publish, `{` + many(`"a":{"b":0,"b":0}`, 10_000) + `}`, 400, "19999 mistakes; these are the first 100"},
		"in a query":            {"GET", "/v1/artifacts?" + query.String()[1:], "", 400, "900 mistakes; these are the first 100"},
	} {
		t.Run(name, func(t *testing.T) {
			got := c.send(t, test.method, test.path, test.body)
			p := got.problem(t, test.status)
			if len(p.Fields) != 100 || !strings.Contains(p.Detail, test.detail) {
				t.Errorf("got %d fields and %q, want 100 and %q", len(p.Fields), p.Detail, test.detail)
			}
			if len(got.body) > 512<<10 {
				t.Errorf("%d bytes were answered with %d", len(test.body), len(got.body))
			}
		})
	}
}

func TestBodiesBeyondAnyRequestAreRefused(t *testing.T) {
	s := servertest.New(t)
	c := as(s, s.AdminToken)
	images := func(one string, n int) string {
		return `{"fingerprint":"run-1","build":{"component":"c","type":"custom.image","images":[` + strings.TrimSuffix(strings.Repeat(one+",", n), ",") + `]}}`
	}
	var keys strings.Builder
	for i := range 200_000 {
		fmt.Fprintf(&keys, `,"k%d":0`, i)
	}
	for name, test := range map[string]struct{ body, field, message string }{
		"a list that is too long":  {images("{}", 100_000/2), "build.images", "has more than 1000 entries"},
		"too many values":          {"{" + keys.String()[1:] + "}", "body", "it has more than 100000 values"},
		"nesting that is too deep": {strings.Repeat("[", 50) + strings.Repeat("]", 50), "body", "it is nested more than 32 deep"},
	} {
		t.Run(name, func(t *testing.T) {
			p := c.send(t, "POST", appPath+"/publish", test.body).problem(t, 400)
			if len(p.Fields) != 1 || p.Fields[0].Field != test.field || !strings.HasPrefix(p.Fields[0].Message, test.message) {
				t.Errorf("got %+v", p)
			}
		})
	}
	t.Run("the largest build is not", func(t *testing.T) {
		var list []string
		for i := range 1000 {
			list = append(list, fmt.Sprintf(`{"provider":"x","region":"r","id":"%d","labels":{"a":"b"}}`, i))
		}
		body := strings.Replace(images("X", 1), "X", strings.Join(list, ","), 1)
		c.send(t, "POST", appPath+"/publish", body).ok(t)
	})
}

// TestStrangersAreRefusedBeforeTheirBodies asks every route that needs a token without one. A client
// that sends Expect: 100-continue would be told to go on if the server began to read.
func TestStrangersAreRefusedBeforeTheirBodies(t *testing.T) {
	s := servertest.New(t)
	for _, route := range []string{
		"POST " + appPath + "/publish", "PUT " + appPath, "POST " + appPath + "/versions/1/revoke", "PUT " + appPath + "/channels/x",
		"POST " + appPath + "/versions/1/restore", "POST /v1/uploads", "PATCH /v1/uploads/x", "PUT /v1/uploads/x", "POST /v1/tokens",
		"PUT /v1/links/a/b/c/d", "POST /v1/runs/claim", "POST /v1/runs/1/renew", "POST /v1/runs/1/log", "POST /v1/runs/1/finish", "POST /v1/runs/1/repeat",
	} {
		head := route + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nUpload-Offset: 0\r\nContent-Length: 100000\r\nExpect: 100-continue\r\n\r\n"
		resp, err := http.ReadResponse(bufio.NewReader(dial(t, s, head)), nil)
		if err != nil || resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: got %v %v", route, resp, err)
		}
	}
}
