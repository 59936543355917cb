package sbom

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"
)

const maxError = 8 << 10

const (
	cdxHead  = `{"bomFormat":"CycloneDX","specVersion":"1.6"`
	xmlHead  = `<bom xmlns="http://cyclonedx.org/schema/bom/1.6">`
	tagsHead = "SPDXVersion: SPDX-2.3\n"
)

// nested is a CycloneDX document with the items in the 496th list of components. If last is set, it says at
// its end what it is.
func nested(items string, last bool) string {
	const depth = 495
	head, end := cdxHead+`,`, `]}`
	if last {
		head, end = `{`, `],"bomFormat":"CycloneDX","specVersion":"1.6"}`
	}
	return head + `"components":[` + strings.Repeat(`{"type":"library","name":"a","components":[`, depth) + items +
		strings.Repeat(`]}`, depth) + end
}

func times(size int, part string) string { return strings.Repeat(part, size/len(part)) }

// TestMistakesTakeNoAllocations counts those of 1 MiB of mistakes, each of which is a few bytes. The documents
// say at their end what they are, so that they are read until then.
func TestMistakesTakeNoAllocations(t *testing.T) {
	for name, document := range map[string]string{
		"empty objects, deep":   nested(times(1<<20, `{},`)+`{}`, true),
		"numbers, deep":         nested(times(1<<20, `1,`)+`1`, true),
		"types that are none":   nested(times(1<<20, `{"type":"gadget"},`)+`1`, true),
		"types of later":        nested(times(1<<20, `{"type":"cryptographic-asset"},`)+`1`, true),
		"identifiers there":     nested(times(1<<20, `{"bom-ref":"a"},`)+`1`, true),
		"root fields there":     `{` + times(1<<20, `"packages":1,`) + `"spdxVersion":"SPDX-2.3"}`,
		"elements of the graph": `{"@graph":[` + times(1<<20, `{"type":"Relationship","createdBy":[]},`) + `1],"@context":"https://spdx.org/rdf/3.0.1/spdx-context.jsonld"}`,
	} {
		t.Run(name, func(t *testing.T) {
			var err error
			got := testing.AllocsPerRun(1, func() { _, err = Read(strings.NewReader(document)) })
			if err == nil || !strings.Contains(err.Error(), "with more than 10000 mistakes: ") {
				t.Errorf("got %v", err)
			}
			// One for each level, and a few for each mistake that is named.
			if got > 4_000 {
				t.Errorf("%.0f allocations", got)
			}
		})
	}
}

// counted is a reader that counts what is read of it.
type counted struct {
	io.Reader
	n int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}

func TestTooManyMistakesEndTheReading(t *testing.T) {
	const size = 8 << 20
	for name, c := range map[string]struct{ document, want string }{
		"JSON":            {nested(times(size, `{},`)+`{}`, false), "is CycloneDX 1.6 with more than 10000 mistakes: components[0]."},
		"SPDX in JSON":    {`{"spdxVersion":"SPDX-2.3","files":[` + times(size, `1,`) + `1]}`, "is SPDX 2.3 with more than 10000 mistakes: files[0] is an integer, not an object; files[1] "},
		"XML":             {xmlHead + `<components>` + times(size, `<component/>`), "is CycloneDX 1.6 with more than 10000 mistakes: bom/components/component[1]/@type is missing; "},
		"tag-value":       {tagsHead + times(size, "x\n"), "is SPDX 2.3 with more than 10000 mistakes: line 2 is no tag and value; "},
		"without version": {`{"bomFormat":"CycloneDX","components":[` + times(size, `1,`) + `1]}`, "is CycloneDX with more than 10000 mistakes: components[0] is an integer"},
		"of the future":   {`{"bomFormat":"CycloneDX","specVersion":"1.8","components":[` + times(size, `1,`) + `1]}`, `is CycloneDX "1.8" in JSON`},
	} {
		t.Run(name, func(t *testing.T) {
			r := &counted{Reader: strings.NewReader(c.document)}
			_, err := Read(r)
			if !strings.HasPrefix(textOf(err), c.want) {
				t.Errorf("got  %v\nwant %s…", err, c.want)
			}
			if r.n > 1<<20 {
				t.Errorf("%d bytes were read", r.n)
			}
		})
	}
}

