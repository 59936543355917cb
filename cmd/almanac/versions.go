package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

type versionsCmd struct {
	Artifact string `arg:"" help:"NAMESPACE/NAME."`
	Type     string `placeholder:"TYPE" help:"Only versions that have a build of this type."`
	Status   string `placeholder:"STATUS" complete:"open,complete,failed" help:"Only versions that are open, complete or failed."`
	Offered  bool   `help:"Only versions that are complete and not revoked."`
	listFlags
}

func (c *versionsCmd) Help() string {
	return `Examples:

    almanac versions cargomedia/app --offered
    almanac versions cargomedia/app --status failed`
}

func (c *versionsCmd) Run(a *app) error {
	var p problems
	limit := c.limit(&p)
	checkArtifact(&p, c.Artifact)
	checkType(&p, c.Type)
	if c.Status != "" && !slices.Contains([]registry.Status{registry.StatusOpen, registry.StatusComplete, registry.StatusFailed}, registry.Status(c.Status)) {
		p.add("--status", "%q is none; use open, complete or failed", shorten(c.Status, 40))
	}
	if err := p.err("versions"); err != nil {
		return err
	}
	client, err := a.client()
	if err != nil {
		return err
	}
	versions, next, err := collect(a.ctx, limit, func(ctx context.Context, cursor string, limit int) ([]registry.Version, string, error) {
		page, err := client.Versions(ctx, c.Artifact, registry.VersionFilter{Type: c.Type, Status: c.Status, Offered: c.Offered, Cursor: cursor, Limit: limit})
		return page.Versions, page.Next, err
	})
	if err != nil {
		return err
	}
	return a.show(registry.VersionPage{Versions: versions, Next: next}, func() {
		if len(versions) == 0 {
			a.note("No versions.")
			return
		}
		t := newTable("NUMBER", "VERSION", "STATUS", "BUILDS", "CREATED", "BY")
		now := time.Now()
		for _, v := range versions {
			t.add(strconv.FormatInt(v.Number, 10), v.Version, statusCell(v, now), orDash(buildList(v.Builds)), shortTime(v.CreatedAt), v.CreatedBy)
		}
		a.printTable(t, "")
		a.noteRest(len(versions), next)
	})
}

// statusCell says in a word or two whether a version is offered.
func statusCell(v registry.Version, now time.Time) cell {
	switch {
	case v.RevokedAt(now):
		return cell{"revoked", red}
	case v.Revocation != nil:
		return cell{"revoked from " + shortTime(v.Revocation.At), yellow}
	case v.Status == registry.StatusFailed:
		return cell{"failed", red}
	case v.Held:
		return cell{"open (not released)", yellow}
	case v.Status == registry.StatusOpen && len(v.Missing()) == 0:
		return cell{"open (images pending)", yellow}
	case v.Status == registry.StatusOpen:
		return cell{fmt.Sprintf("open (%d of %d)", len(v.Expect)-len(v.Missing()), len(v.Expect)), yellow}
	default:
		return cell{string(v.Status), green}
	}
}

// buildList names the types of the builds, each once, with how often it is there.
func buildList(builds []registry.Build) string {
	counts := map[string]int{}
	var order []string
	for _, b := range builds {
		name := string(b.Type)
		if b.Provider != "" {
			name += " (" + b.Provider + ")"
		}
		if counts[name] == 0 {
			order = append(order, name)
		}
		counts[name]++
	}
	slices.Sort(order)
	for i, name := range order {
		if n := counts[name]; n > 1 {
			order[i] = fmt.Sprintf("%d× %s", n, name)
		}
	}
	return strings.Join(order, ", ")
}
