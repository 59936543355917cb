package registrytest

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

var versionTests = []storeTest{
	{"AVersionComesBackWithAllThatBelongsToIt", func(f *fixture) {
		v := fullVersion()
		f.publish(toBeKept(v), version("a/b", 2), version("a/other", 1))
		got, err := f.store.Version(f.ctx, "a/b", registry.Selector{Number: 1})
		f.check(err)
		f.equal("Version", got, v)
		f.wantUTC(got.CreatedAt, *got.Completed, got.Revocation.At, got.Builds[0].CreatedAt)
	}},

	{"AVersionWithoutAnythingComesBackEmpty", func(f *fixture) {
		f.publish(version("a/b", 1))
		got, err := f.store.Version(f.ctx, "a/b", registry.Selector{Number: 1})
		f.check(err)
		f.equal("Version", got, version("a/b", 1))
		if got.Completed != nil || got.Revocation != nil {
			f.Errorf("Version = %+v; want neither a completion nor a revocation", got)
		}
	}},

	{"ZeroTimesAndTimesBeforeTheEpochAreKept", func(f *fixture) {
		old := time.Date(1969, 7, 20, 20, 17, 40, 999999999, time.UTC)
		v := version("a/b", 1)
		v.CreatedAt, v.Completed = time.Time{}, &old
		f.publish(v)
		got, err := f.store.Version(f.ctx, "a/b", registry.Selector{Number: 1})
		f.check(err)
		if !got.CreatedAt.IsZero() || !got.Completed.Equal(old.Truncate(time.Microsecond)) {
			f.Errorf("times = %v, %v; want zero and %v", got.CreatedAt, got.Completed, old)
		}
	}},

	{"EachSelectorFindsItsVersion", func(f *fixture) {
		f.publish(version("a/b", 1), version("a/b", 2), version("a/b", 3), version("a/other", 4))
		f.update(func(tx registry.Tx) error {
			f.check(tx.SetLatest(f.ctx, "a/b", "", 3))
			f.check(tx.SetLatest(f.ctx, "a/b", registry.AmazonImage, 1))
			f.check(tx.SetLatest(f.ctx, "a/b", registry.VagrantBox, 2))
			f.check(tx.MoveChannel(f.ctx, "a/b", "production", registry.ChannelMove{To: versionID(1), At: moment}))
			return tx.MoveChannel(f.ctx, "a/b", "Production", registry.ChannelMove{To: versionID(2), At: moment})
		})
		for _, c := range []struct {
			sel  registry.Selector
			want int64
		}{
			{registry.Selector{Number: 2}, 2},
			{registry.Selector{Version: "0.2.0"}, 2},
			{registry.Selector{Fingerprint: "run-3"}, 3},
			{registry.Selector{Channel: "production"}, 1},
			{registry.Selector{Channel: "Production"}, 2},
			{registry.Selector{Latest: true}, 3},
			{registry.Selector{Latest: true, Type: registry.AmazonImage}, 1},
			{registry.Selector{Latest: true, Type: registry.VagrantBox}, 2},
		} {
			v, err := f.store.Version(f.ctx, "a/b", c.sel)
			if err != nil || v.Number != c.want {
				f.Errorf("%+v finds %d, %v; want %d", c.sel, v.Number, err, c.want)
			}
		}
	}},

	{"UpdateVersionSetsWhatCanChangeAndNothingElse", func(f *fixture) {
		v := version("a/b", 1)
		v.Status = registry.StatusOpen
		f.publish(v, version("a/b", 2))
		completed := kept(after(time.Hour))
		changed := registry.Version{
			Artifact: "a/b", VersionID: registry.VersionID{Number: 1, Version: "9.9.9"}, Fingerprint: "other", CreatedBy: "other", CreatedAt: completed,
			Status: registry.StatusComplete, Held: true, Description: hostile, Expect: []string{"x", "y"}, Requested: []string{"production"},
			Metadata: registry.Metadata{"k": hostile}, Completed: &completed,
			Revocation: &registry.Revocation{At: completed, By: "me", Reason: hostile},
		}
		f.update(func(tx registry.Tx) error { return tx.UpdateVersion(f.ctx, changed) })
		want := changed
		want.Version, want.Fingerprint, want.CreatedBy, want.CreatedAt = v.Version, v.Fingerprint, v.CreatedBy, v.CreatedAt
		got, err := f.store.Version(f.ctx, "a/b", registry.Selector{Number: 1})
		f.check(err)
		f.equal("Version", got, want)

		f.update(func(tx registry.Tx) error { return tx.UpdateVersion(f.ctx, v) })
		got, err = f.store.Version(f.ctx, "a/b", registry.Selector{Number: 1})
		f.check(err)
		f.equal("Version with all taken back", got, v)
		other, err := f.store.Version(f.ctx, "a/b", registry.Selector{Number: 2})
		f.check(err)
		f.equal("another version", other, version("a/b", 2))
	}},

	{"InsertImagesAddsToOneBuild", func(f *fixture) {
		v := version("a/b", 1)
		v.Builds = []registry.Build{build("one", registry.AmazonImage), build("two", registry.AmazonImage)}
		f.publish(v)
		more := []registry.Image{
			{Provider: "aws", Region: "us-east-1", ID: "ami-us", SourceID: "ami-src", Labels: registry.Metadata{"k": hostile}},
			{Provider: "aws", Region: "ap-south-1", ID: "ami-ap"},
		}
		f.update(func(tx registry.Tx) error { return tx.InsertImages(f.ctx, "a/b", 1, "two", more) })
		got, err := f.store.Version(f.ctx, "a/b", registry.Selector{Number: 1})
		f.check(err)
		v.Builds[1].Images = []registry.Image{more[1], v.Builds[1].Images[0], more[0]}
		f.equal("Version", got, v)
		f.update(func(tx registry.Tx) error { return tx.InsertImages(f.ctx, "a/b", 1, "two", nil) })
	}},

	{"ManyImagesAndFilesAreKept", func(f *fixture) {
		v := version("a/b", 1)
		b := build("x", registry.AmazonImage)
		b.Images = nil
		for i := range 1000 { // more than one statement may hold
			image := registry.Image{Provider: "aws", Region: fmt.Sprintf("r-%04d", i), ID: "ami"}
			if i%3 == 0 {
				image.Verification = &registry.Verification{Status: registry.ImageAvailable, At: kept(after(time.Duration(i) * time.Second))}
			}
			b.Images = append(b.Images, image)
			b.Files = append(b.Files, registry.File{Name: fmt.Sprintf("f-%04d", i), Size: int64(i), SHA256: digest(fmt.Sprint(i))})
		}
		v.Builds = []registry.Build{b}
		f.publish(v)
		got, err := f.store.Version(f.ctx, "a/b", registry.Selector{Number: 1})
		f.check(err)
		f.equal("Version", got, v)
	}},

	{"SizesBeyond32BitsAndLongTextsAreKept", func(f *fixture) {
		v := version("a/b", 1)
		b := build("x", registry.VagrantBox)
		b.Files = []registry.File{{Name: "big.box", Size: 1<<53 + 1, SHA256: digest("x")}}
		b.Metadata = registry.Metadata{"long": strings.Repeat("ä", 2048)}
		v.Builds = []registry.Build{b}
		f.publish(v)
		got, err := f.store.Version(f.ctx, "a/b", registry.Selector{Number: 1})
		f.check(err)
		f.equal("Version", got, v)
	}},
}

