package registry_test

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func usable(i registry.Image) bool {
	return i.Verification == nil || i.Verification.Status == registry.ImageAvailable
}

// handedOut says whether a build has something to hand out: files, or an image that is usable.
func handedOut(b registry.Build) bool {
	return len(b.Images) == 0 || slices.ContainsFunc(b.Images, usable)
}

func (m *model) revoked(v registry.Version) bool {
	return v.Revocation != nil && !m.now().Before(v.Revocation.At)
}

func (m *model) offered(v registry.Version) bool {
	return v.Status == registry.StatusComplete && !m.revoked(v)
}

func hasType(v registry.Version, typ registry.Type) bool {
	return typ == "" || slices.ContainsFunc(v.Builds, func(b registry.Build) bool { return b.Type == typ && handedOut(b) })
}

// find returns the version that a ref names. floating says that the ref can name another one later.
func (m *model) find(name, ref string, typ registry.Type) (found *registry.Version, floating bool) {
	a := m.artifact(name)
	if a == nil {
		return nil, false
	}
	by := func(is func(registry.Version) bool) *registry.Version { return findVersion(a.versions, is) }
	if fingerprint, ok := strings.CutPrefix(ref, "fingerprint:"); ok {
		return by(func(v registry.Version) bool { return v.Fingerprint == fingerprint }), false
	}
	if number, err := strconv.ParseInt(ref, 10, 64); err == nil {
		return by(func(v registry.Version) bool { return v.Number == number }), false
	}
	switch {
	case ref == "latest":
		for _, v := range a.versions {
			if m.offered(*v) && hasType(*v, typ) {
				found = v
			}
		}
		return found, true
	case strings.ContainsAny(ref, "<>=~!"):
		for _, v := range a.versions {
			s := parseModelSemver(v.Version)
			if m.offered(*v) && hasType(*v, typ) && fits(ref, s) && (found == nil || s.compare(parseModelSemver(found.Version)) > 0) {
				found = v
			}
		}
		return found, true
	case strings.Count(ref, ".") >= 2:
		return by(func(v registry.Version) bool { return v.Version == ref }), false
	}
	if number := m.pointsTo(name, ref); number > 0 {
		return by(func(v registry.Version) bool { return v.Number == number }), true
	}
	return by(func(v registry.Version) bool { return v.Fingerprint == ref }), false
}

// fits reads constraints whose bounds have three numbers. Pre-releases fit only a constraint that names one.
func fits(constraint string, v modelSemver) bool {
	if v.pre != "" {
		return false
	}
	for part := range strings.SplitSeq(constraint, ", ") {
		operator, bound, _ := strings.Cut(part, " ")
		b := parseModelSemver(bound)
		c := v.compare(b)
		ok := map[string]bool{
			"=": c == 0, "!=": c != 0, "<": c < 0, "<=": c <= 0, ">": c > 0, ">=": c >= 0,
			"~>": c >= 0 && v.segments[0] == b.segments[0] && v.segments[1] == b.segments[1],
		}[operator]
		if !ok {
			return false
		}
	}
	return true
}

// findFixed is find for acts that need a ref that names the same version for ever.
func (m *model) findFixed(name, ref string) (*registry.Version, registry.Kind) {
	switch v, floating := m.find(name, ref, ""); {
	case v == nil:
		return nil, registry.NotFound
	case floating:
		return nil, registry.Invalid
	default:
		return v, ""
	}
}

// verify: in a complete version, an image that is handed out stays so. The same finding again, and one from
// before what is recorded, change nothing.
func (m *model) verify(name, ref string, req registry.VerifyRequest) (*registry.Version, registry.Kind) {
	v, kind := m.findFixed(name, ref)
	if kind != "" {
		return nil, kind
	}
	b := findBuild(*v, req.Component)
	if b == nil {
		return nil, registry.NotFound
	}
	for _, image := range req.Images {
		if !slices.ContainsFunc(b.Images, func(i registry.Image) bool { return samePlace(i, image) }) {
			return nil, registry.NotFound
		}
	}
	for _, image := range req.Images {
		at := slices.IndexFunc(b.Images, func(i registry.Image) bool { return samePlace(i, image) })
		if v.Status == registry.StatusComplete && usable(b.Images[at]) && !usable(image) {
			return nil, registry.Conflict
		}
	}
	changed := false
	for _, image := range m.stamped(req.Images) {
		at := slices.IndexFunc(b.Images, func(i registry.Image) bool { return samePlace(i, image) })
		if old, found := b.Images[at].Verification, *image.Verification; old != nil {
			same := old.Status == found.Status && old.Reason == found.Reason && maps.Equal(old.Attributes, found.Attributes)
			if same || found.At.Before(old.At) {
				continue
			}
		}
		changed = true
		b.Images[at].Verification = image.Verification
		m.record(name, v.Number, registry.ActionImageVerify, registry.Metadata{
			"component": b.Component, "image": image.Provider + "/" + image.Region + "/" + image.ID, "status": string(image.Verification.Status),
		})
	}
	m.follow(name, v, changed, nil)
	return v, ""
}

