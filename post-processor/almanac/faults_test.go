package almanac_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/cargomedia/packer-plugin-almanac/internal/faultproxy"
	"github.com/cargomedia/packer-plugin-almanac/internal/publishfile"
	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/post-processor/almanac"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

// trial is one build with images in three regions, a file and an SBOM, whose post-processor talks to the
// registry through a proxy that spoils some of its requests.
type trial struct {
	n       int
	fault   faultproxy.Fault
	request int // 0 is none
	lasting bool

	dir   string // with the template, the file and the SBOM
	token string
	build registry.Build
}

// outcome is how a trial ended.
type outcome int

const (
	refused  outcome = iota + 1 // the configuration, before anything was built
	straight                    // recorded by the post-processor
	later                       // recorded by the publish file
)

func (t trial) String() string {
	if t.lasting {
		return fmt.Sprintf("trial %d: %s, from request %d on", t.n, t.fault, t.request)
	}
	return fmt.Sprintf("trial %d: %s, at request %d", t.n, t.fault, t.request)
}

func (t trial) artifact() string { return fmt.Sprintf("cargomedia/trial-%d", t.n) }

// preflights is how many of a build's requests are sent before the build: access, the run, the version.
const preflights = 3

// TestEveryFaultAtEveryRequestOfABuild is the promise that no build is lost and none recorded twice or by
// half, whatever happens between the plugin and the registry.
func TestEveryFaultAtEveryRequestOfABuild(t *testing.T) {
	log.SetOutput(io.Discard) // the plugin tells every repetition
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	s := servertest.New(t)
	token := s.Token(t, "packer", "publish", "cargomedia/*")
	direct := s.Client(t, s.AdminToken)

	calm := trial{token: token, dir: t.TempDir()}
	requests := 0
	calmProxy := faultproxy.New(t, s.URL)
	if got, err := calm.play(t.Context(), direct, calmProxy); err != nil || got != straight {
		t.Fatalf("without a fault: outcome %d, %v", got, err)
	}
	if requests = len(calmProxy.Requests()); requests != preflights+3+3+1 {
		t.Fatalf("a build takes %d requests, want 10: access, run, version; begin, bytes, commit for the file and the SBOM; publish", requests)
	}

	var trials []trial
	for _, fault := range faultproxy.All() {
		for request := range requests {
			for _, lasting := range []bool{false, true} {
				trials = append(trials, trial{n: len(trials) + 1, fault: fault, request: request + 1, lasting: lasting, token: token, dir: t.TempDir()})
			}
		}
	}
	begin := time.Now()
	var counts [later + 1]atomic.Int32
	var next atomic.Int32
	var group sync.WaitGroup
	for range 64 { // they wait most of the time: for the next try, and for the disk
		group.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(trials); i = int(next.Add(1)) - 1 {
				got, err := trials[i].play(t.Context(), direct, faultproxy.New(t, s.URL))
				if err != nil {
					t.Errorf("%s: %v", trials[i], err)
				}
				counts[got].Add(1)
			}
		})
	}
	group.Wait()

	events := eventsOf(t, direct)
	for _, trial := range trials {
		if diff := cmp.Diff(events[calm.artifact()], events[trial.artifact()]); diff != "" {
			t.Errorf("%s: events (-without a fault +with it):\n%s", trial, diff)
		}
	}
	t.Logf("%d builds, %d faults at %d requests, once and lasting, in %.1f s: %d recorded through the fault, %d by their publish file, %d refused before the build",
		len(trials), len(faultproxy.All()), requests, time.Since(begin).Seconds(), counts[straight].Load(), counts[later].Load(), counts[refused].Load())
	for got := refused; got <= later; got++ {
		if counts[got].Load() == 0 {
			t.Errorf("no trial had the outcome %d: the faults did not do what they are for", got)
		}
	}
}

// eventsOf are the actions on each artifact, sorted.
func eventsOf(t *testing.T, c *client.Client) map[string][]string {
	t.Helper()
	actions := map[string][]string{}
	for after := int64(0); ; {
		page, err := c.Events(t.Context(), after, 500)
		if err != nil {
			t.Fatal(err)
		}
		if len(page.Events) == 0 {
			break
		}
		for _, e := range page.Events {
			actions[string(e.Artifact)] = append(actions[string(e.Artifact)], e.Action)
		}
		after = page.Last
	}
	for _, list := range actions {
		slices.Sort(list)
	}
	return actions
}

