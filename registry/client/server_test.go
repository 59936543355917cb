package client_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

const app = "cargomedia/app"

// real starts a registry and returns it with an administrator's client and context: the one calls
// it over HTTP and the other lets a test ask the service itself.
func real(t *testing.T) (*servertest.Server, *client.Client, context.Context) {
	t.Helper()
	s := servertest.New(t)
	p, err := s.Service.Authenticate(t.Context(), s.AdminToken)
	if err != nil {
		t.Fatal(err)
	}
	o := quick(s.URL)
	o.Token = s.AdminToken
	return s, newClient(t, o), registry.WithPrincipal(t.Context(), p)
}

func amis(fingerprint string, more ...func(*registry.Publication)) registry.Publication {
	pub := registry.Publication{Fingerprint: fingerprint, Build: registry.Build{
		Component: "amazon-ebs.app", Type: "aws.ami", Architecture: "x86_64", Metadata: registry.Metadata{"git": "abc"},
		Images: []registry.Image{
			{Provider: "aws", Region: "eu-west-1", ID: "ami-0a" + fingerprint},
			{Provider: "aws", Region: "us-east-1", ID: "ami-0b" + fingerprint},
		},
	}}
	for _, change := range more {
		change(&pub)
	}
	return pub
}

func must[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// same checks that the client answers what the service does.
func same[T any](t *testing.T, what string, got T, gotErr error, want T, wantErr error) {
	t.Helper()
	if gotErr != nil || wantErr != nil {
		sameError(t, what, gotErr, wantErr)
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: %s", what, diff)
	}
}

func sameError(t *testing.T, what string, got, want error) {
	t.Helper()
	var g, w *registry.Error
	if !errors.As(got, &g) || !errors.As(want, &w) {
		t.Errorf("%s: got %v, want %v", what, got, want)
		return
	}
	// The cause stays in the registry.
	if diff := cmp.Diff(&registry.Error{Kind: w.Kind, Msg: w.Msg, Fields: w.Fields, Choices: w.Choices}, g); diff != "" {
		t.Errorf("%s: %s", what, diff)
	}
}

func TestReadsAnswerAsTheServiceDoes(t *testing.T) {
	s, c, ctx := real(t)
	must[registry.Receipt](t)(c.Publish(ctx, app, amis("1", func(p *registry.Publication) { p.Channels = []string{"production"} })))
	must[registry.Receipt](t)(c.Publish(ctx, app, amis("2", func(p *registry.Publication) { p.Version = "1.2.3" })))
	must[registry.Receipt](t)(c.Publish(ctx, "cargomedia/other", amis("3")))

	check := func(name string) {
		got, err := c.Access(ctx, name)
		want, wantErr := s.Service.Access(ctx, name)
		same(t, "access to "+name, got, err, want, wantErr)
	}
	check(app)
	check("cargomedia/new")
	check("nobody")

	for _, f := range []registry.ArtifactFilter{{}, {Namespace: "cargomedia", Limit: 1}, {Type: "aws.ami", Text: "OTH"}, {Type: "nonsense", Limit: 900}, {Cursor: "?"}} {
		got, err := c.Artifacts(ctx, f)
		want, wantErr := s.Service.Artifacts(ctx, f)
		same(t, "artifacts", got, err, want, wantErr)
	}
	for _, name := range []string{app, "cargomedia/none"} {
		got, err := c.Artifact(ctx, name)
		want, wantErr := s.Service.Artifact(ctx, name)
		same(t, "artifact "+name, got, err, want, wantErr)
	}
	for _, f := range []registry.VersionFilter{{}, {Limit: 1, Offered: true, Type: "amazon.ami"}, {Limit: 501, Type: "x"}} {
		got, err := c.Versions(ctx, app, f)
		want, wantErr := s.Service.Versions(ctx, app, f)
		same(t, "versions", got, err, want, wantErr)
	}
	for _, ref := range []string{"1", "1.2.3", "~> 1.2", ">= 1.0, < 2.0", "latest", "production", "fingerprint:2", "9", "staging", "~> 9", "a/b", "v1.2"} {
		got, err := c.Version(ctx, app, ref)
		want, wantErr := s.Service.Version(ctx, app, ref)
		same(t, "version "+ref, got, err, want, wantErr)
		for _, q := range []registry.Question{{}, {Type: "aws.ami", Region: "eu-west-1"}, {Region: "ap-south-1"}, {Architecture: "arm64"}, {Type: "x"},
			{Provider: "aws", Component: "amazon-ebs.app", Metadata: registry.Metadata{"git": "abc", "region": "us-east-1"}}} {
			got, err := c.Resolve(ctx, app, ref, q)
			want, wantErr := s.Service.Resolve(ctx, app, ref, q)
			same(t, "resolve "+ref, got, err, want, wantErr)
		}
	}
	for _, channel := range []string{"production", "staging", "latest"} {
		got, err := c.Channel(ctx, app, channel)
		want, wantErr := s.Service.Channel(ctx, app, channel)
		same(t, "channel "+channel, got, err, want, wantErr)
	}
	for _, id := range []string{"ami-0a1", "ami-none", "projects/p/i", "https://a/b.vhd"} {
		got, err := c.ImageUses(ctx, "aws", "eu-west-1", id)
		want, wantErr := s.Service.ImageUses(ctx, "aws", "eu-west-1", id)
		same(t, "image "+id, got, err, want, wantErr)
	}
	for _, after := range []int64{0, 2, -1} {
		got, err := c.Events(ctx, after, 2)
		want, wantErr := s.Service.Events(ctx, after, 2)
		same(t, "events", got, err, want, wantErr)
	}
	got, err := c.Tokens(ctx)
	want, wantErr := s.Service.Tokens(ctx)
	for i := range want {
		want[i].Digest = "" // never sent
	}
	same(t, "tokens", got, err, want, wantErr)
}

func TestPagesFollowOneAnother(t *testing.T) {
	_, c, ctx := real(t)
	for _, f := range []string{"1", "2", "3"} {
		must[registry.Receipt](t)(c.Publish(ctx, app, amis(f)))
	}
	var numbers []int64
	for f := (registry.VersionFilter{Limit: 2}); ; {
		page := must[registry.VersionPage](t)(c.Versions(ctx, app, f))
		for _, v := range page.Versions {
			numbers = append(numbers, v.Number)
		}
		if f.Cursor = page.Next; f.Cursor == "" {
			break
		}
	}
	if diff := cmp.Diff([]int64{3, 2, 1}, numbers); diff != "" {
		t.Error(diff)
	}
}

func TestWritesChangeTheRegistry(t *testing.T) {
	s, c, ctx := real(t)
	first := must[registry.Receipt](t)(c.Publish(ctx, app, amis("1")))
	again := must[registry.Receipt](t)(c.Publish(ctx, app, amis("1")))
	if diff := cmp.Diff(first, again); diff != "" || first.Number != 1 || first.Version != "0.1.0" {
		t.Errorf("%+v; the same again: %s", first, diff)
	}
	_, err := c.Publish(ctx, app, amis("1", func(p *registry.Publication) { p.Build.Architecture = "arm64" }))
	wantError(t, err, registry.Conflict, "build.architecture")
	_, err = c.Publish(ctx, app, registry.Publication{Fingerprint: " ", Build: registry.Build{Type: "x"}})
	wantError(t, err, registry.Invalid, "fingerprint", "build.type", "build.component")
	must[registry.Receipt](t)(c.Publish(ctx, app, amis("2")))

	a := must[registry.Artifact](t)(c.PutArtifact(ctx, app, registry.ArtifactSettings{Description: "an app", Public: true}))
	if a.Description != "an app" || !a.Public {
		t.Errorf("%+v", a)
	}
	nobody := s.Client(t, "")
	if _, err := nobody.Artifact(ctx, app); err != nil {
		t.Errorf("a public artifact needs no token: %v", err)
	}
	_, err = nobody.Access(ctx, app)
	wantError(t, err, registry.Unauthorized, "a token is needed")
	_, err = s.Client(t, s.Token(t, "reader", "read")).Publish(ctx, app, amis("9"))
	wantError(t, err, registry.Forbidden, `has the role read`)

	h := must[registry.ChannelHistory](t)(c.SetChannel(ctx, app, "production", registry.ChannelChange{Ref: "1"}))
	must[registry.ChannelHistory](t)(c.SetChannel(ctx, app, "production", registry.ChannelChange{Ref: "latest", Reason: "new"}))
	back := must[registry.ChannelHistory](t)(c.SetChannel(ctx, app, "production", registry.ChannelChange{Rollback: true}))
	if h.Number != 1 || back.Number != 1 || len(back.Moves) != 3 {
		t.Errorf("%+v", back)
	}
	at := time.Now().UTC().Add(-time.Minute).Truncate(time.Microsecond)
	v := must[registry.Version](t)(c.Revoke(ctx, app, "2", registry.RevokeRequest{At: &at, Reason: "it is broken"}))
	if v.Revocation == nil || !v.Revocation.At.Equal(at) {
		t.Errorf("%+v", v.Revocation)
	}
	_, err = c.Revoke(ctx, app, "latest", registry.RevokeRequest{})
	wantError(t, err, registry.Invalid, "reason")
	if v = must[registry.Version](t)(c.Restore(ctx, app, "2")); v.Revocation != nil {
		t.Errorf("%+v", v.Revocation)
	}

	token := must[registry.NewToken](t)(c.CreateToken(ctx, registry.TokenRequest{Name: "ci/app", Role: "publish", Scopes: []string{app}}))
	if _, err := s.Client(t, token.Secret).Access(ctx, app); err != nil {
		t.Error(err)
	}
	if revoked := must[registry.Token](t)(c.RevokeToken(ctx, "ci/app")); revoked.RevokedAt == nil {
		t.Errorf("%+v", revoked)
	}
	_, err = s.Client(t, token.Secret).Access(ctx, app)
	wantError(t, err, registry.Unauthorized, "the token is not valid")

	if err := c.DeleteArtifact(ctx, app); err != nil {
		t.Fatal(err)
	}
	wantError(t, c.DeleteArtifact(ctx, app), registry.NotFound, "does not exist")
}

func TestVerificationsReachTheRegistry(t *testing.T) {
	s, c, ctx := real(t)
	pending := amis("1", func(p *registry.Publication) {
		p.Build.Images[1].Verification = &registry.Verification{Status: registry.ImagePending, Reason: "is being copied"}
	})
	if r := must[registry.Receipt](t)(c.Publish(ctx, app, pending)); r.Status != registry.StatusOpen {
		t.Errorf("the version is %s while an image is pending", r.Status)
	}
	found := registry.VerifyRequest{Component: pending.Build.Component, Images: []registry.Image{{
		Provider: "aws", Region: "us-east-1", ID: "ami-0b1",
		Verification: &registry.Verification{Status: registry.ImageAvailable, Attributes: registry.Metadata{"owner_id": "123456789012"}},
	}}}
	got := must[registry.Version](t)(c.Verify(ctx, app, "fingerprint:1", found))
	want, err := s.Service.Version(ctx, app, "1")
	same(t, "what verify answers", got, nil, want, err)
	if got.Status != registry.StatusComplete {
		t.Errorf("the version is %s", got.Status)
	}
	found.Images[0].ID = "ami-none"
	_, err = c.Verify(ctx, app, "1", found)
	_, wantErr := s.Service.Verify(ctx, app, "1", found)
	sameError(t, "verify of an image that is not there", err, wantErr)

	for _, status := range []string{"open", "complete", "failed", "nonsense"} {
		f := registry.VersionFilter{Status: status}
		got, err := c.Versions(ctx, app, f)
		want, wantErr := s.Service.Versions(ctx, app, f)
		same(t, status+" versions", got, err, want, wantErr)
	}
}

// box writes a file of random bytes.
func box(t *testing.T, size int) (path string, content []byte) {
	t.Helper()
	content = make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(content)
	path = filepath.Join(t.TempDir(), "made.box")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, content
}

func TestFileComesBackAfterCutsInBothDirections(t *testing.T) {
	s, direct, ctx := real(t)
	path, content := box(t, 64<<20)
	proxy := newCuttingProxy(t, s.URL)
	proxy.cutUp, proxy.cutDown = []int64{20 << 20, 70 << 20}, []int64{30 << 20}
	o := quick(proxy.url)
	o.Token = s.AdminToken
	// A server whose connection was cut keeps the upload until what came is safe on the disk.
	o.RetryMax, o.RetryWaitMax = 8, 500*time.Millisecond
	c := newClient(t, o)

	up := &progress{}
	file, err := c.UploadFile(ctx, app, path, "app.box", up.track)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(registry.File{Name: "app.box", Size: 64 << 20, SHA256: digest(content)}, file); diff != "" {
		t.Error(diff)
	}
	if len(up.offsets) < 2 || up.offsets[len(up.offsets)-1] == 0 {
		t.Errorf("not resumed: %v", up.offsets)
	}
	must[registry.Receipt](t)(c.Publish(ctx, app, registry.Publication{Fingerprint: "1", Build: registry.Build{
		Component: "virtualbox-iso.app", Type: registry.VagrantBox, Provider: "virtualbox", Files: []registry.File{file},
	}}))

	sent := proxy.up.Load()
	if again := must[registry.File](t)(c.UploadFile(ctx, app, path, "app.box", up.track)); again != file {
		t.Errorf("got %+v", again)
	}
	if more := proxy.up.Load() - sent; more > 4096 {
		t.Errorf("%d bytes were sent for a file that is known", more)
	}

	down, to := &progress{}, filepath.Join(t.TempDir(), "app.box")
	if err := c.Download(ctx, file.SHA256, file.Size, to, down.track); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(to)
	if err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d other bytes came back (%v)", len(got), err)
	}
	if len(down.offsets) != 2 || down.offsets[1] == 0 {
		t.Errorf("not resumed: %v", down.offsets)
	}
	wantError(t, direct.Download(ctx, digest(nil), 0, to+"2", nil), registry.NotFound, "no file that this token may read")
}

