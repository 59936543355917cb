package registrytest

import (
	"slices"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// pendingBox returns a box in which everything is set, as it comes back.
func pendingBox(component string) registry.PendingBox {
	return registry.PendingBox{
		Component: component, Provider: "virtualbox", Architecture: "amd64", Default: true,
		Checksum: string(digest(component)), ChecksumType: "sha256", CreatedAt: kept(moment), CreatedBy: hostile,
	}
}

// box returns a build of a box with a file, as it comes back.
func box(component, provider string) registry.Build {
	return registry.Build{
		Component: component, Type: registry.VagrantBox, Provider: provider, Architecture: "arm64", Default: true,
		Files:     []registry.File{{Name: "vagrant.box", Size: 5, SHA256: digest("bytes of " + component)}},
		CreatedAt: kept(moment), CreatedBy: hostile,
	}
}

func (f *fixture) putPending(number int64, boxes ...registry.PendingBox) {
	f.Helper()
	f.update(func(tx registry.Tx) error {
		for _, p := range boxes {
			if err := tx.PutPending(f.ctx, "a/b", number, p); err != nil {
				return err
			}
		}
		return nil
	})
}

// listBoxes returns the versions of a/b with their boxes.
func (f *fixture) listBoxes(q registry.VersionQuery) []registry.Version {
	f.Helper()
	q.Boxes = true
	list, err := f.store.Versions(f.ctx, "a/b", q)
	f.check(err)
	return list
}

var boxTests = []storeTest{
	{"PendingBoxesComeBackSortedByComponent", func(f *fixture) {
		first, second := version("a/b", 1), version("a/b", 2)
		f.publish(first, second, version("a/other", 1))
		bare := registry.PendingBox{Component: hostile, Provider: "p", CreatedAt: kept(after(-time.Hour))}
		z, upper := pendingBox("vagrant.z"), pendingBox("Vagrant.z")
		given := z
		given.CreatedAt = moment // in another zone, with more precision
		f.putPending(1, given, bare, upper)
		f.putPending(2, pendingBox("vagrant.z"))
		first.Pending = []registry.PendingBox{bare, upper, z}
		second.Pending = []registry.PendingBox{pendingBox("vagrant.z")}
		f.reopen()
		got := f.version("a/b", 1)
		f.equal("Version", got, first)
		f.wantUTC(got.Pending[0].CreatedAt)
		f.equal("another version", f.version("a/b", 2), second)
		f.equal("another artifact", f.version("a/other", 1), version("a/other", 1))
	}},

	{"PutPendingReplacesAllOfTheBoxOfItsComponent", func(f *fixture) {
		v := version("a/b", 1)
		f.publish(v)
		other := pendingBox("vagrant.other")
		f.putPending(1, pendingBox("vagrant.box"), other)
		changed := registry.PendingBox{
			Component: "vagrant.box", Provider: "libvirt", Architecture: "arm64", Checksum: "ab", ChecksumType: "md5", CreatedAt: kept(after(time.Hour)), CreatedBy: "me",
		}
		for _, put := range []registry.PendingBox{changed, {Component: "vagrant.box", CreatedAt: kept(moment)}, pendingBox("vagrant.box")} {
			f.putPending(1, put)
			v.Pending = []registry.PendingBox{put, other}
			f.equal("Version", f.version("a/b", 1), v)
		}
	}},

	{"DeletePendingRemovesOneBoxAndOneThatIsGoneIsNoError", func(f *fixture) {
		v := version("a/b", 1)
		v.Pending = []registry.PendingBox{pendingBox("x"), pendingBox("y")}
		other := version("a/b", 2)
		other.Pending = []registry.PendingBox{pendingBox("x")}
		f.publish(v, other)
		v.Pending = v.Pending[1:]
		for range 2 {
			f.update(func(tx registry.Tx) error { return tx.DeletePending(f.ctx, "a/b", 1, "x") })
			f.equal("Version", f.version("a/b", 1), v)
		}
		f.update(func(tx registry.Tx) error { return tx.DeletePending(f.ctx, "a/b", 3, "x") })
		f.equal("another version", f.version("a/b", 2), other)
	}},

	{"ABuildAndAPendingBoxOfOneComponentAreKeptApart", func(f *fixture) {
		v := version("a/b", 1)
		v.Builds = []registry.Build{box("vagrant.box", "virtualbox")}
		v.Pending = []registry.PendingBox{pendingBox("vagrant.box")}
		f.publish(v)
		f.equal("Version", f.version("a/b", 1), v)
		f.update(func(tx registry.Tx) error { return tx.DeleteBuild(f.ctx, "a/b", 1, "vagrant.box") })
		v.Builds = nil
		f.equal("Version without the build", f.version("a/b", 1), v)
	}},

	{"PendingBoxesAreSeenByNobodyWhoLooksForABox", func(f *fixture) {
		f.publish(version("a/b", 1))
		f.putPending(1, pendingBox("vagrant.box"))
		wantVersions(f, registry.VersionQuery{Type: registry.VagrantBox, Limit: 10})
		f.equal("Answers", f.answers(registry.Selector{Number: 1}, ""), []registry.StoredAnswer(nil))
		list, err := f.store.Versions(f.ctx, "a/b", registry.VersionQuery{Limit: 10})
		f.check(err)
		f.equal("Versions", list, []registry.Version{version("a/b", 1)})
	}},

	{"SetDefaultSetsItForOneBuild", func(f *fixture) {
		v := version("a/b", 1)
		v.Builds = []registry.Build{box("x", "virtualbox"), box("y", "virtualbox")}
		v.Builds[1].Default = false
		other := version("a/b", 2)
		other.Builds = []registry.Build{box("x", "virtualbox")}
		f.publish(v, other)
		for _, on := range []bool{false, false, true, true, false} {
			f.update(func(tx registry.Tx) error { return tx.SetDefault(f.ctx, "a/b", 1, "x", on) })
			v.Builds[0].Default = on
			f.equal("Version", f.version("a/b", 1), v)
		}
		f.equal("another version", f.version("a/b", 2), other)
	}},
}

var boxListTests = []storeTest{
	{"AListOfBoxesHasTheirFilesAndImagesAndThePendingOnes", func(f *fixture) {
		full := fullVersion() // with a box, and builds of other types
		elsewhere := version("a/b", 2)
		linked := box("linked", "libvirt")
		linked.Files = nil
		linked.Images = []registry.Image{{Provider: "url", ID: "https://example.com/x.box", Labels: registry.Metadata{"checksum": "ab", "checksum_type": "md5"}}}
		elsewhere.Builds = []registry.Build{box("a", "virtualbox"), linked}
		announced := version("a/b", 3)
		announced.Status, announced.Held, announced.Description = registry.StatusOpen, true, hostile
		announced.Pending = []registry.PendingBox{pendingBox("a"), pendingBox("b")}
		other := version("a/other", 1)
		other.Builds = []registry.Build{box("a", "virtualbox")}
		other.Pending = []registry.PendingBox{pendingBox("b")}
		f.publish(toBeKept(full), elsewhere, announced, version("a/b", 4), other)
		full.Builds = slices.DeleteFunc(full.Builds, func(b registry.Build) bool { return b.Type != registry.VagrantBox })
		for i := range full.Builds {
			b := &full.Builds[i]
			b.Metadata, b.Provenance, b.Attachments = nil, nil, nil
		}
		want := []registry.Version{version("a/b", 4), announced, elsewhere, full}
		f.equal("Versions", f.listBoxes(registry.VersionQuery{Limit: 10}), want)
		f.equal("a page", f.listBoxes(registry.VersionQuery{Before: 4, Limit: 2}), want[1:3])
	}},

	{"AListOfBoxesHasTheVersionsThatOthersHave", func(f *fixture) {
		for number, typ := range []registry.Type{1: registry.VagrantBox, 2: registry.AmazonImage, 3: registry.VagrantBox, 4: registry.VagrantBox} {
			if number == 0 {
				continue
			}
			v := version("a/b", int64(number))
			v.Builds = []registry.Build{build("x", typ), build("y", typ)}
			if number == 3 {
				v.Status = registry.StatusOpen
			}
			f.publish(v)
		}
		for _, q := range []registry.VersionQuery{
			{}, {Limit: 10}, {Limit: 2}, {Before: 4, Limit: 2}, {Before: 1, Limit: 2}, {Type: registry.AmazonImage, Limit: 10},
			{Type: registry.VagrantBox, OfferedAt: moment, Limit: 10}, {Status: registry.StatusOpen, Limit: 10},
		} {
			ids, err := f.store.VersionIDs(f.ctx, "a/b", q)
			f.check(err)
			var want []int64
			for _, id := range ids {
				want = append(want, id.Number)
			}
			q.Boxes = true
			wantVersions(f, q, want...)
		}
	}},

	{"AListOfBoxesIsEmptyWithoutVersionsAndNotFoundWithoutAnArtifact", func(f *fixture) {
		f.create("a/b")
		f.equal("Versions", f.listBoxes(registry.VersionQuery{Limit: 10}), []registry.Version(nil))
		_, err := f.store.Versions(f.ctx, "a/none", registry.VersionQuery{Boxes: true, Limit: 10})
		f.wantKind("Versions of no artifact", err, registry.NotFound)
	}},
}
