package registrytest

import (
	"fmt"
	"slices"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

var channelTests = []storeTest{
	{"TheFirstMoveMakesAChannel", func(f *fixture) {
		f.publish(version("a/b", 1))
		move := registry.ChannelMove{To: versionID(1), At: moment, By: hostile, Reason: hostile}
		f.update(func(tx registry.Tx) error { return tx.MoveChannel(f.ctx, "a/b", "production", move) })
		channel, moves, err := f.store.Channel(f.ctx, "a/b", "production", 10)
		f.check(err)
		f.equal("Channel", channel, registry.Channel{Name: "production", VersionID: versionID(1), MovedAt: kept(moment), MovedBy: hostile})
		move.At = kept(moment)
		f.equal("moves", moves, []registry.ChannelMove{move})
		f.wantUTC(channel.MovedAt, moves[0].At)
	}},

	{"HistoryHasTheNewestMoveFirstAndAtMostTheLimit", func(f *fixture) {
		f.publish(version("a/b", 1), version("a/b", 2), version("a/b", 3), version("a/other", 1))
		var want []registry.ChannelMove
		var from *registry.VersionID
		for i, number := range []int64{1, 3, 2, 3, 3} {
			// The order is that of the moves, even if a clock goes back.
			move := registry.ChannelMove{From: from, To: versionID(number), At: kept(after(-time.Duration(i) * time.Minute)), By: fmt.Sprint("user ", i)}
			f.update(func(tx registry.Tx) error { return tx.MoveChannel(f.ctx, "a/b", "production", move) })
			want = append(want, move)
			from = &registry.VersionID{Number: number, Version: versionID(number).Version}
		}
		f.update(func(tx registry.Tx) error {
			f.check(tx.MoveChannel(f.ctx, "a/b", "staging", registry.ChannelMove{To: versionID(1), At: moment}))
			return tx.MoveChannel(f.ctx, "a/other", "production", registry.ChannelMove{To: versionID(1), At: moment})
		})
		slices.Reverse(want)
		for _, limit := range []int{0, 1, 3, 5, 100} {
			channel, moves, err := f.store.Channel(f.ctx, "a/b", "production", limit)
			f.check(err)
			f.equal("Channel", channel, registry.Channel{Name: "production", VersionID: versionID(3), MovedAt: want[0].At, MovedBy: "user 4"})
			f.equal(fmt.Sprintf("moves with limit %d", limit), moves, want[:min(limit, len(want))])
		}
	}},

	{"ADeletedChannelIsGoneAndItsNextMoveGoesOnWithItsHistory", func(f *fixture) {
		f.publish(version("a/b", 1), version("a/b", 2))
		first := registry.ChannelMove{To: versionID(1), At: kept(moment)}
		f.update(func(tx registry.Tx) error {
			f.check(tx.MoveChannel(f.ctx, "a/b", "staging", first))
			return tx.MoveChannel(f.ctx, "a/b", "production", first)
		})
		f.update(func(tx registry.Tx) error { return tx.DeleteChannel(f.ctx, "a/b", "production") })
		_, _, err := f.store.Channel(f.ctx, "a/b", "production", 10)
		f.wantKind("the channel", err, registry.NotFound)
		_, err = f.store.Version(f.ctx, "a/b", registry.Selector{Channel: "production"})
		f.wantKind("its version", err, registry.NotFound)
		_, _, err = f.store.Channel(f.ctx, "a/b", "staging", 10)
		f.check(err)
		f.wantKind("deleting it again", f.store.Update(f.ctx, func(tx registry.Tx) error { return tx.DeleteChannel(f.ctx, "a/b", "production") }), registry.NotFound)
		second := registry.ChannelMove{To: versionID(2), At: kept(after(time.Minute))}
		f.update(func(tx registry.Tx) error { return tx.MoveChannel(f.ctx, "a/b", "production", second) })
		_, moves, err := f.store.Channel(f.ctx, "a/b", "production", 10)
		f.check(err)
		f.equal("moves", moves, []registry.ChannelMove{second, first})
	}},
}

var secretTests = []storeTest{
	{"TheFirstSecretOfANameStays", func(f *fixture) {
		_, err := f.store.Secret(f.ctx, "key")
		f.wantKind("a secret that nobody made", err, registry.NotFound)
		value := []byte("\x00\xff any bytes")
		f.update(func(tx registry.Tx) error { return tx.AddSecret(f.ctx, "key", value) })
		f.update(func(tx registry.Tx) error { return tx.AddSecret(f.ctx, "key", []byte("later")) })
		f.update(func(tx registry.Tx) error { return tx.AddSecret(f.ctx, "other", nil) })
		got, err := f.store.Secret(f.ctx, "key")
		f.check(err)
		f.equal("the secret", got, value)
		got, err = f.open().Secret(f.ctx, "key")
		f.check(err)
		f.equal("the secret of another store", got, value)
	}},
}

var useTests = []storeTest{
	{"AnImageIsFoundByProviderRegionAndID", func(f *fixture) {
		v := version("a/b", 1)
		b := build("x", registry.AmazonImage)
		b.Images = []registry.Image{
			{Provider: "aws", Region: "eu-west-1", ID: "ami-1"}, {Provider: "aws", Region: "us-east-1", ID: "ami-2"},
			{Provider: "docker", ID: "registry.example.com/app@sha256:1/2"},
		}
		v.Builds = []registry.Build{b}
		f.publish(v)
		want := []registry.ImageUse{{Artifact: "a/b", VersionID: v.VersionID, Component: "x", Type: registry.AmazonImage}}
		for _, image := range b.Images {
			got, err := f.store.ImageUses(f.ctx, image.Provider, image.Region, image.ID, everything, 10)
			f.check(err)
			f.equal("uses of "+image.String(), got, want)
		}
		for _, image := range []registry.Image{
			{Provider: "aws", Region: "us-east-1", ID: "ami-1"}, {Provider: "gce", Region: "eu-west-1", ID: "ami-1"}, {Provider: "aws", Region: "eu-west-1", ID: "ami-"},
			{Provider: "aws", Region: "eu-west-1", ID: "AMI-1"}, {Provider: "aws", ID: "ami-1"},
		} {
			got, err := f.store.ImageUses(f.ctx, image.Provider, image.Region, image.ID, everything, 10)
			f.check(err)
			f.equal("uses of "+image.String(), got, []registry.ImageUse(nil))
		}
	}},

	{"UsesHaveTheNewestFirstWithRevocationAndChannels", func(f *fixture) {
		shared := func(name registry.ArtifactName, number int64, at time.Duration) registry.Version {
			v := version(name, number)
			v.CreatedAt = kept(after(at))
			b := build("x", registry.AmazonImage)
			b.Images = []registry.Image{{Provider: "aws", Region: "eu-west-1", ID: "ami-shared"}}
			v.Builds = []registry.Build{b}
			return v
		}
		first, second, third := shared("a/b", 1, 1), shared("a/c", 7, time.Hour), shared("a/b", 2, 2*time.Hour)
		second.Revocation = &registry.Revocation{At: kept(after(3 * time.Hour)), By: "ops", Reason: hostile}
		third.Status = registry.StatusOpen
		f.publish(first, second, third)
		f.update(func(tx registry.Tx) error {
			for _, channel := range []string{"staging", "Zeta", "production"} {
				f.check(tx.MoveChannel(f.ctx, "a/b", channel, registry.ChannelMove{To: versionID(1), At: moment}))
			}
			f.check(tx.MoveChannel(f.ctx, "a/b", "moved", registry.ChannelMove{To: versionID(1), At: moment}))
			f.check(tx.MoveChannel(f.ctx, "a/b", "moved", registry.ChannelMove{To: versionID(2), At: moment}))
			return nil
		})
		want := []registry.ImageUse{
			{Artifact: "a/b", VersionID: versionID(2), Component: "x", Type: registry.AmazonImage, Channels: []string{"moved"}},
			{Artifact: "a/c", VersionID: versionID(7), Component: "x", Type: registry.AmazonImage, Revocation: second.Revocation},
			{Artifact: "a/b", VersionID: versionID(1), Component: "x", Type: registry.AmazonImage, Channels: []string{"Zeta", "production", "staging"}},
		}
		for limit := range 4 {
			got, err := f.store.ImageUses(f.ctx, "aws", "eu-west-1", "ami-shared", everything, limit)
			f.check(err)
			f.equal(fmt.Sprintf("uses with limit %d", limit), got, want[:limit])
		}
	}},

	{"TwoBuildsOfAVersionAreTwoUses", func(f *fixture) {
		v := version("a/b", 1)
		for _, component := range []string{"y", "x"} {
			b := build(component, registry.AmazonImage)
			b.Images = []registry.Image{{Provider: "aws", Region: "r", ID: "i"}}
			v.Builds = append(v.Builds, b)
		}
		f.publish(v)
		f.update(func(tx registry.Tx) error {
			f.check(tx.MoveChannel(f.ctx, "a/b", "c1", registry.ChannelMove{To: versionID(1), At: moment}))
			return tx.MoveChannel(f.ctx, "a/b", "c2", registry.ChannelMove{To: versionID(1), At: moment})
		})
		got, err := f.store.ImageUses(f.ctx, "aws", "r", "i", everything, 10)
		f.check(err)
		f.equal("ImageUses", got, []registry.ImageUse{
			{Artifact: "a/b", VersionID: versionID(1), Component: "x", Type: registry.AmazonImage, Channels: []string{"c1", "c2"}},
			{Artifact: "a/b", VersionID: versionID(1), Component: "y", Type: registry.AmazonImage, Channels: []string{"c1", "c2"}},
		})
	}},

	{"ImagesAreFoundInVisibleArtifactsAndOthersDoNotCountForTheLimit", func(f *fixture) {
		for _, name := range []registry.ArtifactName{"a/hidden", "b/mine", "c/public"} {
			v := version(name, 1)
			b := build("x", registry.AmazonImage)
			b.Images = []registry.Image{{Provider: "aws", Region: "r", ID: "i"}}
			v.Builds = []registry.Build{b}
			f.publish(v)
		}
		f.update(func(tx registry.Tx) error {
			return tx.PutArtifact(f.ctx, registry.Artifact{Name: "c/public", Public: true, UpdatedAt: moment})
		})
		for _, c := range []struct {
			visible registry.Visibility
			limit   int
			want    []registry.ArtifactName
		}{
			{everything, 10, []registry.ArtifactName{"a/hidden", "b/mine", "c/public"}},
			{registry.Visibility{}, 10, []registry.ArtifactName{"c/public"}},
			{registry.Visibility{Namespaces: []string{"b"}}, 1, []registry.ArtifactName{"b/mine"}},
			{only("b/mine"), 10, []registry.ArtifactName{"b/mine", "c/public"}},
		} {
			uses, err := f.store.ImageUses(f.ctx, "aws", "r", "i", c.visible, c.limit)
			f.check(err)
			var got []registry.ArtifactName
			for _, use := range uses {
				got = append(got, use.Artifact)
			}
			f.equal(fmt.Sprintf("ImageUses for %+v", c.visible), got, c.want)
		}
	}},

	{"ABlobIsVisibleThroughFilesAndGrantsOfVisibleArtifacts", func(f *fixture) {
		for number := int64(1); number <= 2; number++ {
			v := version("a/files", number)
			b := build("x", registry.Archive)
			b.Files = []registry.File{{Name: "1", SHA256: digest("blob")}, {Name: "2", SHA256: digest("blob")}, {Name: "3", SHA256: digest("other")}}
			v.Builds = []registry.Build{b}
			f.publish(v)
		}
		f.create("a/grant") // b/new does not exist, and need not
		for range 2 {       // granting twice is no error
			f.update(func(tx registry.Tx) error {
				f.check(tx.GrantBlob(f.ctx, "a/grant", digest("granted")))
				return tx.GrantBlob(f.ctx, "b/new", digest("granted"))
			})
		}
		for _, c := range []struct {
			blob    string
			visible registry.Visibility
			want    bool
		}{
			{"blob", everything, true}, {"granted", everything, true}, {"unknown", everything, false},
			{"blob", registry.Visibility{}, false}, {"granted", registry.Visibility{}, false},
			{"blob", only("a/files"), true}, {"granted", only("a/files"), false}, {"blob", only("a/grant"), false},
			{"granted", only("a/grant"), true}, {"granted", only("b/new"), true}, {"granted", only("b/ne"), false},
			{"blob", registry.Visibility{Namespaces: []string{"a"}}, true}, {"blob", registry.Visibility{Namespaces: []string{"b"}}, false},
			{"granted", registry.Visibility{Namespaces: []string{"b"}}, true}, {"other", registry.Visibility{Namespaces: []string{"x", "a"}}, true},
		} {
			f.equal(fmt.Sprintf("BlobVisible %s for %+v", c.blob, c.visible), f.hasBlob(c.blob, c.visible), c.want)
		}
		f.update(func(tx registry.Tx) error {
			f.check(tx.PutArtifact(f.ctx, registry.Artifact{Name: "a/files", Public: true, UpdatedAt: moment}))
			return tx.PutArtifact(f.ctx, registry.Artifact{Name: "a/grant", Public: true, UpdatedAt: moment})
		})
		f.equal("a file of a public artifact is visible", f.hasBlob("blob", registry.Visibility{}), true)
		f.equal("a grant of a public artifact is visible", f.hasBlob("granted", registry.Visibility{}), true)
	}},

	{"ANameIsFoundWhateverItsCase", func(f *fixture) {
		f.create("Cargo/App")
		for _, name := range []registry.ArtifactName{"Cargo/App", "cargo/app", "CARGO/APP"} {
			got, err := f.store.Folded(f.ctx, name)
			f.check(err)
			f.equal("Folded "+string(name), got, registry.ArtifactName("Cargo/App"))
		}
		_, err := f.store.Folded(f.ctx, "cargo/other")
		f.wantKind("Folded", err, registry.NotFound)
		f.deleteArtifact("Cargo/App")
		_, err = f.store.Folded(f.ctx, "cargo/app")
		f.wantKind("Folded after deletion", err, registry.NotFound)
	}},

	{"RevokedVersionsThatLatestNamesAreListedOnceAndOthersAreNot", func(f *fixture) {
		for number, at := range map[int64]time.Time{1: after(-time.Hour), 2: moment, 3: after(time.Hour)} {
			v := version("a/b", number)
			v.Revocation = &registry.Revocation{At: at, By: "x", Reason: "y"}
			f.publish(v)
			f.update(func(tx registry.Tx) error {
				f.check(tx.UpdateVersion(f.ctx, v))
				if number == 1 { // revoked, and no latest
					return nil
				}
				f.check(tx.SetLatest(f.ctx, "a/b", registry.Type(fmt.Sprintf("t%d.image", number)), number))
				return tx.SetLatest(f.ctx, "a/b", registry.Type(fmt.Sprintf("u%d.image", number)), number)
			})
		}
		f.publish(version("a/sound", 1))
		f.update(func(tx registry.Tx) error { return tx.SetLatest(f.ctx, "a/sound", "", 1) })
		got, err := f.store.RevokedLatest(f.ctx, moment, 10)
		f.check(err)
		f.equal("RevokedLatest", got, []registry.VersionKey{{Artifact: "a/b", Number: 2}})
		got, err = f.store.RevokedLatest(f.ctx, after(2*time.Hour), 1)
		f.check(err)
		f.equal("RevokedLatest with a limit", got, []registry.VersionKey{{Artifact: "a/b", Number: 2}})
	}},
}

var eventTests = []storeTest{
	{"EventsComeBackInOrderWithTheirIDs", func(f *fixture) {
		want := []registry.Event{
			{At: moment, Actor: hostile, Action: registry.ActionBuildPublish, Artifact: "a/b", Number: 3, Detail: registry.Metadata{"k": hostile, "empty": ""}},
			{At: after(-time.Hour), Action: registry.ActionTokenCreate},
			{At: after(time.Hour), Actor: "x", Action: registry.ActionArtifactDelete, Artifact: "no/such"},
		}
		f.update(func(tx registry.Tx) error {
			f.check(tx.AppendEvent(f.ctx, want[0]))
			return tx.AppendEvent(f.ctx, want[1])
		})
		f.update(func(tx registry.Tx) error { return tx.AppendEvent(f.ctx, want[2]) })
		got, err := f.store.Events(f.ctx, 0, 10)
		f.check(err)
		if len(got) != len(want) {
			f.Fatalf("%d events; want %d", len(got), len(want))
		}
		last := int64(0)
		for i, e := range got {
			f.wantUTC(e.At)
			if e.ID <= last {
				f.Errorf("event %d has the ID %d after %d", i, e.ID, last)
			}
			last = e.ID
			want[i].ID, want[i].At = e.ID, kept(want[i].At)
		}
		f.equal("Events", got, want)

		page, err := f.store.Events(f.ctx, got[0].ID, 1)
		f.check(err)
		f.equal("one after the first", page, want[1:2])
		page, err = f.store.Events(f.ctx, last, 10)
		f.check(err)
		f.equal("after the last", page, []registry.Event(nil))
		page, err = f.store.Events(f.ctx, 0, 0)
		f.check(err)
		f.equal("limit 0", page, []registry.Event(nil))
	}},

	{"EventsOutliveTheirArtifact", func(f *fixture) {
		f.create("a/b")
		f.update(func(tx registry.Tx) error { return tx.AppendEvent(f.ctx, registry.Event{At: moment, Artifact: "a/b"}) })
		f.deleteArtifact("a/b")
		events, err := f.store.Events(f.ctx, 0, 10)
		f.check(err)
		if len(events) != 1 || events[0].Artifact != "a/b" {
			f.Errorf("events = %+v; want that of a/b", events)
		}
	}},
}

var tokenTests = []storeTest{
	{"TokensComeBackInTheOrderOfTheirCreation", func(f *fixture) {
		expires, revoked := after(time.Hour), after(2*time.Hour)
		tokens := []registry.Token{
			{ID: "z", Name: hostile, Role: registry.RoleAdmin, Scopes: []registry.Scope{registry.ScopeAll}, Digest: digest("z"), CreatedAt: moment, CreatedBy: hostile},
			{ID: "m", Name: "ci", Role: registry.RoleRead, Scopes: []registry.Scope{"b/*", "a/b"}, Digest: digest("m"), CreatedAt: after(time.Minute), ExpiresAt: &expires, RevokedAt: &revoked},
			{ID: "a", Name: "ci", Role: registry.RolePublish, Digest: digest("a"), CreatedAt: after(2 * time.Minute)},
		}
		f.update(func(tx registry.Tx) error {
			for _, i := range []int{2, 0, 1} {
				f.check(tx.PutToken(f.ctx, tokens[i]))
			}
			return nil
		})
		for i := range tokens {
			t := &tokens[i]
			t.CreatedAt = kept(t.CreatedAt)
			if t.ExpiresAt != nil {
				expires, revoked = kept(expires), kept(revoked)
			}
		}
		got, err := f.store.Tokens(f.ctx)
		f.check(err)
		f.equal("Tokens", got, tokens)
		f.wantUTC(got[1].CreatedAt, *got[1].ExpiresAt, *got[1].RevokedAt)
		for _, want := range tokens { // revoked ones as well
			got, err := f.store.TokenByDigest(f.ctx, want.Digest)
			f.check(err)
			f.equal("TokenByDigest", got, want)
		}
	}},

	{"PutTokenReplacesTheOneWithItsID", func(f *fixture) {
		token := registry.Token{ID: "t", Name: "old", Role: registry.RoleRead, Digest: digest("old"), CreatedAt: kept(moment)}
		f.update(func(tx registry.Tx) error { return tx.PutToken(f.ctx, token) })
		revoked := kept(after(time.Hour))
		token.Name, token.Role, token.Scopes, token.Digest, token.RevokedAt = "new", registry.RoleAdmin, []registry.Scope{"a/*"}, digest("new"), &revoked
		f.update(func(tx registry.Tx) error { return tx.PutToken(f.ctx, token) })
		got, err := f.store.Tokens(f.ctx)
		f.check(err)
		f.equal("Tokens", got, []registry.Token{token})
		_, err = f.store.TokenByDigest(f.ctx, digest("old"))
		f.wantKind("TokenByDigest of the old secret", err, registry.NotFound)
	}},
}
