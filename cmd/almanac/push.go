package main

import (
	"cmp"
	"errors"
	"io/fs"
	"os"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/box"
)

type pushCmd struct {
	Path         string            `arg:"" complete:"file" help:"The .box file, or the directory of an application."`
	Artifact     string            `arg:"" help:"NAMESPACE/NAME; the first push makes it."`
	Version      string            `arg:"" optional:"" help:"Version, such as 1.4.0. Default: the next minor after the highest."`
	Exclude      []string          `sep:"none" placeholder:"PATTERN" help:"What of a directory is not packed, as in .gitignore. Can be repeated."`
	Provider     string            `placeholder:"NAME" help:"Vagrant provider of a box. Default: what the box says of itself."`
	Architecture string            `name:"architecture" aliases:"arch" placeholder:"ARCH" help:"Of a box, such as amd64 or arm64. Default: what the box says of itself, if it does."`
	Default      bool              `name:"default-architecture" help:"Of the boxes of its provider, this box is the one for clients that know no architectures."`
	Channel      []string          `sep:"none" placeholder:"NAME" help:"Channel to move to the version when it is complete. Can be repeated."`
	Metadata     map[string]string `mapsep:"none" placeholder:"KEY=VALUE" help:"Metadata of the build. Can be repeated."`
	NoProvenance bool              `help:"Do not record how the build came to be: git commit, CI run, operating system."`
}

func (c *pushCmd) Help() string {
	return `A box is checked from its first byte to its last before anything is sent. If the version is there, the box is added to it, whoever made the version; if the version has this box, nothing changes. Without a version, $ALMANAC_FINGERPRINT or $PACKER_RUN_UUID names the run to whose version the box goes, else each box makes a version of its own.

A directory is packed as NAME.tar.gz, of type archive. The same files give the same bytes; without a version, nothing is sent if the latest one has them. What is left out: .git, and what patterns exclude in the syntax of .gitignore. They come from .almanacignore files, in the directory and below, which are packed themselves, and from --exclude, which wins.

Examples:

    almanac push out/base.box cargomedia/base 1.4.0
    almanac push out/base-arm64.box cargomedia/base 1.4.0 --architecture arm64
    almanac push . cargomedia/app --exclude '*.log' --exclude /build/ --channel staging`
}

func (c *pushCmd) Run(a *app) error {
	if stat, err := os.Stat(c.Path); err == nil && stat.IsDir() {
		return c.pushDirectory(a)
	}
	record, err := c.read(a)
	if err != nil {
		return err
	}
	to, err := a.transferClient()
	if err != nil {
		return err
	}
	if err := mayPublish(a.ctx, to, c.Artifact, c.Channel); err != nil {
		return err
	}
	if !c.NoProvenance {
		record.build.Provenance = a.provenance()
	}
	receipt, err := record.record(a, to)
	if err != nil {
		return c.hint(err)
	}
	return a.show(receipt, func() {
		if receipt.Present {
			a.printf("Nothing was sent: the version has this box already.\n")
		}
		a.showReceipt(receipt.Receipt)
		a.showHeld(receipt)
	})
}

// hint says what to do about what the registry refused.
func (c *pushCmd) hint(err error) error {
	switch registry.KindOf(err) {
	case registry.Unavailable:
		return hinted(err, "the same command again; what the registry has is not sent again")
	case registry.Conflict:
		return hinted(err, "another version, or none, for the next one")
	}
	return err
}

// readCommon reports what is wrong with the arguments that boxes and directories have in common, and returns
// the version in full.
func (c *pushCmd) readCommon(p *problems) (version string) {
	checkArtifact(p, c.Artifact)
	if c.Version != "" {
		var err error
		version, err = box.Version(c.Version)
		p.check("VERSION", err)
	}
	for _, channel := range c.Channel {
		p.check("--channel", registry.CheckChannelName(channel))
	}
	p.fields = append(p.fields, registry.CheckMetadata("--metadata", c.Metadata)...)
	return version
}

func (c *pushCmd) noteVersion(a *app, version string) {
	if version != c.Version {
		a.note("Version %s is recorded as %s.", c.Version, version)
	}
}

// read reports all that is wrong with the arguments, and with the box, before anything is sent.
func (c *pushCmd) read(a *app) (boxRecord, error) {
	var p problems
	r := boxRecord{artifact: c.Artifact, path: c.Path, channels: c.Channel, version: c.readCommon(&p)}
	if len(c.Exclude) > 0 {
		p.add("--exclude", "is for a directory, and %s is none", c.Path)
	}
	if c.Architecture != "" {
		p.check("--architecture", registry.CheckArchitecture(c.Architecture))
	}
	content, err := a.readBox(c.Path, "")
	if a.ctx.Err() != nil {
		return r, a.ctx.Err()
	}
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		p.check("PATH", err)
	} else if err != nil {
		p.add("PATH", "%s is not a Vagrant box that can be used: %v", c.Path, err)
	}
	if err := p.err("push"); err != nil {
		return r, err
	}
	c.noteVersion(a, r.version)
	if c.Provider != "" && c.Provider != content.Provider {
		a.warn("the box says of itself that it is for %s; Vagrant does not add it as one for %s", content.Provider, c.Provider)
	}
	r.boxContent = content
	r.build = registry.Build{
		Provider:     cmp.Or(c.Provider, content.Provider),
		Architecture: box.Architecture(cmp.Or(c.Architecture, content.Architecture)), Default: c.Default, Metadata: c.Metadata,
	}
	r.fingerprint = boxFingerprint(a, r)
	return r, nil
}

// boxFingerprint names the run of a box whose version is not there yet: all that push boxes of one version at the same time
// must come to the same name, and so must whoever pushes a box again.
func boxFingerprint(a *app, r boxRecord) string {
	own := "vagrant:" + r.version
	if r.version == "" {
		own = "vagrant:" + string(r.SHA256)
	}
	return cmp.Or(a.getenv("ALMANAC_FINGERPRINT"), a.getenv("PACKER_RUN_UUID"), own)
}

// showHeld says how a version is released that waits for it.
func (a *app) showHeld(r boxReceipt) {
	if r.Held {
		a.printf("Release it: vagrant cloud version release %s %s\n", clean(string(r.Artifact)), clean(r.VersionID.Version))
	}
}
