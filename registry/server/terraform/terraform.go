// Package terraform is what Terraform and OpenTofu read without the provider, or before they have it: states for the
// data source terraform_remote_state, the module registry and the provider registry. It translates between their wire
// and a [registry.Service], and holds no rule of the registry itself.
//
// All of it is below /tf and can only be read; discovery.go says at the usual place where the registries are.
package terraform

import (
	"encoding/json"
	"net/http"
	"sync/atomic"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/problem"
	"github.com/cargomedia/packer-plugin-almanac/registry/server/foreign"
)

// New returns the protocol over a service.
func New(svc *registry.Service, host foreign.Host) foreign.Protocol {
	d := &door{svc: svc, host: host}
	state := func(path string) foreign.Route {
		return foreign.Route{Method: "GET", Path: path, Basic: true, Query: stateQuery, Handle: d.state}
	}
	return foreign.Protocol{
		Routes: []foreign.Route{
			{Method: "GET", Path: "/.well-known/terraform.json", Open: true, Handle: d.discovery},
			state("/tf/state/{namespace}/{name}/{type}/{ref...}"),
			state("/tf/state/{namespace}/{name}/{type}"), // without a ref it says so
			read(modulesPath+"{namespace}/{name}/{system}/versions", d.moduleVersions),
			read(modulesPath+"{namespace}/{name}/{system}/{version}/download", d.moduleDownload),
			secret(packagesPath+"{secret}/{file}", d.modulePackage),
			read(providersPath+"{namespace}/{name}/versions", d.providerVersions),
			read(providersPath+"{namespace}/{name}/{version}/download/{os}/{arch}", d.providerDownload),
			secret(zipsPath+"{secret}/{file}", d.providerZip),
			secret(sumsPath+"{secret}/{file}", d.providerSums),
		},
		Fail: fail,
	}
}

type handle = func(http.ResponseWriter, *http.Request) error

func read(path string, h handle) foreign.Route {
	return foreign.Route{Method: "GET", Path: path, Handle: h}
}

// secret is a route whose path has all that a caller needs.
func secret(path string, h handle) foreign.Route {
	return foreign.Route{Method: "GET", Path: path, Open: true, Handle: h}
}

// door answers requests out of a service.
type door struct {
	svc  *registry.Service
	host foreign.Host
	key  atomic.Pointer[signingKey]
}

// artifact is the one that a path names.
func artifact(r *http.Request) string { return r.PathValue("namespace") + "/" + r.PathValue("name") }

// fail answers with an error as the native API does. Terraform shows the status alone; a person with curl sees it all.
func fail(w http.ResponseWriter, _ *http.Request, p problem.Problem) {
	body, err := json.Marshal(p)
	if err != nil {
		panic(err) // it is strings and numbers
	}
	w.Header().Set("Content-Type", problem.ContentType)
	w.WriteHeader(p.Status)
	// An error means that the client is gone.
	_, _ = w.Write(append(body, '\n'))
}

// warn says in a header that what is handed out is revoked.
func warn(w http.ResponseWriter, revoked bool, r *registry.Revocation) {
	if revoked {
		w.Header()["Warning"] = []string{foreign.RevokedWarning(r.Reason)}
	}
}
