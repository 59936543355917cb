package tfe2e

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/internal/tftest"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

// release is a directory with the programs as a release has them.
func release(t *testing.T, version string) string {
	t.Helper()
	dir := t.TempDir()
	const variables = "github.com/cargomedia/packer-plugin-almanac/version."
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags", "-s -w -X "+variables+"Version="+version+" -X "+variables+"VersionPrerelease=",
		"-o", filepath.Join(dir, "almanac"), "../../cmd/almanac")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	mirror, err := tftest.ProviderMirror(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(tftest.ProviderBinary(mirror), filepath.Join(dir, "terraform-provider-almanac")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// served is a running `almanac serve` with TLS.
type served struct {
	host string
	log  bytes.Buffer
	stop func()
}

// serve starts the program of a release and waits until its log says a text.
func serve(t *testing.T, program, dir string, until string) *served {
	t.Helper()
	address := filepath.Join(dir, "address")
	cmd := exec.CommandContext(t.Context(), program, "serve", "--data", filepath.Join(dir, "data"), "--listen", "127.0.0.1:0",
		"--tls-cert", filepath.Join(dir, "cert.pem"), "--tls-key", filepath.Join(dir, "key.pem"), "--addr-file", address, "--log-format", "text")
	stderr, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	s := &served{}
	said, ended := make(chan bool, 1), make(chan struct{})
	go func() {
		defer close(ended)
		waiting := true
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			s.log.WriteString(lines.Text() + "\n")
			if waiting && strings.Contains(lines.Text(), until) {
				waiting = false
				said <- true
			}
		}
		close(said)
	}()
	s.stop = func() {
		_ = cmd.Process.Signal(os.Interrupt) // it may have ended
		<-ended
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server ended with %v:\n%s", err, s.log.String())
		}
	}
	if !<-said {
		_ = cmd.Wait()
		t.Fatalf("the server ended:\n%s", s.log.String())
	}
	url, err := os.ReadFile(address)
	if err != nil {
		t.Fatal(err)
	}
	s.host = strings.TrimPrefix(strings.TrimSpace(string(url)), "https://")
	return s
}

var keyID = regexp.MustCompile(`signed, key ID ([0-9A-F]{16})`)

// Nothing is published here: a server that is started for the first time hands out its provider, to everybody.
func TestServeHandsOutItsProvider(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca := writeCertificate(t, dir)
	program := filepath.Join(release(t, "1.4.0"), "almanac")
	keys := map[string]bool{}
	install := func(t *testing.T, s *served, c tftest.Client) *tftest.Workspace {
		t.Helper()
		m := c.Workspace(t, tftest.NoAWS)
		m.TrustCA(ca)
		m.Configure(func(c *tftest.Config) { c.Direct = []string{s.host + "/*/*"} })
		m.Require("almanac", s.host+"/"+providerArtifact, "")
		out := m.MustRun("init")
		says(t, out, "Installed "+s.host+"/"+providerArtifact+" v1.4.0 (")
		for _, match := range keyID.FindAllStringSubmatch(out, -1) {
			keys[match[1]] = true
		}
		return m
	}

	s := serve(t, program, dir, "made the key that signs Terraform providers")
	token, err := os.ReadFile(filepath.Join(dir, "data", "admin.token"))
	if err != nil {
		t.Fatal(err)
	}
	admin := strings.TrimSpace(string(token))
	w := &world{ci: tlsClient(t, "https://"+s.host, admin, ca)}
	w.publish(t, "cargomedia/app", "1.0.0")
	tftest.Each(t, func(t *testing.T, c tftest.Client) {
		m := install(t, s, c)
		m.Setenv("ALMANAC_TOKEN", admin)
		m.Setenv("ALMANAC_ADDR", "https://"+s.host)
		writeAll(m, pinnedApp)
		m.Write("outputs.tf", "output \"amis\" {\n  value = data.almanac_artifact.app.ami_ids\n}\n")
		says(t, m.MustRun("plan"), `+ eu-west-1 = "ami-0e100"`)
	})
	s.stop()

	s = serve(t, program, dir, "listening")
	defer s.stop()
	t.Run("with the same key after a restart", func(t *testing.T) {
		tftest.Each(t, func(t *testing.T, c tftest.Client) { install(t, s, c) })
		if len(keys) != 1 {
			t.Errorf("the keys are %v", keys)
		}
	})
}

// writeCertificate writes cert.pem and key.pem and returns their authority.
func writeCertificate(t *testing.T, dir string) []byte {
	t.Helper()
	ca, certificate := servertest.NewCertificate(t)
	key, err := x509.MarshalPKCS8PrivateKey(certificate.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		"cert.pem": {Type: "CERTIFICATE", Bytes: certificate.Certificate[0]}, "key.pem": {Type: "PRIVATE KEY", Bytes: key},
	} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return ca
}

func tlsClient(t *testing.T, address, token string, ca []byte) *client.Client {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(transport.CloseIdleConnections)
	c, err := client.New(client.Options{Address: address, Token: token, UserAgent: "tfe2e", RetryMax: -1, HTTP: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
