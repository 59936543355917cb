package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
	"github.com/cargomedia/packer-plugin-almanac/terraform/emit"
)

// terraformCmd has a command that needs no name: it was there before the other one.
type terraformCmd struct {
	Write  terraformWriteCmd  `cmd:"" default:"withargs" help:"Write Terraform code that maps an artifact to its AMI ids. The word write can be left out."`
	Import terraformImportCmd `cmd:"" help:"Write import blocks for EC2 instances that run what is recorded."`
}

type terraformWriteCmd struct {
	Artifact    string   `arg:"" help:"NAMESPACE/NAME."`
	Ref         string   `placeholder:"REF" help:"What the file follows: a channel, 3, 1.2.0, '~> 1.2' or latest. Required; the file pins the exact version that it is now."`
	Type        string   `placeholder:"TYPE" help:"Type of the build, such as aws.ami."`
	Arch        string   `placeholder:"ARCH" help:"Architecture of the build."`
	Component   string   `placeholder:"NAME" help:"Packer source of the build."`
	Style       string   `placeholder:"STYLE" complete:"data,locals,tfvars" help:"data: locals and a data aws_ami that reads each image back; locals: no access to AWS needed; tfvars: JSON. Default: data for AMIs, locals for all else."`
	AWSProvider int      `name:"aws-provider" placeholder:"6|5" complete:"6,5" help:"Major version of hashicorp/aws. Default: 6."`
	Owner       []string `sep:"none" placeholder:"ACCOUNT" help:"Account that owns the images, for data. Can be repeated. Default: self."`
	Name        string   `aliases:"ident" placeholder:"IDENT" help:"Name of the local or variable. Default: the artifact's name."`
	Out         string   `placeholder:"FILE" complete:"file" help:"Write this file instead of printing."`
	Check       bool     `help:"Write nothing; exit with 7 if --out is not what the ref stands for now."`
	Force       bool     `help:"Overwrite a file that was not generated for the same build."`

	// pinned is true when the file that is checked says which build of the version it is about.
	pinned bool
}

func (c *terraformWriteCmd) Help() string {
	return `The image of a region is then local.app.ami_ids["eu-west-1"]. With --check, what is not given is taken from the file.

Examples:

    almanac terraform cargomedia/app --ref production --type aws.ami --out app.tf
    almanac terraform cargomedia/app --ref production --out app.tf --check`
}

func (c *terraformWriteCmd) Run(a *app) error {
	existing, err := c.arguments(a.json)
	if err != nil {
		return err
	}
	client, err := a.client()
	if err != nil {
		return err
	}
	r, err := a.resolve(c.Artifact, c.Ref, registry.Question{Type: c.Type, Architecture: c.Arch, Component: c.Component}, "--type, --component or --arch")
	if c.Check && c.pinned && registry.KindOf(err) == registry.NotFound {
		return c.gone(a, client, err)
	}
	if err != nil {
		return err
	}
	a.warnRevoked(r.VersionID, r.Revocation)
	options := c.options()
	options.Address = client.Address()
	if c.Check {
		return c.check(a, existing, r, options)
	}
	content, err := emit.File(r, options)
	if err != nil {
		return flagged(err)
	}
	if c.Out == "" {
		_, err := a.stdout.Write(content)
		return err
	}
	if err := emit.Write(c.Out, content, c.Force); err != nil {
		return hinted(err, "another --out, or --force", registry.Conflict)
	}
	return a.show(written{c.Out, r.Artifact, c.Ref, r.VersionID}, func() {
		a.note("%s pins %s %s.", c.Out, r.Artifact, versionText(r.VersionID))
	})
}

// written says what a file is about, for programs.
type written struct {
	Path     string                `json:"path"`
	Artifact registry.ArtifactName `json:"artifact"`
	Ref      string                `json:"ref"`
	registry.VersionID
}

// arguments checks the command line and, for --check, reads the file and takes from it what was
// not given. asJSON is true if the output is to be JSON.
func (c *terraformWriteCmd) arguments(asJSON bool) (existing []byte, err error) {
	var p problems
	checkArtifact(&p, c.Artifact)
	if c.Ref == "" {
		p.add("--ref", "is missing; give what the file shall follow: a channel, a version, or latest if you want that")
	}
	checkType(&p, c.Type)
	if c.Check && c.Out == "" {
		p.add("--check", "needs --out FILE, the file to compare")
	}
	if asJSON && c.Out == "" && !c.Check && emit.Style(c.Style) != emit.StyleTfvars {
		p.add("--output", "json does not go with Terraform code; give --out FILE to write the code there, or --style tfvars to print JSON")
	}
	if c.Check && c.Out != "" {
		existing, err = os.ReadFile(c.Out)
		if errors.Is(err, fs.ErrNotExist) {
			err := registry.Errorf(registry.Conflict, "%s does not exist", c.Out)
			return nil, &cliError{err: err, hint: "the same command without --check, to write it", code: exitStale}
		}
		p.check("--out", err)
		if pin, ok := emit.ReadPin(existing); ok {
			c.fill(pin)
		}
	}
	typ, _ := registry.ParseType(c.Type)
	p.check("", flagged(c.options().Validate(typ)))
	if c.Out != "" && !c.Check {
		p.check("--out", emit.CheckPath(c.Out, emit.Style(cmp.Or(c.Style, string(emit.DefaultStyle(typ))))))
	}
	return existing, p.err("terraform write")
}

