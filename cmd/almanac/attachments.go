package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/internal/localfiles"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

// upload is a file of a build, or a document about it, that is to be sent.
type upload struct {
	localfiles.File
	kind registry.AttachmentKind // of a document; "" for a file of the build
}

// send uploads the bytes; a directory is packed first. The build gets what was sent.
func (u upload) send(a *app, to *client.Client, artifact string, build *registry.Build) error {
	return u.Use(a.ctx, func(path string) error {
		file, err := to.UploadFile(a.ctx, artifact, path, u.Name, a.track())
		switch {
		case err != nil:
			return err
		case u.kind == "":
			build.Files = append(build.Files, file)
		default:
			build.Attachments = append(build.Attachments, registry.Attachment{File: file, Kind: u.kind})
		}
		return nil
	})
}

func (c *publishCmd) documents() []localfiles.Document {
	var all []localfiles.Document
	for _, path := range c.SBOM {
		all = append(all, localfiles.Document{Field: "--sbom", Path: path, Kind: registry.AttachmentSBOM})
	}
	for _, path := range c.Attach {
		all = append(all, localfiles.Document{Field: "--attach", Path: path, Kind: registry.AttachmentDocument})
	}
	return all
}

// planUploads looks at documents and names them, so that nothing is sent before all is right.
func planUploads(p *problems, files []localfiles.File, documents []localfiles.Document) []upload {
	var uploads []upload
	for _, f := range files {
		uploads = append(uploads, upload{File: f})
	}
	var once []localfiles.Document
	var twice problems
	for _, d := range documents {
		at := slices.IndexFunc(once, func(other localfiles.Document) bool {
			return localfiles.Absolute(other.Path) == localfiles.Absolute(d.Path)
		})
		if at >= 0 {
			twice.add(d.Field, "%s is there twice, with %s, too; give it once", d.Path, once[at].Field)
			continue
		}
		once = append(once, d)
	}
	named, bad := localfiles.PlanDocuments(once)
	for _, b := range bad {
		p.check(cmp.Or(b.Field, "--sbom, --attach"), b.Err)
	}
	p.fields = append(p.fields, twice.fields...)
	for _, d := range named {
		uploads = append(uploads, upload{d.File, d.Kind})
	}
	return uploads
}

// everyAttachment is what stands for all names in --attachment; no file can have it for its name.
const everyAttachment = "*"

// attachments chooses among the attachments of a build. All names that it lacks are told at once.
func (c *pullCmd) attachments(r registry.Resolution) ([]registry.File, error) {
	var files []registry.File
	var names []string
	for _, a := range r.Attachments {
		names = append(names, a.Name)
		if slices.Contains(c.Attachment, a.Name) || slices.Contains(c.Attachment, everyAttachment) {
			files = append(files, a.File)
		}
	}
	about := fmt.Sprintf("build %s of %s %s", r.Component, r.Artifact, r.Version)
	if len(names) == 0 {
		return nil, hinted(registry.Errorf(registry.NotFound, "%s has no attachments", about), "almanac show "+c.Artifact+" "+shellWord(c.Ref))
	}
	var unknown []string
	for _, name := range c.Attachment {
		if name != everyAttachment && !slices.Contains(names, name) {
			unknown = append(unknown, fmt.Sprintf("%q", name))
		}
	}
	switch {
	case len(unknown) > 0:
		err := &registry.Error{
			Kind: registry.NotFound, Choices: names,
			Msg: fmt.Sprintf("%s has no attachment %s; it has: %s", about, strings.Join(unknown, " and "), strings.Join(names, ", ")),
		}
		return nil, hinted(err, "--attachment NAME with one of these, or --attachment '*'")
	case c.Out != "" && len(files) > 1:
		err := &registry.Error{
			Kind: registry.Conflict, Choices: names,
			Msg: fmt.Sprintf("%d attachments are meant, and -O is for one", len(files)),
		}
		return nil, hinted(err, "--attachment NAME")
	}
	return files, nil
}
