package terraform_test

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

const appModule = "/tf/modules/v1/cargomedia/app/aws"

func TestDiscovery(t *testing.T) {
	s := servertest.New(t)
	got := get(t, s.URL+"/.well-known/terraform.json", "").is(t, http.StatusOK)
	if want := `{"modules.v1":"/tf/modules/v1/","providers.v1":"/tf/providers/v1/"}` + "\n"; got.body != want || got.header.Get("Content-Type") != "application/json" {
		t.Errorf("got %s %s", got.header.Get("Content-Type"), got.body)
	}
	get(t, s.URL+"/.well-known/terraform.json", "alm_wrong").is(t, http.StatusOK)
}

// packageURL asks for a download as Terraform does, and returns where the answer leads to.
func packageURL(t testing.TB, s *servertest.Server, path, token string) string {
	t.Helper()
	at := s.URL + path
	got := get(t, at, token).is(t, http.StatusNoContent)
	base, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	target, err := base.Parse(got.header.Get("X-Terraform-Get"))
	if err != nil {
		t.Fatal(err)
	}
	return target.String()
}

// unpack returns the files of a tar.gz.
func unpack(t testing.TB, content string) map[string]string {
	t.Helper()
	zipped, err := gzip.NewReader(strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	archive := tar.NewReader(zipped)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		files[header.Name] = string(text)
	}
}

func TestModuleVersions(t *testing.T) {
	s := appServer(t)
	t.Run("are those that can be chosen", func(t *testing.T) {
		publish(t, s, "cargomedia/app", ami("3", "2.0.0"))
		revoke(t, s, "cargomedia/app", "3", "broken")
		open := ami("4", "3.0.0")
		open.Expect = []string{"amazon-ebs.app", "amazon-ebs.other"}
		publish(t, s, "cargomedia/app", open)
		archive := withFile(t, s, "cargomedia/app", "app.zip", "x", registry.Publication{Fingerprint: "5", Version: "4.0.0",
			Build: registry.Build{Component: "file.app", Type: registry.Archive}})
		publish(t, s, "cargomedia/app", archive)
		got := get(t, s.URL+appModule+"/versions", s.AdminToken).is(t, http.StatusOK)
		if want := `{"modules":[{"versions":[{"version":"1.1.0"},{"version":"1.0.0"}]}]}` + "\n"; got.body != want {
			t.Errorf("got %s, want %s", got.body, want)
		}
	})
	t.Run("are listed to the last page", func(t *testing.T) {
		admin := registry.WithPrincipal(t.Context(), registry.Principal{TokenID: "t", Name: "t", Role: registry.RoleAdmin, Scopes: []registry.Scope{registry.ScopeAll}})
		const many = 501
		for i := range many {
			if _, err := s.Service.Publish(admin, "cargomedia/many", ami(fmt.Sprint(i+1), "")); err != nil {
				t.Fatal(err)
			}
		}
		got := get(t, s.URL+"/tf/modules/v1/cargomedia/many/aws/versions", s.AdminToken).is(t, http.StatusOK)
		if count := strings.Count(got.body, `"version"`); count != many {
			t.Errorf("got %d versions, want %d", count, many)
		}
	})
	t.Run("of a system that is not there", func(t *testing.T) {
		for _, path := range []string{"/versions", "/1.0.0/download"} {
			get(t, s.URL+"/tf/modules/v1/cargomedia/app/azurerm"+path, s.AdminToken).refused(t, http.StatusNotFound, `azurerm`, "ends in /aws")
		}
	})
}

func TestModulePackage(t *testing.T) {
	s := appServer(t)
	t.Run("is a module of the version, for whoever has its address", func(t *testing.T) {
		at := packageURL(t, s, appModule+"/1.0.0/download", s.AdminToken)
		if !strings.HasPrefix(at, s.URL+"/tf/modules/v1/packages/") || !strings.HasSuffix(at, "/app-1.0.0.tar.gz") {
			t.Errorf("it is at %s", at)
		}
		head := send(t, http.MethodHead, at).is(t, http.StatusOK)
		first, second := get(t, at, "").is(t, http.StatusOK), get(t, at, "").is(t, http.StatusOK)
		if first.body != second.body || first.header.Get("ETag") == "" || head.header.Get("ETag") != first.header.Get("ETag") || first.header.Get("Content-Type") != "application/gzip" {
			t.Errorf("the answers differ: %v, %v and %v", head.header, first.header, second.header)
		}
		if main := unpack(t, first.body)["main.tf"]; !strings.Contains(main, `"eu-west-1" = "ami-0e1"`) || !strings.Contains(main, s.URL+"/v1/artifacts/cargomedia/app/versions/1.0.0") {
			t.Errorf("main.tf is\n%s", main)
		}
		get(t, at, "", "If-None-Match", first.header.Get("ETag")).is(t, http.StatusNotModified)
	})
	t.Run("is the same from another address", func(t *testing.T) {
		a := get(t, packageURL(t, s, appModule+"/1.0.0/download", s.AdminToken), "")
		b := get(t, packageURL(t, s, appModule+"/1.0.0/download", s.Token(t, "other", "read")), "")
		if a.body != b.body {
			t.Error("the bytes differ")
		}
	})
	t.Run("of a revoked version stays there", func(t *testing.T) {
		revoke(t, s, "cargomedia/app", "1", "old")
		get(t, packageURL(t, s, appModule+"/1.0.0/download", s.AdminToken), "").is(t, http.StatusOK)
		if warning := get(t, s.URL+appModule+"/1.0.0/download", s.AdminToken).header.Get("Warning"); !strings.Contains(warning, "revoked: old") {
			t.Errorf("the warning is %q", warning)
		}
	})
	t.Run("has all builds", func(t *testing.T) {
		arm := ami("2", "1.1.0")
		arm.Build.Component, arm.Build.Architecture = "amazon-ebs.arm", "arm64"
		publish(t, s, "cargomedia/app", arm)
		main := unpack(t, get(t, packageURL(t, s, appModule+"/1.1.0/download", s.AdminToken), "").body)["main.tf"]
		if !strings.Contains(main, `"amazon-ebs.arm"`) || !strings.Contains(main, `"amazon-ebs.app"`) {
			t.Errorf("main.tf is\n%s", main)
		}
	})
	t.Run("is not there for what has no AMI, is not complete or is no version", func(t *testing.T) {
		open := ami("3", "3.0.0")
		open.Expect = []string{"amazon-ebs.app", "amazon-ebs.other"}
		publish(t, s, "cargomedia/app", open)
		publish(t, s, "cargomedia/app", withFile(t, s, "cargomedia/app", "app.zip", "x", registry.Publication{Fingerprint: "5", Version: "4.0.0",
			Build: registry.Build{Component: "file.app", Type: registry.Archive}}))
		for version, want := range map[string]struct {
			status int
			text   string
		}{
			"3.0.0":  {404, "not complete"},
			"4.0.0":  {404, "no build of type amazon.image"},
			"9.0.0":  {404, "has no version 9.0.0"},
			"latest": {422, "must be a semantic version"},
			"1":      {422, "must be a semantic version"},
		} {
			get(t, s.URL+appModule+"/"+version+"/download", s.AdminToken).refused(t, want.status, want.text)
		}
	})
}

