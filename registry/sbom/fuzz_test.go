package sbom

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

// FuzzRead checks that Read answers the same however the document arrives, and that it agrees with
// encoding/json on what is JSON.
func FuzzRead(f *testing.F) {
	for _, pattern := range []string{"good", "bad"} {
		files, err := filepath.Glob(filepath.Join("testdata", pattern, "*"))
		if err != nil || len(files) == 0 {
			f.Fatal(files, err)
		}
		for _, file := range files {
			content, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(content)
			f.Add(content[:len(content)/2])
		}
	}
	for _, s := range []string{"", "{", `{"a":[1,-0.5e+9,true,false,null,"\ud83d\ude00\n"]}`, `{"a":01}`, `{"a":"\ud800x"}`, "[1 2]", "<a", "SPDXID: <text>"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		d, err := Read(bytes.NewReader(content))
		again, errAgain := Read(iotest.OneByteReader(bytes.NewReader(content)))
		if d != again || textOf(err) != textOf(errAgain) {
			t.Errorf("at once %+v, %v; byte by byte %+v, %v", d, err, again, errAgain)
		}
		if (err == nil) != (d != Document{}) {
			t.Errorf("got %+v with error %v", d, err)
		}
		if err != nil && (!utf8.ValidString(err.Error()) || len(err.Error()) > maxError) {
			t.Errorf("error of %d bytes: %q", len(err.Error()), err)
		}
		body := bytes.TrimPrefix(content, []byte("\ufeff"))
		isJSON := json.Valid(body)
		if err == nil && d.Encoding == "json" && !isJSON {
			t.Errorf("%v was accepted, but is no JSON", d)
		}
		if isJSON && (strings.HasPrefix(textOf(err), "is broken") || strings.HasPrefix(textOf(err), "is incomplete JSON")) &&
			bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{")) {
			t.Errorf("%v, but it is JSON", err)
		}
	})
}

func textOf(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
