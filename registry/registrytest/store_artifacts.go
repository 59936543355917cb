package registrytest

import (
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

var artifactTests = []storeTest{
	{"ANewArtifactIsEmptyAndHasTheGivenTime", func(f *fixture) {
		f.update(func(tx registry.Tx) error {
			c, err := tx.LockArtifact(f.ctx, "ns/Name.x_y-z", true, moment)
			f.equal("Counters", c, registry.Counters{})
			return err
		})
		got, err := f.store.Artifact(f.ctx, "ns/Name.x_y-z")
		f.check(err)
		f.equal("Artifact", got, registry.Artifact{Name: "ns/Name.x_y-z", CreatedAt: kept(moment), UpdatedAt: kept(moment)})
		f.wantUTC(got.CreatedAt, got.UpdatedAt)
	}},

	{"LockingAnArtifactThatExistsChangesNothing", func(f *fixture) {
		f.publish(version("a/b", 1))
		before, err := f.store.Artifact(f.ctx, "a/b")
		f.check(err)
		for _, create := range []bool{true, false} {
			f.update(func(tx registry.Tx) error {
				c, err := tx.LockArtifact(f.ctx, "a/b", create, after(time.Hour))
				f.equal("Counters", c, registry.Counters{LastNumber: 1, Highest: "0.1.0"})
				return err
			})
		}
		got, err := f.store.Artifact(f.ctx, "a/b")
		f.check(err)
		f.equal("Artifact", got, before)
	}},

	{"PutArtifactSetsDescriptionSummaryVisibilityAndTime", func(f *fixture) {
		f.create("a/b", "a/other")
		changed := after(time.Hour)
		f.update(func(tx registry.Tx) error {
			if _, err := tx.LockArtifact(f.ctx, "a/b", false, moment); err != nil {
				return err
			}
			return tx.PutArtifact(f.ctx, registry.Artifact{Name: "a/b", Description: hostile, Summary: "in short: " + hostile, Public: true, CreatedAt: after(time.Minute), UpdatedAt: changed})
		})
		got, err := f.store.Artifact(f.ctx, "a/b")
		f.check(err)
		f.equal("Artifact", got, registry.Artifact{Name: "a/b", Description: hostile, Summary: "in short: " + hostile, Public: true, CreatedAt: kept(moment), UpdatedAt: kept(changed)})
		other, err := f.store.Artifact(f.ctx, "a/other")
		f.check(err)
		f.equal("another artifact", other, registry.Artifact{Name: "a/other", CreatedAt: kept(moment), UpdatedAt: kept(moment)})
	}},

	{"AnArtifactHasItsTypesLatestAndChannelsInOrder", func(f *fixture) {
		v1, v2, v3 := version("a/b", 1), version("a/b", 2), version("a/b", 3)
		f.publish(v1, v2, v3, version("a/other", 1))
		f.update(func(tx registry.Tx) error {
			for typ, number := range map[registry.Type]int64{"": 3, registry.VagrantBox: 3, registry.AmazonImage: 2, registry.Archive: 1} {
				f.check(tx.SetLatest(f.ctx, "a/b", typ, number))
			}
			for i, channel := range []string{"staging", "Production", "production"} {
				f.check(tx.MoveChannel(f.ctx, "a/b", channel, registry.ChannelMove{To: versionID(int64(i + 1)), At: moment, By: hostile}))
			}
			f.check(tx.SetLatest(f.ctx, "a/other", "", 1))
			return tx.MoveChannel(f.ctx, "a/other", "staging", registry.ChannelMove{To: versionID(1), At: moment, By: "x"})
		})
		got, err := f.store.Artifact(f.ctx, "a/b")
		f.check(err)
		f.equal("Artifact", got, registry.Artifact{
			Name: "a/b", CreatedAt: kept(moment), UpdatedAt: kept(v3.CreatedAt), // the version inserted last
			Types:  []registry.Type{registry.AmazonImage, registry.Archive, registry.VagrantBox},
			Latest: &v3.VersionID,
			Channels: []registry.Channel{
				{Name: "Production", VersionID: v2.VersionID, MovedAt: kept(moment), MovedBy: hostile},
				{Name: "production", VersionID: v3.VersionID, MovedAt: kept(moment), MovedBy: hostile},
				{Name: "staging", VersionID: v1.VersionID, MovedAt: kept(moment), MovedBy: hostile},
			},
		})
		f.wantUTC(got.Channels[0].MovedAt)
		list, err := f.store.Artifacts(f.ctx, registry.ArtifactQuery{Visible: registry.Visibility{All: true}, Limit: 1})
		f.check(err)
		f.equal("Artifacts", list, []registry.Artifact{got})
	}},

	{"SettingLatestAgainMovesItAndZeroRemovesIt", func(f *fixture) {
		f.publish(version("a/b", 1), version("a/b", 2))
		latest := func(typ registry.Type) int64 {
			v, err := f.store.Version(f.ctx, "a/b", registry.Selector{Latest: true, Type: typ})
			if err != nil {
				f.wantKind("Version", err, registry.NotFound)
			}
			return v.Number
		}
		for _, number := range []int64{1, 2, 1, 0, 0, 2} {
			f.update(func(tx registry.Tx) error { return tx.SetLatest(f.ctx, "a/b", registry.AmazonImage, number) })
			if got := latest(registry.AmazonImage); got != number {
				f.Errorf("latest = %d; want %d", got, number)
			}
			if got := latest(""); got != 0 {
				f.Errorf("latest of any type = %d; want none", got)
			}
		}
	}},

	{"ANameThatDiffersInCaseAloneIsAConflict", func(f *fixture) {
		f.create("Cargo/App")
		for _, name := range []registry.ArtifactName{"cargo/App", "Cargo/app", "CARGO/APP"} {
			err := f.store.Update(f.ctx, func(tx registry.Tx) error {
				_, err := tx.LockArtifact(f.ctx, name, true, moment)
				return err
			})
			f.wantKind("LockArtifact", err, registry.Conflict)
			_, err = f.store.Artifact(f.ctx, name)
			f.wantKind("Artifact", err, registry.NotFound)
		}
		f.create("Cargo/App2", "Cargo2/App", "cargo/other")
	}},

	{"DeletingAnArtifactRemovesAllOfItAndNothingElse", func(f *fixture) {
		for _, name := range []registry.ArtifactName{"a/b", "a/other"} {
			v := version(name, 1)
			v.Builds = []registry.Build{build("x", registry.AmazonImage)}
			v.Builds[0].Files = []registry.File{{Name: "f", Size: 1, SHA256: digest("file")}}
			v.Builds[0].Attachments = []registry.Attachment{attachment("f", registry.AttachmentDocument, "", "attachment")}
			v.Pending = []registry.PendingBox{pendingBox("vagrant.box")}
			f.publish(v)
			f.update(func(tx registry.Tx) error {
				f.check(tx.GrantBlob(f.ctx, name, digest("grant")))
				f.check(tx.SetLatest(f.ctx, name, "", 1))
				f.check(tx.SetAnswer(f.ctx, name, 1, registry.AmazonImage, "", ""))
				f.check(tx.PutUpload(f.ctx, registry.Upload{ID: string(name), Artifact: name, CreatedAt: moment, Number: 1, Component: "vagrant.box"}))
				return tx.MoveChannel(f.ctx, name, "production", registry.ChannelMove{To: versionID(1), At: moment})
			})
		}
		f.deleteArtifact("a/b")
		_, err := f.store.Artifact(f.ctx, "a/b")
		f.wantKind("Artifact", err, registry.NotFound)
		_, err = f.store.Versions(f.ctx, "a/b", registry.VersionQuery{Limit: 1})
		f.wantKind("Versions", err, registry.NotFound)
		for _, sel := range []registry.Selector{{Number: 1}, {Version: "0.1.0"}, {Fingerprint: "run-1"}, {Channel: "production"}, {Latest: true}} {
			_, err = f.store.Version(f.ctx, "a/b", sel)
			f.wantKind("Version", err, registry.NotFound)
			_, err = f.store.Version(f.ctx, "a/other", sel)
			f.check(err)
		}
		upload, err := f.store.Upload(f.ctx, "a/b")
		if err != nil || upload.Number != 1 {
			f.Errorf("Upload = %+v, %v; want it to stay", upload, err)
		}
		_, _, err = f.store.Channel(f.ctx, "a/b", "production", 1)
		f.wantKind("Channel", err, registry.NotFound)
		uses, err := f.store.ImageUses(f.ctx, "aws", "eu-west-1", "ami-x", everything, 10)
		f.check(err)
		if len(uses) != 1 || uses[0].Artifact != "a/other" {
			f.Errorf("ImageUses = %+v; want that of a/other alone", uses)
		}
		for _, blob := range []string{"file", "attachment", "grant"} {
			f.equal("a/b has the blob", f.hasBlob(blob, only("a/b")), false)
			f.equal("a/other has the blob", f.hasBlob(blob, only("a/other")), true)
		}
		list, err := f.store.Artifacts(f.ctx, registry.ArtifactQuery{Visible: registry.Visibility{All: true}, Limit: 10})
		f.check(err)
		if len(list) != 1 || list[0].Name != "a/other" {
			f.Errorf("Artifacts = %+v; want a/other alone", list)
		}
	}},

	{"AnArtifactMadeAfterDeletionIsFreshButContinuesTheCounters", func(f *fixture) {
		f.publish(version("a/b", 1), version("a/b", 2))
		f.update(func(tx registry.Tx) error {
			f.check(tx.MoveChannel(f.ctx, "a/b", "production", registry.ChannelMove{To: versionID(1), At: moment}))
			return tx.PutArtifact(f.ctx, registry.Artifact{Name: "a/b", Description: "old words", Summary: "old", Public: true, UpdatedAt: moment})
		})
		f.deleteArtifact("a/b")
		f.wantKind("LockArtifact without create", f.store.Update(f.ctx, func(tx registry.Tx) error {
			_, err := tx.LockArtifact(f.ctx, "a/b", false, moment)
			return err
		}), registry.NotFound)
		again := after(time.Hour)
		f.update(func(tx registry.Tx) error {
			c, err := tx.LockArtifact(f.ctx, "a/b", true, again)
			f.equal("Counters", c, registry.Counters{LastNumber: 2, Highest: "0.2.0"})
			return err
		})
		got, err := f.store.Artifact(f.ctx, "a/b")
		f.check(err)
		f.equal("Artifact", got, registry.Artifact{Name: "a/b", CreatedAt: kept(again), UpdatedAt: kept(again)})
		found, err := f.store.Artifacts(f.ctx, registry.ArtifactQuery{Text: "old words", Visible: registry.Visibility{All: true}, Limit: 10})
		f.check(err)
		f.equal("search for the old description", found, []registry.Artifact(nil))

		f.publish(version("a/b", 3))
		f.update(func(tx registry.Tx) error {
			return tx.MoveChannel(f.ctx, "a/b", "production", registry.ChannelMove{To: versionID(3), At: moment})
		})
		_, moves, err := f.store.Channel(f.ctx, "a/b", "production", 10)
		f.check(err)
		if len(moves) != 1 {
			f.Errorf("moves = %+v; want those after the deletion alone", moves)
		}
	}},

	{"DeletingAndMakingInOneTransactionWorks", func(f *fixture) {
		f.publish(version("a/b", 1))
		f.update(func(tx registry.Tx) error {
			if _, err := tx.LockArtifact(f.ctx, "a/b", false, moment); err != nil {
				return err
			}
			if err := tx.DeleteArtifact(f.ctx, "a/b"); err != nil {
				return err
			}
			return publish(f.ctx, tx, version("a/b", 2))
		})
		wantVersions(f, registry.VersionQuery{Limit: 10}, 2)
	}},

	{"ADeletedArtifactLeavesItsNameToOneInOtherCase", func(f *fixture) {
		f.publish(version("a/Typo", 1))
		f.deleteArtifact("a/Typo")
		f.create("a/typo")
		_, err := f.store.Artifact(f.ctx, "a/typo")
		f.check(err)
		f.wantKind("LockArtifact of the deleted name", f.store.Update(f.ctx, func(tx registry.Tx) error {
			_, err := tx.LockArtifact(f.ctx, "a/Typo", true, moment)
			return err
		}), registry.Conflict)
	}},

	{"CountersFollowInsertVersion", func(f *fixture) {
		f.create("a/b")
		f.update(func(tx registry.Tx) error {
			v := version("a/b", 7)
			if err := tx.InsertVersion(f.ctx, v, "3.2.1-rc.1"); err != nil {
				return err
			}
			c, err := tx.LockArtifact(f.ctx, "a/b", false, moment)
			f.equal("Counters", c, registry.Counters{LastNumber: 7, Highest: "3.2.1-rc.1"})
			return err
		})
	}},
}

func (f *fixture) deleteArtifact(name registry.ArtifactName) {
	f.Helper()
	f.update(func(tx registry.Tx) error {
		if _, err := tx.LockArtifact(f.ctx, name, false, moment); err != nil {
			return err
		}
		return tx.DeleteArtifact(f.ctx, name)
	})
}

func (f *fixture) wantUTC(times ...time.Time) {
	f.Helper()
	for _, t := range times {
		if t.Location() != time.UTC {
			f.Errorf("time %v is in %v; want UTC", t, t.Location())
		}
	}
}
