package atlas_test

import (
	"strings"
	"testing"

	atlas "github.com/hashicorp/atlas-go/v1"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
)

// TestMistakes looks at what a person who runs an old client gets to read.
func TestMistakes(t *testing.T) {
	s := servertest.New(t)
	c := as(s, s.AdminToken)
	type mistake struct {
		path, body string
		says       []string
	}
	version := func(members string) string { return `{"artifact_version":{` + members + `}}` }
	at := func(typ string) string { return artifacts + "/cargomedia/app/" + typ }
	for what, m := range map[string]mistake{
		"a body that is no JSON":                {at("archive"), "id=1", []string{"the body must be a JSON object such as"}},
		"a body that is no text":                {at("archive"), "{\"\xff\":1}", []string{"the body is not valid UTF-8"}},
		"a body that has something else":        {at("archive"), `{"id":"x"}`, []string{"artifact_version: is missing"}},
		"a version that is a list":              {at("archive"), `{"artifact_version":[]}`, []string{"artifact_version: must be an object"}},
		"metadata that are no strings":          {at("custom.image"), version(`"id":"x","metadata":{"n":3,"o":{},"nil":null,"s":"fine"}`), []string{`artifact_version.metadata["n"]: must be a string; put quotes around 3`, `artifact_version.metadata["o"]`, `artifact_version.metadata["nil"]`}},
		"metadata that are a list":              {at("custom.image"), version(`"id":"x","metadata":[]`), []string{"artifact_version.metadata: must be an object"}},
		"several mistakes":                      {at("no type"), version(`"id":3,"file":"yes","build_id":"x","compile_id":1.5`), []string{"artifact_version.id: must be a string", "artifact_version.file: must be true or false", "artifact_version.build_id: must be a whole number", "artifact_version.compile_id", `artifact_type: type "no type" is unknown`}},
		"metadata that the registry refuses":    {at("custom.image"), version(`"id":"x","metadata":{" k":"v","bell":"\u0007"}`), []string{`artifact_version.metadata[" k"]: the key is empty or has spaces around it`, `artifact_version.metadata["bell"]`}},
		"a type of the registry's own":          {at("terraform.provider"), version(`"id":"x","file":true`), []string{"a terraform.provider cannot come this way; record it with almanac publish"}},
		"an archive without a file":             {at("archive"), version(`"id":"x"`), []string{"artifact_version.file: must be true"}},
		"an image without an id":                {at("google.image"), version(`"file":false`), []string{"artifact_version.id: is empty"}},
		"an image whose id cannot be recorded":  {at("google.image"), version(`"id":"a\nb"`), []string{"artifact_version.id: has a control character"}},
		"a file whose id cannot be recorded":    {at("archive"), version(`"id":"a\u0007b","file":true`), []string{"artifact_version.id"}},
		"AMIs that are not there":               {at("aws.ami"), version(`"id":"File"`), []string{`artifact_version.id: "File" names no AMI; an amazon.image needs its AMIs as REGION:AMI`}},
		"an AMI that is none":                   {at("aws.ami"), version(`"id":"eu-west-1:i-1,ami-2"`), []string{`artifact_version.id: "i-1" is not an AMI id`, `artifact_version.id: "" is not an AWS region`}},
		"an AMI in metadata that is none":       {at("aws.ami"), version(`"id":"File","metadata":{"region.Europe":"ami-1"}`), []string{`artifact_version.metadata["region.Europe"]: "Europe" is not an AWS region`}},
		"AMIs that are not the same":            {at("aws.ami"), version(`"id":"eu-west-1:ami-1","metadata":{"region.eu-west-1":"ami-2"}`), []string{"artifact_version.id: names the AMIs eu-west-1:ami-1, and the metadata region.REGION name eu-west-1:ami-2"}},
		"more AMIs than a build can have":       {at("aws.ami"), version(`"id":"` + strings.Repeat("eu-west-1:ami-1,", 1001) + `"`), []string{"artifact_version.id: has 1002 entries"}},
		"a box without its provider":            {at("vagrant.box"), version(`"file":true,"metadata":{"version":"1.x"}`), []string{"Metadata must have 'provider' key", `artifact_version.metadata["version"]: version "1.x" must be`}},
		"a box without a file":                  {at("vagrant.box"), version(`"metadata":{"provider":"libvirt"}`), []string{"artifact_version.file: must be true"}},
		"a box with a provider that is none":    {at("vagrant.box"), version(`"file":true,"metadata":{"provider":"a b","description":"\u0000"}`), []string{`artifact_version.metadata["provider"]`, `artifact_version.metadata["description"]`}},
		"a namespace that is kept":              {artifacts + "/api/app/archive", version(`"file":true`), []string{`the namespace "api" is reserved`}},
		"a name that is none":                   {artifacts + "/cargomedia/a..b/google.image", version(`"id":"x"`), []string{`artifact name "cargomedia/a..b"`}},
		"an artifact without a name":            {artifacts, `{"artifact":{"username":"cargomedia"}}`, []string{`artifact.name: is missing`}},
		"an artifact with a wrong name":         {artifacts, `{"artifact":{"username":"cargomedia","name":"a/b"}}`, []string{`artifact name "cargomedia/a/b" must be namespace/name`}},
		"an artifact that is no object":         {artifacts, `[]`, []string{"the body must be a JSON object"}},
		"an application with a wrong name":      {"/api/v1/vagrant/applications", `{"application":{"username":1,"name":"!"}}`, []string{"application.username: must be a string"}},
		"a build configuration with a bad name": {"/api/v1/packer/build-configurations", `{"build_configuration":{"username":"-","name":"x"}}`, []string{`artifact name "-/x"`}},
		"an application whose metadata are bad": {"/api/v1/vagrant/applications/cargomedia/app/versions", `{"application":{"metadata":{"k ":"v"}}}`, []string{`application.metadata["k "]`}},
		"builds and variables that are bad":     {"/api/v1/packer/build-configurations/cargomedia/app/versions", `{"version":{"builds":[{"type":"x"}],"packer_vars":[{"key":"a","value":1}],"vars":{"b":2}}}`, []string{"version.builds[0].name: is missing", "version.packer_vars[0].value: must be a string", `version.vars["b"]: must be a string`}},
		"variables that are no list":            {"/api/v1/packer/build-configurations/cargomedia/app/versions", `{"version":{"packer_vars":"a"}}`, []string{"version.packer_vars: must be a list of objects"}},
		"a body that is too large":              {at("archive"), version(`"id":"` + strings.Repeat("x", 4<<20) + `"`), []string{"the body is larger than 4 MiB"}},
	} {
		t.Run(what, func(t *testing.T) {
			c.post(t, m.path, m.body).refused(t, 422, m.says...)
		})
	}
	t.Run("none of it made anything", func(t *testing.T) {
		c.get(t, artifacts+"/cargomedia/app").refused(t, 404)
	})
	t.Run("very many mistakes are not all told", func(t *testing.T) {
		many := strings.TrimSuffix(strings.Repeat(`{},`, 5000), ",")
		if got := c.post(t, "/api/v1/packer/build-configurations/cargomedia/app/versions", `{"version":{"builds":[`+many+`]}}`).refused(t, 422); len(got) != 100 {
			t.Errorf("got %d", len(got))
		}
	})
	t.Run("a box that is there already", func(t *testing.T) {
		atlasgo := client(t, s.URL, s.AdminToken)
		metadata := map[string]string{"provider": "libvirt", "version": "1.0.0"}
		upload(t, atlasgo, "box", "vagrant.box", boxOf(t, "libvirt", "x"), metadata)
		_, err := atlasgo.UploadArtifact(&atlas.UploadArtifactOpts{User: "cargomedia", Name: "box", Type: "vagrant.box", Metadata: metadata, File: strings.NewReader("x"), FileSize: 1})
		wants(t, err, "version 1.0.0 of cargomedia/box has a build vagrant.libvirt already")
	})
	t.Run("a name that differs in case alone", func(t *testing.T) {
		_, err := client(t, s.URL, s.AdminToken).CreateArtifact("CargoMedia", "box")
		wants(t, err, "cargomedia/box")
	})
}

