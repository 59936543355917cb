package almanac

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
	"github.com/cargomedia/packer-plugin-almanac/terraform/emit"
)

// checkTerraform checks the terraform block as far as that goes before there is a version.
func (p *prepared) checkTerraform() {
	t := p.Terraform
	if t == nil {
		return
	}
	// The type of the component that the file is about is known for this build's own alone.
	typ := p.typ
	if t.Component != "" {
		typ = ""
	}
	if e, ok := errors.AsType[*registry.Error](p.emitOptions().Validate(typ)); ok {
		for _, f := range e.Fields {
			if f.Field == "address" || f.Field == "ref" {
				continue // these are the post-processor's own, and are checked there
			}
			p.fail("terraform."+f.Field, "%s", f.Message)
		}
	}
	if t.Component != "" && !unknown(t.Component) {
		p.check("terraform.component", registry.CheckComponent(t.Component))
	}
	switch {
	case t.Path == "":
		p.fail("terraform.path", "is missing; name a file such as app.tf")
	case !unknown(t.Path):
		p.check("terraform.path", emit.CheckPath(t.Path, emit.Style(t.Style)))
		if dir := filepath.Dir(t.Path); !isDir(dir) {
			p.fail("terraform.path", "the directory %s does not exist; make it first, or name another", dir)
		} else if isDir(t.Path) {
			p.fail("terraform.path", "%s is a directory; name a file in it, such as %s", t.Path, filepath.Join(t.Path, "app.tf"))
		} else if !t.Force {
			p.check("terraform.path", emit.CheckTarget(t.Path, p.artifact))
		}
	}
}

func isDir(path string) bool {
	stat, err := os.Stat(path)
	return err == nil && stat.IsDir()
}

// emitOptions are what the template says of the file. It follows the first channel; without one the ref
// is "", for the version itself.
func (p *prepared) emitOptions() emit.Options {
	ref := ""
	if len(p.Channels) > 0 {
		ref = p.Channels[0]
	}
	return emit.Options{Address: p.Address, Ref: ref, Style: emit.Style(p.Terraform.Style), AWSProvider: p.Terraform.AWSProvider}
}

// terraform writes the file if the version is complete. Nothing that happens here changes what was
// recorded, so it is told and not returned.
func (r *recording) terraform(ctx context.Context, c *client.Client) {
	t := r.config.Terraform
	if r.receipt.Status != registry.StatusComplete {
		switch {
		case r.receipt.Status == registry.StatusFailed:
			r.ui.say("  %s is not written: the version failed", t.Path)
		case len(r.receipt.Missing) > 0:
			r.ui.say("  %s is not written yet: the post-processor of the last build that the version expects writes it", t.Path)
		default:
			r.ui.say("  %s is not written: the version waits for images that are pending; `almanac terraform` writes it later", t.Path)
		}
		return
	}
	if why := r.goesBack(); why != "" {
		r.ui.say("  %s is not written: %s", t.Path, why)
		return
	}
	if err := r.writeTerraform(ctx, c); err != nil {
		r.ui.fail("The build is recorded, but the Terraform file %s was not written: %v", t.Path, err)
		return
	}
	r.ui.say("  wrote %s", t.Path)
}

// goesBack says why the file would name an older version than what it follows does; "" if it would
// not. A channel can stay at a newer version, and can have been moved back on purpose; without one the
// file that is there tells.
func (r *recording) goesBack() string {
	t, rec := r.config.Terraform, r.receipt
	if len(r.config.Channels) > 0 {
		first := r.config.Channels[0]
		i := slices.IndexFunc(rec.Channels, func(c registry.ChannelOutcome) bool { return c.Name == first && !c.Points })
		if i < 0 {
			return ""
		}
		return fmt.Sprintf("channel %s does not point to %s (number %d): %s", first, rec.Version, rec.Number, rec.Channels[i].Note)
	}
	if info, err := os.Stat(t.Path); t.Force || err != nil || !info.Mode().IsRegular() {
		return ""
	}
	existing, err := os.ReadFile(t.Path)
	if err != nil {
		return "" // emit.Write says it
	}
	pin, ok := emit.ReadPin(existing)
	if !ok || pin.Artifact != rec.Artifact || pin.Number <= rec.Number {
		return ""
	}
	return fmt.Sprintf("it is for %s (number %d), which is newer than %s (number %d); set force to go back", pin.Version, pin.Number, rec.Version, rec.Number)
}

func (r *recording) writeTerraform(ctx context.Context, c *client.Client) error {
	t := r.config.Terraform
	if unknown(t.Path) || unknown(t.Component) {
		return errors.New("its path or component holds a value that Packer did not fill in; this builder has no such build value")
	}
	question := registry.Question{Component: t.Component}
	if t.Component == "" {
		question = registry.Question{Component: r.receipt.Component, Type: string(r.receipt.Type)}
	}
	ctx, cancel := context.WithTimeout(ctx, r.limit())
	defer cancel()
	// The number cannot come to mean another version.
	resolution, err := c.Resolve(ctx, string(r.config.artifact), fmt.Sprint(r.receipt.Number), question)
	if err != nil {
		return err
	}
	o := r.config.emitOptions()
	o.Ref = cmp.Or(o.Ref, r.receipt.Version)
	content, err := emit.File(resolution, o)
	if err != nil {
		return err
	}
	return emit.Write(t.Path, content, t.Force)
}
