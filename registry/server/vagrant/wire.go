package vagrant

import (
	"net/http"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// The objects of the API. Clients take created_at for the sign that something exists, and "active" for released.

type boxJSON struct {
	CreatedAt           time.Time    `json:"created_at"`
	UpdatedAt           time.Time    `json:"updated_at"`
	Tag                 string       `json:"tag"`
	Name                string       `json:"name"`
	ShortDescription    string       `json:"short_description"`
	DescriptionHTML     *string      `json:"description_html"`
	Username            string       `json:"username"`
	DescriptionMarkdown string       `json:"description_markdown"`
	Description         string       `json:"description"` // what Vagrant shows
	Private             bool         `json:"private"`
	Downloads           int          `json:"downloads"` // not counted
	CurrentVersion      *versionJSON `json:"current_version"`
	// Versions are left out of lists of boxes: Vagrant 2.3 reads them again, and has each twice then.
	Versions *[]versionJSON `json:"versions,omitempty"`
}

type versionJSON struct {
	Version             string         `json:"version"`
	Status              string         `json:"status"`
	DescriptionHTML     *string        `json:"description_html"`
	DescriptionMarkdown string         `json:"description_markdown"`
	Description         string         `json:"description"`
	CreatedAt           time.Time      `json:"created_at"`
	UpdatedAt           time.Time      `json:"updated_at"`
	Number              string         `json:"number"`
	ReleaseURL          string         `json:"release_url"`
	RevokeURL           string         `json:"revoke_url"`
	Providers           []providerJSON `json:"providers"`
}

type providerJSON struct {
	Name                string    `json:"name"`
	Hosted              bool      `json:"hosted"`
	HostedToken         *string   `json:"hosted_token"`
	OriginalURL         *string   `json:"original_url"`
	CreatedAt           time.Time `json:"created_at"`
	UpdatedAt           time.Time `json:"updated_at"`
	DownloadURL         string    `json:"download_url"`
	Checksum            *string   `json:"checksum"`
	ChecksumType        *string   `json:"checksum_type"`
	Architecture        string    `json:"architecture"`
	DefaultArchitecture bool      `json:"default_architecture"`
}

// The statuses of a version.
const (
	unreleased = "unreleased"
	active     = "active"
	revoked    = "revoked"
)

func status(v registry.Version, now time.Time) string {
	switch {
	case v.RevokedAt(now):
		return revoked
	case v.Status == registry.StatusComplete:
		return active
	}
	return unreleased
}

// listedBox is a box without its versions.
func (d *door) listedBox(r *http.Request, a registry.Artifact, newest *registry.Version) boxJSON {
	b := boxJSON{
		CreatedAt: a.CreatedAt, UpdatedAt: a.UpdatedAt, Tag: string(a.Name), Name: a.Name.Name(), Username: a.Name.Namespace(),
		ShortDescription: a.Summary, DescriptionMarkdown: a.Description, Description: a.Description,
		Private: !a.Public,
	}
	if newest != nil {
		v := d.versionJSON(r, *newest)
		b.CurrentVersion = &v
	}
	return b
}

func (d *door) boxJSON(r *http.Request, a registry.Artifact, versions []registry.Version) boxJSON {
	b := d.listedBox(r, a, current(versions, time.Now()))
	list := []versionJSON{}
	for _, v := range versions {
		list = append(list, d.versionJSON(r, v))
	}
	b.Versions = &list
	return b
}

func (d *door) versionJSON(r *http.Request, v registry.Version) versionJSON {
	at := d.apiRoot(r) + "/box/" + string(v.Artifact) + "/version/" + v.Version
	j := versionJSON{
		Version: v.Version, Number: v.Version, Status: status(v, time.Now()), DescriptionMarkdown: v.Description, Description: v.Description,
		CreatedAt: v.CreatedAt, UpdatedAt: v.CreatedAt, ReleaseURL: at + "/release", RevokeURL: at + "/revoke",
		Providers: []providerJSON{},
	}
	changed := func(t time.Time) {
		if t.After(j.UpdatedAt) {
			j.UpdatedAt = t
		}
	}
	if v.Completed != nil {
		changed(*v.Completed)
	}
	if v.RevokedAt(time.Now()) {
		changed(v.Revocation.At)
	}
	for _, p := range providersOf(v, true) {
		changed(p.createdAt)
		j.Providers = append(j.Providers, d.providerJSON(r, v, p))
	}
	return j
}

func (d *door) providerJSON(r *http.Request, v registry.Version, p provider) providerJSON {
	return providerJSON{
		Name: p.name, Hosted: p.url == "", OriginalURL: optional(p.url), CreatedAt: p.createdAt, UpdatedAt: p.createdAt,
		DownloadURL: d.downloadURL(r, v, p), Checksum: optional(p.checksum), ChecksumType: optional(p.checksumType),
		Architecture: p.architecture, DefaultArchitecture: p.preferred,
	}
}

// downloadURL does not change as long as the box is there: Vagrant keeps a download that broke off under its address.
// Names, versions and architectures have no characters that a path would need encoded.
func (d *door) downloadURL(r *http.Request, v registry.Version, p provider) string {
	return d.host.BaseURL(r) + "/" + v.Artifact.Namespace() + "/boxes/" + v.Artifact.Name() + "/versions/" + v.Version +
		"/providers/" + p.name + "/" + p.architecture + "/vagrant.box"
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
