package server_test

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func TestBadBodiesNameTheirFieldsAndStoreNothing(t *testing.T) {
	s := servertest.New(t)
	c := as(s, s.AdminToken)
	publish := appPath + "/publish"
	good := publication("run-1", "amazon-ebs.app")
	change := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%q is not in the good publication", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	tests := map[string]struct {
		method, path, body string
		status             int
		fields             []string
	}{
		"unknown fields, at every depth":     {"POST", publish, change(`"provider":"aws"`, `"provider":"aws","color":"red"`)[:len(good)+13] + `,"chanels":[]}`, 422, []string{"build.images[0].color", "chanels"}},
		"metadata with dots and brackets":    {"POST", publish, `{"fingerprint":"x","foo":1,"build":{"component":"a","type":"archive","metadata":{"app.kubernetes.io/name":"x","a[b":"x","k":5,"x.y":null},"zzz":1}}`, 422, []string{`build.metadata["k"]`, `build.metadata["x.y"]`, "build.zzz", "foo"}},
		"a metadata key that is there twice": {"POST", publish, change(`"type":"aws.ami"`, `"type":"aws.ami","metadata":{"a.b":"1","a.b":"2"}`), 400, []string{`build.metadata["a.b"]`}},
		"an empty key":                       {"POST", publish, change(`"type":"aws.ami"`, `"type":"aws.ami","":1`), 422, []string{`build[""]`}},
		"another case of a field's name":     {"POST", publish, change(`"fingerprint"`, `"Fingerprint"`), 422, []string{"Fingerprint", "fingerprint"}},
		"wrong types":                        {"POST", publish, `{"fingerprint":5,"channels":"staging","build":{"component":[],"type":null,"images":{}}}`, 422, []string{"build.component", "build.images", "build.type", "channels", "fingerprint"}},
		"null for an object":                 {"POST", publish, `{"fingerprint":"x","build":null}`, 422, []string{"build"}},
		"an array for an object":             {"POST", publish, `[]`, 422, []string{"body"}},
		"a string for an object":             {"POST", publish, `"x"`, 422, []string{"body"}},
		"missing fields":                     {"POST", publish, `{"build":{"images":[{}]}}`, 422, []string{"build.component", "build.images[0].id", "build.images[0].provider", "build.type", "fingerprint"}},
		"bad values, all at once":            {"POST", publish, strings.NewReplacer("ami-0e1", "ami_0e1", "us-east-1", "mars", "run-1", "run 1").Replace(good), 422, []string{"build.images[0].id", "build.images[1].region", "fingerprint"}},
		"a key that is there twice":          {"POST", publish, change(`"type":"aws.ami"`, `"type":"aws.ami","type":"archive"`), 400, []string{"build.type"}},
		"a number that is not whole":         {"POST", "/v1/uploads", `{"artifact":"cargomedia/app","size":1.5,"sha256":"x"}`, 400, []string{"size"}},
		"a number in scientific form":        {"POST", "/v1/uploads", `{"artifact":"cargomedia/app","size":1e3,"sha256":"x"}`, 400, []string{"size"}},
		"a number beyond 64 bits":            {"POST", "/v1/uploads", `{"artifact":"cargomedia/app","size":18446744073709551616,"sha256":"x"}`, 400, []string{"size"}},
		"a negative size, a bad digest":      {"POST", "/v1/uploads", `{"artifact":"cargomedia","size":-1,"sha256":"x"}`, 422, []string{"artifact", "sha256", "size"}},
		"no JSON":                            {"POST", publish, `fingerprint=run-1`, 400, []string{"body"}},
		"JSON that ends too early":           {"POST", publish, good[:40], 400, []string{"body"}},
		"something after the JSON":           {"POST", publish, good + `{}`, 400, []string{"body"}},
		"a stray bracket after it":           {"POST", publish, good + `]`, 400, []string{"body"}},
		"only space":                         {"POST", publish, "  \n", 400, []string{"body"}},
		"an empty body":                      {"POST", publish, "", 400, []string{"body"}},
		"invalid UTF-8 in a value":           {"POST", publish, change("amazon-ebs.app", "amazon-\xff"), 400, []string{"body"}},
		"invalid UTF-8 in a key":             {"POST", publish, change(`"fingerprint"`, "\"finger\xc3print\""), 400, []string{"body"}},
		"half of a surrogate pair":           {"POST", publish, change("amazon-ebs.app", `\ud83d.app`), 400, []string{"body"}},
		"NUL in a value":                     {"POST", publish, change("amazon-ebs.app", `amazon\u0000`), 422, []string{"build.component"}},
		"nesting without end":                {"POST", publish, strings.Repeat("[", 5000) + strings.Repeat("]", 5000), 400, []string{"body"}},
		"a body that is too large":           {"POST", publish, change("amazon-ebs.app", strings.Repeat("x", 4<<20)), 413, []string{"body"}},
		"a description that is too long":     {"PUT", appPath, `{"description":"` + strings.Repeat("x", 4097) + `"}`, 422, []string{"description"}},
		"a time that is none":                {"POST", "/v1/tokens", `{"name":"x","role":"read","scopes":["*"],"expires_at":"tomorrow"}`, 422, []string{"expires_at"}},
		"a role that is none":                {"POST", "/v1/tokens", `{"name":"","role":"god","scopes":["*/x"]}`, 422, []string{"name", "name", "role", "scopes[0]"}},
		"scopes that are null":               {"POST", "/v1/tokens", `{"name":"x","role":"read","scopes":null}`, 422, []string{"scopes"}},
		"ref and rollback":                   {"PUT", appPath + "/channels/production", `{"ref":"1","rollback":true}`, 422, []string{"rollback"}},
		"a channel named latest":             {"PUT", appPath + "/channels/latest", `{"ref":"1"}`, 422, []string{"channel"}},
		"a body where none is taken":         {"POST", appPath + "/versions/1/restore", `{}`, 400, []string{"body"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			p := c.send(t, test.method, test.path, test.body).problem(t, test.status)
			got := fields(p)
			slices.Sort(got)
			if test.fields != nil && !slices.Equal(slices.Compact(got), slices.Compact(test.fields)) {
				t.Errorf("got the fields %q, want %q (%s, %+v)", got, test.fields, p.Detail, p.Fields)
			}
		})
	}
	t.Run("nothing was stored", func(t *testing.T) {
		if got := c.get(t, "/v1/artifacts").ok(t).body; got != `{"artifacts":[]}`+"\n" {
			t.Errorf("artifacts: %s", got)
		}
		if got := c.get(t, "/v1/events").ok(t).body; got != `{"events":[],"last":0}`+"\n" {
			t.Errorf("events: %s", got)
		}
		if got := decode[struct{ Tokens []registry.Token }](t, c.get(t, "/v1/tokens").ok(t)); len(got.Tokens) != 1 {
			t.Errorf("tokens: %+v", got)
		}
	})
}

