package provider

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

// places maps the fields of the registry's errors to attributes.
type places map[string]path.Path

// request is what was asked of the registry, as far as a diagnostic about its failure needs it.
type request struct {
	artifact string
	typ      string
	// asked continues "You asked for", such as "version 1.4.0 of cargomedia/app".
	asked string
	// at are the attributes that the registry's fields stand for; "" is where what is missing was asked for.
	at places
	// conflict is the summary of a conflict.
	conflict string
	// filter are the keys of metadata that were asked for.
	filter []string
}

// fail adds what went wrong, what there is instead, and what to do. The registry's own text is always in it.
func (b *backend) fail(ctx context.Context, diags *diag.Diagnostics, r request, err error) {
	e, ok := errors.AsType[*registry.Error](err)
	if !ok {
		diags.AddError("The registry could not be asked", err.Error())
		return
	}
	text := sentence(e)
	switch e.Kind {
	case registry.Invalid:
		invalid(diags, r, e)
	case registry.Unauthorized:
		summary, remedy := "The registry asks for a token (401)", "Set token in the provider block, or the environment variable "
		if b.hasToken {
			summary, remedy = "The registry does not accept the token (401)", "Replace the token in the provider block, or in the environment variable "
		}
		diags.AddError(summary, text+asked(r)+remedy+client.EnvToken+" (or "+envAtlasToken+"). `almanac token create` makes one.")
	case registry.Forbidden:
		diags.AddError("The token may not do this (403)", text+asked(r)+"`almanac token list` shows the roles and scopes of all tokens.")
	case registry.NotFound:
		at(diags, r, "", "Not found in the registry (404)", text+asked(r)+keysHint(r.filter)+b.nearby(ctx, r))
	case registry.Conflict:
		at(diags, r, "", r.conflict, text+asked(r)+boxHint(e)+"`almanac show "+r.artifact+"` shows what there is.")
	case registry.Unavailable:
		diags.AddError("The registry is not available", text+asked(r)+"Is the provider's address right, and does "+b.client.Address()+"/healthz answer?")
	default:
		diags.AddError("The registry failed", text+asked(r)+"Its log says more.")
	}
}

// at adds an error where the registry's field is in the configuration.
func at(diags *diag.Diagnostics, r request, field, summary, detail string) {
	where, ok := r.at[field]
	if !ok {
		diags.AddError(summary, detail)
		return
	}
	diags.AddAttributeError(where, summary, detail)
}

func invalid(diags *diag.Diagnostics, r request, e *registry.Error) {
	if len(e.Fields) == 0 {
		diags.AddError("The registry cannot read the request (400)", sentence(e)+asked(r))
	}
	for _, f := range e.Fields {
		field, _, _ := strings.Cut(f.Field, "[")
		field, _, _ = strings.Cut(field, ".")
		text := f.Message
		if _, ok := r.at[field]; !ok {
			text = f.Field + ": " + text
		}
		at(diags, r, field, "Bad value", capital(text)+".")
	}
}

// sentence is the registry's text with the choices that it does not name itself.
func sentence(e *registry.Error) string {
	text := capital(e.Error()) + "."
	if len(e.Choices) > 0 && !strings.Contains(text, e.Choices[0]) {
		text += " There is: " + strings.Join(e.Choices, ", ") + "."
	}
	return text
}

func asked(r request) string {
	if r.asked == "" {
		return "\n\n"
	}
	return "\n\nYou asked for " + r.asked + ". "
}

// keysHint is for a key that may have been copied out of metadata_full.
func keysHint(keys []string) string {
	keys = slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return !strings.Contains(key, "-") })
	if len(keys) == 0 {
		return ""
	}
	slices.Sort(keys)
	return "If " + strings.Join(keys, ", ") + " is from metadata_full, where - stands for . and other characters, write the key as it was published, " +
		"such as region.eu-west-1. "
}

// boxHint tells boxes apart with the word of the configuration, in which provider means something else.
func boxHint(e *registry.Error) string {
	if slices.ContainsFunc(e.Choices, func(choice string) bool { return strings.Contains(choice, ", provider ") }) {
		return "The argument for the provider of a box is box_provider. "
	}
	return ""
}

func capital(s string) string {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return s
	}
	// A name, such as cargomedia/app, stays as it is.
	if word, _, _ := strings.Cut(s, " "); strings.ContainsAny(word, "/_.") {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

const (
	nearVersions  = 5
	nearArtifacts = 10
)

// nearby says what there is where something was not found: the versions and channels of the artifact, or the artifacts
// of the namespace. It asks the registry, and says less where that does not help.
func (b *backend) nearby(ctx context.Context, r request) string {
	a, err := b.client.Artifact(ctx, r.artifact)
	if err != nil {
		return b.nearbyArtifacts(ctx, registry.ArtifactName(r.artifact).Namespace())
	}
	var there []string
	page, err := b.client.Versions(ctx, r.artifact, registry.VersionFilter{Type: r.typ, Offered: true, Limit: nearVersions})
	if err == nil && len(page.Versions) > 0 {
		there = append(there, "Its newest versions"+ofType(r.typ)+" are "+join(page.Versions, func(v registry.Version) string { return versionText(v.VersionID) })+".")
	}
	if len(a.Channels) > 0 {
		there = append(there, "Its channels are "+join(a.Channels, func(c registry.Channel) string { return c.Name + " -> " + versionText(c.VersionID) })+".")
	}
	return strings.Join(append(there, "`almanac versions "+r.artifact+"` lists all versions."), " ")
}

func (b *backend) nearbyArtifacts(ctx context.Context, namespace string) string {
	page, err := b.client.Artifacts(ctx, registry.ArtifactFilter{Namespace: namespace, Limit: nearArtifacts})
	if err != nil {
		return "What there is in the namespace " + namespace + " cannot be read, either: " + err.Error() + ". Is the provider's address right? It is " +
			b.client.Address() + "."
	}
	if len(page.Artifacts) == 0 {
		return "This token can read nothing in the namespace " + namespace + ". `almanac artifacts` lists what it can read."
	}
	more := "."
	if page.Next != "" {
		more = " and more."
	}
	return "In the namespace " + namespace + " there is " + join(page.Artifacts, func(a registry.Artifact) string { return string(a.Name) }) + more +
		" `almanac artifacts` lists all that this token can read."
}

func join[T any](list []T, text func(T) string) string {
	texts := make([]string, len(list))
	for i, v := range list {
		texts[i] = text(v)
	}
	return strings.Join(texts, ", ")
}

func ofType(typ string) string {
	if typ == "" {
		return ""
	}
	return " of type " + typ
}

func versionText(v registry.VersionID) string {
	return fmt.Sprintf("%s (number %d)", v.Version, v.Number)
}
