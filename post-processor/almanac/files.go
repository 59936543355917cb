package almanac

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/cargomedia/packer-plugin-almanac/internal/archive"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

// trackedSize is from where on an upload shows a progress bar.
const trackedSize = 1 << 20

// upload is one file of the artifact on its way into the registry.
type upload struct {
	path string // as the artifact has it
	dir  bool   // it is a directory, which is packed
	size int64  // bytes; unknown for a directory
	name string // in the registry
	file registry.File
}

// planUploads looks at all files and gives each a name of its own: its base name, or its path from
// the directory that all have in common where base names collide. It reports all that is wrong.
func planUploads(paths []string) ([]upload, error) {
	var uploads []upload
	var wrong []error
	for _, p := range paths {
		stat, err := os.Stat(p)
		switch {
		case err != nil:
			wrong = append(wrong, fmt.Errorf("the artifact's file cannot be read: %w", err))
		case stat.IsDir():
			uploads = append(uploads, upload{path: p, dir: true})
		case stat.Mode().IsRegular():
			uploads = append(uploads, upload{path: p, size: stat.Size()})
		default:
			wrong = append(wrong, fmt.Errorf("the artifact's file %s is neither a file nor a directory", p))
		}
	}
	if err := errors.Join(wrong...); err != nil {
		return nil, err
	}
	base := func(u upload) string { return filepath.Base(absolute(u.path)) }
	if !nameUploads(uploads, base) {
		root := commonDir(uploads)
		relative := func(u upload) string {
			if rel, err := filepath.Rel(root, absolute(u.path)); err == nil {
				return rel
			}
			return absolute(u.path)
		}
		if !nameUploads(uploads, relative) {
			return nil, errors.New("two of the artifact's files have the same name but for upper and lower case")
		}
	}
	for _, u := range uploads {
		if err := registry.CheckFileName(u.name); err != nil {
			return nil, err
		}
	}
	return uploads, nil
}

// nameUploads names all uploads and says whether the names differ, as they must, in more than case.
func nameUploads(uploads []upload, name func(upload) string) bool {
	seen := map[string]bool{}
	for i, u := range uploads {
		n := fileName(name(u))
		if u.dir {
			n += ".tar.gz"
		}
		uploads[i].name = n
		seen[strings.ToLower(n)] = true
	}
	return len(seen) == len(uploads)
}

// fileName gives a path the form of a name in the registry: slashes, and nothing that some operating
// system could not unpack.
func fileName(p string) string {
	slashed := strings.Map(func(r rune) rune {
		if r == '\\' || r == ':' || unicode.IsControl(r) {
			return '-'
		}
		return r
	}, strings.ToValidUTF8(filepath.ToSlash(p), "-"))
	return strings.TrimPrefix(path.Clean("/"+slashed), "/")
}

func absolute(p string) string {
	if abs, err := filepath.Abs(p); err == nil {
		return abs
	}
	return filepath.Clean(p)
}

// commonDir is the deepest directory that all uploads are below.
func commonDir(uploads []upload) string {
	common := filepath.Dir(absolute(uploads[0].path))
	for _, u := range uploads[1:] {
		for {
			rel, err := filepath.Rel(common, absolute(u.path))
			if err == nil && rel != "." && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator)) {
				break
			}
			parent := filepath.Dir(common)
			if parent == common {
				return common
			}
			common = parent
		}
	}
	return common
}

// upload sends all files. Those that the registry has already are not sent again.
func (r *recording) upload(ctx context.Context, c *client.Client) error {
	for i := range r.uploads {
		u := &r.uploads[i]
		var err error
		if u.dir {
			r.ui.say("Packing %s as %s", u.path, u.name)
			err = r.sendDir(ctx, c, u)
		} else {
			err = r.send(ctx, c, u, u.path)
		}
		if err != nil {
			return fmt.Errorf("uploading %s: %w", u.path, err)
		}
	}
	return nil
}

func (r *recording) send(ctx context.Context, c *client.Client, u *upload, path string) error {
	var track client.Track
	if u.size >= trackedSize {
		r.ui.say("Uploading %s", u.name)
		track = r.ui.TrackProgress
	}
	var err error
	u.file, err = c.UploadFile(ctx, string(r.config.artifact), path, u.name, track)
	return err
}

// sendDir packs a directory into a temporary file and sends that.
func (r *recording) sendDir(ctx context.Context, c *client.Client, u *upload) (err error) {
	packed, err := os.CreateTemp("", "almanac-*.tar.gz")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(packed.Name())) }()
	err = archive.Pack(ctx, packed, u.path)
	if err = errors.Join(err, packed.Close()); err != nil {
		return err
	}
	stat, err := os.Stat(packed.Name())
	if err != nil {
		return err
	}
	u.size = stat.Size()
	return r.send(ctx, c, u, packed.Name())
}
