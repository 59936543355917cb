package registry

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// publishing is one publication within its transaction.
type publishing struct {
	*Service
	tx    Tx
	name  ArtifactName
	pub   Publication
	now   time.Time
	actor string

	counters Counters
	version  Version
	changed  bool   // the version's own row is to be written
	removed  []Type // those of builds that were taken from the version
	events   []Event
}

func (p *publishing) run(ctx context.Context) (Receipt, error) {
	var err error
	if p.counters, err = p.lock(ctx, p.tx, p.name, p.now); err != nil {
		return Receipt{}, err
	}
	if err := p.openVersion(ctx); err != nil {
		return Receipt{}, err
	}
	build, err := p.addBuild(ctx)
	if err != nil {
		return Receipt{}, err
	}
	if err := p.complete(ctx); err != nil {
		return Receipt{}, err
	}
	outcomes, err := p.outcomes(ctx)
	if err != nil {
		return Receipt{}, err
	}
	if err := p.recordEvents(ctx); err != nil {
		return Receipt{}, err
	}
	return Receipt{
		Artifact: p.name, VersionID: p.version.VersionID, Fingerprint: p.version.Fingerprint,
		Component: build.Component, Type: build.Type, PublishedAt: build.CreatedAt,
		Status: p.version.Status, Missing: p.version.Missing(), Waiting: waitingTexts(p.version, build.Component), Channels: outcomes,
	}, nil
}

func (p *publishing) recordEvents(ctx context.Context) error {
	for _, e := range p.events {
		e.Artifact, e.Number = p.name, p.version.Number
		if err := p.record(ctx, p.tx, e); err != nil {
			return err
		}
	}
	return nil
}

// waitingTexts names the images of a build that are not offered.
func waitingTexts(v Version, component string) []string {
	var texts []string
	for _, i := range v.build(component).Images {
		if !i.Offered() {
			texts = append(texts, i.finding())
		}
	}
	return texts
}

// openVersion finds the fingerprint's version or makes it.
func (p *publishing) openVersion(ctx context.Context) error {
	var err error
	p.version, err = p.tx.Version(ctx, p.name, Selector{Fingerprint: p.pub.Fingerprint})
	switch {
	case KindOf(err) == NotFound:
		return p.newVersion(ctx)
	case err != nil:
		return err
	}
	return p.agree()
}

// builtAt is when the publication says that it was built, if that is in the past.
func (p *publishing) builtAt() time.Time {
	if at := p.pub.BuiltAt; at != nil && at.Before(p.now) {
		return at.UTC().Truncate(time.Microsecond)
	}
	return p.now
}

func (p *publishing) newVersion(ctx context.Context) error {
	return p.insertVersion(ctx, Version{
		VersionID: VersionID{Version: p.pub.Version}, Fingerprint: p.pub.Fingerprint,
		Expect: p.pub.Expect, Metadata: p.pub.VersionMetadata, CreatedAt: p.builtAt(),
	})
}

// insertVersion makes an open version with the next number and, where it has none, the next semantic version. One that
// comes of a run says so in its metadata.
func (p *publishing) insertVersion(ctx context.Context, v Version) error {
	version := v.Version
	if version == "" {
		version = nextMinor(p.counters.Highest)
		if err := CheckSemver(version); err != nil {
			return Errorf(Conflict, "the version after %s cannot be chosen: its minor number would be too high; give a version", p.counters.Highest)
		}
	} else {
		taken, err := p.tx.Version(ctx, p.name, Selector{Version: version})
		if err == nil {
			return Errorf(Conflict, "version %s of %s exists already: it is number %d, made by the run %s; choose another version, or publish with that fingerprint to add to it",
				version, p.name, taken.Number, taken.Fingerprint)
		}
		if KindOf(err) != NotFound {
			return err
		}
	}
	highest := p.counters.Highest
	if highest == "" || CompareSemver(version, highest) > 0 {
		highest = version
	}
	run, err := askedBy(ctx, p.tx, p.name, v.Fingerprint)
	switch {
	case err == nil:
		all := run.metadata()
		maps.Copy(all, v.Metadata)
		if len(CheckMetadata("", all)) == 0 { // there may be no room
			v.Metadata = all
		}
	case KindOf(err) != NotFound:
		return err
	}
	v.Artifact, v.VersionID = p.name, VersionID{Number: p.counters.LastNumber + 1, Version: version}
	v.Status, v.CreatedBy = StatusOpen, p.actor
	p.version, p.counters.LastNumber = v, v.Number
	return p.tx.InsertVersion(ctx, p.version, highest)
}

