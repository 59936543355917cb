package registry_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// TestTheRegistryKeepsItsRules does what a model chooses, in any order, to a registry over real stores, and expects
// after each step what a small model of the documented rules says: answers, kinds of errors, lists, histories,
// lookups and the audit log. Every lookup is made by Resolve and by ResolveJSON.
//
// More runs: go test ./registry -run TestTheRegistryKeepsItsRules -rapid.checks=1000 (and -rapid.steps=100,
// -rapid.shrinktime=5m). What fails is left in testdata/rapid, for -rapid.failfile.
func TestTheRegistryKeepsItsRules(t *testing.T) {
	given := checksAreGiven()
	onBothEngines(t, func(t *testing.T, w *world) {
		if !given {
			moderateChecks(t)
		}
		ctx := admin(t)
		files := modelFiles{
			archives:  []registry.File{w.upload(ctx, "depot/files", "one"), w.upload(ctx, "depot/files", "two, longer")},
			documents: []registry.File{w.upload(ctx, "depot/files", "notes"), w.upload(ctx, "depot/files", `{"bomFormat":"CycloneDX","specVersion":"1.6","version":1}`)},
		}
		run := 0
		rapid.Check(t, func(rt *rapid.T) {
			run++
			m := newMachine(ctx, rt, w, files, fmt.Sprintf("run%d", run))
			defer m.sweep()
			rt.Repeat(map[string]func(*rapid.T){
				"":                m.check,
				"publish":         m.publish,
				"publish again":   m.publishAgain,
				"publish more":    m.publishMore,
				"publish other":   m.publishConflicting,
				"verify":          m.verify,
				"set channel":     m.setChannel,
				"roll back":       m.rollBack,
				"delete channel":  m.deleteChannel,
				"revoke":          m.revoke,
				"restore":         m.restore,
				"let time pass":   m.letTimePass,
				"open version":    m.openVersion,
				"announce box":    m.announceBox,
				"add box":         m.addBox,
				"delete box":      m.deleteBox,
				"release version": m.releaseVersion,
				"delete version":  m.deleteVersion,
				"put artifact":    m.putArtifact,
				"delete artifact": m.deleteArtifact,
				"resolve":         m.resolve,
				"image uses":      m.imageUses,
			})
		})
	})
}

// checksAreGiven says whether the caller said how many runs to make.
func checksAreGiven() bool {
	given := os.Getenv("RAPID_CHECKS") != ""
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "rapid.checks" })
	return given
}

// moderateChecks makes as many runs as fit into some ten seconds, where rapid's default is the same for all.
func moderateChecks(t *testing.T) {
	t.Helper()
	checks := "80"
	if strings.HasSuffix(t.Name(), "PostgreSQL") {
		checks = "35"
	}
	if err := flag.Set("rapid.checks", checks); err != nil {
		t.Fatal(err)
	}
}

// modelFiles are bytes that were uploaded before: contents of archives, and of a document and an SBOM.
type modelFiles struct{ archives, documents []registry.File }

// machine drives a registry and its model side by side. Every run has a namespace of its own, so that runs
// share a store without meeting.
type machine struct {
	ctx       context.Context
	w         *world
	files     modelFiles
	model     *model
	names     []string
	lastEvent int64
	// sent are the publications that were acknowledged, for those that are sent again.
	sent []sentPublication
	// touched is the artifact of the last step.
	touched string
}

type sentPublication struct {
	artifact string
	pub      registry.Publication
}

func newMachine(ctx context.Context, t *rapid.T, w *world, files modelFiles, namespace string) *machine {
	m := &machine{ctx: ctx, w: w, files: files, names: []string{namespace + "/app", namespace + "/base"}}
	m.model = newModel(namespace, func() time.Time { return w.clock }, registry.PrincipalFrom(ctx).Name)
	for {
		page, err := w.Events(ctx, m.lastEvent, 500)
		if err != nil {
			t.Fatal(err)
		}
		if page.Last == m.lastEvent {
			return m
		}
		m.lastEvent = page.Last
	}
}

// sweep leaves nothing to the runs that follow.
func (m *machine) sweep() {
	for _, name := range m.names {
		if err := m.w.DeleteArtifact(m.ctx, name); err != nil && registry.KindOf(err) != registry.NotFound {
			m.w.t.Error(err)
		}
	}
}

// artifact draws one, the first more often, so that it comes to a history.
func (m *machine) artifact(t *rapid.T) string {
	m.touched = rapid.SampledFrom([]string{m.names[0], m.names[0], m.names[1]}).Draw(t, "artifact")
	return m.touched
}