// gone is the error of a check that finds no such build as the file pins. If the ref stands for a
// version all the same, it has moved on to one without that build, and the file is out of date.
func (c *terraformWriteCmd) gone(a *app, client *client.Client, err error) error {
	if _, other := client.Version(a.ctx, c.Artifact, c.Ref); other != nil {
		return err
	}
	e, _ := errors.AsType[*registry.Error](err)
	stale := &registry.Error{Kind: registry.Conflict, Msg: fmt.Sprintf("%s is out of date: %s", c.Out, e.Msg), Choices: e.Choices}
	return &cliError{err: stale, hint: "the same command without --check, with the --type, --component and --arch that are meant now", code: exitStale}
}

// fill takes what the command line left open from a file that is to be checked.
func (c *terraformWriteCmd) fill(pin emit.Pin) {
	c.pinned = c.Type == "" && pin.Type != "" || c.Component == "" && pin.Component != "" || c.Arch == "" && pin.Architecture != ""
	c.Type = cmp.Or(c.Type, string(pin.Type))
	c.Component = cmp.Or(c.Component, pin.Component)
	c.Arch = cmp.Or(c.Arch, pin.Architecture)
	c.Style = cmp.Or(c.Style, string(pin.Style))
	c.AWSProvider = cmp.Or(c.AWSProvider, pin.AWSProvider)
	c.Name = cmp.Or(c.Name, pin.Ident)
	if len(c.Owner) == 0 {
		c.Owner = pin.Owners
	}
}

func (c *terraformWriteCmd) options() emit.Options {
	return emit.Options{Ref: c.Ref, Style: emit.Style(c.Style), AWSProvider: c.AWSProvider, Ident: c.Name, Owners: c.Owner}
}

func (c *terraformWriteCmd) check(a *app, existing []byte, r registry.Resolution, options emit.Options) error {
	err := emit.Check(existing, r, options)
	if registry.KindOf(err) == registry.Conflict {
		return c.stale(err, r)
	}
	if err != nil {
		return flagged(err)
	}
	return a.show(written{c.Out, r.Artifact, c.Ref, r.VersionID}, func() {
		a.note("%s is up to date: %s %s.", c.Out, r.Artifact, versionText(r.VersionID))
	})
}

// stale is the error of a check that finds another file than it should. It completes what package emit
// says about the way out: nobody should write a file anew for a version that is revoked.
func (c *terraformWriteCmd) stale(err error, r registry.Resolution) *cliError {
	const advice = "; write it anew with: "
	hint := "the same command without --check, and a review of what changes"
	if e, ok := errors.AsType[*registry.Error](err); ok && strings.Contains(e.Msg, advice) {
		changed := *e
		changed.Msg += " " + emit.ShellCommand([]string{"--out", c.Out})
		if r.Revoked {
			changed.Msg = e.Msg[:strings.LastIndex(e.Msg, advice)]
			hint = c.otherVersion(r)
		}
		err = &changed
	}
	return &cliError{err: fmt.Errorf("%s is out of date: %w", c.Out, err), hint: hint, code: exitStale}
}

// otherVersion is how a file gets away from a version that is revoked.
func (c *terraformWriteCmd) otherVersion(r registry.Resolution) string {
	ref, err := registry.ParseRef(c.Ref)
	if err != nil || ref.Kind != registry.RefName || ref.Name == r.Fingerprint {
		return "another --ref: this one stands for a version that is revoked"
	}
	return emit.ShellCommand([]string{"almanac", "channel", "set", c.Artifact, c.Ref}) +
		" VERSION, to move the channel to a version that is not revoked; then the same command without --check"
}

// flagged gives the fields of an error of package emit the names of the flags.
func flagged(err error) error {
	e, ok := errors.AsType[*registry.Error](err)
	if !ok {
		return err
	}
	flags := map[string]string{"style": "--style", "aws_provider": "--aws-provider", "ident": "--name", "owners": "--owner", "ref": "--ref", "address": "--address"}
	renamed := *e
	renamed.Fields = slices.Clone(e.Fields)
	for i, f := range renamed.Fields {
		name, _, _ := strings.Cut(f.Field, "[")
		if flag, ok := flags[name]; ok {
			renamed.Fields[i].Field = flag
		}
	}
	return &renamed
}