// setChannel: a person can move a channel to any version that is offered, in either direction.
func (m *model) setChannel(name, channel string, change registry.ChannelChange) (registry.ChannelHistory, registry.Kind) {
	if channel == "latest" {
		return registry.ChannelHistory{}, registry.Invalid
	}
	a := m.artifact(name)
	if a == nil {
		return registry.ChannelHistory{}, registry.NotFound
	}
	if change.From != nil && *change.From != m.pointsTo(name, channel) {
		return registry.ChannelHistory{}, registry.Conflict
	}
	ref := change.Ref
	if change.Rollback {
		moves := a.moves[channel]
		if m.pointsTo(name, channel) == 0 || moves[0].From == nil {
			return registry.ChannelHistory{}, registry.Conflict
		}
		ref = strconv.FormatInt(moves[0].From.Number, 10)
	}
	v, _ := m.find(name, ref, "")
	switch {
	case v == nil:
		return registry.ChannelHistory{}, registry.NotFound
	case !m.offered(*v):
		return registry.ChannelHistory{}, registry.Conflict
	case m.pointsTo(name, channel) != v.Number:
		m.move(name, channel, *v, change.Reason)
	}
	return m.history(name, channel), ""
}

func (m *model) history(name, channel string) registry.ChannelHistory {
	moves := m.artifacts[name].moves[channel]
	v := findVersion(m.artifacts[name].versions, func(v registry.Version) bool { return v.Number == moves[0].To.Number })
	return registry.ChannelHistory{
		Artifact: registry.ArtifactName(name), Channel: m.artifacts[name].channels[channel], Revocation: v.Revocation, Moves: moves[:min(100, len(moves))],
	}
}

func (m *model) revoke(name, ref string, req registry.RevokeRequest) (*registry.Version, registry.Kind) {
	if strings.TrimSpace(req.Reason) == "" {
		return nil, registry.Invalid
	}
	v, kind := m.findFixed(name, ref)
	if kind != "" {
		return nil, kind
	}
	if v.Status == registry.StatusOpen {
		return nil, registry.Conflict
	}
	v.Revocation = &registry.Revocation{At: m.now(), By: m.actor, Reason: req.Reason}
	if req.At != nil {
		v.Revocation.At = *req.At
	}
	m.record(name, v.Number, registry.ActionVersionRevoke, registry.Metadata{"reason": req.Reason})
	return v, ""
}

func (m *model) restore(name, ref string) (*registry.Version, registry.Kind) {
	v, kind := m.findFixed(name, ref)
	if kind == "" && v.Revocation != nil {
		v.Revocation = nil
		m.record(name, v.Number, registry.ActionVersionRestore, nil)
	}
	return v, kind
}

// refusal is why a lookup has no answer, and what there is instead.
type refusal struct {
	kind    registry.Kind
	regions []string // that there are, where the region was the mistake
	fitting int      // how many fit, where more than one does
}

