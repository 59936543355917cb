package crashtest

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"sync"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// numbers are the versions that an artifact lists.
type numbers struct {
	highest int64
	runs    map[int64]*run
}

// check holds the registry after a restart against what was acknowledged: of the last rounds, or of
// all. Then it sends again what was not acknowledged, which must succeed, and looks again.
func (h *harness) check(round int, all bool) {
	h.t.Helper()
	began := time.Now()
	since := round - recent + 1
	if all {
		since = 0
		h.count("checks of everything", 1)
	}
	runs := slices.DeleteFunc(slices.Clone(h.runs), func(r *run) bool { return r.round < since })
	h.look(runs)
	h.checkTokens(since)
	each(h.uploads, h.checkUpload)
	if h.t.Failed() {
		return
	}
	unsure := slices.DeleteFunc(slices.Clone(runs), func(r *run) bool { return !slices.ContainsFunc(r.acts, (*act).unsure) })
	each(unsure, h.repeat)
	h.look(unsure)
	h.checkBlobs()
	h.count("rounds", 1)
	h.count("milliseconds of checks", time.Since(began).Milliseconds())
}

// look reads the log and the lists of versions, and checks runs, channels and what latest names.
func (h *harness) look(runs []*run) {
	h.readLog()
	for _, artifact := range artifacts {
		h.readNumbers(artifact)
	}
	each(runs, h.checkRun)
	for _, artifact := range artifacts {
		h.checkChannels(artifact)
		h.checkLatest(artifact)
	}
}

// readNumbers reads which versions are new, and gives them to their runs.
func (h *harness) readNumbers(artifact string) {
	seen := h.seen[artifact]
	var fresh []registry.Version
	for filter := (registry.VersionFilter{Limit: 100}); ; {
		page, err := h.api.Versions(h.ctx, artifact, filter)
		if registry.KindOf(err) == registry.NotFound && seen.highest == 0 {
			return // nothing of it was published yet
		}
		if err != nil {
			h.t.Errorf("versions of %s: %v", artifact, err)
			return
		}
		at := slices.IndexFunc(page.Versions, func(v registry.Version) bool { return v.Number <= seen.highest })
		if at < 0 {
			fresh = append(fresh, page.Versions...)
		} else {
			fresh = append(fresh, page.Versions[:at]...)
		}
		if filter.Cursor = page.Next; at >= 0 || page.Next == "" {
			break
		}
	}
	slices.Reverse(fresh)
	for _, v := range fresh {
		if v.Number != seen.highest+1 {
			h.t.Errorf("%s goes on after number %d with %d", artifact, seen.highest, v.Number)
		}
		seen.highest = v.Number
		at := slices.IndexFunc(h.runs, func(r *run) bool { return r.artifact == artifact && r.fingerprint == v.Fingerprint })
		if at < 0 || h.runs[at].number != 0 {
			h.t.Errorf("%s has number %d of the run %s, which was not sent or has a number already", artifact, v.Number, v.Fingerprint)
			continue
		}
		h.runs[at].number, seen.runs[v.Number] = v.Number, h.runs[at]
	}
}

// checkRun finds out what became of the acts that were not acknowledged, and holds the version against
// all that was carried out.
func (h *harness) checkRun(r *run) {
	got, err := h.api.Version(h.ctx, r.artifact, r.ref())
	if err != nil && registry.KindOf(err) != registry.NotFound {
		h.t.Errorf("%s of %s: %v", r.fingerprint, r.artifact, err)
		return
	}
	for _, a := range r.acts {
		if a.unsure() && !a.found {
			a.found = err == nil && a.there(got)
		}
	}
	want, exists := r.want()
	if !exists || err != nil {
		if exists || err == nil || r.number != 0 {
			h.t.Errorf("%s of %s is listed as number %d and answered %v; it must exist: %v", r.fingerprint, r.artifact, r.number, err, exists)
		}
		return
	}
	r.last = got
	want.VersionID = registry.VersionID{Number: r.number, Version: cmp.Or(r.given.Version, got.Version)}
	ignored := gocmp.Options{
		cmpopts.EquateEmpty(),
		cmpopts.IgnoreFields(registry.Version{}, "CreatedAt", "CreatedBy", "Completed"),
		cmpopts.IgnoreFields(registry.Build{}, "CreatedAt", "CreatedBy"),
		cmpopts.IgnoreFields(registry.Revocation{}, "At", "By"),
	}
	if diff := gocmp.Diff(want, got, ignored); diff != "" {
		h.t.Errorf("%s of %s (-sent +recorded):\n%s", r.fingerprint, r.artifact, diff)
	}
	h.checkReceipts(r, got)
	events := slices.Sorted(slices.Values(h.log.versions[r.artifact][r.number]))
	if diff := gocmp.Diff(r.events(want), events); diff != "" {
		h.t.Errorf("events of %s of %s (-want +log):\n%s", r.fingerprint, r.artifact, diff)
	}
	h.checkLookups(r, got)
	h.count("checks of versions", 1)
}

