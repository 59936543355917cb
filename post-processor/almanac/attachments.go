package almanac

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/cargomedia/packer-plugin-almanac/internal/localfiles"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/sbom"
)

// document is a path of sbom or attach.
type document struct {
	field, path string
	kind        registry.AttachmentKind
}

func (p *prepared) documents() []document {
	var all []document
	for _, list := range []struct {
		field string
		kind  registry.AttachmentKind
		paths []string
	}{{"sbom", registry.AttachmentSBOM, p.SBOM}, {"attach", registry.AttachmentDocument, p.Attach}} {
		for i, path := range list.paths {
			all = append(all, document{fmt.Sprintf("%s[%d]", list.field, i), path, list.kind})
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
		case d.path == "":
			p.fail(d.field, "is empty; name a file, such as sbom.cdx.json")
			continue
		case !p.known(d.field, d.path, false):
			continue
		}
		if name := p.sensitive(filepath.Base(d.path)); name != "" {
			p.fail(d.field, "the file's name holds the value of the sensitive variable %q; it can be read by everybody who may read the artifact, so choose another", name)
			continue
		}
		at := localfiles.Absolute(d.path)
		if other, ok := seen[at]; ok {
			p.fail(d.field, "%q is there twice, at %s, too; name it once", d.path, other)
		}
		seen[at] = d.field
	}
}

// readDocuments adds the documents to what is to be uploaded, before anything is sent. The error is all
// that is wrong with them; those are left out then.
func (r *recording) readDocuments() error {
	var problems []error
	var good []document
	for _, d := range r.config.documents() {
		if secret := r.secretIn(d.path); secret != "" && !slices.Contains(r.accepted.names, d.path) {
			problems = append(problems, fmt.Errorf("%s: holds %s", d.field, secret))
			r.left = append(r.left, d.field)
			continue
		}
		if err := d.check(); err != nil {
			problems = append(problems, fmt.Errorf("%s: %w", d.field, err))
			r.left = append(r.left, d.path)
			continue
		}
		good = append(good, d)
	}
	var paths []string
	for _, d := range good {
		paths = append(paths, d.path)
	}
	files, wrong := localfiles.Plan(paths)
	if len(wrong) > 0 {
		problems, r.left = append(problems, wrong...), append(r.left, paths...)
		files = nil
	}
	for _, f := range files {
		i := slices.IndexFunc(good, func(d document) bool { return d.path == f.Path })
		r.uploads = append(r.uploads, upload{File: f, kind: good[i].kind})
	}
	if len(problems) == 0 {
		return nil
	}
	return fmt.Errorf("documents that belong to the build cannot be recorded: %w", errors.Join(problems...))
}

// check reads a document as far as the registry will.
func (d document) check() error {
	if unknown(d.path) {
		return fmt.Errorf("%q is not filled in by Packer; this builder has no such build value", d.path)
	}
	stat, err := os.Stat(d.path)
	switch {
	case err != nil:
		return err
	case !stat.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file", d.path)
	case d.kind != registry.AttachmentSBOM:
		return nil
	}
	f, err := os.Open(d.path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	if _, err := sbom.Read(f); err != nil {
		return fmt.Errorf("%s %w", d.path, err)
	}
	return nil
}
