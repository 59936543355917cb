package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/cargomedia/packer-plugin-almanac/internal/publishfile"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

// publishFileFlags say that what is published is in publish files.
type publishFileFlags struct {
	From    []string `sep:"none" placeholder:"FILE" complete:"file" help:"Send this publish file; - is stdin. Can be repeated."`
	Pending bool     `help:"Send the publish files in a directory, which is the argument or the current one."`
	Without []string `sep:"none" placeholder:"NAME" help:"With --from: leave out this document of the file. Can be repeated."`
	DryRun  bool     `help:"With --from and --pending: show what would be sent, and send nothing."`
}

// stdinName is how stdin is written as the name of a file.
const stdinName = "-"

// sent is what became of one publish file.
type sent struct {
	Path      string                `json:"path"`
	Artifact  registry.ArtifactName `json:"artifact,omitempty"`
	Component string                `json:"component,omitempty"`
	WrittenAt time.Time             `json:"written_at,omitzero"`
	Reason    string                `json:"reason,omitempty"`
	Receipt   *registry.Receipt     `json:"receipt,omitempty"`
	Warning   string                `json:"warning,omitempty"`
	Error     *failure              `json:"error,omitempty"`

	err error
}

// sendFiles tries all files, whatever becomes of one. The exit code is that of the worst.
func (c *publishCmd) sendFiles(a *app, line *kong.Context) error {
	paths, err := c.publishFiles(line)
	if err != nil {
		return err
	}
	to, err := a.transferClient()
	if err != nil {
		return err
	}
	files, away := []sent{}, false
	for _, path := range paths {
		s := sent{Path: path, err: hinted(about(path, errNotTried), "")}
		if !away {
			s = c.sendFile(a, to, path, files)
			away = registry.KindOf(s.err) == registry.Unavailable && !answers(a.ctx, to)
		}
		if s.err != nil {
			if _, ok := errors.AsType[*registry.Error](s.err); !ok {
				s.err = oneLine{s.err}
			}
			f := a.failure(s.err)
			s.Error = &f
		}
		files = append(files, s)
		if len(paths) > 1 {
			c.tell(a, s)
		}
		if a.ctx.Err() != nil {
			break
		}
	}
	if err := a.show(map[string][]sent{"files": files}, func() { c.tellAll(a, paths, files) }); err != nil {
		return err
	}
	return worst(files, len(paths))
}

// errNotTried is the error of a file after one at which the registry did not answer, which was tried as long
// as it is worth: the next one would be, too.
var errNotTried = registry.Errorf(registry.Unavailable, "not tried, since the registry does not answer")

// answers asks the registry for anything, once and soon.
func answers(ctx context.Context, to *client.Client) bool {
	const soon = 3 * time.Second
	soonCtx, cancel := context.WithTimeout(ctx, soon)
	defer cancel()
	_, err := to.Artifacts(soonCtx, registry.ArtifactFilter{Limit: 1})
	return registry.KindOf(err) != registry.Unavailable
}

// tell tells people the outcome of one of several files as soon as it is known.
func (c *publishCmd) tell(a *app, s sent) {
	switch {
	case a.json || c.DryRun && s.err == nil:
		return
	case s.Receipt != nil:
		a.printf("%s\n", a.paint(bold, clean(s.Path)))
		a.showReceipt(*s.Receipt)
		a.printf("\n")
	}
	c.warn(a, s)
	a.report(s.err)
}

// tellAll tells people what tell did not.
func (c *publishCmd) tellAll(a *app, paths []string, files []sent) {
	switch {
	case len(paths) == 0:
		a.note("Nothing is pending in %s.", cmp.Or(c.Artifact, "the current directory"))
	case c.DryRun:
		t := newTable("FILE", "ARTIFACT", "COMPONENT", "WRITTEN", "REASON")
		for _, s := range files {
			if s.err == nil {
				t.add(s.Path, string(s.Artifact), s.Component, shortTime(s.WrittenAt), shorten(s.Reason, 80))
			}
		}
		if len(t.rows) > 0 {
			a.printTable(t, "")
		}
	case len(paths) == 1 && files[0].Receipt != nil:
		a.showReceipt(*files[0].Receipt)
		c.warn(a, files[0])
	}
}

// warn tells people of a version that was recorded late. With -o json it is with the file.
func (c *publishCmd) warn(a *app, s sent) {
	if s.Warning != "" {
		a.warn("%s", s.Warning)
	}
}

// oneLine is an error of this machine about a publish file, whose author may have chosen the paths in it: a
// second line would pass for one of ours.
type oneLine struct{ error }

func (e oneLine) Error() string { return clean(e.error.Error()) }
func (e oneLine) Unwrap() error { return e.error }

