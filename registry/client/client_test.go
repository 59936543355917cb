package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
	"github.com/cargomedia/packer-plugin-almanac/registry/problem"
)

const secret = "alm_secret-of-the-tests"

// quick has pauses that tests can wait for.
func quick(address string) client.Options {
	return client.Options{Address: address, Token: secret, RetryMax: 3, RetryWaitMin: time.Millisecond, RetryWaitMax: 4 * time.Millisecond}
}

func newClient(t *testing.T, o client.Options) *client.Client {
	t.Helper()
	c, err := client.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// serve starts a server that is not the registry, but what a test makes of it.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.URL
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, e *registry.Error) {
	p := problem.FromError(e, "r1")
	w.Header().Set("Content-Type", problem.ContentType)
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p)
}

// wantError checks kind and text of an error, and that the token is not in it.
func wantError(t *testing.T, err error, kind registry.Kind, parts ...string) {
	t.Helper()
	var e *registry.Error
	if !errors.As(err, &e) {
		t.Fatalf("got %v (%T), want a *registry.Error", err, err)
	}
	if e.Kind != kind {
		t.Errorf("kind is %q, want %q: %v", e.Kind, kind, err)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("error %q does not say %q", err, part)
		}
	}
	if strings.Contains(fmt.Sprintf("%v %+v %#v", err, e, e), secret) {
		t.Errorf("the token is in the error: %v", err)
	}
}

func TestNewChecksTheAddress(t *testing.T) {
	for _, good := range []struct{ given, want string }{
		{"", "http://127.0.0.1:7480"},
		{"https://almanac.example.com", "https://almanac.example.com"},
		{"https://almanac.example.com/", "https://almanac.example.com"},
		{" HTTPS://almanac.example.com/almanac/ \n", "https://almanac.example.com/almanac"},
		{"http://[::1]:7480", "http://[::1]:7480"},
	} {
		t.Run("accepts "+good.given, func(t *testing.T) {
			c, err := client.New(client.Options{Address: good.given})
			if err != nil {
				t.Fatal(err)
			}
			if c.Address() != good.want {
				t.Errorf("got %q, want %q", c.Address(), good.want)
			}
		})
	}
	for _, bad := range []struct{ given, want string }{
		{"almanac.example.com", "address: must begin with http:// or https://"},
		{"localhost:7480", "must begin with http:// or https://"},
		{"ftp://example.com", "must begin with http:// or https://"},
		{"http://", "has no host name"},
		{"http://:7480", "has no host name"},
		{"http://host:port", "is not a URL"},
		{"http://host:70000", "is not a URL"},
		{"http://ho st", "is not a URL"},
		{"https://me:hunter2@example.com", "put the token into ALMANAC_TOKEN, not into the address"},
		{"https://hunter2@example.com", "put the token into ALMANAC_TOKEN"},
		{"https://example.com/?token=hunter2", "has a query or a fragment"},
		{"https://example.com?", "has a query or a fragment"},
		{"https://example.com/#hunter2", "has a query or a fragment"},
		{"https://example.com:hunter2", "is not a URL"},
	} {
		t.Run("refuses "+bad.given, func(t *testing.T) {
			_, err := client.New(client.Options{Address: bad.given})
			wantError(t, err, registry.Invalid, bad.want)
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error repeats what may be secret: %v", err)
			}
		})
	}
}

func TestNewReportsAllProblemsWithoutTheToken(t *testing.T) {
	_, err := client.New(client.Options{Address: "nowhere", Token: secret + "\n" + secret})
	wantError(t, err, registry.Invalid, "token: has a space, a line end", "address: must begin with")
}

func TestTokenIsInNoFormattedClient(t *testing.T) {
	c := newClient(t, quick("http://127.0.0.1:1"))
	if text := fmt.Sprintf("%v %+v %#v", c, c, *c); strings.Contains(text, secret) {
		t.Errorf("the token is in %s", text)
	}
}

