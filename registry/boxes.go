package registry

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/registry/box"
)

// Vagrant's own clients make a box, a version and a provider first, send bytes later, and release the version at
// last. The methods in this file, in boxupload.go and in versionchanges.go are for them: a version that is opened is held
// until it is released, and a box that was announced is pending until its bytes are there. Nobody who looks for a box
// sees either.

// BoxComponent is the component of a box that has no Packer source: vagrant.PROVIDER or vagrant.PROVIDER.ARCHITECTURE.
func BoxComponent(provider, architecture string) string {
	if architecture == "" {
		return "vagrant." + provider
	}
	return "vagrant." + provider + "." + architecture
}

// checksumSizes are the kinds of checksums that a box can be announced with, and how many bytes each has.
var checksumSizes = map[string]int{"md5": 16, "sha1": 20, "sha256": 32, "sha384": 48, "sha512": 64}

// AnnounceBox adds a pending box to a version, or replaces the one of its component that is pending. The provider can be
// left for the box to say. It needs the role publish. Invalid: a bad component, provider, architecture or checksum, all
// at once. Conflict: the version has a build of that component, or a box, pending or not, of the same provider and
// architecture under another component.
func (s *Service) AnnounceBox(ctx context.Context, name, ref string, box PendingBox) (Version, error) {
	n, r, err := publisherTarget(ctx, name, ref)
	if err != nil {
		return Version{}, err
	}
	if box, err = checkPending(box); err != nil {
		return Version{}, err
	}
	return s.changeVersion(ctx, n, r, func(p *publishing) error { return p.announce(ctx, box) })
}

// checkPending returns a pending box with its checksum in lower case.
func checkPending(box PendingBox) (PendingBox, error) {
	var p problems
	p.check("component", CheckComponent(box.Component))
	if box.Provider != "" && !providerName.MatchString(box.Provider) {
		p.add("provider", "%q must have only letters, digits and . _ -, at most 64, such as virtualbox", clip(box.Provider))
	}
	if box.Architecture != "" {
		p.check("architecture", CheckArchitecture(box.Architecture))
	}
	box.Checksum, box.ChecksumType = strings.ToLower(box.Checksum), strings.ToLower(box.ChecksumType)
	size, known := checksumSizes[box.ChecksumType]
	switch {
	case box.Checksum == "" && box.ChecksumType == "":
	case box.Checksum == "":
		p.add("checksum", "is missing, although its type is given")
	case !known:
		p.add("checksum_type", "%q is none; use %s", clip(box.ChecksumType), strings.Join(slices.Sorted(maps.Keys(checksumSizes)), ", "))
	default:
		if raw, err := hex.DecodeString(box.Checksum); err != nil || len(raw) != size {
			p.add("checksum", "%q must be %d hexadecimal digits for %s", clip(box.Checksum), 2*size, box.ChecksumType)
		}
	}
	return box, p.err()
}

func (p *publishing) announce(ctx context.Context, box PendingBox) error {
	if p.version.build(box.Component) != nil {
		return Errorf(Conflict, "version %s of %s has a build %s already", p.version.Version, p.name, box.Component)
	}
	if err := p.checkTwin(box.Component, box.Provider, box.Architecture); err != nil {
		return err
	}
	box.CreatedAt, box.CreatedBy = p.now, p.actor
	if old := p.version.pending(box.Component); old != nil {
		same := box
		same.CreatedAt, same.CreatedBy = old.CreatedAt, old.CreatedBy
		if same == *old {
			return nil
		}
	}
	if err := p.tx.PutPending(ctx, p.name, p.version.Number, box); err != nil {
		return err
	}
	p.event(ActionBuildAnnounce, Metadata{"component": box.Component})
	if !box.Default {
		return nil
	}
	return p.clearPendingDefaults(ctx, box.Component, box.Provider)
}

