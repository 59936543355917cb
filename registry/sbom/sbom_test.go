package sbom

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/cargomedia/packer-plugin-almanac/internal/golden"
)

func TestReadAccepts(t *testing.T) {
	for name, want := range map[string]Document{
		"cyclonedx-1.2.json":     {"CycloneDX", "1.2", "json", 1},
		"cyclonedx-1.6.json":     {"CycloneDX", "1.6", "json", 3},
		"cyclonedx-1.7.json":     {"CycloneDX", "1.7", "json", 0},
		"cyclonedx-1.0.xml":      {"CycloneDX", "1.0", "xml", 1},
		"cyclonedx-1.6.xml":      {"CycloneDX", "1.6", "xml", 2},
		"spdx-2.2.json":          {"SPDX", "2.2", "json", 2},
		"spdx-2.3.json":          {"SPDX", "2.3", "json", 2},
		"spdx-2.2.spdx":          {"SPDX", "2.2", "tag-value", 1},
		"spdx-2.3.spdx":          {"SPDX", "2.3", "tag-value", 1},
		"spdx-3.0.1.json":        {"SPDX", "3.0.1", "json", 1},
		"spdx-3.0.0-inline.json": {"SPDX", "3.0.0", "json", 1},
		"byte-order-mark.json":   {"CycloneDX", "1.5", "json", 0},
	} {
		t.Run(name, func(t *testing.T) {
			f, err := os.Open(filepath.Join("testdata", "good", name))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = f.Close() }()
			got, err := Read(f)
			if err != nil || got != want {
				t.Errorf("got %+v, %v; want %+v", got, err, want)
			}
		})
	}
}

// TestMistakes compares the errors of testdata/bad with the golden file.
func TestMistakes(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "bad", "*"))
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	var b strings.Builder
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		d, err := Read(strings.NewReader(string(content)))
		if err == nil || d != (Document{}) {
			t.Errorf("%s: got %v, %v; want an error and no document", file, d, err)
			continue
		}
		fmt.Fprintf(&b, "%q %s\n\n", filepath.Base(file), strings.ReplaceAll(err.Error(), "; ", ";\n    "))
	}
	golden.Equal(t, filepath.Join("testdata", "mistakes.golden"), b.String())
}

const neither = "is neither CycloneDX nor SPDX; a document of another kind is attached as such, with attach"

