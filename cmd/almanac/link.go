package main

import (
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// linkArguments are the two ends of a link.
type linkArguments struct {
	Application string `arg:"" help:"NAMESPACE/NAME whose new versions ask for a build."`
	Target      string `arg:"" help:"NAMESPACE/NAME that is built then."`
}

// check finds all mistakes of the arguments.
func (l linkArguments) check(command string) error {
	var p problems
	_, err := registry.ParseArtifactName(l.Application)
	p.check("APPLICATION", err)
	_, err = registry.ParseArtifactName(l.Target)
	p.check("TARGET", err)
	if err == nil && l.Application == l.Target {
		p.add("TARGET", "is the application itself; give the artifact that is built from it")
	}
	return p.err(command)
}

type linkCmd struct{ linkArguments }

func (c *linkCmd) Help() string {
	return `Every version of the application that is complete and has an archive asks for a run from then on; those that are there ask for none. The registry runs nothing by itself: almanac runner does, where the credentials are. It needs the role publish for both.

Example:

    almanac link cargomedia/app cargomedia/app-image`
}

func (c *linkCmd) Run(a *app) error {
	if err := c.check("link"); err != nil {
		return err
	}
	client, err := a.client()
	if err != nil {
		return err
	}
	link, err := client.Link(a.ctx, c.Application, c.Target)
	if err != nil {
		return err
	}
	return a.show(link, func() {
		a.printf("%s is linked to %s: each new version asks for a run.\n", link.Application, link.Target)
		a.note("A runner does it: almanac runner --link %s:%s -- COMMAND", link.Application, link.Target)
	})
}

type unlinkCmd struct{ linkArguments }

func (c *unlinkCmd) Help() string {
	return `Runs that no runner has taken fail; one that a runner has goes on. It needs the role publish for both.

Example:

    almanac unlink cargomedia/app cargomedia/app-image`
}

func (c *unlinkCmd) Run(a *app) error {
	if err := c.check("unlink"); err != nil {
		return err
	}
	client, err := a.client()
	if err != nil {
		return err
	}
	if err := client.Unlink(a.ctx, c.Application, c.Target); err != nil {
		return hinted(err, "almanac links "+c.Application, registry.NotFound)
	}
	a.note("%s is not linked to %s any more.", c.Application, c.Target)
	return nil
}
