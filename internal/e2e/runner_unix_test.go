//go:build unix

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

const (
	application = "cargomedia/app"
	target      = "cargomedia/app-image"
	theLink     = application + ":" + target
)

// imageTemplate says with files how far it is, and waits for the file go before the image is made.
const imageTemplate = header + `
variable "version" {
  default = env("ALMANAC_APPLICATION_VERSION")
}
variable "run" {
  default = env("ALMANAC_RUN")
}
variable "dir" {
  default = env("ALMANAC_APPLICATION_DIR")
}
source "amazon-ebs" "app" {
  region        = "us-east-1"
  instance_type = "t3.micro"
  ami_name      = "app-${var.run}-{{timestamp}}"
  communicator  = "none"
  tags = {
    application_version = var.version
    greeting            = file("${var.dir}/greeting.txt")
  }
  source_ami_filter {
    filters     = { name = "debian-12-amd64-*", root-device-type = "ebs", virtualization-type = "hvm" }
    owners      = ["136693071363"]
    most_recent = true
  }
}
build {
  sources = ["source.amazon-ebs.app"]
  provisioner "shell-local" {
    inline = ["echo > started", "n=0; while [ ! -e go ] && [ $n -lt 1200 ]; do n=$((n+1)); sleep 0.05; done"]
  }
  post-processor "almanac" {
    artifact = "` + target + `"
  }
}
`

// linked returns a world in which an application is linked to an image, of which a version was pushed.
func linked(t *testing.T) *world {
	t.Helper()
	w := alone(t)
	w.cli.Env = append(w.packer.Environ(), w.cli.Env...)
	w.cli.Dir = w.packer.Dir
	w.packer.Write(t, "image.pkr.hcl", imageTemplate)
	w.almanac(t, "link", application, target)
	w.push(t, "hello")
	return w
}

// almanac runs a command that must succeed.
func (w *world) almanac(t *testing.T, args ...string) string {
	t.Helper()
	r := w.cli.Run(t, args...)
	if r.Code != 0 {
		t.Fatalf("almanac %s: exit code %d\n%s", strings.Join(args, " "), r.Code, r.Output)
	}
	return r.Output
}

// push pushes a version of the application.
func (w *world) push(t *testing.T, greeting string) {
	t.Helper()
	w.packer.Write(t, "site/greeting.txt", greeting)
	w.almanac(t, "push", "site", application)
}

// letGo lets builds end.
func (w *world) letGo(t *testing.T) {
	t.Helper()
	w.packer.Write(t, "go", "")
}

// output can be read while a program writes it.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// startRunner starts a runner with a short lease. The test must end it.
func (w *world) startRunner(t *testing.T, name string, args ...string) (*exec.Cmd, *output) {
	t.Helper()
	var out output
	args = append([]string{"runner", "--link", theLink, "--name", name, "--lease", "5s", "--poll", "100ms", "--work-dir", t.TempDir()}, args...)
	return w.cli.Start(t, &out, args...), &out
}

// eventually waits until something is so, for at most a minute.
func eventually(t *testing.T, what string, output fmt.Stringer, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatalf("not within a minute: %s\n%s", what, output)
}

func (w *world) exists(name string) func() bool {
	return func() bool {
		_, err := os.Stat(filepath.Join(w.packer.Dir, name))
		return err == nil
	}
}

