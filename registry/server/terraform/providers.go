package terraform

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// The paths of bytes that go with a provider. Each is followed by a secret: Terraform sends no token there.
const (
	zipsPath = "/tf/providers/files/"
	sumsPath = "/tf/providers/sums/"
)

// purposeSums is the purpose of the sealed texts of checksums.
const purposeSums = "terraform provider checksums"

// platform is a build of a provider as Terraform sees it.
type platform struct {
	os, arch  string
	filename  string
	protocols []string
	file      registry.File
}

// platformsOf returns the platforms of a version, sorted.
func platformsOf(v registry.Version) []platform {
	var list []platform
	for _, b := range v.Builds { // sorted by component
		os, arch, ok := strings.Cut(b.Component, "_")
		if b.Type != registry.TerraformProvider || !ok || len(b.Files) != 1 {
			continue
		}
		protocols := cmp.Or(b.Metadata[registry.ProviderProtocols], registry.DefaultProtocols)
		list = append(list, platform{
			os: os, arch: arch, filename: providerFile(v, b.Component+".zip"), file: b.Files[0],
			protocols: strings.Split(strings.ReplaceAll(protocols, " ", ""), ","),
		})
	}
	return list
}

// providerFile is how a file of a version has to be called, whatever its name was when it was recorded.
func providerFile(v registry.Version, end string) string {
	return "terraform-provider-" + v.Artifact.Name() + "_" + v.Version + "_" + end
}

type platformJSON struct {
	OS   string `json:"os"`
	Arch string `json:"arch"`
}

type providerVersionJSON struct {
	Version   string         `json:"version"`
	Protocols []string       `json:"protocols"`
	Platforms []platformJSON `json:"platforms"`
}

// providerVersions lists the versions with their platforms. A revoked one is there, with a warning that Terraform prints, as
// long as one that is offered is higher: Terraform looks for what a lock file names in this list, and takes the highest
// where nothing is locked.
func (d *door) providerVersions(w http.ResponseWriter, r *http.Request) error {
	answer := struct {
		Versions []providerVersionJSON `json:"versions"`
		Warnings []string              `json:"warnings,omitempty"`
	}{Versions: []providerVersionJSON{}}
	all, err := d.providers(r)
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b registry.Version) int { return registry.CompareSemver(b.Version, a.Version) })
	for _, v := range all {
		revoked := v.RevokedAt(time.Now())
		if revoked && len(answer.Versions) == 0 {
			continue
		}
		answer.Versions = append(answer.Versions, describeProvider(v, platformsOf(v)))
		if revoked {
			answer.Warnings = append(answer.Warnings, fmt.Sprintf("Version %s of %s is revoked: %s", v.Version, v.Artifact, v.Revocation.Reason))
		}
	}
	return d.host.SendJSON(w, r, http.StatusOK, answer)
}

// providers are the complete versions that have a platform.
func (d *door) providers(r *http.Request) (all []registry.Version, err error) {
	complete := registry.VersionFilter{Type: string(registry.TerraformProvider), Status: string(registry.StatusComplete)}
	err = d.each(r.Context(), artifact(r), complete, func(v registry.Version) error {
		// Lists of versions leave out what is needed here, and there are few versions of a provider.
		whole, err := d.svc.Version(r.Context(), artifact(r), v.Version)
		if registry.KindOf(err) == registry.NotFound {
			return nil // it was deleted meanwhile
		}
		if len(platformsOf(whole)) > 0 {
			all = append(all, whole)
		}
		return err
	})
	return all, err
}

func describeProvider(v registry.Version, platforms []platform) providerVersionJSON {
	p := providerVersionJSON{Version: v.Version}
	protocols := map[string]bool{}
	for _, platform := range platforms {
		p.Platforms = append(p.Platforms, platformJSON{platform.os, platform.arch})
		for _, protocol := range platform.protocols {
			protocols[protocol] = true
		}
	}
	p.Protocols = slices.Sorted(maps.Keys(protocols))
	return p
}

type packageJSON struct {
	Protocols    []string        `json:"protocols"`
	OS           string          `json:"os"`
	Arch         string          `json:"arch"`
	Filename     string          `json:"filename"`
	DownloadURL  string          `json:"download_url"`
	ShasumsURL   string          `json:"shasums_url"`
	SignatureURL string          `json:"shasums_signature_url"`
	Shasum       registry.Digest `json:"shasum"`
	SigningKeys  signingKeysJSON `json:"signing_keys"`
}

