package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	goversion "github.com/hashicorp/go-version"

	"github.com/cargomedia/packer-plugin-almanac/internal/vagrantcatalog"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/box"
)

type vagrantCmd struct {
	Import vagrantImportCmd `cmd:"" help:"Bring boxes from Vagrant Cloud, from another server, or from a directory."`
}

type vagrantImportCmd struct {
	Source      string   `arg:"" complete:"file" help:"URL of a box or its catalog, catalog file (JSON), or directory of boxes."`
	As          string   `placeholder:"NAME" help:"NAMESPACE/NAME for the one box that is meant, or NAMESPACE for all. Default: as in the source."`
	Versions    string   `placeholder:"CONSTRAINT" help:"Only versions that fit, such as '>= 2.0' or '~> 1.2'."`
	Provider    []string `sep:"none" placeholder:"NAME" help:"Only boxes for this provider. Can be repeated."`
	DryRun      bool     `help:"Show what would be brought, and bring nothing."`
	SourceToken string   `placeholder:"SECRET" help:"Token for the source. Default: $$VAGRANT_CLOUD_TOKEN, if the source is at $$VAGRANT_SERVER_URL or, where that is not set, at vagrantcloud.com."`
	Work        string   `placeholder:"DIR" complete:"dir" help:"Where downloads are kept until they are recorded. Default: almanac in the user's cache directory."`
}

func (c *vagrantImportCmd) Help() string {
	return `Versions come oldest first, each box with its checksum verified and read from beginning to end. What the registry has is not brought again, so the same command can be repeated: a download that was cut goes on where it was. A box that cannot be brought is skipped, and said; the exit code is 0 when everything is there.

A directory has catalogs beside their boxes, files named NAME-VERSION-PROVIDER[-ARCH].box, or NAME/VERSION/PROVIDER[/ARCH]/vagrant.box. Boxes that Vagrant has unpacked must be packed first: vagrant box repackage.

Examples:

    almanac vagrant import https://vagrantcloud.com/bento/ubuntu-24.04 --as cargomedia/ubuntu --dry-run
    almanac vagrant import https://vagrantcloud.com/bento/ubuntu-24.04 --versions '>= 202510' --provider virtualbox
    almanac vagrant import boxes/ --as cargomedia`
}

// The outcomes of a box.
const (
	boxBrought = "brought"
	boxPresent = "present"
	boxSkipped = "skipped"
	boxPlanned = "planned"
)

// importedBox is what became of one box of the source.
type importedBox struct {
	Artifact string `json:"artifact,omitempty"`
	Version  string `json:"version,omitempty"`
	// SourceVersion is as the source writes it.
	SourceVersion string          `json:"source_version,omitempty"`
	Provider      string          `json:"provider,omitempty"`
	Architecture  string          `json:"architecture,omitempty"`
	Source        string          `json:"source"`
	Outcome       string          `json:"outcome"`
	Reason        string          `json:"reason,omitempty"`
	Size          int64           `json:"size,omitempty"`
	SHA256        registry.Digest `json:"sha256,omitempty"`

	box vagrantcatalog.Box
	// conflict is true if it was skipped because the registry has something else, and meant if the source does not offer it.
	conflict, meant bool
}

func (b *importedBox) skip(format string, args ...any) {
	b.Outcome, b.Reason = boxSkipped, fmt.Sprintf(format, args...)
}

func (c *vagrantImportCmd) Run(a *app) error {
	constraint, err := c.check()
	if err != nil {
		return err
	}
	offer, err := c.load(a)
	if err != nil {
		return err
	}
	boxes, err := c.plan(offer, constraint)
	if err != nil {
		return err
	}
	to, err := a.transferClient()
	if err != nil {
		return err
	}
	im := importer{app: a, to: to, from: offer.source, work: c.Work, dryRun: c.DryRun, catalogs: offer.catalogs}
	if err := im.prepare(boxes); err != nil {
		return err
	}
	stopped := im.bringAll(boxes)
	if err := im.report(boxes); err != nil {
		return err
	}
	switch kind := registry.KindOf(stopped); {
	case kind == registry.Unauthorized, kind == registry.Forbidden:
		return stopped // the same command again is no remedy
	case stopped != nil:
		return hinted(stopped, "the same command again; it goes on where this one stopped")
	}
	return notAll(boxes, c.DryRun)
}

// check reports all that is wrong with the flags.
func (c *vagrantImportCmd) check() (goversion.Constraints, error) {
	var p problems
	var constraint goversion.Constraints
	if c.Versions != "" {
		var err error
		if constraint, err = goversion.NewConstraint(c.Versions); err != nil {
			p.add("--versions", "%q is not a version constraint; write for example '~> 1.2', or '>= 1.0, < 2.0'", c.Versions)
		}
	}
	switch {
	case c.As == "":
	case strings.Contains(c.As, "/"):
		_, err := registry.ParseArtifactName(c.As)
		p.check("--as", err)
	default:
		_, err := registry.ParseNamespace(c.As)
		p.check("--as", err)
	}
	if _, err := checkSecret("--source-token", c.SourceToken); err != nil {
		p.check("--source-token", err)
	}
	return constraint, p.err("vagrant import")
}

