package aws

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// amiName is all AMIs of one name that can be recorded, and copies of them with other names.
type amiName struct {
	name    string
	amis    []AMI // oldest first
	pending []AMI // those that can be recorded later
	// uses are the builds of the artifact that have AMIs of the name.
	uses map[place]registry.ImageUse
	// sources are the builds of the artifact of whose AMIs those of the name are copies.
	sources map[place]registry.ImageUse
	// components are those of the builds that the AMIs belong to.
	components map[place]string
	// version has the name, or is the zero Version.
	version registry.Version
	// versions are the versions that have AMIs of the name, or of which they are copies.
	versions []registry.VersionID
}

func newName(name string) *amiName {
	return &amiName{name: name, uses: map[place]registry.ImageUse{}, sources: map[place]registry.ImageUse{}, components: map[place]string{}}
}

func (n *amiName) createdAt() time.Time {
	return slices.MinFunc(slices.Concat(n.amis, n.pending), CompareAMIs).CreatedAt
}

// fingerprint names the run of a name's version. It stays the same whatever copies there are.
func (n *amiName) fingerprint() string { return adoptedFingerprint(n.name) }

// group puts AMIs that can be recorded together by their names, and by what they are copies of.
func (p *adopting) group(ctx context.Context, images []AMI) ([]*amiName, error) {
	var usable []AMI
	var places []place
	for _, a := range slices.SortedFunc(slices.Values(images), CompareAMIs) {
		if reason := a.unusable(); reason != "" && !a.pending() {
			p.skip(a, reason)
			continue
		}
		usable, places = append(usable, a), append(places, a.place())
	}
	uses, err := imageUses(ctx, p.lookup, places)
	if err != nil {
		return nil, err
	}
	sources, err := p.copied(ctx, slices.DeleteFunc(slices.Clone(usable), func(a AMI) bool { return len(uses[a.place()]) > 0 }))
	if err != nil {
		return nil, err
	}
	var names []*amiName
	byName := map[string]*amiName{}
	originals := originalNames(usable, uses)
	for _, a := range usable {
		use, others := p.own(uses[a.place()])
		switch {
		case use == nil && others != "":
			p.skip(a, others+" has it already")
			continue
		case use != nil && a.pending():
			p.skip(a, a.unusable())
			continue
		}
		name := originals[a.place()]
		n := byName[name]
		if n == nil {
			n = newName(name)
			byName[name] = n
			names = append(names, n)
		}
		n.put(a, use, sources[a.place()])
	}
	return names, nil
}

func (n *amiName) put(a AMI, use, source *registry.ImageUse) {
	if a.pending() {
		n.pending = append(n.pending, a)
	} else {
		n.amis = append(n.amis, a)
	}
	switch {
	case use != nil:
		n.uses[a.place()] = *use
	case source != nil:
		n.sources[a.place()] = *source
	}
}

// own returns the use in the artifact itself, and what else has an image; either may be none.
func (p *adopting) own(uses []registry.ImageUse) (own *registry.ImageUse, others string) {
	for i := range uses {
		if string(uses[i].Artifact) == p.plan.Artifact {
			return &uses[i], ""
		}
	}
	if len(uses) > 0 {
		others = string(uses[0].Artifact) + " " + uses[0].Version
	}
	return nil, others
}

// copyOf is the AMI in another region that an AMI is a copy of. The source of an AMI in its own region is the one
// from which the instance was launched that it was made of: something else.
func (a AMI) copyOf() (place, bool) {
	from := place{a.SourceRegion, a.SourceID}
	return from, a.SourceID != "" && a.SourceRegion != "" && a.SourceRegion != a.Region
}

// originalNames are the names of the AMIs that are no copies of others, for those and for their copies. What is
// recorded is its own original.
func originalNames(images []AMI, uses map[place][]registry.ImageUse) map[place]string {
	at := map[place]AMI{}
	for _, a := range images {
		at[a.place()] = a
	}
	names := map[place]string{}
	for _, a := range images {
		original := a
		for range images { // no chain of copies is longer
			from, ok := original.copyOf()
			before, listed := at[from]
			if !ok || !listed || len(uses[original.place()]) > 0 {
				break
			}
			original = before
		}
		names[a.place()] = original.Name
	}
	return names
}