// agree compares what a publication says of its version with what is recorded. It may leave out what
// was said before, and add metadata while the version is open; it changes nothing.
func (p *publishing) agree() error {
	var diff problems
	v, pub := &p.version, p.pub
	if pub.Version != "" && pub.Version != v.Version {
		diff.add("version", "is %s for this fingerprint, not %s", v.Version, pub.Version)
	}
	if len(pub.Expect) > 0 && !slices.Equal(pub.Expect, v.Expect) {
		diff.add("expect", "is %q for this fingerprint, not %q", v.Expect, pub.Expect)
	}
	merged := maps.Clone(v.Metadata)
	if merged == nil {
		merged = Metadata{}
	}
	for _, key := range slices.Sorted(maps.Keys(pub.VersionMetadata)) {
		value := pub.VersionMetadata[key]
		field := fmt.Sprintf("version_metadata[%q]", clip(key))
		switch old, ok := merged[key]; {
		case ok && old != value:
			diff.add(field, "is %q for this fingerprint, not %q", clip(old), clip(value))
		case !ok && v.Status == StatusComplete:
			diff.add(field, "is not recorded, and the version is complete")
		case !ok:
			merged[key] = value
			p.changed = true
		}
	}
	diff.addAll(CheckMetadata("version_metadata", merged))
	if len(diff.fields) > 0 {
		return p.conflict(diff)
	}
	v.Metadata = merged
	return nil
}

func (p *publishing) conflict(diff problems) error {
	return &Error{
		Kind: Conflict,
		Msg: fmt.Sprintf("the run %s is recorded as version %s (number %d) of %s with other content, and what is recorded does not change; publish with another fingerprint, or under another component",
			p.version.Fingerprint, p.version.Version, p.version.Number, p.name),
		Fields: diff.fields,
	}
}

// addBuild records the build, or what it has more than the one that is recorded.
func (p *publishing) addBuild(ctx context.Context) (Build, error) {
	build := p.pub.Build
	detail := Metadata{"component": build.Component, "type": string(build.Type), "version": p.version.Version}
	old := p.version.build(build.Component)
	if old == nil {
		build.CreatedAt, build.CreatedBy = p.now, p.actor
		build.Images = sortedImages(build.Images)
		build.Files = slices.SortedFunc(slices.Values(build.Files), compareFiles)
		build.Attachments = slices.SortedFunc(slices.Values(build.Attachments), compareAttachments)
		p.version.Builds = append(p.version.Builds, build)
		p.events = append(p.events, Event{Action: ActionBuildPublish, Detail: detail})
		if err := p.tx.InsertBuild(ctx, p.name, p.version.Number, build); err != nil {
			return Build{}, err
		}
		return build, p.settleBox(ctx, build)
	}
	added, dropped, diff := compareBuilds(*old, build)
	attached := compareAttachmentSets(&diff, old.Attachments, build.Attachments)
	if len(diff.fields) > 0 {
		return Build{}, p.conflict(diff)
	}
	if len(dropped) > 0 {
		if err := p.tx.DeleteImages(ctx, p.name, p.version.Number, build.Component, dropped); err != nil {
			return Build{}, err
		}
		p.events = append(p.events, grown(ActionImagesReplace, detail, "images", dropped, Image.String))
		old.Images = slices.DeleteFunc(slices.Clone(old.Images), func(i Image) bool {
			return slices.ContainsFunc(dropped, func(d Image) bool { return CompareImages(d, i) == 0 })
		})
	}
	if len(added) > 0 {
		if err := p.tx.InsertImages(ctx, p.name, p.version.Number, build.Component, added); err != nil {
			return Build{}, err
		}
		p.events = append(p.events, grown(ActionImagesAdd, detail, "images", added, Image.String))
		old.Images = sortedImages(append(slices.Clone(old.Images), added...))
	}
	if len(attached) > 0 {
		if err := p.tx.InsertAttachments(ctx, p.name, p.version.Number, build.Component, attached); err != nil {
			return Build{}, err
		}
		p.events = append(p.events, grown(ActionAttachmentsAdd, detail, "attachments", attached, func(a Attachment) string { return a.Name }))
		old.Attachments = slices.SortedFunc(slices.Values(append(slices.Clone(old.Attachments), attached...)), compareAttachments)
	}
	return *old, nil
}

// grown is the event for things that were added to a build, or taken away.
func grown[T any](action string, build Metadata, key string, things []T, name func(T) string) Event {
	detail := maps.Clone(build)
	for _, thing := range things {
		detail[key] = strings.TrimSpace(detail[key] + " " + name(thing))
	}
	return Event{Action: action, Detail: detail}
}

