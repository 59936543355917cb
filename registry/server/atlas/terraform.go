package atlas

import (
	"net/http"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// refuseTerraform answers what Atlas had for Terraform besides artifacts. 404 would mean "there is no state yet" to a
// client that asks for one, which then would make everything anew.
func refuseTerraform(_ http.ResponseWriter, r *http.Request) error {
	what := r.PathValue("what")
	switch {
	case strings.HasPrefix(what, "state/"):
		return registry.Errorf(registry.Invalid, "this registry keeps no Terraform state; use another backend, such as s3, gcs or consul")
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		return registry.Errorf(registry.NotFound, "this registry keeps no Terraform configurations")
	}
	return registry.Errorf(registry.Invalid, "this registry keeps no Terraform configurations and runs none; keep them in git, and run Terraform in CI")
}
