package sbom

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
)

// MaxSize is how many bytes of a document are read.
const MaxSize = 64 << 20

// Document is what a bill of materials says of itself.
type Document struct {
	// Standard is CycloneDX or SPDX, Version that of its specification.
	Standard, Version string
	// Encoding is json, xml or tag-value.
	Encoding string
	// Components is how many components (CycloneDX) or packages (SPDX) it lists, at any depth. The
	// component that a CycloneDX document is about (metadata.component) is none of them.
	Components int
}

// String returns standard and version, such as "CycloneDX 1.6"; "" for the zero value.
func (d Document) String() string {
	if d.Standard == "" {
		return ""
	}
	return d.Standard + " " + d.Version
}

// ReadError is an error of the reader that a document comes from. It says nothing about the document.
type ReadError struct{ Err error }

// Error completes the sentence `"name" …`.
func (e *ReadError) Error() string { return "could not be read: " + e.Err.Error() }

// Unwrap returns the error of the reader.
func (e *ReadError) Unwrap() error { return e.Err }

// flaw is why a document is refused.
type flaw string

func (f flaw) Error() string { return string(f) }

func flawf(format string, args ...any) flaw { return flaw(fmt.Sprintf(format, args...)) }

const (
	flawEmpty   = flaw("is empty")
	flawNeither = flaw("is neither CycloneDX nor SPDX; a document of another kind is attached as such, with attach")
)

// Read recognizes a document and checks it; the package comment says what is checked. The text of an error
// completes the sentence `"name" …` and names up to ten mistakes in at most 8 KiB; a document of more than ten
// thousand is not read further. A *ReadError is returned as soon as r fails. More than MaxSize bytes are an error, and so is anything after the document.
//
// Memory: a few buffers, a hash of every identifier (a million at most), and, in XML, the attributes or the text
// of one element (4 MiB at most).
func Read(r io.Reader) (Document, error) {
	head := make([]byte, 6)
	n, err := io.ReadFull(r, head)
	head = head[:n]
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return Document{}, &ReadError{err}
	}
	if err := checkMagic(head); err != nil {
		return Document{}, err
	}
	in := newSource(io.MultiReader(bytes.NewReader(head), r))
	first, err := in.start()
	if err == io.EOF {
		return Document{}, flawEmpty
	}
	if err != nil {
		return Document{}, err
	}
	switch first {
	case '{', '[', '"':
		return readJSON(in)
	case '<':
		return readXML(in)
	default:
		return readTagValue(in)
	}
}

// checkMagic recognizes, by their first bytes, files that are no UTF-8 text but that people attach.
func checkMagic(head []byte) error {
	for _, m := range []struct{ magic, says string }{
		{"\x1f\x8b", "is compressed (gzip); attach the document itself"},
		{"\x28\xb5\x2f\xfd", "is compressed (zstd); attach the document itself"},
		{"BZh", "is compressed (bzip2); attach the document itself"},
		{"\xfd7zXZ\x00", "is compressed (xz); attach the document itself"},
		{"PK\x03\x04", "is a zip archive; attach the document that is in it"},
		{"\xff\xfe", "is UTF-16 text; save it as UTF-8"},
		{"\xfe\xff", "is UTF-16 text; save it as UTF-8"},
	} {
		if bytes.HasPrefix(head, []byte(m.magic)) {
			return flaw(m.says)
		}
	}
	return nil
}

// source reads UTF-8 text and knows how far it is.
type source struct {
	*bufio.Reader
	at int64 // bytes that next returned
}

func newSource(r io.Reader) *source {
	return &source{Reader: bufio.NewReaderSize(&textReader{r: r}, 64<<10)}
}

// next returns the next byte; io.EOF after the last.
func (s *source) next() (byte, error) {
	c, err := s.ReadByte()
	if err == nil {
		s.at++
	}
	return c, err
}

// back makes the byte that next returned last the next one again.
func (s *source) back() {
	if s.UnreadByte() == nil {
		s.at--
	}
}

// start skips the byte order mark and white space, and returns the first byte after it without reading it.
func (s *source) start() (byte, error) {
	if mark, err := s.Peek(3); err == nil && string(mark) == "\ufeff" {
		_, _ = s.Discard(3) // they are in the buffer
		s.at += 3
	}
	return s.space()
}

// space skips white space, and returns the first byte after it without reading it.
func (s *source) space() (byte, error) {
	for {
		c, err := s.next()
		if err != nil {
			return 0, err
		}
		if c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			s.back()
			return c, nil
		}
	}
}
