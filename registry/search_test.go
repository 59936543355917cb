package registry_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func TestSearch(t *testing.T) {
	w := newWorld(t)
	ctx := admin(t)
	publish := func(fingerprint, component, arch string, metadata registry.Metadata) {
		t.Helper()
		pub := amis(fingerprint, component, "eu-west-1")
		pub.Build.Architecture, pub.Build.Metadata = arch, metadata
		w.publish(ctx, "cargomedia/app", pub)
	}
	publish("one", "ebs", "x86_64", registry.Metadata{"os": "jessie", "build_number": "40"})
	publish("two", "ebs", "x86_64", registry.Metadata{"os": "jessie", "note": "", "build_number": "41"})
	publish("two", "ebs-arm", "arm64", registry.Metadata{"os": "jessie", "build_number": "41"})
	publish("three", "ebs", "x86_64", registry.Metadata{"os": "stretch"})
	publish("four", "ebs", "x86_64", registry.Metadata{"os": "stretch"})
	if _, err := w.Revoke(ctx, "cargomedia/app", "4", registry.RevokeRequest{Reason: "CVE"}); err != nil {
		t.Fatal(err)
	}
	open := amis("five", "ebs", "eu-west-1")
	open.Expect = []string{"ebs", "later"}
	w.publish(ctx, "cargomedia/app", open)
	publish("six", "plain", "", registry.Metadata{"component": "web"})
	if _, err := w.Revoke(ctx, "cargomedia/app", "6", registry.RevokeRequest{Reason: "made for one question"}); err != nil {
		t.Fatal(err)
	}

	for outcome, test := range map[string]struct {
		request registry.SearchRequest
		want    []string // version and component
	}{
		"the latest is the default":                    {registry.SearchRequest{}, []string{"0.3.0 ebs"}},
		"latest looks at no older version":             {registry.SearchRequest{Version: "latest", Metadata: registry.Metadata{"os": "jessie"}}, nil},
		"any finds the newest that fits":               {registry.SearchRequest{Version: "any", Metadata: registry.Metadata{"os": "jessie", "note": ""}}, []string{"0.2.0 ebs"}},
		"any finds no revoked version":                 {registry.SearchRequest{Version: "any"}, []string{"0.3.0 ebs"}},
		"all builds of the one version come":           {registry.SearchRequest{Version: "any", Metadata: registry.Metadata{"os": "jessie"}}, []string{"0.2.0 ebs", "0.2.0 ebs-arm"}},
		"an empty value is not any value":              {registry.SearchRequest{Version: "any", Metadata: registry.Metadata{"os": ""}}, nil},
		"a key alone asks that it be there":            {registry.SearchRequest{Version: "any", MetadataKeys: []string{"note"}}, []string{"0.2.0 ebs"}},
		"a region is found by its derived key":         {registry.SearchRequest{MetadataKeys: []string{"region.eu-west-1"}}, []string{"0.3.0 ebs"}},
		"a number is exact":                            {registry.SearchRequest{Version: "1"}, []string{"0.1.0 ebs"}},
		"a version is exact":                           {registry.SearchRequest{Version: "0.1.0"}, []string{"0.1.0 ebs"}},
		"a number finds what is revoked":               {registry.SearchRequest{Version: "4"}, []string{"0.4.0 ebs"}},
		"what is open is not found":                    {registry.SearchRequest{Version: "5"}, nil},
		"a number that is not there is no error":       {registry.SearchRequest{Version: "9"}, nil},
		"a build is found by its number":               {registry.SearchRequest{Build: "40"}, []string{"0.1.0 ebs"}},
		"the latest build is the latest version":       {registry.SearchRequest{Build: "latest"}, []string{"0.3.0 ebs"}},
		"any build is any version":                     {registry.SearchRequest{Build: "any", MetadataKeys: []string{"note"}}, []string{"0.2.0 ebs"}},
		"a version goes before a build":                {registry.SearchRequest{Version: "1", Build: "41"}, []string{"0.1.0 ebs"}},
		"a build of another type is not found":         {registry.SearchRequest{Type: "vagrant.box", Version: "any"}, nil},
		"an alias of the type means the same":          {registry.SearchRequest{Type: "amazon.ami", Version: "1"}, []string{"0.1.0 ebs"}},
		"a build number that nobody has finds nothing": {registry.SearchRequest{Build: "7"}, nil},
		"a component tells builds apart":               {registry.SearchRequest{Version: "2", Metadata: registry.Metadata{"component": "ebs-arm"}}, []string{"0.2.0 ebs-arm"}},
		"an architecture tells builds apart":           {registry.SearchRequest{Version: "2", Metadata: registry.Metadata{"architecture": "x86_64"}}, []string{"0.2.0 ebs"}},
		"metadata of that name goes before it":         {registry.SearchRequest{Version: "6", Metadata: registry.Metadata{"component": "web"}}, []string{"0.6.0 plain"}},
		"an image has no provider to look for":         {registry.SearchRequest{Version: "6", MetadataKeys: []string{"provider"}}, nil},
	} {
		t.Run(outcome, func(t *testing.T) {
			if test.request.Type == "" {
				test.request.Type = "aws.ami"
			}
			found, err := w.Search(ctx, "cargomedia/app", test.request)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, r := range found {
				got = append(got, r.Version+" "+r.Component)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
	t.Run("a revoked version says so", func(t *testing.T) {
		found, err := w.Search(ctx, "cargomedia/app", registry.SearchRequest{Type: "aws.ami", Version: "4"})
		if err != nil || len(found) != 1 || !found[0].Revoked {
			t.Errorf("got %+v, %v", found, err)
		}
	})
	t.Run("all mistakes are told at once", func(t *testing.T) {
		_, err := w.Search(ctx, "cargomedia/app", registry.SearchRequest{Type: "what a type", Version: "production"})
		wantError(t, err, registry.Invalid, "type", `"production" must be a number, an exact version, latest or any`)
		_, err = w.Search(ctx, "cargomedia/app", registry.SearchRequest{Type: "aws.ami", Build: "-1"})
		wantError(t, err, registry.Invalid, "build", "must be a number, latest or any")
	})
	t.Run("an artifact that is not there, or not to be seen, is not found", func(t *testing.T) {
		_, err := w.Search(ctx, "cargomedia/none", registry.SearchRequest{Type: "aws.ami"})
		wantError(t, err, registry.NotFound, "cargomedia/none")
		_, err = w.Search(as(t, registry.RoleRead, "other/*"), "cargomedia/app", registry.SearchRequest{Type: "aws.ami"})
		wantError(t, err, registry.NotFound)
	})
}
