package atlas

import (
	"cmp"
	"fmt"
	"mime"
	"net/http"
	"path"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/server/foreign"
)

// latestFile answers with the file of the newest version: clients that leave the version out want that.
func (d *door) latestFile(w http.ResponseWriter, r *http.Request) error {
	return d.sendFile(w, r, registry.Latest, "")
}

func (d *door) file(w http.ResponseWriter, r *http.Request) error {
	return d.sendFile(w, r, r.PathValue("version"), "")
}

// fileOf answers with the file of one component. The version in its place is that of a newer atlas-go, and names none.
func (d *door) fileOf(w http.ResponseWriter, r *http.Request) error {
	version, component, again := r.PathValue("version"), r.PathValue("component"), r.PathValue("again")
	if again != "" && again != version {
		return foreign.ErrNoRoute
	}
	if again == "" && component == version {
		component = ""
	}
	return d.sendFile(w, r, version, component)
}

// sendFile answers with the file of the build of a type in a version, which is a number or latest. What is asked for by
// number is there also when it is revoked.
func (d *door) sendFile(w http.ResponseWriter, r *http.Request, version, component string) error {
	n, err := readName(r)
	if err != nil {
		return err
	}
	if ref, err := registry.ParseRef(version); err != nil || ref.Kind != registry.RefNumber && ref.Kind != registry.RefLatest {
		return registry.Errorf(registry.NotFound, "%s has no version %s; it is asked for by its number, or by latest", n, clip(version))
	}
	query := r.URL.Query()
	found, err := d.svc.Resolve(r.Context(), n, version, registry.Question{
		Type: r.PathValue("type"), Component: cmp.Or(component, query.Get("component")), Architecture: query.Get("architecture"), Provider: query.Get("provider"),
	})
	if err != nil {
		return placed(err, []place{{"type", "artifact_type"}})
	}
	file, err := choose(found, query.Get("file"))
	if err != nil {
		return err
	}
	blob, err := d.svc.Blob(r.Context(), string(file.SHA256))
	if err != nil {
		return err
	}
	defer func() { _ = blob.Close() }() // it was opened to be read
	h := w.Header()
	h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": path.Base(file.Name)}))
	if found.Revoked {
		h["Warning"] = []string{foreign.RevokedWarning(found.Revocation.Reason)}
	}
	d.host.SendFile(w, r, blob)
	return nil
}

// choose returns the file of a name, or the only one.
func choose(found registry.Resolution, name string) (registry.File, error) {
	var names []string
	for _, f := range found.Files {
		if f.Name == name || name == "" && len(found.Files) == 1 {
			return f, nil
		}
		names = append(names, f.Name)
	}
	what := fmt.Sprintf("version %d of %s has ", found.Number, found.Artifact)
	switch {
	case len(names) == 0:
		return registry.File{}, registry.Errorf(registry.NotFound, "%sno file of the type %s", what, found.Type)
	case name != "":
		return registry.File{}, &registry.Error{Kind: registry.NotFound, Msg: fmt.Sprintf("%sno file %q; it has: %s", what, clip(name), strings.Join(names, ", ")), Choices: names}
	}
	return registry.File{}, &registry.Error{
		Kind: registry.Conflict, Msg: fmt.Sprintf("%s%d files; say which with ?file=NAME: %s", what, len(names), strings.Join(names, ", ")), Choices: names,
	}
}
