package vagrant

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/box"
)

// said is what a client says of a provider. Nil and "" leave a detail as it is.
type said struct {
	name, architecture     string
	url                    string
	checksum, checksumType string
	preferred              *bool
}

func (d *door) readProvider(w http.ResponseWriter, r *http.Request) (*object, said, error) {
	o, err := d.readObject(w, r, "provider")
	if err != nil {
		return nil, said{}, err
	}
	s := said{name: o.word("name"), architecture: o.word("architecture"), url: o.word("url")}
	s.checksum, s.checksumType = checksum(o)
	if flag := o.word("default_architecture"); flag != "" {
		// Packer's users give an architecture's name here; Packer makes true or false of it, scripts may not.
		value, ok := parseFlag(flag)
		if !ok {
			value = shownArchitecture(flag) == shownArchitecture(s.architecture)
		}
		s.preferred = &value
	}
	if s.url != "" {
		if !isAddress(s.url) {
			o.add("url", "%q must be the address of a box, such as https://example.com/tiny.box", clip(s.url))
		}
	}
	return o, s, nil
}

// isAddress says whether Vagrant can be sent there.
func isAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// recorded is an architecture as the registry keeps it: "unknown" is what nobody said.
func (s said) recorded() string { return box.Architecture(s.architecture) }

func (s said) component() string { return registry.BoxComponent(s.name, s.recorded()) }

func (s said) isPreferred() bool { return s.preferred != nil && *s.preferred }

func (s said) pendingBox() registry.PendingBox {
	return registry.PendingBox{
		Component: s.component(), Provider: s.name, Architecture: s.recorded(), Default: s.isPreferred(),
		Checksum: s.checksum, ChecksumType: s.checksumType,
	}
}

func (s said) build() registry.Build {
	image := registry.Image{Provider: elsewhere, ID: s.url}
	if s.checksum != "" {
		image.Labels = registry.Metadata{"checksum": s.checksum, "checksum_type": s.checksumType}
	}
	return registry.Build{
		Component: s.component(), Type: registry.VagrantBox, Provider: s.name, Architecture: s.recorded(), Default: s.isPreferred(),
		Images: []registry.Image{image},
	}
}

// createProvider announces a box, or records where one is. Packer takes any refusal for a failed build, and a build may
// be the second try of one whose answer was lost. So what is there is no mistake: as long as the version is not released
// it is made again, and afterwards it stays, unless something else was said of it. Its bytes decide when they come.
func (d *door) createProvider(w http.ResponseWriter, r *http.Request) error {
	o, s, err := d.readProvider(w, r)
	if err != nil {
		return err
	}
	o.required("name", "virtualbox")
	if err := o.err(); err != nil {
		return err
	}
	v, err := d.published(r)
	if err != nil {
		return err
	}
	if old, exists := s.earlier(v); exists && !old.pending {
		if err := d.translate(r, v, old, &s); err != nil {
			return err
		}
		same := (s.url == "" || s.url == old.url) && (s.checksum == "" || s.checksum == old.checksum && s.checksumType == old.checksumType)
		switch {
		case same && v.Held && s.preferred != nil && *s.preferred != old.chosen:
			v, err = d.svc.SetDefaultBox(r.Context(), name(r), v.Version, old.component, *s.preferred)
			return d.answerProvider(w, r, v, old.component, err)
		case same && (s.url == "" || !v.Held):
			// Bytes that come take the place of those that are there, until the release.
			return d.answerProvider(w, r, v, old.component, nil)
		case !v.Held:
			return taken(v, old)
		case s.url == "":
			err = d.svc.DeleteBox(r.Context(), name(r), v.Version, old.component)
		}
	}
	if err == nil {
		v, err = d.record(r, v.Version, s)
	}
	return d.answerProvider(w, r, v, s.component(), err)
}

// earlier finds the box that the same words made before. Its bytes may have said an
// architecture since.
func (s said) earlier(v registry.Version) (provider, bool) {
	all := providersOf(v, true)
	if p, ok := find(all, s.name, shownArchitecture(s.recorded())); ok {
		return p, true
	}
	return announcedAs(all, s.name, s.recorded())
}

func (d *door) record(r *http.Request, version string, s said) (registry.Version, error) {
	if s.url != "" {
		return d.svc.AddBox(r.Context(), name(r), version, s.build())
	}
	return d.svc.AnnounceBox(r.Context(), name(r), version, s.pendingBox())
}

func (d *door) showProvider(w http.ResponseWriter, r *http.Request) error {
	v, p, err := d.provider(r)
	return d.answerProvider(w, r, v, p.component, err)
}

// updateProvider announces a pending box anew, and so it does with the address of a box while its version is not
// released. Of any other box only the preference can change.
func (d *door) updateProvider(w http.ResponseWriter, r *http.Request) error {
	o, s, err := d.readProvider(w, r)
	if err != nil {
		return err
	}
	v, err := d.published(r)
	if err != nil {
		return err
	}
	old, err := providerIn(r, v)
	if err != nil {
		return err
	}
	if o.err() == nil {
		if err := d.translate(r, v, old, &s); err != nil {
			return err
		}
	}
	changes := s.over(old)
	fixed := !old.pending && (old.url == "" || !v.Held)
	for _, key := range changes {
		if fixed {
			o.add(key, "cannot change: %s has its bytes already; delete it before its version is released, or make a new version", old)
		}
	}
	if err := o.err(); err != nil {
		return err
	}
	switch {
	case len(changes) > 0:
		v, err = d.replace(r, v, old, s)
		return d.answerProvider(w, r, v, s.component(), err)
	case *s.preferred != old.chosen:
		v, err = d.svc.SetDefaultBox(r.Context(), name(r), v.Version, old.component, *s.preferred)
	}
	return d.answerProvider(w, r, v, old.component, err)
}

