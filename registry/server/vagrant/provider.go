package vagrant

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/box"
)

// provider is a box of a version as clients see it: a build, or one that was announced and has no bytes yet.
type provider struct {
	component string
	name      string
	// architecture is never empty, and in the words of Vagrant.
	architecture string
	// chosen is what its publisher says, and preferred the one for clients that know no architectures: one box of each
	// provider is that.
	chosen, preferred bool
	pending           bool
	// url is where the bytes are, if they are elsewhere.
	url                    string
	checksum, checksumType string
	createdAt              time.Time
}

const unknownArchitecture = "unknown"

// shownArchitecture is an architecture as Vagrant is told it.
func shownArchitecture(s string) string { return cmp.Or(box.Architecture(s), unknownArchitecture) }

// elsewhere is the provider of the image of a box whose bytes the registry does not have; its ID is their URL.
const elsewhere = "url"

// providersOf returns the boxes of a version, those of one provider together and its preferred one last: Vagrant
// before 2.4 takes the last. Of two with the same provider and architecture the one that was recorded first is shown.
func providersOf(v registry.Version, pendingToo bool) []provider {
	var all []provider
	for _, b := range v.Builds {
		if p, ok := ofBuild(b); ok {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b provider) int {
		return cmp.Or(a.createdAt.Compare(b.createdAt), strings.Compare(a.component, b.component))
	})
	if pendingToo {
		for _, p := range v.Pending {
			if p.Provider != "" { // else its bytes will say it
				all = append(all, ofPending(p))
			}
		}
	}
	var shown []provider
	for _, p := range all {
		if !slices.ContainsFunc(shown, func(other provider) bool { return other.name == p.name && other.architecture == p.architecture }) {
			shown = append(shown, p)
		}
	}
	slices.SortStableFunc(shown, func(a, b provider) int { return strings.Compare(a.name, b.name) })
	return preferOne(shown)
}

// preferOne leaves each provider with one preferred box, and puts that last.
func preferOne(sorted []provider) []provider {
	ordered := make([]provider, 0, len(sorted))
	for len(sorted) > 0 {
		end := slices.IndexFunc(sorted, func(p provider) bool { return p.name != sorted[0].name })
		if end < 0 {
			end = len(sorted)
		}
		group := sorted[:end]
		best := preferredOf(group)
		for i := range group {
			group[i].preferred = i == best
			if i != best {
				ordered = append(ordered, group[i])
			}
		}
		ordered = append(ordered, group[best])
		sorted = sorted[end:]
	}
	return ordered
}

// preferredOf finds the box that its publisher preferred, else the one that does not say what it is for, else the
// one for the most common machines, else the first.
func preferredOf(group []provider) int {
	for _, fits := range []func(provider) bool{
		func(p provider) bool { return p.chosen },
		func(p provider) bool { return p.architecture == unknownArchitecture },
		func(p provider) bool { return p.architecture == "amd64" },
	} {
		if i := slices.IndexFunc(group, fits); i >= 0 {
			return i
		}
	}
	return 0
}

func ofBuild(b registry.Build) (provider, bool) {
	p := provider{
		component: b.Component, name: b.Provider, architecture: shownArchitecture(b.Architecture),
		chosen: b.Default, createdAt: b.CreatedAt,
	}
	switch {
	case b.Type != registry.VagrantBox:
		return p, false
	case len(b.Files) > 0:
		p.checksum, p.checksumType = string(b.Files[0].SHA256), "sha256"
		return p, true
	case len(b.Images) > 0 && b.Images[0].Provider == elsewhere && b.Images[0].Offered() && isAddress(b.Images[0].ID):
		image := b.Images[0]
		p.url, p.checksum, p.checksumType = image.ID, image.Labels["checksum"], image.Labels["checksum_type"]
		return p, true
	}
	return p, false
}

func ofPending(b registry.PendingBox) provider {
	return provider{
		component: b.Component, name: b.Provider, architecture: shownArchitecture(b.Architecture), chosen: b.Default,
		pending: true, checksum: b.Checksum, checksumType: b.ChecksumType, createdAt: b.CreatedAt,
	}
}

// find returns the box of a provider and an architecture. Without one, it is the provider's only box, else the one
// that does not say what it is for, else the preferred one.
func find(all []provider, name, architecture string) (provider, bool) {
	var fits []provider
	for _, p := range all {
		if p.name == name && (architecture == "" || p.architecture == shownArchitecture(architecture)) {
			fits = append(fits, p)
		}
	}
	for _, best := range []func(provider) bool{
		func(provider) bool { return len(fits) == 1 },
		func(p provider) bool { return p.architecture == unknownArchitecture },
		func(p provider) bool { return p.preferred },
	} {
		if i := slices.IndexFunc(fits, best); i >= 0 {
			return fits[i], true
		}
	}
	return provider{}, false
}

// announcedAs finds the box of a provider that was announced for an architecture.
func announcedAs(all []provider, name, architecture string) (provider, bool) {
	component := registry.BoxComponent(name, architecture)
	if i := slices.IndexFunc(all, func(p provider) bool { return p.name == name && p.component == component }); i >= 0 {
		return all[i], true
	}
	return provider{}, false
}

// provider returns the version and the box in a path.
func (d *door) provider(r *http.Request) (registry.Version, provider, error) {
	v, err := d.version(r)
	if err != nil {
		return v, provider{}, err
	}
	p, err := providerIn(r, v)
	return v, p, err
}

func providerIn(r *http.Request, v registry.Version) (provider, error) {
	all, asked, architecture := providersOf(v, true), r.PathValue("provider"), r.PathValue("architecture")
	if architecture == "" {
		// Who announced a box without an architecture goes on without one, whatever its bytes said.
		if p, ok := announcedAs(all, asked, ""); ok {
			return p, nil
		}
	}
	p, ok := find(all, asked, architecture)
	if !ok {
		return p, noProvider(r, v)
	}
	return p, nil
}

func noProvider(r *http.Request, v registry.Version) error {
	asked := strings.TrimSuffix(r.PathValue("provider")+"/"+r.PathValue("architecture"), "/")
	return registry.Errorf(registry.NotFound, "version %s of box %s has no provider %s", v.Version, v.Artifact, clip(asked))
}

// String returns what paths have.
func (p provider) String() string { return p.name + "/" + p.architecture }
