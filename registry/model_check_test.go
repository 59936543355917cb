package registry_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// check compares all that can be read with what the model has, and the audit log with what was done.
func (m *machine) check(t *rapid.T) {
	m.checkEvents(t)
	var listed []registry.Artifact
	for _, name := range m.names {
		a := m.model.artifact(name)
		got, err := m.w.Artifact(m.ctx, name)
		if a == nil {
			sameKind(t, "artifact "+name, err, registry.NotFound)
			_, err = m.w.Versions(m.ctx, name, registry.VersionFilter{})
			sameKind(t, "versions of "+name, err, registry.NotFound)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		m.checkArtifact(t, name, *a, got)
		m.checkVersions(t, name, *a)
		m.checkChannels(t, name, *a)
		listed = append(listed, got)
		for _, typ := range []string{"", "amazon.image", "qemu.image", "archive", "vagrant.box"} {
			m.lookUp(t, name, "latest", registry.Question{Type: typ})
			m.lookUp(t, name, "latest", registry.Question{Type: typ, Region: modelRegions[0]})
		}
	}
	page, err := m.w.Artifacts(m.ctx, registry.ArtifactFilter{Namespace: m.model.namespace})
	if err != nil {
		t.Fatal(err)
	}
	same(t, "the list of artifacts", page.Artifacts, listed)
}

// checkEvents expects one event for each act, in the order of the acts, and no other.
func (m *machine) checkEvents(t *rapid.T) {
	page, err := m.w.Events(m.ctx, m.lastEvent, 500)
	if err != nil {
		t.Fatal(err)
	}
	var got []registry.Event
	for i, e := range page.Events {
		if e.ID <= m.lastEvent {
			t.Fatal("the numbers of events do not grow")
		}
		m.lastEvent, e.ID = e.ID, 0
		if i < len(m.model.events) { // of the details, those that the model has
			maps.DeleteFunc(e.Detail, func(key, _ string) bool { _, ok := m.model.events[i].Detail[key]; return !ok })
		}
		got = append(got, e)
	}
	same(t, "events", got, m.model.events)
	m.model.events = nil
}

func (m *machine) checkArtifact(t *rapid.T, name string, a modelArtifact, got registry.Artifact) {
	want := registry.Artifact{Name: registry.ArtifactName(name), Description: a.description, CreatedAt: a.createdAt}
	want.Channels = slices.Collect(maps.Values(a.channels))
	slices.SortFunc(want.Channels, func(a, b registry.Channel) int { return strings.Compare(a.Name, b.Name) })
	got.UpdatedAt = time.Time{}
	if m.catalogIsBehind(a) {
		got.Latest, got.Types = nil, nil
		same(t, "artifact "+name, got, want)
		return
	}
	for _, typ := range []registry.Type{registry.AmazonImage, registry.Archive, "qemu.image", registry.VagrantBox} {
		if v, _ := m.model.find(name, "latest", typ); v != nil {
			want.Types = append(want.Types, typ)
		}
	}
	if v, _ := m.model.find(name, "latest", ""); v != nil {
		want.Latest = &v.VersionID
	}
	same(t, "artifact "+name, got, want)
}

// catalogIsBehind says whether a revocation took effect since the server last looked for such: until it does,
// the catalog, other than lookups, can name a version that is revoked.
func (m *machine) catalogIsBehind(a modelArtifact) bool {
	return slices.ContainsFunc(a.versions, func(v *registry.Version) bool {
		return v.Revocation != nil && v.Revocation.At.After(m.model.refreshed) && !v.Revocation.At.After(m.model.now())
	})
}

func (m *machine) checkVersions(t *rapid.T, name string, a modelArtifact) {
	all := m.versions(t, name, registry.VersionFilter{Limit: 2})
	if len(all) != len(a.versions) {
		t.Logf("%s has %d versions, want %d", name, len(all), len(a.versions))
		t.Fatal("a list of versions has another length")
	}
	for i, want := range slices.Backward(a.versions) {
		got := all[len(all)-1-i]
		brief := *want
		brief.Builds, brief.Pending = nil, nil
		for _, b := range want.Builds {
			brief.Builds = append(brief.Builds, registry.Build{
				Component: b.Component, Type: b.Type, Provider: b.Provider, Architecture: b.Architecture, CreatedAt: b.CreatedAt, CreatedBy: b.CreatedBy,
			})
		}
		sameVersion(t, "version in the list of "+name, got, brief)
		whole, err := m.w.Version(m.ctx, name, strconv.FormatInt(want.Number, 10))
		if err != nil {
			t.Fatal(err)
		}
		sameVersion(t, "version of "+name, whole, *want)
		if name == m.touched {
			m.lookUp(t, name, strconv.FormatInt(want.Number, 10), registry.Question{})
			m.lookUp(t, name, strconv.FormatInt(want.Number, 10), registry.Question{Region: modelRegions[0]})
		}
	}
	for _, f := range []registry.VersionFilter{{Offered: true}, {Type: "aws.ami", Offered: true}, {Type: "archive"}, {Type: "vagrant.box", Offered: true}, {Status: "open"}, {Status: "failed"}} {
		var got, want []int64
		for _, v := range m.versions(t, name, f) {
			got = append(got, v.Number)
		}
		typ := map[string]registry.Type{"aws.ami": registry.AmazonImage, "archive": registry.Archive, "vagrant.box": registry.VagrantBox}[f.Type]
		for _, v := range slices.Backward(a.versions) {
			if (!f.Offered || m.model.offered(*v)) && hasType(*v, typ) && (f.Status == "" || string(v.Status) == f.Status) {
				want = append(want, v.Number)
			}
		}
		same(t, fmt.Sprintf("versions of %s with %+v", name, f), got, want)
	}
}

// versions reads all pages of a list.
func (m *machine) versions(t *rapid.T, name string, f registry.VersionFilter) []registry.Version {
	var all []registry.Version
	for range 100 {
		page, err := m.w.Versions(m.ctx, name, f)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page.Versions...)
		if f.Cursor = page.Next; f.Cursor == "" {
			return all
		}
	}
	t.Fatal("the list of versions does not end")
	return nil
}

