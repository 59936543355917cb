package crashtest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// step is what is sent at the same time. The next one begins when all of it was acknowledged.
type step []func() bool

const (
	moving = "staging" // follows what is published
	pinned = "prod"    // is moved by hand
)

func (h *harness) newRun(round, worker, seq int) *run {
	return &run{
		artifact: artifacts[(worker+seq)%len(artifacts)], round: round, published: map[string]time.Time{},
		fingerprint: fmt.Sprintf("r%d-w%d-s%d", round, worker, seq),
	}
}

// plan chooses what a run does.
func (h *harness) plan(r *run, rng *rand.Rand) []step {
	plans := []func(*run, *rand.Rand) []step{
		h.planImages, h.planImages, h.planArchive, h.planArchive, h.planBox, h.planComponents, h.planTwins,
		h.planVerified, h.planGrowing, h.planRevoked, h.planMoved, h.planToken,
	}
	return plans[rng.IntN(len(plans))](r, rng)
}

// base is a publication without content.
func (r *run) base(rng *rand.Rand, component string, typ registry.Type) registry.Publication {
	pub := registry.Publication{
		Fingerprint:     r.fingerprint,
		VersionMetadata: registry.Metadata{"run": r.fingerprint},
		Build: registry.Build{
			Component: component, Type: typ, Architecture: "x86_64",
			Metadata:   registry.Metadata{"os": "debian", "component": component},
			Provenance: registry.Metadata{"packer.version": "1.14.2", "git.commit": r.fingerprint},
		},
	}
	if rng.IntN(2) == 0 {
		pub.Channels = []string{moving}
	}
	return pub
}

// images are AMIs in the regions AREA-1, AREA-2 …; an area belongs to one component.
func (r *run) images(area string, from, to int) []registry.Image {
	var images []registry.Image
	for i := from; i <= to; i++ {
		images = append(images, registry.Image{
			Provider: "aws", Region: fmt.Sprintf("%s-%d", area, i), ID: amiID(r.fingerprint, area, i),
			SourceID: "ami-0source", Labels: registry.Metadata{"name": r.fingerprint},
		})
	}
	return images
}

func amiID(fingerprint, area string, i int) string {
	return "ami-" + string(digestOf(fmt.Appendf(nil, "%s %s %d", fingerprint, area, i)))[:17]
}

func published(component string) string { return registry.ActionBuildPublish + " " + component }

func always(registry.Build) bool { return true }

func (h *harness) planImages(r *run, rng *rand.Rand) []step {
	pub := r.base(rng, "amazon-ebs.app", registry.AmazonImage)
	pub.Build.Images = r.images("eu-west", 1, 1+rng.IntN(20))
	return []step{{h.task(r, h.publication(r, "publish images", pub, always, published("amazon-ebs.app")))}}
}

// planArchive uploads files at once, two of them the same bytes, and publishes them with a document.
func (h *harness) planArchive(r *run, rng *rand.Rand) []step {
	pub := r.base(rng, "null.site", registry.Archive)
	var uploads step
	for i := range 1 + rng.IntN(3) {
		u := h.newUpload(r, fmt.Sprintf("dist/%d.tar", i), randomContent(rng))
		uploads = append(uploads, h.sending(u))
		if i == 0 && rng.IntN(3) == 0 {
			uploads = append(uploads, h.sending(h.newUpload(r, "twin", u.content)))
		}
		pub.Build.Files = append(pub.Build.Files, u.file)
	}
	readme := h.newUpload(r, "README.md", []byte("made by "+r.fingerprint))
	sbom := h.newUpload(r, "sbom.cdx.json", fmt.Appendf(nil, `{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"metadata":{"component":{"type":"application","name":%q}}}`, r.fingerprint))
	uploads = append(uploads, h.sending(readme), h.sending(sbom))
	pub.Build.Attachments = []registry.Attachment{
		{File: readme.file, Kind: registry.AttachmentDocument},
		{File: sbom.file, Kind: registry.AttachmentSBOM, Format: "CycloneDX 1.6"},
	}
	return []step{uploads, {h.task(r, h.publication(r, "publish files", pub, always, published("null.site")))}}
}

func (h *harness) planBox(r *run, rng *rand.Rand) []step {
	pub := r.base(rng, "virtualbox-iso.app", registry.VagrantBox)
	pub.Build.Provider = "virtualbox"
	u := h.newUpload(r, "app.box", randomContent(rng))
	pub.Build.Files = []registry.File{u.file}
	return []step{{h.sending(u)}, {h.task(r, h.publication(r, "publish files", pub, always, published("virtualbox-iso.app")))}}
}

