package almanac

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
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
		r.ui.say("  %s: %d bytes, sha256 %s", u.file.Name, u.file.Size, u.file.SHA256)
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
	b.WriteString("What was built is kept.")
	if r.build.Type == "" || len(r.build.Images)+len(r.uploads) == 0 {
		return b.String()
	}
	b.WriteString(" Record it by hand, with a token in the environment variable " + client.EnvToken + ":\n\n    ")
	b.WriteString(r.command())
	b.WriteString("\n")
	return b.String()
}

func (r *recording) hint(err error) string {
	e, ok := errors.AsType[*registry.Error](err)
	if !ok {
		return ""
	}
	switch e.Kind {
	case registry.Conflict:
		return `if the template uses one source twice, set component = "${source.type}.${source.name}" so that each build has its own name`
	case registry.Unavailable:
		return "start the registry again, then run the command below; it can be run more than once"
	}
	return ""
}

// command is the command line that records the build. It holds no secret: the token comes from the
// environment, and what is in it was to be recorded anyway.
func (r *recording) command() string {
	words := []string{"almanac", "publish", r.config.Artifact}
	add := func(flag, value string) {
		if value != "" {
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
		add("--file", u.path)
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
	for i, word := range words {
		words[i] = shellQuote(word)
	}
	return strings.Join(words, " ")
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// shellQuote makes one word of s for a POSIX shell.
func shellQuote(s string) string {
	if plainWord.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// versionRef names the recorded version in a way that cannot come to mean another one.
func (r *recording) versionRef() string { return strconv.FormatInt(r.receipt.Number, 10) }
