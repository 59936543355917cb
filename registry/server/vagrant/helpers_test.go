package vagrant_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// caller sends requests as one client, with its headers and its token.
type caller struct {
	url, token string
	header     http.Header
}

func as(s *servertest.Server, token string) caller { return caller{url: s.URL, token: token} }

type reply struct {
	status int
	header http.Header
	body   string
}

// send makes a request to a path or a whole address. Headers are pairs; one that is empty is not sent.
func (c caller) send(t testing.TB, method, path, body string, headers ...string) reply {
	t.Helper()
	if !strings.HasPrefix(path, "http") {
		path = c.url + path
	}
	req, err := http.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range c.header {
		req.Header[name] = values
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
		if headers[i+1] == "" {
			req.Header.Del(headers[i])
		}
	}
	// Redirects would hide what the server says.
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

// ok fails the test unless the answer is 200, which is the only success that all clients know.
func (r reply) ok(t testing.TB) reply {
	t.Helper()
	if r.status != http.StatusOK {
		t.Fatalf("got %d %s", r.status, r.body)
	}
	return r
}

// refused fails the test unless the answer is an error of that status that says all of it.
func (r reply) refused(t testing.TB, status int, texts ...string) {
	t.Helper()
	var body struct {
		Errors  []string `json:"errors"`
		Success *bool    `json:"success"`
	}
	if err := json.Unmarshal([]byte(r.body), &body); err != nil || r.status != status || len(body.Errors) == 0 || body.Success == nil || *body.Success {
		t.Fatalf("got %d %s (%v), want an error with the status %d", r.status, r.body, err, status)
	}
	for _, text := range texts {
		if !strings.Contains(strings.Join(body.Errors, "\n"), text) {
			t.Errorf("got %q, want %q in it", body.Errors, text)
		}
	}
}

// value returns what the answer has at a path such as "versions.0.status", as JSON.
func (r reply) value(t testing.TB, path string) string {
	t.Helper()
	raw := json.RawMessage(r.body)
	for _, part := range strings.Split(path, ".") {
		var members map[string]json.RawMessage
		var entries []json.RawMessage
		if json.Unmarshal(raw, &members) == nil && members[part] != nil {
			raw = members[part]
		} else if at := int(part[0] - '0'); json.Unmarshal(raw, &entries) == nil && len(part) == 1 && at < len(entries) {
			raw = entries[at]
		} else {
			t.Fatalf("there is no %s in %s", path, r.body)
		}
	}
	return string(raw)
}

// text is value for a string.
func (r reply) text(t testing.TB, path string) string {
	t.Helper()
	var s string
	if err := json.Unmarshal([]byte(r.value(t, path)), &s); err != nil {
		t.Fatalf("%s: %v in %s", path, err, r.body)
	}
	return s
}

// has compares values of the answer: pairs of a path and JSON.
func (r reply) has(t testing.TB, pairs ...string) {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if got := r.value(t, pairs[i]); got != pairs[i+1] {
			t.Errorf("%s is %s, want %s", pairs[i], got, pairs[i+1])
		}
	}
}

// boxWith makes a box. The content makes it differ from others.
func boxWith(t testing.TB, metadata, content string) string {
	t.Helper()
	return tarOf(t, "metadata.json", metadata, "box.ovf", content)
}

// tarOf makes a gzipped archive of files: pairs of name and content.
func tarOf(t testing.TB, files ...string) string {
	t.Helper()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	archive := tar.NewWriter(zipped)
	for i := 0; i < len(files); i += 2 {
		if err := archive.WriteHeader(&tar.Header{Name: files[i], Mode: 0o644, Size: int64(len(files[i+1])), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write([]byte(files[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func virtualbox(t testing.TB, content string) string {
	return boxWith(t, `{"provider":"virtualbox"}`, content)
}

func sha256Of(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

func md5Of(content string) string {
	sum := md5.Sum([]byte(content))
	return hex.EncodeToString(sum[:])
}

const tiny = "/api/v1/box/acme/tiny"

// create makes a box and an unreleased version of it.
func (c caller) create(t testing.TB, name, version string) {
	t.Helper()
	if c.get(t, "/api/v1/box/acme/"+name).status == http.StatusNotFound {
		c.send(t, "POST", "/api/v1/boxes", `{"username":"acme","name":"`+name+`"}`).ok(t)
	}
	c.send(t, "POST", "/api/v1/box/acme/"+name+"/versions", `{"version":{"version":"`+version+`"}}`).ok(t)
}

// announce adds a provider, "virtualbox" or "virtualbox/amd64", and returns where its bytes go.
func (c caller) announce(t testing.TB, name, version, provider, extra string) string {
	t.Helper()
	at := "/api/v2/box/acme/" + name + "/version/" + version
	member := ""
	provider, architecture, ok := strings.Cut(provider, "/")
	if ok {
		member, architecture = `,"architecture":"`+architecture+`"`, "/"+architecture
	}
	c.send(t, "POST", at+"/providers", `{"provider":{"name":"`+provider+`"`+member+extra+`}}`).ok(t)
	return c.get(t, at+"/provider/"+provider+architecture+"/upload").ok(t).text(t, "upload_path")
}

// publish does all of it, and releases the version.
func (c caller) publish(t testing.TB, name, version, content string, providers ...string) {
	t.Helper()
	c.create(t, name, version)
	for _, provider := range providers {
		only, _, _ := strings.Cut(provider, "/")
		at := c.announce(t, name, version, provider, "")
		c.send(t, "PUT", at, boxWith(t, `{"provider":"`+only+`"}`, content+provider), "Authorization", "").ok(t)
	}
	c.send(t, "PUT", "/api/v1/box/acme/"+name+"/version/"+version+"/release", "").ok(t)
}

// native publishes a box as the post-processor does.
func native(t testing.TB, s *servertest.Server, artifact, version, component, provider, architecture, content string) registry.Receipt {
	t.Helper()
	c := s.Client(t, s.AdminToken)
	file, err := c.Upload(t.Context(), artifact, "package.box", strings.NewReader(content), nil)
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := c.Publish(t.Context(), artifact, registry.Publication{Fingerprint: "run-" + version, Version: version, Build: registry.Build{
		Component: component, Type: registry.VagrantBox, Provider: provider, Architecture: architecture, Files: []registry.File{file},
	}})
	if err != nil {
		t.Fatal(err)
	}
	return receipt
}

var (
	times        = regexp.MustCompile(`"20\d\d-\d\d-\d\dT[0-9:.]+Z"`)
	sha256Digits = regexp.MustCompile(`"checksum": "[0-9a-f]{64}"`)

	secrets = regexp.MustCompile(`/box-uploads/[A-Za-z0-9_-]+`)
)

// stable is an answer without what differs from run to run.
func stable(s *servertest.Server, text string) string {
	text = strings.ReplaceAll(text, s.URL, "http://HOST")
	text = times.ReplaceAllString(text, `"TIME"`)
	return secrets.ReplaceAllString(text, "/box-uploads/SECRET")
}

func decode[T any](t testing.TB, r reply) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(r.body), &v); err != nil {
		t.Fatalf("%v: %s", err, r.body)
	}
	return v
}

func indented(t testing.TB, body string) string {
	t.Helper()
	var out bytes.Buffer
	if err := json.Indent(&out, []byte(body), "", "  "); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return out.String()
}