// complete sets the version's status, moves the channels and lets latest follow, after one of its builds
// changed.
func (p *publishing) complete(ctx context.Context) error {
	v := &p.version
	completed := p.progress()
	fresh := p.request()
	if p.changed {
		if err := p.tx.UpdateVersion(ctx, *v); err != nil {
			return err
		}
	}
	if err := p.writeAnswers(ctx); err != nil {
		return err
	}
	if err := p.refreshLatest(ctx, p.tx, p.name, p.removed); err != nil {
		return err
	}
	if completed {
		if err := p.answerRun(ctx); err != nil {
			return err
		}
	}
	if !v.OfferedAt(p.now) {
		return nil
	}
	if err := p.followLatest(ctx); err != nil {
		return err
	}
	// What was asked for earlier was moved when the version became complete. It is not moved again:
	// somebody may have rolled it back since.
	if completed {
		fresh = v.Requested
	}
	for _, channel := range fresh {
		if err := p.advance(ctx, channel); err != nil {
			return err
		}
	}
	return p.queueRuns(ctx, completed)
}

// progress sets the version's status, and says whether it became complete.
func (p *publishing) progress() (completed bool) {
	v := &p.version
	before := v.Status
	if before == StatusComplete {
		return false
	}
	if v.Status = v.reached(); v.Status == before {
		return false
	}
	p.changed = true
	switch v.Status {
	case StatusComplete:
		v.Completed = &p.now
		p.events = append(p.events, Event{Action: ActionVersionComplete, Detail: Metadata{"version": v.Version}})
	case StatusFailed:
		p.events = append(p.events, Event{Action: ActionVersionFail, Detail: Metadata{"version": v.Version}})
	}
	return v.Status == StatusComplete
}

// request remembers the channels that are asked for, and returns those that were not asked for before. While
// a version is revoked nothing is moved to it, and nothing is remembered to be moved.
func (p *publishing) request() []string {
	v := &p.version
	var fresh []string
	for _, channel := range p.pub.Channels {
		if !slices.Contains(v.Requested, channel) && !v.RevokedAt(p.now) {
			fresh = append(fresh, channel)
		}
	}
	if len(fresh) > 0 {
		v.Requested = slices.Sorted(slices.Values(append(slices.Clone(v.Requested), fresh...)))
		p.changed = true
	}
	return fresh
}

// followLatest lets latest find the version under the types of its builds.
func (p *publishing) followLatest(ctx context.Context) error {
	if len(p.events) == 0 {
		return nil
	}
	if p.version.Number < p.counters.LastNumber {
		return p.refreshLatest(ctx, p.tx, p.name, headTypes(p.version))
	}
	for _, typ := range headTypes(p.version) {
		if err := p.tx.SetLatest(ctx, p.name, typ, p.version.Number); err != nil {
			return err
		}
	}
	return nil
}

// advance moves a channel to the version unless it points to a newer one.
func (p *publishing) advance(ctx context.Context, channel string) error {
	current, _, err := p.tx.Channel(ctx, p.name, channel, 0)
	if err != nil && KindOf(err) != NotFound {
		return err
	}
	if current.Number >= p.version.Number {
		return nil
	}
	if current.Number > 0 && p.version.late() {
		v, err := p.tx.Version(ctx, p.name, Selector{Number: current.Number})
		if err != nil || v.CreatedAt.After(p.version.CreatedAt) {
			return err
		}
	}
	move := ChannelMove{To: p.version.VersionID, At: p.now, By: p.actor, Reason: "published"}
	if current.Number > 0 {
		move.From = &current.VersionID
	}
	p.events = append(p.events, channelEvent(channel, move))
	return p.tx.MoveChannel(ctx, p.name, channel, move)
}

// outcomes says where the channels point that this publication asked for.
func (p *publishing) outcomes(ctx context.Context) ([]ChannelOutcome, error) {
	var outcomes []ChannelOutcome
	for _, name := range p.pub.Channels {
		outcome := ChannelOutcome{Name: name}
		switch current, _, err := p.tx.Channel(ctx, p.name, name, 0); {
		case err != nil && KindOf(err) != NotFound:
			return nil, err
		case err == nil && current.Number == p.version.Number:
			outcome.Points = true
		case p.version.Status == StatusOpen:
			outcome.Note = "moves when the version is complete"
		case p.version.Status == StatusFailed:
			outcome.Note = "the version failed"
		case p.version.RevokedAt(p.now):
			outcome.Note = "the version is revoked"
		case err == nil:
			outcome.Note = fmt.Sprintf("points to version %s (number %d)", current.Version, current.Number)
		default:
			outcome.Note = "does not exist"
		}
		outcomes = append(outcomes, outcome)
	}
	return outcomes, nil
}