func TestRequestsAreWrittenAsTheAPISays(t *testing.T) {
	const name = "cargomedia/app"
	for _, tc := range []struct {
		name string
		call func(context.Context, *client.Client) error
		want string
	}{
		{"access", func(ctx context.Context, c *client.Client) error { _, err := c.Access(ctx, name); return err },
			"GET /almanac/v1/artifacts/cargomedia/app/access"},
		{"first page of artifacts", func(ctx context.Context, c *client.Client) error {
			_, err := c.Artifacts(ctx, registry.ArtifactFilter{})
			return err
		}, "GET /almanac/v1/artifacts"},
		{"filtered artifacts", func(ctx context.Context, c *client.Client) error {
			_, err := c.Artifacts(ctx, registry.ArtifactFilter{Namespace: "n", Type: "aws.ami", Text: "a b&c", Cursor: "X", Limit: 7})
			return err
		}, "GET /almanac/v1/artifacts?cursor=X&limit=7&namespace=n&q=a+b%26c&type=aws.ami"},
		{"constraint", func(ctx context.Context, c *client.Client) error {
			_, err := c.Version(ctx, name, "~> 1.2")
			return err
		},
			"GET /almanac/v1/artifacts/cargomedia/app/versions/~%3E%201.2"},
		{"ref with a slash", func(ctx context.Context, c *client.Client) error {
			_, err := c.Version(ctx, name, "a/../b")
			return err
		},
			"GET /almanac/v1/artifacts/cargomedia/app/versions/a%2F..%2Fb"},
		{"offered versions", func(ctx context.Context, c *client.Client) error {
			_, err := c.Versions(ctx, name, registry.VersionFilter{Type: "archive", Offered: true})
			return err
		}, "GET /almanac/v1/artifacts/cargomedia/app/versions?offered=true&type=archive"},
		{"question", func(ctx context.Context, c *client.Client) error {
			_, err := c.Resolve(ctx, name, "latest", registry.Question{Type: "aws.ami", Region: "eu-west-1", Provider: "aws", Architecture: "arm64", Component: "amazon-ebs.app", Metadata: registry.Metadata{"git branch": "a=b"}})
			return err
		}, "GET /almanac/v1/resolve/cargomedia/app/latest?arch=arm64&component=amazon-ebs.app&metadata.git+branch=a%3Db&provider=aws&region=eu-west-1&type=aws.ami"},
		{"image with slashes", func(ctx context.Context, c *client.Client) error {
			_, err := c.ImageUses(ctx, "gce", "europe-west1", "projects/p/images/i 1")
			return err
		}, "GET /almanac/v1/images/gce/europe-west1/projects/p/images/i%201"},
		{"image that is a URL", func(ctx context.Context, c *client.Client) error {
			_, err := c.ImageUses(ctx, "azure", "westeurope", "https://a/b.vhd")
			return err
		}, "GET /almanac/v1/images/azure/westeurope/https:%2F%2Fa%2Fb.vhd"},
		{"failed versions", func(ctx context.Context, c *client.Client) error {
			_, err := c.Versions(ctx, name, registry.VersionFilter{Status: "failed"})
			return err
		}, "GET /almanac/v1/artifacts/cargomedia/app/versions?status=failed"},
		{"verify", func(ctx context.Context, c *client.Client) error {
			_, err := c.Verify(ctx, name, "fingerprint:1", registry.VerifyRequest{})
			return err
		}, "POST /almanac/v1/artifacts/cargomedia/app/versions/fingerprint:1/verify"},
		{"restore", func(ctx context.Context, c *client.Client) error { _, err := c.Restore(ctx, name, "3"); return err },
			"POST /almanac/v1/artifacts/cargomedia/app/versions/3/restore"},
		{"channel", func(ctx context.Context, c *client.Client) error {
			_, err := c.Channel(ctx, name, "production")
			return err
		},
			"GET /almanac/v1/artifacts/cargomedia/app/channels/production"},
		{"token named with a slash", func(ctx context.Context, c *client.Client) error { _, err := c.RevokeToken(ctx, "ci/app"); return err },
			"DELETE /almanac/v1/tokens/ci%2Fapp"},
		{"events", func(ctx context.Context, c *client.Client) error { _, err := c.Events(ctx, 12, 3); return err },
			"GET /almanac/v1/events?after=12&limit=3"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, agent, auth := "", "", ""
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				got, agent, auth = r.Method+" "+r.RequestURI, r.UserAgent(), r.Header.Get("Authorization")
				refuse(w, registry.Errorf(registry.NotFound, "seen"))
			})
			o := quick(url + "/almanac/")
			o.UserAgent = "almanac-test/1"
			wantError(t, tc.call(t.Context(), newClient(t, o)), registry.NotFound, "seen")
			if got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
			if agent != "almanac-test/1" || auth != "Bearer "+secret {
				t.Errorf("User-Agent is %q, Authorization is %q", agent, auth)
			}
		})
	}
}

