package vagrant

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/server/foreign"
)

// catalogJSON is what vagrant box add, outdated and update read.
type catalogJSON struct {
	// Name must be what was asked for, in the same case.
	Name             string           `json:"name"`
	Description      string           `json:"description"`
	ShortDescription string           `json:"short_description"`
	Versions         []catalogVersion `json:"versions"`
}

type catalogVersion struct {
	Version             string            `json:"version"`
	Status              string            `json:"status"`
	DescriptionHTML     *string           `json:"description_html"`
	DescriptionMarkdown *string           `json:"description_markdown"`
	Providers           []catalogProvider `json:"providers"`
}

type catalogProvider struct {
	Name                string  `json:"name"`
	URL                 string  `json:"url"`
	Checksum            *string `json:"checksum"`
	ChecksumType        *string `json:"checksum_type"`
	Architecture        string  `json:"architecture"`
	DefaultArchitecture bool    `json:"default_architecture"`
}

// rootCatalog answers at the root, where the paths of others begin, too.
func (d *door) rootCatalog(w http.ResponseWriter, r *http.Request) error {
	if _, err := registry.ParseNamespace(r.PathValue("namespace")); err != nil {
		return foreign.ErrNoRoute
	}
	return d.catalog(w, r)
}

func (d *door) catalog(w http.ResponseWriter, r *http.Request) error {
	a, versions, err := d.boxes(r)
	if err != nil {
		return err
	}
	if len(versions) > 0 && !slices.ContainsFunc(versions, isForBoxes) {
		return registry.Errorf(registry.NotFound, "%s is no box: it has no build of the type %s", a.Name, registry.VagrantBox)
	}
	c := catalogJSON{Name: string(a.Name), Description: a.Description, ShortDescription: a.Summary, Versions: []catalogVersion{}}
	now := time.Now()
	for _, v := range versions {
		if providers := d.offered(r, v, now); len(providers) > 0 {
			c.Versions = append(c.Versions, catalogVersion{
				Version: v.Version, Status: active, DescriptionMarkdown: optional(v.Description), Providers: providers,
			})
		}
	}
	return d.host.SendJSON(w, r, http.StatusOK, c)
}

// isForBoxes says whether a version has a box, or may get one.
func isForBoxes(v registry.Version) bool { return len(v.Builds)+len(v.Pending) > 0 || v.Held }

// offered are the boxes of a version that anybody may install.
func (d *door) offered(r *http.Request, v registry.Version, now time.Time) []catalogProvider {
	if !v.OfferedAt(now) {
		return nil
	}
	var list []catalogProvider
	for _, p := range providersOf(v, false) {
		list = append(list, catalogProvider{
			Name: p.name, URL: d.downloadURL(r, v, p), Checksum: optional(p.checksum), ChecksumType: optional(p.checksumType),
			Architecture: p.architecture, DefaultArchitecture: p.preferred,
		})
	}
	return list
}

// download sends a box, or its caller to where it is. It finds revoked versions, too, with a warning.
func (d *door) download(w http.ResponseWriter, r *http.Request) error {
	return d.sendBox(w, r, r.PathValue("provider"))
}

func (d *door) oldDownload(w http.ResponseWriter, r *http.Request) error {
	provider, ok := strings.CutSuffix(r.PathValue("provider"), ".box")
	if !ok {
		return foreign.ErrNoRoute
	}
	return d.sendBox(w, r, provider)
}

func (d *door) sendBox(w http.ResponseWriter, r *http.Request, provider string) error {
	v, err := d.version(r)
	if err != nil {
		return err
	}
	p, ok := find(providersOf(v, false), provider, r.PathValue("architecture"))
	if !ok {
		return noProvider(r, v)
	}
	if v.RevokedAt(time.Now()) {
		w.Header()["Warning"] = []string{foreign.RevokedWarning(v.Revocation.Reason)}
	}
	if p.url != "" {
		w.Header().Set("Location", p.url)
		w.WriteHeader(http.StatusFound)
		return nil
	}
	_, blob, err := d.svc.BoxFile(r.Context(), name(r), v.Version, p.component)
	if err != nil {
		w.Header().Del("Warning")
		return hide(r, err)
	}
	// The bytes were opened to be read; there is nothing that a failing Close could lose.
	defer func() { _ = blob.Close() }()
	d.host.SendFile(w, r, blob)
	return nil
}
