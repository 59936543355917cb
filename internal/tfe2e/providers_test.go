package tfe2e

import (
	"archive/zip"
	"bytes"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/ProtonMail/go-crypto/openpgp"

	"github.com/cargomedia/packer-plugin-almanac/internal/tftest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// providerArtifact is where the registry has its own provider.
const providerArtifact = "cargomedia/almanac"

// publishProvider records the provider of the working tree, for this machine.
func (w *world) publishProvider(t *testing.T, version string) {
	t.Helper()
	mirror, err := tftest.ProviderMirror(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(tftest.ProviderBinary(mirror))
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	archive := zip.NewWriter(&packed)
	header := &zip.FileHeader{Name: "terraform-provider-almanac_v" + version, Method: zip.Store}
	header.SetMode(0o755)
	file, err := archive.CreateHeader(header)
	if err == nil {
		_, err = file.Write(program)
	}
	if err == nil {
		err = archive.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	platform := runtime.GOOS + "_" + runtime.GOARCH
	name := "terraform-provider-almanac_" + version + "_" + platform + ".zip"
	admin := w.Client(t, w.AdminToken) // who publishes a provider needs no less
	uploaded, err := admin.Upload(t.Context(), providerArtifact, name, bytes.NewReader(packed.Bytes()), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = admin.Publish(t.Context(), providerArtifact, registry.Publication{
		Fingerprint: "run-" + version, Version: version,
		Build: registry.Build{Type: registry.TerraformProvider, Component: platform, Files: []registry.File{uploaded}},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// installs makes a module that needs the provider of a registry, which has a certificate of an authority.
func (w *world) installs(t *testing.T, c tftest.Client, host string, ca []byte, version string) *tftest.Workspace {
	t.Helper()
	m := c.Workspace(t, tftest.NoAWS)
	m.TrustCA(ca)
	m.Configure(func(c *tftest.Config) {
		c.Direct = []string{host + "/*/*"}
		c.Tokens = map[string]string{host: w.reader}
	})
	m.Setenv("ALMANAC_ADDR", "https://"+host)
	m.Setenv("ALMANAC_TOKEN", w.reader)
	m.Require("almanac", host+"/"+providerArtifact, version)
	m.Write("main.tf", `data "almanac_artifact" "app" {
  name    = "cargomedia/app"
  type    = "aws.ami"
  version = "1.0.0"
  region  = "eu-west-1"
}
output "ami" {
  value = data.almanac_artifact.app.ami_id
}
`)
	return m
}

func TestProviderRegistry(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	door := w.TLS(t)
	w.publish(t, "cargomedia/app", "1.0.0")
	w.publishProvider(t, "1.2.0")

	// Each client has a version of its own that is revoked.
	revoked := map[string]string{"terraform": "2.0.0", "tofu": "3.0.0"}
	for _, version := range revoked {
		w.publishProvider(t, version)
	}
	w.publishProvider(t, "4.0.0") // without a higher one a revoked version is not listed

	t.Run("refuses what was tampered with", func(t *testing.T) { refuseTampered(t, w) })
	tftest.Each(t, func(t *testing.T, c tftest.Client) {
		t.Parallel()
		t.Run("warns of a revoked version, and goes on with what is locked", func(t *testing.T) {
			t.Parallel()
			version := revoked[c.Name]
			m := w.installs(t, c, door.Host, door.CA, "~> "+version)
			m.MustRun("init")
			w.revoke(t, providerArtifact, version, "CVE-2026-1")
			says(t, m.MustRun("plan"), `+ ami = "ami-0e100"`)
			says(t, m.MustRun("init"), "Version "+version+" of "+providerArtifact+" is revoked: CVE-2026-1")
		})
		t.Run("installs the signed provider, which then reads the registry", func(t *testing.T) {
			t.Parallel()
			m := w.installs(t, c, door.Host, door.CA, "1.2.0")
			out := m.MustRun("init")
			says(t, out, "Installed "+door.Host+"/"+providerArtifact+" v1.2.0 (", "signed, key ID ")
			lock, err := os.ReadFile(filepath.Join(m.Dir, ".terraform.lock.hcl"))
			if err != nil {
				t.Fatal(err)
			}
			for _, text := range []string{strconv.Quote(door.Host + "/" + providerArtifact), `version     = "1.2.0"`, `"h1:`, `"zh:`} {
				if !strings.Contains(string(lock), text) {
					t.Errorf("the lock file lacks %s:\n%s", text, lock)
				}
			}
			says(t, m.MustRun("plan"), `+ ami = "ami-0e100"`)
			if strings.Contains(string(lock)+out, w.reader) {
				t.Error("the token is told")
			}
		})
		for _, wrong := range []struct{ name, version, token, want string }{
			{"has no unknown version", "9.0.0", w.reader, "no available releases match the given constraints 9.0.0"},
			{"says nothing of a private provider without credentials", "1.2.0", "", "rejected the given authentication credentials"},
			{"says nothing to a wrong token", "1.2.0", "alm_wrong", "rejected the given authentication credentials"},
		} {
			t.Run(wrong.name, func(t *testing.T) {
				t.Parallel()
				m := w.installs(t, c, door.Host, door.CA, wrong.version)
				m.Configure(func(c *tftest.Config) { c.Tokens = map[string]string{door.Host: wrong.token} })
				says(t, m.MustFail("init"), wrong.want)
			})
		}
	})
}

// tamper is a server in front of another that changes what answers to paths with an end.
func tamper(t *testing.T, target, end string, change func(body []byte) []byte) *httptest.Server {
	t.Helper()
	to, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) },
		ModifyResponse: func(resp *http.Response) error {
			if !strings.HasSuffix(resp.Request.URL.Path, end) {
				return nil
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				return err
			}
			_ = resp.Body.Close()
			body = change(body)
			resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
			resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
			return nil
		},
	}
	s := httptest.NewTLSServer(proxy)
	t.Cleanup(s.Close)
	return s
}

// refuseTampered has somebody between the clients and the registry who changes one thing.
func refuseTampered(t *testing.T, w *world) {
	stranger, err := openpgp.NewEntity("stranger", "", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	var signature bytes.Buffer
	if err := openpgp.DetachSign(&signature, stranger, strings.NewReader("checksums"), nil); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name, end string
		change    func([]byte) []byte
		want      string
	}{
		{"other bytes", ".zip", func(body []byte) []byte { return append(body, 0) }, "archive has incorrect checksum"},
		{"other checksums", "_SHA256SUMS", func(body []byte) []byte { return append(body, '\n') }, "error checking signature: openpgp: invalid signature"},
		{"a signature that is none", "_SHA256SUMS.sig", func([]byte) []byte { return []byte("signed") }, "error checking signature"},
		{"a signature by another key", "_SHA256SUMS.sig", func([]byte) []byte { return signature.Bytes() }, "authentication signature from unknown issuer"},
	} {
		s := tamper(t, w.URL, tc.end, tc.change)
		ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tftest.Each(t, func(t *testing.T, c tftest.Client) {
				m := w.installs(t, c, strings.TrimPrefix(s.URL, "https://"), ca, "1.2.0")
				says(t, m.MustFail("init"), tc.want)
				if _, err := os.Stat(filepath.Join(m.Dir, ".terraform.lock.hcl")); err == nil {
					t.Error("it is locked")
				}
			})
		})
	}
}
