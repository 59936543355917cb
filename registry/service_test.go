package registry_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/blob"
	"github.com/cargomedia/packer-plugin-almanac/registry/sqlstore"
)

// world is a service over real stores, with a clock that tests can set.
type world struct {
	*registry.Service
	t     *testing.T
	clock time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	store, err := sqlstore.Open(t.Context(), filepath.Join(dir, "almanac.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	blobs, err := blob.OpenDisk(filepath.Join(dir, "blobs"))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, clock: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)}
	w.Service = registry.NewService(store, blobs, registry.WithClock(func() time.Time { return w.clock }))
	return w
}

// as is a context in which a caller with a role and scopes acts.
func as(t *testing.T, role registry.Role, scopes ...registry.Scope) context.Context {
	t.Helper()
	return registry.WithPrincipal(t.Context(), registry.Principal{TokenID: string(role), Name: string(role) + "-token", Role: role, Scopes: scopes})
}

func admin(t *testing.T) context.Context { return as(t, registry.RoleAdmin, registry.ScopeAll) }

// amis is a publication of an AMI in some regions.
func amis(fingerprint, component string, regions ...string) registry.Publication {
	pub := registry.Publication{Fingerprint: fingerprint, Build: registry.Build{Component: component, Type: "aws.ami"}}
	for i, region := range regions {
		pub.Build.Images = append(pub.Build.Images, registry.Image{Provider: "aws", Region: region, ID: fmt.Sprintf("ami-%s%d", strings.Map(alnum, fingerprint+component), i)})
	}
	return pub
}

func alnum(r rune) rune {
	if strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789", r) {
		return r
	}
	return -1
}

func (w *world) publish(ctx context.Context, name string, pub registry.Publication) registry.Receipt {
	w.t.Helper()
	receipt, err := w.Publish(ctx, name, pub)
	if err != nil {
		w.t.Fatal(err)
	}
	return receipt
}

func (w *world) upload(ctx context.Context, artifact, content string) registry.File {
	w.t.Helper()
	sum := sha256.Sum256([]byte(content))
	status, err := w.BeginUpload(ctx, registry.UploadRequest{Artifact: artifact, Size: int64(len(content)), SHA256: hex.EncodeToString(sum[:])})
	if err != nil {
		w.t.Fatal(err)
	}
	if !status.Done {
		if _, err := w.AppendUpload(ctx, status.ID, 0, strings.NewReader(content)); err != nil {
			w.t.Fatal(err)
		}
		if status, err = w.CommitUpload(ctx, status.ID); err != nil {
			w.t.Fatal(err)
		}
	}
	return registry.File{Name: "file", Size: status.Size, SHA256: status.SHA256}
}

// wantError fails unless err is of a kind and its text has all the words.
func wantError(t *testing.T, err error, kind registry.Kind, words ...string) {
	t.Helper()
	if registry.KindOf(err) != kind {
		t.Fatalf("got error %v of kind %q, want kind %q", err, registry.KindOf(err), kind)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("error %q does not say %q", err, word)
		}
	}
}

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
		wantError(t, err, registry.Conflict, `build.metadata["git"]: is "abc", not "def"`, `build.metadata["new"]`, "us-east-1")
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

