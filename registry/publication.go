package registry

import (
	"fmt"
	"io/fs"
	"regexp"
	"slices"
	"strings"
)

const (
	maxImages   = 1000
	maxFiles    = 1000
	maxFileSize = 1 << 50
)

// How many components a version can expect, channels a publication can name, and attachments a build
// can have.
const (
	MaxExpect      = 100
	MaxChannels    = 20
	MaxAttachments = 100
)

var (
	providerName     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
	architectureName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$`)
	protocolList     = regexp.MustCompile(`^\d{1,3}\.\d{1,3}( *, *\d{1,3}\.\d{1,3})*$`)
	platformName     = regexp.MustCompile(`^[a-z0-9]{1,32}_[a-z0-9]{1,32}$`)
	awsRegion        = regexp.MustCompile(`^[a-z]{2,}(-[a-z]+)+-[0-9]+$`)
	amiID            = regexp.MustCompile(`^ami-[0-9A-Za-z]{1,32}$`)
)

// normalizePublication checks everything that can be checked without a store, reports all problems
// at once, and returns the publication in its canonical form: types without aliases, names sorted.
// Images and files keep their order, so that later problems name them by their place in the request.
func normalizePublication(pub Publication) (Publication, error) {
	var p problems
	p.check("fingerprint", CheckFingerprint(pub.Fingerprint))
	if pub.Version != "" {
		p.check("version", CheckSemver(pub.Version))
	}
	pub.Expect = checkList(&p, "expect", pub.Expect, MaxExpect, CheckComponent)
	pub.Channels = checkList(&p, "channels", pub.Channels, MaxChannels, CheckChannelName)
	p.addAll(CheckMetadata("version_metadata", pub.VersionMetadata))
	pub.Build = normalizeBuild(&p, pub.Build)
	return pub, p.err()
}

// checkList checks each entry and that none is there twice, and returns them sorted.
func checkList(p *problems, field string, list []string, most int, check func(string) error) []string {
	if len(list) > most {
		p.add(field, "has %d entries; at most %d are allowed", len(list), most)
		return list
	}
	for i, entry := range list {
		p.check(fmt.Sprintf("%s[%d]", field, i), check(entry))
		if slices.Contains(list[:i], entry) {
			p.add(fmt.Sprintf("%s[%d]", field, i), "%q is there twice", clip(entry))
		}
	}
	return slices.Sorted(slices.Values(list))
}

func normalizeBuild(p *problems, b Build) Build {
	p.check("build.component", CheckComponent(b.Component))
	typ, err := ParseType(string(b.Type))
	p.check("build.type", err)
	b.Type = typ
	if b.Architecture != "" {
		p.check("build.architecture", CheckArchitecture(b.Architecture))
	}
	switch {
	case b.Type == VagrantBox && !providerName.MatchString(b.Provider):
		p.add("build.provider", "a vagrant.box needs its Vagrant provider, such as virtualbox; %q is none", clip(b.Provider))
	case b.Type != VagrantBox && b.Provider != "" && err == nil:
		p.add("build.provider", "only a vagrant.box has one; the provider of an image is images[].provider")
	}
	if b.Default && b.Type != VagrantBox && err == nil {
		p.add("build.default_architecture", "only a vagrant.box can be the default of its provider")
	}
	p.addAll(checkMetadata("build.metadata", b.Metadata, err != nil || b.Type == AmazonImage))
	p.addAll(CheckMetadata("build.provenance", b.Provenance))
	b.Images = slices.Clone(b.Images)
	checkImages(p, b)
	b.Files = checkFiles(p, "build.files", b.Files, maxFiles)
	b.Attachments = checkAttachments(p, b.Attachments)
	if err == nil {
		checkContent(p, b)
	}
	return b
}

// checkContent makes sure that a build of a type has what makes it one.
func checkContent(p *problems, b Build) {
	if b.Type == TerraformProvider && !platformName.MatchString(b.Component) {
		p.add("build.component", "a terraform.provider is for one platform, which its component names: OS_ARCH, such as linux_amd64; %q is none", clip(b.Component))
	}
	if protocols, ok := b.Metadata[ProviderProtocols]; ok && b.Type == TerraformProvider && !protocolList.MatchString(protocols) {
		p.add(`build.metadata["`+ProviderProtocols+`"]`, "must be versions of Terraform's plugin protocol with commas between them, such as 5.0,6.0; %q is not", clip(protocols))
	}
	switch {
	case b.Type == VagrantBox && len(b.Files)+len(b.Images) != 1:
		p.add("build.files", "a vagrant.box has exactly one file, the box, or one image, which says where it is; there are %d and %d", len(b.Files), len(b.Images))
	case b.Type == TerraformProvider && (len(b.Files) != 1 || len(b.Images) > 0):
		p.add("build.files", "a terraform.provider has exactly one file, the zip for its platform; there are %d files and %d images", len(b.Files), len(b.Images))
	case b.Type == Archive && len(b.Files) == 0:
		p.add("build.files", "an archive needs at least one file")
	case len(b.Images) == 0 && len(b.Files) == 0:
		p.add("build.images", "is empty, and so is build.files; a build has at least one image or file")
	case b.Type == AmazonImage && len(b.Images) == 0:
		p.add("build.images", "an amazon.image needs at least one image, such as aws/eu-west-1/ami-0abc1234")
	}
}

func checkImages(p *problems, b Build) {
	if len(b.Images) > maxImages {
		p.add("build.images", "has %d entries; at most %d are allowed", len(b.Images), maxImages)
		return
	}
	places := map[string]bool{}
	regions := map[string]int{}
	for i, image := range b.Images {
		field := fmt.Sprintf("build.images[%d]", i)
		if !providerName.MatchString(image.Provider) {
			p.add(field+".provider", "%q must have only letters, digits and . _ -, at most 64, such as aws", clip(image.Provider))
		}
		for _, text := range []struct {
			name, value string
			limit       int
		}{{"region", image.Region, 255}, {"id", image.ID, 1024}, {"source_id", image.SourceID, 1024}} {
			if err := checkText(text.value, text.limit, ""); err != nil {
				p.add(field+"."+text.name, "%v", err)
			}
		}
		if image.ID == "" {
			p.add(field+".id", "is empty; it is what the provider calls the image, such as ami-0abc1234")
		}
		p.addAll(CheckMetadata(field+".labels", image.Labels))
		if v := image.Verification; v != nil {
			p.checkVerification(field+".verification", *v)
		}
		place := image.String()
		if places[place] {
			p.add(field, "%s is there twice", clip(image.String()))
		}
		places[place] = true
		if b.Type == AmazonImage {
			checkAmazonImage(p, field, image, regions, i)
		}
	}
}

// checkAmazonImage holds AMIs to what consumers of the region map rely on: an AMI id for each
// region, and one only.
func checkAmazonImage(p *problems, field string, image Image, regions map[string]int, i int) {
	if image.Provider != amazonProvider {
		p.add(field+".provider", "is %q; an amazon.image lives at aws", clip(image.Provider))
	}
	if !awsRegion.MatchString(image.Region) {
		p.add(field+".region", "%q is not an AWS region such as eu-west-1", clip(image.Region))
	}
	if !amiID.MatchString(image.ID) {
		p.add(field+".id", "%q is not an AMI id such as ami-0abc1234", clip(image.ID))
	}
	if first, ok := regions[image.Region]; ok {
		p.add(field+".region", "%q has an image already, in build.images[%d]; an amazon.image has one for each region", clip(image.Region), first)
	} else {
		regions[image.Region] = i
	}
}

// checkFiles returns the files with their digests in canonical form.
func checkFiles(p *problems, list string, files []File, most int) []File {
	if len(files) > most {
		p.add(list, "has %d entries; at most %d are allowed", len(files), most)
		return files
	}
	files = slices.Clone(files)
	names := map[string]bool{}
	for i, f := range files {
		field := fmt.Sprintf("%s[%d]", list, i)
		p.check(field+".name", CheckFileName(f.Name))
		if folded := strings.ToLower(f.Name); names[folded] {
			p.add(field+".name", "%q is there twice (upper and lower case count as the same)", clip(f.Name))
		} else {
			names[folded] = true
		}
		if f.Size < 0 || f.Size > maxFileSize {
			p.add(field+".size", "%d bytes is not a possible size", f.Size)
		}
		digest, err := ParseDigest(string(f.SHA256))
		p.check(field+".sha256", err)
		files[i].SHA256 = digest
	}
	return files
}

// CheckArchitecture accepts 1 to 32 letters, digits and . _ -, such as x86_64 or arm64.
func CheckArchitecture(s string) error {
	if !architectureName.MatchString(s) {
		return Errorf(Invalid, "architecture %q must have only letters, digits and . _ -, at most 32, such as x86_64 or arm64", clip(s))
	}
	return nil
}

// deviceName is what Windows takes for a device, with any ending.
var deviceName = regexp.MustCompile(`(?i)^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$) *(\..*)?$`)

// CheckFileName accepts a relative, slash-separated path of up to 512 bytes that means the same file
// below a directory on every operating system: no "..", no empty or dot parts, none that ends in a dot
// or a space or is called like a device, and none of \ : < > " | ? * and control characters.
func CheckFileName(name string) error {
	if err := checkText(name, 512, ""); err != nil {
		return Errorf(Invalid, "file name %q %v", clip(name), err)
	}
	if !fs.ValidPath(name) || name == "." || strings.ContainsAny(name, `\:<>"|?*`) {
		return Errorf(Invalid, "file name %q must be a relative path with slashes, without '..' and any of \\ : < > \" | ? *", clip(name))
	}
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasSuffix(part, ".") || strings.HasSuffix(part, " ") || deviceName.MatchString(part) {
			return Errorf(Invalid, "file name %q has the part %q, which not every operating system can store; rename it", clip(name), clip(part))
		}
	}
	return nil
}
