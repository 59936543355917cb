package main

import (
	"errors"
	"maps"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// questionFlags say which build of a version is meant.
type questionFlags struct {
	Type         string            `placeholder:"TYPE" help:"Type of the build, such as aws.ami or vagrant.box."`
	Provider     string            `placeholder:"NAME" help:"Vagrant provider of a box, or provider of an image."`
	Architecture string            `name:"arch" placeholder:"ARCH" help:"Architecture of the build, such as x86_64 or arm64."`
	Component    string            `placeholder:"NAME" help:"Packer source of the build, such as amazon-ebs.app."`
	Metadata     map[string]string `mapsep:"none" placeholder:"KEY=VALUE" help:"What the build's metadata must say. Can be repeated."`
}

func (q questionFlags) question(p *problems) registry.Question {
	checkType(p, q.Type)
	return registry.Question{
		Type: q.Type, Provider: q.Provider, Architecture: q.Architecture, Component: q.Component,
		Metadata: registry.Metadata(maps.Clone(q.Metadata)),
	}
}

type resolveCmd struct {
	Artifact string `arg:"" help:"NAMESPACE/NAME."`
	Ref      string `arg:"" help:"A version: 3, 1.2.0, '~> 1.2', latest, a channel or a fingerprint."`
	Region   string `placeholder:"REGION" help:"Region of the image, such as eu-west-1."`
	questionFlags
}

func (c *resolveCmd) Help() string {
	return `It prints one id and nothing else: that of the image or, for a build of one file, the sha256 of the file. With -o json it prints all that the ref stands for. When more than one build or image fits, it takes none and lists them.

Examples:

    almanac resolve cargomedia/app latest --type aws.ami --region eu-west-1
    almanac resolve cargomedia/app production -o json`
}

func (c *resolveCmd) Run(a *app) error {
	var p problems
	checkTarget(&p, c.Artifact, c.Ref)
	q := c.question(&p)
	q.Region = c.Region
	if err := p.err("resolve"); err != nil {
		return err
	}
	r, err := a.resolve(c.Artifact, c.Ref, q, "--type, --component, --arch, --provider, --metadata or --region")
	if err != nil {
		return err
	}
	if a.json {
		return writeJSON(a.stdout, r)
	}
	id, err := r.Bare()
	if err != nil {
		return hinted(err, "--region REGION, or -o json for all of them", registry.Conflict)
	}
	a.warnRevoked(r.VersionID, r.Revocation)
	a.printf("%s\n", clean(id))
	return nil
}

// resolve asks for one build and adds to an error what can be asked instead: narrow are the flags
// that the command has for that.
func (a *app) resolve(artifact, ref string, q registry.Question, narrow string) (registry.Resolution, error) {
	client, err := a.client()
	if err != nil {
		return registry.Resolution{}, err
	}
	r, err := client.Resolve(a.ctx, artifact, ref, q)
	if e, ok := errors.AsType[*registry.Error](err); ok && e.Kind == registry.NotFound && len(e.Choices) > 0 {
		// The choices say more than any hint.
		return r, hinted(err, "")
	}
	err = missing(err, artifact)
	return r, hinted(err, narrow+", to mean one", registry.Conflict)
}
