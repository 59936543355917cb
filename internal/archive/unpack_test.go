package archive_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/archive"
)

// tarOf is a tar of members; what is no file has no content.
func tarOf(t testing.TB, members ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range members {
		if h.Mode == 0 && h.Typeflag != tar.TypeXGlobalHeader {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(bytes.Repeat([]byte("x"), int(h.Size))); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zip(t testing.TB, content []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// file, dir, symlink and hardlink are members.
func file(name string, size int64) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size}
}
func directory(name string) tar.Header { return tar.Header{Typeflag: tar.TypeDir, Name: name} }
func symlink(name, target string) tar.Header {
	return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target}
}
func hardlink(name, target string) tar.Header {
	return tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: target}
}

func TestUnpackIsTheWayBack(t *testing.T) {
	dir := tree(t)
	long := strings.Repeat("long-", 30)
	write(t, 0o644, "far", dir, long, long, long, "name")
	write(t, 0o644, "umlaut", dir, "äöü")
	link(t, long+"/"+long+"/"+long, dir, "far")
	packed := pack(t, dir)
	out := t.TempDir()
	if err := archive.Unpack(t.Context(), bytes.NewReader(packed), out); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(packed, pack(t, out)) {
		t.Errorf("what was unpacked packs to something else: %q", list(t, pack(t, out)))
	}
}

func TestUnpackTakesWhatOtherProgramsPack(t *testing.T) {
	setuid := file("./bin/tool", 3)
	setuid.Mode = 0o6711
	packed := zip(t, tarOf(t,
		tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"comment": "4f2a1c9"}},
		directory("./"), directory("./bin/"), setuid, hardlink("bin/same", "./bin/tool"), symlink("bin/up", "../bin/tool"),
		file("no/parents/f", 1), directory("no/"), symlink("dangling", "nothing")))
	out := t.TempDir()
	if err := archive.Unpack(t.Context(), bytes.NewReader(packed), out); err != nil {
		t.Fatal(err)
	}
	stat, err := os.Stat(filepath.Join(out, "bin", "tool"))
	if err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" && (stat.Mode()&(fs.ModeSetuid|fs.ModeSetgid) != 0 || stat.Mode()&0o700 != 0o700) {
		t.Errorf("the mode is %v", stat.Mode())
	}
	for _, name := range []string{"bin/same", "bin/up"} {
		if content, err := os.ReadFile(filepath.Join(out, filepath.FromSlash(name))); err != nil || string(content) != "xxx" {
			t.Errorf("%s: got %q, %v", name, content, err)
		}
	}
}

func TestUnpackRefuses(t *testing.T) {
	for _, test := range []struct {
		name    string
		members []tar.Header
		want    string
	}{
		{"an absolute name", []tar.Header{file("/evil", 1)}, `member "/evil" of the archive: the name leads out of the directory`},
		{"a name that leads up", []tar.Header{file("../evil", 1)}, `member "../evil" of the archive: the name leads out`},
		{"a name that leads up and down", []tar.Header{file("a/../b", 1)}, `member "a/../b" of the archive: the name leads out`},
		{"an absolute link", []tar.Header{symlink("l", "/etc/passwd")}, `member "l" of the archive: it is a symbolic link to "/etc/passwd", which is outside`},
		{"a link that leads up", []tar.Header{symlink("a/l", "../../evil")}, `member "a/l" of the archive: it is a symbolic link to "../../evil", which is outside`},
		{"links that lead out together", []tar.Header{directory("d"), symlink("d/up", ".."), symlink("l", "d/up/../evil")}, `member "l" of the archive: it is a symbolic link to "d/up/../evil", which cannot be followed within`},
		{"a file through a link", []tar.Header{directory("d"), symlink("l", "d"), file("l/evil", 1)}, `member "l" of the archive: another member has its name`},
		{"a file in the place of a link", []tar.Header{symlink("l", "d"), file("l", 1)}, `member "l" of the archive: another member has its name`},
		{"a hard link to elsewhere", []tar.Header{hardlink("l", "../evil")}, `member "l" of the archive: it is a link to "../evil", which is outside`},
		{"a hard link to nothing", []tar.Header{hardlink("l", "a")}, `member "l" of the archive: it is a link to "a": no such file`},
		{"a hard link to a directory", []tar.Header{directory("a"), hardlink("l", "a")}, `it is a link to "a", which is no file`},
		{"a device", []tar.Header{{Typeflag: tar.TypeChar, Name: "null"}}, `member "null" of the archive: it is of the type '3'`},
		{"a pipe", []tar.Header{{Typeflag: tar.TypeFifo, Name: "pipe"}}, `member "pipe" of the archive: it is of the type '6'`},
		{"a name that comes twice", []tar.Header{file("a", 1), file("a", 1)}, `member "a" of the archive: another member has its name`},
		{"a file in a file", []tar.Header{file("a", 1), file("a/b", 1)}, `member "a/b" of the archive: another member has its name`},
		{"a very long name", []tar.Header{file(strings.Repeat("a/", 3000)+"b", 1)}, "of the archive: the name has 6001 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			outside, dir := t.TempDir(), ""
			dir = filepath.Join(outside, "in")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			err := archive.Unpack(t.Context(), bytes.NewReader(zip(t, tarOf(t, test.members...))), dir)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
			checkInside(t, outside, dir)
		})
	}
	t.Run("a directory that is not empty", func(t *testing.T) {
		dir := tree(t)
		err := archive.Unpack(t.Context(), bytes.NewReader(zip(t, tarOf(t))), dir)
		if err == nil || !strings.Contains(err.Error(), "is not empty") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a directory that is not there", func(t *testing.T) {
		err := archive.Unpack(t.Context(), bytes.NewReader(zip(t, tarOf(t))), filepath.Join(t.TempDir(), "none"))
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v", err)
		}
	})
}