// offered is what the source has.
type offered struct {
	catalogs []vagrantcatalog.Catalog
	problems []vagrantcatalog.Problem
	// source is asked for boxes that are on a server.
	source *vagrantcatalog.Source
}

// load reads the catalogs of the source.
func (c *vagrantImportCmd) load(a *app) (offered, error) {
	if strings.HasPrefix(c.Source, "http://") || strings.HasPrefix(c.Source, "https://") {
		return c.loadURL(a)
	}
	stat, err := os.Stat(c.Source)
	if err != nil {
		if parts := strings.Split(c.Source, "/"); errors.Is(err, os.ErrNotExist) && len(parts) == 2 {
			hint := "almanac vagrant import " + shellWord("https://vagrantcloud.com/"+c.Source) + " if it is a box of Vagrant Cloud"
			return offered{}, hinted(fmt.Errorf("source: %w", err), hint)
		}
		return offered{}, fmt.Errorf("source: %w", err)
	}
	var o offered
	// Boxes that a local catalog has on servers are nobody's secret.
	if o.source, err = vagrantcatalog.NewSource("https://localhost", c.options(a, "")); err != nil {
		return offered{}, err
	}
	if stat.IsDir() {
		o.catalogs, o.problems, err = vagrantcatalog.ReadDir(c.Source)
		return o, err
	}
	if strings.HasSuffix(c.Source, ".box") {
		return offered{}, hinted(registry.Errorf(registry.Invalid, "source: %s is one box, and no catalog", c.Source), "almanac push "+shellWord(c.Source)+" NAMESPACE/NAME VERSION")
	}
	catalog, problems, err := vagrantcatalog.ReadFile(c.Source)
	if err != nil {
		return offered{}, registry.Errorf(registry.Invalid, "source %s: %v", c.Source, err)
	}
	o.catalogs, o.problems = []vagrantcatalog.Catalog{catalog}, problems
	return o, nil
}

func (c *vagrantImportCmd) loadURL(a *app) (offered, error) {
	token, err := c.token(a)
	if err != nil {
		return offered{}, err
	}
	source, err := vagrantcatalog.NewSource(c.Source, c.options(a, token))
	if err != nil {
		return offered{}, registry.Errorf(registry.Invalid, "source: %v", err)
	}
	catalog, problems, err := source.Catalog(a.ctx)
	if a.ctx.Err() != nil {
		return offered{}, a.ctx.Err()
	}
	if err != nil {
		kind, hint := registry.Unavailable, "the same command again later"
		status, refused := errors.AsType[*vagrantcatalog.StatusError](err)
		_, other := errors.AsType[*vagrantcatalog.ContentError](err)
		if refused && status.Status < 500 || other && !refused {
			kind = registry.NotFound
			hint = "the URL of the box, such as https://vagrantcloud.com/bento/ubuntu-24.04; for a private one, --source-token or VAGRANT_CLOUD_TOKEN"
		}
		return offered{}, hinted(registry.Errorf(kind, "no catalog: %v", err), hint)
	}
	return offered{[]vagrantcatalog.Catalog{catalog}, problems, source}, nil
}

func (c *vagrantImportCmd) options(a *app, token string) vagrantcatalog.Options {
	return vagrantcatalog.Options{Token: token, UserAgent: userAgent()}
}

// token is what the source is asked with. Vagrant's own goes where Vagrant would send it: who has moved has one of this registry in
// the same variable, which is no business of Vagrant Cloud's.
func (c *vagrantImportCmd) token(a *app) (string, error) {
	if c.SourceToken != "" {
		return checkSecret("--source-token", c.SourceToken)
	}
	server := cmp.Or(a.getenv("VAGRANT_SERVER_URL"), "https://vagrantcloud.com")
	if !sameServer(server, c.Source) {
		return "", nil
	}
	return checkSecret("VAGRANT_CLOUD_TOKEN", a.getenv("VAGRANT_CLOUD_TOKEN"))
}

