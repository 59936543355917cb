package publishfile_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/internal/publishfile"
	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

// image is a publication of an AMI.
func image(id string) publishfile.File {
	return publishfile.File{
		Address: "https://almanac.example.com", Artifact: "cargomedia/app", WrittenAt: time.Now(), Reason: "the registry was away",
		Publication: registry.Publication{Fingerprint: "run-1", Build: registry.Build{
			Component: "amazon-ebs.app", Type: registry.AmazonImage, Images: []registry.Image{{Provider: "aws", Region: "eu-west-1", ID: id}},
		}},
	}
}

func TestWriteReplacesTheFileOfTheSameBuildAlone(t *testing.T) {
	dir := t.TempDir()
	first, err := publishfile.Write(t.Context(), dir, image("ami-1"))
	if err != nil {
		t.Fatal(err)
	}
	again := image("ami-1")
	again.Reason = "and once more"
	if path, err := publishfile.Write(t.Context(), dir, again); err != nil || path != first {
		t.Errorf("the same build: got %s, %v", path, err)
	}
	if f, err := publishfile.Read(first); err != nil || f.Reason != again.Reason {
		t.Errorf("got %+v, %v; want the second text", f, err)
	}
	taken := func(what string, f publishfile.File) {
		t.Helper()
		before, readErr := os.ReadFile(first)
		path, err := publishfile.Write(t.Context(), dir, f)
		after, againErr := os.ReadFile(first)
		if !errors.Is(err, fs.ErrExist) || path != first || string(before) != string(after) || (readErr == nil) != (againErr == nil) {
			t.Errorf("%s: got %s, %v; want that it exists and is left alone", what, path, err)
		}
	}
	taken("another build", image("ami-2"))
	if err := publishfile.MarkRecorded(first); err != nil {
		t.Fatal(err)
	}
	taken("another build that was recorded", image("ami-2"))
	for what, text := range map[string]string{"of a later format": `{"almanac_publish_file":2}`, "cut": `{"almanac_pub`} {
		write(t, first, text)
		taken("a file "+what, image("ami-1"))
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".almanac-*")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestOfBuildsThatWriteAtOnceOneGetsTheName(t *testing.T) {
	for range 20 {
		dir := t.TempDir()
		errs := make([]error, 8)
		var group sync.WaitGroup
		for i := range errs {
			group.Go(func() { _, errs[i] = publishfile.Write(t.Context(), dir, image(fmt.Sprint("ami-", i))) })
		}
		group.Wait()
		written := -1
		for i, err := range errs {
			switch {
			case err == nil && written < 0:
				written = i
			case !errors.Is(err, fs.ErrExist):
				t.Errorf("build %d: got %v beside build %d", i, err, written)
			}
		}
		paths, err := publishfile.Pending(dir)
		if err != nil || len(paths) != 1 {
			t.Fatalf("got %v, %v", paths, err)
		}
		if f, err := publishfile.Read(paths[0]); err != nil || f.Publication.Build.Images[0].ID != fmt.Sprint("ami-", written) {
			t.Fatalf("got %+v, %v; want build %d", f.Publication, err, written)
		}
	}
}

func TestPendingIsInTheOrderOfWriting(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "0"+publishfile.Suffix), "{")
	begin := time.Now()
	var want []string
	for i := range 6 {
		f := image("ami-1")
		f.Publication.Fingerprint = fmt.Sprint("run-", i)
		f.WrittenAt = begin.Add(time.Duration(i))
		path, err := publishfile.Write(t.Context(), dir, f)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, path)
	}
	got, err := publishfile.Pending(dir)
	if diff := cmp.Diff(append(want, filepath.Join(dir, "0"+publishfile.Suffix)), got); err != nil || diff != "" {
		t.Errorf("%v: %s", err, diff)
	}
}

func TestADirectoryIsMeasuredWithoutTemporaryFiles(t *testing.T) {
	dir := t.TempDir()
	f := example(t, dir)
	t.Setenv("TMPDIR", filepath.Join(dir, "gone"))
	t.Setenv("TMP", filepath.Join(dir, "gone"))
	path, err := publishfile.Write(t.Context(), dir, f)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", dir)
	t.Setenv("TMP", dir)
	read, err := publishfile.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	s := servertest.New(t)
	if _, err := read.Send(t.Context(), s.Client(t, s.AdminToken), nil); err != nil {
		t.Errorf("what was measured is not what is packed: %v", err)
	}
}

func TestSendMovesNoChannelBack(t *testing.T) {
	s := servertest.New(t)
	c := s.Client(t, s.AdminToken)
	stale := image("ami-1")
	stale.Publication.Channels = []string{"production"}
	path, err := publishfile.Write(t.Context(), t.TempDir(), stale)
	if err != nil {
		t.Fatal(err)
	}
	newer := image("ami-2").Publication
	newer.Fingerprint, newer.Channels = "run-2", []string{"production"}
	if _, err := c.Publish(t.Context(), "cargomedia/app", newer); err != nil {
		t.Fatal(err)
	}
	f, err := publishfile.Read(path)
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := f.Send(t.Context(), c, nil)
	if err != nil || receipt.Number != 2 || receipt.Channels[0].Points {
		t.Errorf("got %+v, %v; want it recorded, and the channel where it was", receipt, err)
	}
}

func TestSendOfASwappedFileTellsTheRegistryNothing(t *testing.T) {
	s := servertest.New(t)
	dir := t.TempDir()
	f := image("ami-1")
	for _, name := range []string{"a", "b"} {
		write(t, filepath.Join(dir, name), name)
		f.Files = append(f.Files, publishfile.Content{Path: filepath.Join(dir, name), File: registry.File{Name: name}})
	}
	f.Publication.Build.Type = registry.Archive
	path, err := publishfile.Write(t.Context(), dir, f)
	if err != nil {
		t.Fatal(err)
	}
	if f, err = publishfile.Read(path); err != nil {
		t.Fatal(err)
	}
	// The second file is swapped when all were compared and the first is being sent.
	_, err = f.Send(t.Context(), s.Client(t, s.AdminToken), swap(t, filepath.Join(dir, "b")))
	if registry.KindOf(err) != registry.Conflict || !strings.Contains(err.Error(), `"b" is not what it should be`) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(filepath.Join(s.Dir, "blobs", string(registry.SecretDigest("swapped")))); err == nil {
		t.Error("the swapped file was sent")
	}
}

// swap replaces a file as soon as another one is sent.
func swap(t *testing.T, path string) client.Track {
	return func(_ string, _, _ int64, r io.ReadCloser) io.ReadCloser {
		write(t, path, "swapped")
		return r
	}
}
