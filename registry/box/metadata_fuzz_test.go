package box_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/registry/box"
)

// FuzzMetadata reads any metadata.json out of a sound box, plain and gzipped, and compares with a second reading of
// the JSON.
func FuzzMetadata(f *testing.F) {
	for _, seed := range []string{
		`{"provider":"virtualbox"}`, `{"provider":"libvirt","architecture":"arm64","format":"qcow2","virtual_size":10}`, `{"provider":" vmware_desktop \n"}`,
		`{"provider":null}`, `{"provider":""}`, `{"provider":7}`, `{"provider":["x"]}`, `{"Provider":"x"}`, `{"provider":"a","provider":"b"}`, `{"provider":"a","architecture":null}`,
		`{"provider":"a","architecture":{}}`, `{"provider":"\ud800"}`, "{\"provider\":\"\xff\"}", `null`, `[]`, `""`, ``, `{"provider":"a"}x`, "\ufeff{}", `{"provider":"` + strings.Repeat("x", 256) + `"}`,
	} {
		f.Add([]byte(seed), "metadata.json")
		f.Add([]byte(seed), "./metadata.json")
	}
	f.Add([]byte(`{"provider":"x"}`), "sub/metadata.json")
	f.Fuzz(func(t *testing.T, content []byte, name string) {
		if name != "metadata.json" && name != "./metadata.json" || len(content) > 1<<20 {
			return
		}
		plain := tarOf(t, member{name: "Vagrantfile", content: "x"}, member{name: name, content: string(content)}, member{name: "metadata.json", content: `{"provider":"second"}`})
		got, err := box.Read(bytes.NewReader(plain))
		want, good := secondReading(content)
		if got != want || (err == nil) != good {
			t.Fatalf("%q: got %+v, %v; want %+v, good: %v", content, got, err, want, good)
		}
		zipped, zippedErr := box.Read(bytes.NewReader(gzipped(t, plain)))
		if zipped != got || (zippedErr == nil) != good {
			t.Fatalf("%q: gzipped it is %+v, %v", content, zipped, zippedErr)
		}
		if err != nil && (err.Error() == "" || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%q: the error %q", content, err)
		}
	})
}

// secondReading says what a metadata.json holds: an object with a provider, and perhaps an architecture.
func secondReading(content []byte) (box.Info, bool) {
	var members map[string]any
	if json.Unmarshal(content, &members) != nil {
		return box.Info{}, false
	}
	texts := map[string]string{}
	for _, key := range []string{"provider", "architecture"} {
		text, isText := members[key].(string)
		if members[key] != nil && !isText || len(strings.TrimSpace(text)) > 255 {
			return box.Info{}, false
		}
		texts[key] = strings.TrimSpace(text)
	}
	info := box.Info{Provider: texts["provider"], Architecture: texts["architecture"]}
	if info.Provider == "" {
		return box.Info{}, false
	}
	return info, true
}
