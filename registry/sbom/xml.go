package sbom

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

const cycloneDXNamespace = "http://cyclonedx.org/schema/bom/"

// maxToken is how long a tag, a text or a comment may be: encoding/xml holds it in memory, and that of a tag of
// many attributes is a multiple of its length.
const maxToken = 4 << 20

// tokenReader is what the decoder reads from.
type tokenReader struct {
	*source
	token int // bytes since the last token
}

// ReadByte is the method that encoding/xml uses.
func (r *tokenReader) ReadByte() (byte, error) {
	if r.token++; r.token > maxToken {
		return 0, flawf("has a tag or text of more than %d MiB before byte %d; attach it as a document", maxToken>>20, r.at)
	}
	return r.next()
}

// xmlReader checks a CycloneDX document in XML. Elements of other namespaces are passed over.
type xmlReader struct {
	decoder  *xml.Decoder
	before   int64  // the bytes before the document
	space    string // the namespace of the document
	document Document
	minor    int
	open     []element
	ended    bool // the document element
	mistakes mistakes
	ids      identifiers
}

// element is one that has begun and not ended.
type element struct {
	local    string // its name without namespace
	name     string // the same if its namespace is that of the document, else foreign
	number   int    // which one of its name it is in its parent, from 1
	text     []byte // at most maxTime of the text that is directly in it, if it is wanted
	children map[string]int
}

// foreign stands for the names of other namespaces. A namespace is as long as a tag can be, and any number of
// elements can be of it: it must not be copied for each.
const foreign = " "

// maxTime is how much of the text of a timestamp is kept.
const maxTime = 4 << 10

// readXML reads an XML document.
func readXML(in *source) (Document, error) {
	tokens := &tokenReader{source: in}
	x := &xmlReader{decoder: xml.NewDecoder(tokens), before: in.at, mistakes: newMistakes(), ids: newIdentifiers()}
	x.document = Document{Standard: "CycloneDX", Encoding: "xml"}
	for !x.mistakes.tooMany(cyclonedx) {
		tokens.token = 0
		token, err := x.decoder.Token()
		if err == io.EOF {
			if !x.ended {
				return Document{}, flawNeither
			}
			break
		}
		if err != nil {
			return Document{}, x.fail(err)
		}
		if err := x.token(token); err != nil {
			return Document{}, err
		}
	}
	return x.document.finish(&x.mistakes, cyclonedx, x.minor)
}

func (x *xmlReader) at() int64 { return x.before + x.decoder.InputOffset() }

// fail explains an error of the decoder.
func (x *xmlReader) fail(err error) error {
	var syntax *xml.SyntaxError
	if errors.As(err, &syntax) {
		if x.ended {
			return flawf("has more after the XML document, at byte %d; attach each document by itself", x.at())
		}
		if syntax.Msg == "unexpected EOF" {
			return flawf("is incomplete XML: it ends at byte %d%s", x.at(), x.in())
		}
		return flawf("is broken XML: %s, at byte %d%s", clip(syntax.Msg), x.at(), x.in())
	}
	var read *ReadError
	var f flaw
	if errors.As(err, &read) || errors.As(err, &f) {
		return err
	}
	// The decoder has two other errors, both of the XML declaration.
	if strings.Contains(err.Error(), "unsupported version") {
		return flaw("is XML of a version other than 1.0; save it as XML 1.0")
	}
	return flaw("is XML in an encoding other than UTF-8; save it as UTF-8")
}

func (x *xmlReader) in() string {
	if len(x.open) == 0 {
		return ""
	}
	return " (in " + x.path() + ")"
}

// path is the XPath of the element that began last, such as bom/components/component[2], without its middle if
// it is long.
func (x *xmlReader) path() string {
	var b bytes.Buffer
	for i, e := range x.open {
		if i > 0 {
			b.WriteByte('/')
		}
		b.WriteString(clip(e.local))
		if i > 0 && isPart(e.name) {
			b.WriteString("[" + strconv.Itoa(e.number) + "]")
		}
	}
	return clipPath(b.Bytes(), '/')
}

// isPart reports whether elements of the name have brothers.
func isPart(name string) bool {
	return slices.Contains([]string{"component", "service", "dependency", "hash", "reference", "composition"}, name)
}

func (x *xmlReader) add(format string, args ...any) {
	if b := x.mistakes.count(cyclonedx, always); b != nil {
		b.note(x.at(), x.path()+fmt.Sprintf(format, args...))
	}
}

func (x *xmlReader) token(token xml.Token) error {
	switch t := token.(type) {
	case xml.Directive:
		return flawf("has a document type declaration at byte %d; attach it without", x.at())
	case xml.StartElement:
		if x.ended {
			return flawf("has more after the XML document, at byte %d; attach each document by itself", x.at())
		}
		return x.start(t)
	case xml.CharData:
		if len(x.open) == 0 {
			if strings.TrimSpace(string(t)) != "" {
				return x.stray()
			}
			return nil
		}
		if e := &x.open[len(x.open)-1]; e.name == "timestamp" {
			e.text = append(e.text, t[:min(len(t), maxTime-len(e.text))]...)
		}
	case xml.EndElement:
		x.end()
		x.open = x.open[:len(x.open)-1]
		x.ended = len(x.open) == 0
	}
	return nil
}

// stray explains text outside of the document element.
func (x *xmlReader) stray() error {
	if x.ended {
		return flawf("has more after the XML document, at byte %d; attach each document by itself", x.at())
	}
	return flawNeither
}

