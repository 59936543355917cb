package aws

import (
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
	// Use is the build that has the AMI, of the version that was made last; nil when no artifact has it.
	Use *registry.ImageUse `json:"use,omitempty"`
	// Others are other artifacts' builds that have the same AMI.
	Others []registry.ImageUse `json:"others,omitempty"`
	// Current is the version that is offered now; nil when there is none, or none that can be told.
	Current *registry.VersionID `json:"current,omitempty"`
	// CurrentID is the AMI of Current in the instance's region; "" when it has none there.
	CurrentID string `json:"current_id,omitempty"`
	// Behind is true when Current is newer than what the instance runs.
	Behind bool `json:"behind"`
	// Revoked is true when the version that the instance runs is revoked.
	Revoked bool `json:"revoked"`
}

// Match joins instances with what is recorded of their AMIs, in the order of the instances. What is offered is
// what the channel points to, or latest where channel is "". A revoked version is not offered. It asks once for
// each AMI in a region and once for each build of an artifact, however many instances there are; errors are the
// registry's. Each of the builds is looked for in the current version under the name of its component, or else
// as the only one of its type, or of its type and the instance's architecture.
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
	now := time.Now()
	machines := make([]Machine, len(instances))
	var lines []line
	for n, i := range instances {
		machines[n] = newMachine(i, uses[place{i.Region, i.ImageID}], now)
		if l, ok := machines[n].line(); ok && !slices.Contains(lines, l) {
			lines = append(lines, l)
		}
	}
	offers, err := currentOffers(ctx, lookup, lines, channel)
	if err != nil {
		return nil, err
	}
	for n := range machines {
		m := &machines[n]
		l, ok := m.line()
		offer := offers[l]
		if !ok || offer == nil {
			continue
		}
		current := offer.VersionID
		m.Current, m.CurrentID = &current, offer.AMIs[m.Region]
		m.Behind = m.Use.Number < current.Number
	}
	return machines, nil
}

func newMachine(i Instance, uses []registry.ImageUse, now time.Time) Machine {
	m := Machine{Instance: i}
	if len(uses) == 0 {
		return m
	}
	use := uses[0]
	m.Use = &use
	for _, other := range uses[1:] {
		if other.Artifact != use.Artifact {
			m.Others = append(m.Others, other)
		}
	}
	m.Revoked = use.Revocation != nil && !use.Revocation.At.After(now)
	return m
}

// line is one line of builds of an artifact, of which one is current.
type line struct {
	artifact     registry.ArtifactName
	typ          registry.Type
	component    string
	architecture string
}

// line is that which a machine runs, if it is known.
func (m *Machine) line() (line, bool) {
	if m.Use == nil {
		return line{}, false
	}
	return line{m.Use.Artifact, m.Use.Type, m.Use.Component, m.Architecture}, true
}

func currentOffers(ctx context.Context, lookup Lookup, lines []line, channel string) (map[line]*registry.Resolution, error) {
	ref := channel
	if ref == "" {
		ref = registry.Latest
	}
	var lock sync.Mutex
	offers := map[line]*registry.Resolution{}
	err := concurrently(ctx, lines, func(ctx context.Context, l line) error {
		offer, err := l.current(ctx, lookup, ref)
		if kind := registry.KindOf(err); kind == registry.NotFound || kind == registry.Conflict {
			return nil
		}
		if err != nil || offer.Revoked {
			return err
		}
		lock.Lock()
		defer lock.Unlock()
		offers[l] = &offer
		return nil
	})
	return offers, err
}

// current is the build that a ref offers now in the place of the line's. A later version may have been made by
// another Packer source, whose component has another name.
func (l line) current(ctx context.Context, lookup Lookup, ref string) (registry.Resolution, error) {
	q := registry.Question{Type: string(l.typ), Component: l.component}
	offer, err := lookup.Resolve(ctx, string(l.artifact), ref, q)
	if registry.KindOf(err) == registry.NotFound {
		q.Component = ""
		offer, err = lookup.Resolve(ctx, string(l.artifact), ref, q)
	}
	if registry.KindOf(err) == registry.Conflict && l.architecture != "" {
		q.Architecture = l.architecture
		offer, err = lookup.Resolve(ctx, string(l.artifact), ref, q)
	}
	return offer, err
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