// worst returns the error for all files. That of a single one is its own.
func worst(files []sent, all int) error {
	var failed []sent
	for _, s := range files {
		if s.err != nil {
			failed = append(failed, s)
		}
	}
	switch {
	case len(failed) == 0:
		return nil
	case all == 1:
		return failed[0].err
	}
	// What somebody has to mend is worse than what may pass.
	order := []int{exitUnavailable, exitNotFound, exitRefused, exitConflict, exitUsage, exitError, exitInterrupted}
	last := slices.MaxFunc(failed, func(a, b sent) int {
		return slices.Index(order, a.Error.Exit) - slices.Index(order, b.Error.Exit)
	})
	if last.Error.Exit == exitInterrupted {
		return last.err
	}
	err := registry.Errorf(registry.Kind(last.Error.Kind), "%d of %d publish files were not recorded", len(failed), all)
	return &cliError{err: err, hint: "the same command again once that is mended; what is recorded stays", code: last.Error.Exit}
}

// publishFiles checks the command line and returns the paths of the files.
func (c *publishCmd) publishFiles(line *kong.Context) ([]string, error) {
	var p problems
	mode := "--from"
	if c.Pending {
		mode = "--pending"
	}
	if c.Pending && len(c.From) > 0 {
		p.add("--pending", "does not go with --from; use one of them")
	}
	for _, name := range otherFlags(line) {
		if name == "fingerprint" && len(c.From) == 1 && !c.Pending {
			continue // records it as a version of its own
		}
		p.add("--"+name, "does not go with %s: the publish file says all that is recorded; leave it out", mode)
	}
	if at := slices.Index(c.From, stdinName); at >= 0 && slices.Contains(c.From[at+1:], stdinName) {
		p.add("--from", "- is there twice; stdin can be read once")
	}
	if len(c.Without) > 0 && (c.Pending || len(c.From) != 1) {
		p.add("--without", "goes with one --from; a name is that of a document of one file")
	}
	if c.Fingerprint != "" {
		p.check("--fingerprint", registry.CheckFingerprint(c.Fingerprint))
	}
	if c.Artifact != "" && !c.Pending {
		checkArtifact(&p, c.Artifact)
	}
	paths := c.From
	if c.Pending {
		var err error
		paths, err = publishfile.Pending(cmp.Or(c.Artifact, "."))
		p.check("--pending", err)
	}
	return paths, p.err("publish")
}

// otherFlags are the flags of the command that were given and have nothing to do with publish files.
func otherFlags(line *kong.Context) []string {
	var names []string
	for _, at := range line.Path {
		if at.Flag == nil || at.Resolved || !slices.Contains(line.Selected().Flags, at.Flag) {
			continue
		}
		if name := at.Flag.Name; !slices.Contains(append(names, "from", "pending", "without", "dry-run"), name) {
			names = append(names, name)
		}
	}
	return names
}

// sendFile sends one file, and marks it as recorded. before are those that were sent already.
func (c *publishCmd) sendFile(a *app, to *client.Client, path string, before []sent) sent {
	s := sent{Path: path}
	f, err := readPublishFile(a, path)
	if err != nil {
		s.err = err
		return s
	}
	s.Artifact, s.Component, s.WrittenAt, s.Reason = f.Artifact, f.Publication.Build.Component, f.WrittenAt, f.Reason
	if err := c.mayBeSent(f, to); err != nil {
		s.err = about(path, err)
		return s
	}
	if err := c.adjust(a, &f); err != nil {
		s.err = about(path, err)
		return s
	}
	if c.DryRun {
		return s
	}
	receipt, err := send(a.ctx, f, to, a.track())
	if err != nil {
		if s.err = about(path, err); remedy(path, f, err) != "" {
			s.err = hinted(s.err, remedy(path, f, err))
		}
		return s
	}
	s.Receipt = &receipt
	s.Warning = late(a.ctx, to, f, receipt, before)
	if path == stdinName {
		return s
	}
	if err := publishfile.MarkRecorded(path); err != nil {
		err = fmt.Errorf("%s is recorded, and could not be renamed, so that it counts as pending: %w", path, err)
		s.err = hinted(err, "delete or rename the file; to send it again does no harm")
	}
	return s
}

// late warns of a version that a file made and that latest names now, although another one was recorded
// while the file lay there: whatever follows latest has gone back. Those that the same command recorded are
// in the order of their files. It is no error if that cannot be found out.
func late(ctx context.Context, to *client.Client, f publishfile.File, r registry.Receipt, before []sent) string {
	if r.Status != registry.StatusComplete {
		return ""
	}
	const most = 500 // of a page
	page, err := to.Versions(ctx, string(r.Artifact), registry.VersionFilter{Type: string(r.Type), Offered: true, Limit: min(len(before)+2, most)})
	if err != nil || len(page.Versions) == 0 || page.Versions[0].Number != r.Number {
		return ""
	}
	recorded := func(number int64) bool {
		return slices.ContainsFunc(before, func(s sent) bool {
			return s.Receipt != nil && s.Receipt.Artifact == r.Artifact && s.Receipt.Number == number
		})
	}
	if made := page.Versions[0].CreatedAt.Equal(r.PublishedAt) || recorded(r.Number); !made {
		return ""
	}
	for _, v := range page.Versions[1:] {
		if v.CreatedAt.After(f.WrittenAt) && !recorded(v.Number) {
			return fmt.Sprintf("latest of %s is %s now, which was built before %s was recorded (%s); if it should not be, revoke it: almanac revoke %s %d --reason TEXT",
				r.Artifact, versionText(r.VersionID), versionText(v.VersionID), shortTime(v.CreatedAt), r.Artifact, r.Number)
		}
	}
	return ""
}