// replace records a box in place of another, which may have had another name or architecture.
func (d *door) replace(r *http.Request, v registry.Version, old provider, s said) (registry.Version, error) {
	other, exists := find(providersOf(v, true), s.name, shownArchitecture(s.recorded()))
	if exists && other.component != old.component {
		return v, taken(v, other)
	}
	changed, err := d.record(r, v.Version, s)
	if err == nil && s.component() != old.component {
		err = d.svc.DeleteBox(r.Context(), name(r), v.Version, old.component)
	}
	return changed, err
}

func taken(v registry.Version, p provider) error {
	return registry.Errorf(registry.Conflict, "the provider has already been taken: version %s of box %s has %s", v.Version, v.Artifact, p)
}

// over fills what was left out with what there is, and returns the members that change, besides the preference.
func (s *said) over(old provider) []string {
	var changes []string
	for _, member := range []struct {
		key, have string
		say       *string
	}{{"name", old.name, &s.name}, {"architecture", old.architecture, &s.architecture}, {"url", old.url, &s.url}} {
		switch {
		case *member.say == "":
			*member.say = member.have
		case *member.say != member.have && shownArchitecture(*member.say) != member.have:
			changes = append(changes, member.key)
		}
	}
	switch {
	case s.checksum == "":
		s.checksum, s.checksumType = old.checksum, old.checksumType
	case s.checksum != old.checksum || s.checksumType != old.checksumType:
		changes = append(changes, "checksum")
	}
	if s.preferred == nil {
		s.preferred = &old.chosen
	}
	return changes
}

// translate makes the checksum of bytes that are there the one that the registry has of them, so that to publish
// again what was published is no change.
func (d *door) translate(r *http.Request, v registry.Version, p provider, s *said) error {
	if s.checksum == "" || s.checksumType == p.checksumType || p.pending || p.url != "" {
		return nil
	}
	_, blob, err := d.svc.BoxFile(r.Context(), name(r), v.Version, p.component)
	if err != nil {
		return err
	}
	// The bytes were opened to be read; there is nothing that a failing Close could lose.
	defer func() { _ = blob.Close() }()
	sum, err := sumOf(blob, s.checksumType)
	if err == nil && sum == s.checksum {
		s.checksum, s.checksumType = p.checksum, p.checksumType
	}
	return err
}

// deleteProvider removes a box. Packer cleans up after a failure without saying which architecture: then it is
// the one that never got its bytes, and never one that is released.
func (d *door) deleteProvider(w http.ResponseWriter, r *http.Request) error {
	v, p, err := d.provider(r)
	if err == nil && r.PathValue("architecture") == "" {
		p, err = onlyOne(v, p)
	}
	if err == nil && isCleanup(r) && !p.pending && !v.Held {
		err = registry.Errorf(registry.Conflict, "version %s of %s is released; to delete a box of it, say its architecture, too: %s", v.Version, v.Artifact, p)
	}
	if err != nil {
		return err
	}
	if err := d.svc.DeleteBox(r.Context(), name(r), v.Version, p.component); err != nil {
		return err
	}
	return d.host.SendJSON(w, r, http.StatusOK, d.providerJSON(r, v, p))
}

// isCleanup says whether a provider is deleted by Packer, which does so unasked after any failure, also of an upload to a
// box that was released before. People's clients name the architecture, or send the request id that Vagrant always does.
func isCleanup(r *http.Request) bool {
	return r.PathValue("architecture") == "" && r.Header.Get("X-Request-Id") == ""
}

func onlyOne(v registry.Version, p provider) (provider, error) {
	of := slices.DeleteFunc(providersOf(v, true), func(other provider) bool { return other.name != p.name })
	pending := slices.DeleteFunc(slices.Clone(of), func(p provider) bool { return !p.pending })
	switch {
	case len(of) == 1:
		return of[0], nil
	case len(pending) == 1:
		return pending[0], nil
	}
	e := registry.Errorf(registry.Conflict, "")
	for _, p := range of {
		e.Choices = append(e.Choices, p.String())
	}
	e.Msg = "version " + v.Version + " has several boxes of this provider; say which: " + strings.Join(e.Choices, ", ")
	return provider{}, e
}

// answerProvider answers with a box of a version. Packer goes on with the name and the architecture of the answer.
func (d *door) answerProvider(w http.ResponseWriter, r *http.Request, v registry.Version, component string, err error) error {
	if err != nil {
		return err
	}
	for _, p := range providersOf(v, true) {
		if p.component == component {
			return d.host.SendJSON(w, r, http.StatusOK, d.providerJSON(r, v, p))
		}
	}
	return noProvider(r, v)
}
