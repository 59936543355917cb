package sbom

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// shape is what a JSON value must be; nil allows anything.
type shape struct {
	is     kind // one of several, or of any number of them
	filled bool // the text or list must not be empty
	text   func(w *walker, text []byte) error
	each   *shape
	fields []field // of an object; others are allowed
	counts string  // objects count as components: all if "*", those of one type if it is the type
}

// field is a member of an object.
type field struct {
	name  string
	value *shape
	need  need
	alias string // another name of the same field
}

// need says when a field must be there; the zero value never.
type need struct {
	until int      // the last minor version of the standard
	types []string // only in objects of these types
}

var required = need{until: always}

func requiredUntil(minor int) need { return need{until: minor} }

func requiredOf(types ...string) need { return need{until: always, types: types} }

var (
	text    = &shape{is: isText}
	filled  = &shape{is: isText, filled: true}
	integer = &shape{is: isInteger}
)

func listOf(s *shape) *shape { return &shape{is: isList, each: s} }

// walker checks a JSON document against shapes.
type walker struct {
	jsonReader
	of         standard // whose rules are applied
	mistakes   mistakes
	seen       [spdx3 + 1]uint32 // by standard, the root fields that were there
	ids        map[standard]identifiers
	components map[standard]int
	documents  int // objects of type SpdxDocument
	found      found
}

// found is by what a standard is recognized.
type found struct {
	bomFormat, specVersion, spdxVersion, context string
}

func (w *walker) add(until int, format string, args ...any) {
	if b := w.mistakes.count(w.of, until); b != nil {
		b.note(w.in.at, w.where()+" "+fmt.Sprintf(format, args...))
	}
}

// addText is add for a text that is wrong, which it quotes; format is what comes after it.
func (w *walker) addText(until int, text []byte, format string, args ...any) {
	if b := w.mistakes.count(w.of, until); b != nil {
		b.note(w.in.at, fmt.Sprintf("%s is %q", w.where(), clip(text))+fmt.Sprintf(format, args...))
	}
}

// identify notes the identifier that was read.
func identify(w *walker, id []byte) error {
	ids, ok := w.ids[w.of]
	if !ok {
		ids = newIdentifiers()
		w.ids[w.of] = ids
	}
	fresh, err := ids.add(id)
	if err == nil && !fresh {
		w.addText(always, id, ", which another part has")
	}
	return err
}

// errStopped is returned when there are so many mistakes that the document is not read further.
var errStopped = errors.New("too many mistakes")

// value reads one value and notes what is wrong with it.
func (w *walker) value(s *shape) error {
	// The members of the document itself are read: its version may be one of them.
	if w.depth > 1 && w.mistakes.tooMany(w.of) && w.recognized(w.of) {
		return errStopped
	}
	k, err := w.peek()
	if err != nil {
		return err
	}
	switch k {
	case isObject:
		if !w.fits(s, k) {
			s = nil
		}
		return w.members(s)
	case isList:
		if !w.fits(s, k) {
			s = nil
		}
		return w.elements(s)
	}
	k, err = w.scalar(k, s != nil)
	if err != nil || !w.fits(s, k) || s == nil || k != isText {
		return err
	}
	switch {
	case w.long:
		w.add(always, "is longer than %d bytes", maxText)
	case s.filled && len(w.jsonReader.text) == 0:
		w.add(always, "is empty")
	case s.text != nil:
		return s.text(w, w.jsonReader.text)
	}
	return nil
}

func (w *walker) fits(s *shape, k kind) bool {
	if s == nil || s.is == 0 || s.is&k != 0 {
		return true
	}
	w.add(always, "is %v, not %v", k, s.is)
	return false
}

func (w *walker) elements(s *shape) error {
	var each *shape
	if s != nil {
		each = s.each
	}
	n := 0
	err := w.list(func() error { n++; return w.value(each) })
	if err == nil && n == 0 && s != nil && s.filled {
		w.add(always, "is empty")
	}
	return err
}

// members reads an object. What is wrong with the object as a whole is noted at its end, as its type may be
// its last member.
func (w *walker) members(s *shape) error {
	var fields []field
	if s != nil {
		fields = s.fields
	}
	var seen uint32
	typ := ""
	err := w.object(func(name []byte) error {
		if string(name) == "bom-ref" && w.of == cyclonedx {
			return w.bomRef()
		}
		i := slices.IndexFunc(fields, func(f field) bool {
			return string(name) == f.name || f.alias != "" && string(name) == f.alias
		})
		if i < 0 {
			return w.value(nil)
		}
		if seen&(1<<i) != 0 {
			w.add(always, "is there twice")
		}
		seen |= 1 << i
		isType := fields[i].name == "type"
		if err := w.value(fields[i].value); err != nil {
			return err
		}
		if isType {
			typ = typeName(w.jsonReader.text)
		}
		return nil
	})
	if err != nil || s == nil {
		return err
	}
	w.missing(fields, seen, typ)
	if s.counts == "*" || s.counts != "" && s.counts == typ {
		w.components[w.of]++
	}
	if w.of == spdx3 && typ == "SpdxDocument" {
		if w.documents++; w.documents == 2 {
			w.add(always, "is a second SpdxDocument")
		}
	}
	return nil
}

func (w *walker) missing(fields []field, seen uint32, typ string) {
	for i, f := range fields {
		if f.need.until == 0 || seen&(1<<i) != 0 {
			continue
		}
		if len(f.need.types) > 0 && !slices.Contains(f.need.types, typ) {
			continue
		}
		if b := w.mistakes.count(w.of, f.need.until); b != nil {
			path := strings.TrimPrefix(w.where()+"."+f.name, ".")
			b.note(w.in.at, path+" is missing")
		}
	}
}

// bomRef reads the identifier that any object of CycloneDX may have. Those of formulation and other fields
// that are not checked do not get here: documents repeat them there.
func (w *walker) bomRef() error {
	k, err := w.peek()
	if err != nil {
		return err
	}
	if k != isText {
		w.add(always, "is %v, not text", k)
		return w.value(nil)
	}
	if err := w.string(true); err != nil {
		return err
	}
	return identify(w, w.jsonReader.text)
}
