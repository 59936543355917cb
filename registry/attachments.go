package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

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

// readSBOMs sets the formats of the SBOMs among a build's attachments, whose bytes are there. What is
// recorded of the build already was read then. Invalid: one is neither CycloneDX nor SPDX, or breaks their rules.
func (s *Service) readSBOMs(ctx context.Context, name ArtifactName, pub Publication) error {
	if !slices.ContainsFunc(pub.Build.Attachments, func(a Attachment) bool { return a.Kind == AttachmentSBOM }) {
		return nil
	}
	formats := map[Digest]string{}
	switch v, err := s.store.Version(ctx, name, Selector{Fingerprint: pub.Fingerprint}); {
	case err != nil && KindOf(err) != NotFound:
		return err
	default:
		if recorded := v.build(pub.Build.Component); recorded != nil {
			for _, a := range recorded.Attachments {
				if a.Kind == AttachmentSBOM {
					formats[a.SHA256] = a.Format
				}
			}
		}
	}
	var p problems
	for i := range pub.Build.Attachments {
		a := &pub.Build.Attachments[i]
		if a.Kind != AttachmentSBOM {
			continue
		}
		format, known := formats[a.SHA256]
		if !known {
			document, wrong, err := s.readSBOM(ctx, a.SHA256)
			if err != nil {
				return err
			}
			if wrong != nil {
				p.add(fmt.Sprintf("build.attachments[%d]", i), "%q %v", clip(a.Name), wrong)
			}
			if len(p.fields) >= maxWrongSBOMs {
				return p.err()
			}
			format = document.String()
			formats[a.SHA256] = format
		}
		a.Format = format
	}
	return p.err()
}

// readSBOM reads one document; wrong says why it is no SBOM. Few are read at once, because a large one takes
// a processor for a while.
func (s *Service) readSBOM(ctx context.Context, digest Digest) (document sbom.Document, wrong, err error) {
	select {
	case s.sbomReaders <- struct{}{}:
		defer func() { <-s.sbomReaders }()
	case <-ctx.Done():
		return document, nil, ctx.Err()
	}
	content, err := s.blobs.Open(ctx, digest)
	if err != nil {
		return document, nil, err
	}
	document, wrong = sbom.Read(whileAlive{ctx, content})
	_ = content.Close() // it was only read
	if failed, ok := errors.AsType[*sbom.ReadError](wrong); ok {
		return document, nil, failed.Err
	}
	return document, wrong, nil
}

// maxSBOMReaders is how many SBOMs are read at once, and maxWrongSBOMs how many of one request are told to be
// wrong: each can have kilobytes to say.
const (
	maxSBOMReaders = 4
	maxWrongSBOMs  = 5
)

// whileAlive is a reader that ends with its context.
type whileAlive struct {
	ctx context.Context
	io.Reader
}

func (r whileAlive) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(b)
}

// compareAttachmentSets returns the attachments that again has more than old. One that is left out
// stays: attachments can be added one by one.
func compareAttachmentSets(diff *problems, old, again []Attachment) (added []Attachment) {
	for i, a := range again {
		at := slices.IndexFunc(old, func(o Attachment) bool { return strings.EqualFold(o.Name, a.Name) })
		field := fmt.Sprintf("build.attachments[%d]", i)
		switch {
		case at < 0:
			if added = append(added, a); len(old)+len(added) > MaxAttachments {
				diff.add(field, "%q would be attachment %d of the build; at most %d are kept", clip(a.Name), len(old)+len(added), MaxAttachments)
			}
		case old[at].Name != a.Name:
			diff.add(field, "%q differs from the recorded %q in upper and lower case alone; attach it under another name", clip(a.Name), clip(old[at].Name))
		case old[at].File != a.File:
			diff.add(field, "%q has the digest %s, not %s; attach it under another name", clip(a.Name), old[at].SHA256, a.SHA256)
		case old[at].Kind != a.Kind:
			diff.add(field, "%q is recorded as %s, not as %s", clip(a.Name), old[at].Kind, a.Kind)
		}
	}
	return added
}