// adjust makes of a file what --fingerprint and --without say.
func (c *publishCmd) adjust(a *app, f *publishfile.File) error {
	if c.Fingerprint != "" && c.Fingerprint != f.Publication.Fingerprint {
		// The version that the file names is that of its run.
		f.Publication.Fingerprint, f.Publication.Version = c.Fingerprint, ""
		a.note("It is recorded as a version of its own, with the fingerprint %s.", c.Fingerprint)
	}
	for _, name := range c.Without {
		at := slices.IndexFunc(f.Attachments, func(d publishfile.Content) bool { return d.Name == name })
		if at < 0 {
			return registry.Errorf(registry.NotFound, "--without: it has no document %q", name)
		}
		f.Attachments = slices.Delete(f.Attachments, at, at+1)
	}
	return nil
}

// remedy is a command that records a file which cannot be sent as it is; "" where there is none.
func remedy(file string, f publishfile.File, err error) string {
	e, refused := errors.AsType[*registry.Error](err)
	ofBuild := func(field registry.FieldError) bool { return strings.HasPrefix(field.Field, "build.") }
	switch {
	case file == stdinName:
		return ""
	case refused && e.Kind == registry.Conflict && slices.ContainsFunc(e.Fields, ofBuild):
		// The run was repeated, and made other images.
		return fmt.Sprintf("almanac publish --from %s --fingerprint %s records it as a version of its own", shellWord(file), shellWord(f.Publication.Fingerprint+"-late"))
	case errors.Is(err, fs.ErrNotExist):
		remedy := "put it back: the paths in a publish file begin where that lies"
		if name := missingDocument(f, err); name != "" {
			remedy += fmt.Sprintf("; or leave the document out: almanac publish --from %s --without %s", shellWord(file), shellWord(name))
		}
		return remedy
	}
	return ""
}

// missingDocument is the name of the document that an error is about; "" if it is about a file of the build.
func missingDocument(f publishfile.File, err error) string {
	gone, ok := errors.AsType[*fs.PathError](err)
	if !ok {
		return ""
	}
	for _, d := range f.Attachments {
		if filepath.Base(gone.Path) == filepath.Base(filepath.FromSlash(d.Path)) {
			return d.Name
		}
	}
	return ""
}

// about says which file an error is about. A path is in the text of its own errors.
func about(path string, err error) error {
	if path == stdinName {
		path = "the publish file on stdin"
	}
	return fmt.Errorf("%s: %w", path, err)
}

func readPublishFile(a *app, path string) (publishfile.File, error) {
	if path == stdinName {
		f, err := publishfile.Decode(a.stdin, ".")
		if err != nil {
			err = about(path, err)
		}
		return f, err
	}
	f, err := publishfile.Read(path)
	switch stat, statErr := os.Stat(path); {
	case err != nil && statErr == nil && stat.IsDir():
		return f, hinted(registry.Errorf(registry.Invalid, "--from: %s is a directory", path), "almanac publish --pending "+shellWord(path))
	case errors.Is(err, fs.ErrNotExist):
		return f, hinted(err, "almanac publish --pending DIR sends what lies in a directory; relative paths begin in the current one")
	}
	return f, err
}

// mayBeSent holds a publish file, which anybody may have written, to the registry that the user names: a
// token never goes where a file says, and what is built for one registry is not recorded in another.
func (c *publishCmd) mayBeSent(f publishfile.File, to *client.Client) error {
	other, err := client.New(client.Options{Address: f.Address})
	if err != nil {
		return err
	}
	if other.Address() != to.Address() {
		err := registry.Errorf(registry.Conflict, "it is for the registry at %s, and this command talks to %s; nothing was sent", other.Address(), to.Address())
		return hinted(err, "--address "+shellWord(other.Address())+" if that is where it belongs")
	}
	if c.Artifact != "" && !c.Pending && c.Artifact != string(f.Artifact) {
		return registry.Errorf(registry.Conflict, "it is for the artifact %s, not for %s; nothing was sent", f.Artifact, c.Artifact)
	}
	return nil
}

// send sends a file, after it was asked whether the token allows it: the contents can take an hour.
func send(ctx context.Context, f publishfile.File, to *client.Client, track client.Track) (registry.Receipt, error) {
	if len(f.Files)+len(f.Attachments) > 0 {
		if err := mayPublish(ctx, to, string(f.Artifact), f.Publication.Channels); err != nil {
			return registry.Receipt{}, err
		}
	}
	return f.Send(ctx, to, track)
}