var (
	modelRegions      = []string{"eu-west-1", "us-east-1", "us-west-2"}
	modelFingerprints = []string{"run-1", "run-2", "run-3", "run-4", "4711", "staging"}
	modelChannels     = []string{"production", "staging"}
	modelVersions     = []string{"", "", "", "", "0.2.0", "0.2.5", "1.0.0", "1.1.0-rc.1", "1.1.0", "2.0.0"}
	modelComponents   = []string{"amazon-ebs.app", "twin.app", "file.docs"}
	modelStatuses     = []registry.ImageStatus{"", "", "", registry.ImageAvailable, registry.ImagePending, registry.ImageFailed}
)

// publish sends any publication: of a new run, a further component of a run, or one that collides.
func (m *machine) publish(t *rapid.T) {
	name := m.artifact(t)
	m.send(t, name, m.drawPublication(t, append(m.model.openedRuns(name), modelFingerprints...)))
}

func (m *machine) drawPublication(t *rapid.T, fingerprints []string) registry.Publication {
	pub := registry.Publication{Fingerprint: rapid.SampledFrom(fingerprints).Draw(t, "fingerprint")}
	pub.Version = rapid.SampledFrom(modelVersions).Draw(t, "version")
	if rapid.IntRange(0, 2).Draw(t, "expects") == 0 {
		pub.Expect = rapid.SliceOfNDistinct(rapid.SampledFrom(modelComponents), 1, 3, rapid.ID[string]).Draw(t, "expect")
	}
	pub.Channels = rapid.SliceOfNDistinct(rapid.SampledFrom(modelChannels), 0, 2, rapid.ID[string]).Draw(t, "channels")
	if rapid.IntRange(0, 3).Draw(t, "about version") == 0 {
		pub.VersionMetadata = registry.Metadata{rapid.SampledFrom([]string{"git", "ci", "role"}).Draw(t, "key"): rapid.SampledFrom([]string{"a", "b"}).Draw(t, "value")}
	}
	pub.Build = m.drawBuild(t, pub.Fingerprint)
	return pub
}

// drawBuild makes a build whose content follows from run and component but for what may grow, so that
// further publications agree with it more often than not.
func (m *machine) drawBuild(t *rapid.T, fingerprint string) registry.Build {
	component := rapid.SampledFrom(modelComponents).Draw(t, "component")
	b := registry.Build{Component: component, Type: registry.AmazonImage, Architecture: "x86_64", Metadata: registry.Metadata{"role": "web"}}
	switch {
	case component == "file.docs":
		b = registry.Build{Component: component, Type: registry.Archive, Files: []registry.File{m.files.archives[0]}, Provenance: registry.Metadata{"git.commit": "abc"}}
	case component == "twin.app" && fingerprint != "run-1": // the same type as the other one in run-1
		b = registry.Build{Component: component, Type: "qemu.image", Architecture: "arm64"}
	case component == "twin.app":
		b.Architecture = "arm64"
	}
	if b.Type != registry.Archive {
		for _, region := range rapid.SliceOfNDistinct(rapid.SampledFrom(modelRegions), 1, 3, rapid.ID[string]).Draw(t, "regions") {
			b.Images = append(b.Images, m.drawImage(t, b.Type, fingerprint, region))
		}
	}
	if rapid.IntRange(0, 3).Draw(t, "attached") == 0 {
		b.Attachments = append(b.Attachments, m.document(rapid.IntRange(0, 1).Draw(t, "document")))
	}
	return b
}

func (m *machine) drawImage(t *rapid.T, typ registry.Type, fingerprint, region string) registry.Image {
	image := registry.Image{Provider: "aws", Region: region, ID: modelImageID(fingerprint, region, "")}
	if typ != registry.AmazonImage {
		image.Provider = rapid.SampledFrom([]string{"qemu", "hetzner"}).Draw(t, "provider")
	}
	if rapid.IntRange(0, 5).Draw(t, "labelled") == 0 {
		image.Labels = registry.Metadata{"base": "debian-12"}
	}
	image.Verification = drawVerification(t, modelStatuses)
	return image
}

func modelImageID(fingerprint, region, other string) string {
	return "ami-0" + fingerprint[len(fingerprint)-1:] + region[:2] + region[len(region)-1:] + other
}

func drawVerification(t *rapid.T, statuses []registry.ImageStatus) *registry.Verification {
	status := rapid.SampledFrom(statuses).Draw(t, "status")
	if status == "" {
		return nil
	}
	v := &registry.Verification{Status: status}
	if status == registry.ImageAvailable {
		v.Attributes = registry.Metadata{"name": "app <1> & more"}
	} else {
		v.Reason = "it is " + string(status)
	}
	return v
}