// checkReceipts holds a version against what its publishers were told.
func (h *harness) checkReceipts(r *run, got registry.Version) {
	if r.given.Number != 0 && r.given != got.VersionID {
		h.t.Errorf("%s of %s was acknowledged as %v and is %v", r.fingerprint, r.artifact, r.given, got.VersionID)
	}
	for component, at := range r.published {
		if b := buildOf(&got, component); b == nil || !b.CreatedAt.Equal(at) {
			h.t.Errorf("build %s of %s was acknowledged with %v and is %+v", component, r.fingerprint, at, b)
		}
	}
	if (got.Completed != nil) != (got.Status == registry.StatusComplete) {
		h.t.Errorf("%s of %s is %s, completed at %v", r.fingerprint, r.artifact, got.Status, got.Completed)
	}
	moves := 0
	for _, number := range h.log.targets[r.artifact+" "+moving] {
		if number == got.Number {
			moves++
		}
	}
	if moves > 1 || r.pointed && moves == 0 {
		h.t.Errorf("channel %s moved to %s of %s %d times; that it did was acknowledged: %v", moving, r.fingerprint, r.artifact, moves, r.pointed)
	}
	if targets := h.log.targets[r.artifact+" "+moving]; got.Status == registry.StatusComplete && len(got.Requested) > 0 {
		if len(targets) == 0 || targets[len(targets)-1] < got.Number {
			h.t.Errorf("channel %s did not follow %s of %s, number %d: it went to %v", moving, r.fingerprint, r.artifact, got.Number, targets)
		}
	}
	for _, a := range r.acts {
		if n := h.log.reasons[a.reason]; a.reason != "" && (n > 1 || a.acknowledged && !a.found && (n == 1) != a.moved) {
			h.t.Errorf("%q moved the channel %d times; it was acknowledged: %v, as a move: %v", a.reason, n, a.acknowledged, a.moved)
		}
	}
}

// checkLookups holds the answers to lookups of a version against the version. A lookup by region alone
// is answered from what was written down when the version was recorded, one that names the component
// from the version itself.
func (h *harness) checkLookups(r *run, v registry.Version) {
	number := fmt.Sprint(v.Number)
	for _, b := range v.Builds {
		found, err := h.api.Resolve(h.ctx, r.artifact, number, registry.Question{Component: b.Component})
		if v.Status != registry.StatusComplete {
			if registry.KindOf(err) != registry.NotFound {
				h.t.Errorf("%s of %s is %s, and a lookup is answered %+v, %v", r.fingerprint, r.artifact, v.Status, found, err)
			}
			continue
		}
		want := registry.Resolution{
			Lookup: registry.Lookup{Ref: number, Revoked: v.Revocation != nil, Revocation: v.Revocation, Images: b.Images},
			Resolved: registry.Resolved{
				Artifact: v.Artifact, VersionID: v.VersionID, Fingerprint: v.Fingerprint, Component: b.Component, Type: b.Type,
				Provider: b.Provider, Architecture: b.Architecture, Files: b.Files, Attachments: b.Attachments,
				Metadata: registry.FullMetadata(v.Metadata, b), CreatedAt: v.CreatedAt, CompletedAt: v.Completed,
			},
		}
		if len(b.Images) == 1 {
			want.ID = b.Images[0].ID
		}
		if b.Type == registry.AmazonImage {
			want.AMIs = map[string]string{}
			for _, i := range b.Images {
				want.AMIs[i.Region] = i.ID
			}
		}
		if diff := gocmp.Diff(want, found, cmpopts.EquateEmpty()); err != nil || diff != "" {
			h.t.Errorf("lookup of %s of %s, %v (-version +lookup):\n%s", r.fingerprint, r.artifact, err, diff)
		}
		if len(b.Images) > 0 {
			h.checkWrittenAnswer(r, v.Number, b)
		}
	}
}

