package atlas

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/problem"
)

// fail answers with an error in the one form that atlas-go reads. It shows the text of 400 and 422 alone, and takes each
// 404 for a thing that is to be made.
func fail(w http.ResponseWriter, _ *http.Request, p problem.Problem) {
	status := p.Status
	switch status {
	case http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge:
		status = http.StatusUnprocessableEntity
	}
	body, err := json.Marshal(struct {
		Errors []string `json:"errors"`
	}{texts(p)})
	if err != nil {
		panic(err) // it is strings
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// An error means that the client is gone.
	_, _ = w.Write(append(body, '\n'))
}

// texts are all that is wrong, each in a sentence of its own.
func texts(p problem.Problem) []string {
	var all []string
	// How many mistakes there are is seen from the list.
	if len(p.Fields) == 0 || !strings.HasPrefix(p.Detail, "the request has ") {
		all = append(all, p.Detail)
	}
	for _, f := range p.Fields {
		if f.Field == "" {
			all = append(all, f.Message)
		} else {
			all = append(all, f.Field+": "+f.Message)
		}
	}
	return all
}

// refused makes the refusal of a write one that the caller can read, or, for one who may not know of the artifact, the
// answer to what is not there.
func (d *door) refused(ctx context.Context, name string, err error) error {
	e, ok := errors.AsType[*registry.Error](err)
	if !ok || e.Kind != registry.Forbidden {
		return err
	}
	if access, err := d.svc.Access(ctx, name); err == nil && access.Read {
		return registry.Errorf(registry.Invalid, "%s", e.Msg)
	}
	return registry.Errorf(registry.NotFound, "artifact %s does not exist, or you may not see it", clip(name))
}

// place says where the client said the value of a field of the domain.
type place struct{ field, where string }

// placed names the fields of an error as the client does.
func placed(err error, places []place) error {
	e, ok := errors.AsType[*registry.Error](err)
	if !ok || len(e.Fields) == 0 {
		return err
	}
	told := *e
	told.Fields = slices.Clone(e.Fields)
	for i, f := range told.Fields {
		for _, p := range places {
			if rest, ok := strings.CutPrefix(f.Field, p.field); ok {
				told.Fields[i].Field = p.where
				if strings.HasPrefix(rest, "[") { // an entry of it
					told.Fields[i].Field += rest
				}
				break
			}
		}
	}
	return &told
}
