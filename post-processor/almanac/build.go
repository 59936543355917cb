package almanac

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/box"
)

// describe says what the product is as a build of the registry, and which files are to be uploaded.
func (r *recording) describe() error {
	r.build = registry.Build{
		Component: r.config.component, Architecture: r.config.Architecture,
		Metadata: r.metadata(), Provenance: r.provenance(),
	}
	found := findBox(r.product.files)
	r.build.Type = cmp.Or(r.config.typ, typeOf(r.product, r.config.PackerBuilderType, found.err == nil))
	if r.build.Type == "" {
		return errNothing
	}
	r.build.Images = r.images()
	files := r.product.files
	switch {
	case r.build.Type == registry.VagrantBox:
		if found.err != nil {
			return found.err
		}
		files = []string{found.path}
		r.build.Provider = found.info.Provider
		r.build.Architecture = cmp.Or(r.build.Architecture, found.info.Architecture)
	case found.path != "" && found.err != nil:
		r.ui.say("%v; it is recorded as a plain file", found.err)
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
			SourceID: from.SourceImageID, Labels: r.recordable("label of "+from.ImageID, from.Labels),
		}
		if r.build.Type == "qemu.image" {
			image.Provider = "qemu" // whose plugin calls itself transcend.qemu in older releases
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
	kept := registry.Metadata{}
	for key, value := range r.config.Metadata {
		if why := r.unfit(key, value); why != "" {
			r.ui.fail("metadata[%q] is left out: %s.", key, why)
			continue
		}
		kept[key] = value
	}
	return kept
}

// unfit says why an entry cannot be recorded, or "".
func (r *recording) unfit(key, value string) string {
	if problems := registry.CheckMetadata("", registry.Metadata{key: value}); len(problems) > 0 {
		return problems[0].Message
	}
	if unknown(value) {
		return fmt.Sprintf("Packer did not fill in all of %q; this builder has no such build value", value)
	}
	if name := r.config.sensitive(value); name != "" {
		return fmt.Sprintf("it holds the value of the sensitive variable %q", name)
	}
	if secret := secretOf(r.product.generated, value); secret != "" {
		return "it holds the build's " + secret
	}
	return ""
}

// recordable returns what of some values the registry takes. The rest is told in the log: it comes
// from a builder, and is no reason to lose the build.
func (r *recording) recordable(what string, values map[string]string) registry.Metadata {
	kept := registry.Metadata{}
	for key, value := range values {
		if value == "" {
			continue
		}
		if why := r.unfit(key, value); why != "" {
			log.Printf("[WARN] %s %q is not recorded: %s", what, key, why)
			continue
		}
		kept[key] = value
	}
	if problems := registry.CheckMetadata(what, kept); len(problems) > 0 {
		log.Printf("[WARN] no %s is recorded: %s", what, problems[0].Message) // too much in all
		return nil
	}
	if len(kept) == 0 {
		return nil
	}
	return kept
}
