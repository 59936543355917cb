package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

type showCmd struct {
	Artifact string `arg:"" help:"NAMESPACE/NAME."`
	Ref      string `arg:"" optional:"" help:"A version: 3, 1.2.0, '~> 1.2', latest, a channel or a fingerprint."`
}

func (c *showCmd) Help() string {
	return `Without REF it shows the artifact and its channels, with REF the version, its builds, images, files, attachments, metadata and provenance, and what was found of its images at their provider.

Examples:

    almanac show cargomedia/app
    almanac show cargomedia/app production`
}

func (c *showCmd) Run(a *app) error {
	var p problems
	checkArtifact(&p, c.Artifact)
	if c.Ref != "" {
		_, err := registry.ParseRef(c.Ref)
		p.check("REF", err)
	}
	if err := p.err("show"); err != nil {
		return err
	}
	client, err := a.client()
	if err != nil {
		return err
	}
	if c.Ref == "" {
		artifact, err := client.Artifact(a.ctx, c.Artifact)
		if err != nil {
			return err
		}
		return a.show(artifact, func() { a.showArtifact(artifact) })
	}
	version, err := client.Version(a.ctx, c.Artifact, c.Ref)
	if err != nil {
		return missing(err, c.Artifact)
	}
	return a.show(version, func() { a.showVersion(version) })
}

func (a *app) showArtifact(art registry.Artifact) {
	t := newTable()
	t.add("Artifact", cell{string(art.Name), bold})
	if art.Summary != "" {
		t.add("Summary", art.Summary)
	}
	if art.Description != "" {
		t.add("Description", strings.Join(strings.Fields(art.Description), " "))
	}
	latest := "none that is complete and not revoked"
	if art.Latest != nil {
		latest = versionText(*art.Latest)
	}
	t.add("Latest", latest)
	t.add("Types", orDash(joinTypes(art.Types)))
	readers := "tokens whose scope covers it"
	if art.Public {
		readers = "everybody (public)"
	}
	t.add("Readable by", readers)
	t.add("Created", shortTime(art.CreatedAt))
	t.add("Updated", shortTime(art.UpdatedAt))
	a.printTable(t, "")
	if len(art.Channels) == 0 {
		return
	}
	a.printf("\n")
	channels := newTable("CHANNEL", "VERSION", "NUMBER", "MOVED", "BY")
	for _, c := range art.Channels {
		channels.add(c.Name, c.Version, strconv.FormatInt(c.Number, 10), shortTime(c.MovedAt), c.MovedBy)
	}
	a.printTable(channels, "")
}

func versionText(v registry.VersionID) string {
	return fmt.Sprintf("%s (number %d)", v.Version, v.Number)
}

func (a *app) showVersion(v registry.Version) {
	t := newTable()
	t.add("Artifact", string(v.Artifact))
	t.add("Version", cell{versionText(v.VersionID), bold})
	t.add("Status", statusCell(v, time.Now()))
	if v.Description != "" {
		t.add("Description", strings.Join(strings.Fields(v.Description), " "))
	}
	if v.Revocation != nil {
		t.add("Revoked", fmt.Sprintf("%s by %s: %s", shortTime(v.Revocation.At), v.Revocation.By, v.Revocation.Reason))
	}
	if missing := v.Missing(); len(missing) > 0 {
		t.add("Waits for", strings.Join(missing, ", "))
	}
	for _, i := range v.Waiting() {
		t.add("Not offered", i.String()+", which is "+string(i.Verification.Status))
	}
	for _, p := range v.Pending {
		t.add("No bytes yet", strings.Join(slices.DeleteFunc([]string{p.Provider, p.Architecture}, func(s string) bool { return s == "" }), "/"))
	}
	t.add("Fingerprint", v.Fingerprint)
	if len(v.Requested) > 0 {
		t.add("For channels", strings.Join(v.Requested, ", "))
	}
	t.add("Created", shortTime(v.CreatedAt)+" by "+v.CreatedBy)
	t.add("Completed", optionalTime(v.Completed))
	a.printTable(t, "")
	a.showMap("Metadata", "", v.Metadata)
	for _, b := range v.Builds {
		a.showBuild(b)
	}
}

// showMap prints metadata, sorted by key. Long values are shown whole: they were asked for.
func (a *app) showMap(title, indent string, m registry.Metadata) {
	if len(m) == 0 {
		return
	}
	a.printf("\n%s%s\n", indent, a.paint(bold, title))
	t := newTable()
	for _, key := range slices.Sorted(maps.Keys(m)) {
		t.add(key, m[key])
	}
	a.printTable(t, indent+"  ")
}
