package registry

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Artifact is one line of things that are built again and again.
type Artifact struct {
	Name        ArtifactName `json:"name" doc:"namespace/name"`
	Description string       `json:"description"`
	// Summary is one line, for lists.
	Summary string `json:"summary,omitempty" doc:"One line that says what it is."`
	// Public artifacts can be read without a token.
	Public bool `json:"public" doc:"Readable without a token."`
	// Types are the types of which an offered version has a build, sorted.
	Types []Type `json:"types" doc:"Types of the builds that latest offers."`
	// Latest is the newest version that is offered; nil when there is none.
	Latest    *VersionID `json:"latest,omitempty"`
	Channels  []Channel  `json:"channels" doc:"Channels and where they point, sorted by name."`
	CreatedAt time.Time  `json:"created_at"`
	UpdatedAt time.Time  `json:"updated_at"`
}

// VersionID names a version in both ways.
type VersionID struct {
	Number  int64  `json:"number" doc:"1, 2, 3 …; never reused."`
	Version string `json:"version" doc:"Semantic version, unique within the artifact."`
}

// Status says how far a version is.
type Status string

// The statuses of a version.
const (
	StatusOpen     Status = "open"     // it expects builds that are not there yet
	StatusComplete Status = "complete" // offered, unless revoked
	StatusFailed   Status = "failed"   // an image of it was found to be unusable before it was complete
)

// Version is one immutable step of an artifact. It groups the builds of one run.
type Version struct {
	Artifact ArtifactName `json:"artifact"`
	VersionID
	Fingerprint string `json:"fingerprint" doc:"Names the run that made it; unique within the artifact."`
	Status      Status `json:"status" enum:"open,complete,failed"`
	// Held versions are not complete before they are released, whatever they have.
	Held        bool   `json:"held,omitempty" doc:"Not complete before it is released, whatever it has."`
	Description string `json:"description,omitempty"`
	// Expect are the components without which the version is not complete, sorted.
	Expect []string `json:"expect" doc:"Components without which the version is not complete."`
	// Requested are the channels that the version's publishers asked for, sorted.
	Requested []string   `json:"requested_channels" doc:"Channels to move to this version when it is complete."`
	Metadata  Metadata   `json:"metadata"`
	CreatedAt time.Time  `json:"created_at" doc:"When it was made; for a late publication, when that says it was built."`
	CreatedBy string     `json:"created_by" doc:"Name of the token that made it."`
	Completed *time.Time `json:"completed_at,omitempty"`
	// Revocation is nil unless the version is revoked or will be.
	Revocation *Revocation `json:"revocation,omitempty"`
	// Builds are sorted by component. Lists of versions leave images, files, metadata and provenance out.
	Builds []Build `json:"builds"`
	// Pending are boxes that were announced and have no bytes yet, sorted by component. Lists leave them out.
	Pending []PendingBox `json:"pending,omitempty" doc:"Boxes that were announced and have no bytes yet."`
}

// PendingBox is a vagrant.box that was announced before its bytes came. It is seen by nobody who looks for a box.
type PendingBox struct {
	// Component is what the build will have.
	Component    string `json:"component"`
	Provider     string `json:"provider"`
	Architecture string `json:"architecture,omitempty"`
	// Default is what [Build.Default] will be; until then a build that has it keeps it.
	Default bool `json:"default_architecture,omitempty"`
	// Checksum is what its publisher says of the bytes, in lower case hexadecimal digits; ChecksumType is md5, sha1,
	// sha256, sha384 or sha512. Both are empty where nothing was said.
	Checksum     string    `json:"checksum,omitempty"`
	ChecksumType string    `json:"checksum_type,omitempty"`
	CreatedAt    time.Time `json:"created_at"`
	CreatedBy    string    `json:"created_by"`
}

// Revocation takes a version out of what is offered.
type Revocation struct {
	At     time.Time `json:"at" doc:"When it takes effect; may be in the future."`
	By     string    `json:"by"`
	Reason string    `json:"reason"`
}

// RevokedAt says whether the version is revoked at a time.
func (v Version) RevokedAt(now time.Time) bool {
	return v.Revocation != nil && !v.Revocation.At.After(now)
}

