package registrytest

import (
	"fmt"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func attachment(name string, kind registry.AttachmentKind, format, content string) registry.Attachment {
	return registry.Attachment{
		File: registry.File{Name: name, Size: int64(len(content)), SHA256: digest(content)},
		Kind: kind, Format: format,
	}
}

var attachmentTests = []storeTest{
	{"AttachmentsComeBackSortedByName", func(f *fixture) {
		v := version("a/b", 1)
		first, second := build("x", registry.AmazonImage), build("y", registry.Archive)
		first.Attachments = []registry.Attachment{
			attachment("z.cdx.json", registry.AttachmentSBOM, "CycloneDX 1.6", "sbom"),
			attachment("Notes/ä.txt", registry.AttachmentDocument, "", "notes"),
			attachment("a.txt", registry.AttachmentDocument, "", "notes"),
		}
		second.Files = []registry.File{{Name: "a.txt", Size: 4, SHA256: digest("file")}}
		second.Attachments = []registry.Attachment{attachment("a.txt", registry.AttachmentDocument, hostile, "other")}
		v.Builds = []registry.Build{first, second}
		f.publish(v)
		a := first.Attachments
		v.Builds[0].Attachments = []registry.Attachment{a[1], a[2], a[0]}
		f.equal("Version", f.version("a/b", 1), v)
		f.reopen()
		f.equal("Version after reopening", f.version("a/b", 1), v)
	}},

	{"InsertAttachmentsAddsToOneBuild", func(f *fixture) {
		v := version("a/b", 1)
		v.Builds = []registry.Build{build("x", registry.AmazonImage), build("y", registry.AmazonImage)}
		v.Builds[1].Attachments = []registry.Attachment{attachment("m", registry.AttachmentDocument, "", "m")}
		other := version("a/b", 2)
		other.Builds = []registry.Build{build("y", registry.AmazonImage)}
		f.publish(v, other)
		for _, added := range [][]registry.Attachment{
			{attachment("z", registry.AttachmentSBOM, "SPDX 2.3", "z"), attachment("b", registry.AttachmentDocument, "", "m")},
			{attachment("a", registry.AttachmentDocument, "", "a")},
			nil,
		} {
			f.update(func(tx registry.Tx) error { return tx.InsertAttachments(f.ctx, "a/b", 1, "y", added) })
		}
		v.Builds[1].Attachments = []registry.Attachment{
			attachment("a", registry.AttachmentDocument, "", "a"), attachment("b", registry.AttachmentDocument, "", "m"),
			attachment("m", registry.AttachmentDocument, "", "m"), attachment("z", registry.AttachmentSBOM, "SPDX 2.3", "z"),
		}
		f.equal("Version", f.version("a/b", 1), v)
		f.equal("another version", f.version("a/b", 2), other)
	}},

	{"InsertAttachmentsWithANameThatIsTakenChangesNothing", func(f *fixture) {
		v := version("a/b", 1)
		v.Builds = []registry.Build{build("x", registry.AmazonImage)}
		v.Builds[0].Attachments = []registry.Attachment{attachment("a", registry.AttachmentDocument, "", "old")}
		f.publish(v)
		err := f.store.Update(f.ctx, func(tx registry.Tx) error {
			return tx.InsertAttachments(f.ctx, "a/b", 1, "x", []registry.Attachment{
				attachment("new", registry.AttachmentDocument, "", "new"), attachment("a", registry.AttachmentDocument, "", "changed"),
			})
		})
		f.wantKind("InsertAttachments", err, registry.Internal)
		f.equal("Version", f.version("a/b", 1), v)
	}},

	{"ManyAttachmentsAreKept", func(f *fixture) {
		v := version("a/b", 1)
		b := build("x", registry.Archive)
		for i := range 200 { // more than one statement may hold
			b.Attachments = append(b.Attachments, attachment(fmt.Sprintf("a-%04d", i), registry.AttachmentDocument, "", fmt.Sprint(i)))
		}
		v.Builds = []registry.Build{b}
		f.publish(v)
		f.equal("Version", f.version("a/b", 1), v)
	}},

	{"ABlobIsVisibleThroughAttachmentsOfVisibleArtifacts", func(f *fixture) {
		for number := int64(1); number <= 2; number++ {
			v := version("a/b", number)
			v.Builds = []registry.Build{build("x", registry.AmazonImage)}
			v.Builds[0].Attachments = []registry.Attachment{attachment("1", registry.AttachmentSBOM, "", "sbom"), attachment("2", registry.AttachmentDocument, "", "sbom")}
			f.publish(v)
		}
		f.create("a/other")
		f.update(func(tx registry.Tx) error {
			return tx.InsertAttachments(f.ctx, "a/b", 1, "x", []registry.Attachment{attachment("later", registry.AttachmentDocument, "", "later")})
		})
		for _, blob := range []string{"sbom", "later"} {
			for _, c := range []struct {
				visible registry.Visibility
				want    bool
			}{
				{everything, true}, {only("a/b"), true}, {registry.Visibility{Namespaces: []string{"x", "a"}}, true},
				{registry.Visibility{}, false}, {only("a/other"), false}, {registry.Visibility{Namespaces: []string{"b"}}, false},
			} {
				f.equal(fmt.Sprintf("BlobVisible %s for %+v", blob, c.visible), f.hasBlob(blob, c.visible), c.want)
			}
		}
		f.equal("an unknown blob is visible", f.hasBlob("unknown", everything), false)
		f.update(func(tx registry.Tx) error {
			return tx.PutArtifact(f.ctx, registry.Artifact{Name: "a/b", Public: true, UpdatedAt: moment})
		})
		f.equal("an attachment of a public artifact is visible", f.hasBlob("sbom", registry.Visibility{}), true)
	}},
}
