package terraform

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/terraform/emit"
)

// moduleSystem is the third part of a module's address: what the images are for.
const moduleSystem = "aws"

// packagesPath is followed by the secret of a package. Terraform sends no token there.
const packagesPath = modulesPath + "packages/"

// purposeModule is the purpose of the sealed texts of packages.
const purposeModule = "terraform module"

// linkTTL is how long an address without a token is good. Terraform follows it at once, more than once.
const linkTTL = 10 * time.Minute

// moduleVersions lists what can be chosen: the versions that are offered and have an AMI.
func (d *door) moduleVersions(w http.ResponseWriter, r *http.Request) error {
	if err := checkSystem(r); err != nil {
		return err
	}
	type version struct {
		Version string `json:"version"`
	}
	list := []version{}
	offered := registry.VersionFilter{Type: string(registry.AmazonImage), Offered: true}
	err := d.each(r.Context(), artifact(r), offered, func(v registry.Version) error {
		list = append(list, version{v.Version})
		return nil
	})
	if err != nil {
		return err
	}
	type module struct {
		Versions []version `json:"versions"`
	}
	return d.host.SendJSON(w, r, http.StatusOK, struct {
		Modules []module `json:"modules"`
	}{[]module{{list}}})
}

// each goes through the versions that a filter leaves, from the newest on.
func (d *door) each(ctx context.Context, artifact string, filter registry.VersionFilter, do func(registry.Version) error) error {
	filter.Limit = 500
	for {
		page, err := d.svc.Versions(ctx, artifact, filter)
		if err != nil {
			return err
		}
		for _, v := range page.Versions {
			if err := do(v); err != nil {
				return err
			}
		}
		if page.Next == "" {
			return nil
		}
		filter.Cursor = page.Next
	}
}

// moduleDownload says where the package of a version is. It finds revoked versions, too, for those who have chosen before.
func (d *door) moduleDownload(w http.ResponseWriter, r *http.Request) error {
	if err := checkSystem(r); err != nil {
		return err
	}
	v, err := d.exactVersion(r)
	if err != nil {
		return err
	}
	if _, err := d.module(r, v); err != nil {
		return err
	}
	secret, _, err := d.svc.Seal(r.Context(), purposeModule, sealedVersion(v), linkTTL)
	if err != nil {
		return err
	}
	warn(w, v.RevokedAt(time.Now()), v.Revocation)
	// Relative to NAMESPACE/NAME/SYSTEM/VERSION/download: it holds behind every proxy.
	w.Header()["X-Terraform-Get"] = []string{"../../../../packages/" + secret + "/" + url.PathEscape(v.Artifact.Name()+"-"+v.Version+".tar.gz")}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func checkSystem(r *http.Request) error {
	if system := r.PathValue("system"); system != moduleSystem {
		return &registry.Error{
			Kind: registry.NotFound, Choices: []string{moduleSystem},
			Msg: "there are no modules for the system " + strconv.Quote(clip(system)) + "; the source of one ends in /" + moduleSystem,
		}
	}
	return nil
}

// exactVersion returns the version that a path names. Terraform chooses it from the list, so it is never a ref.
func (d *door) exactVersion(r *http.Request) (registry.Version, error) {
	version := r.PathValue("version")
	if err := registry.CheckSemver(version); err != nil {
		return registry.Version{}, registry.BadField("version", err)
	}
	return d.svc.Version(r.Context(), artifact(r), version)
}

func (d *door) module(r *http.Request, v registry.Version) (map[string][]byte, error) {
	return emit.Module(v, emit.ModuleOptions{Address: d.host.BaseURL(r)})
}

// modulePackage sends the files of a version's module to whoever has its address.
func (d *door) modulePackage(w http.ResponseWriter, r *http.Request) error {
	v, err := d.unsealVersion(r, purposeModule)
	if err != nil {
		return err
	}
	files, err := d.module(r, v)
	if err != nil {
		return err
	}
	content, err := pack(files)
	if err != nil {
		return err
	}
	sendContent(w, r, "application/gzip", content)
	return nil
}

// sealedVersion names a version in a sealed text.
func sealedVersion(v registry.Version) string {
	return string(v.Artifact) + " " + strconv.FormatInt(v.Number, 10)
}

// unsealVersion returns the version whose secret is in the path. The secret stands for the right to read it, and for no
// other.
func (d *door) unsealVersion(r *http.Request, purpose string) (registry.Version, error) {
	payload, err := d.svc.Unseal(r.Context(), purpose, r.PathValue("secret"))
	if err != nil {
		return registry.Version{}, err
	}
	name, number, _ := strings.Cut(payload, " ")
	reader := registry.Principal{TokenID: purpose, Name: purpose, Role: registry.RoleRead, Scopes: []registry.Scope{registry.Scope(name)}}
	return d.svc.Version(registry.WithPrincipal(r.Context(), reader), name, number)
}

// pack makes a tar.gz that depends on the files alone.
func pack(files map[string][]byte) ([]byte, error) {
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	archive := tar.NewWriter(zipped)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		header := &tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(files[name])), ModTime: time.Unix(0, 0).UTC()}
		if err := archive.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := archive.Write(files[name]); err != nil {
			return nil, err
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	err := zipped.Close()
	return out.Bytes(), err
}

// sendContent answers with bytes that were just made, or the part of them that is asked for.
func sendContent(w http.ResponseWriter, r *http.Request, media string, content []byte) {
	sum := sha256.Sum256(content)
	w.Header()["Etag"] = []string{`"sha256:` + hex.EncodeToString(sum[:]) + `"`}
	w.Header()["Cache-Control"] = []string{"private, no-cache"}
	w.Header()["Content-Type"] = []string{media}
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
}

// clip shortens what a caller sent for an error text.
func clip(s string) string {
	const most = 80
	s = strings.ToValidUTF8(s, "\uFFFD")
	if runes := []rune(s); len(runes) > most {
		return string(runes[:most]) + "…"
	}
	return s
}