// OfferedAt says whether latest, constraints and catalogs may name the version at a time.
func (v Version) OfferedAt(now time.Time) bool {
	return v.Status == StatusComplete && !v.RevokedAt(now)
}

// Missing returns the components that the version still expects, sorted.
func (v Version) Missing() []string {
	var missing []string
	for _, component := range v.Expect {
		if v.build(component) == nil {
			missing = append(missing, component)
		}
	}
	return missing
}

// Waiting returns the images that keep the version from being complete, or that made it fail.
func (v Version) Waiting() []Image {
	var waiting []Image
	for _, b := range v.Builds {
		for _, i := range b.Images {
			if !i.Offered() {
				waiting = append(waiting, i)
			}
		}
	}
	return waiting
}

// late says whether the version was built before it was published: with others, the first build was recorded
// at the time at which the version was made.
func (v Version) late() bool {
	return !slices.ContainsFunc(v.Builds, func(b Build) bool { return !b.CreatedAt.After(v.CreatedAt) })
}

// unfinished says what stands between a version and being complete.
func (v Version) unfinished() string {
	var lacks []string
	if v.Held {
		lacks = append(lacks, "it was not released yet")
	}
	if len(v.Builds) == 0 {
		lacks = append(lacks, "it has no build")
	}
	if missing := v.Missing(); len(missing) > 0 {
		lacks = append(lacks, "it still expects "+strings.Join(missing, ", "))
	}
	for _, i := range v.Waiting() {
		lacks = append(lacks, i.finding())
	}
	return fmt.Sprintf("version %s (number %d) of %s is %s: %s", v.Version, v.Number, v.Artifact, v.Status, strings.Join(lacks, "; "))
}

// reached is the status of a version that was not complete before.
func (v Version) reached() Status {
	waiting := v.Waiting()
	switch {
	case v.Held || len(v.Builds) == 0:
		return StatusOpen
	case slices.ContainsFunc(waiting, func(i Image) bool { return i.Verification.Status == ImageFailed }):
		return StatusFailed
	case len(waiting) > 0 || len(v.Missing()) > 0:
		return StatusOpen
	}
	return StatusComplete
}

func (v Version) build(component string) *Build {
	for i := range v.Builds {
		if v.Builds[i].Component == component {
			return &v.Builds[i]
		}
	}
	return nil
}

// Build is what one Packer source made for a version.
type Build struct {
	// Component is the source that made it, unique within the version.
	Component string `json:"component" doc:"The Packer source, such as amazon-ebs.app."`
	Type      Type   `json:"type" doc:"amazon.image, vagrant.box, archive, PROVIDER.image …"`
	// Provider is set for a vagrant.box: virtualbox, libvirt …
	Provider string `json:"provider,omitempty" doc:"Vagrant provider of a box."`
	// Architecture is empty when nobody said it.
	Architecture string `json:"architecture,omitempty" doc:"Such as x86_64, arm64, amd64."`
	// Default says that of the boxes of one provider this is the one for clients that know no architectures. It is no part
	// of the content, and at most one build of a provider in a version has it.
	Default  bool     `json:"default_architecture,omitempty" doc:"Of the boxes of its provider, the one for clients that know no architectures."`
	Metadata Metadata `json:"metadata,omitempty"`
	// Provenance says how the build came to be; it is no part of its content.
	Provenance Metadata `json:"provenance,omitempty" doc:"How the build came to be; no part of its content."`
	Images     []Image  `json:"images,omitempty" doc:"Sorted by region, provider and id."`
	Files      []File   `json:"files,omitempty" doc:"Sorted by name."`
	// Attachments are documents about the build. They may be added to later.
	Attachments []Attachment `json:"attachments,omitempty" doc:"Documents about the build, such as an SBOM, sorted by name."`
	CreatedAt   time.Time    `json:"created_at,omitzero" readOnly:"true"`
	CreatedBy   string       `json:"created_by,omitempty" readOnly:"true"`
}

// Image is one place where a build lives.
type Image struct {
	Provider string `json:"provider" doc:"Such as aws, gce, azure."`
	Region   string `json:"region,omitempty" doc:"Region, zone or location at the provider."`
	ID       string `json:"id" doc:"The provider's id, such as ami-0abc."`
	// SourceID is the image that this one was made from, where the builder says so.
	SourceID string   `json:"source_id,omitempty"`
	Labels   Metadata `json:"labels,omitempty" doc:"What the builder says of the image."`
	// Verification is what was found at the provider; nil when nobody looked.
	Verification *Verification `json:"verification,omitempty" doc:"What was found at the provider, where somebody looked."`
}