func TestWhatCannotBeAddressedIsRefusedHere(t *testing.T) {
	url := serve(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("the server was asked: %s", r.RequestURI) })
	c, ctx := newClient(t, quick(url)), t.Context()
	calls := map[string]func() error{
		"artifact name":      func() error { _, err := c.Artifact(ctx, "../x"); return err },
		"empty ref":          func() error { _, err := c.Version(ctx, "a/b", " "); return err },
		"dots as a ref":      func() error { _, err := c.Resolve(ctx, "a/b", "..", registry.Question{}); return err },
		"no channel":         func() error { _, err := c.Channel(ctx, "a/b", ""); return err },
		"no token":           func() error { _, err := c.RevokeToken(ctx, ""); return err },
		"image of no region": func() error { _, err := c.ImageUses(ctx, "docker", "", "x"); return err },
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) { wantError(t, call(), registry.Invalid) })
	}
}

func TestNewerRegistriesMaySayMore(t *testing.T) {
	url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		answer(w, 200, map[string]any{"artifact": "a/b", "read": true, "role": "auditor", "novelty": map[string]any{"x": []int{1}}})
	})
	got, err := newClient(t, quick(url)).Access(t.Context(), "a/b")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(registry.Access{Artifact: "a/b", Read: true, Role: "auditor"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestErrorsComeBackAsTheDomainMadeThem(t *testing.T) {
	for _, kind := range []registry.Kind{registry.Invalid, registry.Unauthorized, registry.Forbidden, registry.NotFound, registry.Conflict, registry.TooLarge, registry.Unavailable} {
		t.Run(string(kind), func(t *testing.T) {
			want := &registry.Error{Kind: kind, Msg: "a sentence", Choices: []string{"eu-west-1"}, Fields: []registry.FieldError{{Field: "build.type", Message: "is wrong"}}}
			url := serve(t, func(w http.ResponseWriter, _ *http.Request) { refuse(w, want) })
			_, err := newClient(t, quick(url)).Artifact(t.Context(), "a/b")
			var got *registry.Error
			if !errors.As(err, &got) {
				t.Fatalf("got %v", err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEchoedTokenIsTakenOut(t *testing.T) {
	var log strings.Builder
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		text := r.Header.Get("Authorization")
		refuse(w, &registry.Error{Kind: registry.Invalid, Msg: text, Choices: []string{text}, Fields: []registry.FieldError{{Field: text, Message: text}}})
	})
	o := quick(url)
	o.Log = func(format string, args ...any) { fmt.Fprintf(&log, format+"\n", args...) }
	_, err := newClient(t, o).Artifact(t.Context(), "a/b")
	wantError(t, err, registry.Invalid, "Bearer [token]")
	if log.Len() == 0 || strings.Contains(log.String(), secret) {
		t.Errorf("log is %q", log.String())
	}
}
