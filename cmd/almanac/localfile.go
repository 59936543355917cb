package main

import (
	"errors"
	"os"

	"github.com/cargomedia/packer-plugin-almanac/internal/localfiles"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/box"
)

// planFiles makes sure that all files are there, and names them.
func planFiles(p *problems, paths []string) []localfiles.File {
	files, wrong := localfiles.Plan(paths)
	for _, err := range wrong {
		p.check("--file", err)
	}
	return files
}

// describeBox takes provider and architecture from the box itself, and returns which flags are not
// used because of that.
func describeBox(p *problems, f localfiles.File, build *registry.Build) (notes []string) {
	if f.Dir {
		p.add("--file", "%s is a directory; a vagrant.box is one file", f.Path)
		return nil
	}
	info, err := box.ReadFile(f.Path)
	if err == nil {
		return localfiles.DescribeBox(build, info)
	}
	if _, ok := errors.AsType[*os.PathError](err); ok {
		p.check("--file", err)
	} else {
		p.add("--file", "%s is not a Vagrant box: %v", f.Path, err)
	}
	return nil
}