// Mistakes against rules of other versions are none, however many.
func TestMistakesOfOtherVersionsDoNotEndTheReading(t *testing.T) {
	document := func(version string) string {
		return `{"bomFormat":"CycloneDX","specVersion":"` + version + `","version":1,"components":[` +
			strings.Repeat(`{"type":"data","name":"x"},`, 2*maxMistakes) + `{"type":"data","name":"x"}]}`
	}
	if _, err := Read(strings.NewReader(document("1.6"))); err != nil {
		t.Error(err)
	}
	const want = "is CycloneDX 1.3 with more than 10000 mistakes: components[0].type is \"data\", which came with CycloneDX 1.5; components[0].version is missing; "
	if _, err := Read(strings.NewReader(document("1.3"))); !strings.HasPrefix(textOf(err), want) || !strings.HasSuffix(textOf(err), "; and more") {
		t.Errorf("got %v", err)
	}
}

// Nor are those of a standard that the document does not follow.
func TestMistakesOfOtherStandardsDoNotEndTheReading(t *testing.T) {
	document := `{"bomFormat":"CycloneDX","specVersion":"1.6","packages":[` + strings.Repeat(`1,`, 2*maxMistakes) + `1]}`
	if _, err := Read(strings.NewReader(document)); err != nil {
		t.Error(err)
	}
}

func TestErrorsAreShort(t *testing.T) {
	control := strings.Repeat(`\u0001`, 100)
	long := strings.Repeat("é", 40_000)
	deepXML := strings.Repeat(`<`+strings.Repeat("x", 90)+`>`, 900)
	for name, document := range map[string]string{
		"deep JSON":            nested(strings.Repeat(`{},`, 20)+`{}`, false),
		"long names":           `{"specVersion":"1.6","components":[` + strings.Repeat(`{"type":"`+long+`","`+long+`":1},`, 20) + `1]}`,
		"control characters":   `{"specVersion":"1.6","components":[` + strings.Repeat(`{"type":"`+control+`"},`, 20) + `1]}`,
		"a broken long path":   strings.Repeat(`{"`+control+`":`, 900) + `x`,
		"a long version":       `{"specVersion":"` + control + `"}`,
		"identifiers":          cdxHead + `,"services":[` + strings.Repeat(`{"bom-ref":"`+control+`"},`, 20) + `1]}`,
		"deep XML":             xmlHead + deepXML + strings.Repeat(`<components><component type="`+long+`"/></components>`, 20),
		"XML with many errors": xmlHead + deepXML + `<components>` + strings.Repeat(`<component type="x"/>`, 20_000),
		"long XML attributes":  xmlHead + `<a ` + strings.Repeat(strings.Repeat("b", 1000)+`="" `, 20) + `/></bom>`,
		"tag-value":            tagsHead + strings.Repeat("Relationship: \u200b"+strings.Repeat("\u200b", 200)+"\n", 20),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read(strings.NewReader(document))
			if s := textOf(err); err == nil || len(s) > maxError || !utf8.ValidString(s) || strings.ContainsAny(s, "\x01\n") {
				t.Errorf("got %d bytes: %q", len(s), s)
			}
		})
	}
}

