package registry

import "regexp"

// Type says what a build is. Canonical types are "vagrant.box", "archive", "amazon.volume", "terraform.provider" and
// "PROVIDER.image", such as "amazon.image". Make one with [ParseType].
type Type string

// The types that the registry itself treats in a special way.
const (
	AmazonImage Type = "amazon.image"
	VagrantBox  Type = "vagrant.box"
	Archive     Type = "archive"
)

// amazonProvider is the provider of the images of an amazon.image.
const amazonProvider = "aws"

// AmazonVolume is what amazon-ebsvolume makes: volumes and snapshots, not images.
const AmazonVolume Type = "amazon.volume"

// TerraformProvider is a provider of Terraform for one platform, which its component names: OS_ARCH, such as linux_amd64.
const TerraformProvider Type = "terraform.provider"

// ProviderProtocols is the metadata of a terraform.provider that lists the versions of Terraform's plugin protocol that it
// speaks, with commas between them. Without it that is [DefaultProtocols].
const (
	ProviderProtocols = "protocols"
	DefaultProtocols  = "6.0"
)

// typeAliases are names that were in use for a type at some time, and stay valid for ever.
var typeAliases = map[string]Type{
	"aws.ami":             AmazonImage,
	"amazon.ami":          AmazonImage,
	"application.archive": Archive,
	"google.image":        "googlecompute.image",
}

var imageType = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}\.image$`)

// ParseType returns the canonical type of s, which may be an alias such as "aws.ami".
func ParseType(s string) (Type, error) {
	if t, ok := typeAliases[s]; ok {
		return t, nil
	}
	switch t := Type(s); {
	case t == VagrantBox, t == Archive, t == AmazonVolume, t == TerraformProvider, imageType.MatchString(s):
		return t, nil
	}
	return "", Errorf(Invalid, "type %q is unknown; use amazon.image (or its alias aws.ami), vagrant.box, archive, amazon.volume, terraform.provider, or PROVIDER.image such as googlecompute.image, azure.image, docker.image, qemu.image, custom.image", clip(s))
}