func TestReadRefuses(t *testing.T) {
	const cdx = `{"bomFormat":"CycloneDX","specVersion":"1.6"`
	const xmlns = `xmlns="http://cyclonedx.org/schema/bom/`
	for name, c := range map[string]struct{ in, want string }{
		"empty":                       {"", "is empty"},
		"white space only":            {" \n\t", "is empty"},
		"gzip":                        {"\x1f\x8b\x08\x00\x00\x00\x00", "is compressed (gzip); attach the document itself"},
		"zip":                         {"PK\x03\x04....", "is a zip archive; attach the document that is in it"},
		"UTF-16":                      {"\xff\xfe{\x00", "is UTF-16 text; save it as UTF-8"},
		"binary":                      {cdx + ",\"x\":\"\x00\"}", "is not text: byte 50 is 0x00"},
		"bad UTF-8":                   {cdx + ",\"x\":\"\xc3(\"}", "is not text: byte 51 is 0x28"},
		"ends within a character":     {cdx + ",\"x\":\"\xc3", "is not text: it ends at byte 51, within a character"},
		"truncated":                   {cdx + `,"components":[{"type":"lib`, "is incomplete JSON: it ends at byte 71 (in components[0].type)"},
		"broken":                      {cdx + `,"components":[{"type":lib`, "is broken JSON: 'l' is unexpected at byte 67 (in components[0].type)"},
		"trailing comma":              {cdx + `,}`, "is broken JSON: '}' is unexpected at byte 45"},
		"two documents":               {cdx + "}\n{}", "has more after the JSON document, at byte 46; attach each document by itself"},
		"too deep":                    {`{"x":` + strings.Repeat("[", 2000), "is JSON that is more than 1000 levels deep at byte 1004"},
		"other JSON":                  {`{"name":"x","version":"1.0"}`, neither},
		"JSON list":                   {`[` + cdx + `}]`, neither},
		"plain text":                  {"Hello: world\n", neither},
		"prose":                       {"Hello world\n", neither},
		"a long line":                 {strings.Repeat("x", maxLine+1), neither},
		"YAML":                        {"spdxVersion: SPDX-2.3\n", "looks like YAML, which is not read; convert it to JSON"},
		"other XML":                   {"<html></html>", neither},
		"SPDX as RDF":                 {`<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"></rdf:RDF>`, "is neither CycloneDX nor SPDX in a form that is read; of SPDX, attach JSON or tag-value rather than XML"},
		"in-toto":                     {`{"predicateType":"https://cyclonedx.org/bom","predicate":` + cdx + `}}`, "is an in-toto statement; attach the SBOM that is its predicate"},
		"wrapped":                     {`{"sbom":{"spdxVersion":"SPDX-2.3"}}`, "has its document in the member sbom; attach that object"},
		"both":                        {cdx + `,"spdxVersion":"SPDX-2.3"}`, "says that it is CycloneDX and SPDX; attach one document per standard"},
		"both SPDX":                   {`{"@context":"https://spdx.org/rdf/3.0.1/spdx-context.jsonld","spdxVersion":"SPDX-2.3"}`, "says that it is SPDX 2 and SPDX 3; attach one document per version"},
		"CycloneDX of the future":     {`{"bomFormat":"CycloneDX","specVersion":"1.8","x":1}`, `is CycloneDX "1.8" in JSON; 1.2 to 1.7 are known`},
		"CycloneDX 1.1 in JSON":       {`{"bomFormat":"CycloneDX","specVersion":"1.1"}`, `is CycloneDX "1.1" in JSON; 1.2 to 1.7 are known`},
		"CycloneDX XML of the future": {`<bom ` + xmlns + `2.0"/>`, `is CycloneDX "2.0" in XML; 1.0 to 1.7 are known`},
		"XML without version":         {`<bom ` + xmlns + `"/>`, "is CycloneDX of no version; its namespace is http://cyclonedx.org/schema/bom/VERSION"},
		"XML without namespace":       {`<bom/>`, `is CycloneDX without a namespace; its element bom needs xmlns="http://cyclonedx.org/schema/bom/VERSION"`},
		"truncated XML":               {`<bom ` + xmlns + `1.6"><components><component>`, "is incomplete XML: it ends at byte 72 (in bom/components/component[1])"},
		"broken XML":                  {`<bom ` + xmlns + `1.6"></bob>`, "is broken XML: element <bom> closed by </bob>, at byte 55 (in bom)"},
		"XML of another encoding":     {`<?xml version="1.0" encoding="latin1"?><bom ` + xmlns + `1.6"/>`, "is XML in an encoding other than UTF-8; save it as UTF-8"},
		"XML of another version":      {`<?xml version="1.1"?><bom ` + xmlns + `1.6"/>`, "is XML of a version other than 1.0; save it as XML 1.0"},
		"XML with a DTD":              {`<!DOCTYPE bom><bom ` + xmlns + `1.6"/>`, "has a document type declaration at byte 14; attach it without"},
		"two XML documents":           {`<bom ` + xmlns + `1.6"/><bom/>`, "has more after the XML document, at byte 56; attach each document by itself"},
		"text after XML":              {`<bom ` + xmlns + `1.6"/>x`, "has more after the XML document, at byte 51; attach each document by itself"},
		"XML too deep":                {`<bom ` + xmlns + `1.6">` + strings.Repeat("<a>", 2000), "is XML that is more than 1000 levels deep at byte 3049"},
		"SPDX 2.1":                    {"SPDXVersion: SPDX-2.1\n", `is SPDX "2.1"; 2.2, 2.3 and 3.0 are known`},
		"SPDX 2.4 in JSON":            {`{"spdxVersion":"SPDX-2.4"}`, `is SPDX "2.4"; 2.2, 2.3 and 3.0 are known`},
		"SPDX 3.1":                    {`{"@context":"https://spdx.org/rdf/3.1/spdx-context.jsonld","@graph":[]}`, `is SPDX "3.1"; 2.2, 2.3 and 3.0 are known`},
		"text without end":            {"SPDXVersion: SPDX-2.3\nDocumentComment: <text>x\ny\n", "is incomplete SPDX: the <text> of line 2 has no </text>"},
		"a long line of SPDX":         {"SPDXVersion: SPDX-2.3\n" + strings.Repeat("x", maxLine+1), "is SPDX with a line of more than 1048576 bytes, line 2"},
		"missing fields of a member":  {cdx + `,"components":[{"type":"library"}]}`, "is CycloneDX 1.6 with 1 mistake: components[0].name is missing"},
		"a type of later":             {`{"bomFormat":"CycloneDX","specVersion":"1.4","version":1,"components":[{"type":"data","name":"x"}]}`, `is CycloneDX 1.4 with 1 mistake: components[0].type is "data", which came with CycloneDX 1.5`},
		"a bom-ref in another list":   {cdx + `,"components":[{"type":"library","name":"x","bom-ref":"a"}],"services":[{"name":"s","bom-ref":"\u0061"}]}`, `is CycloneDX 1.6 with 1 mistake: services[0].bom-ref is "a", which another part has`},
		"a text that is too long":     {cdx + `,"serialNumber":"` + strings.Repeat("x", maxText+1) + `"}`, "is CycloneDX 1.6 with 1 mistake: serialNumber is longer than 65536 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, r := range []struct {
				how string
				err func() error
			}{
				{"at once", func() error { _, err := Read(strings.NewReader(c.in)); return err }},
				{"with EOF", func() error { _, err := Read(iotest.DataErrReader(strings.NewReader(c.in))); return err }},
				{"half by half", func() error { _, err := Read(iotest.HalfReader(strings.NewReader(c.in))); return err }},
			} {
				if err := r.err(); err == nil || err.Error() != c.want {
					t.Errorf("%s\ngot  %v\nwant %s", r.how, err, c.want)
				}
			}
		})
	}
}

func TestReadErrorIsTheReadersOwn(t *testing.T) {
	broken := errors.New("disk on fire")
	for _, before := range []string{"", "{", `{"bomFormat":"CycloneDX"`, "<!-- a comment", "SPDXVersion: SPDX-2.3\n"} {
		_, err := Read(io.MultiReader(strings.NewReader(before), iotest.ErrReader(broken)))
		var read *ReadError
		if !errors.As(err, &read) || !errors.Is(err, broken) {
			t.Errorf("after %q: got %v, want a ReadError", before, err)
		}
	}
}

func TestStringOfZeroIsEmpty(t *testing.T) {
	if got := (Document{}).String(); got != "" {
		t.Errorf("got %q", got)
	}
	if got := (Document{Standard: "SPDX", Version: "2.3"}).String(); got != "SPDX 2.3" {
		t.Errorf("got %q", got)
	}
}