// copied finds for copies the builds of the artifact that have their originals.
func (p *adopting) copied(ctx context.Context, images []AMI) (map[place]*registry.ImageUse, error) {
	known, err := p.knownRegions(ctx, images)
	if err != nil {
		return nil, err
	}
	candidates := map[place][]place{}
	asked := map[place]bool{}
	for _, a := range images {
		if from, ok := a.copyOf(); ok {
			candidates[a.place()] = []place{from}
		} else if a.SourceID != "" && a.SourceRegion == "" {
			for _, region := range known {
				if region != a.Region {
					candidates[a.place()] = append(candidates[a.place()], place{region, a.SourceID})
				}
			}
		}
		for _, from := range candidates[a.place()] {
			asked[from] = true
		}
	}
	uses, err := imageUses(ctx, p.lookup, slices.Collect(maps.Keys(asked)))
	found := map[place]*registry.ImageUse{}
	for at, list := range candidates {
		for _, from := range list {
			if use, _ := p.own(uses[from]); use != nil {
				found[at] = use
			}
		}
	}
	return found, err
}

// knownRegions are those in which the original of an AMI is looked for when EC2 gives its id and not its region: those
// of the AMIs and of the latest version. Descriptions name regions, too, but anybody can write them.
func (p *adopting) knownRegions(ctx context.Context, images []AMI) ([]string, error) {
	if !slices.ContainsFunc(images, func(a AMI) bool { return a.SourceID != "" && a.SourceRegion == "" }) {
		return nil, nil
	}
	var regions []string
	for _, a := range images {
		regions = append(regions, a.Region)
	}
	if p.latest != nil {
		v, err := p.lookup.Version(ctx, p.plan.Artifact, p.latest.Version)
		if err != nil {
			return nil, err
		}
		for _, b := range v.Builds {
			for _, image := range b.Images {
				if image.Provider == Provider {
					regions = append(regions, image.Region)
				}
			}
		}
	}
	slices.Sort(regions)
	return slices.Compact(regions), nil
}

// findVersion looks for the version that has a name's AMIs, or what they are copies of, or had others of the name.
func (p *adopting) findVersion(ctx context.Context, n *amiName) (err error) {
	for _, uses := range []map[place]registry.ImageUse{n.uses, n.sources} {
		for at, use := range uses {
			n.components[at] = use.Component
			if !slices.Contains(n.versions, use.VersionID) {
				n.versions = append(n.versions, use.VersionID)
			}
		}
	}
	slices.SortFunc(n.versions, func(a, b registry.VersionID) int { return cmp.Compare(a.Number, b.Number) })
	n.findComponents()
	switch {
	case len(n.versions) > 1:
	case len(n.versions) == 0:
		n.version, err = p.lookup.Version(ctx, p.plan.Artifact, "fingerprint:"+n.fingerprint())
		if registry.KindOf(err) == registry.NotFound {
			return nil
		}
	case len(n.uses) == len(n.amis):
		n.version.VersionID = n.versions[0] // nothing is to be added to it
	default:
		n.version, err = p.lookup.Version(ctx, p.plan.Artifact, n.versions[0].Version)
	}
	return err
}

// findComponents lets AMIs of which nothing is recorded belong to the build that others of their architecture
// belong to.
func (n *amiName) findComponents() {
	known := map[string][]string{}
	for _, a := range n.amis {
		if c := n.components[a.place()]; c != "" && !slices.Contains(known[a.Architecture], c) {
			known[a.Architecture] = append(known[a.Architecture], c)
		}
	}
	for _, a := range n.amis {
		if list := known[a.Architecture]; n.components[a.place()] == "" && len(list) == 1 {
			n.components[a.place()] = list[0]
		}
	}
}

// component is that of the build which an AMI belongs to.
func (n *amiName) component(a AMI) string {
	return cmp.Or(n.components[a.place()], adoptedComponent(a.Architecture))
}

// merge joins the names of which one version is to get AMIs, so that each of its builds is published once.
func merge(names []*amiName) []*amiName {
	byNumber := map[int64]*amiName{}
	var merged []*amiName
	for _, n := range names {
		into := byNumber[n.version.Number]
		if n.version.Number == 0 || into == nil {
			byNumber[n.version.Number] = n
			merged = append(merged, n)
			continue
		}
		if into.version.Fingerprint == "" {
			into.version = n.version // the one that was looked up
		}
		into.amis = slices.SortedFunc(slices.Values(append(into.amis, n.amis...)), CompareAMIs)
		into.pending = append(into.pending, n.pending...)
		maps.Copy(into.uses, n.uses)
		maps.Copy(into.sources, n.sources)
		maps.Copy(into.components, n.components)
	}
	return merged
}
