package main

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/cargomedia/packer-plugin-almanac/internal/localfiles"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

type publishCmd struct {
	Artifact        string            `arg:"" help:"NAMESPACE/NAME; the first publish makes it."`
	Type            string            `placeholder:"TYPE" help:"What it is: aws.ami, vagrant.box, archive, googlecompute.image, PROVIDER.image. Required."`
	Image           []string          `sep:"none" placeholder:"PROVIDER/REGION/ID" help:"An image, such as aws/eu-west-1/ami-0abc1234. Can be repeated."`
	File            []string          `sep:"none" placeholder:"PATH" complete:"file" help:"A file to upload; a directory is packed as tar.gz. Can be repeated."`
	Version         string            `placeholder:"SEMVER" help:"Version, such as 1.4.0. Default: the next minor after the highest."`
	Metadata        map[string]string `mapsep:"none" placeholder:"KEY=VALUE" help:"Metadata of the build. Can be repeated."`
	VersionMetadata map[string]string `mapsep:"none" placeholder:"KEY=VALUE" help:"Metadata of the version, for all its builds. Can be repeated."`
	Channel         []string          `sep:"none" placeholder:"NAME" help:"Channel to move to the version when it is complete. Can be repeated."`
	Expect          []string          `sep:"none" placeholder:"COMPONENT" help:"Component without which the version is not complete. Can be repeated."`
	Fingerprint     string            `placeholder:"TEXT" help:"Names the run; builds with the same one go to the same version. Default: $$ALMANAC_FINGERPRINT, else $$PACKER_RUN_UUID, else a random one."`
	Component       string            `placeholder:"NAME" help:"What made the build. Default: manual.TYPE, such as manual.amazon or manual.vagrant-virtualbox."`
	Architecture    string            `name:"architecture" aliases:"arch" placeholder:"ARCH" help:"Such as x86_64 or arm64. What a box says of itself wins."`
	Provider        string            `placeholder:"NAME" help:"Vagrant provider of a box. What the box says of itself wins."`
}

func (c *publishCmd) Help() string {
	return `The same command with the same fingerprint can be run again: it changes nothing and answers the same.

Examples:

    almanac publish cargomedia/app --type aws.ami --image aws/eu-west-1/ami-0abc1234 --image aws/us-east-1/ami-0def5678
    almanac publish cargomedia/base --type vagrant.box --file out/base.box --version 1.4.0 --channel staging
    almanac publish cargomedia/site --type archive --file dist/ --metadata git=4f2a1c9`
}

func (c *publishCmd) Run(a *app) error {
	pub, files, err := c.publication(a)
	if err != nil {
		return err
	}
	client, err := a.transferClient()
	if err != nil {
		return err
	}
	if len(files) > 0 {
		// Before the bytes, because they can take an hour.
		if err := c.mayPublish(a, client); err != nil {
			return err
		}
	}
	for _, f := range files {
		file, err := c.upload(a, client, f)
		if err != nil {
			return hinted(fmt.Errorf("upload of %s: %w", f.Path, err), repeatHint(pub.Fingerprint), registry.Unavailable)
		}
		pub.Build.Files = append(pub.Build.Files, file)
	}
	receipt, err := client.Publish(a.ctx, c.Artifact, pub)
	if err != nil {
		return hinted(err, repeatHint(pub.Fingerprint), registry.Unavailable)
	}
	return a.show(receipt, func() { a.showReceipt(receipt) })
}

func (c *publishCmd) mayPublish(a *app, client *client.Client) error {
	access, err := client.Access(a.ctx, c.Artifact)
	switch {
	case err != nil:
		return err
	case !access.Publish:
		return registry.Errorf(registry.Forbidden, "token %q may not publish to %s: it has the role %s, or another scope", access.Token, c.Artifact, access.Role)
	case len(c.Channel) > 0 && !access.Promote:
		return registry.Errorf(registry.Forbidden, "token %q has the role %s; moving a channel needs the role promote", access.Token, access.Role)
	}
	return nil
}

