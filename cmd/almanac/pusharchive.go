package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/internal/archive"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

const (
	// applicationComponent is what makes the archive of an application.
	applicationComponent = "application"
	// ignoreFile is where an application says what of it is not packed.
	ignoreFile = ".almanacignore"
)

// archiveRecord is a directory that is to be an archive of a version.
type archiveRecord struct {
	artifact, dir string
	ignore        archive.Ignore
	// version is a semantic version; without one the registry chooses it.
	version string
	// run is the fingerprint that the environment gives; empty if it gives none.
	run      string
	channels []string
	build    registry.Build
	// path is the packed archive, and file says what it is.
	path string
	file registry.File
}

// pushDirectory records a directory as an archive.
func (c *pushCmd) pushDirectory(a *app) error {
	r, err := c.readDirectory(a)
	if err != nil {
		return err
	}
	to, err := a.transferClient()
	if err != nil {
		return err
	}
	if err := mayPublish(a.ctx, to, c.Artifact, c.Channel); err != nil {
		return err
	}
	if !c.NoProvenance {
		r.build.Provenance = a.provenanceOf(c.Path)
	}
	packed, err := os.CreateTemp("", "almanac-*.tar.gz")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(packed.Name()) }() // a temporary file
	if err := errors.Join(r.pack(a, packed), packed.Close()); err != nil {
		return err
	}
	receipt, err := r.record(a, to)
	switch {
	case registry.KindOf(err) == registry.Conflict && r.run != "" && r.version == "":
		return hinted(err, "another $ALMANAC_FINGERPRINT or $PACKER_RUN_UUID, or none")
	case err != nil:
		return c.hint(err)
	}
	return a.show(receipt, func() {
		if receipt.Present {
			a.printf("Nothing was sent: version %s has these files already.\n", clean(versionText(receipt.VersionID)))
		}
		a.showReceipt(receipt.Receipt)
		a.showHeld(receipt)
	})
}

// readDirectory reports all that is wrong with the arguments, before anything is packed.
func (c *pushCmd) readDirectory(a *app) (archiveRecord, error) {
	var p problems
	version := c.readCommon(&p)
	for _, flag := range []struct {
		name  string
		given bool
	}{{"--provider", c.Provider != ""}, {"--architecture", c.Architecture != ""}, {"--default-architecture", c.Default}} {
		if flag.given {
			p.add(flag.name, "is for boxes, and %s is a directory", c.Path)
		}
	}
	for _, pattern := range c.Exclude {
		p.check("--exclude", archive.CheckPattern(pattern))
	}
	r := archiveRecord{
		artifact: c.Artifact, dir: c.Path, version: version, channels: c.Channel,
		ignore: archive.Ignore{File: ignoreFile, Patterns: c.Exclude},
		run:    cmp.Or(a.getenv("ALMANAC_FINGERPRINT"), a.getenv("PACKER_RUN_UUID")),
		build:  registry.Build{Component: applicationComponent, Type: registry.Archive, Metadata: c.Metadata},
		file:   registry.File{Name: registry.ArtifactName(c.Artifact).Name() + ".tar.gz"},
	}
	if len(p.fields) == 0 {
		p.check("ARTIFACT", registry.CheckFileName(r.file.Name))
	}
	if r.run != "" {
		p.check("ALMANAC_FINGERPRINT, PACKER_RUN_UUID", registry.CheckFingerprint(r.run))
	}
	if err := p.err("push"); err != nil {
		return r, err
	}
	c.noteVersion(a, version)
	if onlyBoxes(c.Path) {
		a.note("%s has only boxes; almanac vagrant import records each as one.", c.Path)
	}
	return r, nil
}

// onlyBoxes says whether a directory has boxes and nothing else.
func onlyBoxes(dir string) bool {
	entries, err := os.ReadDir(dir)
	for _, entry := range entries {
		if entry.IsDir() || filepath.Ext(entry.Name()) != ".box" {
			return false
		}
	}
	return err == nil && len(entries) > 0
}

// pack writes the archive, and remembers what it is.
func (r *archiveRecord) pack(a *app, to *os.File) error {
	sum, size := sha256.New(), &countedBytes{}
	files, err := archive.PackWithout(a.ctx, io.MultiWriter(to, sum, size), r.dir, r.ignore)
	switch {
	case a.ctx.Err() != nil:
		return a.ctx.Err()
	case err != nil:
		return hinted(registry.Errorf(registry.Invalid, "%s cannot be packed: %s", r.dir, packProblem(err)), "almanac push --help, for how to exclude what does not belong to it")
	case files == 0:
		return hinted(registry.Errorf(registry.Invalid, "%s has no file to pack, or only such that are excluded; nothing was sent", r.dir), "other patterns in "+ignoreFile+" and --exclude")
	}
	r.path, r.file.Size, r.file.SHA256 = to.Name(), size.n, registry.Digest(hex.EncodeToString(sum.Sum(nil)))
	a.note("Packed %s: %s, %s.", r.file.Name, counted(files, "file"), byteSize(size.n))
	return nil
}

