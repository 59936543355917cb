package atlas_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"testing"

	atlas "github.com/hashicorp/atlas-go/v1"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// TestMain silences atlas-go, which logs all that it does.
func TestMain(m *testing.M) {
	log.SetOutput(io.Discard)
	os.Exit(m.Run())
}

// client is atlas-go as it is.
func client(t testing.TB, address, token string) *atlas.Client {
	t.Helper()
	c, err := atlas.NewClient(address)
	if err != nil {
		t.Fatal(err)
	}
	c.Token = token
	return c
}

// caller sends requests as one client.
type caller struct{ url, token string }

func as(s *servertest.Server, token string) caller { return caller{url: s.URL, token: token} }

type reply struct {
	status int
	header http.Header
	body   string
}

// send makes a request to a path or a whole address. Headers are pairs.
func (c caller) send(t testing.TB, method, path, body string, headers ...string) reply {
	t.Helper()
	if !strings.HasPrefix(path, "http") {
		path = c.url + path
	}
	req, err := http.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if c.token != "" {
		req.Header.Set("X-Atlas-Token", c.token)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(got)}
}

func (c caller) get(t testing.TB, path string, headers ...string) reply {
	t.Helper()
	return c.send(t, "GET", path, "", headers...)
}

func (c caller) post(t testing.TB, path, body string) reply {
	t.Helper()
	return c.send(t, "POST", path, body)
}

func (r reply) ok(t testing.TB) reply {
	t.Helper()
	if r.status != http.StatusOK {
		t.Fatalf("got %d %s", r.status, r.body)
	}
	return r
}

// refused fails the test unless the answer is an error of that status, in the form that atlas-go reads, that says all of
// it. The texts are returned.
func (r reply) refused(t testing.TB, status int, texts ...string) []string {
	t.Helper()
	var body struct{ Errors []string }
	if err := json.Unmarshal([]byte(r.body), &body); err != nil || r.status != status || len(body.Errors) == 0 {
		t.Fatalf("got %d %s (%v), want an error with the status %d", r.status, r.body, err, status)
	}
	for _, text := range texts {
		if !strings.Contains(strings.Join(body.Errors, "\n"), text) {
			t.Errorf("got %q, want %q in it", body.Errors, text)
		}
	}
	return body.Errors
}

func decode[T any](t testing.TB, r reply) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(r.ok(t).body), &v); err != nil {
		t.Fatalf("%v: %s", err, r.body)
	}
	return v
}

// members are those of an answer that is one object.
func (r reply) members(t testing.TB) map[string]any { t.Helper(); return decode[map[string]any](t, r) }

// wants says that err must be there and say a text.
func wants(t testing.TB, err error, text string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), text) {
		t.Errorf("got %v, want an error with %q", err, text)
	}
}

// tarOf makes an archive of files: pairs of name and content.
func tarOf(t testing.TB, files ...string) string {
	t.Helper()
	var out bytes.Buffer
	archive := tar.NewWriter(&out)
	for i := 0; i < len(files); i += 2 {
		if err := archive.WriteHeader(&tar.Header{Name: files[i], Mode: 0o644, Size: int64(len(files[i+1])), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(archive, files[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func gzipped(t testing.TB, content string) string {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := io.WriteString(w, content); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func boxOf(t testing.TB, provider, content string) string {
	t.Helper()
	return gzipped(t, tarOf(t, "metadata.json", `{"provider":"`+provider+`"}`, "box.ovf", content))
}

const artifacts = "/api/v1/artifacts"

// amis publishes a version as the post-processor almanac does.
func amis(t testing.TB, s *servertest.Server, artifact, fingerprint, component string, metadata registry.Metadata, regions ...string) registry.Receipt {
	t.Helper()
	b := registry.Build{Component: component, Type: registry.AmazonImage, Metadata: metadata}
	for _, region := range regions {
		b.Images = append(b.Images, registry.Image{Provider: "aws", Region: region, ID: "ami-" + fingerprint})
	}
	receipt, err := s.Client(t, s.AdminToken).Publish(t.Context(), artifact, registry.Publication{Fingerprint: fingerprint, Build: b})
	if err != nil {
		t.Fatal(err)
	}
	return receipt
}

// upload makes a version of an artifact whose file is content, and returns its number.
func upload(t testing.TB, c *atlas.Client, name, typ, content string, metadata map[string]string) int {
	t.Helper()
	v, err := c.UploadArtifact(&atlas.UploadArtifactOpts{
		User: "cargomedia", Name: name, Type: typ, ID: "File", Metadata: metadata, File: strings.NewReader(content), FileSize: int64(len(content)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return v.Version
}

func questionOf(component string) registry.Question { return registry.Question{Component: component} }
