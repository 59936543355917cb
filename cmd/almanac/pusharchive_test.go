package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// numbers are those of an artifact's versions.
func (s *shelf) numbers(t *testing.T, artifact string) (numbers []int64) {
	t.Helper()
	page, err := s.Client(t, s.AdminToken).Versions(t.Context(), artifact, registry.VersionFilter{})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range page.Versions {
		numbers = append(numbers, v.Number)
	}
	return numbers
}

func TestPushDirectoryIsOneVersion(t *testing.T) {
	t.Run("when it is pushed many times at once", func(t *testing.T) {
		s := newShelf(t)
		dir := filepath.Dir(s.file(t, "app/README", []byte("An application.")))
		var group sync.WaitGroup
		for range 6 {
			group.Go(func() {
				var stdout, stderr bytes.Buffer
				args := []string{"push", dir, "acme/app", "--no-provenance", "--address", s.URL, "--token", s.AdminToken}
				if code := run(t.Context(), args, noenv, strings.NewReader(""), &stdout, &stderr); code != exitOK {
					t.Errorf("exit code %d: %s", code, stderr.String())
				}
				contains(t, stdout.String(), "acme/app 0.1.0 (number 1)")
			})
		}
		group.Wait()
		if got := s.numbers(t, "acme/app"); len(got) != 1 {
			t.Errorf("the versions are %v, want one", got)
		}
	})
	t.Run("when the answer is lost", func(t *testing.T) {
		s := newShelf(t)
		dir := filepath.Dir(s.file(t, "app/README", []byte("An application.")))
		whole := s.URL
		var lost atomic.Int32
		s.URL = losesAnswers(t, whole, &lost)
		stdout, _ := s.run(t, exitOK, "push", dir, "acme/app")
		contains(t, stdout, "acme/app 0.1.0 (number 1)")
		if lost.Load() != 1 {
			t.Errorf("%d answers were lost, want 1", lost.Load())
		}
		s.URL = whole
		stdout, _ = s.run(t, exitOK, "push", dir, "acme/app")
		contains(t, stdout, "Nothing was sent: version 0.1.0 (number 1)")
	})
}

// losesAnswers is the URL of a way to a server on which the answer to the first publication is lost.
func losesAnswers(t *testing.T, server string, lost *atomic.Int32) string {
	t.Helper()
	target, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/publish") && lost.CompareAndSwap(0, 1) {
			forward.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	return proxy.URL
}
