package registry_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// found is a publication of an AMI in some regions, each of which was found in a status.
func found(fingerprint, component string, statuses map[string]registry.ImageStatus) registry.Publication {
	pub := registry.Publication{Fingerprint: fingerprint, Build: registry.Build{Component: component, Type: "aws.ami"}}
	for region, status := range statuses {
		image := registry.Image{Provider: "aws", Region: region, ID: "ami-0" + fingerprint[len(fingerprint)-1:]}
		if status != "" {
			image.Verification = &registry.Verification{Status: status, Attributes: registry.Metadata{"name": "app"}}
		}
		if status != "" && status != registry.ImageAvailable {
			image.Verification.Reason = "as the test says"
		}
		pub.Build.Images = append(pub.Build.Images, image)
	}
	return pub
}

func (w *world) verify(ctx context.Context, ref, component, region, id string, status registry.ImageStatus) (registry.Version, error) {
	return w.Verify(ctx, "cargomedia/app", ref, registry.VerifyRequest{Component: component, Images: []registry.Image{
		{Provider: "aws", Region: region, ID: id, Verification: &registry.Verification{Status: status}},
	}})
}

// offered returns region to AMI of what latest offers, or the kind of the error.
func (w *world) offered(ctx context.Context, typ string) any {
	w.t.Helper()
	r, err := w.Resolve(ctx, "cargomedia/app", "latest", registry.Question{Type: typ})
	if err != nil {
		return registry.KindOf(err)
	}
	return r.AMIs
}

func TestPendingImageKeepsItsVersionFromBeingOffered(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		ctx := as(t, registry.RolePromote, registry.ScopeAll)
		w.publish(ctx, "cargomedia/app", amis("run-1", "a.x", "us-east-1"))
		before := w.offered(ctx, "aws.ami")
		pub := found("run-2", "a.x", map[string]registry.ImageStatus{"us-east-1": registry.ImageAvailable, "eu-west-1": registry.ImagePending})
		pub.Channels = []string{"staging"}
		receipt := w.publish(ctx, "cargomedia/app", pub)
		if receipt.Status != registry.StatusOpen || !cmp.Equal(receipt.Waiting, []string{"image aws/eu-west-1/ami-02 is pending (as the test says)"}) || receipt.Channels[0].Points {
			t.Errorf("receipt: %+v", receipt)
		}
		if diff := cmp.Diff(before, w.offered(ctx, "aws.ami")); diff != "" {
			t.Errorf("latest moved: %s", diff)
		}
		_, err := w.Resolve(ctx, "cargomedia/app", "2", registry.Question{Region: "us-east-1"})
		wantError(t, err, registry.NotFound, "is open", "aws/eu-west-1/ami-02 is pending")
		_, err = w.SetChannel(ctx, "cargomedia/app", "production", registry.ChannelChange{Ref: "2"})
		wantError(t, err, registry.Conflict, "is open", "pending")

		// The same publication again changes nothing, also when it was looked in between.
		if again := w.publish(ctx, "cargomedia/app", pub); again.Status != registry.StatusOpen {
			t.Errorf("receipt of the repetition: %+v", again)
		}
		w.clock = w.clock.Add(time.Hour)
		v, err := w.verify(as(t, registry.RolePublish, registry.ScopeAll), "2", "a.x", "eu-west-1", "ami-02", registry.ImageAvailable)
		if err != nil || v.Status != registry.StatusComplete || v.Completed == nil || !v.Completed.Equal(w.clock) {
			t.Fatalf("%+v, %v", v, err)
		}
		want := map[string]string{"eu-west-1": "ami-02", "us-east-1": "ami-02"}
		if diff := cmp.Diff(any(want), w.offered(ctx, "aws.ami")); diff != "" {
			t.Error(diff)
		}
		c, err := w.Channel(ctx, "cargomedia/app", "staging")
		if err != nil || c.Number != 2 {
			t.Errorf("the channel that was asked for: %+v, %v", c, err)
		}
		if again := w.publish(ctx, "cargomedia/app", pub); again.Status != registry.StatusComplete || len(again.Waiting) > 0 {
			t.Errorf("receipt of a repetition afterwards: %+v", again)
		}
	})
}

