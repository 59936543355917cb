package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/internal/vagrantcatalog"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/box"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
	"github.com/cargomedia/packer-plugin-almanac/version"
)

// importer brings boxes into the registry.
type importer struct {
	*app
	to   *client.Client
	from *vagrantcatalog.Source
	// work is where downloads are kept.
	work     string
	dryRun   bool
	catalogs []vagrantcatalog.Catalog
	// admin are the artifacts whose description the token may set.
	admin map[string]bool
}

// prepare makes sure, before anything is downloaded, that the token may publish and that there is a place for downloads. A dry run
// needs neither, and tells that the token may not.
func (im *importer) prepare(boxes []importedBox) error {
	im.admin = map[string]bool{}
	for _, b := range boxes {
		if _, asked := im.admin[b.Artifact]; asked || b.Outcome == boxSkipped {
			continue
		}
		access, err := im.to.Access(im.ctx, b.Artifact)
		if err != nil {
			return err
		}
		switch err := mayPublishAs(access, b.Artifact, nil); {
		case err != nil && im.dryRun:
			im.warn("%v", err)
		case err != nil:
			return err
		}
		im.admin[b.Artifact] = access.Admin
	}
	if im.dryRun {
		return nil
	}
	if im.work == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return hinted(fmt.Errorf("no place for downloads: %w", err), "--work DIR")
		}
		im.work = filepath.Join(cache, "almanac", "vagrant")
	}
	return os.MkdirAll(im.work, 0o700)
}

// bringAll brings what is planned. A box that cannot be brought leaves the others alone; the error is one after which
// no other can be.
func (im *importer) bringAll(boxes []importedBox) error {
	for i := range boxes {
		if boxes[i].Outcome == boxSkipped {
			continue
		}
		if err := im.bring(&boxes[i]); err != nil {
			why := "not finished"
			for j := i; j < len(boxes); j++ {
				if boxes[j].Outcome == boxPlanned {
					boxes[j].skip("%s", why)
				}
				why = "not tried"
			}
			return err
		}
	}
	if im.dryRun {
		return nil
	}
	return im.finish(boxes)
}

// fatal returns an error of the registry after which nothing more can be brought, and else nil.
func fatal(err error) error {
	switch registry.KindOf(err) {
	case registry.Unavailable, registry.Unauthorized, registry.Forbidden:
		return err
	}
	return nil
}

// bring brings one box, if the registry does not have it. Its error is fatal.
func (im *importer) bring(b *importedBox) error {
	r := boxRecord{
		artifact: b.Artifact, version: b.Version, fingerprint: "vagrant:" + b.Version,
		build: registry.Build{
			Provider: b.Provider, Architecture: b.Architecture, Default: b.box.Default,
			Provenance: registry.Metadata{"imported_from": cmp.Or(bareURL(b.box.URL), filepath.Base(b.box.Path)), "almanac_version": version.String()},
		},
	}
	v, _, err := r.find(im.ctx, im.to)
	if err != nil {
		return err
	}
	if there := b.in(v); there != nil {
		b.compare(*there)
		return nil
	}
	if err := b.available(); err != nil {
		b.skip("%v", err)
		return nil
	}
	if im.dryRun {
		return nil
	}
	im.note("%s %s for %s", b.Artifact, b.Version, boxTarget(b.Provider, b.Architecture))
	var receipt boxReceipt
	if err = im.fetch(b, &r); err == nil {
		receipt, err = r.record(im.app, im.to)
	}
	switch {
	case im.ctx.Err() != nil:
		return im.ctx.Err()
	case err != nil:
		b.skip("%s", oneSentence(err))
		b.conflict = registry.KindOf(err) == registry.Conflict
		return fatal(err)
	}
	b.Outcome, b.Size, b.SHA256 = boxBrought, r.Size, r.SHA256
	if receipt.Present {
		b.Outcome = boxPresent
	}
	if receipt.Held {
		b.Reason = "its version is not offered before it is released"
	}
	if r.Info.Provider != b.Provider {
		im.warn("%s %s for %s says of itself that it is for %s; Vagrant does not add such a box", b.Artifact, b.Version, b.Provider, r.Info.Provider)
	}
	if b.box.Path == "" {
		return os.Remove(r.path)
	}
	return nil
}

// in finds the box in a version of the registry. Where the source does not say for which architecture it is, the box may have said
// it when it was brought: then it is known by its digest or, where the source has none, by being the only one of its provider.
func (b *importedBox) in(v registry.Version) *registry.Build {
	there := boxOf(v, b.Provider, b.Architecture)
	if there != nil || b.box.Architecture != "" || b.Architecture != "" {
		return there
	}
	var fits []*registry.Build
	for i, build := range v.Builds {
		known := b.box.ChecksumType != "sha256" || len(build.Files) > 0 && string(build.Files[0].SHA256) == b.box.Checksum
		if build.Type == registry.VagrantBox && build.Provider == b.Provider && known {
			fits = append(fits, &v.Builds[i])
		}
	}
	if len(fits) != 1 {
		return nil
	}
	return fits[0]
}

// compare holds what the source says of a box to what the registry has.
func (b *importedBox) compare(there registry.Build) {
	b.Outcome = boxPresent
	if len(there.Files) == 0 {
		return
	}
	b.Size, b.SHA256 = there.Files[0].Size, there.Files[0].SHA256
	if stat, err := os.Stat(b.box.Path); b.box.Path != "" && err == nil && stat.Size() != b.Size {
		b.skip("conflict: the registry has it with %d bytes, and the source with %d", b.Size, stat.Size())
		b.conflict = true
	}
	if b.box.ChecksumType == "sha256" && b.box.Checksum != string(b.SHA256) {
		b.skip("conflict: the registry has it with the sha256 %s, and the source with %s", b.SHA256, b.box.Checksum)
		b.conflict = true
	}
}

