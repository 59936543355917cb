package terraform_test

import (
	"bytes"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/server"
	"github.com/cargomedia/packer-plugin-almanac/registry/server/terraform"
)

const thing = "/tf/providers/v1/cargomedia/thing"

// publishProvider adds a platform to a version of a provider. The pairs are metadata.
func publishProvider(t testing.TB, s *servertest.Server, artifact, version, platform, content string, metadata ...string) {
	t.Helper()
	pub := registry.Publication{Fingerprint: "run-" + version, Version: version, Build: registry.Build{
		Component: platform, Type: registry.TerraformProvider, Metadata: registry.Metadata{},
	}}
	for i := 0; i < len(metadata); i += 2 {
		pub.Build.Metadata[metadata[i]] = metadata[i+1]
	}
	publish(t, s, artifact, withFile(t, s, artifact, "any-name.zip", content, pub))
}

// download is the answer for a platform.
type download struct {
	Protocols    []string `json:"protocols"`
	OS           string   `json:"os"`
	Arch         string   `json:"arch"`
	Filename     string   `json:"filename"`
	DownloadURL  string   `json:"download_url"`
	ShasumsURL   string   `json:"shasums_url"`
	SignatureURL string   `json:"shasums_signature_url"`
	Shasum       string   `json:"shasum"`
	SigningKeys  struct {
		GPG []struct {
			KeyID string `json:"key_id"`
			Armor string `json:"ascii_armor"`
		} `json:"gpg_public_keys"`
	} `json:"signing_keys"`
}

// findProvider asks for a platform as Terraform does, with whole addresses.
func findProvider(t testing.TB, s *servertest.Server, path string) download {
	t.Helper()
	at := s.URL + thing + path
	d := decode[download](t, get(t, at, s.AdminToken).is(t, http.StatusOK))
	base, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []*string{&d.DownloadURL, &d.ShasumsURL, &d.SignatureURL} {
		target, err := base.Parse(*address)
		if err != nil {
			t.Fatal(err)
		}
		*address = target.String()
	}
	return d
}

func TestProviderVersions(t *testing.T) {
	s := servertest.New(t)
	publishProvider(t, s, "cargomedia/thing", "1.0.0", "linux_amd64", "a", "protocols", "5.0, 6.0")
	publishProvider(t, s, "cargomedia/thing", "1.1.0", "linux_amd64", "b")
	publishProvider(t, s, "cargomedia/thing", "1.1.0", "darwin_arm64", "c")
	publishProvider(t, s, "cargomedia/thing", "2.0.0", "linux_amd64", "d")
	revoke(t, s, "cargomedia/thing", "2.0.0", "broken")
	revoke(t, s, "cargomedia/thing", "1.0.0", "old")
	publish(t, s, "cargomedia/thing", ami("ami", "3.0.0"))
	got := get(t, s.URL+thing+"/versions", s.AdminToken).is(t, http.StatusOK)
	want := `{"versions":[` +
		`{"version":"1.1.0","protocols":["6.0"],"platforms":[{"os":"darwin","arch":"arm64"},{"os":"linux","arch":"amd64"}]},` +
		`{"version":"1.0.0","protocols":["5.0","6.0"],"platforms":[{"os":"linux","arch":"amd64"}]}],` +
		`"warnings":["Version 1.0.0 of cargomedia/thing is revoked: old"]}` + "\n"
	if diff := cmp.Diff(want, got.body); diff != "" {
		t.Error(diff)
	}
}

