package aws

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// AdoptLookup is what [PlanAdoption] asks of a registry; a *client.Client does it.
type AdoptLookup interface {
	imageLookup
	Version(ctx context.Context, artifact, ref string) (registry.Version, error)
	Versions(ctx context.Context, artifact string, f registry.VersionFilter) (registry.VersionPage, error)
}

// Adoption is what is to be recorded of AMIs that exist already, and what is not.
type Adoption struct {
	Artifact string `json:"artifact"`
	// Builds are one for each name and architecture, the oldest name first.
	Builds []AdoptedBuild `json:"builds"`
	// Skipped are the AMIs that are left alone.
	Skipped []SkippedAMI `json:"skipped"`
}

// AdoptAction is what becomes of a build.
type AdoptAction string

// What becomes of a build.
const (
	AdoptNew      AdoptAction = "new"      // it is recorded, where no AMI of its name is: with a new version
	AdoptAdd      AdoptAction = "add"      // AMIs, or the build, are added to the version that has the name
	AdoptRecorded AdoptAction = "recorded" // nothing: it has all its AMIs
)

// AdoptedBuild is the AMIs of one name and one architecture: copies of each other.
type AdoptedBuild struct {
	Name         string `json:"name"`
	Architecture string `json:"architecture"`
	Component    string `json:"component"`
	// CreatedAt is when the oldest of all AMIs of the name was made.
	CreatedAt time.Time   `json:"created_at"`
	Action    AdoptAction `json:"action"`
	// Version has the build, or gets it; nil for one that is not made yet.
	Version *registry.VersionID `json:"version,omitempty"`
	// AMIs are those that were found, by region; New are those of them that are not recorded.
	AMIs []AMI `json:"amis"`
	New  []AMI `json:"new"`
	// LeftOut are keys of tags that are not recorded, because the registry takes no such metadata.
	LeftOut []string `json:"left_out_tags,omitempty"`
	// Receipt is nil until [Adoption.Record] has recorded it.
	Receipt *registry.Receipt `json:"receipt,omitempty"`

	publication registry.Publication
}

// SkippedAMI is an AMI that is left alone.
type SkippedAMI struct {
	AMI
	Reason string `json:"reason"`
	// Conflict is true for one that would be recorded, but could be meant for the place of another.
	Conflict bool `json:"conflict"`
}

// Changes are how many builds are to be recorded, or were.
func (a Adoption) Changes() int {
	n := 0
	for _, b := range a.Builds {
		if b.Action != AdoptRecorded {
			n++
		}
	}
	return n
}

// Conflicts are the AMIs that somebody has to decide about.
func (a Adoption) Conflicts() []SkippedAMI {
	return slices.DeleteFunc(slices.Clone(a.Skipped), func(s SkippedAMI) bool { return !s.Conflict })
}

// PlanAdoption makes AMIs versions of one artifact; it records nothing. AMIs of one name are one version, made
// when the oldest of them was; those of one architecture are one build of it, and copies of each other in
// their regions. The versions are in the order in which they were made, so that their numbers tell the history.
// An AMI of a name that the artifact has already is added to that version. The channels are those that move to the
// newest version that is made.
//
// An AMI is skipped that cannot be used, that an artifact has already, or whose version would become latest though it
// is older than what latest is. It is a conflict when it is one of two in the same place.
func PlanAdoption(ctx context.Context, lookup AdoptLookup, artifact string, images []AMI, channels []string) (Adoption, error) {
	p := adopting{lookup: lookup, plan: Adoption{Artifact: artifact, Builds: []AdoptedBuild{}, Skipped: []SkippedAMI{}}}
	names, err := p.group(ctx, images)
	if err != nil {
		return Adoption{}, err
	}
	known, err := p.findLatest(ctx)
	if err == nil && known {
		err = concurrently(ctx, names, p.findVersion)
	}
	if err != nil {
		return Adoption{}, err
	}
	slices.SortStableFunc(names, func(a, b *amiName) int {
		return cmp.Or(a.createdAt().Compare(b.createdAt()), strings.Compare(a.name, b.name))
	})
	for _, n := range names {
		p.add(n)
	}
	p.promote(channels)
	slices.SortStableFunc(p.plan.Skipped, func(a, b SkippedAMI) int { return CompareAMIs(a.AMI, b.AMI) })
	return p.plan, nil
}

