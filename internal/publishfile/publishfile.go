// Package publishfile keeps a publication that could not be sent, so that it can be sent later. The Packer
// plugin writes such a file beside the template, and the command line sends it:
//
//	path, err := publishfile.Write(ctx, dir, f)     // app/amazon-ebs.app-3f9a0c41d2e7.almanac-publish.json
//	f, err := publishfile.Read(path)
//	receipt, err := f.Send(ctx, client, nil)        // can be repeated
//	err = publishfile.MarkRecorded(path)            // … .almanac-recorded.json
//
// A file has no token. It names local files by path and digest: a file that holds something else by the
// time it is sent is refused, so that what is recorded is what was built, and so that somebody else's
// publish file cannot make anybody upload what its author does not have.
package publishfile

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/internal/localfiles"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

// Endings of file names.
const (
	Suffix         = ".almanac-publish.json"  // still to be sent
	RecordedSuffix = ".almanac-recorded.json" // sent
)

// maxSize bounds what Read reads: a publication is at most 4 MiB.
const maxSize = 16 << 20

// format is the version of the file's format.
const format = 1

// File is a publication that is still to be sent.
type File struct {
	Format    int                   `json:"almanac_publish_file"`
	Address   string                `json:"address"` // of the registry that it is for
	Artifact  registry.ArtifactName `json:"artifact"`
	WrittenAt time.Time             `json:"written_at"`
	// Reason says why it was not recorded.
	Reason string `json:"reason"`
	// Publication has no files and attachments: Files and Attachments become those.
	Publication registry.Publication `json:"publication"`
	Files       []Content            `json:"files,omitempty"`
	Attachments []Content            `json:"attachments,omitempty"`

	dir string // where relative paths begin
}

// Content is a file of this machine that belongs to a publication.
type Content struct {
	// Path is relative to the publish file where it is below that one's directory, and absolute elsewhere.
	Path string `json:"path"`
	// Dir says that it is a directory, which is packed.
	Dir bool `json:"dir,omitempty"`
	registry.File
	Kind registry.AttachmentKind `json:"kind,omitempty"` // of an attachment
}

// Name is the name of the file for a build: the same for the same build, so that a second failure
// replaces the file of the first.
func Name(artifact registry.ArtifactName, fingerprint, component string) string {
	readable := strings.Map(func(r rune) rune {
		if r == '.' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '-'
	}, component)
	if len(readable) > 80 {
		readable = readable[:80]
	}
	sum := sha256.Sum256([]byte(string(artifact) + "\n" + fingerprint + "\n" + component))
	return strings.TrimLeft(readable, ".-") + "-" + hex.EncodeToString(sum[:6]) + Suffix
}