// fullVersion returns a version in which everything is set, as it comes back.
func fullVersion() registry.Version {
	completed := kept(after(2 * time.Minute))
	v := version("a/b", 1)
	v.Held, v.Description = true, hostile
	v.Expect = []string{"amazon-ebs.app", "vagrant.box"}
	v.Requested = []string{"production", "staging"}
	v.Metadata = registry.Metadata{"commit": "abc", "empty": "", hostile: hostile}
	v.Completed = &completed
	v.Revocation = &registry.Revocation{At: kept(after(time.Hour)), By: "ops", Reason: hostile}
	v.Builds = []registry.Build{
		{
			Component: "amazon-ebs.app", Type: registry.AmazonImage, Architecture: "arm64",
			Metadata: registry.Metadata{"k": "v"}, Provenance: registry.Metadata{"packer": "1.15.0"},
			Images: []registry.Image{
				{Provider: "aws", Region: "", ID: "no-region"},
				{Provider: "aws", Region: "ap-south-1", ID: "ami-1", SourceID: "ami-0", Labels: registry.Metadata{"a": "b"}, Verification: found(registry.ImageAvailable, kept(moment))},
				{Provider: "aws", Region: "eu-west-1", ID: "ami-2"},
				{Provider: "aws", Region: "eu-west-1", ID: "ami-3"},
				{Provider: "gce", Region: "eu-west-1", ID: hostile},
			},
			Attachments: []registry.Attachment{
				attachment(hostile, registry.AttachmentDocument, "", "x"),
				attachment("sbom.cdx.json", registry.AttachmentSBOM, "CycloneDX 1.6", "sbom"),
			},
			CreatedAt: kept(moment), CreatedBy: hostile,
		},
		{Component: "amazon-ebs.z", Type: registry.AmazonImage, CreatedAt: kept(moment)},
		{
			Component: "vagrant.box", Type: registry.VagrantBox, Provider: "virtualbox", Architecture: "amd64", Default: true,
			Metadata: registry.Metadata{"k": "v"}, Provenance: registry.Metadata{"packer": "1.15.0"},
			Files:     []registry.File{{Name: "A", Size: 0, SHA256: digest("a")}, {Name: "a/b.box", Size: 5, SHA256: digest("b")}, {Name: "a-b", Size: 6, SHA256: digest("b")}},
			CreatedAt: kept(moment), CreatedBy: "ci",
		},
	}
	slices.SortFunc(v.Builds[2].Files, func(a, b registry.File) int { return strings.Compare(a.Name, b.Name) })
	v.Pending = []registry.PendingBox{pendingBox("vagrant.a"), pendingBox("vagrant.b")}
	return v
}

