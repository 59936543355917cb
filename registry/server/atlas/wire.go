package atlas

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// The objects that clients read. All numbers are numbers, and all metadata are strings: anything else breaks every client.

type lineJSON struct {
	Username string `json:"username"`
	Name     string `json:"name"`
	Tag      string `json:"tag"`
}

func lineOf(a registry.Artifact) lineJSON { return namedLine(a.Name) }

func namedLine(n registry.ArtifactName) lineJSON {
	return lineJSON{Username: n.Namespace(), Name: n.Name(), Tag: string(n)}
}

type artifactJSON struct {
	Artifact lineJSON `json:"artifact"`
}

type applicationJSON struct {
	lineJSON
	Private bool `json:"private"`
}

// uploadJSON says where to send the bytes of a version of an application or a build configuration.
type uploadJSON struct {
	UploadPath string `json:"upload_path"`
	Token      string `json:"token"`
	Version    int64  `json:"version"`
}

type versionJSON struct {
	lineJSON
	Type     string            `json:"artifact_type"`
	ID       string            `json:"id"`
	Version  int64             `json:"version"`
	Metadata registry.Metadata `json:"metadata"`
	File     bool              `json:"file"`
	Slug     string            `json:"slug"`

	// UploadPath and UploadToken are set in the answer to an upload with a file alone.
	UploadPath  string `json:"upload_path,omitempty"`
	UploadToken string `json:"upload_token,omitempty"`
}

type searchJSON struct {
	Versions []versionJSON `json:"versions"`
}

// version is a build as clients see it. typ is its type, or an alias of it, as they asked.
func version(artifact registry.ArtifactName, typ string, v registry.VersionID, b registry.Build) versionJSON {
	return versionJSON{
		lineJSON: namedLine(artifact), Type: typ, ID: externalID(b), Version: v.Number, Metadata: fullMetadata(b, v), File: len(b.Files) > 0,
		Slug: string(artifact) + "/" + typ + "/" + strconv.FormatInt(v.Number, 10),
	}
}

// uploadPath is an absolute address, as clients need it.
func (d *door) uploadPath(r *http.Request, secret string) string {
	return d.host.BaseURL(r) + binstorePath + url.PathEscape(secret)
}

// idKey is the provenance that has the id that was posted with a build, where it cannot be told from the rest.
const idKey = "atlas.id"

// found is a build that was searched for, with all metadata that a search can ask for.
func (d *door) found(ctx context.Context, typ string, r registry.Resolution) (versionJSON, error) {
	b := registry.Build{Type: r.Type, Provider: r.Provider, Images: r.Images, Files: r.Files, Metadata: r.Metadata}
	if r.Type != registry.AmazonImage {
		v, err := d.svc.Version(ctx, string(r.Artifact), strconv.FormatInt(r.Number, 10))
		if err != nil {
			return versionJSON{}, err
		}
		for _, recorded := range v.Builds {
			if recorded.Component == r.Component {
				b.Provenance = recorded.Provenance
			}
		}
	}
	return version(r.Artifact, typ, r.VersionID, b), nil
}

// fullMetadata are the metadata of a build with what is derived, and with what clients sent as metadata of a box.
func fullMetadata(b registry.Build, v registry.VersionID) registry.Metadata {
	full := registry.FullMetadata(nil, b)
	if b.Type == registry.VagrantBox {
		for key, value := range map[string]string{boxProvider: b.Provider, boxVersion: v.Version} {
			if _, ok := full[key]; !ok {
				full[key] = value
			}
		}
	}
	return full
}