// ImageStatus says what an image was found to be at its provider.
type ImageStatus string

// The statuses of an image.
const (
	ImageAvailable ImageStatus = "available" // can be used
	ImagePending   ImageStatus = "pending"   // is still being made; not offered
	ImageFailed    ImageStatus = "failed"    // is missing, broken or somebody else's; not offered
)

// Verification is what was found when an image was looked for at its provider. It is no part of a
// build's content.
type Verification struct {
	Status ImageStatus `json:"status" enum:"available,pending,failed"`
	// At is when it was looked for. The registry sets it where it is left out or in the future.
	At time.Time `json:"at,omitzero"`
	// Reason says why the image is not available.
	Reason string `json:"reason,omitempty" doc:"Why it is not available."`
	// Attributes are what the provider says of the image; package aws says which it gives for AMIs.
	Attributes Metadata `json:"attributes,omitempty" doc:"What the provider says of the image, such as name, architecture, owner_id."`
}

// Offered says whether the image may be handed out: it was found available, or nobody looked.
func (i Image) Offered() bool {
	return i.Verification == nil || i.Verification.Status == ImageAvailable
}

// regionText writes a region so that its end can be seen; some are paths, such as a vSphere folder.
var regionText = strings.NewReplacer("%", "%25", "/", "%2F")

// String returns provider/region/id, the form in which [ParseImage] reads it. A slash in the region is
// written %2F, and a percent sign %25.
func (i Image) String() string { return i.Provider + "/" + regionText.Replace(i.Region) + "/" + i.ID }

// finding says in words what was found of an image that is not offered.
func (i Image) finding() string {
	text := fmt.Sprintf("image %s is %s", clip(i.String()), i.Verification.Status)
	if i.Verification.Reason != "" {
		text += " (" + i.Verification.Reason + ")"
	}
	return text
}

// ParseImage reads provider/region/id. The id may have slashes; the region may be empty, and is
// percent-encoded as in a URL where it has slashes or percent signs.
func ParseImage(s string) (Image, error) {
	parts := strings.SplitN(s, "/", 3)
	if len(parts) != 3 || parts[0] == "" || parts[2] == "" {
		return Image{}, Errorf(Invalid, "image %q must be provider/region/id, such as aws/eu-west-1/ami-0abc1234", clip(s))
	}
	region, err := url.PathUnescape(parts[1])
	if err != nil {
		return Image{}, Errorf(Invalid, "image %q has a '%%' in its region that begins no percent-encoding; write it as %%25", clip(s))
	}
	return Image{Provider: parts[0], Region: region, ID: parts[2]}, nil
}

// offeredImages are the images of a build that may be handed out.
func (b Build) offeredImages() []Image {
	if !slices.ContainsFunc(b.Images, func(i Image) bool { return !i.Offered() }) {
		return b.Images
	}
	return slices.DeleteFunc(slices.Clone(b.Images), func(i Image) bool { return !i.Offered() })
}

// offered says whether a build may be handed out: one that lives in images needs one that may be.
func (b Build) offered() bool { return len(b.Images) == 0 || len(b.offeredImages()) > 0 }

// CompareImages orders the images of a build: by region, provider and id.
func CompareImages(a, b Image) int {
	for _, c := range []int{strings.Compare(a.Region, b.Region), strings.Compare(a.Provider, b.Provider)} {
		if c != 0 {
			return c
		}
	}
	return strings.Compare(a.ID, b.ID)
}

func sortedImages(images []Image) []Image {
	if slices.IsSortedFunc(images, CompareImages) {
		return images
	}
	return slices.SortedFunc(slices.Values(images), CompareImages)
}

// File is bytes of a build. The bytes are a blob that is kept once per digest.
type File struct {
	// Name is a relative, slash-separated path without "..".
	Name   string `json:"name" doc:"Relative path with slashes."`
	Size   int64  `json:"size" doc:"Bytes."`
	SHA256 Digest `json:"sha256" doc:"Digest of the bytes, 64 hexadecimal digits."`
}

