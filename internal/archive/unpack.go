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
	"slices"
	"strings"
)

const (
	// MaxUnpacked is how many bytes [Unpack] takes out of an archive: 100 GiB.
	MaxUnpacked = 100 << 30
	// maxMembers bounds what costs a file system more than bytes.
	maxMembers = 1_000_000
	// maxName is the longest path that programs can open on Linux.
	maxName = 4096
	// maxLinkText bounds the memory that symbolic links take until they are made, in bytes.
	maxLinkText = 64 << 20
)

// Unpack writes the members of a tar.gz below dir, which must be there and be empty. Nothing is written
// outside of dir, whatever the archive says: absolute names, "..", links that lead out, devices and a name
// that comes twice are errors. Files get the mode 0755 if somebody may run them and else 0644, less the
// umask, and neither owner nor time.
//
// An archive that is damaged, ends early, has more than a million members, links whose names fill memory, or
// unpacks to more than [MaxUnpacked] bytes is an error, too. Errors name the member. After one, dir holds what came before it.
func Unpack(ctx context.Context, r io.Reader, dir string) error {
	return UnpackAtMost(ctx, r, dir, MaxUnpacked)
}

// UnpackAtMost is [Unpack] with another limit: neither the files nor the archive without its compression
// may have more bytes.
func UnpackAtMost(ctx context.Context, r io.Reader, dir string, limit int64) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := checkEmpty(root, dir); err != nil {
		return err
	}
	unzipped, err := gzip.NewReader(&interruptible{ctx, r})
	if err != nil {
		return fmt.Errorf("the archive is no tar.gz: %w", ended(err))
	}
	content := &limited{r: unzipped, left: limit, limit: limit}
	u := unpacker{ctx: ctx, root: root, in: tar.NewReader(content), left: limit, limit: limit}
	if err := u.all(); err != nil {
		return err
	}
	// The checksum comes last.
	if _, err := io.Copy(io.Discard, content); err != nil {
		return fmt.Errorf("the archive is damaged after its last member: %w", ended(err))
	}
	return u.makeLinks()
}

func checkEmpty(root *os.Root, dir string) error {
	f, err := root.Open(".")
	if err != nil {
		return err
	}
	defer f.Close()
	switch _, err := f.ReadDir(1); {
	case err == nil:
		return fmt.Errorf("%s is not empty; an archive is unpacked into an empty directory", dir)
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
}

// link is a symbolic link that is not made yet.
type link struct{ name, target string }

type unpacker struct {
	ctx   context.Context
	root  *os.Root
	in    *tar.Reader
	left  int64
	limit int64
	// links are made when all else is there, so that nothing is written through one.
	links []link
	// linkText is how many bytes their names and targets have.
	linkText int
}

func (u *unpacker) all() error {
	last := "its beginning"
	for n := 0; ; n++ {
		header, err := u.in.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		switch {
		case err != nil:
			return fmt.Errorf("the archive is damaged after %s: %w", last, ended(err))
		case n == maxMembers:
			return fmt.Errorf("the archive has more than %d members", maxMembers)
		}
		if err := u.member(header); err != nil {
			return fmt.Errorf("member %q of the archive: %w", header.Name, reason(err))
		}
		last = fmt.Sprintf("the member %q", header.Name)
	}
}

func (u *unpacker) member(h *tar.Header) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	name, err := memberName(h.Name)
	if err != nil {
		return err
	}
	if name == "." && h.Typeflag == tar.TypeDir {
		return nil
	}
	if err := u.root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return u.root.MkdirAll(name, 0o755)
	case tar.TypeReg:
		return u.file(name, h)
	case tar.TypeLink:
		return u.hardLink(name, h.Linkname)
	case tar.TypeSymlink:
		if h.Linkname == "" || leadsOut(name, h.Linkname) {
			return fmt.Errorf("it is a symbolic link to %q, which is outside the directory", h.Linkname)
		}
		if u.linkText += len(name) + len(h.Linkname); u.linkText > maxLinkText {
			return fmt.Errorf("the symbolic links of the archive have more than %d bytes of names, which is the limit", maxLinkText)
		}
		u.links = append(u.links, link{name, h.Linkname})
		return nil
	}
	return fmt.Errorf("it is of the type %q; only files, directories and links can be unpacked", h.Typeflag)
}

