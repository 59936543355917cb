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
	Channel(ctx context.Context, artifact, channel string) (registry.ChannelHistory, error)
}

// Adoption is what is to be recorded of AMIs that exist already, and what is not.
type Adoption struct {
	Artifact string `json:"artifact"`
	// Builds are one for each name and architecture, the oldest name first.
	Builds []AdoptedBuild `json:"builds"`
	// Skipped are the AMIs that are left alone.
	Skipped []SkippedAMI `json:"skipped"`
	// Channels are those that were asked for.
	Channels []AdoptedChannel `json:"channels"`
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
	requested   []string // channels that its version, which is open, was begun with
}

// SkippedAMI is an AMI that is left alone.
type SkippedAMI struct {
	AMI
	Reason string `json:"reason"`
	// Conflict is true for one that would be recorded, but could be meant for the place of another.
	Conflict bool `json:"conflict"`
	// Remedy is what somebody can do about a conflict.
	Remedy string `json:"remedy,omitempty"`
	// Held is true for one that is recorded once others are: pending ones, conflicts, or those of an older version.
	Held bool `json:"held"`
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
// An AMI is added to a version that the artifact has already, where that has its name, or the AMI in another region
// that it is a copy of. The channels are those that move to the newest version that is made.
//
// An AMI is skipped that cannot be used, that an artifact has already, or whose version would become latest though it
// is older than what latest is. It is a conflict when it is one of two in the same place. A name that has a conflict,
// or an AMI that is pending, becomes no version before that is settled, nor does any newer name: else it would come
// too late.
func PlanAdoption(ctx context.Context, lookup AdoptLookup, artifact string, images []AMI, channels []string) (Adoption, error) {
	p := adopting{lookup: lookup, plan: Adoption{Artifact: artifact, Builds: []AdoptedBuild{}, Skipped: []SkippedAMI{}, Channels: []AdoptedChannel{}}}
	known, err := p.findLatest(ctx)
	if err != nil {
		return Adoption{}, err
	}
	names, err := p.group(ctx, images)
	if err == nil && known {
		err = concurrently(ctx, names, p.findVersion)
	}
	if err != nil {
		return Adoption{}, err
	}
	names = merge(names)
	slices.SortStableFunc(names, func(a, b *amiName) int {
		return cmp.Or(a.createdAt().Compare(b.createdAt()), strings.Compare(a.name, b.name))
	})
	for _, n := range names {
		p.add(n)
	}
	if err := p.promote(ctx, known, channels); err != nil {
		return Adoption{}, err
	}
	slices.SortStableFunc(p.plan.Skipped, func(a, b SkippedAMI) int { return CompareAMIs(a.AMI, b.AMI) })
	return p.plan, nil
}

// adopting is the making of a plan.
type adopting struct {
	lookup AdoptLookup
	latest *registry.Version // nil when no version with AMIs is complete
	// holding is the oldest name that waits, without a version; "" when none does.
	holding string
	plan    Adoption
}

func (p *adopting) skip(a AMI, reason string) {
	p.plan.Skipped = append(p.plan.Skipped, SkippedAMI{AMI: a, Reason: reason})
}

func (p *adopting) hold(a AMI, reason string) {
	p.plan.Skipped = append(p.plan.Skipped, SkippedAMI{AMI: a, Reason: reason, Held: true})
}

func (p *adopting) conflict(c conflict) {
	p.plan.Skipped = append(p.plan.Skipped, SkippedAMI{AMI: c.ami, Reason: c.reason, Remedy: c.remedy, Conflict: true})
}

// findLatest finds the version behind which no other may be recorded, and says whether there is the artifact. A
// version that is revoked may be restored, and counts.
func (p *adopting) findLatest(ctx context.Context) (known bool, err error) {
	for _, offered := range []bool{true, false} {
		page, err := p.lookup.Versions(ctx, p.plan.Artifact, registry.VersionFilter{
			Type: string(registry.AmazonImage), Status: string(registry.StatusComplete), Offered: offered, Limit: 1,
		})
		if registry.KindOf(err) == registry.NotFound {
			return false, nil
		}
		if err != nil {
			return true, err
		}
		if len(page.Versions) > 0 && (p.latest == nil || page.Versions[0].CreatedAt.After(p.latest.CreatedAt)) {
			p.latest = &page.Versions[0]
		}
	}
	return true, nil
}