func (x *xmlReader) start(t xml.StartElement) error {
	if len(x.open) == 0 {
		if err := x.recognize(t.Name); err != nil {
			return err
		}
	}
	if len(x.open) == maxDepth {
		return flawf("is XML that is more than %d levels deep at byte %d", maxDepth, x.at())
	}
	e := element{local: t.Name.Local, name: t.Name.Local, number: 1}
	if t.Name.Space != x.space {
		e.name = foreign
	}
	parent := ""
	if len(x.open) > 0 {
		p := &x.open[len(x.open)-1]
		parent = p.name
		// Other names are not counted: a document can have any number of them.
		if knownElement(e.name) {
			if p.children == nil {
				p.children = map[string]int{}
			}
			p.children[e.name]++
			e.number = p.children[e.name]
		}
	}
	x.open = append(x.open, e)
	return x.attributes(t.Attr, parent)
}

func knownElement(name string) bool {
	return isPart(name) || slices.Contains([]string{"name", "url", "version", "modified", "components"}, name)
}

// recognize looks at the document element.
func (x *xmlReader) recognize(name xml.Name) error {
	version, ok := strings.CutPrefix(name.Space, cycloneDXNamespace)
	switch {
	case ok && name.Local == "bom":
	case name.Local == "bom" && name.Space == "":
		return flaw("is CycloneDX without a namespace; its element bom needs xmlns=\"" + cycloneDXNamespace + "VERSION\"")
	case name.Local == "RDF" || name.Local == "Document" || name.Local == "SpdxDocument":
		return flaw("is neither CycloneDX nor SPDX in a form that is read; of SPDX, attach JSON or tag-value rather than XML")
	default:
		return flawNeither
	}
	x.space = name.Space
	x.document.Version = clip(version)
	var err error
	if x.minor, err = supported(cyclonedx, x.document); err == nil && version == "" {
		err = flaw("is CycloneDX of no version; its namespace is " + cycloneDXNamespace + "VERSION")
	}
	return err
}

// attributes checks the attributes of the element that just began.
func (x *xmlReader) attributes(attrs []xml.Attr, parent string) error {
	e := x.open[len(x.open)-1]
	if e.name == foreign {
		return nil
	}
	has := map[string]string{}
	for _, a := range attrs {
		if a.Name.Space != "" {
			continue
		}
		if _, twice := has[a.Name.Local]; twice {
			x.add("/@%s is there twice", clip(a.Name.Local))
		}
		has[a.Name.Local] = a.Value
	}
	if ref, ok := has["bom-ref"]; ok {
		fresh, err := x.ids.add([]byte(ref))
		if err != nil {
			return err
		}
		if !fresh {
			x.add("/@bom-ref is %q, which another part has", clip(ref))
		}
	}
	switch {
	case parent == "":
		x.documentAttributes(has)
	case isComponent(e.name, parent):
		x.componentType(has)
	case e.name == "dependency" && (parent == "dependencies" || parent == "dependency"):
		x.need(has, "ref")
	case e.name == "hash" && parent == "hashes":
		x.need(has, "alg")
	case e.name == "reference" && parent == "externalReferences":
		x.need(has, "type")
	}
	return nil
}

func isComponent(name, parent string) bool {
	return name == "component" && slices.Contains([]string{"components", "metadata", "ancestors", "descendants", "variants"}, parent)
}

func (x *xmlReader) documentAttributes(has map[string]string) {
	if v, ok := has["version"]; ok {
		if _, err := strconv.Atoi(strings.TrimSpace(v)); err != nil {
			x.add("/@version is %q, not an integer", clip(v))
		}
	}
	if v, ok := has["serialNumber"]; ok {
		if problem := serialNumberProblem(v); problem != "" {
			x.add("/@serialNumber %s", problem)
		}
	}
}

func (x *xmlReader) componentType(has map[string]string) {
	typ, ok := has["type"]
	since, known := componentTypes[typ]
	switch {
	case !ok:
		x.add("/@type is missing")
	case !known:
		x.add("/@type is %q, which no version has", clip(typ))
	case since > x.minor:
		x.add("/@type is %q, which came with CycloneDX 1.%d", clip(typ), since)
	}
}

func (x *xmlReader) need(has map[string]string, name string) {
	if has[name] == "" {
		x.add("/@%s is missing", name)
	}
}

// end checks the element that ends.
func (x *xmlReader) end() {
	e := x.open[len(x.open)-1]
	parent := ""
	if len(x.open) > 1 {
		parent = x.open[len(x.open)-2].name
	}
	var children []string
	switch {
	case parent == "" && x.minor <= 1:
		children = []string{"components"}
	case isComponent(e.name, parent):
		if parent == "components" {
			x.document.Components++
		}
		children = []string{"name"}
		if x.minor <= 3 {
			children = append(children, "version")
		}
		if x.minor == 0 {
			children = append(children, "modified")
		}
	case e.name == "service" && parent == "services":
		children = []string{"name"}
	case e.name == "reference" && parent == "externalReferences":
		children = []string{"url"}
	case e.name == "timestamp" && parent == "metadata":
		if value := strings.TrimSpace(string(e.text)); !isTimestamp(value) {
			x.add(" is %q, not a time such as 2026-01-31T12:00:00Z", clip(value))
		}
	}
	for _, name := range children {
		if e.children[name] == 0 {
			x.add("/%s is missing", name)
		}
	}
}