// AddBox adds a build of type vagrant.box to a version that exists, in place of the pending box of its component, if there
// is one. While the version is held, it replaces a build of its component. It needs the role publish. Conflict: a build
// with other content in a version that is not held; a box of the same provider and architecture under another component.
func (s *Service) AddBox(ctx context.Context, name, ref string, b Build) (Version, error) {
	n, r, err := publisherTarget(ctx, name, ref)
	if err != nil {
		return Version{}, err
	}
	var bad problems
	if b = normalizeBuild(&bad, b); b.Type != "" && b.Type != VagrantBox {
		bad.add("build.type", "must be vagrant.box")
	}
	if err := bad.err(); err != nil {
		return Version{}, err
	}
	s.stampImages(b.Images)
	if err := s.checkBlobs(ctx, n, b); err != nil {
		return Version{}, err
	}
	// What is known of its attachments is found by the fingerprint.
	v, err := s.findFixed(ctx, s.store, n, r)
	if err != nil {
		return Version{}, err
	}
	pub := Publication{Fingerprint: v.Fingerprint, Build: b}
	if err := s.readSBOMs(ctx, n, pub); err != nil {
		return Version{}, err
	}
	return s.changeVersion(ctx, n, r, func(p *publishing) error {
		p.pub = pub
		return p.putBox(ctx)
	})
}

// putBox records the box that is published, in place of one of its component while the version is held.
func (p *publishing) putBox(ctx context.Context) error {
	b := p.pub.Build
	old := p.version.build(b.Component)
	if old != nil && p.version.Held && old.Type == VagrantBox && !sameBox(*old, b) {
		if err := p.dropBuild(ctx, b.Component); err != nil {
			return err
		}
		old = nil
	}
	if old == nil {
		if err := p.checkTwin(b.Component, b.Provider, b.Architecture); err != nil {
			return err
		}
	}
	recorded, err := p.addBuild(ctx)
	if e, ok := errors.AsType[*Error](err); ok && e.Kind == Conflict {
		return &Error{Kind: Conflict, Fields: e.Fields, Msg: fmt.Sprintf("version %s of %s has another build as %s, and what is recorded does not change; make another version", p.version.Version, p.name, b.Component)}
	}
	if err != nil || recorded.Default == b.Default {
		return err
	}
	return p.setDefault(ctx, b.Component, b.Default)
}

// sameBox says whether there is nothing to replace. What is attached to a box is added to it.
func sameBox(old, b Build) bool {
	_, _, diff := compareBuilds(old, b)
	return len(diff.fields) == 0 && slices.EqualFunc(old.Images, b.Images, func(o, i Image) bool {
		return CompareImages(o, i) == 0 && maps.Equal(o.Labels, i.Labels)
	})
}

// checkTwin refuses a box that another component has in the version, pending or not.
func (p *publishing) checkTwin(component, provider, architecture string) error {
	other := p.version.twin(component, provider, architecture)
	if other == "" {
		return nil
	}
	what := provider
	if architecture != "" {
		what += " and " + architecture
	}
	return Errorf(Conflict, "version %s of %s has a box for %s already: %s", p.version.Version, p.name, what, other)
}

// twin is the component of another box of the same provider and architecture, by whichever of its names (amd64, x86_64);
// "" where there is none. A provider that nobody has said yet is not the same as another.
func (v Version) twin(component, provider, architecture string) string {
	if provider == "" {
		return ""
	}
	same := func(c, p, a string) bool {
		return c != component && p == provider && box.Architecture(a) == box.Architecture(architecture)
	}
	for _, b := range v.Builds {
		if b.Type == VagrantBox && same(b.Component, b.Provider, b.Architecture) {
			return b.Component
		}
	}
	for _, b := range v.Pending {
		if same(b.Component, b.Provider, b.Architecture) {
			return b.Component
		}
	}
	return ""
}

// settleBox makes room for a build that was added: nothing is pending under its component any more, and there is no
// other default beside it.
func (p *publishing) settleBox(ctx context.Context, b Build) error {
	if p.version.pending(b.Component) != nil {
		if err := p.tx.DeletePending(ctx, p.name, p.version.Number, b.Component); err != nil {
			return err
		}
		p.version.Pending = slices.DeleteFunc(slices.Clone(p.version.Pending), func(o PendingBox) bool { return o.Component == b.Component })
	}
	if !b.Default {
		return nil
	}
	return p.clearDefaults(ctx, b.Component, b.Provider)
}

// DeleteBox removes a box of a version, pending or not. It needs the role publish, and admin for a build of a version that
// is or was complete. NotFound: there is none.
func (s *Service) DeleteBox(ctx context.Context, name, ref, component string) error {
	n, r, err := publisherTarget(ctx, name, ref)
	if err != nil {
		return err
	}
	_, err = s.changeVersion(ctx, n, r, func(p *publishing) error {
		switch {
		case p.version.box(component) != nil:
			if err := p.requireUndoable(ctx); err != nil {
				return err
			}
			return p.dropBuild(ctx, component)
		case p.version.pending(component) != nil:
			p.event(ActionBuildDelete, Metadata{"component": component})
			return p.tx.DeletePending(ctx, p.name, p.version.Number, component)
		}
		return p.version.noBox(component)
	})
	return err
}

