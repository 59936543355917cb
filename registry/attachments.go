package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/cargomedia/packer-plugin-almanac/registry/sbom"
)

func compareAttachments(a, b Attachment) int { return compareFiles(a.File, b.File) }

// checkAttachments returns the attachments with their digests in canonical form, and without formats:
// those are the registry's to say.
func checkAttachments(p *problems, attachments []Attachment) []Attachment {
	const list = "build.attachments"
	files := make([]File, len(attachments))
	for i, a := range attachments {
		files[i] = a.File
	}
	files = checkFiles(p, list, files, MaxAttachments)
	attachments = slices.Clone(attachments)
	for i := range attachments {
		a := &attachments[i]
		a.File, a.Format = files[i], ""
		switch a.Kind {
		case AttachmentDocument:
		case AttachmentSBOM:
			if a.Size > sbom.MaxSize {
				p.add(fmt.Sprintf("%s[%d].size", list, i), "%d bytes is too much for an SBOM; at most %d are read", a.Size, sbom.MaxSize)
			}
		default:
			p.add(fmt.Sprintf("%s[%d].kind", list, i), "%q is none; use sbom or document", clip(string(a.Kind)))
		}
	}
	return attachments
}

// readSBOMs sets the formats of the SBOMs among attachments whose bytes are there. Invalid: one is
// neither CycloneDX nor SPDX, or breaks their rules.
func (s *Service) readSBOMs(ctx context.Context, attachments []Attachment) error {
	var p problems
	for i := range attachments {
		a := &attachments[i]
		if a.Kind != AttachmentSBOM {
			continue
		}
		content, err := s.blobs.Open(ctx, a.SHA256)
		if err != nil {
			return err
		}
		document, err := sbom.Read(content)
		_ = content.Close() // it was only read
		if failed, ok := errors.AsType[*sbom.ReadError](err); ok {
			return failed.Err
		}
		if err != nil {
			p.add(fmt.Sprintf("build.attachments[%d]", i), "%q %v", clip(a.Name), err)
		}
		a.Format = document.String()
	}
	return p.err()
}

// compareAttachmentSets returns the attachments that again has more than old. One that is left out
// stays: attachments can be added one by one.
func compareAttachmentSets(diff *problems, old, again []Attachment) (added []Attachment) {
	for i, a := range again {
		at := slices.IndexFunc(old, func(o Attachment) bool { return o.Name == a.Name })
		field := fmt.Sprintf("build.attachments[%d]", i)
		switch {
		case at < 0:
			added = append(added, a)
		case old[at].File != a.File:
			diff.add(field, "%q has the digest %s, not %s; attach it under another name", clip(a.Name), old[at].SHA256, a.SHA256)
		case old[at].Kind != a.Kind:
			diff.add(field, "%q is recorded as %s, not as %s", clip(a.Name), old[at].Kind, a.Kind)
		}
	}
	return added
}
