package blob_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/blob"
	"github.com/cargomedia/packer-plugin-almanac/registry/registrytest"
)

// TestDiskKilled kills a process that uploads, and checks that all it had been told is true.
func TestDiskKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("starts processes")
	}
	t.Run("within an Append the last checkpoint counts", func(t *testing.T) {
		dir := t.TempDir()
		killWriter(t, dir, "checkpoint", func(line string) bool { return line == "beyond" })
		const checkpoint = 64 << 20
		info, err := os.Stat(filepath.Join(dir, "uploads", "big", "data"))
		if err != nil || info.Size() <= checkpoint {
			t.Fatalf("the data file = %v, %v; want it to go beyond the checkpoint", info, err)
		}
		d := mustOpen(t, dir)
		wantOffset(t, d, "big", checkpoint)
		mustAppend(t, d, "big", checkpoint, []byte("the end"))
		mustCommit(t, d, "big", append(make([]byte, checkpoint), "the end"...))
	})
	t.Run("at any moment nothing that was acknowledged is lost", func(t *testing.T) {
		dir := t.TempDir()
		for range 12 {
			offsets, committed := map[string]int64{}, map[string]bool{}
			timeout := time.Now().Add(time.Duration(5+rand.IntN(60)) * time.Millisecond)
			lines := killWriter(t, dir, "torture", func(string) bool { return time.Now().After(timeout) })
			for _, line := range lines {
				word := strings.Fields(line)
				switch word[0] {
				case "offset":
					offsets[word[1]], _ = strconv.ParseInt(word[2], 10, 64)
				case "commit": // is about to
					delete(offsets, word[1])
				case "committed":
					committed[word[1]] = true
				}
			}
			d := mustOpen(t, dir)
			for id, want := range offsets {
				if got, err := d.Offset(t.Context(), id); err != nil || got < want {
					t.Errorf("Offset(%s) = %d, %v; want at least %d", id, got, err, want)
				}
			}
			for digest := range committed {
				if _, err := d.Stat(t.Context(), registry.Digest(digest)); err != nil {
					t.Errorf("a blob is lost: %v", err)
				}
			}
			checkStore(t, d, dir)
		}
	})
}

// checkStore checks that every blob has its digest and every upload can be finished, and empties
// the store.
func checkStore(t *testing.T, d *blob.Disk, dir string) {
	t.Helper()
	blobs, err := filepath.Glob(filepath.Join(dir, "blobs", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range blobs {
		b, err := os.ReadFile(path)
		if err != nil || string(registrytest.BlobDigest(b)) != filepath.Base(path) {
			t.Errorf("the blob %s has the digest %s, %v", filepath.Base(path), registrytest.BlobDigest(b), err)
		}
	}
	uploads, err := os.ReadDir(filepath.Join(dir, "uploads"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range uploads {
		seed, _ := strconv.ParseUint(e.Name()[1:], 10, 64)
		content := registrytest.BlobContent(seed, tortureSize)
		offset, err := d.Offset(t.Context(), e.Name())
		if err != nil {
			t.Fatal(err)
		}
		mustAppend(t, d, e.Name(), offset, content[offset:])
		mustCommit(t, d, e.Name(), content)
	}
	for _, path := range blobs {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// killWriter starts this program as a writer, kills it when until says so of a line that it has
// printed, and returns all lines.
func killWriter(t *testing.T, dir, mode string, until func(line string) bool) []string {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), exe)
	cmd.Env = append(os.Environ(), "BLOB_TEST_WRITER="+dir, "BLOB_TEST_MODE="+mode)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var lines []string
	for s := bufio.NewScanner(out); s.Scan(); {
		line := s.Text()
		if strings.HasPrefix(line, "failed") {
			t.Error(line)
		}
		lines = append(lines, line)
		if until(line) {
			_ = cmd.Process.Kill()
		}
	}
	_ = cmd.Wait() // it was killed
	return lines
}

const tortureSize = 50_000

func writeUntilKilled(dir, mode string) error {
	ctx := context.Background()
	d, err := blob.OpenDisk(dir)
	if err != nil {
		return err
	}
	if mode == "checkpoint" {
		if err := d.Create(ctx, "big"); err != nil {
			return err
		}
		// The checkpoint is made beside the stream, so the file is beyond it before it counts.
		beyond := &notify{r: zeros{}, at: 67 << 20, call: func() {
			for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
				if offset, err := d.Offset(ctx, "big"); err != nil || offset > 0 {
					fmt.Println("beyond")
					break
				}
			}
			time.Sleep(time.Minute)
		}}
		_, err := d.Append(ctx, "big", 0, noLimit, beyond)
		return err
	}
	for {
		seed := uint64(rand.Uint32())
		id, content := fmt.Sprint("u", seed), registrytest.BlobContent(seed, tortureSize)
		if err := d.Create(ctx, id); err != nil {
			return err
		}
		var offset int64
		for offset < tortureSize {
			fmt.Println("offset", id, offset)
			if offset, err = d.Append(ctx, id, offset, noLimit, bytes.NewReader(content[offset:min(offset+20_000, tortureSize)])); err != nil {
				return err
			}
		}
		fmt.Println("commit", id)
		digest := registrytest.BlobDigest(content)
		if err := d.Commit(ctx, id, digest, tortureSize); err != nil {
			return err
		}
		fmt.Println("committed", digest)
	}
}

// notify calls something once, before the read that goes on at an offset.
type notify struct {
	r    io.Reader
	n    int64
	at   int64
	call func()
}

func (n *notify) Read(p []byte) (int, error) {
	if n.n >= n.at {
		n.call()
	}
	m, err := n.r.Read(p)
	n.n += int64(m)
	return m, err
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func appendFile(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Close())
}

func blobFile(dir string, content []byte) string {
	digest := string(registrytest.BlobDigest(content))
	return filepath.Join(dir, "blobs", digest[:2], digest)
}

func moveToBlob(upload string, content []byte) error {
	to := blobFile(filepath.Dir(filepath.Dir(upload)), content)
	return errors.Join(os.MkdirAll(filepath.Dir(to), 0o700), os.Rename(filepath.Join(upload, "data"), to))
}
