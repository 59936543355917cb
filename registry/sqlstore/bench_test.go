package sqlstore_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// BenchmarkPublish is what the service writes for one build of a new version.
func BenchmarkPublish(b *testing.B) {
	for _, engine := range engines {
		for _, regions := range []int{1, 20} {
			b.Run(fmt.Sprintf("%s/%dregions", engine.name, regions), func(b *testing.B) {
				store := mustOpen(b, engine.dsn(b))
				for b.Loop() {
					publish(b, store, "bench/app", regions)
				}
			})
		}
	}
}

// BenchmarkVersion is the lookup of latest, after 100 versions.
func BenchmarkVersion(b *testing.B) {
	for _, engine := range engines {
		for _, regions := range []int{1, 20} {
			b.Run(fmt.Sprintf("%s/%dregions", engine.name, regions), func(b *testing.B) {
				store := mustOpen(b, engine.dsn(b))
				for range 100 {
					publish(b, store, "bench/app", regions)
				}
				ctx, cancel := context.WithCancel(b.Context()) // as that of a request can be
				defer cancel()
				for b.Loop() {
					v, err := store.Version(ctx, "bench/app", registry.Selector{Latest: true, Type: registry.AmazonImage})
					if err != nil || len(v.Builds[0].Images) != regions {
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

func publish(b *testing.B, store registry.Store, name registry.ArtifactName, regions int) {
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
			build.Images = append(build.Images, registry.Image{Provider: "aws", Region: fmt.Sprintf("region-%d", r), ID: fmt.Sprintf("ami-%d-%d", number, r)})
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
