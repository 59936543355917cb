package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func TestVagrantImportMixesNothing(t *testing.T) {
	s := newShelf(t)
	t.Run("of two boxes that would have one name", func(t *testing.T) {
		s.file(t, "two/a/base/1.0.0/libvirt/vagrant.box", packBox(t, libvirtBox, "a"))
		s.file(t, "two/b/base/2.0.0/libvirt/vagrant.box", packBox(t, libvirtBox, "b"))
		_, stderr := s.run(t, exitUsage, "vagrant", "import", filepath.Join(s.dir, "two"), "--as", "cargomedia")
		contains(t, stderr, "a/base and b/base of the source would both be cargomedia/base; import them one by one")
	})
	t.Run("of the files of two runs", func(t *testing.T) {
		source, work := newCloud(t), t.TempDir()
		plain := func(disk string) []byte {
			z, err := gzip.NewReader(bytes.NewReader(packBox(t, libvirtBox, strings.Repeat(disk, 4000))))
			if err != nil {
				t.Fatal(err)
			}
			content, err := io.ReadAll(z)
			if err != nil {
				t.Fatal(err)
			}
			return content
		}
		before, now := plain("a"), plain("b")
		source.boxes["/one.box"] = now
		source.offers(offer{"1.0.0", "libvirt", `,"url":"/one.box"`})
		name := sha256.Sum256([]byte(source.URL + "/one.box"))
		if err := os.WriteFile(filepath.Join(work, hex.EncodeToString(name[:16])+".box"), before[:3000], 0o600); err != nil {
			t.Fatal(err)
		}
		s.run(t, exitOK, "vagrant", "import", source.URL+"/acme/tiny", "--work", work)
		v, err := s.Client(t, s.AdminToken).Version(t.Context(), "acme/tiny", "1.0.0")
		if err != nil || string(v.Builds[0].Files[0].SHA256) != sum256(now) {
			t.Errorf("got %+v, %v", v.Builds, err)
		}
	})
	t.Run("a file that is another one now is no present", func(t *testing.T) {
		dir := filepath.Dir(s.file(t, "changing/tiny-7.0.0-libvirt.box", packBox(t, libvirtBox, "first")))
		s.run(t, exitOK, "vagrant", "import", dir, "--as", "acme", "--work", t.TempDir())
		s.file(t, "changing/tiny-7.0.0-libvirt.box", packBox(t, libvirtBox, "second, and longer"))
		stdout, _ := s.run(t, exitConflict, "vagrant", "import", dir, "--as", "acme", "--work", t.TempDir())
		contains(t, stdout, "conflict: the registry has it with ")
	})
}

func TestOneSentence(t *testing.T) {
	err := &registry.Error{Msg: "the file cannot be uploaded", Fields: []registry.FieldError{{Field: "name", Message: "is\nbad"}}, Err: os.ErrNotExist}
	if got, want := oneSentence(err), "the file cannot be uploaded: name: is bad: file does not exist"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
