package terraform

import "net/http"

// The roots of the two registries.
const (
	modulesPath   = "/tf/modules/v1/"
	providersPath = "/tf/providers/v1/"
)

// discovery says where Terraform finds what it looks for on this host.
func (d *door) discovery(w http.ResponseWriter, r *http.Request) error {
	return d.host.SendJSON(w, r, http.StatusOK, struct {
		Modules   string `json:"modules.v1"`
		Providers string `json:"providers.v1"`
	}{modulesPath, providersPath})
}
