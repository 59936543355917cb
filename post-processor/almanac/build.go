package almanac

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/internal/localfiles"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/box"
)

// identify says of what type the product is and where its images are, which takes no file to be
// readable but a box.
func (r *recording) identify() foundBox {
	box := findBox(r.product.files)
	r.build.Type = cmp.Or(r.config.typ, typeOf(r.product, r.config.PackerBuilderType, box.err == nil))
	r.build.Images = r.images()
	return box
}

// describe says what else the product is as a build of the registry, and which files are to be uploaded.
func (r *recording) describe(box foundBox) error {
	if r.build.Type == "" {
		return errNothing
	}
	r.build.Component, r.build.Architecture = r.config.component, r.config.Architecture
	r.build.Metadata, r.build.Provenance = r.metadata(), r.provenance()
	files := r.product.files
	switch {
	case r.build.Type == registry.VagrantBox:
		if box.err != nil {
			return box.err
		}
		files = []string{box.path}
		for _, note := range localfiles.DescribeBox(&r.build, box.info) {
			r.ui.say("%s: %s", box.path, note)
		}
	case box.path != "" && box.err != nil:
		r.ui.say("%v; it is recorded as a plain file", box.err)
	}
	if r.config.Files.False() {
		if len(files) > 0 && len(r.build.Images) == 0 {
			return errors.New("the artifact consists of files, and files is false; leave that out to record it")
		}
		files = nil
	}
	var err error
	if r.uploads, err = planUploads(files); err != nil {
		return err
	}
	if len(r.build.Images) == 0 && len(r.uploads) == 0 {
		if r.product.builderID == nullBuilder {
			return errNothing
		}
		return fmt.Errorf("the builder (%s) gives neither an image nor a file that could be recorded as %s", r.product.builderID, r.build.Type)
	}
	r.described = true
	return nil
}

// foundBox is the one Vagrant box among files; err says why there is none.
type foundBox struct {
	path string
	info box.Info
	err  error
}

// findBox looks for the one file that is named like a box, and reads what it says of itself.
func findBox(files []string) foundBox {
	boxes := slices.DeleteFunc(slices.Clone(files), func(f string) bool { return !strings.EqualFold(filepath.Ext(f), ".box") })
	switch {
	case len(boxes) == 0:
		return foundBox{err: errors.New("the artifact has no file whose name ends in .box")}
	case len(boxes) > 1:
		return foundBox{err: fmt.Errorf("the artifact has %d boxes, and a build of type vagrant.box has one: %s", len(boxes), strings.Join(boxes, ", "))}
	}
	found := foundBox{path: boxes[0]}
	found.info, found.err = box.ReadFile(found.path)
	if _, ok := errors.AsType[*fs.PathError](found.err); !ok && found.err != nil {
		found.err = fmt.Errorf("%s is not a Vagrant box: %w", found.path, found.err)
	}
	return found
}

// images are the places where the build lives. Archives and boxes have none: what the file builder
// gives as an image is the file's name.
func (r *recording) images() []registry.Image {
	typ := r.build.Type
	if typ == registry.Archive || typ == registry.VagrantBox || r.product.builderID == nullBuilder {
		return nil
	}
	images := r.registryImages()
	if len(images) == 0 && (typ == registry.AmazonImage || typ == registry.AmazonVolume) {
		images = r.amazonImages()
	}
	if len(images) == 0 && typ != registry.AmazonImage && r.product.id != "" && len(r.product.files) == 0 {
		provider := providerName(cmp.Or(r.config.PackerBuilderType, strings.TrimSuffix(string(typ), ".image")))
		images = []registry.Image{{Provider: provider, ID: r.product.id}}
	}
	slices.SortFunc(images, func(a, b registry.Image) int { return strings.Compare(a.String(), b.String()) })
	return slices.CompactFunc(images, func(a, b registry.Image) bool { return a.String() == b.String() })
}

// registryImages are those that the builder gives for registries.
func (r *recording) registryImages() []registry.Image {
	var images []registry.Image
	for _, from := range r.product.images {
		image := registry.Image{
			Provider: providerName(from.ProviderName), Region: from.ProviderRegion, ID: from.ImageID,
			SourceID: from.SourceImageID,
		}
		if r.unread == nil {
			image.Labels = r.recordable("label of "+from.ImageID, from.Labels)
		}
		if r.build.Type == "qemu.image" {
			image.Provider = "qemu" // whose plugin calls itself transcend.qemu in older releases
		}
		if r.build.Type == "qemu.image" || r.product.builderID == "packer.file" {
			image.Region = "" // a directory of this machine is no place to look for an image
		}
		images = append(images, image)
	}
	return images
}