// document is an attachment: notes, or an SBOM.
func (m *machine) document(i int) registry.Attachment {
	a := registry.Attachment{File: m.files.documents[i], Kind: registry.AttachmentDocument}
	a.Name = "notes.txt"
	if i == 1 {
		a.Name, a.Kind = "sbom.cdx.json", registry.AttachmentSBOM
	}
	return a
}

// send publishes in both worlds, and expects the same receipt or the same kind of error.
func (m *machine) send(t *rapid.T, name string, pub registry.Publication) {
	want, wantErr := m.model.publish(name, pub)
	got, err := m.w.Publish(m.ctx, name, clonePublication(pub))
	sameKind(t, "publish "+name, err, wantErr)
	if err != nil {
		return
	}
	sameReceipt(t, got, want)
	m.sent = append(m.sent, sentPublication{name, clonePublication(pub)})
}

func (m *machine) drawSent(t *rapid.T) sentPublication {
	if len(m.sent) == 0 {
		t.Skip("nothing was published yet")
	}
	again := rapid.SampledFrom(m.sent).Draw(t, "sent")
	again.pub = clonePublication(again.pub)
	m.touched = again.artifact
	return again
}

// publishAgain sends what was acknowledged once more: as it was, or without what may be left out.
func (m *machine) publishAgain(t *rapid.T) {
	again := m.drawSent(t)
	if rapid.Bool().Draw(t, "leave out") {
		again.pub.Expect, again.pub.Channels, again.pub.Version, again.pub.VersionMetadata = nil, nil, "", nil
		again.pub.Build.Attachments, again.pub.Build.Provenance = nil, nil
		for i := range again.pub.Build.Images {
			again.pub.Build.Images[i].Verification = nil
		}
	}
	m.send(t, again.artifact, again.pub)
}

// publishMore adds images, attachments and channels to what was acknowledged.
func (m *machine) publishMore(t *rapid.T) {
	again := m.drawSent(t)
	b := &again.pub.Build
	if len(b.Images) > 0 {
		region := rapid.SampledFrom(modelRegions).Draw(t, "region")
		image := m.drawImage(t, b.Type, again.pub.Fingerprint, region)
		if !hasPlace(b.Images, image) {
			b.Images = append(b.Images, image)
		}
	}
	if i := rapid.IntRange(0, 2).Draw(t, "document"); i < 2 {
		b.Attachments = []registry.Attachment{m.document(i)}
	}
	again.pub.Channels = rapid.SliceOfNDistinct(rapid.SampledFrom(modelChannels), 0, 2, rapid.ID[string]).Draw(t, "channels")
	m.send(t, again.artifact, again.pub)
}

// hasPlace says whether images has one that cannot stand beside image: an amazon.image has one for each region.
func hasPlace(images []registry.Image, image registry.Image) bool {
	for _, i := range images {
		if i.Region == image.Region && (i.Provider == "aws" || i.Provider == image.Provider) {
			return true
		}
	}
	return false
}

// publishConflicting changes one thing that does not change, out of those that the recorded build has.
func (m *machine) publishConflicting(t *rapid.T) {
	again := m.drawSent(t)
	pub, b := &again.pub, &again.pub.Build
	changes := map[string]func(){
		"version":          func() { pub.Version = "7.7.7" },
		"expect":           func() { pub.Expect = []string{b.Component, "never.there"} },
		"metadata":         func() { b.Metadata = registry.Metadata{"role": "db"} },
		"version metadata": func() { pub.VersionMetadata = registry.Metadata{"git": "c"} },
		"architecture":     func() { b.Architecture = "i386" },
	}
	if len(b.Images) > 0 {
		changes["image"] = func() { b.Images[0].ID = modelImageID(pub.Fingerprint, b.Images[0].Region, "z") }
		changes["labels"] = func() { b.Images[0].Labels = registry.Metadata{"another": "label"} }
	}
	if len(b.Images) > 1 {
		changes["fewer images"] = func() { b.Images = b.Images[1:] }
	}
	if len(b.Files) > 0 {
		changes["file"] = func() { b.Files = []registry.File{m.files.archives[1]} }
	}
	for _, a := range m.model.attachments(again.artifact, pub.Fingerprint, b.Component) {
		changes["content of "+a.Name] = func() {
			a.Kind, a.File.Size, a.File.SHA256 = registry.AttachmentDocument, m.files.archives[1].Size, m.files.archives[1].SHA256
			b.Attachments = []registry.Attachment{a}
		}
		changes["kind of "+a.Name] = func() { // for an SBOM; notes are none
			a.Kind = registry.AttachmentDocument
			b.Attachments = []registry.Attachment{a}
		}
	}
	changes[rapid.SampledFrom(slices.Sorted(maps.Keys(changes))).Draw(t, "what")]()
	m.send(t, again.artifact, *pub)
}
