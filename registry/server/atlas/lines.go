package atlas

import (
	"net/http"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// Artifacts, applications and build configurations differ in what is around them, and in that a client looks for
// each before it makes it.

func (d *door) showArtifact(w http.ResponseWriter, r *http.Request) error {
	a, err := d.line(r)
	if err != nil {
		return err
	}
	return d.host.SendJSON(w, r, http.StatusOK, artifactJSON{lineOf(a)})
}

func (d *door) createArtifact(w http.ResponseWriter, r *http.Request) error {
	a, err := d.createLine(w, r, "artifact")
	if err != nil {
		return err
	}
	return d.host.SendJSON(w, r, http.StatusOK, artifactJSON{lineOf(a)})
}

func (d *door) showApplication(w http.ResponseWriter, r *http.Request) error {
	a, err := d.line(r)
	if err != nil {
		return err
	}
	return d.host.SendJSON(w, r, http.StatusOK, applicationJSON{lineOf(a), !a.Public})
}

func (d *door) createApplication(w http.ResponseWriter, r *http.Request) error {
	a, err := d.createLine(w, r, "application")
	if err != nil {
		return err
	}
	return d.host.SendJSON(w, r, http.StatusOK, applicationJSON{lineOf(a), !a.Public})
}

func (d *door) showBuildConfig(w http.ResponseWriter, r *http.Request) error {
	a, err := d.line(r)
	if err != nil {
		return err
	}
	return d.host.SendJSON(w, r, http.StatusOK, lineOf(a))
}

func (d *door) createBuildConfig(w http.ResponseWriter, r *http.Request) error {
	a, err := d.createLine(w, r, "build_configuration")
	if err != nil {
		return err
	}
	return d.host.SendJSON(w, r, http.StatusOK, lineOf(a))
}

// line returns the artifact in a path.
func (d *door) line(r *http.Request) (registry.Artifact, error) {
	n, err := readName(r)
	if err != nil {
		return registry.Artifact{}, err
	}
	return d.svc.Artifact(r.Context(), n)
}

// createLine makes the artifact that a body {"KIND": {"username": …, "name": …}} names, or returns the one that is there.
func (d *door) createLine(w http.ResponseWriter, r *http.Request, kind string) (registry.Artifact, error) {
	o, err := d.readObject(w, r, kind)
	if err != nil {
		return registry.Artifact{}, err
	}
	user, name := o.required("username", "cargomedia"), o.required("name", "app")
	if err := o.err(); err != nil {
		return registry.Artifact{}, err
	}
	a, _, err := d.svc.DescribeArtifact(r.Context(), user+"/"+name, registry.ArtifactDetails{})
	return a, d.refused(r.Context(), user+"/"+name, err)
}
