package atlas

import (
	"cmp"
	"strconv"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/box"
)

// upload is what a client says of a version of an artifact: {"artifact_version": {"id", "file", "metadata", "build_id",
// "compile_id"}}.
type upload struct {
	// typ is the type as the client calls it, which may be an alias.
	typ  string
	file bool
	// buildID is 0 unless the client runs within a build.
	buildID int64
	// version and description are what the metadata of a box say of its version.
	version, description string
	build                registry.Build
	// places says where the client said what, for the errors of the domain.
	places []place
}

// The metadata of a box that are no metadata of its build.
const (
	boxProvider    = "provider"
	boxVersion     = "version"
	boxDescription = "description"
)

func parseUpload(typ string, body []byte) (upload, error) {
	o, err := parseObject(body, "artifact_version")
	if err != nil {
		return upload{}, err
	}
	id := o.text("id")
	u := upload{typ: typ, file: o.flag("file"), buildID: o.whole("build_id")}
	u.build = registry.Build{Component: artifactComponent, Metadata: o.texts("metadata")}
	if u.build.Type, err = registry.ParseType(typ); err != nil {
		o.add("artifact_type", "%s", err.Error())
	}
	number(u.build.Metadata, "build_number", u.buildID)
	number(u.build.Metadata, "compile_id", o.whole("compile_id"))
	if o.members == nil {
		o.add(o.at, "is missing")
	} else if err == nil {
		u.read(o, id)
	}
	u.places = append(u.places,
		place{"build.metadata", o.field("metadata")}, place{"build.provenance", o.field("id")}, place{"build.type", "artifact_type"}, place{"build.images", o.field("id")},
		place{"build.provider", o.entry("metadata", boxProvider)}, place{"build.component", o.entry("metadata", boxProvider)},
		place{"version", o.entry("metadata", boxVersion)}, place{"description", o.entry("metadata", boxDescription)},
	)
	return u, o.err()
}

// number puts an id into metadata that do not have it. 0 is none.
func number(metadata registry.Metadata, key string, id int64) {
	if _, ok := metadata[key]; !ok && id != 0 {
		metadata[key] = strconv.FormatInt(id, 10)
	}
}

// read reads what depends on the type.
func (u *upload) read(o object, id string) {
	switch typ := u.build.Type; {
	case typ == registry.TerraformProvider:
		o.add("artifact_type", "a terraform.provider cannot come this way; record it with almanac publish")
	case typ == registry.VagrantBox:
		u.readBox(o)
	case typ == registry.AmazonImage:
		u.readAMIs(o, id)
	case u.file:
	case typ == registry.Archive:
		o.add(o.field("file"), "must be true: an archive is its file")
	case id == "":
		o.add(o.field("id"), "is empty; without a file it must be what the provider calls the image")
	default:
		u.build.Images = imagesOf(typ, id)
		for i := range u.build.Images {
			u.from(i, o.field("id"))
		}
	}
	if id != externalID(u.build) && u.build.Type != registry.AmazonImage {
		u.build.Provenance = registry.Metadata{idKey: id}
	}
}

// from notes where the client said an image.
func (u *upload) from(image int, where string) {
	u.places = append(u.places, place{"build.images[" + strconv.Itoa(image) + "]", where})
}

func (u *upload) readBox(o object) {
	metadata := u.build.Metadata
	take := func(key string) string {
		value := metadata[key]
		delete(metadata, key)
		return value
	}
	u.build.Provider, u.description = take(boxProvider), take(boxDescription)
	u.build.Component = registry.BoxComponent(cmp.Or(u.build.Provider, "box"), "")
	if u.build.Provider == "" {
		o.add("", "Metadata must have 'provider' key")
	}
	if said := take(boxVersion); said != "" {
		var err error
		if u.version, err = box.Version(said); err != nil {
			o.add(o.entry("metadata", boxVersion), "%s", err.Error())
		}
	}
	if !u.file {
		o.add(o.field("file"), "must be true: a vagrant.box is its file")
	}
}

// fileName is what the file of the upload is called.
func (u *upload) fileName(artifact string) string {
	if u.build.Type == registry.VagrantBox {
		return "vagrant.box"
	}
	return archiveName(artifact)
}
