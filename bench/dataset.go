package main

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/blob"
	"github.com/cargomedia/packer-plugin-almanac/registry/sqlstore"
)

// shape is the size of a data set: each artifact has as many versions, each of them one build with an
// image in each region.
type shape struct{ Artifacts, Versions, Regions int }

func (s shape) rows() int { return s.Artifacts * s.Versions * s.Regions }

func (s shape) String() string {
	return fmt.Sprintf("%d artifacts x %d versions x %d regions", s.Artifacts, s.Versions, s.Regions)
}

// regions are those of AWS, as many as a data set can have.
var regions = []string{
	"us-east-1", "us-east-2", "us-west-1", "us-west-2", "ca-central-1", "sa-east-1", "eu-west-1", "eu-west-2", "eu-west-3", "eu-central-1",
	"eu-north-1", "eu-south-1", "ap-south-1", "ap-southeast-1", "ap-southeast-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "me-south-1", "af-south-1",
}

// channel is the one that points to the newest version of each artifact.
const channel = "production"

func artifactName(i int) string { return fmt.Sprintf("bench/app-%04d", i+1) }

// dataset is the data directory of a registry that is filled.
type dataset struct {
	dir   string
	Shape shape
	// Token may read everything.
	Token string
}

//go:embed dataset.go
var thisFile []byte

// dataset returns a data set that an earlier run has left, or fills one. A change of the schema, of
// the shape or of this file makes another, which replaces the one of the same shape.
func (b *bench) dataset(s shape) (dataset, error) {
	key, err := datasetKey(b.root, s)
	if err != nil {
		return dataset{}, err
	}
	kin := filepath.Join(b.work, "data", fmt.Sprintf("%dx%dx%d-", s.Artifacts, s.Versions, s.Regions))
	d := dataset{dir: kin + key, Shape: s}
	description := filepath.Join(d.dir, "bench.json")
	if content, err := os.ReadFile(description); err == nil {
		return d, json.Unmarshal(content, &d)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return dataset{}, err
	}
	// What a run left that was interrupted is begun anew; the description comes last.
	if err := errors.Join(removeAll(kin+"*"), os.MkdirAll(d.dir, 0o700)); err != nil {
		return dataset{}, err
	}
	b.say("filling a registry with %d image rows: %s", s.rows(), s)
	if err := d.fill(b.ctx); err != nil {
		return dataset{}, fmt.Errorf("fill %s: %w", d.dir, err)
	}
	content, err := json.Marshal(d)
	if err != nil {
		return dataset{}, err
	}
	return d, os.WriteFile(description, content, 0o600)
}

func removeAll(pattern string) error {
	names, err := filepath.Glob(pattern)
	for _, name := range names {
		err = errors.Join(err, os.RemoveAll(name))
	}
	return err
}

func datasetKey(root string, s shape) (string, error) {
	files, err := filepath.Glob(filepath.Join(root, "registry", "sqlstore", "migrations", "*.sql"))
	if err != nil || len(files) == 0 {
		return "", errors.Join(err, fmt.Errorf("there is no schema below %s", root))
	}
	h := sha256.New()
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		h.Write(content)
	}
	h.Write(thisFile)
	fmt.Fprint(h, s)
	return hex.EncodeToString(h.Sum(nil)[:8]), nil
}

// fill publishes every version as a publisher would, but all of an artifact in one transaction.
func (d *dataset) fill(ctx context.Context) (err error) {
	store, err := sqlstore.Open(ctx, filepath.Join(d.dir, "almanac.db"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	blobs, err := blob.OpenDisk(d.dir)
	if err != nil {
		return err
	}
	admin := registry.WithPrincipal(ctx, registry.Principal{TokenID: "bench", Name: "bench", Role: registry.RoleAdmin, Scopes: []registry.Scope{registry.ScopeAll}})
	token, err := registry.NewService(store, blobs).CreateToken(admin, registry.TokenRequest{Name: "reader", Role: string(registry.RoleRead), Scopes: []string{"bench/*"}})
	if err != nil {
		return err
	}
	d.Token = token.Secret
	for artifact := range d.Shape.Artifacts {
		if err := store.Update(admin, func(tx registry.Tx) error {
			return d.fillArtifact(admin, registry.NewService(joined{tx}, blobs), artifact)
		}); err != nil {
			return err
		}
	}
	return nil
}

func (d *dataset) fillArtifact(ctx context.Context, service *registry.Service, artifact int) error {
	for version := range d.Shape.Versions {
		pub := publication(fmt.Sprintf("run-%d-%d", artifact, version), regions[:d.Shape.Regions])
		if version == d.Shape.Versions-1 {
			pub.Channels = []string{channel}
		}
		if _, err := service.Publish(ctx, artifactName(artifact), pub); err != nil {
			return err
		}
	}
	return nil
}

// publication is one AMI in some regions, with ids that nobody else has.
func publication(fingerprint string, regions []string) registry.Publication {
	pub := registry.Publication{
		Fingerprint: fingerprint,
		Build: registry.Build{
			Component: "amazon-ebs.app", Type: registry.AmazonImage, Architecture: "x86_64",
			Metadata: registry.Metadata{"os": "debian-12", "commit": "4f2a91c0d3b65e7788aa90bc12de34f056789abc"},
		},
	}
	for _, region := range regions {
		sum := sha256.Sum256([]byte(fingerprint + region))
		pub.Build.Images = append(pub.Build.Images, registry.Image{Provider: "aws", Region: region, ID: "ami-0" + hex.EncodeToString(sum[:8])})
	}
	return pub
}

// joined is a store whose transactions are parts of one that is open: what a service does with it is
// kept or dropped with that one.
type joined struct{ registry.Tx }

// Update runs fn in the transaction that is open. An error of fn must end that one, too.
func (j joined) Update(_ context.Context, fn func(registry.Tx) error) error { return fn(j.Tx) }

// Ping finds nothing wrong: whoever opened the transaction sees what is.
func (joined) Ping(context.Context) error { return nil }

// Close leaves the transaction to whoever opened it.
func (joined) Close() error { return nil }

var _ registry.Store = joined{}
