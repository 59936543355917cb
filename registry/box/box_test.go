package box_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/registry/box"
)

type member struct {
	name, content string
	kind          byte
}

func tarOf(t testing.TB, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range members {
		h := &tar.Header{Name: m.name, Mode: 0o644, Size: int64(len(m.content)), Typeflag: tar.TypeReg}
		if m.kind != 0 {
			h.Typeflag, h.Size, h.Linkname = m.kind, 0, "elsewhere"
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := io.WriteString(w, m.content); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t testing.TB, content []byte) []byte {
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

const disk = "box-disk.vmdk"

func TestRead(t *testing.T) {
	full := member{name: "metadata.json", content: `{"provider":"virtualbox","architecture":"amd64","format":"x"}`}
	noise := member{name: disk, content: strings.Repeat("disk", 100_000)}
	for _, c := range []struct {
		name    string
		content []byte
		want    box.Info
		err     string // a part of the error's text
	}{
		{"gzipped", gzipped(t, tarOf(t, full, noise)), box.Info{Provider: "virtualbox", Architecture: "amd64"}, ""},
		{"plain tar", tarOf(t, full, noise), box.Info{Provider: "virtualbox", Architecture: "amd64"}, ""},
		{"metadata last", gzipped(t, tarOf(t, noise, full)), box.Info{Provider: "virtualbox", Architecture: "amd64"}, ""},
		{"with a leading dot", tarOf(t, member{name: "./metadata.json", content: `{"provider":"libvirt"}`}), box.Info{Provider: "libvirt"}, ""},
		{"null architecture", tarOf(t, member{name: "metadata.json", content: `{"provider":"libvirt","architecture":null}`}), box.Info{Provider: "libvirt"}, ""},
		{"empty file", nil, box.Info{}, "it is empty"},
		{"text", []byte(strings.Repeat("no box at all ", 100)), box.Info{}, "it is not a tar archive"},
		{"short text", []byte("hi"), box.Info{}, "not a tar archive"},
		{"gzipped text", gzipped(t, []byte(strings.Repeat("no box at all ", 100))), box.Info{}, "not a tar archive inside"},
		{"zip", []byte("PK\x03\x04and more"), box.Info{}, "it is a zip archive; a box must be a tar archive"},
		{"xz", []byte("\xfd7zXZ\x00"), box.Info{}, "compressed with xz"},
		{"broken gzip header", []byte{0x1f, 0x8b, 0, 0, 0, 0, 0, 0, 0, 0}, box.Info{}, "gzip header"},
		{"cut gzip", gzipped(t, tarOf(t, noise, full))[:400], box.Info{}, "cut short before its metadata.json: the file ends too early"},
		{"cut tar", tarOf(t, noise, full)[:5000], box.Info{}, "cut short before its metadata.json"},
		{"cut metadata", tarOf(t, full)[:520], box.Info{}, "cut short in its metadata.json"},
		{"no metadata", tarOf(t, noise), box.Info{}, "has no metadata.json; a box needs one"},
		{"a box in an archive", gzipped(t, tarOf(t, member{name: "app.BOX", content: string(tarOf(t, full))})), box.Info{}, "an archive with a box in it; send the box itself, compressed with gzip"},
		{"a plain tar in an archive", gzipped(t, tarOf(t, member{name: "plain.tar", content: string(tarOf(t, full))})), box.Info{}, "an archive with a box in it"},
		{"a box and more in an archive", gzipped(t, tarOf(t, member{name: "app.box", content: string(tarOf(t, full))}, noise)), box.Info{}, "has no metadata.json"},
		{"metadata in a directory", tarOf(t, member{name: "sub/metadata.json", content: `{"provider":"x"}`}), box.Info{}, "has no metadata.json"},
		{"metadata is a link", tarOf(t, member{name: "metadata.json", kind: tar.TypeSymlink}), box.Info{}, "not a regular file"},
		{"huge metadata", tarOf(t, member{name: "metadata.json", content: strings.Repeat(" ", 1<<20+1)}), box.Info{}, "has 1048577 bytes; at most 1048576"},
		{"no JSON", tarOf(t, member{name: "metadata.json", content: "provider: x"}), box.Info{}, "is not a JSON object"},
		{"a JSON list", tarOf(t, member{name: "metadata.json", content: "[]"}), box.Info{}, "is not a JSON object"},
		{"no provider", tarOf(t, member{name: "metadata.json", content: `{"architecture":"arm64"}`}), box.Info{}, "names no provider"},
		{"blank provider", tarOf(t, member{name: "metadata.json", content: `{"provider":" "}`}), box.Info{}, "names no provider"},
		{"number for a provider", tarOf(t, member{name: "metadata.json", content: `{"provider":7}`}), box.Info{}, "the provider in its metadata.json is not a string"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for how, r := range map[string]io.Reader{
				"seekable": bytes.NewReader(c.content),
				"stream":   struct{ io.Reader }{bytes.NewReader(c.content)},
			} {
				got, err := box.Read(r)
				if got != c.want {
					t.Errorf("%s: got %+v, want %+v", how, got, c.want)
				}
				if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
					t.Errorf("%s: got error %v, want one with %q", how, err, c.err)
				}
			}
		})
	}
}

func TestReadStopsAtMetadata(t *testing.T) {
	whole := tarOf(t, member{name: "metadata.json", content: `{"provider":"qemu"}`}, member{name: disk, content: strings.Repeat("x", 1<<20)})
	got, err := box.Read(bytes.NewReader(whole[:2000]))
	if err != nil || got.Provider != "qemu" {
		t.Errorf("got %+v, %v, want qemu: what follows metadata.json is not read", got, err)
	}
}

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "app.box")
	if err := os.WriteFile(name, gzipped(t, tarOf(t, member{name: "metadata.json", content: `{"provider":"hyperv"}`})), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := box.ReadFile(name); err != nil || got.Provider != "hyperv" {
		t.Errorf("got %+v, %v, want hyperv", got, err)
	}
	if _, err := box.ReadFile(dir); err == nil || !strings.Contains(err.Error(), "regular file") {
		t.Errorf("directory: got %v, want an error that it is not a regular file", err)
	}
	if _, err := box.ReadFile(filepath.Join(dir, "none.box")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: got %v, want os.ErrNotExist", err)
	}
}

func FuzzRead(f *testing.F) {
	good := tarOf(f, member{name: "metadata.json", content: `{"provider":"virtualbox","architecture":"amd64"}`})
	f.Add(good)
	f.Add(gzipped(f, good))
	f.Add(good[:600])
	f.Add([]byte("PK\x03\x04"))
	f.Fuzz(func(t *testing.T, content []byte) {
		info, err := box.Read(bytes.NewReader(content))
		if err == nil && (info.Provider == "" || len(info.Provider) > 255) {
			t.Errorf("a box without a usable provider was accepted: %+v", info)
		}
		if err != nil && info != (box.Info{}) {
			t.Errorf("got %+v together with the error %v", info, err)
		}
		again, againErr := box.Read(struct{ io.Reader }{bytes.NewReader(content)})
		if again != info || (againErr == nil) != (err == nil) {
			t.Errorf("as a stream: got %+v, %v, want %+v, %v", again, againErr, info, err)
		}
	})
}
