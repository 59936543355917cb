package atlas

import (
	"net/http"
	"slices"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// uploadApplication makes a version of an application, as vagrant push and atlas-upload do. The body may be empty.
func (d *door) uploadApplication(w http.ResponseWriter, r *http.Request) error {
	o, err := d.readObject(w, r, "application")
	if err != nil {
		return err
	}
	return d.uploadArchive(w, r, o, applicationComponent, o.texts("metadata"))
}

// uploadBuildConfig makes a version of a build configuration, as packer push does.
func (d *door) uploadBuildConfig(w http.ResponseWriter, r *http.Request) error {
	o, err := d.readObject(w, r, "version")
	if err != nil {
		return err
	}
	return d.uploadArchive(w, r, o, buildConfigComponent, buildConfigMetadata(o))
}

func (d *door) uploadArchive(w http.ResponseWriter, r *http.Request, o object, component string, metadata registry.Metadata) error {
	if err := o.err(); err != nil {
		return err
	}
	made, err := d.svc.AnnounceBuild(r.Context(), name(r), registry.Announcement{
		Build: registry.Build{Component: component, Type: registry.Archive, Metadata: metadata}, File: archiveName(name(r)),
	})
	if err != nil {
		return d.refused(r.Context(), name(r), placed(err, []place{{"build.metadata", o.field("metadata")}}))
	}
	return d.host.SendJSON(w, r, http.StatusOK, uploadJSON{d.uploadPath(r, made.Secret), made.Secret, made.Version.Number})
}

// buildConfigMetadata is what is kept of {"version": {"metadata", "builds", "packer_vars"}}. The template is in the archive,
// too, and values of sensitive variables are nobody's to keep.
func buildConfigMetadata(o object) registry.Metadata {
	metadata := o.texts("metadata")
	delete(metadata, "template")
	for _, b := range o.list("builds") {
		metadata["build."+b.required("name", "amazon-ebs")] = b.text("type")
	}
	var sensitive []string
	for _, v := range variables(o) {
		metadata["var."+v.key] = v.value
		if v.sensitive {
			sensitive = append(sensitive, v.key)
		}
	}
	for _, key := range sensitive {
		delete(metadata, "var."+key)
	}
	if len(sensitive) > 0 {
		slices.Sort(sensitive)
		metadata["sensitive_vars"] = strings.Join(slices.Compact(sensitive), ",")
	}
	return metadata
}

type variable struct {
	key, value string
	sensitive  bool
}

// variables reads packer_vars, which is a list; before November 2016 it was vars, and before October a map.
func variables(o object) []variable {
	var all []variable
	entries := o.list("packer_vars")
	if raw := strings.TrimSpace(string(o.members["vars"])); strings.HasPrefix(raw, "{") {
		for key, value := range o.texts("vars") {
			all = append(all, variable{key: key, value: value})
		}
	} else {
		entries = append(entries, o.list("vars")...)
	}
	for _, e := range entries {
		all = append(all, variable{e.required("key", "region"), e.text("value"), e.flag("sensitive")})
	}
	return all
}
