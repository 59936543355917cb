package main

import (
	"context"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

type artifactsCmd struct {
	Namespace string `arg:"" optional:"" help:"Only artifacts of this namespace."`
	Type      string `placeholder:"TYPE" help:"Only artifacts whose latest version has a build of this type, such as amazon.image."`
	Query     string `short:"q" placeholder:"TEXT" help:"Only artifacts with this text in their name or description."`
	listFlags
}

func (c *artifactsCmd) Help() string {
	return `Example:

    almanac artifacts cargomedia --type aws.ami`
}

func (c *artifactsCmd) Run(a *app) error {
	var p problems
	limit := c.limit(&p)
	if c.Namespace != "" {
		_, err := registry.ParseNamespace(c.Namespace)
		p.check("NAMESPACE", err)
	}
	checkType(&p, c.Type)
	if err := p.err("artifacts"); err != nil {
		return err
	}
	client, err := a.client()
	if err != nil {
		return err
	}
	artifacts, next, err := collect(a.ctx, limit, func(ctx context.Context, cursor string, limit int) ([]registry.Artifact, string, error) {
		page, err := client.Artifacts(ctx, registry.ArtifactFilter{Namespace: c.Namespace, Type: c.Type, Text: c.Query, Cursor: cursor, Limit: limit})
		return page.Artifacts, page.Next, err
	})
	if err != nil {
		return err
	}
	return a.show(registry.ArtifactPage{Artifacts: artifacts, Next: next}, func() {
		if len(artifacts) == 0 {
			if token, err := a.token(); err == nil && token == "" {
				a.note("No public artifacts, and there is no token to see others. Set ALMANAC_TOKEN.")
				return
			}
			a.note("No artifacts. almanac publish, or the post-processor of Packer, records the first.")
			return
		}
		t := newTable("ARTIFACT", "LATEST", "TYPES", "CHANNELS", "UPDATED")
		for _, art := range artifacts {
			t.add(string(art.Name), latestText(art), orDash(joinTypes(art.Types)), orDash(channelList(art.Channels)), shortTime(art.UpdatedAt))
		}
		a.printTable(t, "")
		a.noteRest(len(artifacts), next)
	})
}

func latestText(a registry.Artifact) string {
	if a.Latest == nil {
		return "-"
	}
	return a.Latest.Version
}

func joinTypes(types []registry.Type) string {
	texts := make([]string, len(types))
	for i, t := range types {
		texts[i] = string(t)
	}
	return strings.Join(texts, ", ")
}

func channelList(channels []registry.Channel) string {
	texts := make([]string, len(channels))
	for i, c := range channels {
		texts[i] = c.Name + "=" + c.Version
	}
	return strings.Join(texts, ", ")
}

// checkType reports a type that the registry would refuse; "" is any.
func checkType(p *problems, typ string) {
	if typ != "" {
		_, err := registry.ParseType(typ)
		p.check("--type", err)
	}
}

// checkTarget reports a bad name of an artifact or a bad ref.
func checkTarget(p *problems, artifact, ref string) {
	checkArtifact(p, artifact)
	_, err := registry.ParseRef(ref)
	p.check("REF", err)
}

func checkArtifact(p *problems, artifact string) {
	_, err := registry.ParseArtifactName(artifact)
	p.check("ARTIFACT", err)
}
