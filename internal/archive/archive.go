// Package archive packs a directory as a tar.gz that depends on nothing but what is in it: the same
// tree gives the same bytes on every machine and at every time, so a registry that keeps bytes by
// their digest keeps them once.
//
//	digestible, err := os.Create("out.tar.gz")
//	err = archive.Pack(ctx, digestible, "output-qemu")
//
// Members are in lexical order and named relative to the directory. They have no owner and no time
// (1970-01-01), directories the mode 0755, files 0755 if somebody may run them and else 0644. The
// compressor is Go's, so another Go release may pack the same tree in other bytes.
//
// [PackWithout] leaves out what patterns of .gitignore say. [Unpack] is the way back, also for archives
// that nobody trusts.
package archive

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Pack writes everything below dir to w. Symbolic links are kept as links; one that points out of
// dir is an error, as is whatever is no file, directory or link. Errors name the member.
func Pack(ctx context.Context, w io.Writer, dir string) error {
	return pack(w, dir, &packer{ctx: ctx})
}

// PackWithout is [Pack] without what ignore says and without everything that is called .git. What is
// left out is not looked at: it may be unreadable, or a link to elsewhere. A directory of which nothing is
// left is left out, too; one that was empty is packed. It returns how many files and links were packed.
func PackWithout(ctx context.Context, w io.Writer, dir string, ignore Ignore) (files int, err error) {
	ignored, err := ignore.start()
	if err != nil {
		return 0, err
	}
	p := &packer{ctx: ctx, ignored: ignored}
	err = pack(w, dir, p)
	return p.files, err
}

func pack(w io.Writer, dir string, p *packer) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	zipped := gzip.NewWriter(w)
	p.root, p.out = root, tar.NewWriter(zipped)
	if err := fs.WalkDir(root.FS(), ".", p.add); err != nil {
		return err
	}
	if err := p.leave(""); err != nil {
		return err
	}
	if err := p.out.Close(); err != nil {
		return err
	}
	return zipped.Close()
}

type packer struct {
	ctx  context.Context
	root *os.Root
	out  *tar.Writer
	// ignored is nil where everything is packed.
	ignored *ignoring
	files   int
	// open are the directories that the walk is in, without the root.
	open []openDir
}

// openDir is a directory that is packed before the first member in it, or when it turns out to be empty.
type openDir struct {
	name string
	// packed is true when it is in the archive, without is true when something in it was left out.
	packed, without bool
}

func (p *packer) add(name string, entry fs.DirEntry, err error) error {
	if err != nil {
		return err
	}
	if err := p.ctx.Err(); err != nil {
		return err
	}
	if err := p.leave(name); err != nil {
		return err
	}
	if p.ignored != nil && name != "." && p.ignored.skips(name, entry.IsDir()) {
		p.leftOut()
		if entry.IsDir() {
			return fs.SkipDir
		}
		return nil
	}
	if entry.IsDir() {
		return p.enter(name)
	}
	if err := p.packOpen(); err != nil {
		return err
	}
	p.files++
	header := &tar.Header{Name: name, ModTime: epoch}
	switch entry.Type() {
	case fs.ModeSymlink:
		header.Typeflag, header.Mode = tar.TypeSymlink, 0o777
		if header.Linkname, err = p.link(name); err != nil {
			return err
		}
		return p.out.WriteHeader(header)
	case 0:
		return p.file(name, header)
	}
	return fmt.Errorf("%s is a %s; only files, directories and symbolic links can be packed", name, describe(entry.Type()))
}

var epoch = time.Unix(0, 0).UTC()

func (p *packer) enter(name string) error {
	if name != "." {
		p.open = append(p.open, openDir{name: name})
	}
	if p.ignored == nil {
		return nil
	}
	return p.ignored.enter(p.root, name)
}

// leave closes the directories that a name is not in. One that was empty is packed now.
func (p *packer) leave(name string) error {
	for len(p.open) > 0 {
		last := p.open[len(p.open)-1]
		if strings.HasPrefix(name, last.name+"/") {
			return nil
		}
		if !last.without {
			if err := p.packOpen(); err != nil {
				return err
			}
			last.packed = true
		}
		p.open = p.open[:len(p.open)-1]
		if !last.packed {
			p.leftOut()
		}
	}
	return nil
}

// leftOut remembers that something in the innermost directory was left out.
func (p *packer) leftOut() {
	if len(p.open) > 0 {
		p.open[len(p.open)-1].without = true
	}
}

// packOpen packs the directories that the walk is in.
func (p *packer) packOpen() error {
	for i, dir := range p.open {
		if dir.packed {
			continue
		}
		header := &tar.Header{Typeflag: tar.TypeDir, Mode: 0o755, Name: dir.name + "/", ModTime: epoch}
		if err := p.out.WriteHeader(header); err != nil {
			return fmt.Errorf("%s: %w", dir.name, err)
		}
		p.open[i].packed = true
	}
	return nil
}

// file copies one file. It is opened before it is measured, so that both are about the same bytes.
func (p *packer) file(name string, header *tar.Header) error {
	f, err := p.root.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	stat, err := f.Stat()
	if err != nil {
		return err
	}
	if !stat.Mode().IsRegular() {
		return fmt.Errorf("%s changed while it was packed", name)
	}
	header.Typeflag, header.Size, header.Mode = tar.TypeReg, stat.Size(), 0o644
	if stat.Mode()&0o111 != 0 {
		header.Mode = 0o755
	}
	if err := p.out.WriteHeader(header); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	n, err := io.Copy(p.out, &interruptible{p.ctx, f})
	if errors.Is(err, tar.ErrWriteTooLong) || err == nil && n != stat.Size() {
		return fmt.Errorf("%s changed its size while it was packed", name)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

// link returns where a symbolic link points, if that is inside the directory. It is checked in two
// ways: by its text, which holds wherever it is unpacked, and by following it with all the links on
// its way, which os.Root refuses to do beyond the directory.
func (p *packer) link(name string) (string, error) {
	target, err := p.root.Readlink(name)
	if err != nil {
		return "", err
	}
	outside := fmt.Errorf("%s is a symbolic link to %s, which is outside the directory; such links cannot be packed", name, target)
	if leadsOut(name, target) {
		return "", outside
	}
	switch _, err := p.root.Stat(name); {
	case err == nil, errors.Is(err, fs.ErrNotExist):
		return filepath.ToSlash(target), nil
	case errors.Is(err, fs.ErrPermission):
		return "", err
	case errors.Is(err, syscall.ELOOP):
		return "", fmt.Errorf("%s is a symbolic link to %s, which leads in a circle; such links cannot be packed", name, target)
	default:
		return "", outside
	}
}

// leadsOut says whether a link leads out of the directory by its text.
func leadsOut(name, target string) bool {
	slashed := filepath.ToSlash(target)
	if path.IsAbs(slashed) || filepath.IsAbs(target) || filepath.VolumeName(target) != "" {
		return true
	}
	at := path.Join(path.Dir(name), slashed)
	return at == ".." || strings.HasPrefix(at, "../")
}

func describe(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeNamedPipe != 0:
		return "named pipe"
	case mode&fs.ModeSocket != 0:
		return "socket"
	case mode&fs.ModeDevice != 0:
		return "device"
	}
	return "special file"
}

// interruptible makes a long copy end soon after its context does.
type interruptible struct {
	ctx context.Context
	r   io.Reader
}

func (i *interruptible) Read(b []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.r.Read(b)
}