// adopting is the making of a plan.
type adopting struct {
	lookup AdoptLookup
	latest *registry.Version // nil when no version with AMIs is offered
	plan   Adoption
}

// amiName is all AMIs of one name that are not skipped.
type amiName struct {
	name string
	amis []AMI // oldest first
	// uses are the builds of the artifact that have AMIs of the name.
	uses map[place]registry.ImageUse
	// version has the name, or is the zero Version.
	version registry.Version
	// versions are the versions that have AMIs of the name.
	versions []registry.VersionID
}

func (n *amiName) createdAt() time.Time { return n.amis[0].CreatedAt }

// fingerprint names the run of a name's version. It stays the same whatever copies there are.
func (n *amiName) fingerprint() string { return adoptedFingerprint(n.name) }

func (p *adopting) skip(a AMI, reason string) {
	p.plan.Skipped = append(p.plan.Skipped, SkippedAMI{AMI: a, Reason: reason})
}

func (p *adopting) conflict(a AMI, reason string) {
	p.plan.Skipped = append(p.plan.Skipped, SkippedAMI{AMI: a, Reason: reason, Conflict: true})
}

// group puts AMIs that can be recorded together by their names.
func (p *adopting) group(ctx context.Context, images []AMI) ([]*amiName, error) {
	var usable []AMI
	var places []place
	for _, a := range slices.SortedFunc(slices.Values(images), CompareAMIs) {
		if reason := a.unusable(); reason != "" {
			p.skip(a, reason)
			continue
		}
		usable, places = append(usable, a), append(places, a.place())
	}
	uses, err := imageUses(ctx, p.lookup, places)
	if err != nil {
		return nil, err
	}
	var names []*amiName
	byName := map[string]*amiName{}
	for _, a := range usable {
		found := uses[a.place()]
		at := slices.IndexFunc(found, func(u registry.ImageUse) bool { return string(u.Artifact) == p.plan.Artifact })
		if at < 0 && len(found) > 0 {
			p.skip(a, string(found[0].Artifact)+" "+found[0].Version+" has it already")
			continue
		}
		n := byName[a.Name]
		if n == nil {
			n = &amiName{name: a.Name, uses: map[place]registry.ImageUse{}}
			byName[a.Name] = n
			names = append(names, n)
		}
		n.amis = append(n.amis, a)
		if at >= 0 {
			n.uses[a.place()] = found[at]
		}
	}
	return names, nil
}

// findLatest finds the version behind which no other may be recorded, and says whether there is the artifact.
func (p *adopting) findLatest(ctx context.Context) (known bool, err error) {
	page, err := p.lookup.Versions(ctx, p.plan.Artifact, registry.VersionFilter{Type: string(registry.AmazonImage), Offered: true, Limit: 1})
	if registry.KindOf(err) == registry.NotFound {
		return false, nil
	}
	if err == nil && len(page.Versions) > 0 {
		p.latest = &page.Versions[0]
	}
	return true, err
}

// findVersion looks for the version that has a name's AMIs, or had others of it.
func (p *adopting) findVersion(ctx context.Context, n *amiName) (err error) {
	for _, use := range n.uses {
		if !slices.Contains(n.versions, use.VersionID) {
			n.versions = append(n.versions, use.VersionID)
		}
	}
	slices.SortFunc(n.versions, func(a, b registry.VersionID) int { return cmp.Compare(a.Number, b.Number) })
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