// run1 is the first run as the registry has it.
func (w *world) run1(t *testing.T) registry.Run {
	t.Helper()
	run, err := w.admin.Run(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	return run
}

// onlyVersion returns the version of the image, of which there must be one.
func (w *world) onlyVersion(t *testing.T) registry.Version {
	t.Helper()
	versions := w.versions(t, target)
	if len(versions) != 1 || versions[0].Status != registry.StatusComplete {
		t.Fatalf("got the versions %+v, want one that is complete", versions)
	}
	return versions[0]
}

var buildImage = []string{"--", "packer", "build", "image.pkr.hcl"}

func TestAPushedApplicationBecomesAnImage(t *testing.T) {
	t.Parallel()
	w := linked(t)
	w.letGo(t)
	want(t, w.almanac(t, "runs"), "1 queued "+application+" 0.1.0 "+target+" - -")
	if out := w.almanac(t, append([]string{"runner", "--link", theLink, "--once", "--name", "builder"}, buildImage...)...); strings.Contains(out, w.token) {
		t.Errorf("the token is in what the runner prints:\n%s", out)
	}

	t.Run("its version says which application it was built from", func(t *testing.T) {
		v := w.onlyVersion(t)
		if v.Metadata["application"] != application || v.Metadata["application_version"] != "0.1.0" || v.Fingerprint != "almanac-run-1" {
			t.Errorf("got %+v", v)
		}
		tags := w.ec2.Images("us-east-1")[0].Tags
		if tags["application_version"] != "0.1.0" || tags["greeting"] != "hello" {
			t.Errorf("Packer did not get the application: the AMI has the tags %v", tags)
		}
	})
	t.Run("the run is done, and has the log", func(t *testing.T) {
		want(t, w.almanac(t, "runs", target), "1 done "+application+" 0.1.0 "+target+" 0.1.0 builder")
		log := w.almanac(t, "runs", "log", "1", "--follow")
		want(t, log, "on builder.", "amazon-ebs.app: AMIs were created", "us-east-1: ami-")
		w.noToken(t, "the log", log)
	})
	t.Run("the next version is built, too", func(t *testing.T) {
		w.push(t, "good day")
		w.almanac(t, append([]string{"runner", "--link", theLink, "--once"}, buildImage...)...)
		versions := w.versions(t, target)
		if len(versions) != 2 || versions[0].Metadata["application_version"] != "0.2.0" || versions[0].Fingerprint != "almanac-run-2" {
			t.Errorf("got %+v", versions)
		}
	})
}

func TestAKilledRunnerIsReplaced(t *testing.T) {
	t.Parallel()
	w := linked(t)
	first, out := w.startRunner(t, "first", buildImage...)
	eventually(t, "the build waits", out, w.exists("started"))
	if len(w.ec2.Leftovers("us-east-1")) == 0 {
		t.Fatal("the build has no machine")
	}
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait() // it was killed
	if runtime.GOOS == "linux" {
		eventually(t, "Packer takes down the machine of the build whose runner was killed", out, func() bool { return len(w.ec2.Leftovers("us-east-1")) == 0 })
	}
	if run := w.run1(t); run.Status != registry.RunRunning || run.Runner != "first" {
		t.Fatalf("got %+v", run)
	}
	if err := os.Remove(filepath.Join(w.packer.Dir, "started")); err != nil {
		t.Fatal(err)
	}
	second, out := w.startRunner(t, "second", append([]string{"--once"}, buildImage...)...)
	eventually(t, "the build waits with the second runner", out, w.exists("started"))
	w.letGo(t)
	if err := second.Wait(); err != nil {
		t.Fatalf("the second runner: %v\n%s", err, out)
	}
	if v := w.onlyVersion(t); v.Fingerprint != "almanac-run-1" || v.Metadata["application_version"] != "0.1.0" {
		t.Errorf("got %+v", v)
	}
	if run := w.run1(t); run.Status != registry.RunDone || run.Runner != "second" || run.Attempts != 2 || run.Result == nil {
		t.Errorf("got %+v", run)
	}
	if images := w.ec2.Images("us-east-1"); len(images) != 1 {
		t.Errorf("%d images were made, want one", len(images))
	}
}

func TestWhatIsRecordedIsNotBuiltAgain(t *testing.T) {
	t.Parallel()
	w := linked(t)
	w.letGo(t)
	const script = "packer build image.pkr.hcl && echo > recorded && exec sleep 60"
	first, out := w.startRunner(t, "first", "--", "sh", "-c", script)
	eventually(t, "the image is recorded", out, w.exists("recorded"))
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait() // it was killed
	second, out := w.startRunner(t, "second", "--", "sh", "-c", "echo > again")
	eventually(t, "the run is done", out, func() bool { return w.run1(t).Status == registry.RunDone })
	if err := second.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := second.Wait(); err != nil {
		t.Errorf("a runner that is told to end: %v\n%s", err, out)
	}
	if w.exists("again")() {
		t.Error("the second runner ran its command although the image was recorded")
	}
	run, v := w.run1(t), w.onlyVersion(t)
	if run.Result == nil || run.Result.Number != v.Number || run.Runner != "first" {
		t.Errorf("got the run %+v and the version %+v", run, v)
	}
}

func TestAFailedRunCanBeRepeated(t *testing.T) {
	t.Parallel()
	w := linked(t)
	w.letGo(t)
	const script = "if [ ! -e mended ]; then exit 3; fi; exec packer build image.pkr.hcl"
	once := []string{"runner", "--link", theLink, "--once", "--", "sh", "-c", script}
	if r := w.cli.Run(t, once...); r.Code != 1 {
		t.Errorf("the runner: exit code %d, want 1\n%s", r.Code, r.Output)
	}
	want(t, w.almanac(t, "runs", "--status", "failed"), "sh exited with status 3")
	if versions := w.versions(t, target); len(versions) > 0 {
		t.Errorf("recorded is %+v", versions)
	}
	w.packer.Write(t, "mended", "")
	want(t, w.almanac(t, "runs", "repeat", "1"), "queued again")
	w.almanac(t, once...)
	if v := w.onlyVersion(t); v.Fingerprint != "almanac-run-1.2" {
		t.Errorf("got %+v", v)
	}
	if run := w.run1(t); run.Status != registry.RunDone || run.Repeats != 1 {
		t.Errorf("got %+v", run)
	}
}
