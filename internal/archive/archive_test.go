package archive_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/internal/archive"
)

func write(t *testing.T, mode os.FileMode, content string, parts ...string) {
	t.Helper()
	name := filepath.Join(parts...)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

func link(t *testing.T, target string, parts ...string) {
	t.Helper()
	if err := os.Symlink(target, filepath.Join(parts...)); err != nil {
		t.Fatal(err)
	}
}

func pack(t *testing.T, dir string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := archive.Pack(t.Context(), &b, dir); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// list unpacks an archive into one line per member.
func list(t *testing.T, packed []byte) []string {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	if z.Name != "" || !z.ModTime.IsZero() {
		t.Errorf("the gzip header has the name %q and the time %v, want none", z.Name, z.ModTime)
	}
	var lines []string
	r := tar.NewReader(z)
	for {
		h, err := r.Next()
		if err == io.EOF {
			return lines
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if h.ModTime.Unix() != 0 || h.Uid != 0 || h.Gid != 0 || h.Uname != "" || h.Gname != "" {
			t.Errorf("%s has a time or an owner: %+v", h.Name, h)
		}
		lines = append(lines, fmt.Sprintf("%s %o %s%s", h.Name, h.Mode, h.Linkname, content))
	}
}

func tree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, 0o600, "two", dir, "b.txt")
	write(t, 0o700, "run", dir, "a", "tool")
	write(t, 0o644, "deep", dir, "a", "z", "deep.txt")
	if err := os.Mkdir(filepath.Join(dir, "empty"), 0o700); err != nil {
		t.Fatal(err)
	}
	link(t, "../b.txt", dir, "a", "up")
	link(t, "not-there", dir, "dangling")
	return dir
}

func TestPackKeepsWhatMatters(t *testing.T) {
	want := []string{
		"a/ 755 ", "a/tool 755 run", "a/up 777 ../b.txt", "a/z/ 755 ", "a/z/deep.txt 644 deep",
		"b.txt 644 two", "dangling 777 not-there", "empty/ 755 ",
	}
	if diff := cmp.Diff(want, list(t, pack(t, tree(t)))); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
}

func TestPackGivesTheSameBytes(t *testing.T) {
	one, two := tree(t), tree(t)
	old := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	for _, name := range []string{"b.txt", "a", "a/tool"} {
		if err := os.Chtimes(filepath.Join(two, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(two, "b.txt"), 0o640); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(pack(t, one), pack(t, two)) {
		t.Error("two trees with the same content gave different archives")
	}
	write(t, 0o600, "Two", two, "b.txt")
	if bytes.Equal(pack(t, one), pack(t, two)) {
		t.Error("two trees with different content gave the same archive")
	}
}

func TestPackRefusesWhatIsOutside(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(t *testing.T, dir string)
	}{
		{"absolute link", func(t *testing.T, dir string) { link(t, "/etc/passwd", dir, "bad") }},
		{"link above", func(t *testing.T, dir string) { link(t, "../elsewhere", dir, "bad") }},
		{"link above from below", func(t *testing.T, dir string) {
			write(t, 0o600, "", dir, "x", "f")
			link(t, "../../y", dir, "x", "bad")
		}},
		{"link above by another link", func(t *testing.T, dir string) {
			write(t, 0o600, "", dir, "d", "f")
			link(t, "..", dir, "d", "up")
			link(t, "d/up/../secret", dir, "bad")
			write(t, 0o600, "", filepath.Dir(dir), "secret")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "in")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			c.make(t, dir)
			err := archive.Pack(t.Context(), io.Discard, dir)
			if err == nil || !strings.Contains(err.Error(), "outside the directory") || !strings.Contains(err.Error(), "bad") {
				t.Errorf("got %v, want an error that names the link", err)
			}
		})
	}
}

func TestPackSaysOfLinksThatTheyLeadInACircle(t *testing.T) {
	dir := t.TempDir()
	link(t, "two", dir, "one")
	link(t, "one", dir, "two")
	err := archive.Pack(t.Context(), io.Discard, dir)
	if want := "one is a symbolic link to two, which leads in a circle; such links cannot be packed"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestPackRefusesSockets(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no unix sockets in the file system of Windows")
	}
	// A short path: the name of a socket is limited to about a hundred bytes.
	dir, err := os.MkdirTemp("", "pack")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := archive.Pack(t.Context(), io.Discard, dir); err == nil || !strings.Contains(err.Error(), "s is a socket") {
		t.Errorf("got %v, want an error that names the socket", err)
	}
}

func TestPackEnds(t *testing.T) {
	if err := archive.Pack(t.Context(), io.Discard, filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing directory: got %v, want os.ErrNotExist", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := archive.Pack(ctx, io.Discard, tree(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: got %v, want context.Canceled", err)
	}
}