// play makes the build and, if it is not recorded then, does what its user would do.
func (t *trial) play(ctx context.Context, direct *client.Client, p *faultproxy.Proxy) (outcome, error) {
	if err := t.prepare(); err != nil {
		return 0, err
	}
	// The artifact is there already, so that the run and the version are asked for before the build.
	if _, err := direct.PutArtifact(ctx, t.artifact(), registry.ArtifactSettings{Description: "a trial"}); err != nil {
		return 0, err
	}
	switch {
	case t.request > 0 && t.lasting:
		p.FailFrom(t.request, t.fault)
	case t.request > 0:
		p.Fail(t.request, t.fault)
	}
	got, err := t.postProcess(ctx, direct, p)
	if met := p.Requests(); t.request > 0 && (len(met) < t.request || met[t.request-1].Fault != t.fault.String()) {
		err = errors.Join(err, fmt.Errorf("the fault was not met: %v", met))
	}
	switch {
	case err != nil:
	case got != straight && !t.lasting:
		err = fmt.Errorf("outcome %d for a fault that passed", got)
	case got == refused && t.request > preflights:
		err = errors.New("the configuration was refused for a fault that came later")
	}
	return got, err
}

// prepare makes what the build consists of.
func (t *trial) prepare() error {
	content := make([]byte, 3<<20)
	_, _ = rand.NewChaCha8([32]byte{byte(t.n), byte(t.n >> 8), 't'}).Read(content)
	sbom := strings.Replace(cycloneDX, "3.0.1", fmt.Sprintf("3.0.%d", t.n), 1)
	t.build = registry.Build{Component: "x.app", Type: registry.AmazonImage}
	for i, region := range threeRegions {
		t.build.Images = append(t.build.Images, registry.Image{Provider: "aws", Region: region, ID: fmt.Sprintf("ami-%08x", len(threeRegions)*t.n+i), SourceID: "ami-0"})
	}
	described := func(name string, content []byte) registry.File {
		sum := sha256.Sum256(content)
		return registry.File{Name: name, Size: int64(len(content)), SHA256: registry.Digest(hex.EncodeToString(sum[:]))}
	}
	t.build.Files = []registry.File{described("app.img", content)}
	t.build.Attachments = []registry.Attachment{{File: described("sbom.cdx.json", []byte(sbom)), Kind: registry.AttachmentSBOM, Format: "CycloneDX 1.6"}}
	return errors.Join(
		os.WriteFile(filepath.Join(t.dir, "app.json"), []byte("{}"), 0o600),
		os.WriteFile(filepath.Join(t.dir, "app.img"), content, 0o600),
		os.WriteFile(filepath.Join(t.dir, "sbom.cdx.json"), []byte(sbom), 0o600),
	)
}

func (t *trial) postProcess(ctx context.Context, direct *client.Client, p *faultproxy.Proxy) (outcome, error) {
	retry := "30s"
	if t.lasting {
		retry = "1s" // what does not pass is not worth more
	}
	pp := new(almanac.PostProcessor)
	configuration := core("x", "app")
	configuration["packer_template_path"] = filepath.Join(t.dir, "app.json")
	configured := pp.Configure(options{
		"artifact": t.artifact(), "address": p.URL, "token": t.token, "fingerprint": "run-1", "version": "1.4.0", "retry_timeout": retry,
		"sbom": filepath.Join(t.dir, "sbom.cdx.json"), "metadata": decoded{"git": "4f2a1c9"},
	}, configuration)
	if configured != nil {
		if strings.Contains(configured.Error(), t.token) {
			return 0, errors.New("the token is in the error")
		}
		return refused, t.refusedForNow(ctx, direct, p, configured)
	}
	var images []any
	for _, i := range t.build.Images {
		images = append(images, image(i.Provider, i.Region, i.ID, i.SourceID, nil))
	}
	a := &product{builderID: "x.copy", files: []string{filepath.Join(t.dir, "app.img")}, state: map[string]any{stateImages: images}}
	u, shown := ui()
	got, keep, force, err := pp.PostProcess(ctx, u, a)
	if err != nil || got != packersdk.Artifact(a) || !keep || !force || a.destroyed {
		return 0, fmt.Errorf("the artifact is not kept: keep %t, force %t, destroyed %t, error %w", keep, force, a.destroyed, err)
	}
	if strings.Contains(shown.String(), t.token) {
		return 0, fmt.Errorf("the token is in what is shown:\n%s", shown)
	}
	paths, err := publishfile.Pending(t.dir)
	if err != nil {
		return 0, err
	}
	said := strings.Contains(shown.String(), "Recorded x.app as "+t.artifact()+" 1.4.0 (number 1)")
	switch {
	case said && len(paths) == 0:
		return straight, t.recorded(ctx, direct)
	case !said && len(paths) == 1 && strings.Contains(shown.String(), "THIS BUILD IS NOT RECORDED") && strings.Contains(shown.String(), "almanac publish --from "+paths[0]):
		return later, t.send(ctx, direct, paths[0])
	}
	return 0, fmt.Errorf("the publish files are %v, and shown is:\n%s", paths, shown)
}