func TestUnpackNamesWhereAnArchiveIsDamaged(t *testing.T) {
	content := tarOf(t, file("first", 10), file("second", 1000))
	whole := zip(t, content)
	flipped := bytes.Clone(whole)
	flipped[len(flipped)-8] ^= 1 // of the checksum
	for _, test := range []struct {
		name   string
		packed []byte
		want   string
	}{
		{"empty", nil, "the archive is no tar.gz: it ends too early"},
		{"something else", []byte("<html></html>"), "the archive is no tar.gz: gzip: invalid header"},
		{"no tar in it", zip(t, bytes.Repeat([]byte("x"), 1024)), "the archive is damaged after its beginning: archive/tar: invalid tar header"},
		{"a tar that is cut in a file", zip(t, content[:3*512+100]), `member "second" of the archive: it ends too early`},
		{"a tar that is cut in a header", zip(t, content[:2*512+100]), `the archive is damaged after the member "first": it ends too early`},
		{"cut short", whole[:len(whole)-4], "the archive is damaged after its last member: it ends too early"},
		{"a wrong checksum", flipped, "the archive is damaged after its last member: gzip: invalid checksum"},
		{"followed by something else", append(bytes.Clone(whole), "more"...), "the archive is damaged after its last member: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			err := archive.Unpack(t.Context(), bytes.NewReader(test.packed), t.TempDir())
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
		})
	}
}

func TestUnpackIsBounded(t *testing.T) {
	three := tarOf(t, file("a", 1000), file("b", 1000), file("c", 1000))
	unpack := func(t *testing.T, content []byte, limit int64) error {
		t.Helper()
		return archive.UnpackAtMost(t.Context(), bytes.NewReader(zip(t, content)), t.TempDir(), limit)
	}
	t.Run("exactly the limit is fine", func(t *testing.T) {
		if err := unpack(t, three, int64(len(three))); err != nil {
			t.Error(err)
		}
	})
	t.Run("one byte more is not", func(t *testing.T) {
		err := unpack(t, three, int64(len(three))-1)
		if err == nil || !strings.Contains(err.Error(), "unpacks to more than") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a file that is too large is not begun", func(t *testing.T) {
		err := unpack(t, three, 2500)
		if want := `member "b" of the archive: the archive unpacks to more than 2500 bytes, which is the limit`; err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	})
	t.Run("zeros behind the end", func(t *testing.T) {
		err := unpack(t, append(three, make([]byte, 1<<20)...), 1<<20)
		if err == nil || !strings.Contains(err.Error(), "unpacks to more than 1048576 bytes") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("links that would fill memory", func(t *testing.T) {
		var links []tar.Header
		for i := range 100 {
			links = append(links, symlink(fmt.Sprint("link-", i), strings.Repeat("a/", 500<<10)))
		}
		err := unpack(t, tarOf(t, links...), archive.MaxUnpacked)
		if err == nil || !strings.Contains(err.Error(), "more than 67108864 bytes of names") {
			t.Errorf("got %.300v", err)
		}
	})
	t.Run("a context ends it", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := archive.Unpack(ctx, bytes.NewReader(zip(t, three)), t.TempDir())
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
	})
}

// checkInside makes sure that nothing is beside dir, and that nothing in dir leads out of it.
func checkInside(t *testing.T, outside, dir string) {
	t.Helper()
	entries, err := os.ReadDir(outside)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 {
		t.Fatalf("there is something beside the directory: %v", entries)
	}
	inside, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch entry.Type() {
		case fs.ModeSymlink:
			at, err := filepath.EvalSymlinks(path)
			if err == nil && at != inside && !strings.HasPrefix(at, inside+string(filepath.Separator)) {
				t.Errorf("%s leads to %s", path, at)
			}
		case 0, fs.ModeDir:
			info, err := entry.Info()
			if err != nil {
				return err
			}
			if info.Mode()&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky) != 0 && entry.Type() == 0 {
				t.Errorf("%s has the mode %v", path, info.Mode())
			}
		default:
			t.Errorf("%s is a %v", path, entry.Type())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// FuzzUnpack takes any bytes for the tar in an archive: whatever it says, nothing is outside of the directory.
func FuzzUnpack(f *testing.F) {
	f.Add(tarOf(f, directory("a"), file("a/b", 10), hardlink("c", "a/b"), symlink("a/d", "../c")))
	f.Add(tarOf(f, file("../evil", 1)))
	f.Add(tarOf(f, symlink("l", "a/../.."), symlink("a", "b/c"), directory("b/c")))
	f.Add(tarOf(f, directory("d"), symlink("d/up", ".."), symlink("l", "d/up/../evil")))
	f.Add(tarOf(f, file(strings.Repeat("long", 50), 1), file("ä", 1)))
	f.Add(tarOf(f, tar.Header{Typeflag: tar.TypeChar, Name: "null"}))
	f.Fuzz(func(t *testing.T, content []byte) {
		outside := t.TempDir()
		dir := filepath.Join(outside, "in")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if archive.UnpackAtMost(t.Context(), bytes.NewReader(zip(t, content)), dir, 1<<20) == nil {
			// What can be unpacked can be packed again, so nothing in it leads out.
			pack(t, dir)
		}
		checkInside(t, outside, dir)
	})
}
