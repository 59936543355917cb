package vagrant

import (
	"net/http"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func (d *door) createBox(w http.ResponseWriter, r *http.Request) error {
	o, err := d.readObject(w, r, "box")
	if err != nil {
		return err
	}
	tag := o.required("username", "acme") + "/" + o.required("name", "tiny")
	details := details(o)
	if details.Public == nil {
		details.Public = new(bool)
	}
	if err := o.err(); err != nil {
		return err
	}
	access, err := d.svc.Access(r.Context(), tag)
	if err != nil {
		return err
	}
	if access.Exists {
		return registry.Errorf(registry.Conflict, "the name has already been taken: box %s exists", tag)
	}
	if _, _, err := d.svc.DescribeArtifact(r.Context(), tag, details); err != nil {
		return err
	}
	return d.answerBox(w, r, tag)
}

func details(o *object) registry.ArtifactDetails {
	details := registry.ArtifactDetails{Description: o.text("description"), Summary: o.text("short_description")}
	if private := o.flag("is_private"); private != nil {
		public := !*private
		details.Public = &public
	}
	return details
}

func (d *door) showBox(w http.ResponseWriter, r *http.Request) error {
	a, versions, err := d.boxes(r)
	if err != nil {
		return err
	}
	return d.host.SendJSON(w, r, http.StatusOK, d.boxJSON(r, a, versions))
}

func (d *door) updateBox(w http.ResponseWriter, r *http.Request) error {
	o, err := d.readObject(w, r, "box")
	if err != nil {
		return err
	}
	a, _, err := d.boxes(r)
	if err != nil {
		return err
	}
	o.same("username", a.Name.Namespace(), func(said string) bool { return said == a.Name.Namespace() })
	o.same("name", a.Name.Name(), func(said string) bool { return said == a.Name.Name() })
	details := details(o)
	if err := o.err(); err != nil {
		return err
	}
	if _, _, err := d.svc.DescribeArtifact(r.Context(), name(r), details); err != nil {
		return err
	}
	return d.answerBox(w, r, name(r))
}

func (d *door) deleteBox(w http.ResponseWriter, r *http.Request) error {
	a, versions, err := d.boxes(r)
	if err != nil {
		return err
	}
	if err := d.svc.DeleteArtifact(r.Context(), name(r)); err != nil {
		return err
	}
	return d.host.SendJSON(w, r, http.StatusOK, d.boxJSON(r, a, versions))
}

func (d *door) answerBox(w http.ResponseWriter, r *http.Request, tag string) error {
	a, versions, err := d.svc.Boxes(r.Context(), tag)
	if err != nil {
		return err
	}
	return d.host.SendJSON(w, r, http.StatusOK, d.boxJSON(r, a, versions))
}