func TestSearchMistakes(t *testing.T) {
	s := servertest.New(t)
	c := as(s, s.AdminToken)
	amis(t, s, "cargomedia/app", "one", "x", nil, "eu-west-1")
	at := artifacts + "/cargomedia/app/aws.ami/search?"
	for query, says := range map[string]string{
		"version=production":               `version: "production" must be a number, an exact version, latest or any`,
		"build=x":                          "build: ",
		"metadata.1.value=x":               "metadata.1.value: has no metadata.1.key",
		"metadata.1.key=":                  "metadata.1.key: is empty",
		"metadata.region=eu-west-1":        "metadata.region: must be metadata.N.key or metadata.N.value",
		"metadata.x.key=a":                 "metadata.x.key: must be",
		"metadata..key=a":                  "metadata..key: must be",
		"metadata.1.key=a&metadata.1.key=": "metadata.1.key: is there 2 times",
		"metadata.1.key=a&metadata.1.value=1&metadata.2.key=a&metadata.2.value=2": `metadata.2.value: "a" is asked to be "1", too`,
		"version=%zz": "the query cannot be read",
	} {
		c.get(t, at+query).refused(t, 422, says)
	}
	c.get(t, artifacts+"/cargomedia/app/no%20type/search").refused(t, 422, `artifact_type: type "no type" is unknown`)
	// What nobody knows is not looked at, and neither is a condition that stands twice.
	for _, query := range []string{"unknown=x&access_token=" + s.AdminToken, "version=&build=", "metadata.1.key=region&metadata.1.value=eu-west-1&metadata.7.key=region&metadata.7.value=eu-west-1"} {
		if got := c.get(t, at+query).ok(t); !strings.Contains(got.body, `"version":1,`) {
			t.Errorf("%s: got %s", query, got.body)
		}
	}
}

// TestSlugs has slugs that are none.
func TestSlugs(t *testing.T) {
	s := servertest.New(t)
	c := client(t, s.URL, s.AdminToken)
	for _, slug := range []string{"app", "a/b/c", "a/b/c/d", "api/app", "a b/c", "é/c"} {
		user, name, _ := strings.Cut(slug, "/")
		if a, err := c.Artifact(user, name); err == nil {
			t.Errorf("%s: got %v", slug, a)
		}
		if _, err := c.CreateArtifact(user, name); err == nil {
			t.Errorf("%s was made", slug)
		}
		if found, err := c.ArtifactSearch(&atlas.ArtifactSearchOpts{User: user, Name: name, Type: "aws.ami"}); err == nil {
			t.Errorf("%s: got %v", slug, found)
		}
	}
}