func TestModuleAddressesEnd(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	clock := &now
	s := appServer(t, servertest.WithClock(func() time.Time { return *clock }))
	at := packageURL(t, s, appModule+"/1.0.0/download", s.AdminToken)
	get(t, at, "").is(t, http.StatusOK)
	t.Run("those that nobody gave", func(t *testing.T) {
		for _, wrong := range []string{strings.Replace(at, "/packages/alm_A", "/packages/alm_B", 1), strings.Replace(at, "/packages/", "/packages/x", 1), s.URL + "/tf/modules/v1/packages/-/x.tar.gz"} {
			get(t, wrong, s.AdminToken).refused(t, http.StatusNotFound, "this address is too old, or was never given")
		}
	})
	t.Run("after ten minutes", func(t *testing.T) {
		now = now.Add(9 * time.Minute)
		get(t, at, "").is(t, http.StatusOK)
		now = now.Add(time.Minute + time.Second)
		get(t, at, "").refused(t, http.StatusNotFound, "this address is too old")
	})
	t.Run("with what they were for", func(t *testing.T) {
		at := packageURL(t, s, appModule+"/1.0.0/download", s.AdminToken)
		if err := s.Client(t, s.AdminToken).DeleteArtifact(t.Context(), "cargomedia/app"); err != nil {
			t.Fatal(err)
		}
		get(t, at, "").refused(t, http.StatusNotFound, "cargomedia/app")
	})
}

// TestWhoMayReadTheRegistries sends requests as each kind of caller. The statuses are in the order of the callers.
func TestWhoMayReadTheRegistries(t *testing.T) {
	s := appServer(t)
	for _, name := range []string{"cargomedia/thing", "cargomedia/open"} {
		publishProvider(t, s, name, "1.0.0", "linux_amd64", "x")
		publish(t, s, name, ami("ami", "2.0.0"))
	}
	makePublic(t, s, "cargomedia/open")
	callers := []struct{ name, token string }{
		{"nobody", ""},
		{"reader", s.Token(t, "reader", "read", "cargomedia/*")},
		{"stranger", s.Token(t, "stranger", "admin", "other/*")},
		{"wrong", "alm_wrong"},
	}
	for path, want := range map[string][4]int{
		"modules/v1/cargomedia/thing/aws/versions":                     {401, 200, 404, 401},
		"modules/v1/cargomedia/thing/aws/2.0.0/download":               {401, 204, 404, 401},
		"modules/v1/cargomedia/open/aws/versions":                      {200, 200, 200, 401},
		"modules/v1/cargomedia/open/aws/2.0.0/download":                {204, 204, 204, 401},
		"modules/v1/cargomedia/none/aws/versions":                      {401, 404, 404, 401},
		"modules/v1/cargomedia/none/aws/2.0.0/download":                {401, 404, 404, 401},
		"providers/v1/cargomedia/thing/versions":                       {401, 200, 404, 401},
		"providers/v1/cargomedia/thing/1.0.0/download/linux/amd64":     {401, 200, 404, 401},
		"providers/v1/cargomedia/open/versions":                        {200, 200, 200, 401},
		"providers/v1/cargomedia/open/1.0.0/download/linux/amd64":      {200, 200, 200, 401},
		"providers/v1/cargomedia/none/versions":                        {401, 404, 404, 401},
		"providers/v1/cargomedia/none/1.0.0/download/linux/amd64":      {401, 404, 404, 401},
		"providers/v1/cargomedia/app/1.0.0/download/linux/amd64":       {401, 404, 404, 401},
		"providers/v1/cargomedia/open/1.0.0/download/darwin/amd64":     {404, 404, 404, 401},
		"modules/v1/cargomedia/open/aws/1.0.0/download":                {404, 404, 404, 401},
		"modules/v1/cargomedia/open/aws/versions?access_token=" + "no": {401, 200, 200, 401},
	} {
		var got [4]int
		for i, c := range callers {
			got[i] = get(t, s.URL+"/tf/"+path, c.token).status
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s for %v:\n%s", path, callers, diff)
		}
	}
}
