package blob

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func (d *Disk) uploadPath(id string) string { return filepath.Join(d.uploads, id) }

// blobPath takes what [registry.ParseDigest] returned, and nothing else.
func (d *Disk) blobPath(digest registry.Digest) string {
	return filepath.Join(d.blobs, string(digest[:2]), string(digest))
}

// checkID keeps anything but a plain name out of paths.
func checkID(id string) error {
	bad := func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }
	if len(id) < 1 || len(id) > 64 || strings.ContainsFunc(id, bad) {
		return registry.Errorf(registry.Invalid, "upload id %.70q must be 1 to 64 characters out of a-z and 0-9", id)
	}
	return nil
}

// makeDir makes a directory and its parents, each of which survives a crash. One that exists is no
// error.
func makeDir(dir string) error {
	err := os.Mkdir(dir, dirMode)
	if errors.Is(err, fs.ErrNotExist) && filepath.Dir(dir) != dir {
		if err := makeDir(filepath.Dir(dir)); err != nil {
			return err
		}
		err = os.Mkdir(dir, dirMode)
	}
	if errors.Is(err, fs.ErrExist) {
		info, err := os.Stat(dir)
		if err == nil && !info.IsDir() {
			err = &fs.PathError{Op: "mkdir", Path: dir, Err: errors.New("it is not a directory")}
		}
		return err
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(dir))
}