// amazonImages are read from what Amazon's builders said before there were images for registries:
// the metadata for Atlas and, before that, "region:id,region:id" as the artifact's id.
func (r *recording) amazonImages() []registry.Image {
	source, _ := r.product.generated["SourceAMI"].(string)
	var images []registry.Image
	for key, id := range r.product.atlas {
		if region, ok := strings.CutPrefix(key, "region."); ok && region != "" && id != "" {
			images = append(images, registry.Image{Provider: "aws", Region: region, ID: id, SourceID: source})
		}
	}
	if len(images) > 0 {
		return images
	}
	for pair := range strings.SplitSeq(r.product.id, ",") {
		if region, id, ok := strings.Cut(strings.TrimSpace(pair), ":"); ok && region != "" && id != "" {
			images = append(images, registry.Image{Provider: "aws", Region: region, ID: id, SourceID: source})
		}
	}
	return images
}

var notInProvider = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// providerName gives the name of a provider the form that the registry keeps.
func providerName(name string) string {
	name = strings.TrimLeft(notInProvider.ReplaceAllString(name, "-"), "._-")
	return cmp.Or(name[:min(len(name), 64)], "unknown")
}

// metadata is what the template says, without what cannot or must not be recorded. That shows only
// now: the values may come from the build.
func (r *recording) metadata() registry.Metadata {
	values := r.config.Metadata
	if r.unread != nil {
		// Without the build's values nobody can tell whether one of them is a secret, so that what they
		// may be in is left out.
		values = maps.Clone(values)
		maps.DeleteFunc(values, func(key, value string) bool {
			before, ok := r.accepted.metadata[key]
			changed := !ok || before != value
			if changed {
				r.ui.fail("metadata[%q] is left out: the build's values in it could not be checked.", key)
			}
			return changed
		})
	}
	return r.fitting(values, func(key, why string) {
		r.ui.fail("metadata[%q] is left out: %s.", key, why)
	})
}

// recordable returns what of some values the registry takes. The rest is told in the log: it comes
// from a builder, and is no reason to lose the build.
func (r *recording) recordable(what string, values map[string]string) registry.Metadata {
	given := maps.Clone(values)
	maps.DeleteFunc(given, func(_, value string) bool { return value == "" })
	return r.fitting(given, func(key, why string) {
		log.Printf("[WARN] %s %q is not recorded: %s", what, key, why)
	})
}

// fitting keeps the entries that can be recorded, nil if there are none. leftOut is told why the others
// cannot; of too many, the last by name are left out.
func (r *recording) fitting(values map[string]string, leftOut func(key, why string)) registry.Metadata {
	kept := registry.Metadata{}
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if r.secretIn(key) != "" {
			leftOut("…", "its name holds "+r.secretIn(key))
			continue
		}
		if why := r.unfit(key, values[key]); why != "" {
			leftOut(key, why)
			continue
		}
		kept[key] = values[key]
		if problems := registry.CheckMetadata("", kept); len(problems) > 0 {
			delete(kept, key)
			leftOut(key, "with it the whole "+problems[0].Message)
		}
	}
	if len(kept) == 0 {
		return nil
	}
	return kept
}

// unfit says why an entry cannot be recorded, or "". What may be secret is not repeated.
func (r *recording) unfit(key, value string) string {
	if secret := r.secretIn(value); secret != "" {
		return "it holds " + secret
	}
	if problems := registry.CheckMetadata("", registry.Metadata{key: value}); len(problems) > 0 {
		return problems[0].Message
	}
	if unknown(value) {
		return fmt.Sprintf("Packer did not fill in all of %q; this builder has no such build value, or it is one that is not recorded", value)
	}
	return ""
}

// secretIn names the secret that a text holds, or is "".
func (r *recording) secretIn(text string) string {
	if name := r.config.sensitive(text); name != "" {
		return fmt.Sprintf("the value of the sensitive variable %q", name)
	}
	if name := secretOf(r.product.generated, text); name != "" {
		return "the build's " + name
	}
	return ""
}
