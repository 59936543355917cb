package sqlstore_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// imageSets are the images of the builds that are measured.
var imageSets = []struct {
	name     string
	regions  int
	verified bool
}{{"1regions", 1, false}, {"20regions", 20, false}, {"20verified", 20, true}}

// BenchmarkPublish is what the service writes for one build of a new version.
func BenchmarkPublish(b *testing.B) {
	for _, engine := range engines {
		for _, images := range imageSets {
			b.Run(engine.name+"/"+images.name, func(b *testing.B) {
				store := mustOpen(b, engine.dsn(b))
				for b.Loop() {
					publish(b, store, "bench/app", images.regions, images.verified)
				}
			})
		}
	}
}

// BenchmarkVersion is the lookup of latest, after 100 versions.
func BenchmarkVersion(b *testing.B) {
	for _, engine := range engines {
		for _, images := range imageSets {
			b.Run(engine.name+"/"+images.name, func(b *testing.B) {
				store := mustOpen(b, engine.dsn(b))
				for range 100 {
					publish(b, store, "bench/app", images.regions, images.verified)
				}
				ctx, cancel := context.WithCancel(b.Context()) // as that of a request can be
				defer cancel()
				for b.Loop() {
					v, err := store.Version(ctx, "bench/app", registry.Selector{Latest: true, Type: registry.AmazonImage})
					if err != nil || len(v.Builds[0].Images) != images.regions {
						b.Fatal(v, err)
					}
				}
			})
		}
	}
}

func BenchmarkTokenByDigest(b *testing.B) {
	for _, engine := range engines {
		b.Run(engine.name, func(b *testing.B) {
			store := mustOpen(b, engine.dsn(b))
			digest := registry.SecretDigest("secret")
			if err := store.Update(b.Context(), func(tx registry.Tx) error {
				return tx.PutToken(b.Context(), registry.Token{ID: "t", Digest: digest, Scopes: []registry.Scope{registry.ScopeAll}})
			}); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if _, err := store.TokenByDigest(b.Context(), digest); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// attributes are those that EC2 gives for an AMI.
var attributes = registry.Metadata{
	"name": "app 2026-11-22", "architecture": "x86_64", "root_device_type": "ebs", "virtualization": "hvm", "ena": "true",
	"boot_mode": "uefi-preferred", "owner_id": "123456789012", "creation_date": "2026-11-22T12:00:00Z", "snapshot_ids": "snap-0123456789abcdef0",
}

func publish(b *testing.B, store registry.Store, name registry.ArtifactName, regions int, verified bool) {
	b.Helper()
	ctx, now := b.Context(), time.Now()
	err := store.Update(ctx, func(tx registry.Tx) error {
		c, err := tx.LockArtifact(ctx, name, true, now)
		if err != nil {
			return err
		}
		number := c.LastNumber + 1
		v := registry.Version{
			Artifact: name, VersionID: registry.VersionID{Number: number, Version: fmt.Sprintf("0.%d.0", number)},
			Fingerprint: fmt.Sprint(number), Status: registry.StatusComplete, Metadata: registry.Metadata{"commit": "abc"}, CreatedAt: now, Completed: &now,
		}
		if err := tx.InsertVersion(ctx, v, v.VersionID.Version); err != nil {
			return err
		}
		build := registry.Build{Component: "amazon-ebs.app", Type: registry.AmazonImage, Metadata: registry.Metadata{"os": "linux"}, CreatedAt: now}
		for r := range regions {
			image := registry.Image{Provider: "aws", Region: fmt.Sprintf("region-%d", r), ID: fmt.Sprintf("ami-%d-%d", number, r)}
			if verified {
				image.Verification = &registry.Verification{Status: registry.ImageAvailable, At: now, Attributes: attributes}
			}
			build.Images = append(build.Images, image)
		}
		if err := tx.InsertBuild(ctx, name, number, build); err != nil {
			return err
		}
		for _, typ := range []registry.Type{"", registry.AmazonImage} {
			if err := tx.SetLatest(ctx, name, typ, number); err != nil {
				return err
			}
		}
		return tx.AppendEvent(ctx, registry.Event{At: now, Action: registry.ActionBuildPublish, Artifact: name, Number: number})
	})
	if err != nil {
		b.Fatal(err)
	}
}
