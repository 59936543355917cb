package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/google/uuid"

	"github.com/cargomedia/packer-plugin-almanac/internal/provenance"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
	"github.com/cargomedia/packer-plugin-almanac/version"
)

type publishCmd struct {
	Artifact        string            `arg:"" optional:"" help:"NAMESPACE/NAME; the first publish makes it. With --pending the directory to look in."`
	Type            string            `placeholder:"TYPE" help:"What it is: aws.ami, vagrant.box, archive, googlecompute.image, PROVIDER.image. Required."`
	Image           []string          `sep:"none" placeholder:"PROVIDER/REGION/ID" help:"An image, such as aws/eu-west-1/ami-0abc1234. Can be repeated."`
	File            []string          `sep:"none" placeholder:"PATH" complete:"file" help:"A file to upload; a directory is packed as tar.gz. Can be repeated."`
	SBOM            []string          `name:"sbom" sep:"none" placeholder:"PATH" complete:"file" help:"A bill of materials of the build, CycloneDX or SPDX. Can be repeated."`
	Attach          []string          `sep:"none" placeholder:"PATH" complete:"file" help:"A document about the build, such as a test report. Can be repeated."`
	Version         string            `placeholder:"SEMVER" help:"Version, such as 1.4.0. Default: the next minor after the highest."`
	Metadata        map[string]string `mapsep:"none" placeholder:"KEY=VALUE" help:"Metadata of the build. Can be repeated."`
	VersionMetadata map[string]string `mapsep:"none" placeholder:"KEY=VALUE" help:"Metadata of the version, for all its builds. Can be repeated."`
	NoProvenance    bool              `help:"Do not record how the build came to be: git commit, CI run, operating system."`
	Channel         []string          `sep:"none" placeholder:"NAME" help:"Channel to move to the version when it is complete. Can be repeated."`
	Expect          []string          `sep:"none" placeholder:"COMPONENT" help:"Component without which the version is not complete. Can be repeated."`
	Fingerprint     string            `placeholder:"TEXT" help:"Names the run; builds with the same one go to the same version. Default: $$ALMANAC_FINGERPRINT, else $$PACKER_RUN_UUID, else a random one."`
	Component       string            `placeholder:"NAME" help:"What made the build. Default: manual.TYPE, such as manual.amazon or manual.vagrant-virtualbox."`
	Architecture    string            `name:"architecture" aliases:"arch" placeholder:"ARCH" help:"Such as x86_64 or arm64. What a box says of itself wins."`
	Provider        string            `placeholder:"NAME" help:"Vagrant provider of a box. What the box says of itself wins."`
	awsVerifyFlags
	publishFileFlags
}

func (c *publishCmd) Help() string {
	return `The same command with the same fingerprint can be run again: it changes nothing and answers the same. With --from and --pending it sends publish files, which the post-processor leaves when the registry does not answer; all else is in the file then.

Examples:

    almanac publish cargomedia/app --type aws.ami --image aws/eu-west-1/ami-0abc1234 --image aws/us-east-1/ami-0def5678
    almanac publish cargomedia/base --type vagrant.box --file out/base.box --version 1.4.0 --channel staging
    almanac publish cargomedia/site --type archive --file dist/ --metadata git=4f2a1c9 --sbom sbom.cdx.json
    almanac publish --from amazon-ebs.app-3f9a0c41d2e7.almanac-publish.json
    almanac publish --pending`
}

func (c *publishCmd) Run(a *app, line *kong.Context) error {
	if len(c.From) > 0 || c.Pending {
		return c.sendFiles(a, line)
	}
	pub, uploads, err := c.publication(a)
	if err != nil {
		return err
	}
	client, err := a.transferClient()
	if err != nil {
		return err
	}
	if len(uploads) > 0 || c.AWSVerify {
		// Before what can take an hour.
		if err := mayPublish(a.ctx, client, c.Artifact, pub.Channels); err != nil {
			return err
		}
	}
	if !c.NoProvenance {
		pub.Build.Provenance = a.provenance()
	}
	if err := c.verifyImages(a, pub.Build.Images); err != nil {
		return err
	}
	for _, u := range uploads {
		if err := u.send(a, client, c.Artifact, &pub.Build); err != nil {
			return hinted(fmt.Errorf("upload of %s: %w", u.Path, err), repeatHint(pub.Fingerprint), registry.Unavailable)
		}
	}
	receipt, err := client.Publish(a.ctx, c.Artifact, pub)
	if err != nil {
		return hinted(err, repeatHint(pub.Fingerprint), registry.Unavailable)
	}
	return a.show(receipt, func() { a.showReceipt(receipt) })
}

// mayPublish asks whether the token allows a publication.
func mayPublish(ctx context.Context, client *client.Client, artifact string, channels []string) error {
	access, err := client.Access(ctx, artifact)
	if err != nil {
		return err
	}
	return mayPublishAs(access, artifact, channels)
}

func mayPublishAs(access registry.Access, artifact string, channels []string) error {
	switch {
	case !access.Publish:
		return registry.Errorf(registry.Forbidden, "token %q may not publish to %s: it has the role %s, or another scope", access.Token, artifact, access.Role)
	case len(channels) > 0 && !access.Promote:
		return registry.Errorf(registry.Forbidden, "token %q has the role %s; moving a channel needs the role promote", access.Token, access.Role)
	}
	return nil
}

// provenance says how a build came to be that is published from here.
func (a *app) provenance() registry.Metadata { return a.provenanceOf("") }

// provenanceOf says how a build came to be that is made of a directory.
func (a *app) provenanceOf(dir string) registry.Metadata {
	values := provenance.Collect(a.ctx, provenance.Source{
		Dir:    dir,
		Getenv: a.getenv,
		Secret: func(value string) bool { return a.redact(value) != value },
	})
	values["almanac_version"] = version.String()
	return values
}

func repeatHint(fingerprint string) string {
	return "the same command again, with --fingerprint " + shellWord(fingerprint)
}

// publication reads all arguments and reports all that is wrong with them, before anything is sent.
func (c *publishCmd) publication(a *app) (registry.Publication, []upload, error) {
	var p problems
	if c.Artifact == "" {
		p.add("ARTIFACT", "is missing; give NAMESPACE/NAME, such as cargomedia/app, or --from FILE for a publish file")
	} else {
		checkArtifact(&p, c.Artifact)
	}
	if c.DryRun {
		p.add("--dry-run", "goes with --from or --pending")
	}
	if len(c.Without) > 0 {
		p.add("--without", "goes with --from")
	}
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
	c.checkVerify(&p, build.Type)
	uploads := planUploads(&p, files, c.documents())
	if len(c.Image) == 0 && len(c.File) == 0 {
		p.add("--image, --file", "at least one image or file must be given")
	}
	return registry.Publication{
		Fingerprint: fingerprint, Version: c.Version, Expect: c.Expect, Channels: c.Channel,
		VersionMetadata: c.VersionMetadata, Build: build,
	}, uploads, p.err("publish")
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
