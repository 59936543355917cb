package almanac

import (
	"regexp"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// nullBuilder makes nothing, and says so with an image.
const nullBuilder = "fnoeding.null"

// builderTypes says what the artifact of a builder or post-processor is, by its BuilderId. Of one that
// is not here, the provider of its images decides (see [typeOf]). docs/post-processors/almanac.mdx
// has the same table for users.
var builderTypes = map[string]registry.Type{
	"mitchellh.amazonebs":                 registry.AmazonImage,
	"mitchellh.amazon.ebssurrogate":       registry.AmazonImage,
	"mitchellh.amazon.chroot":             registry.AmazonImage,
	"mitchellh.amazon.instance":           registry.AmazonImage,
	"packer.post-processor.amazon-import": registry.AmazonImage,
	"mitchellh.amazon.ebsvolume":          registry.AmazonVolume,
	"packer.googlecompute":                "googlecompute.image",
	"Azure.ResourceManagement.VMImage":    "azure.image",
	"packer.docker":                       "docker.image",
	"packer.post-processor.docker-import": "docker.image",
	"packer.post-processor.docker-tag":    "docker.image",
	"packer.post-processor.docker-push":   "docker.image",
	"jetbrains.vsphere":                   "vsphere.image",
	"transcend.qemu":                      "qemu.image",
	"mitchellh.virtualbox":                "virtualbox.image",
	"mitchellh.vmware":                    "vmware.image",
	"mitchellh.vmware-esx":                "vmware.image",
	"MSOpenTech.hyperv":                   "hyperv.image",
	"packer.parallels":                    "parallels.image",
	"mitchellh.openstack":                 "openstack.image",
	"pearkes.digitalocean":                "digitalocean.image",
	"mitchellh.post-processor.vagrant":    registry.VagrantBox,
	"vagrant":                             registry.VagrantBox,
	"packer.file":                         registry.Archive,
	"packer.post-processor.artifice":      registry.Archive,
	"packer.post-processor.compress":      registry.Archive,
	"packer.post-processor.checksum":      registry.Archive,
}

// providerTypes are the first words of types whose provider has another name.
var providerTypes = map[string]string{"gce": "googlecompute", "google": "googlecompute"}

// typeOf says what a product is, unless the template says it. box is set when its files hold exactly
// one Vagrant box. It is "" for what is nothing: no images, no files, no id.
func typeOf(p product, builderType string, box bool) registry.Type {
	typ, known := builderTypes[p.builderID]
	switch {
	case p.builderID == nullBuilder:
		return ""
	case box && (!known && len(p.images) == 0 || typ == registry.Archive):
		return registry.VagrantBox
	case typ == "docker.image" && len(p.images) == 0 && len(p.files) > 0:
		return registry.Archive // what `docker export` wrote
	case known:
		return typ
	case len(p.images) > 0:
		return providerType(p)
	case len(p.files) > 0:
		return registry.Archive
	case p.id != "":
		return imageType(builderType)
	}
	return ""
}

// providerType names a type by where the images of an unknown builder live.
func providerType(p product) registry.Type {
	provider := p.images[0].ProviderName
	if provider != "aws" {
		return imageType(provider)
	}
	for _, image := range p.images {
		if !strings.HasPrefix(image.ImageID, "ami-") {
			return imageType(provider)
		}
	}
	return registry.AmazonImage
}

var notInType = regexp.MustCompile(`[^a-z0-9_-]+`)

// imageType makes PROVIDER.image of the name of a provider or builder, such as "DigitalOcean".
func imageType(name string) registry.Type {
	word := strings.Trim(notInType.ReplaceAllString(strings.ToLower(name), "-"), "-_0123456789")
	if other, ok := providerTypes[word]; ok {
		word = other
	}
	if len(word) > 63 {
		word = word[:63]
	}
	if typ, err := registry.ParseType(word + ".image"); err == nil {
		return typ
	}
	return "custom.image"
}
