package registry_test

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// model is the registry's rules over plain memory, as docs/http-api.md, docs/adr and the doc comments of package
// registry tell them. Its records are the domain's types, of which it uses none of the methods.
type model struct {
	namespace string
	clock     func() time.Time
	actor     string
	artifacts map[string]*modelArtifact
	// events are those that are expected since the last look at the audit log.
	events []registry.Event
	// refreshed is when the server last looked for revocations that came into effect.
	refreshed time.Time
}

type modelArtifact struct {
	exists      bool
	description string
	createdAt   time.Time
	versions    []*registry.Version // by number
	channels    map[string]registry.Channel
	moves       map[string][]registry.ChannelMove // of each channel, the newest first; they can outlive it
	// These two outlive the artifact.
	lastNumber int64
	highest    string
}

func newModel(namespace string, clock func() time.Time, actor string) *model {
	return &model{namespace: namespace, clock: clock, actor: actor, artifacts: map[string]*modelArtifact{}, refreshed: clock()}
}

// now is the time as a store keeps it.
func (m *model) now() time.Time { return m.clock().UTC().Truncate(time.Microsecond) }

// artifact returns one that exists, or nil.
func (m *model) artifact(name string) *modelArtifact {
	if a := m.artifacts[name]; a != nil && a.exists {
		return a
	}
	return nil
}

// made returns an artifact that is made if it is not there.
func (m *model) made(name string) *modelArtifact {
	if m.artifacts[name] == nil {
		m.artifacts[name] = &modelArtifact{}
	}
	a := m.artifacts[name]
	if !a.exists {
		a.exists, a.createdAt, a.description, a.versions = true, m.now(), "", nil
		a.channels, a.moves = map[string]registry.Channel{}, map[string][]registry.ChannelMove{}
	}
	return a
}

func (m *model) record(name string, number int64, action string, detail registry.Metadata) {
	m.events = append(m.events, registry.Event{
		At: m.now(), Actor: m.actor, Action: action, Artifact: registry.ArtifactName(name), Number: number, Detail: detail,
	})
}

func (m *model) put(name, description string) {
	m.made(name).description = description
	m.record(name, 0, registry.ActionArtifactUpdate, nil)
}

func (m *model) delete(name string) registry.Kind {
	a := m.artifact(name)
	if a == nil {
		return registry.NotFound
	}
	a.exists = false
	m.record(name, 0, registry.ActionArtifactDelete, nil)
	return ""
}

// publish: the first publication of a fingerprint makes the version; the same content again is a no-op; more
// images, attachments and metadata of an open version are added; anything else contradicts what is recorded.
func (m *model) publish(name string, pub registry.Publication) (registry.Receipt, registry.Kind) {
	a := m.artifact(name)
	if a == nil { // what was known of it before counts when it is made
		a = &modelArtifact{}
	}
	v := findVersion(a.versions, func(v registry.Version) bool { return v.Fingerprint == pub.Fingerprint })
	switch {
	case v == nil && pub.Version != "" && findVersion(a.versions, func(v registry.Version) bool { return v.Version == pub.Version }) != nil:
		return registry.Receipt{}, registry.Conflict
	case v != nil && contradicts(*v, pub):
		return registry.Receipt{}, registry.Conflict
	}
	a = m.made(name)
	if v == nil {
		v = a.addVersion(m, name, pub)
	}
	for key, value := range pub.VersionMetadata {
		v.Metadata[key] = value
	}
	changed := m.addBuild(name, v, pub.Build)
	m.follow(name, v, changed, pub.Channels)
	return m.receipt(name, *v, pub), ""
}

func (a *modelArtifact) addVersion(m *model, name string, pub registry.Publication) *registry.Version {
	version := pub.Version
	switch {
	case version == "" && a.highest == "":
		version = "0.1.0"
	case version == "":
		s := parseModelSemver(a.highest)
		version = fmt.Sprintf("%d.%d.0", s.segments[0], s.segments[1]+1)
	}
	if a.highest == "" || parseModelSemver(version).compare(parseModelSemver(a.highest)) > 0 {
		a.highest = version
	}
	a.lastNumber++
	v := &registry.Version{
		Artifact: registry.ArtifactName(name), VersionID: registry.VersionID{Number: a.lastNumber, Version: version},
		Fingerprint: pub.Fingerprint, Status: registry.StatusOpen, Expect: slices.Sorted(slices.Values(pub.Expect)),
		Metadata: registry.Metadata{}, CreatedAt: m.now(), CreatedBy: m.actor,
	}
	a.versions = append(a.versions, v)
	return v
}