func (m *machine) checkChannels(t *rapid.T, name string, a modelArtifact) {
	for _, channel := range modelChannels {
		got, err := m.w.Channel(m.ctx, name, channel)
		if m.model.pointsTo(name, channel) == 0 {
			sameKind(t, "channel "+channel+" of "+name, err, registry.NotFound)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		same(t, "channel "+channel+" of "+name, got, m.model.history(name, channel))
	}
}

// lookUp asks by Resolve and by ResolveJSON, which must say the same, what the model says.
func (m *machine) lookUp(t *rapid.T, name, ref string, q registry.Question) {
	what := fmt.Sprintf("resolve %s %s %+v", name, ref, q)
	got, err := m.w.Resolve(m.ctx, name, ref, q)
	answer, answerErr := m.w.ResolveJSON(m.ctx, name, ref, q)
	want, refused := m.model.resolve(name, ref, q)
	sameKind(t, what, err, refused.kind)
	if (err == nil) != (answerErr == nil) {
		t.Logf("%s: Resolve says %v, and ResolveJSON %v", what, err, answerErr)
		t.Fatal("only one of Resolve and ResolveJSON fails")
	}
	if err != nil {
		same(t, what+": the error of ResolveJSON", errorOf(t, answerErr), errorOf(t, err))
		if len(refused.regions) > 0 {
			same(t, what+": regions", errorOf(t, err).Choices, refused.regions)
		}
		if refused.fitting > 0 {
			same(t, what+": how many fit", len(errorOf(t, err).Choices), refused.fitting)
		}
		return
	}
	got.Images, want.Images = sortedByRegion(got.Images), sortedByRegion(want.Images)
	same(t, what, got, want)
	m.sameAnswer(t, what, answer, name, ref, q)
}

// sameAnswer compares an answer with what encoding the resolution gives, to the byte.
func (m *machine) sameAnswer(t *rapid.T, what string, answer registry.Answer, name, ref string, q registry.Question) {
	r, err := m.w.Resolve(m.ctx, name, ref, q)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	if err := e.Encode(r); err != nil {
		t.Fatal(err)
	}
	same(t, what+": the text of ResolveJSON", string(answer.JSON), text.String())
	var decoded registry.Resolution
	if err := json.Unmarshal(answer.JSON, &decoded); err != nil {
		t.Fatal(err)
	}
	same(t, what+": what ResolveJSON says", decoded, r)
	wantRevocation := r.Revocation
	if !r.Revoked {
		wantRevocation = nil
	}
	same(t, what+": the revocation beside the text", answer.Revocation, wantRevocation)
	bare, bareErr := r.Bare()
	same(t, what+": the bare id", answer.Bare, bare)
	same(t, what+": why there is no bare id", fmt.Sprint(answer.BareErr), fmt.Sprint(bareErr))
}

func errorOf(t *rapid.T, err error) registry.Error {
	e, ok := err.(*registry.Error)
	if !ok {
		t.Fatalf("%v is no error of the registry", err)
	}
	return *e
}

// sameKind expects an error of a kind, or none for "". Here and in same the text of the failure does not tell what
// was found, which is logged: rapid takes a shorter run for the same failure only if its text is the same.
func sameKind(t *rapid.T, what string, err error, want registry.Kind) {
	t.Helper()
	if got := registry.KindOf(err); got != want {
		t.Logf("%s: got error %v, want kind %q", what, err, want)
		t.Fatalf("got an error of kind %q, want %q", got, want)
	}
}

// same compares everything; empty and absent lists are the same.
func same(t *rapid.T, what string, got, want any) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Logf("%s (-want +registry):\n%s", what, diff)
		t.Fatal("the registry differs from the model")
	}
}

