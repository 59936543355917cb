package runner

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/internal/archive"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// applicationComponent is the build that is meant where a version has several archives.
const applicationComponent = "application"

// application is what a command works on.
type application struct {
	// dir is absolute.
	dir   string
	build registry.Build
}

// fetch downloads the run's version of the application and unpacks it below dir. It can be called again.
func (a *attempt) fetch(ctx context.Context, dir string) (application, error) {
	v, err := a.Registry.Version(ctx, string(a.run.Application), strconv.FormatInt(a.run.From.Number, 10))
	if err != nil {
		return application{}, err
	}
	build, err := archiveOf(v)
	if err != nil {
		return application{}, err
	}
	app := application{dir: filepath.Join(dir, "application"), build: build}
	if err := os.RemoveAll(app.dir); err != nil {
		return application{}, err
	}
	if err := os.Mkdir(app.dir, 0o755); err != nil {
		return application{}, err
	}
	if len(build.Files) == 1 && isTarball(build.Files[0].Name) {
		return app, a.unpack(ctx, build.Files[0], filepath.Join(dir, "download"), app.dir)
	}
	for _, f := range build.Files {
		if err := a.download(ctx, f, app.dir); err != nil {
			return application{}, err
		}
	}
	return app, nil
}

// archiveOf returns the one build of type archive of a version.
func archiveOf(v registry.Version) (registry.Build, error) {
	builds := slices.DeleteFunc(slices.Clone(v.Builds), func(b registry.Build) bool { return b.Type != registry.Archive })
	components := make([]string, len(builds))
	for i, b := range builds {
		if components[i] = b.Component; b.Component == applicationComponent {
			return b, nil
		}
	}
	switch len(builds) {
	case 0:
		return registry.Build{}, fmt.Errorf("version %s of %s has no build of type archive", v.Version, v.Artifact)
	case 1:
		return builds[0], nil
	}
	return registry.Build{}, fmt.Errorf("version %s of %s has several archives, and none of them is called %s: %s",
		v.Version, v.Artifact, applicationComponent, strings.Join(components, ", "))
}

func isTarball(name string) bool {
	return strings.HasSuffix(name, ".tar.gz") || strings.HasSuffix(name, ".tgz")
}

func (a *attempt) unpack(ctx context.Context, f registry.File, path, dir string) error {
	if err := a.Registry.Download(ctx, f.SHA256, f.Size, path, nil); err != nil {
		return err
	}
	packed, err := os.Open(path)
	if err != nil {
		return err
	}
	err = archive.Unpack(ctx, packed, dir)
	_ = packed.Close()
	if err != nil {
		return fmt.Errorf("%s cannot be unpacked: %w", f.Name, err)
	}
	return os.Remove(path)
}

// download gets a file whose name comes from the registry, and is held to the rule that keeps it below the directory.
func (a *attempt) download(ctx context.Context, f registry.File, dir string) error {
	local := filepath.FromSlash(f.Name)
	if err := registry.CheckFileName(f.Name); err != nil || !filepath.IsLocal(local) {
		return fmt.Errorf("the application has a file %q, which could lead out of its directory", f.Name)
	}
	path := filepath.Join(dir, local)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return a.Registry.Download(ctx, f.SHA256, f.Size, path, nil)
}
