package registry_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func TestPublishNumbersAndVersions(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	first := w.publish(ctx, "cargomedia/app", amis("run-1", "amazon-ebs.app", "us-east-1", "eu-west-1"))
	if first.Number != 1 || first.Version != "0.1.0" || first.Status != registry.StatusComplete || first.Type != registry.AmazonImage {
		t.Errorf("first: %+v", first)
	}
	pub := amis("run-2", "amazon-ebs.app", "us-east-1")
	pub.Version = "1.4.0"
	if second := w.publish(ctx, "cargomedia/app", pub); second.Number != 2 || second.Version != "1.4.0" {
		t.Errorf("second: %+v", second)
	}
	if third := w.publish(ctx, "cargomedia/app", amis("run-3", "amazon-ebs.app", "us-east-1")); third.Number != 3 || third.Version != "1.5.0" {
		t.Errorf("third: %+v", third)
	}
	older := amis("run-4", "amazon-ebs.app", "us-east-1")
	older.Version = "1.4.1"
	w.publish(ctx, "cargomedia/app", older)
	if fifth := w.publish(ctx, "cargomedia/app", amis("run-5", "amazon-ebs.app", "us-east-1")); fifth.Number != 5 || fifth.Version != "1.6.0" {
		t.Errorf("after a patch of an older line: %+v", fifth)
	}
	taken := amis("run-6", "amazon-ebs.app", "us-east-1")
	taken.Version = "1.4.0"
	_, err := w.Publish(ctx, "cargomedia/app", taken)
	wantError(t, err, registry.Conflict, "1.4.0", "number 2", "run-2")
	_, err = w.Publish(ctx, "Cargomedia/App", amis("run-7", "x.y", "us-east-1"))
	wantError(t, err, registry.Conflict, "cargomedia/app")
}

