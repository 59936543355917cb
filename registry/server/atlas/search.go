package atlas

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// search answers with the one build that fits, or with none. Nobody can handle more than one.
func (d *door) search(w http.ResponseWriter, r *http.Request) error {
	n, err := readName(r)
	if err != nil {
		return err
	}
	req, err := parseSearch(r.URL.RawQuery)
	if err != nil {
		return err
	}
	req.Type = r.PathValue("type")
	matches, err := d.svc.Search(r.Context(), n, req)
	if err != nil && registry.KindOf(err) != registry.NotFound {
		return placed(err, []place{{"type", "artifact_type"}})
	}
	answer := searchJSON{[]versionJSON{}}
	switch len(matches) {
	case 0:
	case 1:
		v, err := d.found(r.Context(), req.Type, matches[0])
		if err != nil {
			return err
		}
		if v.File && strings.HasPrefix(r.UserAgent(), "AtlasGo/") {
			if v.Type, err = d.pinnedType(r.Context(), v.Type, matches[0]); err != nil {
				return err
			}
		}
		answer.Versions = append(answer.Versions, v)
	default:
		return severalBuilds(matches)
	}
	return d.host.SendJSON(w, r, http.StatusOK, answer)
}

// pinnedType is a type with the version in it, and with the component where the version has several builds of the type. The
// atlas-go in all releases of Packer and Terraform leaves the version out of the address of a file. This way it gets the
// right one, and nothing else is made of the type.
func (d *door) pinnedType(ctx context.Context, typ string, found registry.Resolution) (string, error) {
	number := strconv.FormatInt(found.Number, 10)
	v, err := d.svc.Version(ctx, string(found.Artifact), number)
	if err != nil {
		return "", err
	}
	pinned := typ + "/" + number
	if strings.Contains(found.Component, "/") { // would be two parts of a path
		return pinned, nil
	}
	for _, b := range v.Builds {
		if b.Type == found.Type && b.Component != found.Component {
			return pinned + "/" + found.Component, nil
		}
	}
	return pinned, nil
}

func severalBuilds(matches []registry.Resolution) error {
	var components []string
	for _, m := range matches {
		components = append(components, m.Component)
	}
	return &registry.Error{
		Kind: registry.Conflict,
		Msg: fmt.Sprintf("version %d of %s has %d builds of the type %s that fit, and only one is allowed; narrow it by metadata, such as component = %q, or by architecture; the components are: %s",
			matches[0].Number, matches[0].Artifact, len(matches), matches[0].Type, components[0], strings.Join(components, ", ")),
		Choices: components,
	}
}

// parseSearch reads version=, build=, and metadata.N.key= with or without metadata.N.value=, in any order. Others are not
// looked at, unless they look like metadata: a condition that is overheard would find the wrong build.
func parseSearch(query string) (registry.SearchRequest, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return registry.SearchRequest{}, registry.Errorf(registry.Invalid, "the query cannot be read: %s", clip(err.Error()))
	}
	req := registry.SearchRequest{Version: values.Get("version"), Build: values.Get("build"), Metadata: registry.Metadata{}}
	o := object{wrong: new([]registry.FieldError)}
	for _, parameter := range slices.Sorted(maps.Keys(values)) {
		rest, ok := strings.CutPrefix(parameter, "metadata.")
		if !ok {
			continue
		}
		number, what, _ := strings.Cut(rest, ".")
		keys := values["metadata."+number+".key"]
		switch {
		case what != "key" && what != "value" || strings.Trim(number, "0123456789") != "" || number == "":
			o.add(clip(parameter), "must be metadata.N.key or metadata.N.value, with N from 1")
		case len(values[parameter]) > 1:
			o.add(parameter, "is there %d times; give it once", len(values[parameter]))
		case what == "value" && len(keys) == 0:
			o.add(parameter, "has no metadata.%s.key", clip(number))
		case what == "key" && keys[0] == "":
			o.add(parameter, "is empty; it must be the name of a metadata")
		case what == "key" && values["metadata."+number+".value"] == nil:
			req.MetadataKeys = append(req.MetadataKeys, keys[0])
		case what == "value" && len(keys) == 1:
			value := values[parameter][0]
			if other, ok := req.Metadata[keys[0]]; ok && other != value {
				o.add(parameter, "%q is asked to be %q, too; a metadata has one value", clip(keys[0]), clip(other))
			}
			req.Metadata[keys[0]] = value
		}
	}
	return req, o.err()
}
