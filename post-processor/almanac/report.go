package almanac

import (
	"errors"
	"fmt"
	"maps"
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
	}
	if len(r.config.Expect) > 0 && !slices.Contains(r.config.Expect, rec.Component) {
		r.ui.say("  expect does not list %s itself: if that is a spelling mistake, the version will stay open", rec.Component)
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
	if !r.described {
		// A command that records a part would only make a conflict of the whole.
		r.listProduct(&b)
		return b.String()
	}
	b.WriteString(". Record it by hand, with a token in the environment variable " + client.EnvToken + ":\n\n    ")
	b.WriteString(r.command())
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

func (r *recording) hint(err error) string {
	e, ok := errors.AsType[*registry.Error](err)
	switch {
	case !ok:
	case e.Kind == registry.Conflict && slices.ContainsFunc(e.Fields, func(f registry.FieldError) bool { return strings.HasPrefix(f.Field, "build.") }):
		return `if the template uses one source twice, set component = "${source.type}.${source.name}" so that each build has its own name; if an earlier run had the same fingerprint, give this one another`
	case e.Kind == registry.Unavailable:
		return "start the registry again, then run the command below; it can be run more than once"
	}
	return ""
}

// command is the command line that records the build. It holds no secret: the token comes from the
// environment, and what is in it was to be recorded anyway.
func (r *recording) command() string {
	words := []string{"almanac", "publish", r.config.Artifact}
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
	add("--fingerprint", r.config.Fingerprint)
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
	add("--version", r.config.Version)
	for _, channel := range r.config.Channels {
		add("--channel", channel)
	}
	for _, component := range r.config.Expect {
		add("--expect", component)
	}
	return emit.ShellCommand(words)
}
