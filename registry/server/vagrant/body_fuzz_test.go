package vagrant

import (
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// FuzzParseObject reads any body as each kind of member: what is accepted is text, and what is not is said to be wrong.
func FuzzParseObject(f *testing.F) {
	for _, seed := range []string{
		"", "{}", "null", "[]", `{"box":{}}`, `{"box":null}`, `{"box":"x"}`, `{"box":{"name":1e400,"is_private":"TRUE"}}`, `{"name":{"a":1},"is_private":2}`,
		`{"checksum":"sha256:ab:cd","checksum_type":[]}`, `{"checksum":":","name":"\\ud800"}`, "{\"name\":\"\xff\"}", `{"box":{"name":"a"},"name":"b"}x`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		o, err := parseObject(body, "box")
		if err != nil {
			if o != nil || registry.KindOf(err) != registry.Invalid {
				t.Fatalf("%q: %v %v", body, o, err)
			}
			return
		}
		name, private := o.required("name", "tiny"), o.flag("is_private")
		sum, typ := checksum(o)
		if o.err() == nil && (name == "" || (sum == "") != (typ == "") || sum != "" && len(sum) != digits(hashes[typ])) {
			t.Fatalf("%q was accepted: %q %v %q %q", body, name, private, sum, typ)
		}
		if o.err() != nil && registry.KindOf(o.err()) != registry.Invalid {
			t.Fatalf("%q: %v", body, o.err())
		}
	})
}
