// Package localfiles prepares files and directories of this machine for the registry. The Packer plugin
// and the command line share it, so that the same paths get the same names from both:
//
//	files, wrong := localfiles.Plan([]string{"output/a/disk.img", "output/b/disk.img", "site"})
//	// named a/disk.img, b/disk.img and site.tar.gz
//	err := files[0].Use(ctx, func(path string) error { … })
package localfiles

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode"

	"github.com/cargomedia/packer-plugin-almanac/internal/archive"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// maxFiles is how many files the registry takes for one build.
const maxFiles = 1000

// File is a file, or a directory that is packed, and its name in the registry.
type File struct {
	Path string // as it was given
	Name string
	Dir  bool
}

// Unique leaves out what is listed before, by the absolute path.
func Unique(paths []string) []string {
	var unique []string
	seen := map[string]bool{}
	for _, p := range paths {
		if at := Absolute(p); !seen[at] {
			seen[at] = true
			unique = append(unique, p)
		}
	}
	return unique
}

// Plan looks at all paths and names what is there: by the last part of the path or, where these are
// the same but for case, by the path from the directory that all have in common. What some operating
// system cannot have in a name is replaced. The errors are all that is wrong; no file is to be used then.
func Plan(paths []string) ([]File, []error) {
	paths = Unique(paths)
	if len(paths) > maxFiles {
		return nil, []error{fmt.Errorf("there are %d files; a build has at most %d, so put them into a directory and give that", len(paths), maxFiles)}
	}
	var files []File
	var wrong []error
	for _, p := range paths {
		stat, err := os.Stat(p)
		switch {
		case err != nil:
			wrong = append(wrong, err)
		case stat.IsDir():
			files = append(files, File{Path: p, Dir: true})
		case stat.Mode().IsRegular():
			files = append(files, File{Path: p})
		default:
			wrong = append(wrong, fmt.Errorf("%s is neither a file nor a directory", p))
		}
	}
	base := func(f File) string { return filepath.Base(Absolute(f.Path)) }
	if err := name(files, base); err != nil {
		root := commonDir(files)
		relative := func(f File) string {
			if rel, err := filepath.Rel(root, Absolute(f.Path)); err == nil {
				return rel
			}
			return Absolute(f.Path)
		}
		if err := name(files, relative); err != nil {
			wrong = append(wrong, err)
		}
	}
	for _, f := range files {
		if err := registry.CheckFileName(f.Name); err != nil {
			wrong = append(wrong, err)
		}
	}
	return files, wrong
}

// name names all files. The error says which two would get the same name, or one that differs in case
// alone.
func name(files []File, by func(File) string) error {
	var err error
	seen := map[string]string{}
	for i, f := range files {
		n := portable(by(f))
		if f.Dir {
			n += ".tar.gz"
		}
		files[i].Name = n
		folded := strings.ToLower(n)
		if other, ok := seen[folded]; ok && err == nil {
			err = fmt.Errorf("%s and %s would both be named %s; rename one", other, f.Path, n)
		}
		seen[folded] = f.Path
	}
	return err
}

// portable gives a path the form that [registry.CheckFileName] asks for.
func portable(p string) string {
	slashed := strings.Map(func(r rune) rune {
		if strings.ContainsRune(`\:<>"|?*`, r) || unicode.IsControl(r) {
			return '-'
		}
		return r
	}, strings.ToValidUTF8(filepath.ToSlash(p), "-"))
	parts := strings.Split(strings.TrimPrefix(path.Clean("/"+slashed), "/"), "/")
	for i, part := range parts {
		kept := strings.TrimRight(part, ". ")
		parts[i] = kept + strings.Repeat("-", len(part)-len(kept))
		if registry.CheckFileName(parts[i]) != nil {
			parts[i] = "_" + parts[i] // it is called like a device
		}
	}
	return strings.Join(parts, "/")
}

// Absolute returns the absolute path, which needs nothing to be there.
func Absolute(p string) string {
	if abs, err := filepath.Abs(p); err == nil {
		return abs
	}
	return filepath.Clean(p)
}

// commonDir is the deepest directory that all files are below.
func commonDir(files []File) string {
	common := filepath.Dir(Absolute(files[0].Path))
	for _, f := range files[1:] {
		for {
			rel, err := filepath.Rel(common, Absolute(f.Path))
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

// Use calls use with the path of the bytes: the file's own or, for a directory, that of a temporary
// file which it is packed into.
func (f File) Use(ctx context.Context, use func(path string) error) error {
	if !f.Dir {
		return use(f.Path)
	}
	packed, err := os.CreateTemp("", "almanac-*.tar.gz")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(packed.Name()) }() // a temporary file
	if err := errors.Join(archive.Pack(ctx, packed, f.Path), packed.Close()); err != nil {
		return err
	}
	return use(packed.Name())
}

// Copy writes the bytes to w: the file's own, or those of the directory's package, without a temporary
// file.
func (f File) Copy(ctx context.Context, w io.Writer) error {
	if f.Dir {
		return archive.Pack(ctx, w, f.Path)
	}
	stat, err := os.Stat(f.Path)
	if err == nil && !stat.Mode().IsRegular() {
		// Another one can wait for a writer, or have no end.
		err = &fs.PathError{Op: "open", Path: f.Path, Err: errors.New("is not a regular file")}
	}
	if err != nil {
		return err
	}
	file, err := os.Open(f.Path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it was only read
	_, err = io.Copy(w, reading{ctx, file})
	return err
}

// reading ends with its context.
type reading struct {
	ctx context.Context
	r   io.Reader
}

func (r reading) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(b)
}
