package atlas_test

import (
	"errors"
	"io"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	atlas "github.com/hashicorp/atlas-go/v1"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
)

// TestEveryCallOfAtlasGo makes each call of the library, unmodified, as its programs do.
func TestEveryCallOfAtlasGo(t *testing.T) {
	s := servertest.New(t)
	c := client(t, s.URL, s.Token(t, "packer", "publish", "cargomedia/*"))
	content := gzipped(t, tarOf(t, "app.txt", "hello world"))

	t.Run("Verify and Login", func(t *testing.T) {
		if err := c.Verify(); err != nil {
			t.Error(err)
		}
		other := client(t, s.URL, "")
		if err := other.Verify(); !errors.Is(err, atlas.ErrAuth) {
			t.Errorf("without a token: got %v", err)
		}
		token, err := other.Login("anybody", c.Token)
		if err != nil || token != c.Token {
			t.Errorf("got %q, %v", token, err)
		}
		if err := other.Verify(); err != nil {
			t.Errorf("after the login: %v", err)
		}
		if _, err := other.Login("anybody", "alm_wrong"); !errors.Is(err, atlas.ErrAuth) {
			t.Errorf("with a wrong password: got %v", err)
		}
	})
	t.Run("Artifact and CreateArtifact", func(t *testing.T) {
		if _, err := c.Artifact("cargomedia", "app"); !errors.Is(err, atlas.ErrNotFound) {
			t.Fatalf("got %v", err)
		}
		want := &atlas.Artifact{User: "cargomedia", Name: "app", Tag: "cargomedia/app"}
		for range 2 {
			if got, err := c.CreateArtifact("cargomedia", "app"); err != nil || *got != *want {
				t.Errorf("got %+v, %v", got, err)
			}
		}
		if got, err := c.Artifact("cargomedia", "app"); err != nil || *got != *want {
			t.Errorf("got %+v, %v", got, err)
		}
	})
	t.Run("UploadArtifact without a file, and ArtifactSearch", func(t *testing.T) {
		made, err := c.UploadArtifact(&atlas.UploadArtifactOpts{
			User: "cargomedia", Name: "app", Type: "aws.ami", ID: "us-east-1:ami-1,eu-west-1:ami-2",
			Metadata: map[string]string{"region.us-east-1": "ami-1", "region.eu-west-1": "ami-2", "created at": "today"}, BuildID: 40, CompileID: 7,
		})
		if err != nil {
			t.Fatal(err)
		}
		want := &atlas.ArtifactVersion{
			User: "cargomedia", Name: "app", Tag: "cargomedia/app", Type: "aws.ami", ID: "eu-west-1:ami-2,us-east-1:ami-1", Version: 1, Slug: "cargomedia/app/aws.ami/1",
			Metadata: map[string]string{
				"region.us-east-1": "ami-1", "region.eu-west-1": "ami-2", "created at": "today", "build_number": "40", "compile_id": "7",
				"ami_id": "ami-2,ami-1", "region": "eu-west-1,us-east-1",
			},
		}
		if diff := cmp.Diff(want, made); diff != "" {
			t.Errorf("UploadArtifact (-want +got)\n%s", diff)
		}
		for what, opts := range map[string]atlas.ArtifactSearchOpts{
			"latest": {Version: "latest"}, "nothing": {}, "a number": {Version: "1"}, "a build": {Build: "40"}, "any build": {Build: "any"},
			"a value":   {Version: "any", Metadata: map[string]string{"created at": "today", "region.eu-west-1": "ami-2"}},
			"any value": {Metadata: map[string]string{"created at": atlas.MetadataAnyValue, "compile_id": "7"}},
			"a region":  {Metadata: map[string]string{"region": "eu-west-1"}},
		} {
			opts.User, opts.Name, opts.Type = "cargomedia", "app", "aws.ami"
			found, err := c.ArtifactSearch(&opts)
			if diff := cmp.Diff([]*atlas.ArtifactVersion{want}, found); err != nil || diff != "" {
				t.Errorf("%s: %v (-want +got)\n%s", what, err, diff)
			}
		}
		if at, err := c.ArtifactFileURL(made); err != nil || at != nil {
			t.Errorf("got %v, %v", at, err)
		}
	})
	t.Run("UploadArtifact with a file, ArtifactFileURL and its bytes", func(t *testing.T) {
		first := upload(t, c, "files", "archive", content, nil)
		upload(t, c, "files", "archive", gzipped(t, "another"), nil)
		found, err := c.ArtifactSearch(&atlas.ArtifactSearchOpts{User: "cargomedia", Name: "files", Type: "archive", Version: "1"})
		if err != nil || first != 1 || len(found) != 1 {
			t.Fatalf("got %d, %+v, %v", first, found, err)
		}
		if v := found[0]; !v.File || v.ID != "File" || v.Slug != "cargomedia/files/archive/1" || v.Version != 1 {
			t.Errorf("got %+v", v)
		}
		// The version that was asked for, although this atlas-go cannot say which.
		if got := fetch(t, c, found[0]); got != content {
			t.Errorf("got %d bytes, want %d", len(got), len(content))
		}
	})
	t.Run("App, CreateApp and UploadApp", func(t *testing.T) {
		if _, err := c.App("cargomedia", "shop"); !errors.Is(err, atlas.ErrNotFound) {
			t.Fatalf("got %v", err)
		}
		app, err := c.CreateApp("cargomedia", "shop")
		if err != nil || app.Slug() != "cargomedia/shop" {
			t.Fatalf("got %+v, %v", app, err)
		}
		if again, err := c.App("cargomedia", "shop"); err != nil || *again != *app {
			t.Errorf("got %+v, %v", again, err)
		}
		for want, metadata := range []map[string]any{nil, {"box": "hashicorp/precise64", "box_url": "http://x"}, {}} {
			number, err := c.UploadApp(app, metadata, strings.NewReader(content), int64(len(content)))
			if err != nil || number != uint64(want+1) {
				t.Errorf("got %d, %v", number, err)
			}
		}
		got, err := s.Client(t, s.AdminToken).Resolve(t.Context(), "cargomedia/shop", "2", questionOf("application"))
		if err != nil || got.Metadata["box"] != "hashicorp/precise64" || got.Files[0].Name != "shop.tar.gz" {
			t.Errorf("got %+v, %v", got, err)
		}
		_, err = c.UploadApp(app, map[string]any{"count": 3}, strings.NewReader(content), int64(len(content)))
		wants(t, err, `application.metadata["count"]: must be a string; put quotes around 3`)
	})
	t.Run("BuildConfig, CreateBuildConfig and UploadBuildConfigVersion", func(t *testing.T) {
		if _, err := c.BuildConfig("cargomedia", "image"); !errors.Is(err, atlas.ErrNotFound) {
			t.Fatalf("got %v", err)
		}
		config, err := c.CreateBuildConfig("cargomedia", "image")
		if err != nil || config.Slug() != "cargomedia/image" {
			t.Fatalf("got %+v, %v", config, err)
		}
		if again, err := c.BuildConfig("cargomedia", "image"); err != nil || *again != *config {
			t.Errorf("got %+v, %v", again, err)
		}
		version := &atlas.BuildConfigVersion{User: config.User, Name: config.Name, Builds: []atlas.BuildConfigBuild{{Name: "web", Type: "amazon-ebs", Artifact: true}}}
		metadata := map[string]any{"template": strings.Repeat("QUJD", 1<<18), "template_name": "image.json", "message": "try"}
		if err := c.UploadBuildConfigVersion(version, metadata, atlas.BuildVars{{Key: "size", Value: "t2.micro"}}, strings.NewReader(content), int64(len(content))); err != nil {
			t.Fatal(err)
		}
		got, err := s.Client(t, s.AdminToken).Resolve(t.Context(), "cargomedia/image", "latest", questionOf("build-configuration"))
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{"template_name": "image.json", "message": "try", "build.web": "amazon-ebs", "var.size": "t2.micro"}
		if !maps.Equal(got.Metadata, want) {
			t.Errorf("got %v", got.Metadata)
		}
	})
	t.Run("what Terraform had besides artifacts fails cleanly", func(t *testing.T) {
		if v, err := c.TerraformConfigLatest("cargomedia", "app"); v != nil || err != nil { // which says that there is none
			t.Errorf("got %v, %v", v, err)
		}
		_, err := c.CreateTerraformConfigVersion("cargomedia", "app", &atlas.TerraformConfigVersion{}, strings.NewReader(content), int64(len(content)))
		wants(t, err, "this registry keeps no Terraform configurations")
		for _, method := range []string{"GET", "PUT", "POST", "DELETE"} {
			as(s, c.Token).send(t, method, "/api/v1/terraform/state/cargomedia/app?atlas_run_id=1", "{}").refused(t, 422, "keeps no Terraform state")
		}
	})
}

