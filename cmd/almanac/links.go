package main

import (
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

type linksCmd struct {
	Artifact string `arg:"" optional:"" help:"NAMESPACE/NAME at either end. Default: all links."`
}

func (c *linksCmd) Help() string {
	return `Example:

    almanac links cargomedia/app`
}

func (c *linksCmd) Run(a *app) error {
	var p problems
	if c.Artifact != "" {
		checkArtifact(&p, c.Artifact)
	}
	if err := p.err("links"); err != nil {
		return err
	}
	client, err := a.client()
	if err != nil {
		return err
	}
	links, err := client.Links(a.ctx, c.Artifact)
	if err != nil {
		return err
	}
	return a.show(map[string][]registry.Link{"links": links}, func() {
		if len(links) == 0 {
			a.note("No links.")
			return
		}
		t := newTable("APPLICATION", "TARGET", "SINCE", "BY")
		for _, l := range links {
			t.add(string(l.Application), string(l.Target), shortTime(l.CreatedAt), l.CreatedBy)
		}
		a.printTable(t, "")
	})
}