func TestResolve(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	for i, version := range []string{"1.0.0", "1.2.0", "2.0.0", "1.2.5"} {
		pub := amis(fmt.Sprintf("run-%d", i+1), "amazon-ebs.app", "us-east-1", "eu-west-1")
		pub.Version = version
		pub.Build.Architecture = "x86_64"
		w.publish(ctx, "cargomedia/app", pub)
	}
	arm := amis("run-4", "amazon-ebs.arm", "us-east-1")
	arm.Build.Architecture = "arm64"
	arm.Build.Metadata = registry.Metadata{"flavour": "arm"}
	w.publish(ctx, "cargomedia/app", arm)

	for ref, number := range map[string]int64{
		"latest": 4, "1": 1, "2.0.0": 3, "~> 1.2": 4, "~> 1.2.0": 4, ">= 1.0, < 1.2": 1, "run-2": 2, "fingerprint:run-3": 3,
	} {
		t.Run("by "+ref, func(t *testing.T) {
			r, err := w.Resolve(ctx, "cargomedia/app", ref, registry.Question{Type: "aws.ami", Region: "eu-west-1"})
			if err != nil || r.Number != number || r.Ref != ref {
				t.Errorf("got %+v, %v; want number %d", r, err, number)
			}
			if id, err := r.Bare(); err != nil || id != r.AMIs["eu-west-1"] && id != r.Images[0].ID {
				t.Errorf("bare id %q, %v", id, err)
			}
		})
	}
	t.Run("a region that the version lacks lists those that it has", func(t *testing.T) {
		_, err := w.Resolve(ctx, "cargomedia/app", "1", registry.Question{Region: "ap-south-1"})
		wantError(t, err, registry.NotFound, "eu-west-1, us-east-1")
		if e, _ := errors.AsType[*registry.Error](err); !slices.Equal(e.Choices, []string{"eu-west-1", "us-east-1"}) {
			t.Errorf("choices %v", e.Choices)
		}
	})
	t.Run("two builds that fit are an error that lists them", func(t *testing.T) {
		_, err := w.Resolve(ctx, "cargomedia/app", "latest", registry.Question{Region: "us-east-1"})
		wantError(t, err, registry.Conflict, "amazon-ebs.app", "architecture x86_64", "amazon-ebs.arm", "architecture arm64")
	})
	for name, q := range map[string]registry.Question{
		"architecture": {Region: "us-east-1", Architecture: "arm64"},
		"component":    {Region: "us-east-1", Component: "amazon-ebs.arm"},
		"metadata":     {Region: "us-east-1", Metadata: registry.Metadata{"flavour": "arm"}},
	} {
		t.Run(name+" means one of several", func(t *testing.T) {
			if r, err := w.Resolve(ctx, "cargomedia/app", "latest", q); err != nil || r.Component != "amazon-ebs.arm" {
				t.Errorf("got %+v, %v", r, err)
			}
		})
	}
	t.Run("a region in metadata fits each region of the image", func(t *testing.T) {
		if r, err := w.Resolve(ctx, "cargomedia/app", "4", registry.Question{Metadata: registry.Metadata{"region": "eu-west-1"}}); err != nil || r.Component != "amazon-ebs.app" {
			t.Errorf("got %+v, %v", r, err)
		}
	})
	t.Run("several regions have no bare id", func(t *testing.T) {
		r, err := w.Resolve(ctx, "cargomedia/app", "1", registry.Question{})
		if err != nil || r.ID != "" || len(r.AMIs) != 2 {
			t.Fatalf("got %+v, %v", r, err)
		}
		_, err = r.Bare()
		wantError(t, err, registry.Conflict, "eu-west-1, us-east-1")
	})
	for name, c := range map[string]struct {
		artifact, ref string
		q             registry.Question
		kind          registry.Kind
		words         []string
	}{
		"an unknown artifact":      {"cargomedia/none", "latest", registry.Question{}, registry.NotFound, []string{"cargomedia/none does not exist"}},
		"an unknown number":        {"cargomedia/app", "99", registry.Question{}, registry.NotFound, []string{"no version 99", "the latest is 1.2.5 (number 4)"}},
		"an unknown channel":       {"cargomedia/app", "prod", registry.Question{}, registry.NotFound, []string{`"prod"`}},
		"a constraint that is far": {"cargomedia/app", "~> 7.0", registry.Question{}, registry.NotFound, []string{"~> 7.0", "1.2.5"}},
		"a type that it lacks":     {"cargomedia/app", "latest", registry.Question{Type: "vagrant.box"}, registry.NotFound, []string{"vagrant.box", "amazon.image"}},
		"an unknown type and ref":  {"cargomedia/app", "1.2", registry.Question{Type: "ami"}, registry.Invalid, []string{"ref:", "type:"}},
	} {
		t.Run(name+" is an error that helps", func(t *testing.T) {
			_, err := w.Resolve(ctx, c.artifact, c.ref, c.q)
			wantError(t, err, c.kind, c.words...)
		})
	}
}

