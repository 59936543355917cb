package registry_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

const bom = `{"bomFormat":"CycloneDX","specVersion":"1.6","version":1,"components":[{"type":"library","name":"zlib"}]}`

func (w *world) attachment(ctx context.Context, name, content string, kind registry.AttachmentKind) registry.Attachment {
	w.t.Helper()
	f := w.upload(ctx, "cargomedia/app", content)
	f.Name = name
	return registry.Attachment{File: f, Kind: kind}
}

func TestAttachments(t *testing.T) {
	onBothEngines(t, func(t *testing.T, w *world) {
		ctx := admin(t)
		list := w.attachment(ctx, "sbom.cdx.json", bom, registry.AttachmentSBOM)
		notes := w.attachment(ctx, "notes.txt", "notes", registry.AttachmentDocument)
		pub := amis("run-1", "a.x", "us-east-1")
		list.Format = "what a client says of it"
		pub.Build.Attachments = []registry.Attachment{list}
		w.publish(ctx, "cargomedia/app", pub)
		list.Format = "CycloneDX 1.6"

		recorded := func() []registry.Attachment {
			t.Helper()
			r, err := w.Resolve(ctx, "cargomedia/app", "latest", registry.Question{})
			if err != nil {
				t.Fatal(err)
			}
			return r.Attachments
		}
		if diff := cmp.Diff([]registry.Attachment{list}, recorded()); diff != "" {
			t.Error(diff)
		}

		t.Run("can be added later, and left out of a repetition", func(t *testing.T) {
			pub.Build.Attachments = []registry.Attachment{notes}
			w.publish(ctx, "cargomedia/app", pub)
			pub.Build.Attachments = nil
			w.publish(ctx, "cargomedia/app", pub)
			if diff := cmp.Diff([]registry.Attachment{notes, list}, recorded()); diff != "" {
				t.Error(diff)
			}
		})
		t.Run("do not change", func(t *testing.T) {
			pub.Build.Attachments = []registry.Attachment{w.attachment(ctx, "notes.txt", "other notes", registry.AttachmentDocument)}
			_, err := w.Publish(ctx, "cargomedia/app", pub)
			wantError(t, err, registry.Conflict, "build.attachments[0]", "notes.txt", "another name")
			pub.Build.Attachments = []registry.Attachment{list}
			pub.Build.Attachments[0].Kind = registry.AttachmentDocument
			_, err = w.Publish(ctx, "cargomedia/app", pub)
			wantError(t, err, registry.Conflict, "is recorded as sbom")
		})
		t.Run("can be downloaded by those who may read the artifact", func(t *testing.T) {
			b, err := w.Blob(as(t, registry.RoleRead, "cargomedia/app"), string(notes.SHA256))
			if err != nil {
				t.Fatal(err)
			}
			if err := b.Close(); err != nil || b.Size != notes.Size {
				t.Errorf("%+v, %v", b, err)
			}
			_, err = w.Blob(as(t, registry.RoleRead, "other/app"), string(notes.SHA256))
			wantError(t, err, registry.NotFound)
		})
	})
}

func TestAttachmentsAreLimitedHoweverTheyCome(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	pub := amis("run-1", "a.x", "us-east-1")
	note := w.attachment(ctx, "", "note", registry.AttachmentDocument)
	some := func(prefix string, n int) []registry.Attachment {
		var list []registry.Attachment
		for i := range n {
			a := note
			a.Name = fmt.Sprint(prefix, i)
			list = append(list, a)
		}
		return list
	}
	pub.Build.Attachments = some("a", registry.MaxAttachments-1)
	w.publish(ctx, "cargomedia/app", pub)
	pub.Build.Attachments = some("A", 1)
	_, err := w.Publish(ctx, "cargomedia/app", pub)
	wantError(t, err, registry.Conflict, `"A0"`, "upper and lower case")
	pub.Build.Attachments = some("b", 2)
	_, err = w.Publish(ctx, "cargomedia/app", pub)
	wantError(t, err, registry.Conflict, "build.attachments[1]", "at most 100")
	pub.Build.Attachments = some("b", 1)
	w.publish(ctx, "cargomedia/app", pub)
}

func TestAttachmentsAreRefused(t *testing.T) {
	w, ctx := newWorld(t), admin(t)
	for name, test := range map[string]struct {
		attachments []registry.Attachment
		words       []string
	}{
		"an SBOM that is none": {
			[]registry.Attachment{w.attachment(ctx, "sbom.json", `{"hello":"world"}`, registry.AttachmentSBOM)},
			[]string{`build.attachments[0]: "sbom.json"`, "neither CycloneDX nor SPDX"},
		},
		"bytes that are not there": {
			[]registry.Attachment{{File: registry.File{Name: "x", Size: 3, SHA256: registry.SecretDigest("x")}, Kind: registry.AttachmentDocument}},
			[]string{"build.attachments[0].sha256", "upload them first"},
		},
		"names, kinds and sizes, all at once": {
			[]registry.Attachment{
				{File: registry.File{Name: "../x", SHA256: registry.SecretDigest("x")}, Kind: "poem"},
				{File: registry.File{Name: "y", SHA256: "?"}, Kind: registry.AttachmentDocument},
				{File: registry.File{Name: "Y", Size: 1 << 40, SHA256: registry.SecretDigest("x")}, Kind: registry.AttachmentSBOM},
			},
			[]string{"build.attachments[0].name", `build.attachments[0].kind: "poem"`, "build.attachments[1].sha256", "build.attachments[2].name", "build.attachments[2].size"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			pub := amis("run-1", "a.x", "us-east-1")
			pub.Build.Attachments = test.attachments
			_, err := w.Publish(ctx, "cargomedia/app", pub)
			wantError(t, err, registry.Invalid, test.words...)
			_, err = w.Artifact(ctx, "cargomedia/app")
			wantError(t, err, registry.NotFound)
		})
	}
}
