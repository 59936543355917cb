package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

func TestServeTLS(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	pool := writeCertificate(t, certFile, keyFile, 1, time.Now().Add(time.Hour))
	t.Run("it speaks TLS with the certificate of the files", func(t *testing.T) {
		s := startServe(t, filepath.Join(t.TempDir(), "data"), "--tls-cert", certFile, "--tls-key", keyFile)
		if !strings.HasPrefix(s.url, "https://") {
			t.Fatalf("the URL is %s", s.url)
		}
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}
		c, err := client.New(client.Options{Address: s.url, Token: s.token, HTTP: &http.Client{Transport: transport}, RetryMax: -1})
		if err != nil {
			t.Fatal(err)
		}
		if tokens, err := c.Tokens(t.Context()); err != nil || len(tokens) != 1 {
			t.Errorf("got %v, %v; want one token", tokens, err)
		}
		for _, proto := range []int{2, 1} {
			if proto == 1 {
				transport.CloseIdleConnections()
				transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
			}
			resp, err := (&http.Client{Transport: transport}).Get(s.url + "/healthz")
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if resp.ProtoMajor != proto {
				t.Errorf("it speaks %s with a client of HTTP/%d", resp.Proto, proto)
			}
		}
		transport.CloseIdleConnections()
		s.stop(t)
	})
	t.Run("a renewed certificate is taken up", func(t *testing.T) {
		certs, err := loadCertificates(certFile, keyFile)
		if err != nil {
			t.Fatal(err)
		}
		writeCertificate(t, certFile, keyFile, 2, time.Now().Add(time.Hour))
		future := time.Now().Add(time.Minute)
		if err := os.Chtimes(certFile, future, future); err != nil {
			t.Fatal(err)
		}
		certs.looked = time.Time{}
		if got, err := certs.get(nil); err != nil || got.Leaf.SerialNumber.Int64() != 2 {
			t.Errorf("got %v, %v; want the certificate with the number 2", got.Leaf.SerialNumber, err)
		}
		if err := os.WriteFile(certFile, []byte("half written"), 0o600); err != nil {
			t.Fatal(err)
		}
		certs.looked = time.Time{}
		if got, err := certs.get(nil); err != nil || got.Leaf.SerialNumber.Int64() != 2 {
			t.Errorf("got %v, %v; want the one before", got, err)
		}
	})
	t.Run("an expired certificate is refused", func(t *testing.T) {
		writeCertificate(t, certFile, keyFile, 3, time.Now().Add(-time.Hour))
		if _, err := loadCertificates(certFile, keyFile); err == nil || !strings.Contains(err.Error(), "renew it") {
			t.Errorf("got %v", err)
		}
	})
}

// TestTLSErrorsHaveTheirOwnHints calls servers that are there, but not with the TLS of the address.
func TestTLSErrorsHaveTheirOwnHints(t *testing.T) {
	quiet := func(s *httptest.Server) *httptest.Server {
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		t.Cleanup(s.Close)
		return s
	}
	secure := quiet(httptest.NewUnstartedServer(http.NotFoundHandler()))
	secure.StartTLS()
	plain := quiet(httptest.NewUnstartedServer(http.NotFoundHandler()))
	plain.Start()
	other := func(url, from, to string) string { return strings.Replace(url, from+"://", to+"://", 1) }
	for name, tt := range map[string]struct{ address, want string }{
		"a certificate that is not trusted": {secure.URL, "Try: SSL_CERT_FILE=FILE"},
		"http to a port of TLS":             {other(secure.URL, "https", "http"), "Try: --address " + secure.URL},
		"https to a port without TLS":       {other(plain.URL, "http", "https"), "Try: --address " + plain.URL},
	} {
		t.Run(name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), []string{"--address", tt.address, "artifacts"}, noenv, strings.NewReader(""), &stdout, &stderr)
			if code != exitUnavailable || !strings.Contains(stderr.String(), tt.want) || strings.Contains(stderr.String(), "start a registry") {
				t.Errorf("exit code %d, want %d and %q; stderr:\n%s", code, exitUnavailable, tt.want, stderr.String())
			}
		})
	}
}

func writeCertificate(t *testing.T, certFile, keyFile string, serial int64, notAfter time.Time) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: notAfter.Add(-48 * time.Hour), NotAfter: notAfter,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for name, content := range map[string][]byte{certFile: certPEM, keyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(certPEM)
	return pool
}

// TestServeTLSShutdown stops a server while an upload runs over HTTP/2.
func TestServeTLSShutdown(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	pool := writeCertificate(t, certFile, keyFile, 1, time.Now().Add(time.Hour))
	s := startServe(t, filepath.Join(dir, "data"), "--tls-cert", certFile, "--tls-key", keyFile)
	s.http = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}, ForceAttemptHTTP2: true}}
	content := bytes.Repeat([]byte("almanac "), 1<<16)
	status := beginUpload(t, s, content)
	body, send := io.Pipe()
	answered := make(chan error, 1)
	go func() { answered <- appendUpload(s, status.ID, body, int64(len(content))) }()
	half := len(content) / 2
	if _, err := send.Write(content[:half]); err != nil {
		t.Fatal(err)
	}
	waitInFlight(t, s)
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	waitRefused(t, s.url)
	if _, err := send.Write(content[half:]); err != nil {
		t.Fatal(err)
	}
	_ = send.Close()
	if err := <-answered; err != nil {
		t.Errorf("the upload ended with %v", err)
	}
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("the server ended with %v; stderr:\n%s", err, s.stderr)
	}
}
