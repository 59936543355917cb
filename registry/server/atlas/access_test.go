package atlas_test

import (
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// TestWhoMayDoWhat sends each kind of request with each kind of token. The statuses are in the order of the callers.
func TestWhoMayDoWhat(t *testing.T) {
	s := servertest.New(t)
	atlasgo := client(t, s.URL, s.AdminToken)
	for _, name := range []string{"app", "open"} {
		upload(t, atlasgo, name, "archive", "bytes", nil)
	}
	if _, err := s.Client(t, s.AdminToken).PutArtifact(t.Context(), "cargomedia/open", registry.ArtifactSettings{Public: true}); err != nil {
		t.Fatal(err)
	}
	callers := []struct {
		name string
		caller
	}{
		{"nobody", as(s, "")},
		{"reader", as(s, s.Token(t, "reader", "read", "cargomedia/*"))},
		{"publisher", as(s, s.Token(t, "publisher", "publish", "cargomedia/*"))},
		{"stranger", as(s, s.Token(t, "stranger", "admin", "other/*"))},
		{"wrong", as(s, "alm_wrong")},
	}
	const (
		app, open = artifacts + "/cargomedia/app", artifacts + "/cargomedia/open"
		image     = `{"artifact_version":{"id":"x"}}`
		file      = `{"artifact_version":{"file":true}}`
	)
	for _, test := range []struct {
		name, method, path, body string
		want                     [5]int
	}{
		{"verify", "GET", "/api/v1/authenticate", "", [5]int{401, 200, 200, 200, 401}},
		{"an artifact", "GET", app, "", [5]int{401, 200, 200, 404, 401}},
		{"a public artifact", "GET", open, "", [5]int{200, 200, 200, 200, 401}},
		{"an artifact that is not there", "GET", artifacts + "/cargomedia/none", "", [5]int{401, 404, 404, 404, 401}},
		{"an application", "GET", "/api/v1/vagrant/applications/cargomedia/app", "", [5]int{401, 200, 200, 404, 401}},
		{"a build configuration", "GET", "/api/v1/packer/build-configurations/cargomedia/app", "", [5]int{401, 200, 200, 404, 401}},
		{"a search", "GET", app + "/archive/search", "", [5]int{401, 200, 200, 200, 401}},
		{"a search in a public artifact", "GET", open + "/archive/search", "", [5]int{200, 200, 200, 200, 401}},
		{"a search in what is not there", "GET", artifacts + "/cargomedia/none/archive/search", "", [5]int{401, 200, 200, 200, 401}},
		{"a file", "GET", app + "/archive/file", "", [5]int{401, 200, 200, 404, 401}},
		{"a public file", "GET", open + "/archive/1/file", "", [5]int{200, 200, 200, 200, 401}},
		{"make an artifact", "POST", artifacts, `{"artifact":{"username":"cargomedia","name":"new"}}`, [5]int{401, 422, 200, 404, 401}},
		{"make an artifact that is there", "POST", artifacts, `{"artifact":{"username":"cargomedia","name":"app"}}`, [5]int{401, 422, 200, 404, 401}},
		{"make one that is there and public", "POST", artifacts, `{"artifact":{"username":"cargomedia","name":"open"}}`, [5]int{401, 422, 200, 422, 401}},
		{"make an application", "POST", "/api/v1/vagrant/applications", `{"application":{"username":"cargomedia","name":"app"}}`, [5]int{401, 422, 200, 404, 401}},
		{"make a build configuration", "POST", "/api/v1/packer/build-configurations", `{"build_configuration":{"username":"cargomedia","name":"app"}}`, [5]int{401, 422, 200, 404, 401}},
		{"upload an image", "POST", app + "/custom.image", image, [5]int{401, 422, 200, 404, 401}},
		{"upload a file", "POST", app + "/archive", file, [5]int{401, 422, 200, 404, 401}},
		{"upload to a public artifact", "POST", open + "/archive", file, [5]int{401, 422, 200, 422, 401}},
		{"upload an application", "POST", "/api/v1/vagrant/applications/cargomedia/app/versions", "", [5]int{401, 422, 200, 404, 401}},
		{"upload a build configuration", "POST", "/api/v1/packer/build-configurations/cargomedia/app/versions", "{}", [5]int{401, 422, 200, 404, 401}},
		{"upload something wrong", "POST", app + "/archive", "[]", [5]int{401, 422, 422, 422, 401}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for i, c := range callers {
				got := c.send(t, test.method, test.path, test.body)
				if got.status != test.want[i] {
					t.Errorf("%s: got %d, want %d: %s", c.name, got.status, test.want[i], got.body)
				} else if got.status >= 400 {
					got.refused(t, test.want[i])
				}
			}
		})
	}
	t.Run("who may read is told why not to write", func(t *testing.T) {
		callers[1].post(t, app+"/archive", file).refused(t, 422, `token "reader" has the role read; this needs the role publish`)
		callers[3].post(t, open+"/archive", file).refused(t, 422, `token "stranger" is for "other/*", not for cargomedia/open`)
	})
}

// TestNotThereAndNotAllowedLookTheSame compares whole answers.
func TestNotThereAndNotAllowedLookTheSame(t *testing.T) {
	s := servertest.New(t)
	upload(t, client(t, s.URL, s.AdminToken), "aaaa", "archive", "bytes", nil)
	stranger := as(s, s.Token(t, "stranger", "publish", "other/*"))
	for _, test := range [][3]string{
		{"GET", "/NAME", ""}, {"GET", "/NAME/archive/search", ""}, {"GET", "/NAME/archive/file", ""}, {"GET", "/NAME/archive/1/file", ""},
		{"POST", "/NAME/archive", `{"artifact_version":{"file":true}}`},
	} {
		var answers []string
		for _, name := range []string{"aaaa", "bbbb"} {
			got := stranger.send(t, test[0], artifacts+"/cargomedia"+strings.Replace(test[1], "NAME", name, 1), test[2], "X-Request-Id", "same")
			answers = append(answers, strings.ReplaceAll(got.body, name, "NAME"))
		}
		if answers[0] != answers[1] {
			t.Errorf("%v: got\n%s and\n%s", test, answers[0], answers[1])
		}
	}
}
