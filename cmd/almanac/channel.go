package main

import (
	"strconv"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

type channelCmd struct {
	Set    channelSetCmd    `cmd:"" help:"Point a channel to a version."`
	Show   channelShowCmd   `cmd:"" help:"Show where a channel points, and its history."`
	Delete channelDeleteCmd `cmd:"" help:"Remove a channel; the version that it points to stays."`
}

type channelSetCmd struct {
	Artifact string `arg:"" help:"NAMESPACE/NAME."`
	Channel  string `arg:"" help:"Name of the channel; a new name makes one."`
	Ref      string `arg:"" optional:"" help:"The version; it is looked up now, the channel does not follow it later."`
	Rollback bool   `help:"Take back the channel's last move, instead of a REF."`
	Reason   string `placeholder:"TEXT" help:"Why, for the history."`
}

func (c *channelSetCmd) Help() string {
	return `It needs the role promote.

Examples:

    almanac channel set cargomedia/app production 1.4.0 --reason "release 27"
    almanac channel set cargomedia/app production staging
    almanac channel set cargomedia/app production --rollback`
}

func (c *channelSetCmd) Run(a *app) error {
	var p problems
	checkArtifact(&p, c.Artifact)
	p.check("CHANNEL", registry.CheckChannelName(c.Channel))
	switch {
	case c.Rollback && c.Ref != "":
		p.add("--rollback", "cannot be used together with a REF")
	case !c.Rollback && c.Ref == "":
		p.add("REF", "is missing; give the version to point to, or --rollback")
	case c.Ref != "":
		_, err := registry.ParseRef(c.Ref)
		p.check("REF", err)
	}
	if err := p.err("channel set"); err != nil {
		return err
	}
	client, err := a.client()
	if err != nil {
		return err
	}
	history, err := client.SetChannel(a.ctx, c.Artifact, c.Channel, registry.ChannelChange{Ref: c.Ref, Rollback: c.Rollback, Reason: c.Reason})
	if err != nil {
		return missing(err, c.Artifact)
	}
	return a.show(history, func() {
		a.printf("%s %s points to %s", clean(string(history.Artifact)), clean(history.Name), clean(versionText(history.VersionID)))
		if len(history.Moves) > 0 && history.Moves[0].From != nil {
			a.printf("; it pointed to %s", clean(versionText(*history.Moves[0].From)))
		}
		a.printf(".\n")
	})
}

type channelShowCmd struct {
	Artifact string `arg:"" help:"NAMESPACE/NAME."`
	Channel  string `arg:"" help:"Name of the channel."`
}

func (c *channelShowCmd) Help() string {
	return `Example:

    almanac channel show cargomedia/app production`
}

func (c *channelShowCmd) Run(a *app) error {
	var p problems
	checkArtifact(&p, c.Artifact)
	p.check("CHANNEL", registry.CheckChannelName(c.Channel))
	if err := p.err("channel show"); err != nil {
		return err
	}
	client, err := a.client()
	if err != nil {
		return err
	}
	history, err := client.Channel(a.ctx, c.Artifact, c.Channel)
	if err != nil {
		return missing(err, c.Artifact)
	}
	return a.show(history, func() { a.showChannel(history) })
}

type channelDeleteCmd struct {
	Artifact string `arg:"" help:"NAMESPACE/NAME."`
	Channel  string `arg:"" help:"Name of the channel."`
}

func (c *channelDeleteCmd) Help() string {
	return `What asks for the channel fails from then on. A channel of the same name that is made later goes on with its history. It needs the role promote.

Example:

    almanac channel delete cargomedia/app nightly`
}

func (c *channelDeleteCmd) Run(a *app) error {
	var p problems
	checkArtifact(&p, c.Artifact)
	p.check("CHANNEL", registry.CheckChannelName(c.Channel))
	if err := p.err("channel delete"); err != nil {
		return err
	}
	client, err := a.client()
	if err != nil {
		return err
	}
	if err := client.DeleteChannel(a.ctx, c.Artifact, c.Channel); err != nil {
		return missing(err, c.Artifact)
	}
	a.note("%s has no channel %s any more.", c.Artifact, c.Channel)
	return nil
}

func (a *app) showChannel(h registry.ChannelHistory) {
	t := newTable()
	t.add("Channel", cell{string(h.Artifact) + " " + h.Name, bold})
	t.add("Version", versionText(h.VersionID))
	if h.Revocation != nil {
		t.add("Revoked", cell{shortTime(h.Revocation.At) + " by " + h.Revocation.By + ": " + h.Revocation.Reason, red})
	}
	a.printTable(t, "")
	a.printf("\n")
	moves := newTable("MOVED", "FROM", "TO", "NUMBER", "BY", "REASON")
	for _, m := range h.Moves {
		from := "-"
		if m.From != nil {
			from = m.From.Version
		}
		moves.add(shortTime(m.At), from, m.To.Version, strconv.FormatInt(m.To.Number, 10), m.By, orDash(m.Reason))
	}
	a.printTable(moves, "")
}
