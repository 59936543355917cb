package main

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestMain lets the test program be its own children, as the real one is.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == childArgument {
		os.Exit(child(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

var tiny = scale{
	Big: shape{4, 3, 20}, Small: shape{2, 3, 20},
	Rounds: 1, Load: 200 * time.Millisecond, File: 3 << 20, Large: 5 << 20, Publish: 10, Idle: 10 * time.Millisecond, Builds: 1,
}

// TestEverySection runs all but the plugin's, which takes a build of the plugin and Packer.
func TestEverySection(t *testing.T) {
	var table, progress bytes.Buffer
	chosen := slices.DeleteFunc(slices.Clone(sections), func(s section) bool { return s.name == "plugin" })
	work := t.TempDir()
	o := options{scale: tiny, sections: chosen, work: work}
	if err := runSections(t.Context(), o, &table, &progress); err != nil {
		t.Fatalf("%v\n%s", err, progress.String())
	}
	t.Log("\n" + table.String())
	for _, name := range []string{
		"resolve latest / bare (229 B) ", "resolve latest, 240 rows / 120 rows, as many keys ", "resolve by constraint ",
		"publish 20 regions / 1 region, cost ", "upload raw / min(sha256, write) ", "download ", "start to ready ",
		"box GET / nginx sendfile, rate ", "box PUT / cp + fsync ", "box transfer of 5 MiB, growth of the server's memory ",
	} {
		if !strings.Contains(table.String(), "\n"+name) {
			t.Errorf("there is no figure %q", name)
		}
	}
	if _, err := os.Stat("/proc/self/stat"); err == nil && strings.Contains(table.String(), noProc) {
		t.Error("figures of processes are missing, although the system has /proc")
	}
	if os.Getenv("CI") == "true" && strings.Contains(table.String(), noNginx) {
		t.Error(noNginx)
	}
	left, err := filepath.Glob(filepath.Join(work, "*"))
	if err != nil || len(left) != 1 || filepath.Base(left[0]) != "data" {
		t.Errorf("it leaves %v, %v; want the data sets alone", left, err)
	}
	t.Run("the data sets are there for the next run", func(t *testing.T) {
		var again bytes.Buffer
		if err := runSections(t.Context(), options{scale: tiny, sections: chosen[:1], work: work}, io.Discard, &again); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(progress.String(), "filling") || strings.Contains(again.String(), "filling") {
			t.Errorf("first:\n%s\nthen:\n%s", progress.String(), again.String())
		}
	})
}

func TestFailures(t *testing.T) {
	b, err := newBench(t.Context(), options{scale: tiny, work: t.TempDir()}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.children.stopAll() }()
	serve := func(t *testing.T) *target {
		t.Helper()
		bare, address, err := b.children.startOwn(t.Context(), "", "constant", "100")
		if err != nil {
			t.Fatal(err)
		}
		return &target{name: "bare", server: bare, address: address, accept: "*/*", paths: []string{"/100"}}
	}
	t.Run("a server that stops when it is told to is no failure", func(t *testing.T) {
		good := serve(t)
		if s, err := b.measure(good, 50*time.Millisecond); err != nil || s.rate <= 0 || s.body != 100 {
			t.Errorf("got %+v, %v", s, err)
		}
		if err := b.children.stop(good.server); err != nil {
			t.Error(err)
		}
	})
	t.Run("a server that died is a failure, at once and at its end", func(t *testing.T) {
		dead := serve(t)
		if err := dead.server.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-dead.server.ended
		if _, err := b.measure(dead, 50*time.Millisecond); err == nil || !strings.Contains(err.Error(), "has ended") {
			t.Errorf("got %v", err)
		}
		if err := b.children.stop(dead.server); err == nil {
			t.Error("the end of the run says nothing of it")
		}
	})
	t.Run("an answer that is not 2xx is a failure", func(t *testing.T) {
		wrong := serve(t)
		wrong.paths = []string{"/101"}
		if _, err := b.measure(wrong, 50*time.Millisecond); err == nil || !strings.Contains(err.Error(), "404") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a section that fails gives the exit code 1, and what was measured before", func(t *testing.T) {
		broken := []section{
			{"first", func(*bench) ([]figure, error) { return []figure{median("measured", "x", []float64{1}, nil)}, nil }},
			{"second", func(*bench) ([]figure, error) { return nil, errors.New("the disk is gone") }},
		}
		var table bytes.Buffer
		err := runSections(t.Context(), options{scale: tiny, sections: broken, work: t.TempDir()}, &table, io.Discard)
		if err == nil || !strings.Contains(err.Error(), "second: the disk is gone") || !strings.Contains(table.String(), "measured") {
			t.Errorf("got %v\n%s", err, table.String())
		}
	})
}

func TestWithoutPacker(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	figures, err := (&bench{ctx: t.Context(), root: t.TempDir()}).plugin()
	if err != nil || len(figures) != 1 || figures[0].verdict() != "missing" || !strings.Contains(figures[0].Missing, "make tools") {
		t.Errorf("got %+v, %v", figures, err)
	}
}

func TestArguments(t *testing.T) {
	for _, test := range []struct {
		name, want string
		args       []string
		code       int
	}{
		{"a section that is not there", `no section "resolv"`, []string{"-only", "resolv"}, 2},
		{"a record of a part", "-record is for whole runs", []string{"-record", "-only", "start"}, 2},
		{"a record of a quick run", "-record is for whole runs", []string{"-record", "-quick"}, 2},
		{"an argument", `unexpected argument "fast"`, []string{"fast"}, 2},
		{"help", "-quick", []string{"-h"}, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			var stderr bytes.Buffer
			if code := run(t.Context(), test.args, io.Discard, &stderr); code != test.code || !strings.Contains(stderr.String(), test.want) {
				t.Errorf("got %d, %q", code, stderr.String())
			}
		})
	}
}

// TestReferences looks at the references from outside: a wrong one makes every ratio wrong.
func TestReferences(t *testing.T) {
	b, err := newBench(t.Context(), options{scale: tiny, work: t.TempDir()}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.children.stopAll(); err != nil {
			t.Error(err)
		}
	}()
	c, err := newContent(b.scratch, 3<<20+5)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(c.path)
	if err != nil {
		t.Fatal(err)
	}
	_, files, err := b.children.startOwn(t.Context(), b.cores.server, "files", c.path)
	if err != nil {
		t.Fatal(err)
	}
	_, constant, err := b.children.startOwn(t.Context(), b.cores.server, "constant", "229", "5000")
	if err != nil {
		t.Fatal(err)
	}
	get := func(t *testing.T, url string) []byte {
		t.Helper()
		response, err := http.Get("http://" + url)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s, %v", url, response.Status, err)
		}
		return body
	}
	for _, path := range []string{"/sendfile", "/copy"} {
		t.Run("the file comes whole from "+path, func(t *testing.T) {
			if got := get(t, files+path); !bytes.Equal(got, want) {
				t.Errorf("got %d bytes of %d", len(got), len(want))
			}
			result, err := runFetch(fetchPlan{Address: files, Path: path, Times: 2})
			if err != nil || result.Bytes != 2*int64(len(want)) {
				t.Errorf("got %+v, %v", result, err)
			}
		})
	}
	t.Run("constant bodies have the size that was asked for", func(t *testing.T) {
		for path, size := range map[string]int{"/229": 229, "/5000": 5000} {
			if got := len(get(t, constant+path)); got != size {
				t.Errorf("%s: got %d bytes", path, got)
			}
		}
	})
	t.Run("each change of the content has a digest of its own", func(t *testing.T) {
		first, err := c.change()
		if err != nil {
			t.Fatal(err)
		}
		second, err := c.change()
		if err != nil || first == second {
			t.Errorf("got %s twice, %v", first, err)
		}
		if out, err := exec.Command("sha256sum", c.path).Output(); err == nil && !strings.HasPrefix(string(out), string(second)) {
			t.Errorf("got %s; sha256sum says %s", second, out)
		}
	})
}