// refusedForNow checks that nothing came of a configuration that was refused, and that it is good once the
// registry is.
func (t *trial) refusedForNow(ctx context.Context, direct *client.Client, p *faultproxy.Proxy, cause error) error {
	page, err := direct.Versions(ctx, t.artifact(), registry.VersionFilter{})
	if err != nil || len(page.Versions) != 0 {
		return fmt.Errorf("%d versions, %w; refused: %w", len(page.Versions), err, cause)
	}
	if paths, err := publishfile.Pending(t.dir); err != nil || len(paths) > 0 {
		return fmt.Errorf("publish files of a build that is not made yet: %v, %w", paths, err)
	}
	again := *t
	again.request = 0
	p.Heal()
	if got, err := again.postProcess(ctx, direct, p); err != nil || got != straight {
		return fmt.Errorf("refused again: outcome %d, %w", got, err)
	}
	return nil
}

// send sends the publish file twice, as somebody does who is not sure of the first time.
func (t *trial) send(ctx context.Context, direct *client.Client, path string) error {
	if text, err := os.ReadFile(path); err != nil || strings.Contains(string(text), t.token) {
		return fmt.Errorf("the publish file cannot be read, or has the token: %w", err)
	}
	var receipts []registry.Receipt
	for range 2 {
		f, err := publishfile.Read(path)
		if err != nil {
			return err
		}
		receipt, err := f.Send(ctx, direct, nil)
		if err != nil {
			return fmt.Errorf("sending the publish file, time %d: %w", len(receipts)+1, err)
		}
		receipts = append(receipts, receipt)
		if err := t.recorded(ctx, direct); err != nil {
			return fmt.Errorf("after sending the publish file, time %d: %w", len(receipts), err)
		}
	}
	if diff := cmp.Diff(receipts[0], receipts[1]); diff != "" {
		return fmt.Errorf("receipts (-first +second):\n%s", diff)
	}
	return nil
}

// recorded checks that the build is recorded once, as it was made.
func (t *trial) recorded(ctx context.Context, c *client.Client) error {
	page, err := c.Versions(ctx, t.artifact(), registry.VersionFilter{})
	if err != nil || len(page.Versions) != 1 {
		return fmt.Errorf("%d versions, %w", len(page.Versions), err)
	}
	v, err := c.Version(ctx, t.artifact(), "latest")
	if err != nil {
		return err
	}
	if v.Number != 1 || v.Version != "1.4.0" || v.Fingerprint != "run-1" || v.Status != registry.StatusComplete || len(v.Builds) != 1 {
		return fmt.Errorf("got %+v", v)
	}
	b := v.Builds[0]
	if b.Metadata["git"] != "4f2a1c9" || b.Provenance["template_path"] == "" {
		return fmt.Errorf("metadata %v, provenance %v", b.Metadata, b.Provenance)
	}
	content := registry.Build{Component: b.Component, Type: b.Type, Images: b.Images, Files: b.Files, Attachments: b.Attachments}
	if diff := cmp.Diff(t.build, content); diff != "" {
		return fmt.Errorf("-made +recorded:\n%s", diff)
	}
	for _, f := range []registry.File{b.Files[0], b.Attachments[0].File} {
		path := filepath.Join(t.dir, "received-"+f.Name)
		if err := c.Download(ctx, f.SHA256, f.Size, path, nil); err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}