type signingKeysJSON struct {
	GPG []gpgKeyJSON `json:"gpg_public_keys"`
}

type gpgKeyJSON struct {
	KeyID string `json:"key_id"`
	Armor string `json:"ascii_armor"`
}

// providerDownload says where the provider for a platform is. It finds revoked versions, too.
func (d *door) providerDownload(w http.ResponseWriter, r *http.Request) error {
	v, err := d.exactVersion(r)
	if err != nil {
		return err
	}
	p, err := findPlatform(v, r.PathValue("os"), r.PathValue("arch"))
	if err != nil {
		return err
	}
	key, err := d.signingKey(r.Context())
	if err != nil {
		return err
	}
	public, err := key.public()
	if err != nil {
		return err
	}
	zip, err := d.svc.GrantDownload(r.Context(), artifact(r), registry.DownloadRequest{
		Ref: v.Version, Type: string(registry.TerraformProvider), Component: p.os + "_" + p.arch,
	})
	if err != nil {
		return err
	}
	sums, _, err := d.svc.Seal(r.Context(), purposeSums, sealedVersion(v), linkTTL)
	if err != nil {
		return err
	}
	warn(w, v.RevokedAt(time.Now()), v.Revocation)
	sumsFile := providerFile(v, "SHA256SUMS")
	// Its addresses are secrets, which nobody may keep.
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(packageJSON{
		Protocols: p.protocols, OS: p.os, Arch: p.arch, Filename: p.filename, Shasum: p.file.SHA256,
		DownloadURL:  beside(zipsPath, zip.Secret, p.filename),
		ShasumsURL:   beside(sumsPath, sums, sumsFile),
		SignatureURL: beside(sumsPath, sums, sumsFile+".sig"),
		SigningKeys:  signingKeysJSON{[]gpgKeyJSON{{key.id(), public}}},
	})
}

// beside is the address of a file, relative to /tf/providers/v1/NAMESPACE/NAME/VERSION/download/OS/ARCH: it holds behind
// every proxy.
func beside(path, secret, file string) string {
	return "../../../../../../" + strings.TrimPrefix(path, "/tf/providers/") + secret + "/" + url.PathEscape(file)
}

func findPlatform(v registry.Version, os, arch string) (platform, error) {
	if v.Status != registry.StatusComplete {
		return platform{}, registry.Errorf(registry.NotFound, "version %s of %s is %s, not complete", v.Version, v.Artifact, v.Status)
	}
	var choices []string
	for _, p := range platformsOf(v) {
		if p.os == os && p.arch == arch {
			return p, nil
		}
		choices = append(choices, p.os+"_"+p.arch)
	}
	e := &registry.Error{Kind: registry.NotFound, Choices: choices}
	if e.Msg = fmt.Sprintf("version %s of %s is no provider of Terraform: it has no build of the type %s", v.Version, v.Artifact, registry.TerraformProvider); len(choices) > 0 {
		e.Msg = fmt.Sprintf("version %s of %s is not there for %s_%s; it has: %s", v.Version, v.Artifact, clip(os), clip(arch), strings.Join(choices, ", "))
	}
	return platform{}, e
}

// providerZip sends a provider to whoever has its address.
func (d *door) providerZip(w http.ResponseWriter, r *http.Request) error {
	blob, err := d.svc.OpenDownload(r.Context(), r.PathValue("secret"))
	if err != nil {
		return err
	}
	defer func() { _ = blob.Close() }() // it was opened to be read
	d.host.SendFile(w, r, blob)
	return nil
}

// providerSums sends the checksums of all platforms of a version, or the signature of them.
func (d *door) providerSums(w http.ResponseWriter, r *http.Request) error {
	v, err := d.unsealVersion(r, purposeSums)
	if err != nil {
		return err
	}
	var sums bytes.Buffer
	for _, p := range platformsOf(v) {
		fmt.Fprintf(&sums, "%s  %s\n", p.file.SHA256, p.filename)
	}
	if !strings.HasSuffix(r.PathValue("file"), ".sig") {
		sendContent(w, r, "text/plain; charset=utf-8", sums.Bytes())
		return nil
	}
	key, err := d.signingKey(r.Context())
	if err != nil {
		return err
	}
	signature, err := key.sign(sums.Bytes())
	if err != nil {
		return err
	}
	sendContent(w, r, "application/octet-stream", signature)
	return nil
}