// memberName returns the cleaned name of what is below the directory on every operating system.
func memberName(name string) (string, error) {
	if len(name) > maxName {
		return "", fmt.Errorf("the name has %d bytes; at most %d are possible", len(name), maxName)
	}
	clean := path.Clean(name)
	if name == "" || !filepath.IsLocal(filepath.FromSlash(clean)) || slices.Contains(strings.Split(name, "/"), "..") {
		return "", errors.New("the name leads out of the directory")
	}
	return clean, nil
}

func (u *unpacker) file(name string, h *tar.Header) (err error) {
	if h.Size > u.left {
		return tooLarge(u.limit)
	}
	u.left -= h.Size
	mode := fs.FileMode(0o644)
	if h.Mode&0o111 != 0 {
		mode = 0o755
	}
	f, err := u.root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	// The holes of a sparse file are not read from the archive, so that its reader cannot end this.
	_, err = io.Copy(f, &interruptible{u.ctx, u.in})
	return ended(err)
}

// hardLink makes a second name for a file. Another link is refused: its target would mean something else
// in another directory.
func (u *unpacker) hardLink(name, linkname string) error {
	target, err := memberName(linkname)
	if err != nil {
		return fmt.Errorf("it is a link to %q, which is outside the directory", linkname)
	}
	stat, err := u.root.Lstat(target)
	if err != nil {
		return fmt.Errorf("it is a link to %q: %w", target, reason(err))
	}
	if !stat.Mode().IsRegular() {
		return fmt.Errorf("it is a link to %q, which is no file", target)
	}
	return u.root.Link(target, name)
}

// makeLinks makes the symbolic links, or none. Each is followed, with all the links on its way, because
// together they may lead where none does by its text.
func (u *unpacker) makeLinks() (err error) {
	made := 0
	defer func() {
		if err == nil {
			return
		}
		for _, l := range u.links[:made] {
			err = errors.Join(err, u.root.Remove(l.name))
		}
	}()
	for _, l := range u.links {
		if err := u.ctx.Err(); err != nil {
			return err
		}
		if err := u.root.Symlink(l.target, l.name); err != nil {
			return fmt.Errorf("member %q of the archive: %w", l.name, reason(err))
		}
		made++
	}
	for _, l := range u.links {
		if err := u.ctx.Err(); err != nil {
			return err
		}
		if _, err := u.root.Stat(l.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("member %q of the archive: it is a symbolic link to %q, which cannot be followed within the directory: %w", l.name, l.target, reason(err))
		}
	}
	return nil
}

// limited ends with an error when there is more than the limit.
type limited struct {
	r           io.Reader
	left, limit int64
}

func (l *limited) Read(b []byte) (int, error) {
	if l.left <= 0 {
		// What ends at the limit is fine.
		if n, err := l.r.Read(make([]byte, 1)); n == 0 {
			return 0, err
		}
		return 0, tooLarge(l.limit)
	}
	n, err := l.r.Read(b[:min(int64(len(b)), l.left)])
	l.left -= int64(n)
	return n, err
}

func tooLarge(limit int64) error {
	return fmt.Errorf("the archive unpacks to more than %d bytes, which is the limit", limit)
}

// ended names the end that comes too early.
func ended(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return errors.New("it ends too early")
	}
	return err
}

// reason leaves out the name of the system call, and the path, which the caller gives.
func reason(err error) error {
	if errors.Is(err, fs.ErrExist) {
		return errors.New("another member has its name")
	}
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		return e.Err
	}
	return err
}