// toBeKept is v as a caller may give it: in another order, with times in other zones and with more
// precision.
func toBeKept(v registry.Version) registry.Version {
	v.CreatedAt = v.CreatedAt.In(moment.Location()).Add(789)
	v.Pending = slices.Clone(v.Pending)
	slices.Reverse(v.Pending)
	for i := range v.Pending {
		v.Pending[i].CreatedAt = v.Pending[i].CreatedAt.In(moment.Location()).Add(789)
	}
	v.Builds = slices.Clone(v.Builds)
	slices.Reverse(v.Builds)
	for i := range v.Builds {
		v.Builds[i].Images = slices.Clone(v.Builds[i].Images)
		slices.Reverse(v.Builds[i].Images)
		for j := range v.Builds[i].Images {
			if found := v.Builds[i].Images[j].Verification; found != nil {
				given := *found
				given.At = given.At.In(moment.Location()).Add(789)
				v.Builds[i].Images[j].Verification = &given
			}
		}
		v.Builds[i].Files = slices.Clone(v.Builds[i].Files)
		slices.Reverse(v.Builds[i].Files)
		v.Builds[i].Attachments = slices.Clone(v.Builds[i].Attachments)
		slices.Reverse(v.Builds[i].Attachments)
	}
	return v
}

var versionListTests = []storeTest{
	{"AnArtifactWithoutVersionsHasAnEmptyList", func(f *fixture) {
		f.create("a/b")
		wantVersions(f, registry.VersionQuery{Limit: 10})
	}},

	{"TheHighestNumberComesFirstAndPagesFollow", func(f *fixture) {
		for number := int64(1); number <= 11; number++ {
			f.publish(version("a/b", number))
		}
		f.publish(version("a/other", 99))
		wantVersions(f, registry.VersionQuery{Limit: 4}, 11, 10, 9, 8)
		wantVersions(f, registry.VersionQuery{Limit: 4, Before: 8}, 7, 6, 5, 4)
		wantVersions(f, registry.VersionQuery{Limit: 4, Before: 4}, 3, 2, 1)
		wantVersions(f, registry.VersionQuery{Limit: 4, Before: 1})
		wantVersions(f, registry.VersionQuery{Limit: 2, Before: 1000}, 11, 10)
		wantVersions(f, registry.VersionQuery{})
	}},

	{"ListedVersionsHaveAllButTheContentsOfBuildsAndPendingBoxes", func(f *fixture) {
		v := fullVersion()
		f.publish(v)
		got, err := f.store.Versions(f.ctx, "a/b", registry.VersionQuery{Limit: 1})
		f.check(err)
		v.Pending = nil
		for i, b := range v.Builds {
			v.Builds[i] = registry.Build{Component: b.Component, Type: b.Type, Provider: b.Provider, Architecture: b.Architecture, CreatedAt: b.CreatedAt, CreatedBy: b.CreatedBy}
		}
		f.equal("Versions", got, []registry.Version{v})
		f.wantUTC(got[0].CreatedAt, *got[0].Completed, got[0].Revocation.At, got[0].Builds[0].CreatedAt)
	}},

	{"BuildsDoNotCountForTheLimit", func(f *fixture) {
		for number := int64(1); number <= 3; number++ {
			v := version("a/b", number)
			v.Builds = []registry.Build{build("x", registry.AmazonImage), build("y", registry.Archive), build("z", registry.Archive)}
			f.publish(v)
		}
		wantVersions(f, registry.VersionQuery{Limit: 2}, 3, 2)
	}},

	{"TypeKeepsVersionsWithSuchABuildAndShowsAllTheirBuilds", func(f *fixture) {
		types := [][]registry.Type{{registry.AmazonImage}, {registry.VagrantBox}, {registry.Archive, registry.AmazonImage}, nil}
		for i, of := range types {
			v := version("a/b", int64(i+1))
			for j, typ := range of {
				v.Builds = append(v.Builds, build(fmt.Sprint("c", j), typ))
			}
			f.publish(v)
		}
		wantVersions(f, registry.VersionQuery{Type: registry.AmazonImage, Limit: 10}, 3, 1)
		wantVersions(f, registry.VersionQuery{Type: registry.AmazonImage, Limit: 1, Before: 3}, 1)
		wantVersions(f, registry.VersionQuery{Type: "qemu.image", Limit: 10})
		got, err := f.store.Versions(f.ctx, "a/b", registry.VersionQuery{Type: registry.AmazonImage, Limit: 1})
		f.check(err)
		if len(got) != 1 || len(got[0].Builds) != 2 {
			f.Errorf("Versions = %+v; want one with both builds", got)
		}
	}},

	{"OfferedAtKeepsWhatIsCompleteAndNotRevokedThen", func(f *fixture) {
		now := after(time.Hour)
		revokedAt := map[int64]time.Time{3: now.Add(-time.Second), 4: now, 5: now.Add(time.Second)}
		for number := int64(1); number <= 5; number++ {
			v := version("a/b", number)
			if number == 2 {
				v.Status = registry.StatusOpen
			}
			if at, ok := revokedAt[number]; ok {
				v.Revocation = &registry.Revocation{At: at}
			}
			f.publish(v)
		}
		wantVersions(f, registry.VersionQuery{OfferedAt: now, Limit: 10}, 5, 1)
		wantVersions(f, registry.VersionQuery{OfferedAt: now, Limit: 1}, 5)
		wantVersions(f, registry.VersionQuery{OfferedAt: now.Add(-time.Minute), Limit: 10}, 5, 4, 3, 1)
		wantVersions(f, registry.VersionQuery{Limit: 10}, 5, 4, 3, 2, 1)
	}},

	{"StatusKeepsVersionsOfIt", func(f *fixture) {
		for i, status := range []registry.Status{registry.StatusOpen, registry.StatusFailed, registry.StatusComplete, registry.StatusOpen} {
			v := version("a/b", int64(i+1))
			v.Status = status
			if i < 2 {
				v.Builds = []registry.Build{build("x", registry.AmazonImage)}
			}
			f.publish(v)
		}
		wantVersions(f, registry.VersionQuery{Status: registry.StatusOpen, Limit: 10}, 4, 1)
		wantVersions(f, registry.VersionQuery{Status: registry.StatusOpen, Limit: 1}, 4)
		wantVersions(f, registry.VersionQuery{Status: registry.StatusOpen, Before: 4, Limit: 1}, 1)
		wantVersions(f, registry.VersionQuery{Status: registry.StatusFailed, Limit: 10}, 2)
		wantVersions(f, registry.VersionQuery{Status: registry.StatusComplete, Limit: 10}, 3)
		wantVersions(f, registry.VersionQuery{Status: "cancelled", Limit: 10})
		wantVersions(f, registry.VersionQuery{Status: registry.StatusOpen, Type: registry.AmazonImage, Limit: 10}, 1)
		wantVersions(f, registry.VersionQuery{Status: registry.StatusOpen, OfferedAt: moment, Limit: 10})
		wantVersions(f, registry.VersionQuery{Status: registry.StatusComplete, OfferedAt: moment, Limit: 10}, 3)
		v := version("a/b", 2)
		f.update(func(tx registry.Tx) error { return tx.UpdateVersion(f.ctx, v) })
		wantVersions(f, registry.VersionQuery{Status: registry.StatusComplete, Limit: 10}, 3, 2)
	}},

	{"OfferedWithATypeNeedsABuildOfItWithoutImagesOrWithOneThatIsOffered", func(f *fixture) {
		in := func(typ registry.Type, statuses ...registry.ImageStatus) registry.Build {
			b := registry.Build{Component: string(typ), Type: typ, CreatedAt: kept(moment)}
			for i, status := range statuses {
				image := registry.Image{Provider: "aws", Region: fmt.Sprint("r", i), ID: "ami"}
				if status != "" {
					image.Verification = &registry.Verification{Status: status, At: moment}
				}
				b.Images = append(b.Images, image)
			}
			return b
		}
		ami := func(statuses ...registry.ImageStatus) registry.Build { return in(registry.AmazonImage, statuses...) }
		second := ami(registry.ImageAvailable)
		second.Component = "second"
		for i, builds := range [][]registry.Build{
			1:  {ami()},
			2:  {ami("")},
			3:  {ami(registry.ImageAvailable)},
			4:  {ami(registry.ImagePending)},
			5:  {ami(registry.ImageFailed, registry.ImagePending)},
			6:  {ami(registry.ImageFailed, registry.ImagePending, registry.ImageAvailable)},
			7:  {ami(registry.ImagePending, ""), in(registry.Archive)},
			8:  {ami(registry.ImagePending), in(registry.Archive), in("qemu.image", "")},
			9:  {ami(registry.ImagePending), second},
			10: {in(registry.Archive)},
			11: {ami(registry.ImageAvailable)}, // open
		} {
			if i == 0 {
				continue
			}
			v := version("a/b", int64(i))
			v.Builds = builds
			if i == 11 {
				v.Status = registry.StatusOpen
			}
			f.publish(v)
		}
		wantVersions(f, registry.VersionQuery{OfferedAt: moment, Type: registry.AmazonImage, Limit: 20}, 9, 7, 6, 3, 2, 1)
		wantVersions(f, registry.VersionQuery{OfferedAt: moment, Type: registry.AmazonImage, Before: 6, Limit: 1}, 3)
		wantVersions(f, registry.VersionQuery{OfferedAt: moment, Type: registry.Archive, Limit: 20}, 10, 8, 7)
		wantVersions(f, registry.VersionQuery{OfferedAt: moment, Type: "qemu.image", Limit: 20}, 8)
		wantVersions(f, registry.VersionQuery{OfferedAt: moment, Limit: 20}, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1)
		wantVersions(f, registry.VersionQuery{Type: registry.AmazonImage, Limit: 20}, 11, 9, 8, 7, 6, 5, 4, 3, 2, 1)

		f.update(func(tx registry.Tx) error {
			return tx.SetVerifications(f.ctx, "a/b", 4, string(registry.AmazonImage), ami(registry.ImageAvailable).Images)
		})
		wantVersions(f, registry.VersionQuery{OfferedAt: moment, Type: registry.AmazonImage, Before: 6, Limit: 1}, 4)
		f.update(func(tx registry.Tx) error {
			return tx.SetVerifications(f.ctx, "a/b", 4, string(registry.AmazonImage), ami(registry.ImageFailed).Images)
		})
		wantVersions(f, registry.VersionQuery{OfferedAt: moment, Type: registry.AmazonImage, Before: 6, Limit: 1}, 3)
	}},
}

// wantVersions checks the numbers in a list of the versions of a/b.
func wantVersions(f *fixture, q registry.VersionQuery, want ...int64) {
	f.Helper()
	list, err := f.store.Versions(f.ctx, "a/b", q)
	f.check(err)
	var got []int64
	var ids []registry.VersionID
	for _, v := range list {
		got = append(got, v.Number)
		ids = append(ids, v.VersionID)
	}
	f.equal(fmt.Sprintf("numbers of %+v", q), got, want)
	short, err := f.store.VersionIDs(f.ctx, "a/b", q)
	f.check(err)
	f.equal(fmt.Sprintf("ids of %+v", q), short, ids)
	none, err := f.store.VersionIDs(f.ctx, "a/none", q)
	f.check(err)
	f.equal(fmt.Sprintf("ids of %+v where there is no artifact", q), none, []registry.VersionID(nil))
}
