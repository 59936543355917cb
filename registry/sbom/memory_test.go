package sbom

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
)

// generated is a document that nobody holds in memory: head, n parts, tail. It measures the live memory of
// who reads it.
type generated struct {
	head, tail string
	part       func(i int) string
	size       int64

	rest   string
	sent   int64
	i      int
	state  int
	checks int64
	most   uint64
}

func (g *generated) Read(p []byte) (int, error) {
	if g.sent >= g.checks {
		g.checks += 8 << 20
		g.most = max(g.most, live())
	}
	for g.rest == "" {
		switch {
		case g.state == 0:
			g.rest, g.state = g.head, 1
		case g.state == 1 && g.sent < g.size:
			g.rest = g.part(g.i)
			g.i++
		case g.state == 1:
			g.rest, g.state = g.tail, 2
		default:
			return 0, io.EOF
		}
	}
	n := copy(p, g.rest)
	g.rest = g.rest[n:]
	g.sent += int64(n)
	return n, nil
}

func live() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestMemoryDoesNotGrowWithTheDocument reads 50 MiB of CycloneDX, and 20 MiB of the others to save time. Only the hashes of identifiers may
// stay, of which there is one for every 200 bytes or more.
func TestMemoryDoesNotGrowWithTheDocument(t *testing.T) {
	padding := strings.Repeat("x", 150)
	const cdx = `{"bomFormat":"CycloneDX","specVersion":"1.6","components":[{"type":"library","name":"first"}`
	for name, c := range map[string]struct {
		g     generated
		bound uint64
	}{
		"CycloneDX JSON": {generated{head: cdx, tail: "]}", part: func(i int) string {
			return fmt.Sprintf(`,{"type":"library","name":"part %d","bom-ref":"ref-%d","description":"%s"}`, i, i, padding)
		}}, 16 << 20},
		"JSON without identifiers": {generated{head: cdx, tail: "]}", part: func(i int) string {
			return fmt.Sprintf(`,{"type":"library","name":"part %d","description":"%s"}`, i, padding)
		}}, 1 << 20},
		"JSON of one long text": {generated{head: cdx + `],"x":"`, tail: `"}`, part: func(int) string { return padding }}, 1 << 20},
		"JSON of nothing but mistakes": {generated{head: cdx, tail: "]}", part: func(int) string {
			return `,{"type":"gadget"},7,{"name":{"x":"` + padding + `"}}`
		}}, 1 << 20},
		"CycloneDX XML": {generated{
			head: `<bom xmlns="http://cyclonedx.org/schema/bom/1.6"><components>`, tail: "</components></bom>",
			part: func(i int) string {
				return fmt.Sprintf(`<component type="file"><name>part %d</name><description>%s</description></component>`, i, padding)
			}}, 1 << 20},
		"SPDX tag-value": {generated{
			head: "SPDXVersion: SPDX-2.3\nDataLicense: CC0-1.0\nSPDXID: SPDXRef-DOCUMENT\nDocumentName: x\n" +
				"DocumentNamespace: urn:x\nCreator: Tool: x\nCreated: 2026-01-31T12:00:00Z\n",
			part: func(i int) string {
				return fmt.Sprintf("PackageName: p\nSPDXID: SPDXRef-%d\nPackageDownloadLocation: NONE\nPackageComment: <text>%s\n%s</text>\n", i, padding, padding)
			}}, 16 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			g := c.g
			g.size = 20 << 20
			if name == "CycloneDX JSON" {
				g.size = 50 << 20
			}
			before := live()
			d, err := Read(&g)
			wantMistakes := strings.Contains(name, "mistakes")
			if wantMistakes != (err != nil) {
				t.Fatalf("got %v, %v", d, err)
			}
			if grown := int64(g.most) - int64(before); grown > int64(c.bound) {
				t.Errorf("%d MiB took %d KiB of live memory; at most %d KiB were expected", g.sent>>20, grown>>10, c.bound>>10)
			} else {
				t.Logf("%d components, %d KiB of live memory", d.Components, grown>>10)
			}
		})
	}
}

func TestTooLargeIsRefused(t *testing.T) {
	for name, head := range map[string]string{
		"JSON": `{"x":"`, "XML": `<bom xmlns="http://cyclonedx.org/schema/bom/1.6">`, "tag-value": "SPDXVersion: SPDX-2.3\n#",
	} {
		t.Run(name, func(t *testing.T) {
			line := strings.Repeat("x", 1<<10)
			switch name {
			case "XML":
				line += "<a/>"
			case "tag-value":
				line += "\n#"
			}
			_, err := Read(&generated{head: head, size: MaxSize + 1, part: func(int) string { return line }})
			const want = "is larger than 64 MiB, the most that is read of an SBOM; attach it as a document"
			if err == nil || err.Error() != want {
				t.Errorf("got %v, want %s", err, want)
			}
		})
	}
}

// TestLongXMLTokenIsRefused: encoding/xml would hold it, and ten times its length for its attributes.
func TestLongXMLTokenIsRefused(t *testing.T) {
	g := &generated{
		head: `<bom xmlns="http://cyclonedx.org/schema/bom/1.6"`, size: 60 << 20,
		part: func(i int) string { return fmt.Sprintf(` a%d=""`, i) },
	}
	const want = "has a tag or text of more than 4 MiB before byte 4194304; attach it as a document"
	if _, err := Read(g); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestExactlyMaxSizeIsRead(t *testing.T) {
	const head, tail = `{"bomFormat":"CycloneDX","specVersion":"1.6","x":"`, `"}`
	body := strings.Repeat("x", MaxSize-len(head)-len(tail))
	if _, err := Read(strings.NewReader(head + body + tail)); err != nil {
		t.Error(err)
	}
	if _, err := Read(strings.NewReader(head + body + tail + " ")); err == nil {
		t.Error("one byte more was read")
	}
}

func TestTooManyIdentifiersAreRefused(t *testing.T) {
	g := &generated{
		head: `{"bomFormat":"CycloneDX","specVersion":"1.6","services":[{"name":"first"}`, tail: "]}", size: 60 << 20,
		part: func(i int) string { return fmt.Sprintf(`,{"bom-ref":"%d","name":"s"}`, i) },
	}
	const want = "has more than 1048576 identifiers; split it, or attach it as a document"
	if _, err := Read(g); err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// TestAllocationsDoNotGrowWithTheDocument counts them for documents of ten and of ten thousand components.
func TestAllocationsDoNotGrowWithTheDocument(t *testing.T) {
	document := func(n int) string {
		return `{"bomFormat":"CycloneDX","specVersion":"1.6","components":[` +
			strings.Repeat(`{"type":"library","name":"x","version":"1","purl":"pkg:generic/x@1"},`, n) + `{"type":"file","name":"x"}]}`
	}
	count := func(n int) float64 {
		s := document(n)
		return testing.AllocsPerRun(3, func() {
			if _, err := Read(strings.NewReader(s)); err != nil {
				t.Fatal(err)
			}
		})
	}
	few, many := count(10), count(10_000)
	if many > few+10 {
		t.Errorf("%.0f allocations for 11 components, %.0f for 10001", few, many)
	}
}
