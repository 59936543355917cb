package almanac

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/internal/publishfile"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
	"github.com/cargomedia/packer-plugin-almanac/terraform/emit"
)

// say tells what was recorded, and where it can be found.
func (r *recording) say() {
	rec := r.receipt
	r.ui.say("Recorded %s as %s %s (number %d), type %s", rec.Component, rec.Artifact, rec.Version, rec.Number, rec.Type)
	for _, image := range r.build.Images {
		place := image.Region
		if place == "" {
			place = image.Provider
		}
		r.ui.say("  %s: %s%s", place, image.ID, finding(image.Verification))
	}
	for _, u := range r.uploads {
		kind := ""
		if u.kind != "" {
			kind = ", attached as " + string(u.kind)
		}
		r.ui.say("  %s: %d bytes, sha256 %s%s", u.sent.Name, u.sent.Size, u.sent.SHA256, kind)
	}
	for _, c := range rec.Channels {
		if c.Points {
			r.ui.say("  channel %s points to it", c.Name)
		} else {
			r.ui.say("  channel %s does not point to it: %s", c.Name, c.Note)
		}
	}
	if rec.Status == registry.StatusFailed {
		r.ui.say("  never offered: the version failed")
	}
	if r.pending() {
		r.ui.say("  what is pending is not offered until this finds it available: %s", r.verifyCommand())
	}
	if rec.Status == registry.StatusOpen && len(rec.Missing) > 0 {
		r.ui.say("  not offered yet: the version still expects %s", strings.Join(rec.Missing, ", "))
		if len(r.config.Expect) > 0 && !slices.Contains(r.config.Expect, rec.Component) {
			r.ui.say("  expect does not list %s itself: if that is a spelling mistake, the version will stay open", rec.Component)
		}
	}
}

// finding says what was found of an image, as the end of a line about it.
func finding(v *registry.Verification) string {
	switch {
	case v == nil:
		return ""
	case v.Reason == "":
		return ", " + string(v.Status)
	}
	return fmt.Sprintf(", %s: %s", v.Status, v.Reason)
}

// pending says whether images are recorded that wait for somebody to look at them again.
func (r *recording) pending() bool {
	return r.unusable() == nil && slices.ContainsFunc(r.build.Images, func(i registry.Image) bool {
		return i.Verification != nil && i.Verification.Status == registry.ImagePending
	})
}

func (r *recording) verifyCommand() string {
	return r.commandLine("aws", "verify", string(r.receipt.Artifact), strconv.FormatInt(r.receipt.Number, 10))
}

// commandLine is a command of almanac as it is typed on this system, with the registry's address unless it
// goes there by itself.
func (r *recording) commandLine(words ...string) string {
	words = append([]string{"almanac"}, words...)
	if r.config.Address != client.DefaultAddress {
		words = append(words, "--address", r.config.Address)
	}
	if windows() {
		return windowsCommand(words)
	}
	return emit.ShellCommand(words)
}

func windows() bool { return runtime.GOOS == "windows" }

var windowsPlain = regexp.MustCompile(`^[A-Za-z0-9._/:\\+=-]+$`)

// windowsCommand joins words so that cmd and PowerShell read them as they are: in double quotes, which no path
// has in it.
func windowsCommand(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = word
		if !windowsPlain.MatchString(word) {
			quoted[i] = `"` + word + `"`
		}
	}
	return strings.Join(quoted, " ")
}

// notRecorded is the text for a build that is there and is not in the registry: why, and how it gets
// there.
func (r *recording) notRecorded(err error, kept rescued) string {
	var b strings.Builder
	b.WriteString("THIS BUILD IS NOT RECORDED in the registry.\n")
	fmt.Fprintf(&b, "Why: %s\n", r.masked(err.Error()))
	if hint := r.hint(err, kept); hint != "" {
		fmt.Fprintf(&b, "What to do: %s\n", hint)
	}
	if r.unusable() == nil {
		b.WriteString("What was built is kept")
	} else {
		b.WriteString("What is known of it is kept, and what was built is not")
	}
	if kept.empty() {
		r.listProduct(&b, kept)
		return b.String()
	}
	if kept.path != "" {
		fmt.Fprintf(&b, ". This publish file has what is to be recorded:\n\n    %s\n\n", kept.path)
	} else {
		fmt.Fprintf(&b, ". A publish file could not be written: %s\n", r.masked(kept.err.Error()))
	}
	for _, note := range kept.notes {
		fmt.Fprintf(&b, "%s\n", r.masked(note))
	}
	if kept.path == "" && windows() {
		fmt.Fprintf(&b, "Save this line in a file, and record it with `%s`, with a token in the environment variable %s:\n\n%s\n",
			r.commandLine("publish", "--from", "FILE"), client.EnvToken, kept.text)
		return b.String()
	}
	fmt.Fprintf(&b, "Record it with this command, with a token in the environment variable %s:\n\n    %s\n\n", client.EnvToken, r.command(kept))
	b.WriteString("It can be repeated.")
	if kept.path != "" {
		fmt.Fprintf(&b, " `%s` sends all publish files that lie there, and a CI can fail on `*%s`.",
			r.commandLine("publish", "--pending", filepath.Dir(kept.path)), publishfile.Suffix)
	}
	return b.String()
}