func repeatHint(fingerprint string) string {
	return "the same command again, with --fingerprint " + shellWord(fingerprint)
}

// publication reads all arguments and reports all that is wrong with them, before anything is sent.
func (c *publishCmd) publication(a *app) (registry.Publication, []localfiles.File, error) {
	var p problems
	checkArtifact(&p, c.Artifact)
	build := registry.Build{Component: c.Component, Architecture: c.Architecture, Provider: c.Provider, Metadata: c.Metadata}
	if c.Type == "" {
		p.add("--type", "is missing; use aws.ami, vagrant.box, archive, or PROVIDER.image such as googlecompute.image")
	} else {
		typ, err := registry.ParseType(c.Type)
		p.check("--type", err)
		build.Type = typ
	}
	for _, text := range c.Image {
		image, err := registry.ParseImage(text)
		p.check("--image", err)
		build.Images = append(build.Images, image)
	}
	files := planFiles(&p, c.File)
	if build.Type == registry.VagrantBox && len(files) == 1 {
		for _, note := range describeBox(&p, files[0], &build) {
			a.note("%s: %s", files[0].Path, note)
		}
	}
	build.Component = cmp.Or(build.Component, defaultComponent(build))
	p.check("--component", registry.CheckComponent(build.Component))
	if c.Version != "" {
		p.check("--version", registry.CheckSemver(c.Version))
	}
	fingerprint := cmp.Or(c.Fingerprint, a.getenv("ALMANAC_FINGERPRINT"), a.getenv("PACKER_RUN_UUID"), uuid.NewString())
	p.check("--fingerprint", registry.CheckFingerprint(fingerprint))
	for _, channel := range c.Channel {
		p.check("--channel", registry.CheckChannelName(channel))
	}
	for _, component := range c.Expect {
		p.check("--expect", registry.CheckComponent(component))
	}
	p.fields = append(p.fields, registry.CheckMetadata("--metadata", c.Metadata)...)
	p.fields = append(p.fields, registry.CheckMetadata("--version-metadata", c.VersionMetadata)...)
	if len(c.Image) == 0 && len(c.File) == 0 {
		p.add("--image, --file", "at least one image or file must be given")
	}
	return registry.Publication{
		Fingerprint: fingerprint, Version: c.Version, Expect: c.Expect, Channels: c.Channel,
		VersionMetadata: c.VersionMetadata, Build: build,
	}, files, p.err("publish")
}

// defaultComponent names what has no Packer source. Provider and architecture are in it, so that the
// boxes of one version for several of them do not collide.
func defaultComponent(b registry.Build) string {
	word, _, _ := strings.Cut(string(b.Type), ".")
	for _, part := range []string{b.Provider, b.Architecture} {
		if part != "" {
			word += "-" + part
		}
	}
	return "manual." + word
}

func (a *app) showReceipt(r registry.Receipt) {
	a.printf("%s %s has the build %s of type %s.\n", clean(string(r.Artifact)), clean(versionText(r.VersionID)), clean(r.Component), clean(string(r.Type)))
	if r.Status == registry.StatusOpen {
		a.printf("It is open until these are published, too: %s\n", clean(strings.Join(r.Missing, ", ")))
	}
	for _, c := range r.Channels {
		if c.Points {
			a.printf("Channel %s points to it.\n", clean(c.Name))
		} else {
			a.printf("Channel %s does not point to it: %s\n", clean(c.Name), clean(c.Note))
		}
	}
	a.printf("Fingerprint: %s\n", clean(r.Fingerprint))
}

// upload sends one file; a directory is packed first.
func (c *publishCmd) upload(a *app, to *client.Client, f localfiles.File) (file registry.File, err error) {
	err = f.Use(a.ctx, func(path string) error {
		file, err = to.UploadFile(a.ctx, c.Artifact, path, f.Name, a.track())
		return err
	})
	return file, err
}