// Measure sets size and digest of the contents that have no digest yet. The caller has set Path and Name
// of all. Its errors are those of reading the contents, which no other directory for the file would mend.
func (f *File) Measure(ctx context.Context) error {
	f.Files, f.Attachments = slices.Clone(f.Files), slices.Clone(f.Attachments)
	for _, list := range [][]Content{f.Files, f.Attachments} {
		for i := range list {
			if list[i].SHA256 != "" {
				continue
			}
			if err := list[i].measure(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// Write measures the contents as [File.Measure] does, and writes the file into dir, whole or not at all.
// It returns the file's path.
func Write(ctx context.Context, dir string, f File) (string, error) {
	path := filepath.Join(dir, Name(f.Artifact, f.Publication.Fingerprint, f.Publication.Build.Component))
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
	if err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	return path, err
}

// Encode is the text of the file that Write writes. Without a dir all paths in it are absolute.
func Encode(ctx context.Context, dir string, f File) ([]byte, error) {
	f.Format = format
	f.WrittenAt = f.WrittenAt.UTC().Truncate(time.Second)
	f.Publication.Build.Files, f.Publication.Build.Attachments = nil, nil
	if err := f.Measure(ctx); err != nil {
		return nil, err
	}
	for _, list := range [][]Content{f.Files, f.Attachments} {
		for i := range list {
			list[i].place(dir)
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(f)
	return b.Bytes(), err
}

// measure sets size and digest.
func (c *Content) measure(ctx context.Context) error {
	m := meter{Hash: sha256.New(), most: math.MaxInt64}
	if err := c.read(ctx, &m); err != nil {
		return err
	}
	c.Size, c.SHA256 = m.size, m.digest()
	return nil
}

// read writes the bytes of the content, those of a packed directory included, to w.
func (c Content) read(ctx context.Context, w io.Writer) error {
	return localfiles.File{Path: c.Path, Name: c.Name, Dir: c.Dir}.Use(ctx, func(path string) error {
		stat, err := os.Stat(path)
		if err == nil && !stat.Mode().IsRegular() {
			// Another one can wait for a writer, or have no end.
			err = &fs.PathError{Op: "open", Path: path, Err: errors.New("is not a regular file")}
		}
		if err != nil {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer func() { _ = f.Close() }() // it was only read
		_, err = io.Copy(w, reading{ctx, f})
		return err
	})
}

// errMore is the error of a meter that was given more than it takes.
var errMore = errors.New("there is more")

// meter measures what is written to it, and takes no more than most bytes.
type meter struct {
	hash.Hash
	size, most int64
}

func (m *meter) Write(b []byte) (int, error) {
	if m.size += int64(len(b)); m.size > m.most {
		return 0, errMore
	}
	return m.Hash.Write(b)
}

func (m *meter) digest() registry.Digest { return registry.Digest(hex.EncodeToString(m.Sum(nil))) }

// place makes the path one that survives a move of the whole directory dir.
func (c *Content) place(dir string) {
	c.Path = localfiles.Absolute(c.Path)
	if dir == "" {
		return
	}
	if rel, err := filepath.Rel(localfiles.Absolute(dir), c.Path); err == nil && filepath.IsLocal(rel) {
		c.Path = filepath.ToSlash(rel)
	}
}

// reading ends with its context.
type reading struct {
	ctx context.Context
	r   io.Reader
}

func (r reading) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(b)
}

// Read reads a publish file. Where path is gone and was marked as recorded, it reads that one, so that
// sending a file can be repeated.
func Read(path string) (File, error) {
	f, err := os.Open(path)
	if recorded, ok := recordedPath(path); errors.Is(err, fs.ErrNotExist) && ok {
		if again, err2 := os.Open(recorded); err2 == nil {
			f, err = again, nil
		}
	}
	if err != nil {
		return File{}, err
	}
	defer func() { _ = f.Close() }() // it was only read
	read, err := Decode(f, filepath.Dir(path))
	if err != nil {
		return File{}, fmt.Errorf("%s: %w", path, err)
	}
	return read, nil
}

// Decode reads the text of a publish file. Relative paths in it begin at dir.
func Decode(r io.Reader, dir string) (File, error) {
	content, err := io.ReadAll(io.LimitReader(r, maxSize+1))
	if err != nil {
		return File{}, err
	}
	if len(content) > maxSize {
		return File{}, registry.Errorf(registry.Invalid, "is longer than any publish file")
	}
	var version struct {
		Format *int `json:"almanac_publish_file"`
	}
	if err := json.Unmarshal(content, &version); err != nil || version.Format == nil {
		return File{}, registry.Errorf(registry.Invalid, "is no publish file, or not a whole one; such a file is JSON and has the member almanac_publish_file")
	}
	if *version.Format != format {
		return File{}, registry.Errorf(registry.Invalid, "has the format %d, and this almanac reads the format %d; use the almanac that belongs to the plugin which wrote it", *version.Format, format)
	}
	f := File{dir: dir}
	d := json.NewDecoder(bytes.NewReader(content))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return File{}, registry.Errorf(registry.Invalid, "cannot be read: %v", err)
	}
	return f, f.check()
}

// check finds what the registry would not: contents without a digest, and a file that is for no registry.
func (f File) check() error {
	var fields []registry.FieldError
	for name, list := range map[string][]Content{"files": f.Files, "attachments": f.Attachments} {
		for i, c := range list {
			at := fmt.Sprintf("%s[%d]", name, i)
			if c.Path == "" {
				fields = append(fields, registry.FieldError{Field: at + ".path", Message: "is missing"})
			}
			if _, err := registry.ParseDigest(string(c.SHA256)); err != nil {
				fields = append(fields, registry.FieldError{Field: at + ".sha256", Message: err.Error()})
			}
		}
	}
	if f.Address == "" {
		fields = append(fields, registry.FieldError{Field: "address", Message: "is missing; it is that of the registry which the build is for"})
	}
	if _, err := registry.ParseArtifactName(string(f.Artifact)); err != nil {
		fields = append(fields, registry.FieldError{Field: "artifact", Message: err.Error()})
	}
	if len(fields) == 0 {
		return nil
	}
	slices.SortFunc(fields, func(a, b registry.FieldError) int { return strings.Compare(a.Field, b.Field) })
	return &registry.Error{Kind: registry.Invalid, Msg: "the publish file has mistakes", Fields: fields}
}

// Send uploads the contents and publishes. It can be repeated: what is recorded already stays as it is.
// Conflict: a local file is not the one that was built any more.
func (f File) Send(ctx context.Context, to *client.Client, track client.Track) (registry.Receipt, error) {
	pub := f.Publication
	// All are compared before the first is sent, which can take an hour.
	for _, c := range slices.Concat(f.Files, f.Attachments) {
		if err := f.compare(ctx, c); err != nil {
			return registry.Receipt{}, err
		}
	}
	for _, c := range f.Files {
		sent, err := f.send(ctx, to, c, track)
		if err != nil {
			return registry.Receipt{}, err
		}
		pub.Build.Files = append(pub.Build.Files, sent)
	}
	for _, c := range f.Attachments {
		sent, err := f.send(ctx, to, c, track)
		if err != nil {
			return registry.Receipt{}, err
		}
		pub.Build.Attachments = append(pub.Build.Attachments, registry.Attachment{File: sent, Kind: c.Kind})
	}
	return to.Publish(ctx, string(f.Artifact), pub)
}

// local is where a content is on this machine.
func (f File) local(c Content) localfiles.File {
	path := filepath.FromSlash(c.Path)
	if !filepath.IsAbs(path) {
		path = filepath.Join(f.dir, path)
	}
	return localfiles.File{Path: path, Name: c.Name, Dir: c.Dir}
}

// compare does not tell what is there instead, and reads no more than there should be: whoever wrote the
// file chose the path.
func (f File) compare(ctx context.Context, c Content) error {
	path := f.local(c).Path
	now := meter{Hash: sha256.New(), most: c.Size}
	err := Content{Path: path, Dir: c.Dir}.read(ctx, &now)
	if err != nil && !errors.Is(err, errMore) {
		return err
	}
	if err != nil || now.size != c.Size || now.digest() != c.SHA256 {
		return registry.Errorf(registry.Conflict, "%s is not what was built any more: it had %d bytes with the sha256 %s; put that back", path, c.Size, c.SHA256)
	}
	return nil
}

func (f File) send(ctx context.Context, to *client.Client, c Content, track client.Track) (sent registry.File, err error) {
	local := f.local(c)
	err = local.Use(ctx, func(path string) error {
		sent, err = to.UploadFile(ctx, string(f.Artifact), path, c.Name, track)
		return err
	})
	if err != nil {
		return sent, fmt.Errorf("uploading %s: %w", local.Path, err)
	}
	if sent != c.File {
		return sent, registry.Errorf(registry.Conflict, "%s changed while it was uploaded", local.Path)
	}
	return sent, nil
}

// Pending lists the publish files in a directory that are still to be sent, sorted.
func Pending(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), Suffix) && !e.IsDir() {
			paths = append(paths, filepath.Join(dir, e.Name()))
		}
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
