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

// Name is the name of the file for a build in the registry at an address: the same for the same build, so
// that a second failure replaces the file of the first.
func Name(address string, artifact registry.ArtifactName, fingerprint, component string) string {
	readable := strings.Map(func(r rune) rune {
		if r == '.' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '-'
	}, component)
	if len(readable) > 80 {
		readable = readable[:80]
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{address, string(artifact), fingerprint, component}, "\n")))
	name := strings.TrimLeft(readable, ".-") + "-" + hex.EncodeToString(sum[:6]) + Suffix
	if registry.CheckFileName(name) != nil {
		return "_" + name // it is called like a device of Windows
	}
	return name
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

// Encode is the text of the file that Write writes. Without a dir all paths in it are absolute.
func Encode(ctx context.Context, dir string, f File) ([]byte, error) {
	f.Format = format
	f.WrittenAt = f.WrittenAt.UTC() // with all its digits: files are sent in this order
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
	if err := (localfiles.File{Path: c.Path, Dir: c.Dir}).Copy(ctx, &m); err != nil {
		return err
	}
	c.Size, c.SHA256 = m.size, m.digest()
	return nil
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

// Read reads a publish file. Where path is gone and was marked as recorded, it reads that one, so that
// sending a file can be repeated.
func Read(path string) (File, error) {
	f, err := open(path)
	if recorded, ok := recordedPath(path); errors.Is(err, fs.ErrNotExist) && ok {
		if again, err2 := open(recorded); err2 == nil {
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

// open opens a regular file. Opening a pipe would wait for a writer.
func open(path string) (*os.File, error) {
	stat, err := os.Stat(path)
	if err == nil && !stat.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: errors.New("is not a regular file")}
	}
	if err != nil {
		return nil, err
	}
	return os.Open(path)
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
	// Their paths and digests are what a sender shows to have. A digest alone, of a blob that the sender may read
	// and the file's author may not, would give it away.
	if b := f.Publication.Build; len(b.Files)+len(b.Attachments) > 0 {
		fields = append(fields, registry.FieldError{Field: "publication.build", Message: "has files or attachments; those of a publish file are beside the publication, with their paths"})
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
