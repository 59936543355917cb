package publishfile

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Write measures the contents as [File.Measure] does, and writes the file into dir, whole or not at all.
// It returns the file's path. A file for the same build is replaced. The error is an [fs.ErrExist] when that
// of another build lies there, was sent from there, or when what lies there cannot be read: nothing is
// overwritten then, and the path is that file's.
func Write(ctx context.Context, dir string, f File) (string, error) {
	path := filepath.Join(dir, Name(f.Address, f.Artifact, f.Publication.Fingerprint, f.Publication.Build.Component))
	if err := f.Measure(ctx); err != nil { // also for the comparison with what lies there
		return "", err
	}
	content, err := Encode(ctx, dir, f)
	if err != nil {
		return "", err
	}
	temporary, err := os.CreateTemp(dir, ".almanac-*")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.Remove(temporary.Name()) }() // gone when it was renamed
	_, err = temporary.Write(content)
	err = errors.Join(err, temporary.Chmod(0o644), temporary.Sync(), temporary.Close())
	if err != nil {
		return "", err
	}
	err = f.put(temporary.Name(), path, content)
	if d, openErr := os.Open(dir); err == nil && openErr == nil {
		_ = d.Sync() // not every system can; the file itself is safe
		_ = d.Close()
	}
	return path, err
}

// put gives the file its name, unless another build has it.
func (f File) put(temporary, path string, content []byte) error {
	taken := &fs.PathError{Op: "write", Path: path, Err: fs.ErrExist}
	recorded, _ := recordedPath(path)
	if sent, err := Read(recorded); err == nil && !f.sameBuild(sent) {
		return taken
	}
	err := os.Link(temporary, path)
	if err == nil {
		return nil
	}
	if !errors.Is(err, fs.ErrExist) {
		// Not all file systems have links.
		if err = create(path, content); !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	if there, err := Read(path); err != nil || !f.sameBuild(there) {
		return taken
	}
	return os.Rename(temporary, path)
}

// create writes a new file.
func create(path string, content []byte) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Sync(), file.Close()); err != nil {
		_ = os.Remove(path) // half a file is none
	}
	return err
}

// sameBuild says whether two files record the same things in the same registry.
func (f File) sameBuild(other File) bool {
	return f.Address == other.Address && f.Artifact == other.Artifact &&
		f.Publication.Build.Component == other.Publication.Build.Component && slices.Equal(f.things(), other.things())
}

// things are the images and files of the build.
func (f File) things() []string {
	var all []string
	for _, image := range f.Publication.Build.Images {
		all = append(all, image.String())
	}
	for _, c := range f.Files {
		all = append(all, c.Name+" "+string(c.SHA256))
	}
	slices.Sort(all)
	return all
}

// Pending lists the publish files in a directory that are still to be sent, in the order in which they were
// written, so that what was built last is recorded last. Those that cannot be read are at the end.
func Pending(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	type pending struct {
		path string
		at   time.Time
		bad  bool
	}
	var files []pending
	for _, e := range entries {
		if !strings.HasSuffix(e.Name(), Suffix) || e.IsDir() {
			continue
		}
		p := pending{path: filepath.Join(dir, e.Name())}
		f, err := Read(p.path)
		p.at, p.bad = f.WrittenAt, err != nil
		files = append(files, p)
	}
	slices.SortStableFunc(files, func(a, b pending) int {
		switch {
		case a.bad == b.bad:
			return a.at.Compare(b.at)
		case a.bad:
			return 1
		}
		return -1
	})
	var paths []string
	for _, f := range files {
		paths = append(paths, f.path)
	}
	return paths, nil
}

func recordedPath(path string) (string, bool) {
	base, ok := strings.CutSuffix(path, Suffix)
	return base + RecordedSuffix, ok
}

// MarkRecorded renames a publish file that was sent, so that it is pending no more. A file that is called
// otherwise, or gone, is left alone.
func MarkRecorded(path string) error {
	recorded, ok := recordedPath(path)
	if !ok {
		return nil
	}
	if err := os.Rename(path, recorded); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
