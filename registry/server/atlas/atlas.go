// Package atlas is the door of the clients of HashiCorp Atlas: atlas-go, and with it Packer's post-processor atlas and
// `packer push`, Terraform's provider atlas and atlas-upload. It translates between their wire and a [registry.Service],
// and holds no rule of the registry itself.
//
// Artifacts, applications and build configurations are all artifacts here, and what is uploaded for one is a version with
// one build. The file routes.go lists every route, wire.go the objects that clients read.
package atlas

import (
	"net/http"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/server/foreign"
)

// door answers requests out of a service.
type door struct {
	svc  *registry.Service
	host foreign.Host
}

// The components of builds that have no Packer source. With one for each kind, an application and an artifact of one name
// do not stand in each other's way.
const (
	artifactComponent    = "atlas"
	applicationComponent = "application"
	buildConfigComponent = "build-configuration"
)

// maxBody is the most that a JSON body may have. `packer push` sends a template in it.
const maxBody = 4 << 20

// name is the artifact that a path names.
func name(r *http.Request) string { return r.PathValue("namespace") + "/" + r.PathValue("name") }

// readName is name for a read: what no artifact can be called is not there.
func readName(r *http.Request) (string, error) {
	n := name(r)
	if _, err := registry.ParseArtifactName(n); err != nil {
		return "", registry.Errorf(registry.NotFound, "artifact %s does not exist", clip(n))
	}
	return n, nil
}

// archiveName is the file that an artifact's archive gets: all that is no box comes as one.
func archiveName(artifact string) string {
	return registry.ArtifactName(artifact).Name() + ".tar.gz"
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
