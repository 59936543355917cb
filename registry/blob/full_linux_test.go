package blob_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/blob"
	"github.com/cargomedia/packer-plugin-almanac/registry/registrytest"
)

// TestDiskFillsUp uploads to a file system that fills up in the middle of a buffer. It is a tmpfs in
// a mount namespace of its own, which goes away with the process that uses it.
func TestDiskFillsUp(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), "BLOB_TEST_WRITER="+t.TempDir(), "BLOB_TEST_MODE=full")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if uid := os.Getuid(); uid != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if errors.Is(err, os.ErrPermission) || strings.Contains(string(out), errNoMount) {
		t.Skipf("this user may not mount a tmpfs: run as root, or allow user namespaces (%v %s)", err, out)
	}
	if err != nil || !strings.HasSuffix(string(out), "all is well\n") {
		t.Errorf("%v\n%s", err, out)
	}
}

const errNoMount = "cannot mount"

// fillUp runs in the other process.
func fillUp(dir string) error {
	ctx := context.Background()
	// Mounts made here must not reach the namespace outside.
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("%s: %w", errNoMount, err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=9800k"); err != nil {
		return fmt.Errorf("%s: %w", errNoMount, err)
	}
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 4<<20), 0o600); err != nil {
		return err
	}
	d, err := blob.OpenDisk(dir)
	if err != nil {
		return err
	}
	if err := d.Create(ctx, "a"); err != nil {
		return err
	}
	content := registrytest.BlobContent(10, 8<<20)
	n, err := d.Append(ctx, "a", 0, int64(len(content)), bytes.NewReader(content))
	if e, ok := errors.AsType[*registry.Error](err); !ok || e.Kind != registry.Unavailable || e.Msg != "the registry's disk is full" || n != 5<<20 {
		return fmt.Errorf("on the full disk Append = %d, %v; want the 5 MiB that fit and that the disk is full", n, err)
	}
	if info, err := os.Stat(filepath.Join(dir, "uploads", "a", "data")); err != nil || info.Size() != n {
		return fmt.Errorf("the file has %v, %v; want what was kept and no half buffer", info, err)
	}
	if err := os.Remove(filler); err != nil {
		return err
	}
	if n, err = d.Append(ctx, "a", n, int64(len(content)), bytes.NewReader(content[n:])); err != nil || n != int64(len(content)) {
		return fmt.Errorf("with room again Append = %d, %v", n, err)
	}
	if err := d.Commit(ctx, "a", registrytest.BlobDigest(content), n); err != nil {
		return err
	}
	got, err := os.ReadFile(blobFile(dir, content))
	if err != nil || !bytes.Equal(got, content) {
		return fmt.Errorf("the blob has other bytes, %v", err)
	}
	return nil
}
