package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// The registry is asked again for each file as long as it answers at all.
func TestPendingFilesAreNotTriedWhenTheRegistryIsAway(t *testing.T) {
	for name, test := range map[string]struct {
		answers bool
		tried   int32
	}{"which is away": {false, 1}, "which answers others": {true, 3}} {
		t.Run(name, func(t *testing.T) {
			var tried atomic.Int32
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/artifacts") && test.answers {
					w.Header().Set("Content-Type", "application/json")
					fmt.Fprint(w, `{"artifacts":[]}`)
					return
				}
				if r.Method == http.MethodPost {
					tried.Add(1)
				}
				// More than anybody waits for, so that the test need not either.
				w.Header().Set("Retry-After", "99999")
				w.WriteHeader(http.StatusServiceUnavailable)
			}))
			t.Cleanup(server.Close)
			dir := t.TempDir()
			for i := range 3 {
				keep(checkT{t}, dir, server.URL, "cargomedia/app", fmt.Sprint("run-", i), nil, nil)
			}
			code, stdout, stderr := command(t.Context(), noenv, "publish", "--pending", dir, "--address", server.URL, "-o", "json")
			var got struct{ Files []sent }
			if err := json.Unmarshal([]byte(stdout), &got); err != nil {
				t.Fatalf("%v\n%s%s", err, stdout, stderr)
			}
			notTried := strings.Count(stdout, "not tried, since the registry does not answer")
			if code != exitUnavailable || len(got.Files) != 3 || tried.Load() != test.tried || notTried != 3-int(test.tried) {
				t.Errorf("exit code %d, tried %d, not tried %d, want %d; %s%s", code, tried.Load(), notTried, test.tried, stdout, stderr)
			}
		})
	}
}
