package blob

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// Bytes that lie in memory where the device cannot fetch them go the usual way, and so do all after them.
func TestWriteFallsBackWhereTheDeviceRefuses(t *testing.T) {
	d, err := OpenDisk(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Create(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	u, err := d.openUpload("a")
	if err != nil {
		t.Fatal(err)
	}
	defer u.close()
	name := filepath.Join(u.dir, dataName)
	if u.direct, err = openDirect(name); err != nil {
		t.Skipf("the file system of %s has no direct writes: %v", name, err)
	}
	content := make([]byte, 3*bufferSize+1)
	_, _ = rand.NewChaCha8([32]byte{}).Read(content) // never fails
	content = content[1:]
	for rest := content; len(rest) > 0; rest = rest[bufferSize:] {
		if err := u.write(rest[:bufferSize]); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(name)
	if err != nil || !bytes.Equal(got, content) || u.written != int64(len(content)) {
		t.Errorf("the file has %d bytes, %v, and %d are counted; want the %d that were written", len(got), err, u.written, len(content))
	}
}
