package crashtest

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// run is what one fingerprint was sent: the acts that make its version and change it.
type run struct {
	artifact, fingerprint string
	round                 int

	mu   sync.Mutex
	acts []*act
	// given is the version that a receipt named, published when it said that each component was, and
	// pointed whether one said that the channel points to the version.
	given     registry.VersionID
	published map[string]time.Time
	pointed   bool

	steps []step // that are still to be done

	number int64            // that the registry lists it under; 0 while it does not
	last   registry.Version // what it was held against last
}

func (r *run) ref() string { return "fingerprint:" + r.fingerprint }

// act is one change of a registry, however often it is sent.
type act struct {
	kind string
	send func(ctx context.Context) error
	// there says whether a version shows any trace of the act, and apply adds to a version all that the
	// act does; what lies between the two is half visible.
	there func(registry.Version) bool
	apply func(*registry.Version)
	// events are those that the act leaves in the audit log, besides the ones about the version's status.
	events []string
	// harmless acts can be sent again when they were carried out, and change nothing then.
	harmless bool
	// reason marks the act in the history of a channel, which moved says that it changed.
	reason string
	moved  bool

	sent, acknowledged bool
	found              bool // it was not acknowledged, and was carried out
	settled            bool // so, and it is not to be sent again
}

func (a *act) applied() bool { return a.acknowledged || a.found }
func (a *act) unsure() bool  { return a.sent && !a.acknowledged && !a.settled }

// want is the version that the acts make which were carried out, and whether there is any.
func (r *run) want() (registry.Version, bool) {
	v := registry.Version{Artifact: registry.ArtifactName(r.artifact), Fingerprint: r.fingerprint, Status: registry.StatusOpen}
	exists := false
	for _, a := range r.acts {
		if !a.applied() {
			continue
		}
		exists = true
		a.apply(&v)
		if v.Status == registry.StatusComplete {
			continue
		}
		switch waiting := v.Waiting(); {
		case slices.ContainsFunc(waiting, func(i registry.Image) bool { return i.Verification.Status == registry.ImageFailed }):
			v.Status = registry.StatusFailed
		case len(waiting) == 0 && len(v.Missing()) == 0:
			v.Status = registry.StatusComplete
		}
	}
	return v, exists
}

// events are what the audit log has about the run, once each.
func (r *run) events(v registry.Version) []string {
	var events []string
	for _, a := range r.acts {
		if a.applied() {
			events = append(events, a.events...)
		}
	}
	switch v.Status {
	case registry.StatusComplete:
		events = append(events, registry.ActionVersionComplete)
	case registry.StatusFailed:
		events = append(events, registry.ActionVersionFail)
	}
	slices.Sort(events)
	return events
}

// task makes an act part of its run, and returns what sends it.
func (h *harness) task(r *run, a *act) func() bool {
	if !slices.Contains(r.acts, a) {
		r.acts = append(r.acts, a)
	}
	return func() bool {
		r.mu.Lock()
		a.sent = true
		r.mu.Unlock()
		ok := h.request(a.kind, a.send)
		r.mu.Lock()
		defer r.mu.Unlock()
		a.acknowledged = a.acknowledged || ok
		return ok
	}
}

// publication is the act of publishing a build, or more of one.
func (h *harness) publication(r *run, kind string, pub registry.Publication, there func(registry.Build) bool, events ...string) *act {
	component := pub.Build.Component
	return &act{
		kind: kind, events: events, harmless: true,
		send: func(ctx context.Context) error {
			receipt, err := h.api.Publish(ctx, r.artifact, pub)
			if err == nil {
				h.keepReceipt(r, receipt)
			}
			return err
		},
		there: func(v registry.Version) bool {
			b := buildOf(&v, component)
			return b != nil && there(*b)
		},
		apply: func(v *registry.Version) { applyPublication(v, pub) },
	}
}

// keepReceipt holds a receipt against the earlier ones of its run.
func (h *harness) keepReceipt(r *run, receipt registry.Receipt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.given.Number != 0 && r.given != receipt.VersionID {
		h.t.Errorf("%s of %s was acknowledged as %v and as %v", r.fingerprint, r.artifact, r.given, receipt.VersionID)
	}
	if at, ok := r.published[receipt.Component]; ok && !at.Equal(receipt.PublishedAt) {
		h.t.Errorf("%s of %s was acknowledged with two times of publication: %v and %v", receipt.Component, r.fingerprint, at, receipt.PublishedAt)
	}
	r.given, r.published[receipt.Component] = receipt.VersionID, receipt.PublishedAt
	for _, c := range receipt.Channels {
		r.pointed = r.pointed || c.Points
	}
}

