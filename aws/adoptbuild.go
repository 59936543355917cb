package aws

import (
	"cmp"
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
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

// conflict is an AMI that could be meant for the place of another, and what somebody can do about it.
type conflict struct {
	ami            AMI
	reason, remedy string
}

// add plans the builds of a name, one for each component, or holds all of it back.
func (p *adopting) add(n *amiName) {
	for _, a := range n.pending {
		p.hold(a, a.unusable())
	}
	if p.refuse(n) {
		return
	}
	var components []string
	for _, a := range n.amis {
		components = append(components, n.component(a))
	}
	slices.Sort(components)
	var builds []AdoptedBuild
	var conflicts []conflict
	for _, component := range slices.Compact(components) {
		b, bad := p.build(n, component)
		conflicts = append(conflicts, bad...)
		if len(b.AMIs) > 0 {
			builds = append(builds, b)
		}
	}
	for _, c := range conflicts {
		p.conflict(c)
	}
	if n.version.Number == 0 && p.holdBack(n, builds, len(conflicts) > 0) {
		return
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

// holdBack skips the AMIs of a name without a version that has to wait. A newer one has to wait for it: once that is
// recorded, this one is older than latest.
func (p *adopting) holdBack(n *amiName, builds []AdoptedBuild, conflicts bool) bool {
	reason := ""
	switch {
	case conflicts:
		reason = "waits until the conflict of its name is settled"
	case len(n.pending) > 0:
		reason = "waits for the pending AMIs of its name; adopt it when all of its AMIs are available"
	case p.holding != "":
		reason = fmt.Sprintf("waits for %s, which is older and comes first", clean(p.holding, maxQuoted))
	default:
		return false
	}
	p.holding = cmp.Or(p.holding, n.name)
	for _, b := range builds {
		for _, a := range b.AMIs {
			p.hold(a, reason)
		}
	}
	return true
}

// refuse skips the AMIs of a name that are not recorded, where it is not clear to which version they belong, or
// where that would be latest though it is older.
func (p *adopting) refuse(n *amiName) bool {
	var reason, remedy string
	switch latest := p.latest; {
	case len(n.versions) > 1:
		var texts []string
		for _, v := range n.versions {
			texts = append(texts, v.Version)
		}
		reason = fmt.Sprintf("versions %s of %s all have AMIs of this name, or what they are copies of", strings.Join(texts, ", "), p.plan.Artifact)
		remedy = "add it with almanac publish and the --fingerprint of the version that it belongs to, or leave it out with --filter"
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
		case remedy != "":
			p.conflict(conflict{a, reason, remedy})
		default:
			p.skip(a, reason)
		}
	}
	return true
}

// build plans the AMIs of a name and a component; it has none when all of them are conflicts.
func (p *adopting) build(n *amiName, component string) (AdoptedBuild, []conflict) {
	b := AdoptedBuild{Name: n.name, CreatedAt: n.createdAt(), Component: component, AMIs: []AMI{}, New: []AMI{}}
	var fresh []AMI
	for _, a := range n.amis {
		if n.component(a) != component {
			continue
		}
		b.Architecture = cmp.Or(b.Architecture, a.Architecture)
		if _, ok := n.uses[a.place()]; ok {
			b.AMIs = append(b.AMIs, a)
		} else {
			fresh = append(fresh, a)
		}
	}
	recorded := recordedBuild(n.version, component)
	conflicts := p.conflicts(n, recorded, fresh)
	for _, a := range fresh {
		if _, bad := conflicts[a.place()]; !bad {
			b.New = append(b.New, a)
		}
	}
	b.AMIs = slices.SortedFunc(slices.Values(append(b.AMIs, b.New...)), func(a, b AMI) int { return strings.Compare(a.Region, b.Region) })
	if n.version.Number > 0 {
		id := n.version.VersionID
		b.Version = &id
	}
	if n.version.Status == registry.StatusOpen {
		b.requested = n.version.Requested
	}
	switch {
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
	return b, slices.Collect(maps.Values(conflicts))
}

// conflicts are those of the AMIs that are not recorded. A copy of one is a conflict, too.
func (p *adopting) conflicts(n *amiName, recorded *registry.Build, fresh []AMI) map[place]conflict {
	conflicts := map[place]conflict{}
	for _, a := range fresh {
		if c := p.occupied(n, recorded, fresh, a); c.reason != "" {
			conflicts[a.place()] = c
		}
	}
	for before := -1; before != len(conflicts); {
		before = len(conflicts)
		for _, a := range fresh {
			from, isCopy := a.copyOf()
			original, bad := conflicts[from]
			if _, known := conflicts[a.place()]; isCopy && bad && !known {
				conflicts[a.place()] = conflict{a, fmt.Sprintf("is a copy of %s in %s, which is in conflict", from.id, from.region), original.remedy}
			}
		}
	}
	return conflicts
}

// occupied is the conflict of an AMI that is not recorded with what is in its place; without a reason, nothing is.
func (p *adopting) occupied(n *amiName, recorded *registry.Build, fresh []AMI, a AMI) conflict {
	if recorded != nil {
		for _, image := range recorded.Images {
			if image.Provider == Provider && image.Region == a.Region {
				return conflict{a,
					fmt.Sprintf("%s %s has %s of this name in %s, and what a version has stays", p.plan.Artifact, n.version.Version, image.ID, a.Region),
					fmt.Sprintf("copy an AMI that was made again to a name of its own and adopt that, or record it with almanac publish %s --type aws.ami --image aws/REGION/ID", p.plan.Artifact)}
			}
		}
	}
	for _, other := range fresh {
		if other.ID != a.ID && other.Region == a.Region {
			return conflict{a, fmt.Sprintf("%s has the same name, architecture and region", other.ID),
				"deregister the one of two AMIs that is not wanted, or leave it out with --filter"}
		}
	}
	return conflict{}
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
		a.moved(receipt)
	}
	return nil
}
