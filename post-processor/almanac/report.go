package almanac

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/internal/localfiles"
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
		r.ui.say("  %s: %s", place, image.ID)
	}
	for _, u := range r.uploads {
		r.ui.say("  %s: %d bytes, sha256 %s", u.sent.Name, u.sent.Size, u.sent.SHA256)
	}
	for _, c := range rec.Channels {
		if c.Points {
			r.ui.say("  channel %s points to it", c.Name)
		} else {
			r.ui.say("  channel %s does not point to it: %s", c.Name, c.Note)
		}
	}
	if rec.Status == registry.StatusOpen {
		r.ui.say("  not offered yet: the version still expects %s", strings.Join(rec.Missing, ", "))
		if len(r.config.Expect) > 0 && !slices.Contains(r.config.Expect, rec.Component) {
			r.ui.say("  expect does not list %s itself: if that is a spelling mistake, the version will stay open", rec.Component)
		}
	}
}

// notRecorded is the text for a build that is there and is not in the registry: why, and how it gets
// there.
func (r *recording) notRecorded(err error) string {
	var b strings.Builder
	b.WriteString("THIS BUILD IS NOT RECORDED in the registry.\n")
	fmt.Fprintf(&b, "Why: %v\n", err)
	if hint := r.hint(err); hint != "" {
		fmt.Fprintf(&b, "What to do: %s\n", hint)
	}
	b.WriteString("What was built is kept")
	rescue := r.rescue(err)
	if !r.described || rescue == nil {
		// A command that records a part would only make a conflict of the whole.
		r.listProduct(&b)
		return b.String()
	}
	b.WriteString(". Record it by hand, with a token in the environment variable " + client.EnvToken + rescue.note + ":\n\n    ")
	b.WriteString(r.command(rescue))
	b.WriteString("\n")
	return b.String()
}

// listProduct ends a sentence with what was built.
func (r *recording) listProduct(b *strings.Builder) {
	const most = 20
	var things []string
	for _, image := range r.build.Images {
		things = append(things, image.String())
	}
	things = append(things, r.product.files...)
	if len(things) == 0 {
		b.WriteString(".")
		return
	}
	b.WriteString("; once that is mended, `almanac publish` records it:\n\n")
	for _, thing := range things[:min(most, len(things))] {
		fmt.Fprintf(b, "    %s\n", thing)
	}
	if more := len(things) - most; more > 0 {
		fmt.Fprintf(b, "    and %d more\n", more)
	}
}

// rescue says how the command that records the build differs from what was refused.
type rescue struct {
	newVersion          bool // the build goes to a version of its own
	noVersion, noExpect bool
	note                string // follows the sentence before the command
}

// rescue returns nil if no command can succeed.
func (r *recording) rescue(err error) *rescue {
	e, ok := errors.AsType[*registry.Error](err)
	if !ok || e.Kind != registry.Conflict || !r.sent {
		return new(rescue)
	}
	about := func(field string) bool {
		return slices.ContainsFunc(e.Fields, func(f registry.FieldError) bool { return f.Field == field })
	}
	switch {
	case aboutBuild(e):
		// The version that the template names is that of the run, so a new one cannot have it.
		return &rescue{newVersion: true, noVersion: true, note: ". It leaves out the fingerprint and the version, and so makes a new version"}
	case about("version") && about("expect"):
		return &rescue{noVersion: true, noExpect: true, note: ". It leaves out the version and expect, and so adds to what is recorded of the run"}
	case about("version"):
		return &rescue{noVersion: true, note: ". It leaves out the version, and so adds to what is recorded of the run"}
	case about("expect"):
		return &rescue{noExpect: true, note: ". It leaves out expect, and so adds to what is recorded of the run"}
	case len(e.Fields) == 0 && r.config.Version != "":
		// Without fields the version is not new, but another run's.
		return &rescue{noVersion: true, note: ". It leaves out the version, and so gets the next free one"}
	}
	return nil
}

// aboutBuild says whether what is recorded of the build is something else.
func aboutBuild(e *registry.Error) bool {
	return slices.ContainsFunc(e.Fields, func(f registry.FieldError) bool { return strings.HasPrefix(f.Field, "build.") })
}

func (r *recording) hint(err error) string {
	e, ok := errors.AsType[*registry.Error](err)
	switch {
	case !ok:
	case e.Kind == registry.Conflict && aboutBuild(e):
		return `if the template uses one source twice, set component = "${source.type}.${source.name}" so that each build has its own name; if an earlier run had the same fingerprint, give this one another`
	case e.Kind == registry.Unavailable:
		return "start the registry again, then run the command below; it can be run more than once"
	}
	return ""
}

// command is the command line that records the build. It holds no secret: the token comes from the
// environment, and what is in it was to be recorded anyway.
func (r *recording) command(how *rescue) string {
	words := []string{"almanac", "publish", r.config.Artifact}
	if how.newVersion && os.Getenv("ALMANAC_FINGERPRINT") != "" {
		// The shell that it is pasted into may have it too.
		words = append([]string{"ALMANAC_FINGERPRINT="}, words...)
	}
	add := func(flag, value string) {
		switch {
		case strings.HasPrefix(value, "-"):
			words = append(words, flag+"="+value)
		case value != "":
			words = append(words, flag, value)
		}
	}
	add("--address", r.config.Address)
	add("--type", string(r.build.Type))
	if !how.newVersion {
		add("--fingerprint", r.config.Fingerprint)
	}
	add("--component", r.build.Component)
	add("--architecture", r.build.Architecture)
	add("--provider", r.build.Provider)
	for _, image := range r.build.Images {
		add("--image", image.String())
	}
	for _, u := range r.uploads {
		add("--file", localfiles.Absolute(u.Path))
	}
	for _, key := range slices.Sorted(maps.Keys(r.build.Metadata)) {
		add("--metadata", key+"="+r.build.Metadata[key])
	}
	if !how.noVersion {
		add("--version", r.config.Version)
	}
	for _, channel := range r.config.Channels {
		add("--channel", channel)
	}
	if !how.noExpect {
		for _, component := range r.config.Expect {
			add("--expect", component)
		}
	}
	return emit.ShellCommand(words)
}