func TestPublishAgain(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	pub := amis("run-1", "amazon-ebs.app", "us-east-1", "eu-west-1")
	pub.Build.Metadata = registry.Metadata{"git": "abc"}
	pub.Channels = []string{"staging"}
	first := w.publish(ctx, "cargomedia/app", pub)

	t.Run("the same content answers the same and leaves no trace", func(t *testing.T) {
		before, err := w.Events(ctx, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		w.clock = w.clock.Add(time.Hour)
		slices.Reverse(pub.Build.Images)
		pub.Build.Provenance = registry.Metadata{"sent_by": "another program"}
		if diff := cmp.Diff(first, w.publish(ctx, "cargomedia/app", pub)); diff != "" {
			t.Error(diff)
		}
		after, err := w.Events(ctx, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, after); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("other content is a conflict that says what differs", func(t *testing.T) {
		other := pub
		other.Version, other.Expect = "9.9.9", []string{"a.b"}
		other.Build.Metadata = registry.Metadata{"git": "def", "new": "x"}
		other.Build.Images = []registry.Image{{Provider: "aws", Region: "eu-west-1", ID: "ami-other"}}
		_, err := w.Publish(ctx, "cargomedia/app", other)
		wantError(t, err, registry.Conflict, `version: is 0.1.0 for this fingerprint, not 9.9.9`, "expect")
		other.Version, other.Expect = "", nil
		_, err = w.Publish(ctx, "cargomedia/app", other)
		wantError(t, err, registry.Conflict, `build.metadata["git"]: is "abc", not "def"`, `build.metadata["new"]`,
			`build.images[0].id: is "ami-run1amazonebsapp1" in aws eu-west-1, not "ami-other"`, "us-east-1")
	})
	t.Run("a copy to a new region is added", func(t *testing.T) {
		more := pub
		more.Build.Images = append(slices.Clone(pub.Build.Images), registry.Image{Provider: "aws", Region: "ap-southeast-2", ID: "ami-copy"})
		if got := w.publish(ctx, "cargomedia/app", more); got.Number != 1 {
			t.Errorf("got %+v", got)
		}
		r, err := w.Resolve(ctx, "cargomedia/app", "1", registry.Question{Region: "ap-southeast-2"})
		if err != nil || r.ID != "ami-copy" {
			t.Errorf("got %+v, %v", r, err)
		}
		_, err = w.Publish(ctx, "cargomedia/app", pub)
		wantError(t, err, registry.Conflict, "ap-southeast-2")
	})
	t.Run("a channel that was rolled back stays where it is", func(t *testing.T) {
		w.publish(ctx, "cargomedia/app", amis("run-2", "amazon-ebs.app", "us-east-1"))
		if _, err := w.SetChannel(ctx, "cargomedia/app", "staging", registry.ChannelChange{Ref: "2"}); err != nil {
			t.Fatal(err)
		}
		again := amis("run-3", "amazon-ebs.app", "us-east-1")
		again.Channels = []string{"staging"}
		w.publish(ctx, "cargomedia/app", again)
		if _, err := w.SetChannel(ctx, "cargomedia/app", "staging", registry.ChannelChange{Rollback: true}); err != nil {
			t.Fatal(err)
		}
		receipt := w.publish(ctx, "cargomedia/app", again)
		c, err := w.Channel(ctx, "cargomedia/app", "staging")
		if err != nil || c.Number != 2 || receipt.Channels[0].Points {
			t.Errorf("channel %+v, receipt %+v, %v", c, receipt, err)
		}
	})
}

func TestVersionIsOpenUntilAllExpectedBuildsAreThere(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	pub := amis("run-1", "amazon-ebs.app", "us-east-1")
	pub.Expect = []string{"amazon-ebs.app", "virtualbox-iso.app"}
	pub.Channels = []string{"staging"}
	receipt := w.publish(ctx, "cargomedia/app", pub)
	if receipt.Status != registry.StatusOpen || !slices.Equal(receipt.Missing, []string{"virtualbox-iso.app"}) || receipt.Channels[0].Points {
		t.Errorf("receipt %+v", receipt)
	}
	for _, ref := range []string{"latest", "~> 0.1", "staging"} {
		_, err := w.Resolve(ctx, "cargomedia/app", ref, registry.Question{})
		wantError(t, err, registry.NotFound)
	}
	_, err := w.Resolve(ctx, "cargomedia/app", "1", registry.Question{})
	wantError(t, err, registry.NotFound, "expects virtualbox-iso.app")
	_, err = w.SetChannel(ctx, "cargomedia/app", "production", registry.ChannelChange{Ref: "1"})
	wantError(t, err, registry.Conflict, "open", "virtualbox-iso.app")
	_, err = w.Revoke(ctx, "cargomedia/app", "1", registry.RevokeRequest{Reason: "x"})
	wantError(t, err, registry.Conflict, "open")

	box := w.upload(ctx, "cargomedia/app", "box")
	second := registry.Publication{Fingerprint: "run-1", Build: registry.Build{
		Component: "virtualbox-iso.app", Type: registry.VagrantBox, Provider: "virtualbox", Files: []registry.File{box},
	}}
	if receipt = w.publish(ctx, "cargomedia/app", second); receipt.Status != registry.StatusComplete || receipt.Number != 1 {
		t.Errorf("receipt %+v", receipt)
	}
	r, err := w.Resolve(ctx, "cargomedia/app", "staging", registry.Question{Type: "aws.ami", Region: "us-east-1"})
	if err != nil || r.Number != 1 {
		t.Errorf("the channel did not move when the version became complete: %+v, %v", r, err)
	}
}

func TestChannelNeverGoesBackByAPublication(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	slow := amis("slow", "a.x", "us-east-1")
	slow.Expect, slow.Channels = []string{"a.x", "b.x"}, []string{"staging"}
	w.publish(ctx, "cargomedia/app", slow)
	fast := amis("fast", "a.x", "us-east-1")
	fast.Channels = []string{"staging"}
	w.publish(ctx, "cargomedia/app", fast)
	rest := amis("slow", "b.x", "eu-west-1")
	rest.Channels = []string{"staging"}
	receipt := w.publish(ctx, "cargomedia/app", rest)
	if receipt.Status != registry.StatusComplete || receipt.Channels[0].Points || !strings.Contains(receipt.Channels[0].Note, "number 2") {
		t.Errorf("receipt %+v", receipt)
	}
	if r, err := w.Resolve(ctx, "cargomedia/app", "latest", registry.Question{}); err != nil || r.Number != 2 {
		t.Errorf("latest went back: %+v, %v", r, err)
	}
}

func TestAChannelThatWasAskedForWhileRevokedCanBeAskedForAgain(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	pub := amis("run-1", "a.x", "us-east-1")
	w.publish(ctx, "cargomedia/app", pub)
	if _, err := w.Revoke(ctx, "cargomedia/app", "1", registry.RevokeRequest{Reason: "x"}); err != nil {
		t.Fatal(err)
	}
	pub.Channels = []string{"staging"}
	if r := w.publish(ctx, "cargomedia/app", pub); r.Channels[0].Points || r.Channels[0].Note != "the version is revoked" {
		t.Errorf("while revoked: %+v", r.Channels)
	}
	if _, err := w.Restore(ctx, "cargomedia/app", "1"); err != nil {
		t.Fatal(err)
	}
	if r := w.publish(ctx, "cargomedia/app", pub); !r.Channels[0].Points {
		t.Errorf("after it was restored: %+v", r.Channels)
	}
}

func TestVersionMetadata(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	pub := amis("run-1", "a.x", "us-east-1")
	pub.Expect = []string{"a.x", "b.x"}
	pub.VersionMetadata = registry.Metadata{"git": "abc"}
	w.publish(ctx, "cargomedia/app", pub)
	rest := amis("run-1", "b.x", "us-east-1")
	rest.VersionMetadata = registry.Metadata{"git": "abc", "ticket": "7"}
	w.publish(ctx, "cargomedia/app", rest)
	v, err := w.Version(ctx, "cargomedia/app", "1")
	if diff := cmp.Diff(registry.Metadata{"git": "abc", "ticket": "7"}, v.Metadata); err != nil || diff != "" {
		t.Error(err, diff)
	}
	rest.VersionMetadata = registry.Metadata{"git": "def", "late": "x"}
	_, err = w.Publish(ctx, "cargomedia/app", rest)
	wantError(t, err, registry.Conflict, `version_metadata["git"]: is "abc"`, `version_metadata["late"]`, "complete")
}

func TestNamesThatDifferInCaseAlone(t *testing.T) {
	w := newWorld(t)
	w.publish(admin(t), "secret/app", amis("run", "a.x", "us-east-1"))
	stranger := as(t, registry.RolePublish, "SECRET/*")
	for name, call := range map[string]func(context.Context) error{
		"Access": func(ctx context.Context) error { _, err := w.Access(ctx, "SECRET/app"); return err },
		"BeginUpload": func(ctx context.Context) error {
			_, err := w.BeginUpload(ctx, registry.UploadRequest{Artifact: "SECRET/app", Size: 1, SHA256: strings.Repeat("0", 64)})
			return err
		},
		"Publish": func(ctx context.Context) error {
			_, err := w.Publish(ctx, "SECRET/app", amis("run", "a.x", "us-east-1"))
			return err
		},
	} {
		err := call(stranger)
		wantError(t, err, registry.Conflict, "upper and lower case")
		if strings.Contains(err.Error(), "secret/app") {
			t.Errorf("%s tells a stranger of another artifact: %v", name, err)
		}
		wantError(t, call(admin(t)), registry.Conflict, "exists as secret/app")
	}
}

func TestProblemsNameTheirPlaceInTheRequest(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	known := w.upload(ctx, "cargomedia/app", "bytes")
	known.Name = "z"
	_, err := w.Publish(ctx, "cargomedia/app", registry.Publication{Fingerprint: "run", Build: registry.Build{Component: "f.x", Type: "archive", Files: []registry.File{
		known, {Name: "a", Size: 1, SHA256: registry.Digest(strings.Repeat("0", 64))},
	}}})
	wantError(t, err, registry.Invalid, "build.files[1].sha256")

	many := amis("run", "a.x", "us-east-1")
	for i := range 200000 {
		many.Expect = append(many.Expect, fmt.Sprintf("x.%d", i))
	}
	_, err = w.Publish(ctx, "cargomedia/app", many)
	wantError(t, err, registry.Invalid, "expect: has 200000 entries")

	bad := amis("run", "a.x", "us-east-1")
	bad.Build.Images = make([]registry.Image, 1000)
	_, err = w.Publish(ctx, "cargomedia/app", bad)
	if e, _ := errors.AsType[*registry.Error](err); e == nil || len(e.Fields) != registry.MaxProblems || !strings.Contains(e.Msg, "the first 100") {
		t.Errorf("got %v", err)
	}
}

func TestAPublicationCanBeFinishedByHand(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	pub := amis("run", "a.x", "us-east-1")
	pub.Build.Images[0].SourceID, pub.Build.Images[0].Labels = "ami-base", registry.Metadata{"os": "debian"}
	first := w.publish(ctx, "cargomedia/app", pub)
	if diff := cmp.Diff(first, w.publish(ctx, "cargomedia/app", amis("run", "a.x", "us-east-1"))); diff != "" {
		t.Error(diff)
	}
	pub.Build.Images[0].SourceID = "ami-other"
	_, err := w.Publish(ctx, "cargomedia/app", pub)
	wantError(t, err, registry.Conflict, "build.images[0]", "another source")
}

func TestTheVersionAfterTheHighestMinorIsAskedFor(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	pub := amis("run-1", "a.x", "us-east-1")
	pub.Version = "1.999999999.0"
	w.publish(ctx, "cargomedia/app", pub)
	_, err := w.Publish(ctx, "cargomedia/app", amis("run-2", "a.x", "us-east-1"))
	wantError(t, err, registry.Conflict, "give a version")
}

func TestConcurrentPublishesNeverShareANumber(t *testing.T) {
	onBothEngines(t, concurrentPublishesNeverShareANumber)
}

func concurrentPublishesNeverShareANumber(t *testing.T, w *world) {
	ctx := admin(t)
	const runs = 40
	numbers := make([]int64, runs)
	versions := make([]string, runs)
	var group sync.WaitGroup
	for i := range runs {
		group.Go(func() {
			receipt, err := w.Publish(ctx, "cargomedia/app", amis(fmt.Sprintf("run-%d", i), "a.x", "us-east-1"))
			if err != nil {
				t.Error(err)
			}
			numbers[i], versions[i] = receipt.Number, receipt.Version
		})
	}
	group.Wait()
	slices.Sort(numbers)
	slices.Sort(versions)
	if len(slices.Compact(slices.Clone(versions))) != runs {
		t.Errorf("versions are shared: %v", versions)
	}
	for i, n := range numbers {
		if n != int64(i+1) {
			t.Fatalf("numbers are %v", numbers)
		}
	}
	page, err := w.Versions(ctx, "cargomedia/app", registry.VersionFilter{Limit: 100})
	if err != nil || len(page.Versions) != runs {
		t.Errorf("%d versions are recorded, %v", len(page.Versions), err)
	}
}

func TestConcurrentBuildsOfOneRunLandInOneVersion(t *testing.T) {
	onBothEngines(t, concurrentBuildsOfOneRunLandInOneVersion)
}

func concurrentBuildsOfOneRunLandInOneVersion(t *testing.T, w *world) {
	ctx := admin(t)
	const components = 10
	var expect []string
	for i := range components {
		expect = append(expect, fmt.Sprintf("source.%d", i))
	}
	var group sync.WaitGroup
	for _, component := range expect {
		group.Go(func() {
			pub := amis("run", component, "us-east-1")
			pub.Expect, pub.Channels = expect, []string{"staging"}
			if _, err := w.Publish(ctx, "cargomedia/app", pub); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	v, err := w.Version(ctx, "cargomedia/app", "staging")
	if err != nil || v.Number != 1 || v.Status != registry.StatusComplete || len(v.Builds) != components {
		t.Errorf("got %+v, %v", v, err)
	}
}
