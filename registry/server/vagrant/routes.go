package vagrant

import (
	"net/http"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/server/foreign"
)

// New returns the protocol over a service.
func New(svc *registry.Service, host foreign.Host) foreign.Protocol {
	d := &door{svc: svc, host: host}
	routes := []foreign.Route{
		// Vagrant before 2.4 asks for the first alone; 2.4 asks for both, and keeps the second as the box's address.
		read("/{namespace}/{name}", d.rootCatalog),
		read("/api/v2/vagrant/{namespace}/{name}", d.catalog),
		read("/api/v1/vagrant/{namespace}/{name}", d.catalog),
	}
	const download = "/{namespace}/boxes/{name}/versions/{version}/providers/{provider}"
	routes = append(routes,
		read(download+"/{architecture}/vagrant.box", d.download),
		read(download+"/vagrant.box", d.download),
		read(download, d.oldDownload), // PROVIDER.box
	)
	for _, api := range []string{"/api/v1", "/api/v2"} {
		routes = append(routes, d.apiRoutes(api)...)
	}
	return foreign.Protocol{Routes: routes, SecretPaths: []string{uploadsPath}, Fail: fail}
}

// uploadsPath is followed by the secret of an upload, which is all that one needs to send a box.
const uploadsPath = "/box-uploads/"

func (d *door) apiRoutes(api string) []foreign.Route {
	const (
		box       = "/box/{namespace}/{name}"
		version   = box + "/version/{version}"
		provider  = version + "/provider/{provider}"
		withArch  = provider + "/{architecture}"
		oneUpload = uploadsPath + "{secret}"
	)
	routes := []foreign.Route{
		open("POST", "/authenticate", d.login),
		{Method: "GET", Path: "/authenticate", Private: true, Handle: d.whoami},
		open("DELETE", "/authenticate", d.logout),
		read("/user/{user}", d.user),
		read("/search", d.search),

		write("POST", "/boxes", d.createBox),
		read(box, d.showBox),
		write("PUT", box, d.updateBox),
		write("DELETE", box, d.deleteBox),

		write("POST", box+"/versions", d.createVersion),
		read(version, d.showVersion),
		write("PUT", version, d.updateVersion),
		write("DELETE", version, d.deleteVersion),
		write("PUT", version+"/release", d.releaseVersion),
		write("PUT", version+"/revoke", d.revokeVersion),

		write("POST", version+"/providers", d.createProvider),

		open("PUT", oneUpload, d.receiveUpload),
		open("PUT", oneUpload+"/complete", d.completeUpload),
	}
	// Clients that know no architectures leave them out, and so does a Packer that cleans up.
	for _, path := range []string{provider, withArch} {
		routes = append(routes,
			read(path, d.showProvider),
			write("PUT", path, d.updateProvider),
			write("DELETE", path, d.deleteProvider),
			write("GET", path+"/upload", d.grantUpload),
			write("GET", path+"/upload/direct", d.grantDirectUpload),
		)
	}
	for i := range routes {
		routes[i].Path = api + routes[i].Path
	}
	return routes
}

type handle = func(http.ResponseWriter, *http.Request) error

func read(path string, h handle) foreign.Route {
	return foreign.Route{Method: "GET", Path: path, Handle: h}
}

func write(method, path string, h handle) foreign.Route {
	return foreign.Route{Method: method, Path: path, Private: true, Handle: h}
}

func open(method, path string, h handle) foreign.Route {
	return foreign.Route{Method: method, Path: path, Open: true, Handle: h}
}
