//go:build unix

package runner_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/internal/runner"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func touch(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// gone waits until the process whose id is in a file is no more.
func gone(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	until(t, "the process is gone", func() bool { return syscall.Kill(pid, 0) == syscall.ESRCH })
}

func TestCommand(t *testing.T) {
	t.Run("it has the application, and the variables of Almanac and Atlas", func(t *testing.T) {
		f := newFake(t)
		run, s := once(t, f, `cat "$ALMANAC_APPLICATION_DIR/greeting.txt"; echo; env | grep -E '^(ATLAS|ALMANAC|PACKER)_' | grep -v APPLICATION_DIR | sort`,
			func(c *runner.Config) {
				c.Environ = append(c.Environ, "PACKER_RUN_UUID=other", "ATLAS_BUILD_GITHUB_TAG=v0", "ALMANAC_TOKEN=other", "ATLAS_OWN=kept")
			})
		if run.Status != registry.RunDone {
			t.Errorf("got %+v", run)
		}
		want := `Run 7: cargomedia/app 1.2.0 for cargomedia/app-image, on builder.
hello
ALMANAC_ADDR=http://registry
ALMANAC_APPLICATION=cargomedia/app
ALMANAC_APPLICATION_VERSION=1.2.0
ALMANAC_FINGERPRINT=almanac-run-7
ALMANAC_RUN=7
ALMANAC_TARGET=cargomedia/app-image
ALMANAC_TOKEN=***
ATLAS_ADDRESS=http://registry
ATLAS_APPLICATION_GITHUB_BRANCH=main
ATLAS_APPLICATION_GITHUB_COMMIT_SHA=4f2a1c9
ATLAS_APPLICATION_NAME=app
ATLAS_APPLICATION_SLUG=cargomedia/app
ATLAS_APPLICATION_USERNAME=cargomedia
ATLAS_APPLICATION_VERSION=3
ATLAS_BUILD_GITHUB_BRANCH=main
ATLAS_BUILD_GITHUB_COMMIT_SHA=4f2a1c9
ATLAS_BUILD_ID=7
ATLAS_BUILD_NAME=app-image
ATLAS_BUILD_NUMBER=7
ATLAS_BUILD_SLUG=cargomedia/app-image
ATLAS_BUILD_USERNAME=cargomedia
ATLAS_OWN=kept
ATLAS_TOKEN=***
`
		if diff := cmp.Diff(want, f.log); diff != "" {
			t.Errorf("log (-want +got):\n%s", diff)
		}
		if s.output.String() != f.log {
			t.Errorf("the runner printed %q", s.output.String())
		}
		if left, err := os.ReadDir(s.workDir); err != nil || len(left) > 0 {
			t.Errorf("left is %v, %v", left, err)
		}
	})
	t.Run("it runs in the application if that is wanted", func(t *testing.T) {
		f := newFake(t)
		once(t, f, `[ "$(pwd -P)" = "$(cd "$ALMANAC_APPLICATION_DIR" && pwd -P)" ] && cat greeting.txt`, func(c *runner.Config) { c.Chdir = true })
		contains(t, f.log, "\nhello")
	})
	t.Run("files that are no tarball are as they are", func(t *testing.T) {
		f := newFake(t)
		f.blobs[digest] = []byte("bytes")
		f.version.Builds[0].Files = []registry.File{{Name: "a.bin", SHA256: digest}, {Name: "b/c.tar.gz", SHA256: digest}}
		once(t, f, `cat "$ALMANAC_APPLICATION_DIR/a.bin" "$ALMANAC_APPLICATION_DIR/b/c.tar.gz"`, nil)
		contains(t, f.log, "bytesbytes")
	})
	t.Run("a publish file that it leaves is kept", func(t *testing.T) {
		f := newFake(t)
		_, s := once(t, f, "touch amazon-ebs.app-1.almanac-publish.json", func(c *runner.Config) { c.Chdir = true })
		kept, err := filepath.Glob(filepath.Join(s.workDir, "*", "application", "amazon-ebs.app-1.almanac-publish.json"))
		if err != nil || len(kept) != 1 {
			t.Fatalf("kept is %v, %v", kept, err)
		}
		contains(t, f.log, "almanac publish --from "+kept[0])
	})
}