// sameVersion compares versions; the model keeps builds, images and attachments in the order in which they came.
func sameVersion(t *rapid.T, what string, got, want registry.Version) {
	t.Helper()
	want.Pending = slices.SortedFunc(slices.Values(want.Pending), func(a, b registry.PendingBox) int { return strings.Compare(a.Component, b.Component) })
	want.Builds = slices.SortedFunc(slices.Values(want.Builds), func(a, b registry.Build) int { return strings.Compare(a.Component, b.Component) })
	for i := range want.Builds {
		b := &want.Builds[i]
		b.Images = sortedByRegion(b.Images)
		b.Attachments = sortedByName(b.Attachments)
	}
	same(t, what, got, want)
}

// sameReceipt compares receipts; the text that says why a channel does not point to the version is free.
func sameReceipt(t *rapid.T, got, want registry.Receipt) {
	t.Helper()
	for i, c := range got.Channels {
		if c.Points == (c.Note != "") {
			t.Fatalf("channel %s: points is %v, and the note is %q", c.Name, c.Points, c.Note)
		}
		got.Channels[i].Note = ""
	}
	slices.Sort(got.Waiting)
	slices.Sort(want.Waiting)
	same(t, "receipt", got, want)
}

// clonePublication copies what a test, a model or a registry could change.
func clonePublication(pub registry.Publication) registry.Publication {
	pub.Expect, pub.Channels, pub.VersionMetadata = slices.Clone(pub.Expect), slices.Clone(pub.Channels), maps.Clone(pub.VersionMetadata)
	b := &pub.Build
	b.Metadata, b.Provenance = maps.Clone(b.Metadata), maps.Clone(b.Provenance)
	b.Files, b.Attachments, b.Images = slices.Clone(b.Files), slices.Clone(b.Attachments), slices.Clone(b.Images)
	for i := range b.Images {
		if v := b.Images[i].Verification; v != nil {
			copied := *v
			b.Images[i].Verification = &copied
		}
	}
	return pub
}
