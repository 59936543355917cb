package e2e

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/internal/faultproxy"
	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// trial is one build of a kind that meets a fault when it is made: at one of the requests that record it.
type trial struct {
	n       int
	kind    string
	fault   faultproxy.Fault
	request int // 0 is none
	lasting bool
}

func (c trial) String() string {
	if c.lasting {
		return fmt.Sprintf("%d, %s, %s, from request %d on", c.n, c.kind, c.fault, c.request)
	}
	return fmt.Sprintf("%d, %s, %s, at request %d", c.n, c.kind, c.fault, c.request)
}

func (c trial) artifact() string { return fmt.Sprintf("cargomedia/%s-%d", c.kind, c.n) }

var templates = map[string]string{"ami": amiTemplate, "archive": archiveTemplate, "box": boxTemplate}

// slow is the one fault that the plugin has only to wait for.
var slow = faultproxy.Delay(300 * time.Millisecond)

// requests is what it takes to record each of the builds: begin, bytes and commit of one file, publish.
const requests = 4

// trials are every request of an AMI with an SBOM with every fault, once and lasting, and every request of a file of
// 3 MiB and of a box with those faults that have to do with how long it is.
func trials() []trial {
	var list []trial
	add := func(kind string, request int, faults ...faultproxy.Fault) {
		for _, fault := range faults {
			for _, lasting := range []bool{false, true} {
				list = append(list, trial{n: len(list) + 1, kind: kind, fault: fault, request: request, lasting: lasting})
			}
		}
	}
	for request := range requests {
		add("ami", request+1, faultproxy.CutRequest(20), faultproxy.CutAnswer(20), faultproxy.Answer(500),
			faultproxy.Answer(429, "Retry-After", "1"), slow, faultproxy.HTML(), faultproxy.ResetAfter())
		add("archive", request+1, faultproxy.CutRequest(1<<20))
		add("box", request+1, faultproxy.ResetAfter())
	}
	return list
}

// TestPackerLosesNoBuildToTheRegistry runs the real Packer. Whatever happens at one of the requests that
// record a build, Packer ends well and keeps what it built, and it is recorded once: by the plugin,
// or by the command that the plugin shows.
func TestPackerLosesNoBuildToTheRegistry(t *testing.T) {
	server := servertest.New(t)
	token := server.Token(t, "packer", "publish", "cargomedia/*")
	before := map[string]int{} // requests before the build, which are the same each time
	for kind := range templates {
		t.Run("without a fault, "+kind, func(t *testing.T) { before[kind] = trial{kind: kind}.calm(t, newWorld(t, server, token)) })
	}
	if t.Failed() {
		return
	}
	begin := time.Now()
	list := trials()
	var counts [2]atomic.Int32 // recorded by the plugin, and by the command
	var next atomic.Int32
	var group sync.WaitGroup
	for range 6 { // much of a trial is waiting for the next try
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(list); i = int(next.Add(1)) - 1 {
				t.Run(list[i].String(), func(t *testing.T) {
					if list[i].play(t, newWorld(t, server, token), before[list[i].kind]) {
						counts[0].Add(1)
					} else {
						counts[1].Add(1)
					}
				})
			}
		})
	}
	group.Wait()
	t.Logf("%d runs of packer build in %.1f s: %d recorded through the fault, %d by the command that was shown",
		len(list), time.Since(begin).Seconds(), counts[0].Load(), counts[1].Load())
	if counts[0].Load() == 0 || counts[1].Load() == 0 {
		t.Error("the faults did not do what they are for")
	}
}

// calm makes the build without a fault and returns how many requests come before it.
func (c trial) calm(t *testing.T, w *world) int {
	t.Helper()
	files := c.prepare(t, w)
	r := w.packer.Run(t, "build", "images/app.pkr.hcl")
	if r.Code != 0 {
		t.Fatalf("packer build: exit code %d\n%s", r.Code, r.Output)
	}
	sent := w.proxy.Requests()
	before := preflights(sent)
	if len(sent) != before+requests || len(w.pending(t)) > 0 {
		t.Fatalf("recording takes %d requests, want %d: %v", len(sent)-before, requests, sent)
	}
	c.check(t, w.recordedOnce(t, c.artifact()), w.amis(t), files)
	return before
}