// contradicts says whether a publication says something else than what is recorded, or less where less is not
// allowed. What is about the version can be left out; of a build, provenance, attachments, verifications, and an
// image's source and labels can.
func contradicts(v registry.Version, pub registry.Publication) bool {
	if pub.Version != "" && pub.Version != v.Version {
		return true
	}
	if len(pub.Expect) > 0 && !slices.Equal(slices.Sorted(slices.Values(pub.Expect)), v.Expect) {
		return true
	}
	for key, value := range pub.VersionMetadata {
		old, ok := v.Metadata[key]
		if ok && old != value || !ok && v.Status == registry.StatusComplete {
			return true
		}
	}
	old := findBuild(v, pub.Build.Component)
	if old == nil {
		return false
	}
	b := pub.Build
	if b.Type != old.Type || b.Architecture != old.Architecture || !maps.Equal(b.Metadata, old.Metadata) || !slices.Equal(b.Files, old.Files) {
		return true
	}
	for _, recorded := range old.Images {
		i := slices.IndexFunc(b.Images, func(again registry.Image) bool { return samePlace(again, recorded) })
		if i < 0 && hasFailed(recorded) {
			continue
		}
		if i < 0 || len(b.Images[i].Labels) > 0 && !maps.Equal(b.Images[i].Labels, recorded.Labels) {
			return true
		}
	}
	for _, again := range b.Attachments {
		for _, recorded := range old.Attachments {
			if again.Name == recorded.Name && (again.File != recorded.File || again.Kind != recorded.Kind) {
				return true
			}
		}
	}
	return false
}

// hasFailed: such an image was never handed out, so that a publication can leave it out, or replace it.
func hasFailed(i registry.Image) bool {
	return i.Verification != nil && i.Verification.Status == registry.ImageFailed
}

// addBuild adds what a version does not have yet, and says whether there was anything.
func (m *model) addBuild(name string, v *registry.Version, b registry.Build) bool {
	component := registry.Metadata{"component": b.Component}
	old := findBuild(*v, b.Component)
	if old == nil {
		b.CreatedAt, b.CreatedBy = m.now(), m.actor
		b.Images, b.Attachments = m.stamped(b.Images), formatted(b.Attachments)
		v.Builds = append(v.Builds, b)
		m.record(name, v.Number, registry.ActionBuildPublish, component)
	} else {
		before := len(m.events)
		images := slices.DeleteFunc(m.stamped(b.Images), func(i registry.Image) bool {
			return slices.ContainsFunc(old.Images, func(o registry.Image) bool { return samePlace(o, i) })
		})
		left := slices.DeleteFunc(slices.Clone(old.Images), func(o registry.Image) bool {
			return hasFailed(o) && !slices.ContainsFunc(b.Images, func(i registry.Image) bool { return samePlace(o, i) })
		})
		if len(left) < len(old.Images) {
			old.Images = left
			m.record(name, v.Number, registry.ActionImagesReplace, component)
		}
		if len(images) > 0 {
			old.Images = append(old.Images, images...)
			m.record(name, v.Number, registry.ActionImagesAdd, component)
		}
		documents := slices.DeleteFunc(formatted(b.Attachments), func(a registry.Attachment) bool {
			return slices.ContainsFunc(old.Attachments, func(o registry.Attachment) bool { return o.Name == a.Name })
		})
		if len(documents) > 0 {
			old.Attachments = append(old.Attachments, documents...)
			m.record(name, v.Number, registry.ActionAttachmentsAdd, component)
		}
		return len(m.events) > before
	}
	return true
}

// follow is what comes of a changed build: the version's status, and channels, which move once for a version, when
// it is complete and not revoked, and never back.
func (m *model) follow(name string, v *registry.Version, changed bool, asked []string) {
	before := v.Status
	if changed && before != registry.StatusComplete {
		v.Status = registry.StatusComplete
		for _, expected := range v.Expect {
			if findBuild(*v, expected) == nil {
				v.Status = registry.StatusOpen
			}
		}
		for _, status := range []registry.ImageStatus{registry.ImagePending, registry.ImageFailed} {
			for _, b := range v.Builds {
				if !slices.ContainsFunc(b.Images, func(i registry.Image) bool { return i.Verification != nil && i.Verification.Status == status }) {
					continue
				}
				v.Status = map[registry.ImageStatus]registry.Status{registry.ImagePending: registry.StatusOpen, registry.ImageFailed: registry.StatusFailed}[status]
			}
		}
		if v.Held || len(v.Builds) == 0 {
			v.Status = registry.StatusOpen
		}
	}
	completed := v.Status == registry.StatusComplete && before != v.Status
	if completed {
		now := m.now()
		v.Completed = &now
		m.record(name, v.Number, registry.ActionVersionComplete, nil)
	}
	if v.Status == registry.StatusFailed && before != v.Status {
		m.record(name, v.Number, registry.ActionVersionFail, nil)
	}
	var fresh []string
	for _, channel := range slices.Sorted(slices.Values(asked)) {
		if !slices.Contains(v.Requested, channel) && !m.revoked(*v) {
			fresh = append(fresh, channel)
		}
	}
	v.Requested = slices.Sorted(slices.Values(append(slices.Clone(v.Requested), fresh...)))
	if completed {
		fresh = v.Requested
	}
	for _, channel := range fresh {
		if m.offered(*v) && m.pointsTo(name, channel) < v.Number {
			m.move(name, channel, *v, "published")
		}
	}
}

