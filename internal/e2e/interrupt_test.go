package e2e

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/internal/faultproxy"
	"github.com/cargomedia/packer-plugin-almanac/internal/packertest"
	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

const artifact = "cargomedia/app"

// alone returns a world with a registry of its own.
func alone(t *testing.T) *world {
	t.Helper()
	s := servertest.New(t)
	return newWorld(t, s, s.Token(t, "packer", "publish", "cargomedia/*"))
}

// withSBOM writes the template of an AMI with an SBOM.
func (w *world) withSBOM(t *testing.T, more ...string) {
	t.Helper()
	w.packer.Write(t, "sbom.cdx.json", `{"bomFormat":"CycloneDX","specVersion":"1.6","version":1}`)
	w.write(t, amiTemplate, artifact, append(more, `sbom = ["sbom.cdx.json"]`)...)
}

// asked is how many requests packer validate sends: those of packer build before the build.
func (w *world) asked(t *testing.T) int {
	t.Helper()
	if r := w.packer.Run(t, "validate", "images/app.pkr.hcl"); r.Code != 0 {
		t.Fatalf("packer validate: exit code %d\n%s", r.Code, r.Output)
	}
	n := len(w.proxy.Requests())
	w.proxy.Reset()
	return n
}

func TestPackerDestroysABuildThatIsToFail(t *testing.T) {
	t.Parallel()
	w := alone(t)
	w.withSBOM(t, `retry_timeout = "1s"`, `on_registry_error = "fail"`)
	w.proxy.FailFrom(w.asked(t)+1, faultproxy.ResetBefore())
	r := w.packer.Run(t, "build", "images/app.pkr.hcl")
	if r.Code != 1 {
		t.Errorf("packer build: exit code %d, want 1\n%s", r.Code, r.Output)
	}
	want(t, r.Output, "the build is not recorded in the registry", `on_registry_error is "fail"`, "AMIs are deregistered")
	w.noToken(t, "the output", r.Output)
	w.gone(t, r.Output)
}

// gone checks that nothing is left of a build, nor recorded, nor kept to be recorded.
func (w *world) gone(t *testing.T, output string) {
	t.Helper()
	if left := w.amis(t); len(left) > 0 {
		t.Errorf("AMIs are left: %v\n%s", left, output)
	}
	if paths := w.pending(t); len(paths) > 0 {
		t.Errorf("publish files are left: %v\n%s", paths, output)
	}
	if versions := w.versions(t, artifact); len(versions) > 0 {
		t.Errorf("recorded is %+v\n%s", versions, output)
	}
}

// interruptAt interrupts a build while the registry does not answer a request for a while, and returns what
// Packer wrote.
func (w *world) interruptAt(t *testing.T, request int, silence time.Duration) string {
	t.Helper()
	w.proxy.Fail(request, faultproxy.Delay(silence))
	cmd, output := w.packer.Start(t, "build", "images/app.pkr.hcl")
	reached := false
	for deadline := time.Now().Add(time.Minute); !reached && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		reached = len(w.proxy.Requests()) >= request
	}
	if reached {
		packertest.Interrupt(t, cmd)
	} else {
		_ = cmd.Cancel() // the test fails below
	}
	if err := cmd.Wait(); err == nil {
		t.Errorf("packer build ended well although it was interrupted:\n%s", output)
	}
	if !reached {
		t.Fatalf("request %d was not made: %v\n%s", request, w.proxy.Requests(), output)
	}
	w.noToken(t, "the output", output.String())
	return output.String()
}

// Packer deregisters the AMIs of a build that it interrupts, unless the plugin says that they are kept: either
// they are there and recorded, or there and in a publish file, or none of all that.
func TestAnInterruptedBuildIsRecordedWhollyOrNotAtAll(t *testing.T) {
	t.Parallel()
	t.Run("nothing is left when an upload is held", func(t *testing.T) {
		t.Parallel()
		w := alone(t)
		w.withSBOM(t)
		w.gone(t, w.interruptAt(t, w.asked(t)+2, 4*time.Second))
	})
	t.Run("it is recorded and kept when the answer to publish comes after all", func(t *testing.T) {
		t.Parallel()
		w := alone(t)
		w.withSBOM(t)
		output := w.interruptAt(t, w.asked(t)+requests, 2*time.Second)
		if paths := w.pending(t); len(paths) > 0 {
			t.Errorf("publish files are left: %v\n%s", paths, output)
		}
		w.recordedAsBuilt(t, artifact, output)
	})
	t.Run("it is kept with a publish file when the answer to publish does not come", func(t *testing.T) {
		t.Parallel()
		w := alone(t)
		w.withSBOM(t)
		const silence = 12 * time.Second // more than the plugin waits when it is interrupted
		late := time.Now()
		output := w.interruptAt(t, w.asked(t)+requests, silence)
		w.finish(t, output)
		w.recordedAsBuilt(t, artifact, output)
		// The call that was given up may reach the registry now.
		time.Sleep(time.Until(late.Add(silence + 3*time.Second)))
		w.recordedAsBuilt(t, artifact, output)
	})
}

