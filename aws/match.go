package aws

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// Lookup is what [Match] asks of a registry; a *client.Client does it.
type Lookup interface {
	imageLookup
	Resolve(ctx context.Context, artifact, ref string, q registry.Question) (registry.Resolution, error)
}

// Machine is an instance and what the registry knows of its AMI.
type Machine struct {
	Instance
	// Use is a build that has the AMI; nil when no artifact has it. Of several it is the one whose artifact has the
	// channel, or else the one that was recorded first; in that artifact Current itself, if that has the AMI, too.
	Use *registry.ImageUse `json:"use,omitempty"`
	// Others are the other builds that have the same AMI, the newest first.
	Others []registry.ImageUse `json:"others,omitempty"`
	// Current is the version that is offered now; nil when there is none, or none that can be told.
	Current *registry.VersionID `json:"current,omitempty"`
	// CurrentID is the AMI of Current in the instance's region; "" when it has none there.
	CurrentID string `json:"current_id,omitempty"`
	// Behind is true when one of the artifacts that have the AMI offers something newer.
	Behind bool `json:"behind"`
	// Revoked is true when one of the versions that have the AMI is revoked.
	Revoked bool `json:"revoked"`
	// BehindIn and RevokedIn are the artifacts of which that is true.
	BehindIn  []registry.ArtifactName `json:"behind_in,omitempty"`
	RevokedIn []registry.ArtifactName `json:"revoked_in,omitempty"`
}

// Match joins instances with what is recorded of their AMIs, in the order of the instances. What is offered is
// what the channel points to, or latest where channel is "". A revoked version is not offered. It asks once for
// each AMI in a region and at most three times for each build of an artifact, however many instances there are;
// errors are the registry's. Each of the builds is looked for in the current version under the name of its component, or else
// as the only one of its type and the instance's architecture. Where there is none, nothing is current.
func Match(ctx context.Context, lookup Lookup, instances []Instance, channel string) ([]Machine, error) {
	var places []place
	seen := map[place]bool{}
	for _, i := range instances {
		if p := (place{i.Region, i.ImageID}); !seen[p] {
			seen[p] = true
			places = append(places, p)
		}
	}
	uses, err := imageUses(ctx, lookup, places)
	if err != nil {
		return nil, err
	}
	found := offers{channel: cmp.Or(channel, registry.Latest), byLine: map[line]*registry.Resolution{}, now: time.Now()}
	if err := found.ask(ctx, lookup, linesOf(instances, uses)); err != nil {
		return nil, err
	}
	machines := make([]Machine, len(instances))
	for n, i := range instances {
		machines[n] = found.machine(i, uses[place{i.Region, i.ImageID}])
	}
	return machines, nil
}

// linesOf are the lines of all builds that the instances run, each once.
func linesOf(instances []Instance, uses map[place][]registry.ImageUse) []line {
	var lines []line
	seen := map[line]bool{}
	for _, i := range instances {
		for _, use := range uses[place{i.Region, i.ImageID}] {
			if l := lineOf(use, i); !seen[l] {
				seen[l] = true
				lines = append(lines, l)
			}
		}
	}
	return lines
}

// line is one line of builds of an artifact, of which one is current.
type line struct {
	artifact     registry.ArtifactName
	typ          registry.Type
	component    string
	architecture string
}

func lineOf(use registry.ImageUse, i Instance) line {
	return line{use.Artifact, use.Type, use.Component, i.Architecture}
}

// offers are what a channel points to, revoked or not, for each line that has something there.
type offers struct {
	channel string
	byLine  map[line]*registry.Resolution
	now     time.Time
}

func (o *offers) ask(ctx context.Context, lookup Lookup, lines []line) error {
	var lock sync.Mutex
	return concurrently(ctx, lines, func(ctx context.Context, l line) error {
		offer, err := l.current(ctx, lookup, o.channel)
		if kind := registry.KindOf(err); kind == registry.NotFound || kind == registry.Conflict {
			return nil
		}
		if err != nil {
			return err
		}
		lock.Lock()
		defer lock.Unlock()
		o.byLine[l] = &offer
		return nil
	})
}