// plan makes a list of all boxes of the source, the oldest version first. What the flags leave out is not in it.
func (c *vagrantImportCmd) plan(o offered, constraint goversion.Constraints) ([]importedBox, error) {
	var boxes []importedBox
	var p problems
	organised := map[string]string{}
	for i := range o.catalogs {
		own := o.catalogs[i].Name
		name, err := c.rename(own, len(o.catalogs))
		if err != nil {
			p.check("--as", err)
			continue
		}
		if strings.Contains(own, "/") {
			if other := cmp.Or(organised[name], own); other != own {
				p.add("--as", "%s and %s of the source would both be %s; import them one by one, each with its own name", other, own, name)
			}
			organised[name] = own
		}
		o.catalogs[i].Name = name
		for _, v := range o.catalogs[i].Versions {
			for _, b := range v.Boxes {
				if len(c.Provider) > 0 && !slices.Contains(c.Provider, b.Provider) {
					continue
				}
				planned := importedBox{
					Artifact: name, SourceVersion: v.Version, Provider: b.Provider, Architecture: box.Architecture(architectureOf(b)),
					Source: cmp.Or(b.Path, bareURL(b.URL)), Outcome: boxPlanned, box: b,
				}
				if !planned.fit(constraint) {
					continue
				}
				boxes = append(boxes, planned)
			}
		}
	}
	if err := p.err("vagrant import"); err != nil {
		return nil, err
	}
	slices.SortStableFunc(boxes, func(a, b importedBox) int {
		switch by := strings.Compare(a.Artifact, b.Artifact); {
		case by != 0:
			return by
		case a.Version == "" || b.Version == "":
			return cmp.Compare(len(b.Version), len(a.Version))
		}
		return registry.CompareSemver(a.Version, b.Version)
	})
	boxes = withoutTwins(boxes)
	for _, problem := range o.problems {
		boxes = append(boxes, importedBox{Source: problem.What, Outcome: boxSkipped, Reason: problem.Reason, meant: problem.Meant})
	}
	return boxes, nil
}

// architectureOf is what the source says, or where that says nothing and the box is at hand, what the box says of itself.
func architectureOf(b vagrantcatalog.Box) string {
	// A file that is no box is found out when it is read to its end, and what is no file is not opened: a pipe may have no end.
	if stat, err := os.Stat(b.Path); b.Architecture == "" && err == nil && stat.Mode().IsRegular() {
		info, _ := box.ReadFile(b.Path)
		return info.Architecture
	}
	return b.Architecture
}

// fit gives a box its version in the registry, and says whether the constraint wants it. One that can have none is kept,
// unless versions are chosen.
func (b *importedBox) fit(constraint goversion.Constraints) bool {
	version, err := box.Version(b.SourceVersion)
	if err == nil {
		err = registry.CheckSemver(version)
	}
	if err != nil {
		b.skip("%v", err)
		return constraint == nil
	}
	b.Version = version
	if err := b.check(); err != nil {
		b.skip("%v", err)
	}
	return constraint == nil || constraint.Check(goversion.Must(goversion.NewVersion(version)))
}

// check makes sure that the registry can record what the source says of a box.
func (b *importedBox) check() error {
	switch {
	case b.Provider == "":
		return errors.New("the catalog does not say for which provider it is")
	case b.box.ChecksumType != "" && checksumTypes[b.box.ChecksumType] == nil:
		return fmt.Errorf("its checksum is of the type %q; known are md5, sha1, sha256, sha384 and sha512", b.box.ChecksumType)
	case b.Architecture != "":
		return registry.CheckArchitecture(b.Architecture)
	}
	return nil
}

// rename is the artifact for a box of the source.
func (c *vagrantImportCmd) rename(name string, all int) (string, error) {
	switch {
	case strings.Contains(c.As, "/") && all > 1:
		return "", fmt.Errorf("names one artifact, and the source has %d boxes; give a namespace alone", all)
	case strings.Contains(c.As, "/"):
		return c.As, nil
	case c.As != "":
		name = c.As + "/" + filepath.Base(filepath.FromSlash(name))
	}
	if _, err := registry.ParseArtifactName(name); err != nil {
		return "", fmt.Errorf("the source calls it %q; give it a name with --as NAMESPACE/NAME, or --as NAMESPACE: %w", name, err)
	}
	return name, nil
}

// withoutTwins leaves out boxes that come to the same as one before. If their bytes may be others, that is told.
func withoutTwins(boxes []importedBox) []importedBox {
	type key struct{ artifact, version, provider, architecture string }
	first := map[key]*importedBox{}
	kept := make([]importedBox, 0, len(boxes))
	for _, b := range boxes {
		k := key{b.Artifact, b.Version, b.Provider, b.Architecture}
		before, twin := first[k]
		switch {
		case b.Outcome == boxSkipped:
		case !twin:
			kept = append(kept, b)
			first[k] = &kept[len(kept)-1]
			continue
		case before.box.URL == b.box.URL && before.box.Path == b.box.Path, b.box.Checksum != "" && before.box.Checksum == b.box.Checksum:
			continue
		default:
			b.skip("the source has it twice: version %s comes to the same, and is taken", before.SourceVersion)
		}
		kept = append(kept, b)
	}
	return kept
}

// notAll is the error for boxes that are not there.
func notAll(boxes []importedBox, dryRun bool) error {
	skipped, conflicts := 0, 0
	for _, b := range boxes {
		if b.Outcome == boxSkipped && !b.meant {
			skipped++
		}
		if b.conflict {
			conflicts++
		}
	}
	if skipped == 0 {
		return nil
	}
	code := exitError
	if skipped == conflicts {
		code = exitConflict
	}
	if dryRun {
		return &cliError{err: fmt.Errorf("%d of %d boxes of the source cannot be brought", skipped, len(boxes)), code: code}
	}
	return &cliError{
		err: fmt.Errorf("%d of %d boxes of the source are not in the registry", skipped, len(boxes)), code: code,
		hint: "the same command again brings what can be brought then; what is there stays",
	}
}
