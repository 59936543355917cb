package atlas

import (
	"net/http"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/server/foreign"
)

// binstorePath is followed by the secret of an upload, which is all that one needs to send the bytes: clients send them
// without their token, and drop the query of the address.
const binstorePath = "/api/v1/binstore/"

// New returns the protocol over a service. Login is at /api/v1/authenticate, which the door of Vagrant has.
func New(svc *registry.Service, host foreign.Host) foreign.Protocol {
	d := &door{svc: svc, host: host}
	const (
		artifacts    = "/api/v1/artifacts"
		artifact     = artifacts + "/{namespace}/{name}"
		ofType       = artifact + "/{type}"
		applications = "/api/v1/vagrant/applications"
		buildConfigs = "/api/v1/packer/build-configurations"
		line         = "/{namespace}/{name}"
	)
	routes := []foreign.Route{
		read(artifact, d.showArtifact),
		write(artifacts, d.createArtifact),
		write(ofType, d.uploadArtifact),
		read(ofType+"/search", d.search),
		read(ofType+"/file", d.latestFile),
		read(ofType+"/{version}/file", d.file),
		// What atlas-go makes of the type in the answer to a search, a newer one with the version once more: see pinnedType.
		read(ofType+"/{version}/{component}/file", d.fileOf),
		read(ofType+"/{version}/{component}/{again}/file", d.fileOf),

		read(applications+line, d.showApplication),
		write(applications, d.createApplication),
		write(applications+line+"/versions", d.uploadApplication),

		read(buildConfigs+line, d.showBuildConfig),
		write(buildConfigs, d.createBuildConfig),
		write(buildConfigs+line+"/versions", d.uploadBuildConfig),

		{Method: "PUT", Path: binstorePath + "{secret}", Open: true, Handle: d.receive},
	}
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodDelete} {
		routes = append(routes, foreign.Route{Method: method, Path: "/api/v1/terraform/{what...}", Open: true, Handle: refuseTerraform})
	}
	return foreign.Protocol{Routes: routes, SecretPaths: []string{binstorePath}, Fail: fail}
}

type handle = func(http.ResponseWriter, *http.Request) error

func read(path string, h handle) foreign.Route {
	return foreign.Route{Method: http.MethodGet, Path: path, Handle: h}
}

func write(path string, h handle) foreign.Route {
	return foreign.Route{Method: http.MethodPost, Path: path, Private: true, Handle: h}
}