func TestFailedImageFailsItsVersion(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		ctx := admin(t)
		receipt := w.publish(ctx, "cargomedia/app", found("run-1", "a.x", map[string]registry.ImageStatus{"us-east-1": registry.ImageFailed, "eu-west-1": registry.ImageAvailable}))
		if receipt.Status != registry.StatusFailed || len(receipt.Waiting) != 1 {
			t.Errorf("receipt: %+v", receipt)
		}
		if got := w.offered(ctx, ""); got != registry.NotFound {
			t.Errorf("a failed version is offered: %v", got)
		}
		_, err := w.Resolve(ctx, "cargomedia/app", "1", registry.Question{Region: "eu-west-1"})
		wantError(t, err, registry.NotFound, "is failed", "aws/us-east-1/ami-01 is failed (as the test says)")
		// Another build does not mend it.
		if receipt := w.publish(ctx, "cargomedia/app", amis("run-1", "a.y", "us-east-1")); receipt.Status != registry.StatusFailed {
			t.Errorf("after another build: %+v", receipt)
		}
		page, err := w.Versions(ctx, "cargomedia/app", registry.VersionFilter{Status: "failed"})
		if err != nil || len(page.Versions) != 1 {
			t.Errorf("failed versions: %+v, %v", page, err)
		}
		// That it could not be seen may have been the looker's mistake.
		if v, err := w.verify(ctx, "1", "a.x", "us-east-1", "ami-01", registry.ImageAvailable); err != nil || v.Status != registry.StatusComplete {
			t.Errorf("after it was found: %+v, %v", v, err)
		}
		var actions []string
		events, err := w.Events(ctx, 0, 100)
		for _, e := range events.Events {
			actions = append(actions, e.Action)
		}
		if diff := cmp.Diff([]string{registry.ActionBuildPublish, registry.ActionVersionFail, registry.ActionBuildPublish, registry.ActionImageVerify, registry.ActionVersionComplete}, actions); err != nil || diff != "" {
			t.Error(err, diff)
		}
	})
}

func TestImageThatWasAddedIsOfferedOnceItIsAvailable(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		ctx := admin(t)
		w.publish(ctx, "cargomedia/app", found("run-1", "a.x", map[string]registry.ImageStatus{"us-east-1": ""}))
		w.publish(ctx, "cargomedia/app", found("run-1", "a.x", map[string]registry.ImageStatus{"us-east-1": "", "eu-west-1": registry.ImagePending}))
		if diff := cmp.Diff(any(map[string]string{"us-east-1": "ami-01"}), w.offered(ctx, "aws.ami")); diff != "" {
			t.Error(diff)
		}
		r, err := w.Resolve(ctx, "cargomedia/app", "latest", registry.Question{})
		if _, ok := r.Metadata["region.eu-west-1"]; err != nil || ok {
			t.Errorf("metadata %v, %v", r.Metadata, err)
		}
		_, err = w.Resolve(ctx, "cargomedia/app", "latest", registry.Question{Region: "eu-west-1"})
		wantError(t, err, registry.NotFound, "us-east-1", "aws/eu-west-1/ami-01 is pending")
		if _, err := w.verify(ctx, "1", "a.x", "eu-west-1", "ami-01", registry.ImageAvailable); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(any(map[string]string{"us-east-1": "ami-01", "eu-west-1": "ami-01"}), w.offered(ctx, "aws.ami")); diff != "" {
			t.Error(diff)
		}
	})
}

