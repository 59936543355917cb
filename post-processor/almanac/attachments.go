package almanac

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/cargomedia/packer-plugin-almanac/internal/localfiles"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func (p *prepared) documents() []localfiles.Document {
	var all []localfiles.Document
	for _, list := range []struct {
		field string
		kind  registry.AttachmentKind
		paths []string
	}{{"sbom", registry.AttachmentSBOM, p.SBOM}, {"attach", registry.AttachmentDocument, p.Attach}} {
		for i, path := range list.paths {
			all = append(all, localfiles.Document{Field: fmt.Sprintf("%s[%d]", list.field, i), Path: path, Kind: list.kind})
		}
	}
	return all
}

// checkDocuments checks how documents are named. Most of them are made by the build.
func (p *prepared) checkDocuments() {
	all := p.documents()
	if len(all) > registry.MaxAttachments {
		p.fail("attach", "there are %d documents, with those of sbom; a build has at most %d", len(all), registry.MaxAttachments)
	}
	seen := map[string]string{}
	for _, d := range all {
		switch {
		case d.Path == "":
			p.fail(d.Field, "is empty; name a file, such as sbom.cdx.json")
			continue
		case !p.known(d.Field, d.Path, false):
			continue
		}
		if name := p.sensitive(filepath.Base(d.Path)); name != "" {
			p.fail(d.Field, "the file's name holds the value of the sensitive variable %q; it can be read by everybody who may read the artifact, so choose another", name)
			continue
		}
		at := localfiles.Absolute(d.Path)
		if other, ok := seen[at]; ok {
			p.fail(d.Field, "%q is there twice, at %s, too; name it once", d.Path, other)
		}
		seen[at] = d.Field
	}
}

// readDocuments adds the documents to what is to be uploaded, before anything is sent. The error is all
// that is wrong with them; those are left out then.
func (r *recording) readDocuments() error {
	var problems []error
	var usable []localfiles.Document
	for _, d := range r.config.documents() {
		if secret := r.secretIn(d.Path); secret != "" && !slices.Contains(r.accepted.names, d.Path) {
			problems = append(problems, fmt.Errorf("%s: holds %s", d.Field, secret))
			r.left = append(r.left, d.Field)
		} else if unknown(d.Path) {
			problems = append(problems, fmt.Errorf("%s: %q is not filled in by Packer; this builder has no such build value", d.Field, d.Path))
			r.left = append(r.left, d.Path)
		} else {
			usable = append(usable, d)
		}
	}
	named, bad := localfiles.PlanDocuments(usable)
	for _, b := range bad {
		if b.Path == "" {
			problems = append(problems, b.Err)
			continue
		}
		problems = append(problems, fmt.Errorf("%s: %w", b.Field, b.Err))
	}
	for _, d := range named {
		r.uploads = append(r.uploads, upload{File: d.File, kind: d.Kind})
	}
	for _, d := range usable {
		if !slices.ContainsFunc(named, func(n localfiles.NamedDocument) bool { return n.Path == d.Path }) {
			r.left = append(r.left, d.Path)
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return fmt.Errorf("documents that belong to the build cannot be recorded: %w", errors.Join(problems...))
}
