package registry_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

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