// available says what can be known, without a download, of why the bytes are not to be had.
func (b *importedBox) available() error {
	stat, err := os.Stat(b.box.Path)
	switch u, _ := url.Parse(b.box.URL); {
	case b.box.Path == "" && b.box.URL == "":
		return errors.New("its file is not beside the catalog, which has no url for it")
	case b.box.Path == "" && (u == nil || u.Scheme != "http" && u.Scheme != "https"):
		return errors.New("its url does not begin with http:// or https://")
	case b.box.Path == "":
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("its file is not there")
	case err != nil:
		return err
	case !stat.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file", b.box.Path)
	}
	return nil
}

// oneSentence is an error in one line, for a cell of a table.
func oneSentence(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

// fetch brings the bytes of a box to this machine, and makes sure that they are what the source says.
func (im *importer) fetch(b *importedBox, r *boxRecord) error {
	if b.box.Path != "" {
		r.path = b.box.Path
		return im.examine(b, r)
	}
	sum := sha256.Sum256([]byte(b.box.URL))
	r.path = filepath.Join(im.work, hex.EncodeToString(sum[:16])+".box")
	resumed, err := im.download(b, r.path)
	if err != nil {
		return err
	}
	err = im.examine(b, r)
	// Without a checksum, the source's or that of gzip, nothing says whether the bytes of two runs are of one box.
	mixed := err == nil && resumed && b.box.Checksum == "" && !isGzip(r.path)
	if !mixed && err == nil || im.ctx.Err() != nil {
		return err
	}
	// What was there before may have been of another box.
	if removed := os.Remove(r.path); removed != nil || !resumed {
		return errors.Join(err, removed)
	}
	if _, err := im.download(b, r.path); err != nil {
		return err
	}
	if err = im.examine(b, r); err != nil && im.ctx.Err() == nil {
		err = errors.Join(err, os.Remove(r.path))
	}
	return err
}

// isGzip says whether a file begins as gzip does.
func isGzip(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // it was only read
	var magic [2]byte
	_, err = io.ReadFull(f, magic[:])
	return err == nil && magic == [2]byte{0x1f, 0x8b}
}

func (im *importer) download(b *importedBox, path string) (resumed bool, err error) {
	var show vagrantcatalog.Track
	if track := im.track(); track != nil {
		name := b.Artifact + " " + b.Version + " " + b.Provider
		show = func(offset, size int64, r io.ReadCloser) io.ReadCloser { return track(name, offset, size, r) }
	}
	return im.from.Download(im.ctx, b.box.URL, path, show)
}

// examine reads the file of a box: it has the checksum that the source says, and is a whole box.
func (im *importer) examine(b *importedBox, r *boxRecord) error {
	kind := b.box.ChecksumType
	content, err := im.readBox(r.path, kind)
	switch {
	case err == nil && content.checksum != b.box.Checksum:
		return fmt.Errorf("it has the %s %s, and the source says %s", kind, content.checksum, b.box.Checksum)
	case err == nil:
		r.boxContent = content
		if b.box.Architecture == "" && b.Architecture == "" {
			b.Architecture = box.Architecture(content.Architecture)
			r.build.Architecture = b.Architecture
		}
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("its file is not there")
	}
	return fmt.Errorf("it cannot be used: %w", err)
}

// finish brings what the catalogs say of their boxes, and looks at what latest is now.
func (im *importer) finish(boxes []importedBox) error {
	for _, c := range im.catalogs {
		highest := ""
		brought := false
		for _, b := range boxes {
			if b.Artifact != c.Name || b.Outcome == boxSkipped {
				continue
			}
			brought = brought || b.Outcome == boxBrought
			if highest == "" || registry.CompareSemver(b.Version, highest) > 0 {
				highest = b.Version
			}
		}
		if highest == "" {
			continue
		}
		art, err := im.to.Artifact(im.ctx, c.Name)
		if err != nil {
			return err
		}
		if brought && art.Latest != nil && registry.CompareSemver(art.Latest.Version, highest) < 0 {
			im.warn("latest of %s is %s, which was recorded last; Vagrant takes the highest version, %s", c.Name, art.Latest.Version, highest)
		}
		im.describe(c, art)
	}
	return nil
}

// describe brings the description, where there is none and the token may.
func (im *importer) describe(c vagrantcatalog.Catalog, art registry.Artifact) {
	if c.Description+c.Summary == "" || art.Description+art.Summary != "" {
		return
	}
	if !im.admin[c.Name] {
		im.note("The description of %s was not brought: that needs the role admin.", c.Name)
		return
	}
	summary := strings.Join(strings.Fields(c.Summary), " ")
	settings := registry.ArtifactSettings{Description: c.Description, Summary: &summary, Public: art.Public}
	if _, err := im.to.PutArtifact(im.ctx, c.Name, settings); err != nil {
		im.warn("the description of %s was not brought: %s", c.Name, oneSentence(err))
	}
}

// bareURL is a URL without what may be secret in it.
func bareURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// sameServer says whether two URLs name the same host, whatever the port, as Vagrant compares them; it is not the same without TLS.
func sameServer(a, b string) bool {
	first, err1 := url.Parse(a)
	second, err2 := url.Parse(b)
	return err1 == nil && err2 == nil && first.Hostname() != "" && first.Scheme == second.Scheme && strings.EqualFold(first.Hostname(), second.Hostname())
}
