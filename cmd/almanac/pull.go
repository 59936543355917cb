package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

type pullCmd struct {
	Artifact   string   `arg:"" help:"NAMESPACE/NAME."`
	Ref        string   `arg:"" help:"A version: 3, 1.2.0, '~> 1.2', latest, a channel or a fingerprint."`
	File       string   `placeholder:"NAME" xor:"what" help:"Only the file with this name."`
	Attachment []string `sep:"none" placeholder:"NAME" xor:"what" help:"Instead of the files, the attachment with this name, or '*' for all of them. Can be repeated."`
	Dir        string   `placeholder:"DIR" complete:"dir" xor:"target" help:"Directory for the files. Default: the current one."`
	Out        string   `short:"O" name:"out" placeholder:"FILE" complete:"file" xor:"target" help:"Where to write the one file that is meant."`
	Force      bool     `help:"Overwrite files that differ."`
	questionFlags
}

func (c *pullCmd) Help() string {
	return `Every file is checked against its sha256 before it gets its name. A download that was cut goes on where it was. A file that is there already with the right content is left alone, another one is not overwritten without --force.

Examples:

    almanac pull cargomedia/base latest --type vagrant.box --provider virtualbox
    almanac pull cargomedia/site production --file site.tar.gz -O /srv/site.tar.gz
    almanac pull cargomedia/app production --type aws.ami --attachment sbom.cdx.json`
}

func (c *pullCmd) Run(a *app) error {
	var p problems
	checkTarget(&p, c.Artifact, c.Ref)
	q := c.question(&p)
	if c.Out == "-" {
		p.add("--out", "must be a file: what is downloaded is checked before anybody gets it")
	}
	if err := p.err("pull"); err != nil {
		return err
	}
	r, err := a.resolve(c.Artifact, c.Ref, q, "--type, --component, --arch, --provider or --metadata")
	if err != nil {
		return err
	}
	wanted, err := c.wanted(r)
	if err != nil {
		return err
	}
	a.warnRevoked(r.VersionID, r.Revocation)
	return c.download(a, wanted)
}

// pulled is a file and where it goes.
type pulled struct {
	registry.File
	Path string `json:"path"`
	// Present is true when the file was there already.
	Present bool `json:"present"`
}

// wanted chooses among the files of a build, or among its attachments.
func (c *pullCmd) wanted(r registry.Resolution) ([]pulled, error) {
	if len(c.Attachment) > 0 {
		files, err := c.attachments(r)
		if err != nil {
			return nil, err
		}
		return c.targets(files)
	}
	names := make([]string, len(r.Files))
	for i, f := range r.Files {
		names[i] = f.Name
	}
	files := r.Files
	if c.File != "" {
		files = slices.DeleteFunc(slices.Clone(files), func(f registry.File) bool { return f.Name != c.File })
	}
	switch {
	case len(r.Files) == 0:
		hint := "almanac resolve " + c.Artifact + " " + shellWord(c.Ref) + " prints the ids of its images"
		if len(r.Attachments) > 0 {
			hint += "; --attachment '*' downloads its attachments"
		}
		err := registry.Errorf(registry.NotFound, "build %s of %s %s has no files", r.Component, r.Artifact, r.Version)
		return nil, hinted(err, hint)
	case len(files) == 0:
		return nil, &registry.Error{
			Kind: registry.NotFound, Choices: names,
			Msg: fmt.Sprintf("build %s of %s %s has no file %q; it has: %s", r.Component, r.Artifact, r.Version, c.File, strings.Join(names, ", ")),
		}
	case c.Out != "" && len(files) > 1:
		err := &registry.Error{
			Kind: registry.Conflict, Choices: names,
			Msg: fmt.Sprintf("build %s of %s %s has %d files, and -O is for one: %s", r.Component, r.Artifact, r.Version, len(files), strings.Join(names, ", ")),
		}
		return nil, hinted(err, "--file NAME")
	}
	return c.targets(files)
}

// targets gives every file its path. The names come from the registry, so they are held to the rule
// that keeps them below the directory.
func (c *pullCmd) targets(files []registry.File) ([]pulled, error) {
	targets := make([]pulled, len(files))
	for i, f := range files {
		local := filepath.FromSlash(f.Name)
		if err := registry.CheckFileName(f.Name); err != nil || !filepath.IsLocal(local) {
			return nil, fmt.Errorf("the registry names a file %q, which could lead out of the directory; it was not downloaded", f.Name)
		}
		targets[i] = pulled{File: f, Path: filepath.Join(c.Dir, local)}
		if c.Out != "" {
			targets[i].Path = c.Out
		}
	}
	return targets, nil
}

func (c *pullCmd) download(a *app, files []pulled) error {
	if err := c.checkPresent(a.ctx, files); err != nil {
		return err
	}
	client, err := a.transferClient()
	if err != nil {
		return err
	}
	for _, f := range files {
		if f.Present {
			continue
		}
		if err := c.makeParent(f); err != nil {
			return err
		}
		if err := client.Download(a.ctx, f.SHA256, f.Size, f.Path, a.track()); err != nil {
			return hinted(err, "the same command again; it goes on where this one was cut", registry.Unavailable)
		}
	}
	return a.show(map[string][]pulled{"files": files}, func() {
		for _, f := range files {
			state := ""
			if f.Present {
				state = ", was there already"
			}
			a.printf("%s (%s%s)\n", clean(f.Path), byteSize(f.Size), state)
		}
	})
}

// checkPresent finds files that are there already and refuses, before anything is downloaded, to
// overwrite those that differ.
func (c *pullCmd) checkPresent(ctx context.Context, files []pulled) error {
	var differ []registry.FieldError
	for i, f := range files {
		stat, err := os.Stat(f.Path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return err
		case !stat.Mode().IsRegular():
			differ = append(differ, registry.FieldError{Field: f.Path, Message: "is not a regular file"})
			continue
		}
		same, err := client.HasContent(ctx, f.Path, f.SHA256, f.Size)
		if err != nil {
			return err
		}
		files[i].Present = same
		if !same && !c.Force {
			differ = append(differ, registry.FieldError{Field: f.Path, Message: "is there already, with other content"})
		}
	}
	if len(differ) > 0 {
		err := &registry.Error{Kind: registry.Conflict, Msg: "nothing was downloaded, because files would be overwritten", Fields: differ}
		return hinted(err, "--force to overwrite them, or another --dir")
	}
	return nil
}

// makeParent makes the directories of a file. Those below --dir are made by a root that no symbolic
// link leads out of.
func (c *pullCmd) makeParent(f pulled) error {
	if c.Out != "" {
		return nil
	}
	dir := cmp.Or(c.Dir, ".")
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	parent := filepath.Dir(filepath.FromSlash(f.Name))
	if err := root.MkdirAll(parent, 0o777); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(dir, parent), err)
	}
	// MkdirAll is content with a link that leads elsewhere if it is the last part.
	if _, err := root.Stat(parent); err != nil {
		return fmt.Errorf("%s: %w", filepath.Join(dir, parent), err)
	}
	return nil
}