// command is the command line that records the build. It holds no secret: the token comes from the
// environment.
func (r *recording) command(kept rescued) string {
	if kept.path != "" {
		return r.commandLine("publish", "--from", kept.path)
	}
	return emit.ShellCommand([]string{"printf", "%s", kept.text}) + " | " + r.commandLine("publish", "--from", "-")
}

// listProduct ends a sentence with what was built.
func (r *recording) listProduct(b *strings.Builder, kept rescued) {
	const most = 20
	var things []string
	for _, image := range r.build.Images {
		things = append(things, image.String())
	}
	things = append(things, r.product.files...)
	if len(things) > 0 {
		b.WriteString("; once that is mended, `almanac publish` records it:\n\n")
	} else {
		b.WriteString(".")
	}
	for _, thing := range things[:min(most, len(things))] {
		fmt.Fprintf(b, "    %s\n", r.masked(thing))
	}
	if more := len(things) - most; more > 0 {
		fmt.Fprintf(b, "    and %d more\n", more)
	}
	if kept.err != nil {
		fmt.Fprintf(b, "\nThere is no publish file: %s", r.masked(kept.err.Error()))
	}
}

// hint says what helps against err. Only what is kept can be recorded with one command.
func (r *recording) hint(err error, kept rescued) string {
	e, ok := errors.AsType[*registry.Error](err)
	if !ok {
		return ""
	}
	if e.Kind == registry.Conflict && aboutBuild(e) {
		return `if the template uses one source twice, set component = "${source.type}.${source.name}" so that each build has its own name; if an earlier run had the same fingerprint, give this one another`
	}
	then, with := "run the command below", "run the command below with"
	if kept.empty() {
		then, with = "record what was built with `almanac publish`", "record what was built with `almanac publish` and"
	}
	switch {
	case e.Kind == registry.Unavailable && r.sent && !kept.empty():
		return "start the registry again, then " + then + "; it changes nothing if the build was recorded after all and only the answer was lost"
	case e.Kind == registry.Unavailable && r.sent:
		return "start the registry again, and look whether the build was recorded after all and only the answer was lost; if it was not, " + then
	case e.Kind == registry.Unavailable:
		return "start the registry again, then " + then
	case e.Kind == registry.Unauthorized || e.Kind == registry.Forbidden:
		return with + " a token that may publish the artifact"
	}
	return ""
}

// destroyed says what becomes of a build that fails.
const destroyed = "Packer now destroys what was built, unless another post-processor keeps it: AMIs are deregistered and their snapshots deleted, files are removed"

// refusal is the error for a build that could not be recorded and fails because of that.
func (r *recording) refusal(err error) string {
	text := fmt.Sprintf("the build is not recorded in the registry, and on_registry_error is %q. Why: %s. %s.", onErrorFail, r.masked(err.Error()), destroyed)
	if kind := registry.KindOf(err); r.sent && (kind == registry.Unavailable || kind == registry.Internal) {
		show := r.commandLine("show", r.config.Artifact, "fingerprint:"+r.config.Fingerprint)
		text += fmt.Sprintf(" The registry may have recorded it, if only its answer was lost: look with `%s`. If the build is there, `%s` takes the version out of latest, and channels that moved to it go back with `%s`.",
			show, r.commandLine("revoke", r.config.Artifact, "fingerprint:"+r.config.Fingerprint, "--reason", "destroyed"), r.commandLine("channel", "set", r.config.Artifact, "CHANNEL", "--rollback"))
	}
	return text
}

// accountQuestion is what to ask when AMIs that are there were not found, or found to be somebody else's.
const accountQuestion = "If the AMIs are there, aws_verify looked with the credentials of another AWS account, or at another endpoint: check AWS_PROFILE, AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_EC2."

// failure is the error for a build with AMIs that cannot be used.
func (r *recording) failure(unusable error) string {
	text := r.masked(unusable.Error()) + ". " + accountQuestion + " "
	if r.receipt.Number > 0 {
		text += fmt.Sprintf("The build is recorded with that in version %s (number %d) of %s, and none of its images is offered. ", r.receipt.Version, r.receipt.Number, r.receipt.Artifact)
	}
	return text + destroyed + "."
}
