package registrytest

import (
	"errors"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// found returns what was found of an image, with everything set.
func found(status registry.ImageStatus, at time.Time) *registry.Verification {
	return &registry.Verification{
		Status: status, At: at, Reason: hostile,
		Attributes: registry.Metadata{"name": "app 1", "empty": "", hostile: hostile},
	}
}

// verifiedBuild has an image of each status, and one that nobody looked at.
func verifiedBuild(component string) registry.Build {
	b := build(component, registry.AmazonImage)
	b.Images = []registry.Image{
		{Provider: "aws", Region: "r1", ID: "ami-unseen", SourceID: "ami-0", Labels: registry.Metadata{"k": "v"}},
		{Provider: "aws", Region: "r2", ID: "ami-available", SourceID: "ami-0", Labels: registry.Metadata{"k": "v"}, Verification: found(registry.ImageAvailable, kept(moment))},
		{Provider: "aws", Region: "r3", ID: "ami-pending", Verification: &registry.Verification{Status: registry.ImagePending, At: kept(after(time.Microsecond))}},
		{Provider: "aws", Region: "r4", ID: "ami-failed", Verification: found(registry.ImageFailed, time.Time{})},
	}
	return b
}

// imageIn returns an image of a build by its region.
func imageIn(b registry.Build, region string) registry.Image {
	for _, image := range b.Images {
		if image.Region == region {
			return image
		}
	}
	return registry.Image{}
}

var verificationTests = []storeTest{
	{"VerificationsComeBackWithTheImagesOfANewBuild", func(f *fixture) {
		v := version("a/b", 1)
		v.Builds = []registry.Build{verifiedBuild("x")}
		f.publish(v)
		got := f.version("a/b", 1)
		f.equal("Version", got, v)
		f.wantUTC(imageIn(got.Builds[0], "r2").Verification.At)
		if imageIn(got.Builds[0], "r1").Verification != nil {
			f.Error("an image that nobody looked at has a verification")
		}
		f.reopen()
		f.equal("Version after reopening", f.version("a/b", 1), v)
	}},

	{"VerificationsComeBackWithImagesThatWereAdded", func(f *fixture) {
		v := version("a/b", 1)
		v.Builds = []registry.Build{build("x", registry.AmazonImage)}
		v.Builds[0].Images = nil
		f.publish(v)
		want := verifiedBuild("x").Images
		f.update(func(tx registry.Tx) error { return tx.InsertImages(f.ctx, "a/b", 1, "x", want) })
		v.Builds[0].Images = want
		f.equal("Version", f.version("a/b", 1), v)
	}},

	{"TheTimeOfAVerificationIsKeptToTheMicrosecond", func(f *fixture) {
		v := version("a/b", 1)
		v.Builds = []registry.Build{verifiedBuild("x")}
		f.publish(v)
		for _, at := range []time.Time{moment, {}, time.Date(1969, 7, 20, 20, 17, 40, 999999999, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC)} {
			image := registry.Image{Provider: "aws", Region: "r1", ID: "ami-unseen", Verification: &registry.Verification{Status: registry.ImageAvailable, At: at}}
			f.setVerifications("x", image)
			got := imageIn(f.version("a/b", 1).Builds[0], "r1").Verification
			if got == nil || !got.At.Equal(kept(at)) || got.At.IsZero() != at.IsZero() {
				f.Errorf("verification = %+v; want the time %v", got, kept(at))
				continue
			}
			f.wantUTC(got.At)
		}
	}},

	{"SetVerificationsReplacesWhatWasFoundAndNothingElse", func(f *fixture) {
		v := version("a/b", 1)
		v.Builds = []registry.Build{verifiedBuild("x"), verifiedBuild("y")}
		other := version("a/b", 2)
		other.Builds = []registry.Build{verifiedBuild("x")}
		elsewhere := version("a/other", 1)
		elsewhere.Builds = []registry.Build{verifiedBuild("x")}
		f.publish(v, other, elsewhere)

		at := after(time.Hour)
		f.setVerifications("x",
			registry.Image{Provider: "aws", Region: "r1", ID: "ami-unseen", SourceID: "changed", Labels: registry.Metadata{"changed": ""}, Verification: found(registry.ImageFailed, at)},
			registry.Image{Provider: "aws", Region: "r3", ID: "ami-pending", Verification: found(registry.ImageAvailable, at)},
			registry.Image{Provider: "aws", Region: "r4", ID: "ami-failed", Verification: &registry.Verification{Status: registry.ImageAvailable, At: at}},
		)
		images := v.Builds[0].Images
		images[0].Verification = found(registry.ImageFailed, kept(at))
		images[2].Verification = found(registry.ImageAvailable, kept(at))
		images[3].Verification = &registry.Verification{Status: registry.ImageAvailable, At: kept(at)}
		f.equal("the version with another build", f.version("a/b", 1), v)
		f.equal("another version", f.version("a/b", 2), other)
		f.equal("another artifact", f.version("a/other", 1), elsewhere)

		f.setVerifications("x", registry.Image{Provider: "aws", Region: "r1", ID: "ami-unseen"})
		images[0].Verification = nil
		f.equal("the version after one was taken back", f.version("a/b", 1), v)
		f.setVerifications("x")
		f.equal("the version after nothing was set", f.version("a/b", 1), v)
	}},

	{"SetVerificationsReadsItsOwnWrites", func(f *fixture) {
		v := version("a/b", 1)
		v.Builds = []registry.Build{verifiedBuild("x")}
		f.publish(v)
		f.update(func(tx registry.Tx) error {
			image := v.Builds[0].Images[0]
			image.Verification = found(registry.ImagePending, kept(moment))
			f.check(tx.SetVerifications(f.ctx, "a/b", 1, "x", []registry.Image{image}))
			got, err := tx.Version(f.ctx, "a/b", registry.Selector{Number: 1})
			v.Builds[0].Images[0] = image
			f.equal("Version", got, v)
			return err
		})
	}},

	{"DeleteImagesTakesThoseAndNoOthers", func(f *fixture) {
		v := version("a/b", 1)
		v.Builds = []registry.Build{verifiedBuild("x"), verifiedBuild("y")}
		f.publish(v)
		gone := []registry.Image{imageIn(v.Builds[0], "r4"), imageIn(v.Builds[0], "r1")}
		f.update(func(tx registry.Tx) error { return tx.DeleteImages(f.ctx, "a/b", 1, "x", gone) })
		v.Builds[0].Images = []registry.Image{imageIn(v.Builds[0], "r2"), imageIn(v.Builds[0], "r3")}
		f.equal("Version", f.version("a/b", 1), v)
		err := f.store.Update(f.ctx, func(tx registry.Tx) error {
			return tx.DeleteImages(f.ctx, "a/b", 1, "x", []registry.Image{imageIn(v.Builds[0], "r2"), gone[0]})
		})
		f.wantKind("DeleteImages", err, registry.NotFound)
		f.equal("Version after what failed", f.version("a/b", 1), v)
	}},

	{"SetVerificationsOfWhatIsNotThereIsNotFoundAndWritesNothing", func(f *fixture) {
		v := version("a/b", 1)
		v.Builds = []registry.Build{verifiedBuild("x"), build("y", registry.AmazonImage)}
		f.publish(v, version("a/b", 2))
		there := registry.Image{Provider: "aws", Region: "r1", ID: "ami-unseen", Verification: found(registry.ImageFailed, moment)}
		set := func(name registry.ArtifactName, number int64, component string, images ...registry.Image) error {
			return f.store.Update(f.ctx, func(tx registry.Tx) error { return tx.SetVerifications(f.ctx, name, number, component, images) })
		}
		f.wantKind("another artifact", set("no/such", 1, "x", there), registry.NotFound)
		f.wantKind("another version", set("a/b", 2, "x", there), registry.NotFound)
		f.wantKind("no such version", set("a/b", 3, "x", there), registry.NotFound)
		f.wantKind("another build", set("a/b", 1, "y", there), registry.NotFound)
		f.wantKind("no such build", set("a/b", 1, "z", there), registry.NotFound)
		f.wantKind("no such build and no image", set("a/b", 1, "z"), registry.NotFound)
		for _, missing := range []registry.Image{
			{Provider: "gce", Region: "r1", ID: "ami-unseen"}, {Provider: "aws", Region: "r2", ID: "ami-unseen"}, {Provider: "aws", Region: "r1", ID: "AMI-unseen"},
		} {
			missing.Verification = there.Verification
			f.wantKind(missing.String()+" after one that is there", set("a/b", 1, "x", there, missing), registry.NotFound)
		}
		f.equal("Version", f.version("a/b", 1), v)
	}},

	{"VerificationsAreRolledBackWithTheirUpdate", func(f *fixture) {
		v := version("a/b", 1)
		v.Builds = []registry.Build{verifiedBuild("x")}
		f.publish(v)
		err := f.store.Update(f.ctx, func(tx registry.Tx) error {
			f.check(tx.SetVerifications(f.ctx, "a/b", 1, "x", []registry.Image{{Provider: "aws", Region: "r1", ID: "ami-unseen", Verification: found(registry.ImageFailed, moment)}}))
			return errOfFn
		})
		if !errors.Is(err, errOfFn) {
			f.Errorf("error = %v", err)
		}
		f.equal("Version", f.version("a/b", 1), v)
	}},

	{"AnImageIsFoundWhateverWasFoundOfIt", func(f *fixture) {
		v := version("a/b", 1)
		v.Builds = []registry.Build{verifiedBuild("x")}
		f.publish(v)
		want := []registry.ImageUse{{Artifact: "a/b", VersionID: v.VersionID, Component: "x", Type: registry.AmazonImage}}
		for _, image := range v.Builds[0].Images {
			got, err := f.store.ImageUses(f.ctx, image.Provider, image.Region, image.ID, everything, 10)
			f.check(err)
			f.equal("uses of "+image.String(), got, want)
		}
	}},
}

// version returns a version that must be there.
func (f *fixture) version(name registry.ArtifactName, number int64) registry.Version {
	f.Helper()
	v, err := f.store.Version(f.ctx, name, registry.Selector{Number: number})
	f.check(err)
	return v
}

// setVerifications sets what was found of images of a build of version 1 of a/b.
func (f *fixture) setVerifications(component string, images ...registry.Image) {
	f.Helper()
	f.update(func(tx registry.Tx) error {
		if _, err := tx.LockArtifact(f.ctx, "a/b", false, moment); err != nil {
			return err
		}
		return tx.SetVerifications(f.ctx, "a/b", 1, component, images)
	})
}
