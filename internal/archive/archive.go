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
	"time"
)

// Pack writes everything below dir to w. Symbolic links are kept as links; one that points out of
// dir is an error, as is whatever is no file, directory or link. Errors name the member.
func Pack(ctx context.Context, w io.Writer, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	zipped := gzip.NewWriter(w)
	p := packer{ctx: ctx, root: root, out: tar.NewWriter(zipped)}
	if err := fs.WalkDir(root.FS(), ".", p.add); err != nil {
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
}

func (p *packer) add(name string, entry fs.DirEntry, err error) error {
	if err != nil {
		return err
	}
	if err := p.ctx.Err(); err != nil || name == "." {
		return err
	}
	header := &tar.Header{Name: name, ModTime: time.Unix(0, 0).UTC()}
	switch entry.Type() {
	case fs.ModeDir:
		header.Typeflag, header.Mode, header.Name = tar.TypeDir, 0o755, name+"/"
		return p.out.WriteHeader(header)
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
	slashed := filepath.ToSlash(target)
	outside := fmt.Errorf("%s is a symbolic link to %s, which is outside the directory; such links cannot be packed", name, target)
	if path.IsAbs(slashed) || filepath.IsAbs(target) || filepath.VolumeName(target) != "" {
		return "", outside
	}
	if at := path.Join(path.Dir(name), slashed); at == ".." || strings.HasPrefix(at, "../") {
		return "", outside
	}
	switch _, err := p.root.Stat(name); {
	case err == nil, errors.Is(err, fs.ErrNotExist):
		return slashed, nil
	case errors.Is(err, fs.ErrPermission):
		return "", err
	default:
		return "", outside
	}
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
