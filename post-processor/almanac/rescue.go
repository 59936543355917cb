package almanac

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/cargomedia/packer-plugin-almanac/internal/localfiles"
	"github.com/cargomedia/packer-plugin-almanac/internal/publishfile"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// rescued is where a build is kept that is not recorded. Without path and text it is nowhere.
type rescued struct {
	path string // of the publish file
	text string // of a publish file that could not be written anywhere, as one line
	err  error  // why there is no path; nil also if the publication itself could not be formed
	// notes say what is changed in the file, and what is not in it.
	notes []string
}

func (k rescued) empty() bool { return k.path == "" && k.text == "" }

// rescue writes the publish file of a build that could not be recorded because of cause. A defect in
// that is no reason either to lose the build.
func (r *recording) rescue(ctx context.Context, cause error) rescued {
	if !r.described {
		return rescued{} // a file that records a part would only make a conflict of the whole
	}
	if r.sent {
		ctx = context.WithoutCancel(ctx) // all is measured by then
	}
	var kept rescued
	err := safely(func() error {
		file, notes := r.publishFile(cause)
		var err error
		kept, err = r.write(ctx, file)
		kept.notes = append(notes, kept.notes...)
		return err
	})
	if err != nil {
		return rescued{err: err}
	}
	return kept
}

// publishFile is what records the build later, and notes on it.
func (r *recording) publishFile(cause error) (publishfile.File, []string) {
	if r.config.AWSVerify && r.build.Type == registry.AmazonImage {
		r.postpone("was not looked at: the build could not be recorded")
	}
	pub := r.publication()
	notes := adjust(&pub, r.adjustment(cause))
	if len(r.left) > 0 {
		notes = append(notes, fmt.Sprintf("It lacks these documents, and so will the recorded build: %s.", strings.Join(r.left, ", ")))
	}
	if r.unread != nil {
		notes = append(notes, fmt.Sprintf("It lacks some of what the artifact would have said: %s.", strings.Join(r.unread.unread, ", ")))
	}
	if r.pending() {
		notes = append(notes, "Its AMIs are recorded as pending, and are not offered until `almanac aws verify` finds them available.")
	}
	f := publishfile.File{
		Address: r.config.Address, Artifact: r.config.artifact, WrittenAt: time.Now(), Reason: r.masked(cause.Error()), Publication: pub,
	}
	for _, u := range r.uploads {
		c := publishfile.Content{Path: u.Path, Dir: u.Dir, Kind: u.kind, File: u.sent}
		c.Name = u.Name
		if u.kind == "" {
			f.Files = append(f.Files, c)
		} else {
			f.Attachments = append(f.Attachments, c)
		}
	}
	return f, notes
}

// write writes a publish file where it can be, beside the template if possible. The error says why there
// cannot be one at all.
func (r *recording) write(ctx context.Context, f publishfile.File) (rescued, error) {
	if err := f.Measure(ctx); err != nil {
		return rescued{}, err
	}
	text, err := publishfile.Encode(ctx, "", f)
	if err != nil {
		return rescued{}, err
	}
	if found := r.leak(text); found != "" {
		return rescued{}, fmt.Errorf("it would hold %s", found)
	}
	var problems []error
	for _, dir := range r.directories() {
		apart, notes := keepApart(dir, f)
		path, err := publishfile.Write(ctx, dir, apart)
		if err == nil {
			return rescued{path: path, notes: notes}, nil
		}
		problems = append(problems, err)
	}
	var line bytes.Buffer
	if err := json.Compact(&line, text); err != nil {
		return rescued{}, err
	}
	return rescued{text: line.String(), err: onOneLine(problems)}, nil
}

// keepApart makes a version of its own of a build when another one of the same run and component lies there
// already: it would be overwritten, and when it is sent, this one would be refused.
func keepApart(dir string, f publishfile.File) (publishfile.File, []string) {
	path := filepath.Join(dir, publishfile.Name(f.Artifact, f.Publication.Fingerprint, f.Publication.Build.Component))
	other, err := publishfile.Read(path)
	if err != nil || slices.Equal(contents(f), contents(other)) {
		return f, nil
	}
	notes := adjust(&f.Publication, adjustment{
		newVersion: true, noVersion: true,
		note: fmt.Sprintf("It has a new fingerprint and no version, and so makes a new version: %s is for another build of the same run.", path),
	})
	return f, notes
}

// contents are the images and files of a publish file.
func contents(f publishfile.File) []string {
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

func onOneLine(problems []error) error {
	texts := make([]string, len(problems))
	for i, err := range problems {
		texts[i] = err.Error()
	}
	return errors.New(strings.Join(texts, "; "))
}

// directories are where a publish file may lie, the best first.
func (r *recording) directories() []string {
	var dirs []string
	if t := r.origin.template; t != "" && isDir(t) {
		dirs = append(dirs, t)
	} else if t != "" {
		dirs = append(dirs, filepath.Dir(t))
	}
	return localfiles.Unique(append(dirs, localfiles.Absolute("."), os.TempDir()))
}

// adjustment says how the publication of the file differs from what was refused.
type adjustment struct {
	newVersion          bool // the build goes to a version of its own
	noVersion, noExpect bool
	note                string
}

// adjustment finds what a conflict can be avoided by.
func (r *recording) adjustment(cause error) adjustment {
	e, ok := errors.AsType[*registry.Error](cause)
	if !ok || e.Kind != registry.Conflict || !r.sent {
		return adjustment{}
	}
	about := func(field string) bool {
		return slices.ContainsFunc(e.Fields, func(f registry.FieldError) bool { return f.Field == field })
	}
	switch {
	case aboutBuild(e):
		// The version that the template names is that of the run, so a new one cannot have it.
		return adjustment{newVersion: true, noVersion: true, note: "It has a new fingerprint and no version, and so makes a new version."}
	case about("version") && about("expect"):
		return adjustment{noVersion: true, noExpect: true, note: "It leaves out the version and expect, and so adds to what is recorded of the run."}
	case about("version"):
		return adjustment{noVersion: true, note: "It leaves out the version, and so adds to what is recorded of the run."}
	case about("expect"):
		return adjustment{noExpect: true, note: "It leaves out expect, and so adds to what is recorded of the run."}
	case len(e.Fields) == 0 && r.config.Version != "":
		// Without fields the version is not new, but another run's.
		return adjustment{noVersion: true, note: "It leaves out the version, and so gets the next free one."}
	}
	return adjustment{note: "As it is, the registry refuses it again: change what is said above in it first."}
}

// adjust changes a publication so that it can be repeated: a fingerprint is chosen once. It returns what
// was changed.
func adjust(pub *registry.Publication, a adjustment) []string {
	if a.newVersion {
		pub.Fingerprint = uuid.NewString()
	}
	if a.noVersion {
		pub.Version = ""
	}
	if a.noExpect {
		pub.Expect = nil
	}
	if a.note == "" {
		return nil
	}
	return []string{a.note}
}

// aboutBuild says whether what is recorded of the build is something else.
func aboutBuild(e *registry.Error) bool {
	return slices.ContainsFunc(e.Fields, func(f registry.FieldError) bool { return strings.HasPrefix(f.Field, "build.") })
}
