package atlas

import (
	"context"
	"io"
	"net/http"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// receivedJSON is for people: clients look at the status alone.
type receivedJSON struct {
	Version int64           `json:"version"`
	Size    int64           `json:"size"`
	SHA256  registry.Digest `json:"sha256"`
}

// receive takes the bytes of an upload. There is no call after it: when it has answered, the version is there.
func (d *door) receive(w http.ResponseWriter, r *http.Request) error {
	// A client that is gone ends the body with an error. What came to its end is put away whether or not somebody waits.
	ctx := context.WithoutCancel(r.Context())
	var came registry.Arrival
	err := d.host.Receive(w, r, func(body io.Reader) (err error) {
		came, err = d.svc.Receive(ctx, r.PathValue("secret"), r.ContentLength, body)
		return err
	})
	if err != nil {
		return err
	}
	return d.host.SendJSON(w, r, http.StatusOK, receivedJSON{came.Version.Number, came.File.Size, came.File.SHA256})
}