func TestLatestIsKeptByType(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	w.publish(ctx, "cargomedia/app", amis("run-1", "amazon-ebs.app", "us-east-1"))
	box := w.upload(ctx, "cargomedia/app", "box")
	w.publish(ctx, "cargomedia/app", registry.Publication{Fingerprint: "run-2", Build: registry.Build{
		Component: "v.x", Type: registry.VagrantBox, Provider: "libvirt", Files: []registry.File{box},
	}})
	for typ, number := range map[string]int64{"aws.ami": 1, "vagrant.box": 2, "": 2} {
		if r, err := w.Resolve(ctx, "cargomedia/app", "latest", registry.Question{Type: typ}); err != nil || r.Number != number {
			t.Errorf("latest of type %q: %+v, %v; want number %d", typ, r, err, number)
		}
	}
	a, err := w.Artifact(ctx, "cargomedia/app")
	if err != nil || !slices.Equal(a.Types, []registry.Type{registry.AmazonImage, registry.VagrantBox}) || a.Latest.Number != 2 {
		t.Errorf("artifact %+v, %v", a, err)
	}
}

func TestRevoke(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	for i := range 3 {
		w.publish(ctx, "cargomedia/app", amis(fmt.Sprintf("run-%d", i+1), "a.x", "us-east-1"))
	}
	latest := func() int64 {
		t.Helper()
		r, err := w.Resolve(ctx, "cargomedia/app", "latest", registry.Question{Type: "aws.ami"})
		if err != nil {
			t.Fatal(err)
		}
		return r.Number
	}
	if _, err := w.SetChannel(ctx, "cargomedia/app", "production", registry.ChannelChange{Ref: "3"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Revoke(ctx, "cargomedia/app", "3", registry.RevokeRequest{Reason: "CVE-2026-1"}); err != nil {
		t.Fatal(err)
	}
	if got := latest(); got != 2 {
		t.Errorf("latest is %d after a revocation, want 2", got)
	}
	for _, ref := range []string{"3", "production"} {
		if r, err := w.Resolve(ctx, "cargomedia/app", ref, registry.Question{}); err != nil || !r.Revoked || r.Revocation.Reason != "CVE-2026-1" {
			t.Errorf("%s: %+v, %v; want it with its revocation", ref, r, err)
		}
	}
	later := w.clock.Add(time.Hour)
	if _, err := w.Revoke(ctx, "cargomedia/app", "2", registry.RevokeRequest{At: &later, Reason: "end of life"}); err != nil {
		t.Fatal(err)
	}
	if got := latest(); got != 2 {
		t.Errorf("latest is %d before the time of a revocation, want 2", got)
	}
	if r, err := w.Resolve(ctx, "cargomedia/app", "2", registry.Question{}); err != nil || r.Revoked || r.Revocation == nil {
		t.Errorf("before the time of a revocation: %+v, %v", r, err)
	}
	w.clock = later
	if got := latest(); got != 1 {
		t.Errorf("latest is %d at the time of a revocation, want 1", got)
	}
	if _, err := w.Restore(ctx, "cargomedia/app", "3"); err != nil {
		t.Fatal(err)
	}
	if got := latest(); got != 3 {
		t.Errorf("latest is %d after a restoration, want 3", got)
	}
	_, err := w.Revoke(ctx, "cargomedia/app", "latest", registry.RevokeRequest{Reason: "x"})
	wantError(t, err, registry.Invalid, "ref:", "number 3")
	_, err = w.Revoke(ctx, "cargomedia/app", "production", registry.RevokeRequest{Reason: "x"})
	wantError(t, err, registry.Invalid, "ref:", "number 3")
	_, err = w.Revoke(ctx, "cargomedia/app", "1", registry.RevokeRequest{Reason: "  "})
	wantError(t, err, registry.Invalid, "reason")
	_, err = w.SetChannel(ctx, "cargomedia/app", "production", registry.ChannelChange{Ref: "2"})
	wantError(t, err, registry.Conflict, "revoked", "end of life")
}

func TestCatalogsFollowARevocationWhoseTimeHasCome(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	w.publish(ctx, "cargomedia/app", amis("run-1", "a.x", "us-east-1"))
	pub := amis("run-2", "a.x", "us-east-1")
	pub.Build.Type = "qemu.image"
	w.publish(ctx, "cargomedia/app", pub)
	w.publish(ctx, "cargomedia/gone", amis("run-1", "a.x", "us-east-1"))
	at := w.clock.Add(time.Hour)
	for name, ref := range map[string]string{"cargomedia/app": "2", "cargomedia/gone": "1"} {
		if _, err := w.Revoke(ctx, name, ref, registry.RevokeRequest{At: &at, Reason: "end of life"}); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := w.RefreshLatest(t.Context()); err != nil || n != 0 {
		t.Errorf("before the time: %d refreshed, %v", n, err)
	}
	w.clock = at
	if n, err := w.RefreshLatest(t.Context()); err != nil || n != 2 {
		t.Errorf("at the time: %d refreshed, %v", n, err)
	}
	a, err := w.Artifact(ctx, "cargomedia/app")
	if err != nil || a.Latest.Number != 1 || !slices.Equal(a.Types, []registry.Type{registry.AmazonImage}) {
		t.Errorf("got %+v, %v", a, err)
	}
	if a, err = w.Artifact(ctx, "cargomedia/gone"); err != nil || a.Latest != nil {
		t.Errorf("got %+v, %v", a, err)
	}
	if n, err := w.RefreshLatest(t.Context()); err != nil || n != 0 {
		t.Errorf("once more: %d refreshed, %v", n, err)
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

func TestProviderNarrowsImages(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	w.publish(ctx, "cargomedia/app", registry.Publication{Fingerprint: "run", Build: registry.Build{Component: "a.x", Type: "custom.image", Images: []registry.Image{
		{Provider: "gce", Region: "us", ID: "gce-image"}, {Provider: "azure", Region: "eu", ID: "azure-image"}, {Provider: "azure", Region: "us", ID: "azure-us"},
	}}})
	_, err := w.Resolve(ctx, "cargomedia/app", "1", registry.Question{Provider: "gce", Region: "eu"})
	wantError(t, err, registry.NotFound, "it has: us")
	for want, q := range map[string]registry.Question{
		"gce-image": {Provider: "gce"}, "azure-us": {Provider: "azure", Region: "us"}, "azure-image": {Region: "eu"},
	} {
		if r, err := w.Resolve(ctx, "cargomedia/app", "1", q); err != nil || r.ID != want {
			t.Errorf("%+v: got %q, %v", q, r.ID, err)
		}
	}
	r, err := w.Resolve(ctx, "cargomedia/app", "1", registry.Question{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Bare()
	wantError(t, err, registry.Conflict, "gce/us/gce-image", "azure/us/azure-us")
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

func TestChannels(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	for i := range 2 {
		w.publish(ctx, "cargomedia/app", amis(fmt.Sprintf("run-%d", i+1), "a.x", "us-east-1"))
	}
	set := func(change registry.ChannelChange) registry.ChannelHistory {
		t.Helper()
		h, err := w.SetChannel(ctx, "cargomedia/app", "production", change)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	set(registry.ChannelChange{Ref: "0.1.0"})
	_, err := w.SetChannel(ctx, "cargomedia/app", "production", registry.ChannelChange{Rollback: true})
	wantError(t, err, registry.Conflict, "no earlier version")
	set(registry.ChannelChange{Ref: "latest", Reason: "release"})
	if h := set(registry.ChannelChange{Ref: "2"}); len(h.Moves) != 2 || h.Moves[0].Reason != "release" || h.Moves[0].From.Number != 1 || h.Moves[1].From != nil {
		t.Errorf("setting what is set changed the history: %+v", h)
	}
	if h := set(registry.ChannelChange{Rollback: true}); h.Number != 1 || len(h.Moves) != 3 {
		t.Errorf("after a rollback: %+v", h)
	}
	_, err = w.SetChannel(ctx, "cargomedia/app", "latest", registry.ChannelChange{Ref: "", Rollback: false})
	wantError(t, err, registry.Invalid, "channel:", "ref:")
	_, err = w.SetChannel(ctx, "cargomedia/none", "production", registry.ChannelChange{Ref: "1"})
	wantError(t, err, registry.NotFound)
	_, err = w.Channel(ctx, "cargomedia/app", "prod")
	wantError(t, err, registry.NotFound, "its channels are: production")
}

func TestConcurrentPublishesNeverShareANumber(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
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
	w, ctx := newWorld(t), admin(t)
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

func TestFiles(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	mine := as(t, registry.RolePublish, "mine/*")
	secret := w.upload(ctx, "theirs/app", "secret bytes")
	archive := func(fingerprint string, f registry.File) registry.Publication {
		return registry.Publication{Fingerprint: fingerprint, Build: registry.Build{Component: "file.x", Type: "archive", Files: []registry.File{f}}}
	}
	w.publish(ctx, "theirs/app", archive("run", secret))

	t.Run("bytes that were not uploaded are refused", func(t *testing.T) {
		_, err := w.Publish(mine, "mine/app", archive("run", registry.File{Name: "x", Size: 3, SHA256: registry.Digest(strings.Repeat("0", 64))}))
		wantError(t, err, registry.Invalid, "build.files[0].sha256", "upload them first")
		_, err = w.Artifact(mine, "mine/app")
		wantError(t, err, registry.NotFound)
	})
	t.Run("a wrong size is refused", func(t *testing.T) {
		wrong := secret
		wrong.Size++
		_, err := w.Publish(ctx, "theirs/app", archive("run-2", wrong))
		wantError(t, err, registry.Invalid, "build.files[0].size")
	})
	t.Run("a digest alone does not give access to somebody else's bytes", func(t *testing.T) {
		_, err := w.Publish(mine, "mine/app", archive("run", secret))
		wantError(t, err, registry.Invalid, "not in the registry")
		_, err = w.Blob(mine, string(secret.SHA256))
		wantError(t, err, registry.NotFound)
		status, err := w.BeginUpload(mine, registry.UploadRequest{Artifact: "mine/app", Size: secret.Size, SHA256: string(secret.SHA256)})
		if err != nil || status.Done {
			t.Fatalf("the registry says that it has the bytes: %+v, %v", status, err)
		}
	})
	t.Run("who has the bytes can use them, and they are kept once", func(t *testing.T) {
		f := w.upload(mine, "mine/app", "secret bytes")
		w.publish(mine, "mine/app", archive("run", f))
		b, err := w.Blob(mine, "sha256:"+string(f.SHA256))
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		if content, err := io.ReadAll(b); err != nil || string(content) != "secret bytes" {
			t.Errorf("got %q, %v", content, err)
		}
		again, err := w.BeginUpload(mine, registry.UploadRequest{Artifact: "mine/other", Size: f.Size, SHA256: string(f.SHA256)})
		if err != nil || !again.Done {
			t.Errorf("bytes that the caller may read are to be sent again: %+v, %v", again, err)
		}
	})
	t.Run("an upload makes no artifact", func(t *testing.T) {
		w.upload(mine, "mine/aborted", "never published")
		_, err := w.Artifact(mine, "mine/aborted")
		wantError(t, err, registry.NotFound)
	})
}

func TestUploads(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	content := []byte(strings.Repeat("0123456789", 1000))
	sum := sha256.Sum256(content)
	begin := func(size int64, digest string) registry.UploadStatus {
		t.Helper()
		status, err := w.BeginUpload(ctx, registry.UploadRequest{Artifact: "cargomedia/app", Size: size, SHA256: digest})
		if err != nil {
			t.Fatal(err)
		}
		return status
	}
	t.Run("wrong bytes are refused with both digests and forgotten", func(t *testing.T) {
		wrong := strings.Repeat("0", 64)
		status := begin(int64(len(content)), wrong)
		if _, err := w.AppendUpload(ctx, status.ID, 0, bytes.NewReader(content)); err != nil {
			t.Fatal(err)
		}
		_, err := w.CommitUpload(ctx, status.ID)
		wantError(t, err, registry.Invalid, wrong, hex.EncodeToString(sum[:]))
		_, err = w.Upload(ctx, status.ID)
		wantError(t, err, registry.NotFound)
		_, err = w.Blob(ctx, wrong)
		wantError(t, err, registry.NotFound)
	})
	t.Run("too few bytes are refused", func(t *testing.T) {
		status := begin(int64(len(content)), hex.EncodeToString(sum[:]))
		if _, err := w.AppendUpload(ctx, status.ID, 0, bytes.NewReader(content[:10])); err != nil {
			t.Fatal(err)
		}
		_, err := w.CommitUpload(ctx, status.ID)
		wantError(t, err, registry.Invalid, "10000")
	})
	t.Run("too many bytes are refused", func(t *testing.T) {
		status := begin(10, hex.EncodeToString(sum[:]))
		_, err := w.AppendUpload(ctx, status.ID, 0, bytes.NewReader(content))
		wantError(t, err, registry.TooLarge)
	})
	t.Run("an upload goes on where it stopped", func(t *testing.T) {
		status := begin(int64(len(content)), hex.EncodeToString(sum[:]))
		cut := io.MultiReader(bytes.NewReader(content[:4000]), failingReader{})
		if _, err := w.AppendUpload(ctx, status.ID, 0, cut); err == nil {
			t.Fatal("a cut connection went unnoticed")
		}
		status, err := w.Upload(ctx, status.ID)
		if err != nil || status.Offset != 4000 {
			t.Fatalf("offset %d, %v", status.Offset, err)
		}
		_, err = w.AppendUpload(ctx, status.ID, 0, bytes.NewReader(content))
		wantError(t, err, registry.Conflict)
		if _, err := w.AppendUpload(ctx, status.ID, 4000, bytes.NewReader(content[4000:])); err != nil {
			t.Fatal(err)
		}
		if status, err = w.CommitUpload(ctx, status.ID); err != nil || !status.Done {
			t.Errorf("got %+v, %v", status, err)
		}
	})
	t.Run("somebody else's upload is not there", func(t *testing.T) {
		status := begin(1, strings.Repeat("1", 64))
		stranger := as(t, registry.RolePublish, "other/*")
		_, err := w.Upload(stranger, status.ID)
		wantError(t, err, registry.NotFound)
		_, err = w.AppendUpload(stranger, status.ID, 0, strings.NewReader("x"))
		wantError(t, err, registry.NotFound)
		wantError(t, w.AbortUpload(stranger, status.ID), registry.NotFound)
		wantError(t, w.AbortUpload(t.Context(), status.ID), registry.Unauthorized)
	})
	t.Run("an old upload expires", func(t *testing.T) {
		status := begin(1, strings.Repeat("2", 64))
		w.clock = w.clock.Add(registry.UploadTTL + time.Second)
		if n, err := w.ExpireUploads(ctx); err != nil || n == 0 {
			t.Errorf("%d expired, %v", n, err)
		}
		_, err := w.Upload(ctx, status.ID)
		wantError(t, err, registry.NotFound)
	})
	t.Run("all mistakes of a request are named", func(t *testing.T) {
		_, err := w.BeginUpload(ctx, registry.UploadRequest{Artifact: "x", Size: -1, SHA256: "y"})
		wantError(t, err, registry.Invalid, "artifact:", "size:", "sha256:")
	})
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errors.New("connection reset") }
