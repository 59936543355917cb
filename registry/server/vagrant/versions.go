package vagrant

import (
	"net/http"
	"strings"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/box"
)

func (d *door) createVersion(w http.ResponseWriter, r *http.Request) error {
	o, err := d.readObject(w, r, "version")
	if err != nil {
		return err
	}
	said := o.required("version", "1.0.0")
	version, bad := box.Version(said)
	if said != "" && bad != nil {
		o.add("version", "%v", bad)
	}
	req := registry.VersionRequest{Version: version}
	if description := o.text("description"); description != nil {
		req.Description = *description
	}
	if err := o.err(); err != nil {
		return err
	}
	v, err := d.svc.OpenVersion(r.Context(), name(r), req)
	if registry.KindOf(err) == registry.Conflict {
		same := ""
		if said != version {
			same = ", which is the same as " + clip(said)
		}
		return &registry.Error{Kind: registry.Conflict, Msg: "the version has already been taken: box " + name(r) + " has " + version + same, Err: err}
	}
	return d.answerVersion(w, r, v, err)
}

func (d *door) showVersion(w http.ResponseWriter, r *http.Request) error {
	v, err := d.version(r)
	return d.answerVersion(w, r, v, err)
}

func (d *door) updateVersion(w http.ResponseWriter, r *http.Request) error {
	o, err := d.readObject(w, r, "version")
	if err != nil {
		return err
	}
	v, err := d.version(r)
	if err != nil {
		return err
	}
	o.same("version", v.Version, func(said string) bool { said, err := box.Version(said); return err == nil && said == v.Version })
	description := o.text("description")
	if err := o.err(); err != nil {
		return err
	}
	if description == nil {
		description = &v.Description
	}
	v, err = d.svc.DescribeVersion(r.Context(), name(r), v.Version, *description)
	return d.answerVersion(w, r, v, err)
}

func (d *door) deleteVersion(w http.ResponseWriter, r *http.Request) error {
	v, err := d.version(r)
	if err == nil {
		err = d.svc.DeleteVersion(r.Context(), name(r), v.Version)
	}
	return d.answerVersion(w, r, v, err)
}

// releaseVersion also brings back a version that was revoked.
func (d *door) releaseVersion(w http.ResponseWriter, r *http.Request) error {
	v, err := d.version(r)
	switch {
	case err != nil:
	case v.RevokedAt(time.Now()):
		v, err = d.svc.Restore(r.Context(), name(r), v.Version)
	default:
		v, err = d.svc.ReleaseVersion(r.Context(), name(r), v.Version)
	}
	return d.answerVersion(w, r, v, err)
}

// revokeVersion takes a reason, which Vagrant Cloud did not know.
func (d *door) revokeVersion(w http.ResponseWriter, r *http.Request) error {
	o, err := d.readObject(w, r, "version")
	if err != nil {
		return err
	}
	reason := "revoked through the Vagrant API"
	if said := o.text("reason"); said != nil && strings.TrimSpace(*said) != "" {
		reason = *said
	}
	if err := o.err(); err != nil {
		return err
	}
	v, err := d.version(r)
	if err == nil {
		v, err = d.svc.Revoke(r.Context(), name(r), v.Version, registry.RevokeRequest{Reason: reason})
	}
	return d.answerVersion(w, r, v, err)
}

func (d *door) answerVersion(w http.ResponseWriter, r *http.Request, v registry.Version, err error) error {
	if err != nil {
		return err
	}
	return d.host.SendJSON(w, r, http.StatusOK, d.versionJSON(r, v))
}