func (m *model) move(name, channel string, v registry.Version, reason string) {
	a := m.artifacts[name]
	move := registry.ChannelMove{To: v.VersionID, At: m.now(), By: m.actor, Reason: reason}
	if old, ok := a.channels[channel]; ok {
		move.From = &old.VersionID
	}
	a.channels[channel] = registry.Channel{Name: channel, VersionID: move.To, MovedAt: move.At, MovedBy: move.By}
	a.moves[channel] = slices.Insert(slices.Clone(a.moves[channel]), 0, move)
	m.record(name, v.Number, registry.ActionChannelMove, registry.Metadata{"channel": channel, "to": fmt.Sprintf("%s (number %d)", v.Version, v.Number)})
}

// deleteChannel leaves the moves, with which a channel of the same name goes on.
func (m *model) deleteChannel(name, channel string) registry.Kind {
	a := m.artifact(name)
	if a == nil || m.pointsTo(name, channel) == 0 {
		return registry.NotFound
	}
	number := m.pointsTo(name, channel)
	from := a.channels[channel].VersionID
	delete(a.channels, channel)
	m.record(name, number, registry.ActionChannelDelete, registry.Metadata{"channel": channel, "from": fmt.Sprintf("%s (number %d)", from.Version, from.Number)})
	return ""
}

// pointsTo is the number of the version that a channel points to; 0 without the channel.
func (m *model) pointsTo(name, channel string) int64 {
	return m.artifacts[name].channels[channel].Number
}

func (m *model) receipt(name string, v registry.Version, pub registry.Publication) registry.Receipt {
	b := findBuild(v, pub.Build.Component)
	r := registry.Receipt{
		Artifact: v.Artifact, VersionID: v.VersionID, Fingerprint: v.Fingerprint, Component: b.Component, Type: b.Type,
		PublishedAt: b.CreatedAt, Status: v.Status,
	}
	for _, expected := range v.Expect {
		if findBuild(v, expected) == nil {
			r.Missing = append(r.Missing, expected)
		}
	}
	for _, i := range b.Images {
		if !usable(i) {
			r.Waiting = append(r.Waiting, fmt.Sprintf("image %s/%s/%s is %s (%s)", i.Provider, i.Region, i.ID, i.Verification.Status, i.Verification.Reason))
		}
	}
	for _, channel := range slices.Sorted(slices.Values(pub.Channels)) {
		r.Channels = append(r.Channels, registry.ChannelOutcome{Name: channel, Points: m.pointsTo(name, channel) == v.Number})
	}
	return r
}

// stamped are images whose verifications have a time that is not in the future.
func (m *model) stamped(images []registry.Image) []registry.Image {
	images = slices.Clone(images)
	for i := range images {
		if v := images[i].Verification; v != nil {
			stamped := *v
			if stamped.At.IsZero() || stamped.At.After(m.now()) {
				stamped.At = m.now()
			}
			images[i].Verification = &stamped
		}
	}
	return images
}

// formatted are attachments with the format that the registry reads from the one SBOM of the test.
func formatted(attachments []registry.Attachment) []registry.Attachment {
	attachments = slices.Clone(attachments)
	for i := range attachments {
		if attachments[i].Kind == registry.AttachmentSBOM {
			attachments[i].Format = "CycloneDX 1.6"
		}
	}
	return attachments
}

// attachments are those that are recorded with a build.
func (m *model) attachments(name, fingerprint, component string) []registry.Attachment {
	if a := m.artifact(name); a != nil {
		if v := findVersion(a.versions, func(v registry.Version) bool { return v.Fingerprint == fingerprint }); v != nil {
			if b := findBuild(*v, component); b != nil {
				return b.Attachments
			}
		}
	}
	return nil
}

func samePlace(a, b registry.Image) bool {
	return a.Provider == b.Provider && a.Region == b.Region && a.ID == b.ID
}

func findVersion(versions []*registry.Version, is func(registry.Version) bool) *registry.Version {
	for _, v := range versions {
		if is(*v) {
			return v
		}
	}
	return nil
}

func findBuild(v registry.Version, component string) *registry.Build {
	for i := range v.Builds {
		if v.Builds[i].Component == component {
			return &v.Builds[i]
		}
	}
	return nil
}
