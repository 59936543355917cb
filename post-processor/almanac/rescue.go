package almanac

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
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
	notes := r.adjust(&pub, r.adjustment(cause))
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
	if err := r.measure(ctx, &f); err != nil {
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
		path, notes, err := r.writeApart(ctx, dir, f)
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

// measure reads what was not sent, and says so: it can take as long as a disk takes.
func (r *recording) measure(ctx context.Context, f *publishfile.File) error {
	var paths []string
	for _, c := range slices.Concat(f.Files, f.Attachments) {
		if c.SHA256 == "" {
			paths = append(paths, c.Path)
		}
	}
	switch len(paths) {
	case 0:
	case 1:
		r.ui.say("Measuring %s", r.masked(paths[0]))
	default:
		r.ui.say("Measuring %d files, from %s on", len(paths), r.masked(paths[0]))
	}
	return f.Measure(ctx)
}

// writeApart writes a publish file into a directory. Where that of another build has its name, this one gets a
// version of its own: when the other one is sent, this one would be refused.
func (r *recording) writeApart(ctx context.Context, dir string, f publishfile.File) (path string, notes []string, err error) {
	// As it is, with the fingerprint of what is moved of the run, with one of its own.
	for range 3 {
		path, err = publishfile.Write(ctx, dir, f)
		if !errors.Is(err, fs.ErrExist) {
			return path, notes, err
		}
		other, readErr := publishfile.Read(path)
		twice := readErr == nil && runOf(other.Publication) == runOf(f.Publication)
		notes = []string{r.moveApart(&f.Publication, twice, fmt.Sprintf(": %s is for another build", path))}
	}
	return path, notes, err
}

// runOf is the id that Packer gave the run.
func runOf(pub registry.Publication) string { return pub.Build.Provenance[runID] }

// moveApart gives a publication a version of its own, because of why, and returns the note on it. All builds
// of a run that are moved get the same one, so that it gets all that it expects. Not so the second build of a
// component in one run, and one that would meet another there: each is alone in its version, which then
// expects nothing. A version that the template names is that of the builds that it was moved away from.
func (r *recording) moveApart(pub *registry.Publication, twice bool, why string) string {
	note := "It has a new fingerprint and no version, and so makes a new version" + why + "."
	run := runOf(*pub)
	shared := uuid.NewSHA1(uuid.NameSpaceOID, []byte(r.config.Fingerprint+"\n"+run)).String()
	alone := twice || run == "" || run == r.config.Fingerprint || pub.Fingerprint == shared
	pub.Version = ""
	if !alone {
		pub.Fingerprint = shared
		return note + " Other builds of this run that have to be moved go there, too."
	}
	pub.Fingerprint = uuid.NewString()
	if len(pub.Expect) > 0 {
		pub.Expect = nil
		note += " It leaves out expect, because no other build goes there."
	}
	return note
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
	apart               bool // the build goes to a version of its own
	noVersion, noExpect bool
	note                string
}

const refusedAgain = "As it is, the registry refuses it again: mend what is said above first."

// adjustment finds what a refusal can be avoided by.
func (r *recording) adjustment(cause error) adjustment {
	e, ok := errors.AsType[*registry.Error](cause)
	switch {
	case !ok:
		return adjustment{}
	case e.Kind == registry.TooLarge, e.Kind == registry.Invalid && r.sent:
		return adjustment{note: refusedAgain}
	case e.Kind != registry.Conflict || !r.sent:
		return adjustment{}
	}
	about := func(field string) bool {
		return slices.ContainsFunc(e.Fields, func(f registry.FieldError) bool { return f.Field == field })
	}
	switch {
	case aboutBuild(e):
		return adjustment{apart: true}
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
	return adjustment{note: refusedAgain}
}

// adjust changes a publication so that it can be repeated: a fingerprint is chosen once. It returns what
// was changed.
func (r *recording) adjust(pub *registry.Publication, a adjustment) []string {
	if a.apart {
		return []string{r.moveApart(pub, false, "")}
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