// fetch gets the file of a version as Terraform's users do, with the address that atlas-go computes.
func fetch(t testing.TB, c *atlas.Client, v *atlas.ArtifactVersion) string {
	t.Helper()
	at, err := c.ArtifactFileURL(v)
	if err != nil || at == nil {
		t.Fatalf("got %v, %v", at, err)
	}
	req, err := c.Request("GET", at.Path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.HTTPClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%s: got %s %s, %v", at, resp.Status, body, err)
	}
	return string(body)
}

// TestCallOrderOfPacker replays the post-processor atlas of Packer, call by call.
func TestCallOrderOfPacker(t *testing.T) {
	s := servertest.New(t)
	for address, what := range map[string]string{"": "plain", "/api/v1": "as Packer's manual had it"} {
		name := "my-file" + strings.ReplaceAll(address, "/", "-")
		c := client(t, s.URL+address, s.Token(t, name, "publish", "cargomedia/*"))
		if err := c.Verify(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if _, err := c.Artifact("cargomedia", name); !errors.Is(err, atlas.ErrNotFound) {
			t.Fatalf("%s: got %v", what, err)
		}
		if _, err := c.CreateArtifact("cargomedia", name); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		// The file builder with the metadata of AMIs: the same on the wire as a real AMI, with a file.
		metadata := map[string]string{"created_at": "1479254400", "region.eu-west-1": "ami-12345678", "region.us-east-1": "ami-87654321"}
		content := gzipped(t, tarOf(t, "a.txt", "hello world"))
		for want := 1; want < 3; want++ {
			if got := upload(t, c, name, "archive", content, metadata); got != want {
				t.Errorf("%s: got version %d, want %d", what, got, want)
			}
		}
		found, err := c.ArtifactSearch(&atlas.ArtifactSearchOpts{User: "cargomedia", Name: name, Type: "archive", Version: "latest"})
		if err != nil || len(found) != 1 || found[0].Version != 2 {
			t.Fatalf("%s: got %+v, %v", what, found, err)
		}
		if diff := cmp.Diff(metadata, found[0].Metadata); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", what, diff)
		}
	}
}
