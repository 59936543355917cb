package main

import "github.com/cargomedia/packer-plugin-almanac/registry"

type artifactCmd struct {
	Set    artifactSetCmd    `cmd:"" help:"Set an artifact's description, and who may read it."`
	Delete artifactDeleteCmd `cmd:"" help:"Delete an artifact with all its versions and channels."`
}

type artifactSetCmd struct {
	Artifact    string  `arg:"" help:"NAMESPACE/NAME; it is made if it is not there."`
	Description *string `placeholder:"TEXT" help:"What it is."`
	Public      *bool   `negatable:"" help:"Let everybody read it without a token, or not any more."`
}

func (c *artifactSetCmd) Help() string {
	return `What is not given stays as it is. It needs the role admin.

Example:

    almanac artifact set cargomedia/app --description "Base image of the app servers" --public`
}

func (c *artifactSetCmd) Run(a *app) error {
	var p problems
	checkArtifact(&p, c.Artifact)
	if c.Description == nil && c.Public == nil {
		p.add("--description, --public, --no-public", "at least one of them must be given")
	}
	if err := p.err("artifact set"); err != nil {
		return err
	}
	client, err := a.client()
	if err != nil {
		return err
	}
	artifact, err := client.Artifact(a.ctx, c.Artifact)
	if err != nil && registry.KindOf(err) != registry.NotFound {
		return err
	}
	settings := registry.ArtifactSettings{Description: artifact.Description, Public: artifact.Public}
	if c.Description != nil {
		settings.Description = *c.Description
	}
	if c.Public != nil {
		settings.Public = *c.Public
	}
	artifact, err = client.PutArtifact(a.ctx, c.Artifact, settings)
	if err != nil {
		return err
	}
	return a.show(artifact, func() { a.showArtifact(artifact) })
}

type artifactDeleteCmd struct {
	Artifact string `arg:"" help:"NAMESPACE/NAME."`
	Yes      bool   `help:"Really delete it. Required."`
}

func (c *artifactDeleteCmd) Help() string {
	return `The images and machines that it names are not touched. There is no way back. It needs the role admin.

Example:

    almanac artifact delete cargomedia/old --yes`
}

func (c *artifactDeleteCmd) Run(a *app) error {
	var p problems
	checkArtifact(&p, c.Artifact)
	if !c.Yes {
		p.add("--yes", "is missing; all versions and channels of the artifact go for ever")
	}
	if err := p.err("artifact delete"); err != nil {
		return err
	}
	client, err := a.client()
	if err != nil {
		return err
	}
	if err := client.DeleteArtifact(a.ctx, c.Artifact); err != nil {
		return err
	}
	return a.show(map[string]string{"deleted": c.Artifact}, func() { a.printf("%s is deleted.\n", clean(c.Artifact)) })
}