func compareFiles(a, b File) int { return strings.Compare(a.Name, b.Name) }

// AttachmentKind says what an attachment is for.
type AttachmentKind string

// The kinds of attachments.
const (
	AttachmentSBOM     AttachmentKind = "sbom"     // a bill of materials, CycloneDX or SPDX
	AttachmentDocument AttachmentKind = "document" // anything else
)

// Attachment is a document about a build. Its bytes are a blob, as those of a file are.
type Attachment struct {
	File
	Kind AttachmentKind `json:"kind" enum:"sbom,document"`
	// Format is read from an SBOM by the registry, such as "CycloneDX 1.6" or "SPDX 2.3".
	Format string `json:"format,omitempty" readOnly:"true" doc:"Format of an SBOM, such as CycloneDX 1.6 or SPDX 2.3, as the registry read it."`
}

// Channel is a named pointer to a version.
type Channel struct {
	Name string `json:"name"`
	VersionID
	MovedAt time.Time `json:"moved_at"`
	MovedBy string    `json:"moved_by"`
}

// ChannelMove is one entry of a channel's history.
type ChannelMove struct {
	// From is nil for the first move.
	From   *VersionID `json:"from,omitempty"`
	To     VersionID  `json:"to"`
	At     time.Time  `json:"at"`
	By     string     `json:"by"`
	Reason string     `json:"reason,omitempty"`
}

// Event is one entry of the audit log.
type Event struct {
	// ID grows with every event, in the order in which they became visible.
	ID       int64        `json:"id"`
	At       time.Time    `json:"at"`
	Actor    string       `json:"actor" doc:"Name of the token."`
	Action   string       `json:"action" doc:"Such as build.publish, version.complete, channel.move."`
	Artifact ArtifactName `json:"artifact,omitempty"`
	Number   int64        `json:"number,omitempty" doc:"Version that it is about."`
	Detail   Metadata     `json:"detail,omitempty"`
}

// The actions of events.
const (
	ActionArtifactUpdate  = "artifact.update"
	ActionArtifactDelete  = "artifact.delete"
	ActionBuildPublish    = "build.publish"
	ActionImagesAdd       = "build.images"
	ActionImagesReplace   = "build.replace" // images that had failed and are left out now
	ActionAttachmentsAdd  = "build.attachments"
	ActionImageVerify     = "image.verify"
	ActionVersionOpen     = "version.open"
	ActionVersionDescribe = "version.describe"
	ActionVersionDelete   = "version.delete"
	ActionBuildAnnounce   = "build.announce"
	ActionBuildDelete     = "build.delete"
	ActionBuildDefault    = "build.default"
	ActionVersionRelease  = "version.release"
	ActionVersionComplete = "version.complete"
	ActionVersionFail     = "version.fail"
	ActionVersionRevoke   = "version.revoke"
	ActionVersionRestore  = "version.restore"
	ActionChannelMove     = "channel.move"
	ActionChannelDelete   = "channel.delete"
	ActionLinkCreate      = "link.create"
	ActionLinkDelete      = "link.delete"
	ActionRunQueue        = "run.queue"
	ActionRunStart        = "run.start"
	ActionRunDone         = "run.done"
	ActionRunFail         = "run.fail"
	ActionRunRepeat       = "run.repeat"
	ActionTokenCreate     = "token.create"
	ActionTokenRevoke     = "token.revoke"
)

// Upload is a transfer of one blob that has begun.
type Upload struct {
	ID string `json:"id"`
	// Artifact is the one on whose behalf the bytes are sent; it may refer to them afterwards.
	Artifact  ArtifactName `json:"artifact"`
	Size      int64        `json:"size" doc:"Bytes to expect."`
	SHA256    Digest       `json:"sha256"`
	CreatedAt time.Time    `json:"created_at"`
	// Number and Component name the build that the bytes are for, where that was announced; Size and SHA256 are those
	// of the bytes that came, and empty before.
	Number    int64  `json:"-"`
	Component string `json:"-"`
	// Draft is what the bytes make, where that was said with the announcement; nil for a pending box.
	Draft *Draft `json:"-"`
	// CreatedBy is the name of the token that began it.
	CreatedBy string `json:"-"`
}
