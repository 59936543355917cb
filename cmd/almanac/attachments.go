package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/internal/localfiles"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
	"github.com/cargomedia/packer-plugin-almanac/registry/sbom"
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

// document is an argument of --sbom or --attach.
type document struct {
	flag, path string
	kind       registry.AttachmentKind
}

func (c *publishCmd) documents() []document {
	var all []document
	for _, path := range c.SBOM {
		all = append(all, document{"--sbom", path, registry.AttachmentSBOM})
	}
	for _, path := range c.Attach {
		all = append(all, document{"--attach", path, registry.AttachmentDocument})
	}
	return all
}

// planUploads reads documents as far as the registry will, and names them, so that nothing is sent before all
// is right.
func planUploads(p *problems, files []localfiles.File, documents []document) []upload {
	var uploads []upload
	for _, f := range files {
		uploads = append(uploads, upload{File: f})
	}
	var good []document
	var paths []string
	for _, d := range documents {
		at := slices.IndexFunc(good, func(other document) bool { return localfiles.Absolute(other.path) == localfiles.Absolute(d.path) })
		if at >= 0 {
			p.add(d.flag, "%s is there twice, with %s, too; give it once", d.path, good[at].flag)
			continue
		}
		if err := d.check(); err != nil {
			p.check(d.flag, err)
			continue
		}
		good, paths = append(good, d), append(paths, d.path)
	}
	named, wrong := localfiles.Plan(paths)
	for _, err := range wrong {
		p.check("--sbom, --attach", err)
	}
	for _, f := range named {
		i := slices.Index(paths, f.Path)
		uploads = append(uploads, upload{f, good[i].kind})
	}
	return uploads
}

// check reads a bill of materials; of another document it is enough that it is a file.
func (d document) check() error {
	stat, err := os.Stat(d.path)
	switch {
	case err != nil:
		return err
	case stat.IsDir():
		return fmt.Errorf("%s is a directory; attach the files in it", d.path)
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