func TestFailures(t *testing.T) {
	archives := func(components ...string) func(*fake) {
		return func(f *fake) {
			build := f.version.Builds[0]
			f.version.Builds = nil
			for _, c := range components {
				build.Component = c
				f.version.Builds = append(f.version.Builds, build)
			}
		}
	}
	for _, tt := range []struct {
		name, line string
		change     func(*fake)
		want       string
	}{
		{"the status of the command is told", "exit 3", nil, "sh exited with status 3"},
		{"the signal that ended the command is told", "kill -TERM $$", nil, "sh was ended: signal: terminated"},
		{"a version without an archive", "true", archives(), "version 1.2.0 of cargomedia/app has no build of type archive"},
		{"several archives are listed", "true", archives("a", "b"), "version 1.2.0 of cargomedia/app has several archives, and none of them is called application: a, b"},
		{"the archive that is called application is taken", "true", archives("a", "application"), ""},
		{"an archive that is damaged", "true", func(f *fake) { f.blobs[digest] = []byte("no archive") }, "app.tar.gz cannot be unpacked: the archive is no tar.gz: "},
		{"a name that leads out", "true", func(f *fake) { f.version.Builds[0].Files[0].Name = "../x" }, `the application has a file "../x", which could lead out of its directory`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t)
			if tt.change != nil {
				tt.change(f)
			}
			run, _ := once(t, f, tt.line, nil)
			if !strings.HasPrefix(run.Message, tt.want) || (run.Status == registry.RunFailed) != (tt.want != "") {
				t.Errorf("got %+v, want %q", run, tt.want)
			}
			contains(t, f.log, tt.want)
		})
	}
	t.Run("a command that cannot be started", func(t *testing.T) {
		f := newFake(t)
		run, _ := once(t, f, "", func(c *runner.Config) { c.Command = []string{"./not-there"} })
		contains(t, run.Message, "not-there cannot be started: ", "no such file")
	})
}

func TestLease(t *testing.T) {
	// endless says when it has begun, and does not end by itself.
	endless := func(at string) string {
		return "echo $$ > " + at + "/pid.new; mv " + at + "/pid.new " + at + "/pid; while :; do sleep 0.01; done"
	}
	t.Run("one that another runner has ends the command, and nothing is reported", func(t *testing.T) {
		t.Parallel()
		f := newFake(t)
		at := t.TempDir()
		f.onRenew = func(n int) error {
			if n > 1 && exists(filepath.Join(at, "pid"))() {
				return registry.Errorf(registry.Conflict, "run 7 is with another runner by now: second")
			}
			return nil
		}
		err := start(t, f, endless(at), func(c *runner.Config) { c.Lease = 3 * time.Second }).wait(t)
		if registry.KindOf(err) != registry.Conflict || len(f.results) > 0 {
			t.Fatalf("got %v, reported is %+v", err, f.results)
		}
		contains(t, err.Error(), "run 7 is lost", "with another runner by now: second")
		gone(t, filepath.Join(at, "pid"))
	})
	t.Run("one that ends while the registry is away ends the command, and nothing is reported", func(t *testing.T) {
		t.Parallel()
		f := newFake(t)
		at := t.TempDir()
		f.onRenew = func(int) error {
			if exists(filepath.Join(at, "pid"))() {
				return unavailable()
			}
			return nil
		}
		err := start(t, f, endless(at), func(c *runner.Config) { c.Lease = 3 * time.Second }).wait(t)
		if err == nil || len(f.results) > 0 {
			t.Fatalf("got %v, reported is %+v", err, f.results)
		}
		contains(t, err.Error(), "run 7 was given up", "the registry did not answer")
		gone(t, filepath.Join(at, "pid"))
	})
	t.Run("it is renewed while the command runs", func(t *testing.T) {
		t.Parallel()
		f := newFake(t)
		at := t.TempDir()
		s := start(t, f, "while [ ! -e "+at+"/go ]; do sleep 0.01; done", func(c *runner.Config) { c.Lease = 3 * time.Second })
		until(t, "it is renewed twice", f.has(func() bool { return f.renewed >= 2 }))
		touch(t, filepath.Join(at, "go"))
		if err := s.wait(t); err != nil || len(s.finished) != 1 {
			t.Errorf("got %v, reported is %+v", err, s.finished)
		}
	})
	t.Run("an end that the registry does not take is an error", func(t *testing.T) {
		f := newFake(t)
		f.onFinish = func(int) error {
			return registry.Errorf(registry.Conflict, "run 7 is with another runner by now: second")
		}
		err := start(t, f, "true", nil).wait(t)
		if registry.KindOf(err) != registry.Conflict {
			t.Fatalf("got %v", err)
		}
		contains(t, err.Error(), "run 7 ended, and that is not recorded")
	})
	t.Run("the end of a command is reported when the registry is back", func(t *testing.T) {
		f := newFake(t)
		f.onFinish = func(n int) error {
			if n < 3 {
				return unavailable()
			}
			return nil
		}
		if run, _ := once(t, f, "true", nil); run.Status != registry.RunDone || len(f.results) != 3 {
			t.Errorf("got %+v after %d tries", run, len(f.results))
		}
	})
}

