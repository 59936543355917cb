// Package vagrant is the door of Vagrant and of Packer's post-processor vagrant-cloud: the box catalog, the downloads
// and the Vagrant Cloud API, versions 1 and 2. It translates between their wire and a [registry.Service], and holds no
// rule of the registry itself.
//
// A box is an artifact, and its provider, with an architecture, a build of type vagrant.box. The file routes.go lists
// every route, wire.go the objects that clients read, and provider.go which builds of a version they get to see.
package vagrant

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/box"
	"github.com/cargomedia/packer-plugin-almanac/registry/server/foreign"
)

// door answers requests out of a service.
type door struct {
	svc  *registry.Service
	host foreign.Host
}

// name is the box that a path names.
func name(r *http.Request) string { return r.PathValue("namespace") + "/" + r.PathValue("name") }

// apiRoot is where the API is that a request was sent to: links in an answer stay with its version.
func (d *door) apiRoot(r *http.Request) string {
	version := "/api/v1"
	if strings.HasPrefix(r.URL.Path, "/api/v2/") {
		version = "/api/v2"
	}
	return d.host.BaseURL(r) + version
}

// boxes returns what a read's caller may see of the box in its path.
func (d *door) boxes(r *http.Request) (registry.Artifact, []registry.Version, error) {
	a, versions, err := d.svc.Boxes(r.Context(), name(r))
	return a, versions, hide(r, err)
}

// version returns the version in a path. One that was never released is there for its publishers alone.
func (d *door) version(r *http.Request) (registry.Version, error) {
	if _, err := d.svc.Artifact(r.Context(), name(r)); err != nil {
		return registry.Version{}, hide(r, err)
	}
	if number, err := box.Version(r.PathValue("version")); err == nil {
		v, err := d.svc.Version(r.Context(), name(r), number)
		switch {
		case err == nil && (v.Status == registry.StatusComplete || mayPublish(r.Context(), v.Artifact)):
			return v, nil
		case err != nil && registry.KindOf(err) != registry.NotFound:
			return registry.Version{}, err
		}
	}
	return registry.Version{}, registry.Errorf(registry.NotFound, "box %s has no version %s", clip(name(r)), clip(r.PathValue("version")))
}

// published returns the version in a path to one who may change it: what others ask for is not compared with what there is.
func (d *door) published(r *http.Request) (registry.Version, error) {
	v, err := d.version(r)
	if p := registry.PrincipalFrom(r.Context()); err == nil && !mayPublish(r.Context(), v.Artifact) {
		err = registry.Errorf(registry.Forbidden, "token %q may not publish to %s", p.Name, v.Artifact)
	}
	return v, err
}

// hide makes an error of a read one that does not tell what is not there from what the caller may not see. A name
// that no box can have is not there, either.
func hide(r *http.Request, err error) error {
	switch registry.KindOf(err) {
	case registry.Unauthorized, registry.Forbidden, registry.Invalid, registry.NotFound:
		return registry.Errorf(registry.NotFound, "box %s does not exist, or you may not see it", clip(name(r)))
	}
	return err
}

func mayPublish(ctx context.Context, name registry.ArtifactName) bool {
	p := registry.PrincipalFrom(ctx)
	return p.Role.Allows(registry.RolePublish) && slices.ContainsFunc(p.Scopes, func(s registry.Scope) bool { return s.Covers(name) })
}

// mayPublishIn says whether the caller may publish some box of a namespace.
func mayPublishIn(ctx context.Context, namespace string) bool {
	p := registry.PrincipalFrom(ctx)
	return p.Role.Allows(registry.RolePublish) && slices.ContainsFunc(p.Scopes, func(s registry.Scope) bool {
		return s == registry.ScopeAll || registry.ArtifactName(s).Namespace() == namespace
	})
}

// current is the newest version that is offered and has a box; nil is none.
func current(versions []registry.Version, now time.Time) *registry.Version {
	for i, v := range versions {
		if v.OfferedAt(now) && len(providersOf(v, false)) > 0 {
			return &versions[i]
		}
	}
	return nil
}

// clip shortens what a caller sent for an error text.
func clip(s string) string {
	const most = 120
	s = strings.ToValidUTF8(s, "\uFFFD")
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}