// machine joins an instance with the builds that have its AMI, the newest first.
func (o *offers) machine(i Instance, uses []registry.ImageUse) Machine {
	m := Machine{Instance: i}
	if len(uses) == 0 {
		return m
	}
	at := o.choose(i, uses)
	m.Use = &uses[at]
	for n, use := range uses {
		if n != at {
			m.Others = append(m.Others, use)
		}
		if use.Revocation != nil && !use.Revocation.At.After(o.now) {
			m.Revoked, m.RevokedIn = true, addName(m.RevokedIn, use.Artifact)
		}
		offer := o.byLine[lineOf(use, i)]
		if offer == nil || offer.Revoked {
			continue
		}
		if n == at {
			current := offer.VersionID
			m.Current, m.CurrentID = &current, offer.AMIs[i.Region]
		}
		// An AMI may be recorded in an older version, and in the current one again.
		if use.Number < offer.Number && offer.AMIs[i.Region] != i.ImageID {
			m.Behind, m.BehindIn = true, addName(m.BehindIn, use.Artifact)
		}
	}
	return m
}

// choose returns which of several uses an instance is shown with. Where somebody recorded an AMI elsewhere later,
// it still belongs to the artifact that had it first, unless the channel says whose it is.
func (o *offers) choose(i Instance, uses []registry.ImageUse) int {
	first := len(uses) - 1
	if o.channel != registry.Latest {
		for n, use := range slices.Backward(uses) {
			if o.byLine[lineOf(use, i)] != nil {
				first = n
				break
			}
		}
	}
	for n, use := range uses {
		offer := o.byLine[lineOf(use, i)]
		if use.Artifact == uses[first].Artifact && offer != nil && use.Number == offer.Number {
			return n
		}
	}
	return first
}

func addName(names []registry.ArtifactName, name registry.ArtifactName) []registry.ArtifactName {
	if slices.Contains(names, name) {
		return names
	}
	return append(names, name)
}

// current is the build that a ref offers now in the place of the line's. A later version may have been made by
// another Packer source, whose component has another name; and a source may come to make AMIs of another
// architecture, which cannot start on the same instance.
func (l line) current(ctx context.Context, lookup Lookup, ref string) (registry.Resolution, error) {
	q := registry.Question{Type: string(l.typ), Component: l.component}
	offer, err := lookup.Resolve(ctx, string(l.artifact), ref, q)
	same := offer.Architecture == "" || l.architecture == "" || offer.Architecture == l.architecture
	if registry.KindOf(err) != registry.NotFound && (err != nil || same) {
		return offer, err
	}
	none := registry.Errorf(registry.NotFound, "%s %s has nothing for the architecture %s", l.artifact, ref, l.architecture)
	if l.architecture == "" {
		return registry.Resolution{}, none
	}
	q.Component, q.Architecture = "", l.architecture
	offer, err = lookup.Resolve(ctx, string(l.artifact), ref, q)
	if registry.KindOf(err) != registry.NotFound {
		return offer, err
	}
	// Who recorded it may not have said the architecture, which EC2 did when the AMIs were looked at.
	q.Architecture = ""
	offer, err = lookup.Resolve(ctx, string(l.artifact), ref, q)
	if err == nil && !foundWith(offer, l.architecture) {
		err = none
	}
	return offer, err
}

// foundWith says whether all AMIs of a build that does not say its architecture were found to have this one.
func foundWith(offer registry.Resolution, architecture string) bool {
	return offer.Architecture == "" && len(offer.Images) > 0 && !slices.ContainsFunc(offer.Images, func(i registry.Image) bool {
		return i.Verification == nil || i.Verification.Attributes["architecture"] != architecture
	})
}

// Within returns a lookup that knows one artifact only.
func Within(lookup Lookup, artifact string) Lookup { return within{lookup, artifact} }

type within struct {
	Lookup
	artifact string
}

func (w within) ImageUses(ctx context.Context, provider, region, id string) ([]registry.ImageUse, error) {
	uses, err := w.Lookup.ImageUses(ctx, provider, region, id)
	return slices.DeleteFunc(uses, func(u registry.ImageUse) bool { return string(u.Artifact) != w.artifact }), err
}
