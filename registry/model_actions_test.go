package registry_test

import (
	"strconv"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// drawRef draws a ref of any kind, mostly of something that the artifact has.
func (m *machine) drawRef(t *rapid.T, name string) string {
	kind := rapid.SampledFrom([]string{"number", "number", "number", "number", "number", "latest", "version", "constraint", "channel", "fingerprint", "exact fingerprint"}).Draw(t, "kind of ref")
	switch kind {
	case "number":
		if a := m.model.artifact(name); a != nil && len(a.versions) > 0 {
			return strconv.FormatInt(a.versions[rapid.IntRange(0, len(a.versions)-1).Draw(t, "version")].Number, 10)
		}
		return "1"
	case "version":
		return rapid.SampledFrom([]string{"0.1.0", "0.2.0", "0.3.0", "1.0.0", "1.1.0-rc.1", "1.1.0", "1.2.0", "2.0.0"}).Draw(t, "version")
	case "constraint":
		return drawConstraint(t)
	case "channel":
		return rapid.SampledFrom(modelChannels).Draw(t, "channel")
	case "fingerprint": // "4711" is a number there
		return rapid.SampledFrom(modelFingerprints).Draw(t, "fingerprint")
	case "exact fingerprint":
		return "fingerprint:" + rapid.SampledFrom(modelFingerprints).Draw(t, "fingerprint")
	}
	return "latest"
}

func drawConstraint(t *rapid.T) string {
	one := func() string {
		return rapid.SampledFrom([]string{"~>", ">=", "<", "!=", "=", "<=", ">"}).Draw(t, "operator") + " " +
			rapid.SampledFrom([]string{"0.2.0", "0.3.0", "1.0.0", "1.1.0", "2.0.0"}).Draw(t, "bound")
	}
	if rapid.Bool().Draw(t, "two") {
		return one() + ", " + one()
	}
	return one()
}

// verify tells what was found of images, most often of such as a build has.
func (m *machine) verify(t *rapid.T) {
	name := m.artifact(t)
	ref := m.drawRef(t, name)
	req := registry.VerifyRequest{Component: rapid.SampledFrom(modelComponents).Draw(t, "component")}
	if v, _ := m.model.find(name, ref, ""); v != nil {
		for _, b := range v.Builds {
			if b.Component != req.Component {
				continue
			}
			for _, i := range b.Images {
				if rapid.Bool().Draw(t, "seen") {
					req.Images = append(req.Images, registry.Image{Provider: i.Provider, Region: i.Region, ID: i.ID})
				}
			}
		}
	}
	if len(req.Images) == 0 || rapid.IntRange(0, 9).Draw(t, "unknown") == 0 {
		req.Images = append(req.Images, registry.Image{Provider: "aws", Region: "eu-west-1", ID: "ami-0unknown"})
	}
	for i := range req.Images {
		req.Images[i].Verification = drawVerification(t, []registry.ImageStatus{registry.ImageAvailable, registry.ImageAvailable, registry.ImagePending, registry.ImageFailed})
		if rapid.Bool().Draw(t, "looked before") {
			req.Images[i].Verification.At = m.w.clock.Add(-time.Hour)
		}
	}
	want, wantErr := m.model.verify(name, ref, req)
	got, err := m.w.Verify(m.ctx, name, ref, req)
	sameKind(t, "verify "+name+" "+ref, err, wantErr)
	if err == nil {
		sameVersion(t, "the answer to verify", got, *want)
	}
}

func (m *machine) setChannel(t *rapid.T) {
	name := m.artifact(t)
	change := registry.ChannelChange{Ref: m.drawRef(t, name), Reason: rapid.SampledFrom([]string{"", "release"}).Draw(t, "reason")}
	if from := rapid.Int64Range(-1, 3).Draw(t, "from"); from >= 0 {
		change.From = &from
	}
	m.changeChannel(t, name, change)
}

func (m *machine) rollBack(t *rapid.T) {
	m.changeChannel(t, m.artifact(t), registry.ChannelChange{Rollback: true, Reason: "worse than before"})
}

func (m *machine) changeChannel(t *rapid.T, name string, change registry.ChannelChange) {
	channel := rapid.SampledFrom(append([]string{"latest"}, modelChannels...)).Draw(t, "channel")
	want, wantErr := m.model.setChannel(name, channel, change)
	got, err := m.w.SetChannel(m.ctx, name, channel, change)
	sameKind(t, "set channel "+channel+" of "+name, err, wantErr)
	if err == nil {
		same(t, "the answer to set channel", got, want)
	}
}

func (m *machine) deleteChannel(t *rapid.T) {
	name, channel := m.artifact(t), rapid.SampledFrom(modelChannels).Draw(t, "channel")
	wantErr := m.model.deleteChannel(name, channel)
	sameKind(t, "delete channel "+channel+" of "+name, m.w.DeleteChannel(m.ctx, name, channel), wantErr)
}

// revoke takes a version back now, at a time before, or at one that may come.
func (m *machine) revoke(t *rapid.T) {
	name := m.artifact(t)
	ref := m.drawRef(t, name)
	req := registry.RevokeRequest{Reason: rapid.SampledFrom([]string{"CVE-2026-1 <bad> & worse", "end of life", "end of life", "end of life", " "}).Draw(t, "reason")}
	if hours := rapid.SampledFrom([]int{0, 0, -1, 1, 2}).Draw(t, "hours"); hours != 0 {
		at := m.w.clock.Add(time.Duration(hours) * time.Hour)
		req.At = &at
	}
	want, wantErr := m.model.revoke(name, ref, req)
	got, err := m.w.Revoke(m.ctx, name, ref, req)
	sameKind(t, "revoke "+name+" "+ref, err, wantErr)
	if err == nil {
		sameVersion(t, "the answer to revoke", got, *want)
	}
}

func (m *machine) restore(t *rapid.T) {
	name := m.artifact(t)
	ref := m.drawRef(t, name)
	want, wantErr := m.model.restore(name, ref)
	got, err := m.w.Restore(m.ctx, name, ref)
	sameKind(t, "restore "+name+" "+ref, err, wantErr)
	if err == nil {
		sameVersion(t, "the answer to restore", got, *want)
	}
}

// letTimePass moves the clock, and lets the server look for what is due, or not yet.
func (m *machine) letTimePass(t *rapid.T) {
	m.w.clock = m.w.clock.Add(time.Duration(rapid.SampledFrom([]int{1, 30, 60, 120}).Draw(t, "minutes")) * time.Minute)
	if !rapid.Bool().Draw(t, "refresh") {
		return
	}
	if _, err := m.w.RefreshLatest(m.ctx); err != nil {
		t.Fatal(err)
	}
	m.model.refreshed = m.w.clock
	if n, err := m.w.RefreshLatest(m.ctx); err != nil || n != 0 {
		t.Fatalf("a second refresh at the same time found %d, %v", n, err)
	}
}

func (m *machine) putArtifact(t *rapid.T) {
	name, description := m.artifact(t), rapid.SampledFrom([]string{"", "an app"}).Draw(t, "description")
	m.model.put(name, description)
	if _, err := m.w.PutArtifact(m.ctx, name, registry.ArtifactSettings{Description: description}); err != nil {
		t.Fatal(err)
	}
}

// deleteArtifact is left out most of the time: it would hide what comes of long histories.
func (m *machine) deleteArtifact(t *rapid.T) {
	if rapid.IntRange(0, 3).Draw(t, "delete") > 0 {
		t.Skip("kept")
	}
	name := m.artifact(t)
	wantErr := m.model.delete(name)
	sameKind(t, "delete "+name, m.w.DeleteArtifact(m.ctx, name), wantErr)
}

func (m *machine) resolve(t *rapid.T) {
	optional := func(label string, values ...string) string {
		return rapid.SampledFrom(append([]string{"", ""}, values...)).Draw(t, label)
	}
	q := registry.Question{
		Type:         optional("type", "aws.ami", "amazon.image", "qemu.image", "archive", "vagrant.box"),
		Region:       optional("region", modelRegions...),
		Component:    optional("component", modelComponents...),
		Architecture: optional("architecture", "x86_64", "arm64", "amd64"),
		Provider:     optional("provider", "aws", "qemu", "hetzner", "libvirt"),
	}
	if rapid.IntRange(0, 4).Draw(t, "narrow") > 0 { // most lookups have type and region only
		q.Component, q.Architecture, q.Provider = "", "", ""
	} else if key := optional("metadata", "role", "region", "git"); key != "" {
		q.Metadata = registry.Metadata{key: rapid.SampledFrom([]string{"web", "eu-west-1", "a"}).Draw(t, "value")}
	}
	name := m.artifact(t)
	for range 3 {
		m.lookUp(t, name, m.drawRef(t, name), q)
	}
}

// imageUses asks for an image that may be anywhere.
func (m *machine) imageUses(t *rapid.T) {
	region := rapid.SampledFrom(modelRegions).Draw(t, "region")
	id := modelImageID(rapid.SampledFrom(modelFingerprints).Draw(t, "fingerprint"), region, "")
	provider := rapid.SampledFrom([]string{"aws", "aws", "qemu", "hetzner"}).Draw(t, "provider")
	all, err := m.w.ImageUses(m.ctx, provider, region, id)
	if err != nil && registry.KindOf(err) != registry.NotFound {
		t.Fatal(err)
	}
	got := map[string]registry.ImageUse{}
	for _, use := range all {
		if !strings.HasPrefix(string(use.Artifact), m.model.namespace+"/") {
			t.Fatal("an image is used by an artifact that was deleted")
		}
		got[useKey(use)] = use
	}
	if len(got) != len(all) {
		t.Fatal("a use of an image is there twice")
	}
	same(t, "uses of image "+provider+"/"+region+"/"+id, got, m.model.imageUses(provider, region, id))
}

func useKey(use registry.ImageUse) string {
	return string(use.Artifact) + " " + strconv.FormatInt(use.Number, 10) + " " + use.Component
}
