package aws

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// adoptedFingerprint is "aws:NAME", in the characters that a fingerprint can have; a name that has others, or is
// too long, is told from similar ones by a digest.
func adoptedFingerprint(name string) string {
	fingerprint := "aws:" + name
	if registry.CheckFingerprint(fingerprint) == nil {
		return fingerprint
	}
	const most = 100
	plain := strings.Map(func(r rune) rune {
		if r < 0x80 && registry.CheckFingerprint("a"+string(r)) == nil {
			return r
		}
		return '-'
	}, name)
	return fmt.Sprintf("aws:%s:%.6x", plain[:min(len(plain), most)], sha256.Sum256([]byte(name)))
}

// adoptedComponent is what made an AMI, as far as it can be told.
func adoptedComponent(architecture string) string { return "adopted." + architecture }

// add plans the builds of a name, one for each architecture.
func (p *adopting) add(n *amiName) {
	if p.refuse(n) {
		return
	}
	var architectures []string
	for _, a := range n.amis {
		architectures = append(architectures, a.Architecture)
	}
	slices.Sort(architectures)
	var builds []AdoptedBuild
	for _, architecture := range slices.Compact(architectures) {
		if b, ok := p.build(n, architecture); ok {
			builds = append(builds, b)
		}
	}
	if n.version.Number == 0 && len(builds) > 1 {
		var expect []string
		for _, b := range builds {
			expect = append(expect, b.Component)
		}
		for i := range builds {
			builds[i].publication.Expect = expect
		}
	}
	p.plan.Builds = append(p.plan.Builds, builds...)
}

// refuse skips the AMIs of a name that are not recorded, where it is not clear to which version they belong, or
// where that would be latest though it is older.
func (p *adopting) refuse(n *amiName) bool {
	var reason string
	conflict := false
	switch latest := p.latest; {
	case len(n.versions) > 1:
		var texts []string
		for _, v := range n.versions {
			texts = append(texts, v.Version)
		}
		reason, conflict = fmt.Sprintf("versions %s of %s all have AMIs of this name", strings.Join(texts, ", "), p.plan.Artifact), true
	case n.version.Number == 0 && latest != nil && n.createdAt().Before(latest.CreatedAt):
		reason = fmt.Sprintf("is older than %s %s, and would be latest in its place; record it as another artifact", p.plan.Artifact, latest.Version)
	default:
		return false
	}
	for _, a := range n.amis {
		use, recorded := n.uses[a.place()]
		switch {
		case recorded:
			version := use.VersionID
			p.plan.Builds = append(p.plan.Builds, AdoptedBuild{
				Name: n.name, Architecture: a.Architecture, Component: use.Component, CreatedAt: n.createdAt(),
				Action: AdoptRecorded, Version: &version, AMIs: []AMI{a}, New: []AMI{},
			})
		case conflict:
			p.conflict(a, reason)
		default:
			p.skip(a, reason)
		}
	}
	return true
}

// build plans the AMIs of a name and an architecture. It is false when all of them are conflicts.
func (p *adopting) build(n *amiName, architecture string) (AdoptedBuild, bool) {
	b := AdoptedBuild{Name: n.name, Architecture: architecture, CreatedAt: n.createdAt(), Component: adoptedComponent(architecture), AMIs: []AMI{}, New: []AMI{}}
	var fresh []AMI
	for _, a := range n.amis {
		if a.Architecture != architecture {
			continue
		}
		if use, ok := n.uses[a.place()]; ok {
			b.Component = use.Component
			b.AMIs = append(b.AMIs, a)
		} else {
			fresh = append(fresh, a)
		}
	}
	recorded := recordedBuild(n.version, b.Component)
	for _, a := range fresh {
		if reason := p.occupied(n, recorded, fresh, a); reason != "" {
			p.conflict(a, reason)
			continue
		}
		b.New = append(b.New, a)
	}
	b.AMIs = slices.SortedFunc(slices.Values(append(b.AMIs, b.New...)), func(a, b AMI) int { return strings.Compare(a.Region, b.Region) })
	if n.version.Number > 0 {
		id := n.version.VersionID
		b.Version = &id
	}
	switch {
	case len(b.AMIs) == 0:
		return b, false
	case len(b.New) == 0:
		b.Action = AdoptRecorded
	case n.version.Number > 0:
		b.Action = AdoptAdd
	default:
		b.Action = AdoptNew
	}
	if b.Action != AdoptRecorded {
		b.publish(n, recorded)
	}
	return b, true
}