func TestEmptyFileIsAFile(t *testing.T) {
	_, c, ctx := real(t)
	path, _ := box(t, 0)
	file := must[registry.File](t)(c.UploadFile(ctx, app, path, "empty", nil))
	if err := c.Download(ctx, file.SHA256, 0, path+"2", nil); err != nil {
		t.Fatal(err)
	}
}

func TestUploadFailsAsTheServiceDoes(t *testing.T) {
	s, c, ctx := real(t)
	path, _ := box(t, 1000)
	_, err := s.Client(t, s.Token(t, "reader", "read")).UploadFile(ctx, app, path, "f", nil)
	wantError(t, err, registry.Forbidden, "needs the role publish")
	_, err = s.Client(t, "").UploadFile(ctx, app, path, "f", nil)
	wantError(t, err, registry.Unauthorized, "a token is needed")

	_, err = c.Upload(ctx, app, "f", &changesLater{Reader: bytes.NewReader(pattern(1000))}, nil)
	wantError(t, err, registry.Invalid, "the file changed while it was uploaded")
}

// changesLater has other bytes when it is read again.
type changesLater struct {
	*bytes.Reader
	read bool
}

func (c *changesLater) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if n > 0 && c.read {
		p[0] ^= 1
	}
	c.read = c.read || err != nil
	return n, err
}
