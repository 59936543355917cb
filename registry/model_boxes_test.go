package registry_test

import (
	"slices"

	"pgregory.net/rapid"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// The rules of what Vagrant's clients do: versions that are held, and boxes that are announced before they are there.

// openedRuns are the fingerprints that the registry chose.
func (m *model) openedRuns(name string) (fingerprints []string) {
	if a := m.artifact(name); a != nil {
		for _, v := range a.versions {
			if !slices.Contains(modelFingerprints, v.Fingerprint) {
				fingerprints = append(fingerprints, v.Fingerprint)
			}
		}
	}
	return fingerprints
}

// openVersion: an artifact that is there gets a version that is not complete before it is released.
func (m *model) openVersion(name string, req registry.VersionRequest) (*registry.Version, registry.Kind) {
	a := m.artifact(name)
	if a == nil {
		return nil, registry.NotFound
	}
	if findVersion(a.versions, func(v registry.Version) bool { return v.Version == req.Version }) != nil {
		return nil, registry.Conflict
	}
	v := a.addVersion(m, name, registry.Publication{Version: req.Version})
	v.Held, v.Description = true, req.Description
	m.record(name, v.Number, registry.ActionVersionOpen, nil)
	return v, ""
}

func (m *model) announceBox(name, ref string, box registry.PendingBox) (*registry.Version, registry.Kind) {
	v, kind := m.findFixed(name, ref)
	if kind != "" {
		return nil, kind
	}
	if findBuild(*v, box.Component) != nil || hasTwin(*v, box.Component, box.Provider, box.Architecture) {
		return nil, registry.Conflict
	}
	box.CreatedAt, box.CreatedBy = m.now(), m.actor
	at := findPending(*v, box.Component)
	switch {
	case at >= 0 && v.Pending[at].Checksum == box.Checksum:
		return v, ""
	case at >= 0:
		v.Pending[at] = box
	default:
		v.Pending = append(v.Pending, box)
	}
	m.record(name, v.Number, registry.ActionBuildAnnounce, registry.Metadata{"component": box.Component})
	return v, ""
}

// addBox: a box takes the place of what was announced and, as long as the version is held, of another box.
func (m *model) addBox(name, ref string, b registry.Build) (*registry.Version, registry.Kind) {
	v, kind := m.findFixed(name, ref)
	if kind != "" {
		return nil, kind
	}
	old := findBuild(*v, b.Component)
	switch {
	case old != nil && old.Images[0].ID == b.Images[0].ID:
		return v, ""
	case old != nil && !v.Held, old == nil && hasTwin(*v, b.Component, b.Provider, b.Architecture):
		return nil, registry.Conflict
	case old != nil:
		m.dropBuild(name, v, b.Component)
	}
	m.addBuild(name, v, b)
	if at := findPending(*v, b.Component); at >= 0 {
		v.Pending = slices.Delete(v.Pending, at, at+1)
	}
	m.follow(name, v, true, nil)
	return v, ""
}

func (m *model) dropBuild(name string, v *registry.Version, component string) {
	v.Builds = slices.DeleteFunc(v.Builds, func(b registry.Build) bool { return b.Component == component })
	m.record(name, v.Number, registry.ActionBuildDelete, registry.Metadata{"component": component})
}

func (m *model) deleteBox(name, ref, component string) registry.Kind {
	v, kind := m.findFixed(name, ref)
	if kind != "" {
		return kind
	}
	b, at := findBuild(*v, component), findPending(*v, component)
	switch {
	case b != nil && b.Type == registry.VagrantBox:
		m.dropBuild(name, v, component)
		m.follow(name, v, true, nil)
	case at >= 0:
		v.Pending = slices.Delete(v.Pending, at, at+1)
		m.record(name, v.Number, registry.ActionBuildDelete, registry.Metadata{"component": component})
	default:
		return registry.NotFound
	}
	return ""
}

func (m *model) releaseVersion(name, ref string) (*registry.Version, registry.Kind) {
	v, kind := m.findFixed(name, ref)
	if kind != "" {
		return nil, kind
	}
	if !v.Held || len(v.Builds) == 0 {
		return nil, registry.Conflict
	}
	v.Held = false
	m.record(name, v.Number, registry.ActionVersionRelease, nil)
	m.follow(name, v, true, nil)
	return v, ""
}

// deleteVersion: no channel points to what is gone, and a rollback goes to the version before it.
func (m *model) deleteVersion(name, ref string) registry.Kind {
	v, kind := m.findFixed(name, ref)
	if kind != "" {
		return kind
	}
	a := m.artifacts[name]
	for channel, moves := range a.moves {
		if a.channels[channel].Number == v.Number {
			delete(a.channels, channel)
		}
		var kept []registry.ChannelMove // the oldest first
		for _, move := range slices.Backward(moves) {
			if move.To.Number == v.Number {
				continue
			}
			if move.From != nil && move.From.Number == v.Number {
				if move.From = nil; len(kept) > 0 {
					move.From = &kept[len(kept)-1].To
				}
				if move.From != nil && *move.From == move.To {
					continue
				}
			}
			kept = append(kept, move)
		}
		slices.Reverse(kept)
		a.moves[channel] = slices.Clone(kept)
	}
	a.versions = slices.DeleteFunc(a.versions, func(o *registry.Version) bool { return o == v })
	m.record(name, v.Number, registry.ActionVersionDelete, nil)
	return ""
}

// hasTwin says whether another component is the same to Vagrant.
func hasTwin(v registry.Version, component, provider, architecture string) bool {
	return slices.ContainsFunc(v.Builds, func(b registry.Build) bool {
		return b.Type == registry.VagrantBox && b.Component != component && b.Provider == provider && b.Architecture == architecture
	}) || slices.ContainsFunc(v.Pending, func(b registry.PendingBox) bool {
		return b.Component != component && b.Provider == provider && b.Architecture == architecture
	})
}

func findPending(v registry.Version, component string) int {
	return slices.IndexFunc(v.Pending, func(b registry.PendingBox) bool { return b.Component == component })
}

// modelBoxes are the components of boxes, with provider and architecture; the last is the first to Vagrant.
var modelBoxes = [][3]string{
	{"vagrant.virtualbox", "virtualbox", ""}, {"vagrant.libvirt.amd64", "libvirt", "amd64"}, {"another", "virtualbox", ""},
}

// drawOpened draws a ref, most often of a version that was opened.
func (m *machine) drawOpened(t *rapid.T, name string) string {
	if runs := m.model.openedRuns(name); len(runs) > 0 && rapid.IntRange(0, 4).Draw(t, "opened") > 0 {
		return "fingerprint:" + rapid.SampledFrom(runs).Draw(t, "run")
	}
	return m.drawRef(t, name)
}

func (m *machine) openVersion(t *rapid.T) {
	name := m.artifact(t)
	req := registry.VersionRequest{Version: rapid.SampledFrom([]string{"0.9.0", "1.0.0", "1.1.0", "1.2.0", "3.0.0"}).Draw(t, "version"), Description: "a box"}
	want, wantErr := m.model.openVersion(name, req)
	got, err := m.w.OpenVersion(m.ctx, name, req)
	sameKind(t, "open "+name+" "+req.Version, err, wantErr)
	if err == nil {
		want.Fingerprint = got.Fingerprint // the registry's choice
		sameVersion(t, "the answer to open", got, *want)
	}
}

func (m *machine) announceBox(t *rapid.T) {
	name := m.artifact(t)
	ref, of := m.drawOpened(t, name), rapid.SampledFrom(modelBoxes).Draw(t, "box")
	box := registry.PendingBox{Component: of[0], Provider: of[1], Architecture: of[2]}
	if rapid.IntRange(0, 3).Draw(t, "checksum") == 0 {
		box.ChecksumType, box.Checksum = "md5", "00112233445566778899aabbccddeeff"
	}
	want, wantErr := m.model.announceBox(name, ref, box)
	got, err := m.w.AnnounceBox(m.ctx, name, ref, box)
	m.sameChange(t, "announce", got, err, want, wantErr)
}

func (m *machine) addBox(t *rapid.T) {
	name := m.artifact(t)
	ref, of := m.drawOpened(t, name), rapid.SampledFrom(modelBoxes).Draw(t, "box")
	url := "https://example.com/" + rapid.SampledFrom([]string{"a", "a", "b"}).Draw(t, "url")
	b := registry.Build{
		Component: of[0], Type: registry.VagrantBox, Provider: of[1], Architecture: of[2],
		Images: []registry.Image{{Provider: "url", ID: url}},
	}
	want, wantErr := m.model.addBox(name, ref, b)
	got, err := m.w.AddBox(m.ctx, name, ref, b)
	m.sameChange(t, "add a box", got, err, want, wantErr)
}

func (m *machine) deleteBox(t *rapid.T) {
	name := m.artifact(t)
	ref := m.drawOpened(t, name)
	component := rapid.SampledFrom([]string{modelBoxes[0][0], modelBoxes[1][0], modelComponents[0]}).Draw(t, "component")
	wantErr := m.model.deleteBox(name, ref, component)
	sameKind(t, "delete box "+component+" of "+name+" "+ref, m.w.DeleteBox(m.ctx, name, ref, component), wantErr)
}

func (m *machine) releaseVersion(t *rapid.T) {
	name := m.artifact(t)
	ref := m.drawOpened(t, name)
	want, wantErr := m.model.releaseVersion(name, ref)
	got, err := m.w.ReleaseVersion(m.ctx, name, ref)
	m.sameChange(t, "release", got, err, want, wantErr)
}

// deleteVersion is left out at times, so that versions come to a history.
func (m *machine) deleteVersion(t *rapid.T) {
	if rapid.Bool().Draw(t, "keep") {
		t.Skip("kept")
	}
	name := m.artifact(t)
	ref := m.drawOpened(t, name)
	wantErr := m.model.deleteVersion(name, ref)
	sameKind(t, "delete "+name+" "+ref, m.w.DeleteVersion(m.ctx, name, ref), wantErr)
}

func (m *machine) sameChange(t *rapid.T, what string, got registry.Version, err error, want *registry.Version, wantErr registry.Kind) {
	t.Helper()
	sameKind(t, what, err, wantErr)
	if err == nil {
		sameVersion(t, "the answer to "+what, got, *want)
	}
}
