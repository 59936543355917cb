package main

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/box"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

// boxName is what every box is called that is recorded as such, whatever its file was called: its bytes are its content, and
// the name of a file is not.
const boxName = "vagrant.box"

// checksumTypes are those that catalogs of Vagrant have.
var checksumTypes = map[string]func() hash.Hash{
	"md5": md5.New, "sha1": sha1.New, "sha256": sha256.New, "sha384": sha512.New384, "sha512": sha512.New,
}

// boxContent is what was found in the file of a box.
type boxContent struct {
	box.Info
	registry.File
	// checksum is of the type that was asked for; empty if none was.
	checksum string
}

// readBox reads a box to its end, once, and makes sure that it is a whole one.
func (a *app) readBox(path, checksumType string) (boxContent, error) {
	stat, err := os.Stat(path)
	if err != nil {
		return boxContent{}, err
	}
	if !stat.Mode().IsRegular() {
		return boxContent{}, fmt.Errorf("%s is not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return boxContent{}, err
	}
	var content io.ReadCloser = f
	if track := a.track(); track != nil {
		content = track("checking "+filepath.Base(path), 0, stat.Size(), f)
	}
	defer func() { _ = content.Close() }() // it was only read
	sum := sha256.New()
	all := io.Writer(sum)
	var other hash.Hash
	if checksumType != "" {
		other = checksumTypes[checksumType]()
		all = io.MultiWriter(sum, other)
	}
	counted := &counting{Reader: io.TeeReader(&untilDone{a.ctx, content}, all)}
	found := boxContent{File: registry.File{Name: boxName}}
	if found.Info, err = box.Verify(counted); err == nil {
		_, err = io.Copy(io.Discard, counted)
	}
	switch {
	case a.ctx.Err() != nil:
		return boxContent{}, a.ctx.Err()
	case err != nil:
		return boxContent{}, err
	}
	found.Size, found.SHA256 = counted.n, registry.Digest(hex.EncodeToString(sum.Sum(nil)))
	if other != nil {
		found.checksum = hex.EncodeToString(other.Sum(nil))
	}
	return found, nil
}

// counting counts what is read.
type counting struct {
	io.Reader
	n int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += int64(n)
	return n, err
}

// untilDone ends with a context.
type untilDone struct {
	ctx context.Context
	io.Reader
}

func (r *untilDone) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// boxRecord is a box that is to be a build of a version.
type boxRecord struct {
	artifact string
	// version is a semantic version; without one the registry chooses it.
	version string
	// fingerprint is for a version that is not there yet; one that is has its own.
	fingerprint string
	channels    []string
	// build has provider and architecture, and what else is known of it.
	build registry.Build
	path  string
	boxContent
}

// boxReceipt says what came of it.
type boxReceipt struct {
	registry.Receipt
	// Present is true for a box that was recorded before.
	Present bool `json:"present"`
	// Held is true if the version is not offered before it is released.
	Held bool `json:"held,omitempty"`
}

// find returns the version to which the box belongs, if it is there.
func (r boxRecord) find(ctx context.Context, from *client.Client) (v registry.Version, found bool, err error) {
	ref := r.version
	if ref == "" {
		ref = "fingerprint:" + r.fingerprint
	}
	v, err = from.Version(ctx, r.artifact, ref)
	if registry.KindOf(err) == registry.NotFound {
		return registry.Version{}, false, nil
	}
	return v, err == nil, err
}

// boxOf returns the box that Vagrant finds in a version for a provider and an architecture.
func boxOf(v registry.Version, provider, architecture string) *registry.Build {
	var first *registry.Build
	for i, b := range v.Builds {
		if b.Type != registry.VagrantBox || b.Provider != provider || box.Architecture(b.Architecture) != box.Architecture(architecture) {
			continue
		}
		if first == nil || b.CreatedAt.Before(first.CreatedAt) {
			first = &v.Builds[i]
		}
	}
	return first
}

// record uploads a box and publishes it. A version that has the box already gets the same publication again.
func (r boxRecord) record(a *app, to *client.Client) (boxReceipt, error) {
	v, found, err := r.find(a.ctx, to)
	if err != nil {
		return boxReceipt{}, err
	}
	pub := registry.Publication{Fingerprint: r.fingerprint, Version: r.version, Channels: r.channels, Build: r.build}
	if found {
		pub.Fingerprint, pub.Version = v.Fingerprint, v.Version
	}
	pub.Build.Type = registry.VagrantBox
	pub.Build.Component = registry.BoxComponent(r.build.Provider, r.build.Architecture)
	there := boxOf(v, r.build.Provider, r.build.Architecture)
	if there != nil {
		if err := r.compare(v, *there); err != nil {
			return boxReceipt{}, err
		}
		if r.build.Default && !there.Default {
			a.warn("%s is recorded already, and not as the default of its provider; vagrant cloud provider update --default-architecture changes that", boxTarget(r.build.Provider, r.build.Architecture))
		}
		pub.Build = *there
		if len(r.build.Metadata) > 0 {
			pub.Build.Metadata = r.build.Metadata
		}
	} else {
		file, err := to.UploadFile(a.ctx, r.artifact, r.path, boxName, a.track())
		if err != nil {
			return boxReceipt{}, err
		}
		if file != r.File {
			return boxReceipt{}, registry.Errorf(registry.Invalid, "%s changed after it was checked; make sure that nothing writes to it, and begin again", r.path)
		}
		pub.Build.Files = []registry.File{file}
	}
	receipt, err := to.Publish(a.ctx, r.artifact, pub)
	return boxReceipt{Receipt: receipt, Present: there != nil, Held: v.Held}, err
}

// compare holds the box to the one that the version has.
func (r boxRecord) compare(v registry.Version, there registry.Build) error {
	if slices.ContainsFunc(there.Files, func(f registry.File) bool { return f.SHA256 == r.SHA256 }) {
		return nil
	}
	what := "elsewhere"
	if len(there.Files) > 0 {
		what = "with the sha256 " + string(there.Files[0].SHA256)
	}
	return registry.Errorf(registry.Conflict, "version %s of %s has a box for %s, %s, and this one has the sha256 %s; what is recorded does not change",
		versionText(v.VersionID), r.artifact, boxTarget(r.build.Provider, r.build.Architecture), what, r.SHA256)
}

// boxTarget is a provider and an architecture for people.
func boxTarget(provider, architecture string) string {
	if architecture == "" {
		return provider
	}
	return provider + " (" + architecture + ")"
}
