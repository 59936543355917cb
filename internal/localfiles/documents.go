package localfiles

import (
	"fmt"
	"os"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/sbom"
)

// Document is a path that somebody gave of a document about a build.
type Document struct {
	// Field is where it was given, such as sbom[0].
	Field, Path string
	Kind        registry.AttachmentKind
}

// NamedDocument is a document that can be sent, under its name in the registry.
type NamedDocument struct {
	File
	Kind registry.AttachmentKind
}

// BadDocument is a document that cannot be sent. Without a path it is about all of them.
type BadDocument struct {
	Document
	Err error
}

// PlanDocuments reads documents as far as the registry will, and names them as [Plan] names files. What is
// wrong with one leaves out that one; names that cannot be given leave out all. One that is there twice
// counts once.
func PlanDocuments(documents []Document) ([]NamedDocument, []BadDocument) {
	var bad []BadDocument
	kinds := map[string]registry.AttachmentKind{}
	var paths []string
	for _, d := range documents {
		if err := d.check(); err != nil {
			bad = append(bad, BadDocument{d, err})
			continue
		}
		if _, ok := kinds[d.Path]; !ok {
			kinds[d.Path], paths = d.Kind, append(paths, d.Path)
		}
	}
	files, wrong := Plan(paths)
	for _, err := range wrong {
		bad = append(bad, BadDocument{Err: err})
	}
	if len(wrong) > 0 {
		return nil, bad
	}
	named := make([]NamedDocument, 0, len(files))
	for _, f := range files {
		named = append(named, NamedDocument{f, kinds[f.Path]})
	}
	return named, bad
}

// check reads a bill of materials; of another document it is enough that it is a file.
func (d Document) check() error {
	stat, err := os.Stat(d.Path)
	switch {
	case err != nil:
		return err
	case stat.IsDir():
		return fmt.Errorf("%s is a directory; attach the files in it", d.Path)
	case !stat.Mode().IsRegular():
		return fmt.Errorf("%s is not a regular file", d.Path)
	case d.Kind != registry.AttachmentSBOM:
		return nil
	}
	f, err := os.Open(d.Path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	if _, err := sbom.Read(f); err != nil {
		return fmt.Errorf("%s %w", d.Path, err)
	}
	return nil
}
