package vagranttest

import (
	"archive/tar"
	"compress/gzip"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// Box is a box file.
type Box struct {
	Path string
	// Disk is the content of its file disk.vmdk. No two boxes have the same.
	Disk []byte
	// SHA256 is the digest of the file, in hexadecimal digits.
	SHA256 string
	Size   int64
}

// TinyBox makes a box of a few hundred bytes with a metadata.json.
func TinyBox(t testing.TB, metadata string) Box {
	t.Helper()
	return NewBox(t, metadata, 64)
}

// NewBox makes a box whose disk has a size in bytes. It cannot be compressed, so that the box is no smaller.
func NewBox(t testing.TB, metadata string, size int) Box {
	t.Helper()
	b := Box{Path: filepath.Join(t.TempDir(), "tiny.box"), Disk: make([]byte, size)}
	_, _ = rand.Read(b.Disk) // never fails
	f, err := os.Create(b.Path)
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	z := gzip.NewWriter(io.MultiWriter(f, h))
	w := tar.NewWriter(z)
	for _, file := range []struct {
		name    string
		content []byte
	}{{"metadata.json", []byte(metadata)}, {"disk.vmdk", b.Disk}} {
		if err := w.WriteHeader(&tar.Header{Name: file.name, Mode: 0o644, Size: int64(len(file.content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(file.content); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []io.Closer{w, z, f} {
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	b.SHA256 = hex.EncodeToString(h.Sum(nil))
	stat, err := os.Stat(b.Path)
	if err != nil {
		t.Fatal(err)
	}
	b.Size = stat.Size()
	return b
}

// dummyProvider is a provider that runs boxes made for VirtualBox, in that it runs nothing: `vagrant up` gets the box,
// looks for a newer one and is done. With it a Vagrantfile needs no hypervisor.
const dummyProvider = `
class Pretender < Vagrant.plugin("2", :provider)
  def self.usable?(raise_error = false)
    true
  end

  def action(name)
    return unless name == :up
    Vagrant::Action::Builder.new.tap do |steps|
      steps.use Vagrant::Action::Builtin::ConfigValidate
      steps.use Vagrant::Action::Builtin::HandleBox
      steps.use Vagrant::Action::Builtin::BoxCheckOutdated
    end
  end

  def state
    Vagrant::MachineState.new(:not_created, "not created", "It never is.")
  end
end

class PretenderPlugin < Vagrant.plugin("2")
  name "pretender"
  provider("pretender", box_format: ["virtualbox"], priority: 10) { Pretender }
end
`

// Vagrantfile makes Client.Dir the directory of a machine with a box, of a version like "~> 1.0". The machine runs nowhere,
// but `vagrant up` gets its box.
func (c *Client) Vagrantfile(t testing.TB, box, version string) {
	t.Helper()
	c.Write(t, "Vagrantfile", dummyProvider+`
Vagrant.configure("2") do |config|
  config.vm.box = "`+box+`"
  config.vm.box_version = "`+version+`"
  config.vm.synced_folder ".", "/vagrant", disabled: true
end
`)
	c.env = append(c.env, "VAGRANT_DEFAULT_PROVIDER=pretender")
}