// occupied says what is in the place of an AMI that is not recorded; "" is nothing.
func (p *adopting) occupied(n *amiName, recorded *registry.Build, fresh []AMI, a AMI) string {
	if recorded != nil {
		for _, image := range recorded.Images {
			if image.Provider == Provider && image.Region == a.Region {
				return fmt.Sprintf("%s %s has %s of this name in %s", p.plan.Artifact, n.version.Version, image.ID, a.Region)
			}
		}
	}
	for _, other := range fresh {
		if other.ID != a.ID && other.Region == a.Region {
			return fmt.Sprintf("%s has the same name, architecture and region", other.ID)
		}
	}
	return ""
}

func recordedBuild(v registry.Version, component string) *registry.Build {
	for i := range v.Builds {
		if v.Builds[i].Component == component {
			return &v.Builds[i]
		}
	}
	return nil
}

// publish sets what is to be published. What is recorded of a build stays as it is: tags change, and a copy
// seldom has those of its original.
func (b *AdoptedBuild) publish(n *amiName, recorded *registry.Build) {
	b.publication = registry.Publication{
		Fingerprint: cmp.Or(n.version.Fingerprint, n.fingerprint()),
		Build:       registry.Build{Component: b.Component, Type: registry.AmazonImage, Architecture: b.Architecture},
	}
	if !b.CreatedAt.IsZero() {
		b.publication.BuiltAt = &b.CreatedAt
	}
	build := &b.publication.Build
	if recorded != nil {
		build.Type, build.Architecture, build.Metadata, build.Files = recorded.Type, recorded.Architecture, recorded.Metadata, recorded.Files
		for _, image := range recorded.Images {
			build.Images = append(build.Images, registry.Image{Provider: image.Provider, Region: image.Region, ID: image.ID})
		}
	} else {
		build.Metadata, b.LeftOut = slices.MinFunc(b.New, CompareAMIs).metadata()
	}
	for _, a := range b.New {
		build.Images = append(build.Images, a.image())
	}
}

// promote lets the channels move to the newest version that is made.
func (p *adopting) promote(channels []string) {
	newest := ""
	for _, b := range p.plan.Builds {
		if b.Action == AdoptNew {
			newest = b.Name
		}
	}
	for i := range p.plan.Builds {
		if b := &p.plan.Builds[i]; b.Action == AdoptNew && b.Name == newest {
			b.publication.Channels = channels
		}
	}
}

// Publisher records builds; a *client.Client does it.
type Publisher interface {
	Publish(ctx context.Context, artifact string, pub registry.Publication) (registry.Receipt, error)
}

// Record publishes what the plan has, the oldest version first, and sets the receipts. It stops at the first
// error, so that no version is recorded before an older one; what was recorded stays, and the next plan goes on from
// there.
func (a *Adoption) Record(ctx context.Context, publisher Publisher) error {
	for i := range a.Builds {
		b := &a.Builds[i]
		if b.Action == AdoptRecorded {
			continue
		}
		receipt, err := publisher.Publish(ctx, a.Artifact, b.publication)
		if err != nil {
			return fmt.Errorf("AMIs named %s: %w", clean(b.Name, maxQuoted), err)
		}
		b.Receipt, b.Version = &receipt, &receipt.VersionID
	}
	return nil
}