func TestUnknownFieldsAreAnsweredWithThoseThereAre(t *testing.T) {
	s := servertest.New(t)
	p := as(s, s.AdminToken).send(t, "POST", appPath+"/publish",
		`{"fingerprint":"x","chanels":[],"build":{"component":"a","type":"archive","created_at":null,"files":[{"name":"a","hash":"b"}],"metadatas":{}}}`).problem(t, 422)
	want := map[string]string{
		"chanels":             "is not a field of this object; it has build, built_at, channels, expect, fingerprint, version, version_metadata",
		"build.metadatas":     "is not a field of this object; it has architecture, attachments, component, default_architecture, files, images, metadata, provenance, provider, type",
		"build.files[0].hash": "is not a field of this object; it has name, sha256, size",
	}
	for _, f := range p.Fields {
		if text, ok := want[f.Field]; ok && text == f.Message {
			delete(want, f.Field)
		}
	}
	if len(want) > 0 {
		t.Errorf("not answered: %q\ngot %+v", want, p.Fields)
	}
}

func TestLargestBodyFits(t *testing.T) {
	s := servertest.New(t)
	c := as(s, s.AdminToken)
	body := publication("run-1", "amazon-ebs.app")
	body += strings.Repeat(" ", 4<<20-len(body))
	c.send(t, "POST", appPath+"/publish", body).ok(t)
	c.send(t, "POST", appPath+"/publish", body+" ").problem(t, 413)
}

