package registrytest

import (
	"fmt"
	"slices"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// mixed returns a version with an AMI, a box and a pending box. All numbers have the same image, and each its own bytes.
func mixed(number int64) registry.Version {
	v := version("a/b", number)
	ami := build("amazon-ebs.app", registry.AmazonImage)
	ami.Attachments = []registry.Attachment{attachment("sbom.json", registry.AttachmentSBOM, "SPDX 2.3", fmt.Sprint("attachment ", number))}
	b := box("vagrant.box", "virtualbox")
	b.Files = []registry.File{{Name: "vagrant.box", Size: 5, SHA256: digest(fmt.Sprint("file ", number))}}
	v.Builds = []registry.Build{ami, b}
	v.Pending = []registry.PendingBox{pendingBox("vagrant.pending")}
	return v
}

// lookUp makes a version what latest and a channel find, and gives it an answer.
func (f *fixture) lookUp(v registry.Version, channel string, types ...registry.Type) {
	f.Helper()
	f.update(func(tx registry.Tx) error {
		for _, typ := range types {
			f.check(tx.SetLatest(f.ctx, "a/b", typ, v.Number))
		}
		f.check(tx.SetAnswer(f.ctx, "a/b", v.Number, registry.AmazonImage, "body", "images"))
		return tx.MoveChannel(f.ctx, "a/b", channel, registry.ChannelMove{To: v.VersionID, At: moment})
	})
}

func (f *fixture) deleteVersion(number int64) {
	f.Helper()
	f.update(func(tx registry.Tx) error {
		if _, err := tx.LockArtifact(f.ctx, "a/b", false, moment); err != nil {
			return err
		}
		return tx.DeleteVersion(f.ctx, "a/b", number)
	})
}

// imageUses returns the numbers of the versions that have the image of a mixed one.
func (f *fixture) imageUses() (numbers []int64) {
	f.Helper()
	uses, err := f.store.ImageUses(f.ctx, "aws", "eu-west-1", "ami-amazon-ebs.app", everything, 10)
	f.check(err)
	for _, use := range uses {
		numbers = append(numbers, use.Number)
	}
	return numbers
}

// history returns the moves of a channel as "from>to", the newest first.
func (f *fixture) history(channel string) (moves []string) {
	f.Helper()
	_, list, err := f.store.Channel(f.ctx, "a/b", channel, 100)
	f.check(err)
	for _, m := range list {
		var from int64
		if m.From != nil {
			from = m.From.Number
		}
		moves = append(moves, fmt.Sprintf("%d>%d", from, m.To.Number))
	}
	return moves
}

// move points a channel to versions, one after the other.
func (f *fixture) move(channel string, numbers ...int64) {
	f.Helper()
	f.update(func(tx registry.Tx) error {
		current, _, err := tx.Channel(f.ctx, "a/b", channel, 0)
		if err != nil {
			f.wantKind("Channel", err, registry.NotFound)
		}
		for _, number := range numbers {
			m := registry.ChannelMove{To: versionID(number), At: moment}
			if current.Number > 0 {
				m.From = &registry.VersionID{Number: current.Number, Version: current.Version}
			}
			f.check(tx.MoveChannel(f.ctx, "a/b", channel, m))
			current.VersionID = m.To
		}
		return nil
	})
}

var deletionTests = []storeTest{
	{"ADeletedVersionIsGoneFromEverywhereAndOthersAreNot", func(f *fixture) {
		gone, stays := mixed(2), mixed(1)
		gone.Revocation = &registry.Revocation{At: kept(moment), By: "ops"}
		f.publish(stays, gone)
		f.lookUp(stays, "stable", registry.VagrantBox)
		f.lookUp(gone, "production", "", registry.AmazonImage)
		f.deleteVersion(2)
		for _, sel := range []registry.Selector{
			{Number: 2}, {Version: gone.VersionID.Version}, {Fingerprint: gone.Fingerprint}, {Channel: "production"}, {Latest: true}, {Latest: true, Type: registry.AmazonImage},
		} {
			_, err := f.store.Version(f.ctx, "a/b", sel)
			f.wantKind(fmt.Sprintf("Version %+v", sel), err, registry.NotFound)
			f.equal(fmt.Sprintf("Answers %+v", sel), f.answers(sel, registry.AmazonImage), []registry.StoredAnswer(nil))
		}
		for _, sel := range []registry.Selector{{Number: 1}, {Channel: "stable"}, {Latest: true, Type: registry.VagrantBox}} {
			v, err := f.store.Version(f.ctx, "a/b", sel)
			f.check(err)
			f.equal(fmt.Sprintf("Version %+v", sel), v, stays)
			f.equal(fmt.Sprintf("Answers %+v", sel), f.answers(sel, registry.AmazonImage), []registry.StoredAnswer{{Body: "body", Images: "images"}})
		}
		wantVersions(f, registry.VersionQuery{Limit: 10}, 1)
		f.equal("boxes", len(f.listBoxes(registry.VersionQuery{Limit: 10})), 1)
		f.equal("ImageUses", f.imageUses(), []int64{1})
		for _, kind := range []string{"file", "attachment"} {
			f.equal(kind+" of the deleted version is visible", f.hasBlob(kind+" 2", everything), false)
			f.equal(kind+" of the other version is visible", f.hasBlob(kind+" 1", everything), true)
		}
		_, _, err := f.store.Channel(f.ctx, "a/b", "production", 10)
		f.wantKind("Channel", err, registry.NotFound)
		revoked, err := f.store.RevokedLatest(f.ctx, after(time.Hour), 10)
		f.check(err)
		f.equal("RevokedLatest", revoked, []registry.VersionKey(nil))
		a, err := f.store.Artifact(f.ctx, "a/b")
		f.check(err)
		if a.Latest != nil || len(a.Channels) != 1 || !slices.Equal(a.Types, []registry.Type{registry.VagrantBox}) {
			f.Errorf("Artifact = %+v; want no latest version, the channel stable and the type vagrant.box", a)
		}
	}},

	{"ADeletedVersionLeavesItsNamesButNotItsNumber", func(f *fixture) {
		f.publish(mixed(1), mixed(2))
		f.deleteVersion(2)
		f.update(func(tx registry.Tx) error {
			c, err := tx.LockArtifact(f.ctx, "a/b", false, moment)
			f.equal("Counters", c, registry.Counters{LastNumber: 2, Highest: "0.2.0"})
			return err
		})
		again := mixed(2)
		again.Number = 3
		f.publish(again)
		for _, sel := range []registry.Selector{{Number: 3}, {Version: "0.2.0"}, {Fingerprint: "run-2"}} {
			v, err := f.store.Version(f.ctx, "a/b", sel)
			f.check(err)
			f.equal(fmt.Sprintf("Version %+v", sel), v, again)
		}
	}},

	{"ADeletedVersionIsTakenOutOfTheHistoryOfChannels", func(f *fixture) {
		f.publish(version("a/b", 1), version("a/b", 2), version("a/b", 3), version("a/other", 2))
		f.update(func(tx registry.Tx) error {
			return tx.MoveChannel(f.ctx, "a/other", "through", registry.ChannelMove{To: versionID(2), At: moment})
		})
		f.move("through", 1, 3, 2, 1)
		f.move("begins", 2, 3)
		f.move("returns", 1, 2, 1, 2, 1, 3)
		f.move("ends", 1, 2)
		f.move("without", 1, 3)
		f.deleteVersion(2)
		f.equal("through", f.history("through"), []string{"3>1", "1>3", "0>1"})
		f.equal("begins", f.history("begins"), []string{"0>3"})
		f.equal("returns", f.history("returns"), []string{"1>3", "0>1"})
		f.equal("without", f.history("without"), []string{"1>3", "0>1"})
		_, _, err := f.store.Channel(f.ctx, "a/b", "ends", 10)
		f.wantKind("Channel", err, registry.NotFound)
		f.move("ends", 3) // the channel is made anew, and has its history again
		f.equal("ends", f.history("ends"), []string{"0>3", "0>1"})
		_, moves, err := f.store.Channel(f.ctx, "a/other", "through", 10)
		f.check(err)
		f.equal("moves of another artifact", len(moves), 1)
	}},

	{"ADeletedBuildIsGoneAndTheRestOfTheVersionIsNot", func(f *fixture) {
		v, other := mixed(1), mixed(2)
		f.publish(v, other)
		f.lookUp(v, "production", "", registry.AmazonImage)
		f.update(func(tx registry.Tx) error { return tx.DeleteBuild(f.ctx, "a/b", 1, "amazon-ebs.app") })
		v.Builds = v.Builds[1:]
		f.equal("Version", f.version("a/b", 1), v)
		f.equal("another version", f.version("a/b", 2), other)
		f.equal("ImageUses", f.imageUses(), []int64{2})
		f.equal("its attachment is visible", f.hasBlob("attachment 1", everything), false)
		f.equal("the file of the other build is visible", f.hasBlob("file 1", everything), true)
		wantVersions(f, registry.VersionQuery{Type: registry.AmazonImage, Limit: 10}, 2)
		f.equal("Answers", f.answers(registry.Selector{Number: 1}, registry.AmazonImage), []registry.StoredAnswer{{Body: "body", Images: "images"}})
	}},

	{"ABuildCanTakeThePlaceOfADeletedOne", func(f *fixture) {
		v := mixed(1)
		f.publish(v)
		for i, component := range []string{"vagrant.box", "amazon-ebs.app", "vagrant.box"} {
			replacement := box(component, fmt.Sprint("provider-", i))
			f.update(func(tx registry.Tx) error {
				f.check(tx.DeleteBuild(f.ctx, "a/b", 1, component))
				return tx.InsertBuild(f.ctx, "a/b", 1, replacement)
			})
			v.Builds[slices.IndexFunc(v.Builds, func(b registry.Build) bool { return b.Component == component })] = replacement
			f.equal("Version", f.version("a/b", 1), v)
		}
	}},

	{"DeletionsAreTakenBackWithTheirTransaction", func(f *fixture) {
		v := mixed(1)
		f.publish(v)
		f.lookUp(v, "production", "")
		err := f.store.Update(f.ctx, func(tx registry.Tx) error {
			f.check(tx.DeleteBuild(f.ctx, "a/b", 1, "vagrant.box"))
			f.check(tx.DeletePending(f.ctx, "a/b", 1, "vagrant.pending"))
			f.check(tx.DeleteVersion(f.ctx, "a/b", 1))
			_, err := tx.Version(f.ctx, "a/b", registry.Selector{Number: 1})
			f.wantKind("Version within the transaction", err, registry.NotFound)
			return errOfFn
		})
		if err != errOfFn {
			f.Fatalf("error = %v; want that of the function", err)
		}
		for _, sel := range []registry.Selector{{Number: 1}, {Channel: "production"}, {Latest: true}} {
			got, err := f.store.Version(f.ctx, "a/b", sel)
			f.check(err)
			f.equal("Version", got, v)
		}
	}},
}