func TestLatestOfATypeSkipsABuildThatIsNotOffered(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		ctx := admin(t)
		azure := registry.Publication{Fingerprint: "run-1", Build: registry.Build{Component: "azure.x", Type: "azure.image", Images: []registry.Image{{Provider: "azure", Region: "westeurope", ID: "one"}}}}
		w.publish(ctx, "cargomedia/app", azure)
		w.publish(ctx, "cargomedia/app", amis("run-2", "a.x", "us-east-1"))
		// A build joins the complete version 2, and its only image is not there yet.
		azure.Fingerprint, azure.Build.Images = "run-2", []registry.Image{{Provider: "azure", Region: "westeurope", ID: "two", Verification: &registry.Verification{Status: registry.ImagePending}}}
		w.publish(ctx, "cargomedia/app", azure)
		for _, ref := range []string{"latest", "> 0.0.1"} {
			if r, err := w.Resolve(ctx, "cargomedia/app", ref, registry.Question{Type: "azure.image"}); err != nil || r.ID != "one" {
				t.Errorf("%s: %+v, %v", ref, r, err)
			}
		}
		if _, err := w.Verify(ctx, "cargomedia/app", "2", registry.VerifyRequest{Component: "azure.x", Images: []registry.Image{
			{Provider: "azure", Region: "westeurope", ID: "two", Verification: &registry.Verification{Status: registry.ImageAvailable}},
		}}); err != nil {
			t.Fatal(err)
		}
		for _, ref := range []string{"latest", "> 0.0.1"} {
			if r, err := w.Resolve(ctx, "cargomedia/app", ref, registry.Question{Type: "azure.image"}); err != nil || r.ID != "two" {
				t.Errorf("%s after it was found: %+v, %v", ref, r, err)
			}
		}
	})
}