func TestProviderDownload(t *testing.T) {
	s := servertest.New(t)
	publishProvider(t, s, "cargomedia/thing", "1.0.0", "linux_amd64", "the zip")
	d := findProvider(t, s, "/1.0.0/download/linux/amd64")
	sum := string(registry.SecretDigest("the zip"))
	t.Run("says what and where it is", func(t *testing.T) {
		if d.OS != "linux" || d.Arch != "amd64" || d.Filename != "terraform-provider-thing_1.0.0_linux_amd64.zip" || d.Shasum != sum || !cmp.Equal(d.Protocols, []string{"6.0"}) {
			t.Errorf("got %+v", d)
		}
		if !strings.HasSuffix(d.DownloadURL, "/"+d.Filename) || !strings.HasSuffix(d.ShasumsURL, "/terraform-provider-thing_1.0.0_SHA256SUMS") || d.SignatureURL != d.ShasumsURL+".sig" {
			t.Errorf("the addresses are %s, %s and %s", d.DownloadURL, d.ShasumsURL, d.SignatureURL)
		}
	})
	t.Run("the bytes need no token", func(t *testing.T) {
		if got := get(t, d.DownloadURL, "").is(t, http.StatusOK); got.body != "the zip" {
			t.Errorf("got %q", got.body)
		}
		if got := get(t, d.DownloadURL, "", "Range", "bytes=4-").is(t, http.StatusPartialContent); got.body != "zip" {
			t.Errorf("got %q", got.body)
		}
	})
	t.Run("the checksums are signed by the registry's key", func(t *testing.T) {
		sums := get(t, d.ShasumsURL, "").is(t, http.StatusOK).body
		if want := sum + "  " + d.Filename + "\n"; sums != want {
			t.Errorf("got %q, want %q", sums, want)
		}
		key := d.SigningKeys.GPG[0]
		ring, err := openpgp.ReadArmoredKeyRing(strings.NewReader(key.Armor))
		if err != nil {
			t.Fatal(err)
		}
		signature := get(t, d.SignatureURL, "").is(t, http.StatusOK).body
		signer, err := openpgp.CheckDetachedSignature(ring, strings.NewReader(sums), strings.NewReader(signature), nil)
		if err != nil {
			t.Fatal(err)
		}
		if signer.Identities["Almanac registry"] == nil || signer.PrimaryKey.KeyIdString() != key.KeyID || len(ring) != 1 || len(ring[0].Subkeys) != 0 {
			t.Errorf("it is signed by %v", signer.Identities)
		}
		if _, err := openpgp.CheckDetachedSignature(ring, strings.NewReader(sums+"x"), strings.NewReader(signature), nil); err == nil {
			t.Error("the signature fits other checksums")
		}
	})
	t.Run("the checksums grow with the platforms, and the key stays", func(t *testing.T) {
		before := get(t, d.ShasumsURL, "").body
		if again := get(t, findProvider(t, s, "/1.0.0/download/linux/amd64").ShasumsURL, "").body; again != before {
			t.Errorf("got %q and %q", before, again)
		}
		publishProvider(t, s, "cargomedia/thing", "1.0.0", "windows_amd64", "another zip")
		other := findProvider(t, s, "/1.0.0/download/windows/amd64")
		after := get(t, other.ShasumsURL, "").body
		if want := before + other.Shasum + "  terraform-provider-thing_1.0.0_windows_amd64.zip\n"; after != want || get(t, d.ShasumsURL, "").body != want {
			t.Errorf("got %q, want %q", after, want)
		}
		if other.SigningKeys.GPG[0] != d.SigningKeys.GPG[0] {
			t.Error("the key is another one")
		}
		id, made, err := terraform.EnsureSigningKey(t.Context(), s.Service)
		if err != nil || made || id != d.SigningKeys.GPG[0].KeyID {
			t.Errorf("got %s, %v, %v", id, made, err)
		}
	})
	t.Run("a revoked version stays there for lock files", func(t *testing.T) {
		revoke(t, s, "cargomedia/thing", "1.0.0", "broken")
		got := get(t, s.URL+thing+"/1.0.0/download/linux/amd64", s.AdminToken).is(t, http.StatusOK)
		if warning := got.header.Get("Warning"); !strings.Contains(warning, "broken") {
			t.Errorf("the warning is %q", warning)
		}
	})
	t.Run("what is not there is refused", func(t *testing.T) {
		publish(t, s, "cargomedia/thing", ami("ami", "3.0.0"))
		for path, want := range map[string]struct {
			status int
			text   string
		}{
			"/1.0.0/download/plan9/amd64":  {404, "not there for plan9_amd64; it has: linux_amd64, windows_amd64"},
			"/3.0.0/download/linux/amd64":  {404, "has no build of the type terraform.provider"},
			"/9.0.0/download/linux/amd64":  {404, "has no version 9.0.0"},
			"/latest/download/linux/amd64": {422, "must be a semantic version"},
		} {
			get(t, s.URL+thing+path, s.AdminToken).refused(t, want.status, want.text)
		}
		for _, address := range []string{d.DownloadURL, d.ShasumsURL, d.SignatureURL} {
			get(t, strings.Replace(address, "/alm_A", "/alm_B", 1), s.AdminToken).refused(t, http.StatusNotFound, "this address is too old")
		}
	})
	t.Run("an address is good for one thing", func(t *testing.T) {
		secret := strings.Split(strings.SplitAfter(d.ShasumsURL, "/sums/")[1], "/")[0]
		get(t, s.URL+"/tf/providers/files/"+secret+"/x", "").is(t, http.StatusNotFound)
		get(t, s.URL+"/tf/modules/v1/packages/"+secret+"/x", "").is(t, http.StatusNotFound)
	})
}

func TestLogHasNoSecrets(t *testing.T) {
	var log bytes.Buffer
	s := appServer(t, servertest.WithOptions(server.Options{Logger: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}))
	publishProvider(t, s, "cargomedia/thing", "1.0.0", "linux_amd64", "the zip")
	d := findProvider(t, s, "/1.0.0/download/linux/amd64")
	var secrets []string
	for _, address := range []string{d.DownloadURL, d.ShasumsURL, d.SignatureURL, packageURL(t, s, appModule+"/1.0.0/download", s.AdminToken)} {
		get(t, address, "").is(t, http.StatusOK)
		send(t, http.MethodPost, address).is(t, http.StatusMethodNotAllowed)
		get(t, address+"/more", "").is(t, http.StatusNotFound)
		parts := strings.Split(address, "/")
		secrets = append(secrets, parts[len(parts)-2])
	}
	state := s.URL + appState + "1"
	send(t, http.MethodGet, state, "Authorization", "Basic eDphbG1fd3Jvbmc=").is(t, http.StatusUnauthorized)
	get(t, state+"?access_token="+s.AdminToken, "").is(t, http.StatusBadRequest)
	s.Stop(t)
	if !strings.Contains(log.String(), `"route":"/tf/providers/sums/{secret}/{file}"`) || !strings.Contains(log.String(), `"path":"`+appState+`1"`) {
		t.Fatalf("the requests are not in the log:\n%s", log.String())
	}
	for _, secret := range append(secrets, s.AdminToken, "alm_wrong", "eDphbG1fd3Jvbmc=") {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log has %s:\n%s", secret, log.String())
		}
	}
}