func TestLog(t *testing.T) {
	t.Run("a part whose answer was lost is sent again as it was", func(t *testing.T) {
		f := newFake(t)
		lost := 0
		f.onAppend = func(f *fake, part registry.RunLogPart) (registry.RunLogEnd, bool, error) {
			if lost++; lost > 2 {
				return registry.RunLogEnd{}, false, nil
			}
			_, _ = f.keep(part)
			return registry.RunLogEnd{}, true, unavailable()
		}
		once(t, f, "i=0; while [ $i -lt 30000 ]; do echo line $i; i=$((i+1)); done", nil)
		var want strings.Builder
		want.WriteString("Run 7: cargomedia/app 1.2.0 for cargomedia/app-image, on builder.\n")
		for i := range 30000 {
			want.WriteString("line " + strconv.Itoa(i) + "\n")
		}
		if f.log != want.String() {
			t.Errorf("the log has %d bytes, want %d", len(f.log), want.Len())
		}
		if f.parts[0] != f.parts[1] || f.parts[1] != f.parts[2] {
			t.Error("another part was sent")
		}
		for _, p := range f.parts {
			if len(p.Text) > registry.MaxRunLogPart || p.Lease != "lease" {
				t.Errorf("a part has %d bytes and the lease %q", len(p.Text), p.Lease)
			}
		}
	})
	t.Run("it goes on where another runner's ended", func(t *testing.T) {
		f := newFake(t)
		f.log = "before\n"
		f.queued[0].LogSize = int64(len(f.log))
		once(t, f, "echo after", nil)
		contains(t, f.log, "before\nRun 7", "\nafter\n")
	})
	t.Run("one that is full ends no run", func(t *testing.T) {
		f := newFake(t)
		f.onAppend = func(f *fake, part registry.RunLogPart) (registry.RunLogEnd, bool, error) {
			return registry.RunLogEnd{Size: 5, Full: true}, true, nil
		}
		if run, s := once(t, f, "head -c 500000 /dev/zero | tr '\\0' x", nil); run.Status != registry.RunDone || len(f.parts) != 1 || s.output.Len() < 500000 {
			t.Errorf("got %+v after %d parts, and printed were %d bytes", run, len(f.parts), s.output.Len())
		}
	})
	t.Run("one that the registry refuses ends no run", func(t *testing.T) {
		f := newFake(t)
		f.onAppend = func(*fake, registry.RunLogPart) (registry.RunLogEnd, bool, error) {
			return registry.RunLogEnd{}, true, registry.Errorf(registry.Internal, "no")
		}
		if run, _ := once(t, f, "echo text", nil); run.Status != registry.RunDone {
			t.Errorf("got %+v", run)
		}
	})
}
