package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/cargomedia/packer-plugin-almanac/internal/golden"
	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry/problem"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"almanac": main})
}

// TestScripts runs each script in testdata/scripts as a shell would, with the program in the PATH.
// ALMANAC_ADDR and ALMANAC_TOKEN are those of a server of the script's own.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/scripts",
		UpdateScripts:       golden.Updating(),
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			s := servertest.New(env.T().(testing.TB))
			env.Setenv("ALMANAC_ADDR", s.URL)
			env.Setenv("ALMANAC_TOKEN", s.AdminToken)
			env.Setenv("COLUMNS", "100")
			simulateEC2(env)
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"normal": normal,
			"await":  await,
			"setenv": setenv,
			"lacks":  lacks,

			"hostile": hostile,
			"kept":    kept,
			"ami":     ami,
			"fault":   fault,
			"seed":    seed,
		},
	})
}

// normal writes stdout or stderr of the last command to a file, with everything that differs from
// run to run replaced by text of the same width.
func normal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: normal stdout|stderr FILE")
	}
	text := ts.ReadFile(args[0])
	for _, r := range []struct{ pattern, replacement string }{
		{`\d{4}-\d\d-\d\d \d\d:\d\dZ`, "2026-01-01 00:00Z"},
		{`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`, "2026-01-01T00:00:00Z"},
		// Two images may be made in the same millisecond, or not.
		{`(?m)^( +creation_date ) +eu-west-1  (\S+)\n +creation_date +us-east-1  \S+$`, "$1                  $2"},
		{`alm_[A-Za-z0-9_-]{43}`, "alm_SECRET"},
		{`\b[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\b`, "00000000-0000-4000-8000-000000000000"},
		{`\b[0-9a-f]{16}\b`, "0123456789abcdef"},
		{`\bami-[0-9a-f]{17}\b`, "ami-00000000000000000"},
		{`\bsnap-[0-9a-f]{17}\b`, "snap-00000000000000000"},
		{`http://127\.0\.0\.1:\d+`, "http://127.0.0.1:7480"},
		{`-[0-9a-f]{12}\.almanac-publish\.json`, "-0123456789ab.almanac-publish.json"},
		{regexp.QuoteMeta(ts.Getenv("WORK")), "WORK"},
	} {
		text = regexp.MustCompile(r.pattern).ReplaceAllString(text, r.replacement)
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(text), 0o600))
}

// await waits until a file is there, for at most ten seconds.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: await FILE")
	}
	for range 500 {
		if _, err := os.Stat(ts.MkAbs(args[0])); err == nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	ts.Fatalf("%s does not come into being", args[0])
}

// setenv sets a variable to the content of a file, without the line end.
func setenv(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: setenv NAME FILE")
	}
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
}

// hostile lets commands talk to a registry that answers everything with the problem in a file.
func hostile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: hostile FILE")
	}
	answer := ts.ReadFile(args[0])
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", problem.ContentType)
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, answer)
	}))
	ts.Defer(server.Close)
	ts.Setenv("ALMANAC_ADDR", server.URL)
}

// lacks fails if a file, or stdout or stderr, has the value of a variable in it.
func lacks(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: lacks stdout|stderr|FILE VARIABLE")
	}
	secret := ts.Getenv(args[1])
	if len(secret) < 8 {
		ts.Fatalf("%s is not set to a secret", args[1])
	}
	if strings.Contains(ts.ReadFile(args[0]), secret) {
		ts.Fatalf("%s shows %s", args[0], args[1])
	}
}