// planComponents publishes at once the components that a version expects.
func (h *harness) planComponents(r *run, rng *rand.Rand) []step {
	components := []string{"amazon-ebs.a", "amazon-ebs.b", "amazon-ebs.c"}[:2+rng.IntN(2)]
	areas := []string{"eu-west", "us-east", "ap-south"}
	channels := r.base(rng, "", "").Channels
	var parts step
	for i, component := range components {
		pub := r.base(rng, component, registry.AmazonImage)
		pub.Expect, pub.Channels = components, channels
		pub.Build.Images = r.images(areas[i], 1, 1+rng.IntN(5))
		parts = append(parts, h.task(r, h.publication(r, "publish component", pub, always, published(component))))
	}
	if rng.IntN(2) == 0 { // one after the other
		var steps []step
		for _, p := range parts {
			steps = append(steps, step{p})
		}
		return steps
	}
	return []step{parts}
}

// planTwins sends the same publication several times at once.
func (h *harness) planTwins(r *run, rng *rand.Rand) []step {
	pub := r.base(rng, "amazon-ebs.app", registry.AmazonImage)
	pub.Build.Images = r.images("eu-west", 1, 3)
	a := h.publication(r, "publish at once", pub, always, published("amazon-ebs.app"))
	return []step{{h.task(r, a), h.task(r, a), h.task(r, a)}}
}

// planVerified publishes an image that is pending, and then tells what became of it.
func (h *harness) planVerified(r *run, rng *rand.Rand) []step {
	const component = "amazon-ebs.app"
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	pub := r.base(rng, component, registry.AmazonImage)
	pub.Build.Images = r.images("eu-west", 1, 3)
	pub.Build.Images[1].Verification = &registry.Verification{Status: registry.ImagePending, At: at, Reason: "still copying"}
	found := registry.Verification{Status: registry.ImageAvailable, At: at.Add(time.Hour), Attributes: registry.Metadata{"architecture": "x86_64"}}
	if rng.IntN(4) == 0 {
		found = registry.Verification{Status: registry.ImageFailed, At: at.Add(time.Hour), Reason: "it is gone"}
	}
	return []step{
		{h.task(r, h.publication(r, "publish pending", pub, always, published(component)))},
		{h.task(r, h.verification(r, component, pub.Build.Images[1], found))},
	}
}

// planGrowing adds images, an attachment and a build to a version that is complete.
func (h *harness) planGrowing(r *run, rng *rand.Rand) []step {
	const component = "amazon-ebs.app"
	pub := r.base(rng, component, registry.AmazonImage)
	pub.Build.Images = r.images("eu-west", 1, 2)
	more := pub
	added := r.images("eu-west", 3, 3+rng.IntN(3))
	more.Build.Images = append(slices.Clone(pub.Build.Images), added...)
	names := ""
	for _, i := range added {
		names += " " + i.String()
	}
	u := h.newUpload(r, "notes.txt", []byte("notes on "+r.fingerprint))
	attached := more
	attached.Build.Attachments = []registry.Attachment{{File: u.file, Kind: registry.AttachmentDocument}}
	second := r.base(rng, "amazon-ebs.late", registry.AmazonImage)
	second.Channels = pub.Channels
	second.Build.Images = r.images("us-east", 1, 2)
	return []step{
		{h.task(r, h.publication(r, "publish images", pub, always, published(component)))},
		{h.task(r, h.publication(r, "add images", more, func(b registry.Build) bool { return len(b.Images) > 2 },
			registry.ActionImagesAdd+" "+component+names)), h.sending(u)},
		{h.task(r, h.publication(r, "attach", attached, func(b registry.Build) bool { return len(b.Attachments) > 0 },
			registry.ActionAttachmentsAdd+" "+component+" notes.txt"))},
		{h.task(r, h.publication(r, "add build", second, always, published("amazon-ebs.late")))},
	}
}

func (h *harness) planRevoked(r *run, rng *rand.Rand) []step {
	steps := h.planImages(r, rng)
	steps = append(steps, step{h.task(r, h.revocation(r, "broken: "+r.fingerprint))})
	if rng.IntN(2) == 0 {
		steps = append(steps, step{h.task(r, h.restoration(r))})
	}
	return steps
}

func (h *harness) planMoved(r *run, rng *rand.Rand) []step {
	return append(h.planImages(r, rng), step{h.task(r, h.move(r, pinned, "moved by "+r.fingerprint))})
}
