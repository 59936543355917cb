package atlas

import (
	"slices"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// regionPrefix begins the metadata by which Packer's builders for Amazon name their AMIs.
const regionPrefix = "region."

// readAMIs takes the AMIs out of the metadata, or else out of the id, which is REGION:AMI,REGION:AMI.
func (u *upload) readAMIs(o object, id string) {
	const example = "REGION:AMI, with commas between several, such as eu-west-1:ami-0abc1234"
	byID := regionalImages("aws", id)
	var images []registry.Image
	for key, ami := range u.build.Metadata {
		if region, ok := strings.CutPrefix(key, regionPrefix); ok {
			images = append(images, registry.Image{Provider: "aws", Region: region, ID: ami})
			delete(u.build.Metadata, key)
		}
	}
	slices.SortFunc(images, registry.CompareImages)
	slices.SortFunc(byID, registry.CompareImages)
	fromMetadata := len(images) > 0
	switch {
	case !fromMetadata && !strings.Contains(id, ":"):
		o.add(o.field("id"), "%q names no AMI; an amazon.image needs its AMIs as %s, or as metadata such as region.eu-west-1 = ami-0abc1234", clip(id), example)
		return
	case !fromMetadata:
		images = byID
	case areAMIs(byID) && externalIDs(images) != externalIDs(byID):
		o.add(o.field("id"), "names the AMIs %s, and the metadata region.REGION name %s; both must name the same", clip(externalIDs(byID)), clip(externalIDs(images)))
	}
	u.build.Images = images
	for i, image := range images {
		where := o.field("id")
		if fromMetadata {
			where = o.entry("metadata", regionPrefix+image.Region)
		}
		u.from(i, where)
	}
}

// areAMIs says whether an id is one of AMIs at all: Packer's other builders and post-processors have ids of their own,
// and a template can name AMIs all the same.
func areAMIs(images []registry.Image) bool {
	return !slices.ContainsFunc(images, func(i registry.Image) bool { return i.Region == "" || !strings.HasPrefix(i.ID, "ami-") })
}

// regionalImages reads REGION:ID,REGION:ID.
func regionalImages(provider, id string) []registry.Image {
	var images []registry.Image
	for pair := range strings.SplitSeq(id, ",") {
		region, id, ok := strings.Cut(strings.TrimSpace(pair), ":")
		if !ok {
			region, id = "", region
		}
		images = append(images, registry.Image{Provider: provider, Region: region, ID: id})
	}
	return images
}

// imageProviders are what the post-processor almanac calls the provider of a type where that is not the type's first word.
var imageProviders = map[string]string{"googlecompute": "gce", "digitalocean": "DigitalOcean"}

// imagesOf are the images that the id of a builder names. Most ids name one, and say no region.
func imagesOf(typ registry.Type, id string) []registry.Image {
	if typ == registry.AmazonVolume {
		return regionalImages("aws", id)
	}
	provider := strings.TrimSuffix(string(typ), ".image")
	if name, ok := imageProviders[provider]; ok {
		provider = name
	}
	// A snapshot of a droplet has one id in several regions: fra1,nyc3:123.
	regions, snapshot, ok := strings.Cut(id, ":")
	if typ != "digitalocean.image" || !ok {
		return []registry.Image{{Provider: provider, ID: id}}
	}
	var images []registry.Image
	for region := range strings.SplitSeq(regions, ",") {
		images = append(images, registry.Image{Provider: provider, Region: strings.TrimSpace(region), ID: snapshot})
	}
	return images
}

// externalID is the id that was posted with a build, or would have been.
func externalID(b registry.Build) string {
	if id, ok := b.Provenance[idKey]; ok {
		return id
	}
	if b.Type == registry.VagrantBox { // an image of a box says where it is
		return b.Provider
	}
	return externalIDs(b.Images)
}

// externalIDs are those of images, in the order of their regions.
func externalIDs(images []registry.Image) string {
	var ids []string
	for _, image := range images {
		id := image.ID
		if image.Region != "" {
			id = image.Region + ":" + id
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return strings.Join(ids, ",")
}
