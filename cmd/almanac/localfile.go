package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/internal/archive"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/box"
)

// localFile is a file or directory that is to be uploaded, and its name in the registry.
type localFile struct {
	path, name string
	dir        bool
}

// checkLocalFiles makes sure that all files are there and can be told apart by their names.
func checkLocalFiles(p *problems, paths []string) []localFile {
	var files []localFile
	seen := map[string]string{}
	for _, path := range paths {
		stat, err := os.Stat(path)
		if err != nil {
			p.check("--file", err)
			continue
		}
		f := localFile{path: path, name: fileName(path), dir: stat.IsDir()}
		if f.dir {
			f.name += ".tar.gz"
		} else if !stat.Mode().IsRegular() {
			p.add("--file", "%s is neither a file nor a directory", path)
			continue
		}
		p.check("--file", registry.CheckFileName(f.name))
		folded := strings.ToLower(f.name)
		if other, ok := seen[folded]; ok {
			p.add("--file", "%s and %s would both be named %s; rename one", other, path, f.name)
		}
		seen[folded] = path
		files = append(files, f)
	}
	return files
}

// fileName is the last part of a path, also of "." and "dist/..".
func fileName(path string) string {
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	return filepath.Base(path)
}

// describeBox takes provider and architecture from the box itself. What the flags say must agree.
func describeBox(p *problems, f localFile, build *registry.Build) {
	if f.dir {
		p.add("--file", "%s is a directory; a vagrant.box is one file", f.path)
		return
	}
	info, err := box.ReadFile(f.path)
	if err != nil {
		if _, ok := errors.AsType[*os.PathError](err); ok {
			p.check("--file", err)
		} else {
			p.add("--file", "%s is not a Vagrant box: %v", f.path, err)
		}
		return
	}
	if build.Provider != "" && build.Provider != info.Provider {
		p.add("--provider", "is %q, but the box is for %q; leave the flag out", build.Provider, info.Provider)
	}
	build.Provider = info.Provider
	if build.Architecture != "" && info.Architecture != "" && build.Architecture != info.Architecture {
		p.add("--architecture", "is %q, but the box is for %q; leave the flag out", build.Architecture, info.Architecture)
	}
	if build.Architecture == "" {
		build.Architecture = info.Architecture
	}
}

// packDir packs a directory into a temporary file, which the caller removes.
func packDir(ctx context.Context, dir string) (path string, err error) {
	f, err := os.CreateTemp("", "almanac-*.tar.gz")
	if err != nil {
		return "", err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	return f.Name(), archive.Pack(ctx, f, dir)
}
