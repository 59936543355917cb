package atlas

import (
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// FuzzParseUpload reads any body: what is accepted has what its type needs, and what is not is said to be wrong.
func FuzzParseUpload(f *testing.F) {
	for _, seed := range []string{
		"", "{}", "null", "[]", `{"artifact_version":{}}`, `{"artifact_version":{"id":"eu-west-1:ami-1,us-east-1:ami-2","file":false,"metadata":{"region.eu-west-1":"ami-1"},"build_id":0}}`,
		`{"artifact_version":{"file":true,"metadata":{"provider":"virtualbox","version":"1.0"}}}`, `{"artifact_version":{"id":"fra1,nyc3:1","build_id":-1,"compile_id":9e9}}`,
		`{"artifact_version":{"id":":,:","metadata":{"region.":""}}}`, "{\"artifact_version\":{\"id\":\"\xff\"}}", `{"artifact_version":{"metadata":{"a":{"b":[1]}}}}`,
	} {
		for _, typ := range []string{"aws.ami", "vagrant.box", "archive", "digitalocean.image", "amazon.volume"} {
			f.Add(typ, []byte(seed))
		}
	}
	f.Fuzz(func(t *testing.T, typ string, body []byte) {
		u, err := parseUpload(typ, body)
		if err != nil {
			if registry.KindOf(err) != registry.Invalid {
				t.Fatalf("%q: %v", body, err)
			}
			return
		}
		b := u.build
		if !u.file && len(b.Images) == 0 || b.Type == registry.VagrantBox && (b.Provider == "" || !u.file) || b.Type == registry.AmazonImage && len(b.Images) == 0 {
			t.Fatalf("%q was accepted: %+v", body, u)
		}
		for key := range b.Metadata {
			if b.Type == registry.AmazonImage && strings.HasPrefix(key, "region.") {
				t.Fatalf("%q kept %q", body, key)
			}
		}
		for i := range b.Images {
			place := registry.FieldError{Field: "build.images[" + string(rune('0'+i%10)) + "].id", Message: "x"}
			if i < 10 {
				if told := placed(&registry.Error{Fields: []registry.FieldError{place}}, u.places).(*registry.Error); !strings.HasPrefix(told.Fields[0].Field, "artifact_version.") {
					t.Fatalf("%q: image %d came from %q", body, i, told.Fields[0].Field)
				}
			}
		}
	})
}

// FuzzBuildConfig reads any body of packer push: the template and the values of sensitive variables are not kept.
func FuzzBuildConfig(f *testing.F) {
	for _, seed := range []string{
		"", `{"version":{"vars":{"a":"b"}}}`, `{"version":{"metadata":{"template":"x"},"builds":[{"name":"a","type":"b"}],"packer_vars":[{"key":"k","value":"SECRET","sensitive":true}]}}`,
		`{"version":{"vars":[null,{"key":"","value":"SECRET","sensitive":1}]}}`, `{"version":{"vars":"{"}}`, `{"version":{"builds":{}}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		o, err := parseObject(body, "version")
		if err != nil {
			return
		}
		metadata := buildConfigMetadata(o)
		if _, ok := metadata["template"]; ok {
			t.Fatalf("%q kept the template", body)
		}
		for _, v := range variables(o) {
			if _, ok := metadata["var."+v.key]; v.sensitive && ok {
				t.Fatalf("%q kept the value of %q", body, v.key)
			}
		}
	})
}

// FuzzParseSearch reads any query: each condition that is accepted is one that was sent.
func FuzzParseSearch(f *testing.F) {
	for _, seed := range []string{
		"", "version=latest", "build=4&metadata.1.key=a", "metadata.1.key=a&metadata.1.value=", "metadata.1.value=b", "metadata.10.key=region.eu-west-1&metadata.10.value=ami%2D1", "metadata.region=x", ";",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		req, err := parseSearch(query)
		if err != nil {
			if registry.KindOf(err) != registry.Invalid {
				t.Fatalf("%q: %v", query, err)
			}
			return
		}
		if conditions := len(req.Metadata) + len(req.MetadataKeys); conditions > strings.Count(query, "=")+strings.Count(query, "&")+1 {
			t.Fatalf("%q has %d conditions", query, conditions)
		}
		if _, ok := req.Metadata[""]; ok {
			t.Fatalf("%q asks for metadata without a name", query)
		}
	})
}
