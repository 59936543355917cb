package terraform_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/problem"
)

type reply struct {
	status int
	header http.Header
	body   string
}

// send makes a request. Headers are pairs.
func send(t testing.TB, method, url string, headers ...string) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	// Redirects would hide what the server says.
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(body)}
}

// get makes a request with a token, unless that is "".
func get(t testing.TB, url, token string, headers ...string) reply {
	t.Helper()
	if token != "" {
		headers = append(headers, "Authorization", "Bearer "+token)
	}
	return send(t, http.MethodGet, url, headers...)
}

func (r reply) is(t testing.TB, status int) reply {
	t.Helper()
	if r.status != status {
		t.Fatalf("got %d %s, want %d", r.status, r.body, status)
	}
	return r
}

// refused fails the test unless the answer is a problem of that status that says all of it.
func (r reply) refused(t testing.TB, status int, texts ...string) problem.Problem {
	t.Helper()
	var p problem.Problem
	if err := json.Unmarshal([]byte(r.body), &p); err != nil || r.status != status || p.Status != status || r.header.Get("Content-Type") != problem.ContentType {
		t.Fatalf("got %d %s (%v), want a problem with the status %d", r.status, r.body, err, status)
	}
	for _, text := range texts {
		if !strings.Contains(r.body, text) {
			t.Errorf("got %s, want %q in it", r.body, text)
		}
	}
	return p
}

func decode[T any](t testing.TB, r reply) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(r.body), &v); err != nil {
		t.Fatalf("%v: %s", err, r.body)
	}
	return v
}

// ami is a publication of one build with an AMI in two regions, whose ids end in its fingerprint.
func ami(fingerprint, version string) registry.Publication {
	return registry.Publication{Fingerprint: fingerprint, Version: version, Build: registry.Build{
		Component: "amazon-ebs.app", Type: registry.AmazonImage, Architecture: "x86_64", Metadata: registry.Metadata{"git.commit": "4f2a91c"},
		Images: []registry.Image{
			{Provider: "aws", Region: "eu-west-1", ID: "ami-0e" + fingerprint},
			{Provider: "aws", Region: "us-east-1", ID: "ami-0u" + fingerprint},
		},
	}}
}

func publish(t testing.TB, s *servertest.Server, artifact string, pub registry.Publication) {
	t.Helper()
	if _, err := s.Client(t, s.AdminToken).Publish(t.Context(), artifact, pub); err != nil {
		t.Fatal(err)
	}
}

func makePublic(t testing.TB, s *servertest.Server, artifact string) {
	t.Helper()
	if _, err := s.Client(t, s.AdminToken).PutArtifact(t.Context(), artifact, registry.ArtifactSettings{Public: true}); err != nil {
		t.Fatal(err)
	}
}

func revoke(t testing.TB, s *servertest.Server, artifact, ref, reason string) {
	t.Helper()
	if _, err := s.Client(t, s.AdminToken).Revoke(t.Context(), artifact, ref, registry.RevokeRequest{Reason: reason}); err != nil {
		t.Fatal(err)
	}
}

// withFile uploads bytes and adds them to a build.
func withFile(t testing.TB, s *servertest.Server, artifact, name, content string, pub registry.Publication) registry.Publication {
	t.Helper()
	file, err := s.Client(t, s.AdminToken).Upload(t.Context(), artifact, name, strings.NewReader(content), nil)
	if err != nil {
		t.Fatal(err)
	}
	pub.Build.Files = append(pub.Build.Files, file)
	return pub
}