// dropBuild removes a build from the version.
func (p *publishing) dropBuild(ctx context.Context, component string) error {
	at := slices.IndexFunc(p.version.Builds, func(b Build) bool { return b.Component == component })
	p.removed = append(p.removed, p.version.Builds[at].Type)
	p.version.Builds = slices.Delete(slices.Clone(p.version.Builds), at, at+1)
	p.event(ActionBuildDelete, Metadata{"component": component})
	return p.tx.DeleteBuild(ctx, p.name, p.version.Number, component)
}

// SetDefaultBox makes a box, pending or not, the default of its provider, in place of the one before; or, with on false, no
// longer. A pending box takes the place of a build when its bytes come. It needs the role publish. NotFound: there is none.
func (s *Service) SetDefaultBox(ctx context.Context, name, ref, component string, on bool) (Version, error) {
	n, r, err := publisherTarget(ctx, name, ref)
	if err != nil {
		return Version{}, err
	}
	return s.changeVersion(ctx, n, r, func(p *publishing) error { return p.setDefault(ctx, component, on) })
}

func (p *publishing) setDefault(ctx context.Context, component string, on bool) error {
	box, pending := p.version.box(component), p.version.pending(component)
	var provider string
	switch {
	case box != nil && box.Default && on: // it stays the default, also when the bytes of others come
		return p.clearPendingDefaults(ctx, component, box.Provider)
	case box != nil && box.Default == on, pending != nil && pending.Default == on:
		return nil
	case box != nil:
		provider = box.Provider
		if err := p.tx.SetDefault(ctx, p.name, p.version.Number, component, on); err != nil {
			return err
		}
	case pending != nil:
		changed := *pending
		changed.Default = on
		provider = changed.Provider
		if err := p.tx.PutPending(ctx, p.name, p.version.Number, changed); err != nil {
			return err
		}
	default:
		return p.version.noBox(component)
	}
	p.event(ActionBuildDefault, Metadata{"component": component, "default": fmt.Sprint(on)})
	switch {
	case !on:
		return nil
	case pending != nil:
		return p.clearPendingDefaults(ctx, component, provider)
	}
	return p.clearDefaults(ctx, component, provider)
}

// clearDefaults leaves one default box to a provider.
func (p *publishing) clearDefaults(ctx context.Context, component, provider string) error {
	for _, b := range p.version.Builds {
		if b.Default && b.Provider == provider && b.Component != component {
			if err := p.tx.SetDefault(ctx, p.name, p.version.Number, b.Component, false); err != nil {
				return err
			}
		}
	}
	return p.clearPendingDefaults(ctx, component, provider)
}

// clearPendingDefaults leaves one of the pending boxes of a provider to be its default. Until the bytes of that one come,
// which they may never do, the default among the builds stays what it is.
func (p *publishing) clearPendingDefaults(ctx context.Context, component, provider string) error {
	for _, b := range p.version.Pending {
		if b.Default && b.Provider == provider && b.Component != component {
			b.Default = false
			if err := p.tx.PutPending(ctx, p.name, p.version.Number, b); err != nil {
				return err
			}
		}
	}
	return nil
}

// box is the build of a component, if that is a vagrant.box.
func (v Version) box(component string) *Build {
	if b := v.build(component); b != nil && b.Type == VagrantBox {
		return b
	}
	return nil
}

func (v Version) pending(component string) *PendingBox {
	for i := range v.Pending {
		if v.Pending[i].Component == component {
			return &v.Pending[i]
		}
	}
	return nil
}

// noBox tells a publisher which boxes there are.
func (v Version) noBox(component string) error {
	e := Errorf(NotFound, "version %s of %s has no box %q", v.Version, v.Artifact, clip(component))
	for _, b := range v.Builds {
		if b.Type == VagrantBox {
			e.Choices = append(e.Choices, b.Component)
		}
	}
	for _, b := range v.Pending {
		e.Choices = append(e.Choices, b.Component)
	}
	if len(e.Choices) > 0 {
		e.Msg += "; it has: " + strings.Join(e.Choices, ", ")
	}
	return e
}
