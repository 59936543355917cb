package vagrant

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// uploadJSON says where to send a box. The secret is in the path, for Vagrant sends the bytes without its token and
// drops the query of the callback. With an upload that is called direct, the client calls back when all is sent.
type uploadJSON struct {
	UploadPath string `json:"upload_path"`
	Callback   string `json:"callback,omitempty"`
}

func (d *door) grantUpload(w http.ResponseWriter, r *http.Request) error {
	at, err := d.grant(r)
	if err != nil {
		return err
	}
	return sendUpload(w, uploadJSON{UploadPath: at})
}

func (d *door) grantDirectUpload(w http.ResponseWriter, r *http.Request) error {
	at, err := d.grant(r)
	if err != nil {
		return err
	}
	return sendUpload(w, uploadJSON{UploadPath: at, Callback: at + "/complete"})
}

// sendUpload answers with what nobody may keep, as the answers of [foreign.Host.SendJSON] can be.
func sendUpload(w http.ResponseWriter, u uploadJSON) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(u)
}

func (d *door) grant(r *http.Request) (string, error) {
	v, p, err := d.provider(r)
	if err != nil {
		return "", err
	}
	secret, err := d.svc.GrantBoxUpload(r.Context(), name(r), v.Version, p.component)
	return d.apiRoot(r) + uploadsPath + url.PathEscape(secret), err
}

// success is an answer that nobody reads.
type success struct {
	Success bool `json:"success"`
}

// receiveUpload does all the work: when it has answered, the box is there. The callback of a direct upload finds it.
func (d *door) receiveUpload(w http.ResponseWriter, r *http.Request) error {
	// A client that is gone ends the body with an error. What came to its end is put away whether or not somebody waits.
	ctx := context.WithoutCancel(r.Context())
	err := d.host.Receive(w, r, func(body io.Reader) error {
		_, err := d.svc.Receive(ctx, r.PathValue("secret"), r.ContentLength, body)
		return err
	})
	if err != nil {
		return err
	}
	return d.host.SendJSON(w, r, http.StatusOK, success{true})
}

func (d *door) completeUpload(w http.ResponseWriter, r *http.Request) error {
	receipt, err := d.svc.BoxUpload(r.Context(), r.PathValue("secret"))
	if err != nil {
		return err
	}
	if receipt.File == (registry.File{}) {
		return registry.Errorf(registry.Conflict, "the box did not come yet; send it to the upload_path first, until that answers 200")
	}
	return d.host.SendJSON(w, r, http.StatusOK, success{true})
}