// packProblem is what went wrong, without the system call.
func packProblem(err error) string {
	if path, ok := errors.AsType[*os.PathError](err); ok {
		return path.Path + ": " + path.Err.Error()
	}
	return strings.Join(strings.Split(err.Error(), "\n"), "; ")
}

// record uploads the archive and publishes it. A version that has it already gets the same publication again.
func (r archiveRecord) record(a *app, to *client.Client) (boxReceipt, error) {
	// In this order, so that a push at the same time is either found or comes to the same fingerprint.
	fingerprint, err := r.fingerprint(a.ctx, to)
	if err != nil {
		return boxReceipt{}, err
	}
	v, err := r.find(a.ctx, to)
	if err != nil {
		return boxReceipt{}, err
	}
	pub := registry.Publication{Fingerprint: fingerprint, Version: r.version, Channels: r.channels, Build: r.build}
	if v.Number > 0 {
		pub.Fingerprint, pub.Version = v.Fingerprint, v.Version
	}
	there := applicationOf(v)
	if there != nil {
		if !r.is(*there) {
			return boxReceipt{}, registry.Errorf(registry.Conflict, "version %s of %s has an application with other files; this archive has the sha256 %s, and what is recorded does not change",
				versionText(v.VersionID), r.artifact, r.file.SHA256)
		}
		pub.Build = *there
		if len(r.build.Metadata) > 0 {
			pub.Build.Metadata = r.build.Metadata
		}
	} else {
		if err := to.UploadExactly(a.ctx, r.artifact, r.path, r.file, a.track()); err != nil {
			return boxReceipt{}, err
		}
		pub.Build.Files = []registry.File{r.file}
	}
	receipt, err := to.Publish(a.ctx, r.artifact, pub)
	return boxReceipt{Receipt: receipt, Present: there != nil, Held: v.Held}, err
}

// find returns the version to which the archive belongs: the one that was asked for, the one of the run or,
// without both, the latest if nothing is new in this one. The zero version stands for one that is not there yet.
func (r archiveRecord) find(ctx context.Context, from *client.Client) (registry.Version, error) {
	ref := r.version
	if ref == "" && r.run != "" {
		ref = "fingerprint:" + r.run
	}
	if ref == "" {
		latest, err := from.Resolve(ctx, r.artifact, registry.Latest, registry.Question{Type: string(registry.Archive), Component: applicationComponent})
		if err != nil {
			return registry.Version{}, unlessMissing(err)
		}
		v, err := from.Version(ctx, r.artifact, strconv.FormatInt(latest.Number, 10))
		if there := applicationOf(v); err != nil || there == nil || !r.is(*there) || !r.describedBy(*there) {
			return registry.Version{}, err
		}
		return v, nil
	}
	v, err := from.Version(ctx, r.artifact, ref)
	return v, unlessMissing(err)
}

func unlessMissing(err error) error {
	if registry.KindOf(err) == registry.NotFound {
		return nil
	}
	return err
}

// fingerprint names the run of a version that is not there yet. Without a name from elsewhere it says what is
// pushed on top of which version, whatever became of that one: a command that is repeated because its answer was
// lost, or that runs twice at the same time, comes to the same version unless another one was made meanwhile, and
// files that come back after others make a version of their own.
func (r archiveRecord) fingerprint(ctx context.Context, from *client.Client) (string, error) {
	switch {
	case r.run != "":
		return r.run, nil
	case r.version != "":
		return "application:" + r.version, nil
	}
	var highest int64
	page, err := from.Versions(ctx, r.artifact, registry.VersionFilter{Limit: 1})
	if len(page.Versions) > 0 {
		highest = page.Versions[0].Number
	}
	return fmt.Sprintf("application:%d:%.16s", highest+1, r.file.SHA256), unlessMissing(err)
}

func (r archiveRecord) is(b registry.Build) bool {
	return len(b.Files) == 1 && b.Files[0].SHA256 == r.file.SHA256
}

// describedBy says whether a build has the metadata that was given, if any was.
func (r archiveRecord) describedBy(b registry.Build) bool {
	return len(r.build.Metadata) == 0 || maps.Equal(r.build.Metadata, b.Metadata)
}

// applicationOf returns the application of a version, if it has one.
func applicationOf(v registry.Version) *registry.Build {
	for i, b := range v.Builds {
		if b.Component == applicationComponent {
			return &v.Builds[i]
		}
	}
	return nil
}