// preflights is how many requests come before the first one that is there to record.
func preflights(sent []faultproxy.Request) int {
	return slices.IndexFunc(sent, func(q faultproxy.Request) bool { return q.Method == http.MethodPost })
}

// play makes the build with its fault, and says whether the plugin recorded it.
func (c trial) play(t *testing.T, w *world, before int) (byPlugin bool) {
	t.Helper()
	files := c.prepare(t, w)
	if c.lasting {
		w.proxy.FailFrom(before+c.request, c.fault)
	} else {
		w.proxy.Fail(before+c.request, c.fault)
	}
	r := w.packer.Run(t, "build", "images/app.pkr.hcl")
	if r.Code != 0 {
		t.Fatalf("packer build: exit code %d\n%s", r.Code, r.Output)
	}
	w.noToken(t, "the output", r.Output)
	met := w.proxy.Requests()
	if preflights(met) != before || len(met) < before+c.request || met[before+c.request-1].Fault != c.fault.String() {
		t.Fatalf("the fault was not met at request %d: %v", before+c.request, met)
	}
	built := w.amis(t)
	if c.kind == "ami" && len(built) != len(regions) {
		t.Fatalf("AMIs are left in %v only:\n%s", built, r.Output)
	}
	byPlugin = !c.lasting || c.fault.String() == slow.String()
	if byPlugin {
		want(t, r.Output, "as "+c.artifact()+" 0.1.0 (number 1)")
		if paths := w.pending(t); len(paths) > 0 {
			t.Errorf("the fault passed, and there are the publish files %v:\n%s", paths, r.Output)
		}
	} else {
		w.finish(t, r.Output)
	}
	c.check(t, w.recordedOnce(t, c.artifact()), built, files)
	return byPlugin
}

// prepare writes the template and what it needs, and returns what the registry should have: content by name.
func (c trial) prepare(t *testing.T, w *world) map[string]string {
	t.Helper()
	content := make([]byte, 3<<20)
	_, _ = rand.NewChaCha8([32]byte{byte(c.n), c.kind[0]}).Read(content)
	retry := `retry_timeout = "30s"`
	if c.lasting {
		retry = `retry_timeout = "1s"` // what does not pass is not worth more
	}
	files := map[string]string{}
	switch c.kind {
	case "ami":
		files["sbom.cdx.json"] = fmt.Sprintf(sbom, fmt.Sprintf("3.0.%d", c.n))
		w.packer.Write(t, "sbom.cdx.json", files["sbom.cdx.json"])
		retry += "\n    sbom = [\"sbom.cdx.json\"]"
	case "archive":
		files["app.img"] = string(content)
		w.packer.Write(t, "made/app.img", files["app.img"])
	case "box":
		files["app.box"] = makeBox(t, content)
		w.packer.Write(t, "made/app.box", files["app.box"])
	}
	w.write(t, templates[c.kind], c.artifact(), retry)
	return files
}

// check compares a recorded build with what was built.
func (c trial) check(t *testing.T, b registry.Build, built, files map[string]string) {
	t.Helper()
	amis, contents := map[string]string{}, map[string]string{}
	for _, i := range b.Images {
		amis[i.Region] = i.ID
	}
	for _, f := range b.Files {
		contents[f.Name] = string(f.SHA256)
	}
	for _, a := range b.Attachments {
		contents[a.Name] = string(a.SHA256)
	}
	digests := map[string]string{}
	for name, content := range files {
		digests[name] = fmt.Sprintf("%x", sha256.Sum256([]byte(content)))
	}
	if diff := cmp.Diff(built, amis); diff != "" {
		t.Errorf("AMIs (-built +recorded):\n%s", diff)
	}
	if diff := cmp.Diff(digests, contents); diff != "" {
		t.Errorf("files (-made +recorded):\n%s", diff)
	}
}
