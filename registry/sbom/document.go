package sbom

import (
	"errors"
	"io"
	"slices"
	"strings"
)

// rootFields has the fields of the documents of all standards: a member is read when it comes, and which
// standard it was can be known at the end only. No two standards share a name.
var rootFields = [...][]field{
	cyclonedx: cycloneDXFields(),
	spdx2:     spdx2Fields(),
	spdx3:     spdx3Fields(),
}

// wrappers are members of objects that people attach instead of the document that is inside.
var wrappers = map[string]string{
	"payloadType":   "is a DSSE envelope; attach the SBOM that is its payload",
	"predicateType": "is an in-toto statement; attach the SBOM that is its predicate",
	"sbom":          "has its document in the member sbom; attach that object",
}

// readJSON reads a JSON document of any standard.
func readJSON(in *source) (Document, error) {
	w := &walker{
		jsonReader: jsonReader{in: in},
		mistakes:   newMistakes(),
		ids:        map[standard]identifiers{},
		components: map[standard]int{},
	}
	k, err := w.peek()
	if err != nil {
		return Document{}, err
	}
	hint := ""
	if k != isObject {
		err = w.value(nil)
	} else {
		err = w.object(func(name []byte) error {
			if says, ok := wrappers[string(name)]; ok {
				hint = says
			}
			return w.root(name)
		})
	}
	stopped := errors.Is(err, errStopped)
	if err != nil && !stopped {
		return Document{}, err
	}
	if !stopped {
		if err := atEnd(in, "JSON"); err != nil {
			return Document{}, err
		}
	}
	return w.document(stopped, hint)
}

// atEnd makes sure that a document is alone.
func atEnd(in *source, what string) error {
	_, err := in.space()
	if err == nil {
		return flawf("has more after the %s document, at byte %d; attach each document by itself", what, in.at)
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// root reads a member of the document.
func (w *walker) root(name []byte) error {
	for of, fields := range rootFields {
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == string(name) })
		if i < 0 {
			continue
		}
		w.of = standard(of)
		if w.seen[of]&(1<<i) != 0 {
			w.add(always, "is there twice")
		}
		w.seen[of] |= 1 << i
		err := w.value(fields[i].value)
		w.of = anyStandard
		return err
	}
	return w.value(nil)
}

// recognized reports whether the document, as far as it was read, says that it is of the standard.
func (w *walker) recognized(of standard) bool {
	has := func(name string) bool {
		i := slices.IndexFunc(rootFields[of], func(f field) bool { return f.name == name })
		return w.seen[of]&(1<<i) != 0
	}
	switch of {
	case cyclonedx:
		return has("bomFormat") || has("specVersion")
	case spdx2:
		return has("spdxVersion") || has("SPDXID")
	case spdx3:
		return w.found.context != ""
	}
	return false
}

// document says at the end what the document was, or what it is if reading it was stopped.
func (w *walker) document(stopped bool, hint string) (Document, error) {
	w.path = w.path[:0]
	isCycloneDX, isSPDX2, isSPDX3 := w.recognized(cyclonedx), w.recognized(spdx2), w.recognized(spdx3)
	d := Document{Encoding: "json"}
	switch {
	case isCycloneDX && (isSPDX2 || isSPDX3):
		return Document{}, flaw("says that it is CycloneDX and SPDX; attach one document per standard")
	case isSPDX2 && isSPDX3:
		return Document{}, flaw("says that it is SPDX 2 and SPDX 3; attach one document per version")
	case isCycloneDX:
		w.of = cyclonedx
		d.Standard, d.Version = "CycloneDX", w.found.specVersion
	case isSPDX2:
		w.of = spdx2
		d.Standard, d.Version = "SPDX", strings.TrimPrefix(w.found.spdxVersion, "SPDX-")
	case isSPDX3:
		w.of = spdx3
		d.Standard, d.Version = "SPDX", w.found.context
	case hint != "":
		return Document{}, flaw(hint)
	default:
		return Document{}, flawNeither
	}
	minor, err := supported(w.of, d)
	if err != nil {
		return Document{}, err
	}
	if !stopped {
		w.missing(rootFields[w.of], w.seen[w.of], "")
	}
	d.Components = w.components[w.of]
	return d.finish(&w.mistakes, w.of, minor)
}

// supported returns the minor version of a CycloneDX document. One that names no version has that mistake,
// and the rules of no old version; those of SPDX are the same in all versions.
func supported(of standard, d Document) (int, error) {
	if d.Version == "" {
		return always, nil
	}
	switch of {
	case cyclonedx:
		first := 0
		if d.Encoding == "json" {
			first = firstCycloneDXJSON
		}
		minor, ok := minorOf(d.Version)
		if !ok || minor < first || minor > lastCycloneDX {
			return 0, flawf("is CycloneDX %q in %s; 1.%d to 1.%d are known", d.Version, strings.ToUpper(d.Encoding), first, lastCycloneDX)
		}
		return minor, nil
	case spdx2:
		if d.Version == "2.2" || d.Version == "2.3" {
			return always, nil
		}
	case spdx3:
		if spdx3Version.MatchString(d.Version) {
			return always, nil
		}
	}
	return 0, flawf("is SPDX %q; 2.2, 2.3 and 3.0 are known", d.Version)
}

// finish returns the document if it has no mistakes.
func (d Document) finish(m *mistakes, of standard, minor int) (Document, error) {
	subject := d.String()
	if d.Version == "" {
		subject = d.Standard
	}
	if err := m.err(of, minor, subject); err != nil {
		return Document{}, err
	}
	return d, nil
}