func TestVerifyRefuses(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	w.publish(ctx, "cargomedia/app", found("run-1", "a.x", map[string]registry.ImageStatus{"us-east-1": ""}))

	t.Run("to take back what is handed out", func(t *testing.T) {
		_, err := w.verify(ctx, "1", "a.x", "us-east-1", "ami-01", registry.ImageFailed)
		wantError(t, err, registry.Conflict, "is complete", "images[0].verification.status", "revoke the version")
		if diff := cmp.Diff(any(map[string]string{"us-east-1": "ami-01"}), w.offered(ctx, "aws.ami")); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("an image that the build does not have", func(t *testing.T) {
		_, err := w.verify(ctx, "1", "a.x", "eu-west-1", "ami-01", registry.ImageAvailable)
		wantError(t, err, registry.NotFound, "has no such image", "images[0]: aws/eu-west-1/ami-01 is none of build a.x")
	})
	t.Run("a build that is not there, with those that are", func(t *testing.T) {
		_, err := w.verify(ctx, "1", "a.z", "us-east-1", "ami-01", registry.ImageAvailable)
		wantError(t, err, registry.NotFound, `no build "a.z"`, "a.x")
	})
	t.Run("a ref that floats", func(t *testing.T) {
		_, err := w.verify(ctx, "latest", "a.x", "us-east-1", "ami-01", registry.ImageAvailable)
		wantError(t, err, registry.Invalid, "number 1")
	})
	t.Run("a reader", func(t *testing.T) {
		_, err := w.verify(as(t, registry.RoleRead, registry.ScopeAll), "1", "a.x", "us-east-1", "ami-01", registry.ImageAvailable)
		wantError(t, err, registry.Forbidden)
	})
	t.Run("all mistakes at once", func(t *testing.T) {
		_, err := w.Verify(ctx, "cargomedia/app", "1", registry.VerifyRequest{Component: "a b", Images: []registry.Image{
			{Provider: "aws"}, {Verification: &registry.Verification{Status: "gone", Reason: "a\x00b", Attributes: registry.Metadata{"": "x"}}},
		}})
		wantError(t, err, registry.Invalid, "component", "images[0].verification: is missing", `images[1].verification.status: "gone"`, "images[1].verification.reason", "images[1].verification.attributes")
		_, err = w.Verify(ctx, "cargomedia/app", "1", registry.VerifyRequest{Component: "a.x"})
		wantError(t, err, registry.Invalid, "images: has 0 entries")
	})
}

func TestVerificationIsKeptWithItsTime(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	seen := w.clock.Add(-time.Hour)
	pub := amis("run-1", "a.x", "us-east-1", "eu-west-1", "eu-west-2")
	pub.Build.Images[0].Verification = &registry.Verification{Status: registry.ImageAvailable, At: seen, Attributes: registry.Metadata{"owner_id": "123456789012"}}
	pub.Build.Images[1].Verification = &registry.Verification{Status: registry.ImageAvailable, At: w.clock.Add(time.Hour)}
	w.publish(ctx, "cargomedia/app", pub)
	v, err := w.Version(ctx, "cargomedia/app", "1")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]*registry.Verification{}
	for _, i := range v.Builds[0].Images {
		got[i.Region] = i.Verification
	}
	want := map[string]*registry.Verification{
		"us-east-1": {Status: registry.ImageAvailable, At: seen, Attributes: registry.Metadata{"owner_id": "123456789012"}},
		"eu-west-1": {Status: registry.ImageAvailable, At: w.clock}, // the future is not
		"eu-west-2": nil,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestFailedImageCanBeReplaced(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		ctx := admin(t)
		pub := found("run-1", "a.x", map[string]registry.ImageStatus{"us-east-1": registry.ImageAvailable, "eu-west-1": registry.ImageFailed})
		w.publish(ctx, "cargomedia/app", pub)
		again := found("run-1", "a.x", map[string]registry.ImageStatus{"us-east-1": registry.ImageAvailable, "eu-west-1": registry.ImageAvailable})
		for i := range again.Build.Images {
			if again.Build.Images[i].Region == "eu-west-1" {
				again.Build.Images[i].ID = "ami-0copied"
			}
		}
		if receipt := w.publish(ctx, "cargomedia/app", again); receipt.Status != registry.StatusComplete || len(receipt.Waiting) > 0 {
			t.Errorf("receipt: %+v", receipt)
		}
		want := map[string]string{"eu-west-1": "ami-0copied", "us-east-1": "ami-01"}
		if diff := cmp.Diff(any(want), w.offered(ctx, "aws.ami")); diff != "" {
			t.Error(diff)
		}
		// What is handed out is not replaced.
		_, err := w.Publish(ctx, "cargomedia/app", pub)
		wantError(t, err, registry.Conflict, `is "ami-0copied" in aws eu-west-1, not "ami-01"`)
	})
}

func TestVerifyTellsNewsOnly(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	w.publish(ctx, "cargomedia/app", found("run-1", "a.x", map[string]registry.ImageStatus{"us-east-1": registry.ImagePending}))
	last := func() int64 {
		t.Helper()
		page, err := w.Events(ctx, 0, 100)
		if err != nil {
			t.Fatal(err)
		}
		return page.Last
	}
	tell := func(status registry.ImageStatus, at time.Time) registry.Version {
		t.Helper()
		v, err := w.Verify(ctx, "cargomedia/app", "1", registry.VerifyRequest{Component: "a.x", Images: []registry.Image{
			{Provider: "aws", Region: "us-east-1", ID: "ami-01", Verification: &registry.Verification{Status: status, At: at}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	w.clock = w.clock.Add(time.Hour)
	tell(registry.ImageAvailable, time.Time{})
	before := last()
	w.clock = w.clock.Add(time.Hour)
	tell(registry.ImageAvailable, time.Time{}) // the same again
	// A verifier that was slow tells what it saw before.
	if v := tell(registry.ImageAvailable, w.clock.Add(-24*time.Hour)); v.Status != registry.StatusComplete {
		t.Errorf("an older finding made the version %s", v.Status)
	}
	if after := last(); after != before {
		t.Errorf("%d events about nothing new", after-before)
	}
	_, err := w.Verify(ctx, "cargomedia/app", "1", registry.VerifyRequest{Component: "a.x", Images: []registry.Image{
		{Provider: "aws", Region: "us-east-1", ID: "ami-01", Verification: &registry.Verification{Status: registry.ImageAvailable}},
		{Provider: "aws", Region: "us-east-1", ID: "ami-01", Verification: &registry.Verification{Status: registry.ImageFailed}},
	}})
	wantError(t, err, registry.Invalid, "images[1]", "is there twice")
}