// recordedAsBuilt checks that the AMIs are there, and recorded once with the SBOM.
func (w *world) recordedAsBuilt(t *testing.T, artifact, output string) {
	t.Helper()
	b := w.recordedOnce(t, artifact)
	recorded := map[string]string{}
	for _, i := range b.Images {
		recorded[i.Region] = i.ID
	}
	if diff := cmp.Diff(w.amis(t), recorded); diff != "" || len(recorded) != len(regions) {
		t.Errorf("AMIs (-there +recorded):\n%s\n%s", diff, output)
	}
	if len(b.Attachments) != 1 || b.Attachments[0].Kind != registry.AttachmentSBOM {
		t.Errorf("attachments: %+v", b.Attachments)
	}
}

// TestAnInterruptAtAnyMoment interrupts builds at moments that are spread over all of their time.
func TestAnInterruptAtAnyMoment(t *testing.T) {
	server := servertest.New(t)
	token := server.Token(t, "packer", "publish", "cargomedia/*")
	calm := newWorld(t, server, token) // builds the programs, where that is not done
	calm.write(t, amiTemplate, "cargomedia/calm")
	begin := time.Now()
	if r := calm.packer.Run(t, "build", "images/app.pkr.hcl"); r.Code != 0 {
		t.Fatalf("packer build: exit code %d\n%s", r.Code, r.Output)
	}
	took := 3 * time.Since(begin) // two at once take longer
	const moments = 20
	var recorded, kept atomic.Int32
	var next atomic.Int32
	var group sync.WaitGroup
	for range 2 { // more would move the moments
		group.Go(func() {
			for i := next.Add(1); i <= moments; i = next.Add(1) {
				after := took * time.Duration(i) / moments
				t.Run(after.Round(time.Millisecond).String(), func(t *testing.T) {
					w := newWorld(t, server, token)
					w.interruptAfter(t, fmt.Sprintf("cargomedia/moment-%d", i), after, &recorded, &kept)
				})
			}
		})
	}
	group.Wait()
	t.Logf("%d interrupts within %v: %d builds recorded and kept, %d kept with a publish file, %d with nothing left",
		moments, took.Round(time.Millisecond), recorded.Load(), kept.Load(), moments-recorded.Load()-kept.Load())
}

func (w *world) interruptAfter(t *testing.T, artifact string, after time.Duration, recorded, kept *atomic.Int32) {
	w.packer.Write(t, "sbom.cdx.json", `{"bomFormat":"CycloneDX","specVersion":"1.6","version":1}`)
	w.write(t, amiTemplate, artifact, `sbom = ["sbom.cdx.json"]`)
	cmd, output := w.packer.Start(t, "build", "images/app.pkr.hcl")
	time.Sleep(after)
	packertest.Interrupt(t, cmd) // of a build that has ended it finds the process, which nobody has waited for
	_ = cmd.Wait()
	amis, paths, versions := w.amis(t), w.pending(t), w.versions(t, artifact)
	switch {
	case len(versions) > 0:
		recorded.Add(1)
		w.recordedAsBuilt(t, artifact, output.String())
		if len(paths) > 0 {
			t.Errorf("it is recorded, and there are the publish files %v\n%s", paths, output)
		}
	case len(paths) > 0:
		kept.Add(1)
		w.finish(t, output.String())
		w.recordedAsBuilt(t, artifact, output.String())
	// Before, the AMIs are the builder's to clean up: interrupted after it has copied one, it forgets the copies.
	case len(amis) > 0 && strings.Contains(output.String(), "Running post-processor"):
		t.Errorf("the AMIs %v are there, and neither recorded nor in a publish file\n%s", amis, output)
	}
}