func TestBodyOfUnknownLengthIsLimited(t *testing.T) {
	s := servertest.New(t)
	req, _ := http.NewRequestWithContext(t.Context(), "POST", s.URL+appPath+"/publish", struct{ *bytes.Reader }{bytes.NewReader(make([]byte, 5<<20))})
	req.ContentLength = -1
	req.Header.Set("Authorization", "Bearer "+s.AdminToken)
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 413 {
		t.Errorf("got %s", resp.Status)
	}
}

func TestOtherMediaTypesAreRefused(t *testing.T) {
	s := servertest.New(t)
	c := as(s, s.AdminToken)
	for _, media := range []string{"application/x-www-form-urlencoded", "text/plain", "application/yaml", "application/json/x", ";"} {
		p := c.send(t, "POST", appPath+"/publish", publication("run-1", "x"), "Content-Type", media).problem(t, http.StatusUnsupportedMediaType)
		if got := fields(p); !slices.Equal(got, []string{"Content-Type"}) {
			t.Errorf("%s: fields %q", media, got)
		}
	}
	for i, media := range []string{"application/json; charset=utf-8", "Application/JSON", ""} {
		c.send(t, "POST", appPath+"/publish", publication(fmt.Sprint("run-", i), "x"), "Content-Type", media).ok(t)
	}
}

func TestBadQueriesNameTheParameter(t *testing.T) {
	s := servertest.New(t)
	c := as(s, s.AdminToken)
	c.send(t, "POST", appPath+"/publish", publication("run-1", "amazon-ebs.app")).ok(t)
	for query, test := range map[string]struct {
		status int
		fields []string
	}{
		"/v1/resolve/cargomedia/app/latest?regoin=eu-west-1":                {400, []string{"regoin"}},
		"/v1/resolve/cargomedia/app/latest?region=":                         {400, []string{"region"}},
		"/v1/resolve/cargomedia/app/latest?region=eu-west-1&region=us-east": {400, []string{"region"}},
		"/v1/resolve/cargomedia/app/latest?metadata.=x":                     {400, []string{"metadata."}},
		"/v1/resolve/cargomedia/app/latest?Region=x&zone=y":                 {400, []string{"Region", "zone"}},
		"/v1/resolve/cargomedia/app/latest?region=%ff":                      {400, []string{"region"}},
		"/v1/resolve/cargomedia/app/latest?region=%00":                      {400, []string{"region"}},
		"/v1/resolve/cargomedia/app/latest?region=%zz":                      {400, []string{"query"}},
		"/v1/resolve/cargomedia/app/latest?a;b":                             {400, []string{"query"}},
		"/v1/resolve/cargomedia/app/latest?type=aws.amy":                    {422, []string{"type"}},
		"/v1/artifacts?limit=ten":                                           {400, []string{"limit"}},
		"/v1/artifacts?limit=501":                                           {422, []string{"limit"}},
		"/v1/artifacts?limit=0":                                             {422, []string{"limit"}},
		"/v1/artifacts?limit=-1":                                            {422, []string{"limit"}},
		"/v1/artifacts/cargomedia/app/versions?limit=-1&type=x":             {422, []string{"limit", "type"}},
		"/v1/artifacts/cargomedia/app/versions?limit=0&cursor=eA":           {422, []string{"cursor", "limit"}},
		"/v1/artifacts?cursor=%21%21":                                       {422, []string{"cursor"}},
		"/v1/artifacts?namespace=a%2Fb&type=x":                              {422, []string{"namespace", "type"}},
		"/v1/artifacts/cargomedia/app?verbose=1":                            {400, []string{"verbose"}},
		"/v1/artifacts/cargomedia/app/versions?offered=maybe":               {400, []string{"offered"}},
		"/v1/artifacts/cargomedia/app/versions?cursor=eA":                   {422, []string{"cursor"}},
		"/v1/events?after=x&limit=y":                                        {400, []string{"after", "limit"}},
		"/v1/events?limit=0":                                                {422, []string{"limit"}},
		"/v1/events?after=-1":                                               {422, []string{"after"}},
		"/v1/blobs/abc?download=1":                                          {400, []string{"download"}},
	} {
		p := c.get(t, query).problem(t, test.status)
		got := fields(p)
		slices.Sort(got)
		if !slices.Equal(got, test.fields) {
			t.Errorf("%s: fields %q, want %q (%s)", query, got, test.fields, p.Detail)
		}
	}
}