func TestLongPathsLoseTheirMiddle(t *testing.T) {
	const components = "components[0].components[0].components[0].components[0].components[0].components[0].components[0]."
	for name, c := range map[string]struct{ document, want string }{
		"JSON": {nested(`{"type":"file"}`, false), "is CycloneDX 1.6 with 1 mistake: " +
			components + "…" + "." + components + "name is missing"},
		"XML": {xmlHead + strings.Repeat(`<components><component type="file"><name/>`, 100) + "<", "is incomplete XML: it ends at byte 4250 (in bom" +
			strings.Repeat("/components/component[1]", 4) + "/…" + strings.Repeat("/components/component[1]", 4) + ")"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Read(strings.NewReader(c.document)); textOf(err) != c.want {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
}

// TestNamespacesAreNotCopied has a namespace of 1 MiB and 100 000 elements of it.
func TestNamespacesAreNotCopied(t *testing.T) {
	const n = 100_000
	document := strings.Replace(xmlHead, ">", ` xmlns:a="`+strings.Repeat("n", 1<<20)+`">`, 1) + strings.Repeat("<a:x/>", n) + "</bom>"
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := Read(strings.NewReader(document)); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 64<<20 {
		t.Errorf("%d MiB were allocated", got>>20)
	}
}

// endless sends the head, then the part for ever; it counts the calls after its context ended, with whose
// error it fails, as a reader of the server does.
type endless struct {
	ctx        context.Context
	cancel     func()
	head, part string
	rest       string // of the part
	sent, late int
}

func (e *endless) Read(p []byte) (int, error) {
	if err := e.ctx.Err(); err != nil {
		e.late++
		return 0, err
	}
	n := copy(p, e.head)
	e.head = e.head[n:]
	if n == 0 {
		n = copy(p, e.rest)
		e.rest = e.rest[n:]
	}
	if e.rest == "" {
		e.rest = e.part
	}
	if e.sent += n; e.sent > 1<<20 {
		e.cancel()
	}
	return n, nil
}

func TestReaderThatFailsIsReadNoMore(t *testing.T) {
	for name, e := range map[string]endless{
		"JSON":                    {head: cdxHead + `,"components":[`, part: `{"type":"file","name":"x"},`},
		"a text":                  {head: `{"x":"`, part: `xyz\n`},
		"XML":                     {head: xmlHead, part: `<x/>`},
		"a comment":               {head: `<!-- `, part: `x`},
		"tag-value":               {head: tagsHead, part: "PackageComment: x\n"},
		"a text of several lines": {head: tagsHead + "PackageComment: <text>", part: "x\n"},
	} {
		t.Run(name, func(t *testing.T) {
			e.ctx, e.cancel = context.WithCancel(t.Context())
			defer e.cancel()
			_, err := Read(&e)
			if _, ok := errors.AsType[*ReadError](err); !ok || !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want a ReadError", err)
			}
			if e.late != 1 {
				t.Errorf("it was read %d times after its error", e.late-1)
			}
		})
	}
}

// TestReadErrorWinsOverTheCutDocument lets the reader fail after every byte of documents without flaws.
func TestReadErrorWinsOverTheCutDocument(t *testing.T) {
	for name, document := range map[string]string{
		"JSON":      cdxHead + `,"version":1,"components":[{"type":"file","name":"\ud83d\ude00"}],"x":[-1.5e+3,true,null]}`,
		"XML":       `<?xml version="1.0"?>` + xmlHead + `<!-- x --><components><component type="file"><name>x&amp;</name></component></components></bom>`,
		"tag-value": tagsHead + "DataLicense: CC0-1.0\nSPDXID: SPDXRef-DOCUMENT\nDocumentComment: <text>x\ny</text>\nCreator: Tool: x\n",
	} {
		t.Run(name, func(t *testing.T) {
			for _, broken := range []error{io.ErrUnexpectedEOF, fmt.Errorf("storage: %w", io.EOF)} {
				for i := range document {
					_, err := Read(io.MultiReader(strings.NewReader(document[:i]), failing{broken}))
					if _, ok := errors.AsType[*ReadError](err); !ok || !errors.Is(err, broken) {
						t.Errorf("after %q: got %v, want a ReadError", document[:i], err)
					}
				}
			}
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