// applyPublication adds to a version what a publication has more than it.
func applyPublication(v *registry.Version, pub registry.Publication) {
	v.Expect = slices.Sorted(slices.Values(pub.Expect))
	v.Requested = union(v.Requested, pub.Channels, strings.Compare)
	if v.Metadata == nil {
		v.Metadata = registry.Metadata{}
	}
	maps.Copy(v.Metadata, pub.VersionMetadata)
	b := buildOf(v, pub.Build.Component)
	if b == nil {
		b = &pub.Build
		b.Images, b.Files, b.Attachments = union(nil, b.Images, byPlace), union(nil, b.Files, byName), union(nil, b.Attachments, byAttachment)
		v.Builds = append(slices.Clone(v.Builds), *b)
		slices.SortFunc(v.Builds, func(a, b registry.Build) int { return cmp.Compare(a.Component, b.Component) })
		return
	}
	b.Images = union(b.Images, pub.Build.Images, byPlace)
	b.Attachments = union(b.Attachments, pub.Build.Attachments, byAttachment)
}

func byPlace(a, b registry.Image) int {
	return cmp.Or(cmp.Compare(a.Region, b.Region), cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.ID, b.ID))
}

func byName(a, b registry.File) int             { return cmp.Compare(a.Name, b.Name) }
func byAttachment(a, b registry.Attachment) int { return cmp.Compare(a.Name, b.Name) }

// union returns a sorted list with what is in either; of two that are the same it is the first.
func union[T any](list, more []T, compare func(a, b T) int) []T {
	all := slices.Clone(list)
	for _, m := range more {
		if !slices.ContainsFunc(all, func(have T) bool { return compare(have, m) == 0 }) {
			all = append(all, m)
		}
	}
	slices.SortFunc(all, compare)
	return all
}

func buildOf(v *registry.Version, component string) *registry.Build {
	for i := range v.Builds {
		if v.Builds[i].Component == component {
			return &v.Builds[i]
		}
	}
	return nil
}

// verification is the act of telling what was found of an image.
func (h *harness) verification(r *run, component string, image registry.Image, found registry.Verification) *act {
	image.Verification = &found
	status := func(v registry.Version) *registry.Image {
		b := buildOf(&v, component)
		if b == nil {
			return nil
		}
		at := slices.IndexFunc(b.Images, func(i registry.Image) bool { return byPlace(i, image) == 0 })
		return &b.Images[at]
	}
	return &act{
		kind:   "verify",
		events: []string{registry.ActionImageVerify + " " + component + " " + image.String() + " " + string(found.Status)},
		send: func(ctx context.Context) error {
			_, err := h.api.Verify(ctx, r.artifact, r.ref(), registry.VerifyRequest{Component: component, Images: []registry.Image{image}})
			return err
		},
		there: func(v registry.Version) bool {
			i := status(v)
			return i != nil && i.Verification != nil && i.Verification.Status == found.Status
		},
		apply: func(v *registry.Version) {
			b := buildOf(v, component)
			b.Images = slices.Clone(b.Images)
			status(*v).Verification = &found
		},
	}
}

// revocation is the act of revoking the version.
func (h *harness) revocation(r *run, reason string) *act {
	return &act{
		kind: "revoke", events: []string{registry.ActionVersionRevoke + " " + reason},
		send: func(ctx context.Context) error {
			_, err := h.api.Revoke(ctx, r.artifact, r.ref(), registry.RevokeRequest{Reason: reason})
			return err
		},
		there: func(v registry.Version) bool { return v.Revocation != nil },
		apply: func(v *registry.Version) { v.Revocation = &registry.Revocation{Reason: reason} },
	}
}

// restoration is the act of taking that back.
func (h *harness) restoration(r *run) *act {
	return &act{
		kind: "restore", events: []string{registry.ActionVersionRestore},
		send: func(ctx context.Context) error {
			_, err := h.api.Restore(ctx, r.artifact, r.ref())
			return err
		},
		there: func(v registry.Version) bool { return v.Revocation == nil },
		apply: func(v *registry.Version) { v.Revocation = nil },
	}
}

// move is the act of pointing a channel to the version.
func (h *harness) move(r *run, channel, reason string) *act {
	a := &act{kind: "channel move", reason: reason}
	a.send = func(ctx context.Context) error {
		history, err := h.api.SetChannel(ctx, r.artifact, channel, registry.ChannelChange{Ref: r.ref(), Reason: reason})
		if err == nil {
			r.mu.Lock()
			a.moved = len(history.Moves) > 0 && history.Moves[0].Reason == reason
			r.mu.Unlock()
		}
		return err
	}
	a.there = func(registry.Version) bool { return h.log.reasons[reason] > 0 }
	a.apply = func(*registry.Version) {}
	return a
}