func (h *harness) checkWrittenAnswer(r *run, number int64, b registry.Build) {
	image := b.Images[len(b.Images)-1]
	address := fmt.Sprintf("/v1/resolve/%s/%d?region=%s", r.artifact, number, image.Region)
	written, err := h.text(address)
	derived, again := h.text(address + "&component=" + url.QueryEscape(b.Component))
	if err != nil || again != nil || !bytes.Equal(written, derived) {
		h.t.Errorf("%s is answered %s, %v, and with its component %s, %v", address, written, err, derived, again)
	}
	uses, err := h.api.ImageUses(h.ctx, image.Provider, image.Region, image.ID)
	if err != nil || len(uses) != 1 || string(uses[0].Artifact) != r.artifact || uses[0].Number != number {
		h.t.Errorf("image %s of number %d of %s is used by %+v, %v", image, number, r.artifact, uses, err)
	}
	h.count("checks of lookups", 1)
}

func (h *harness) text(path string) ([]byte, error) {
	resp, err := h.raw.do(h.ctx, "GET", path, nil, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	return io.ReadAll(resp.Body)
}

// checkLatest holds what an artifact offers against the versions that are complete and not revoked.
func (h *harness) checkLatest(artifact string) {
	newest := map[registry.Type]registry.Version{}
	components := map[registry.Type]string{}
	for _, r := range h.seen[artifact].runs {
		if r.last.Status != registry.StatusComplete || r.last.Revocation != nil {
			continue
		}
		for _, b := range r.last.Builds {
			for _, typ := range []registry.Type{"", b.Type} {
				if r.last.Number > newest[typ].Number {
					newest[typ], components[typ] = r.last, b.Component
				}
			}
		}
	}
	a, err := h.api.Artifact(h.ctx, artifact)
	if h.seen[artifact].highest == 0 {
		return
	}
	latest, offered := newest[""]
	delete(newest, "")
	if err != nil || offered != (a.Latest != nil) || offered && *a.Latest != latest.VersionID || !slices.Equal(a.Types, slices.Sorted(maps.Keys(newest))) {
		h.t.Errorf("%s offers %v with %v, %v; want %v with %v", artifact, a.Latest, a.Types, err, latest.VersionID, slices.Sorted(maps.Keys(newest)))
	}
	for typ, v := range newest {
		found, err := h.api.Resolve(h.ctx, artifact, registry.Latest, registry.Question{Type: string(typ), Component: components[typ]})
		if err != nil || found.Number != v.Number {
			h.t.Errorf("latest %s of %s is number %d, %v; want %d", typ, artifact, found.Number, err, v.Number)
		}
	}
	h.count("checks of latest", 1)
}

// repeat sends again what was not acknowledged: what was carried out where that is harmless, and
// what was not, always.
func (h *harness) repeat(r *run) {
	for _, a := range r.acts {
		if !a.unsure() {
			continue
		}
		fate := "absent"
		if a.found {
			fate = "whole"
		}
		h.count("unacknowledged and "+fate+": "+a.kind, 1)
		if a.found && !a.harmless {
			a.settled = true
			continue
		}
		ok := h.request("repeated "+a.kind, a.send)
		if !ok {
			h.t.Errorf("%s of %s for %s could not be repeated", a.kind, r.fingerprint, r.artifact)
		}
		a.acknowledged = ok
	}
}

// checkBlobs downloads the files that came since it was called last.
func (h *harness) checkBlobs() {
	files := map[registry.Digest]registry.File{}
	for _, u := range h.uploads {
		if u.done && u.content != nil {
			files[u.file.SHA256] = u.file
			u.content = nil // it is not needed any more
		}
	}
	each(slices.Collect(maps.Values(files)), h.download)
}

// referenced are the files that versions refer to, once each.
func (h *harness) referenced() map[registry.Digest]registry.File {
	files := map[registry.Digest]registry.File{}
	var mu sync.Mutex
	each(h.runs, func(r *run) {
		mu.Lock()
		defer mu.Unlock()
		for _, b := range r.last.Builds {
			for _, f := range b.Files {
				files[f.SHA256] = f
			}
			for _, a := range b.Attachments {
				files[a.SHA256] = a.File
			}
		}
	})
	return files
}