// resolve finds the one build that a ref and a question name. It never takes the first of several, and never
// another region.
func (m *model) resolve(name, ref string, q registry.Question) (registry.Resolution, refusal) {
	typ := registry.Type(q.Type)
	if typ == "aws.ami" {
		typ = registry.AmazonImage
	}
	v, _ := m.find(name, ref, typ)
	if v == nil || v.Status != registry.StatusComplete {
		return registry.Resolution{}, refusal{kind: registry.NotFound}
	}
	var fitting []registry.Resolution
	var regions []string
	asked := 0
	for _, b := range v.Builds {
		r := m.answer(*v, b, q)
		if typ != "" && b.Type != typ || !handedOut(b) || q.Component != "" && b.Component != q.Component ||
			q.Architecture != "" && b.Architecture != q.Architecture || q.Provider != "" && q.Provider != b.Provider && len(r.Images) == 0 || !describedAs(r, q.Metadata) {
			continue
		}
		asked++
		for _, i := range r.Images {
			if i.Region != "" {
				regions = append(regions, i.Region)
			}
		}
		if q.Region != "" {
			r.Images = slices.DeleteFunc(r.Images, func(i registry.Image) bool { return i.Region != q.Region })
		}
		if q.Region == "" || len(r.Images) > 0 {
			fitting = append(fitting, r)
		}
	}
	slices.Sort(regions)
	switch {
	case asked == 0:
		return registry.Resolution{}, refusal{kind: registry.NotFound}
	case len(fitting) == 0:
		return registry.Resolution{}, refusal{kind: registry.NotFound, regions: slices.Compact(regions)}
	case len(fitting) > 1:
		return registry.Resolution{}, refusal{kind: registry.Conflict, fitting: len(fitting)}
	case q.Region != "" && len(fitting[0].Images) > 1:
		return registry.Resolution{}, refusal{kind: registry.Conflict, fitting: len(fitting[0].Images)}
	}
	r := fitting[0]
	r.Ref, r.Revoked, r.Revocation = ref, m.revoked(*v), v.Revocation
	if len(r.Images) == 1 {
		r.ID = r.Images[0].ID
	}
	return r, refusal{}
}

// answer is what there is to say of a build, with the images of the provider that is asked for.
func (m *model) answer(v registry.Version, b registry.Build, q registry.Question) registry.Resolution {
	r := registry.Resolution{Resolved: registry.Resolved{
		Artifact: v.Artifact, VersionID: v.VersionID, Fingerprint: v.Fingerprint, Component: b.Component, Type: b.Type,
		Provider: b.Provider, Architecture: b.Architecture, Files: b.Files, Attachments: sortedByName(b.Attachments), Metadata: registry.Metadata{},
		CreatedAt: v.CreatedAt, CompletedAt: v.Completed,
	}}
	for _, m := range []registry.Metadata{v.Metadata, b.Metadata} {
		for key, value := range m {
			r.Metadata[key] = value
		}
	}
	var regions, ids []string
	for _, i := range sortedByRegion(b.Images) {
		if !usable(i) {
			continue
		}
		if q.Provider == "" || q.Provider == b.Provider || i.Provider == q.Provider {
			r.Images = append(r.Images, i)
		}
		if b.Type == registry.AmazonImage {
			if r.AMIs == nil {
				r.AMIs = map[string]string{}
			}
			r.AMIs[i.Region], r.Metadata["region."+i.Region] = i.ID, i.ID
			regions, ids = append(regions, i.Region), append(ids, i.ID)
		}
	}
	if len(ids) > 0 {
		r.Metadata["ami_id"], r.Metadata["region"] = strings.Join(ids, ","), strings.Join(regions, ",")
	}
	return r
}

func describedAs(r registry.Resolution, want registry.Metadata) bool {
	for key, value := range want {
		_, inRegion := r.AMIs[value]
		if r.Metadata[key] != value && (key != "region" || !inRegion) {
			return false
		}
	}
	return true
}

func sortedByRegion(images []registry.Image) []registry.Image {
	return slices.SortedFunc(slices.Values(images), func(a, b registry.Image) int {
		return strings.Compare(a.Region+" "+a.Provider+" "+a.ID, b.Region+" "+b.Provider+" "+b.ID)
	})
}

func sortedByName(attachments []registry.Attachment) []registry.Attachment {
	return slices.SortedFunc(slices.Values(attachments), func(a, b registry.Attachment) int { return strings.Compare(a.Name, b.Name) })
}

// imageUses are the builds that have an image, whatever was found of it.
func (m *model) imageUses(provider, region, id string) map[string]registry.ImageUse {
	uses := map[string]registry.ImageUse{}
	for name, a := range m.artifacts {
		if !a.exists {
			continue
		}
		for _, v := range a.versions {
			use := registry.ImageUse{Artifact: v.Artifact, VersionID: v.VersionID, Revocation: v.Revocation}
			for _, channel := range modelChannels {
				if m.pointsTo(name, channel) == v.Number {
					use.Channels = append(use.Channels, channel)
				}
			}
			for _, b := range v.Builds {
				use.Component, use.Type = b.Component, b.Type
				if slices.ContainsFunc(b.Images, func(i registry.Image) bool { return i.Provider == provider && i.Region == region && i.ID == id }) {
					uses[useKey(use)] = use
				}
			}
		}
	}
	return uses
}
