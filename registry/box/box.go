// Package box reads what a Vagrant box says of itself: the metadata.json at the top of its tar
// archive, plain or gzipped (Vagrant's box format, "Box Metadata").
//
//	info, err := box.ReadFile("out/app.box")
//	// info.Provider is "virtualbox"
//
// Read reads as little as it can: nothing is unpacked, and reading stops at metadata.json. [Verify] reads a
// box to its end, and holds it to its checksums. The package imports the standard library only.
package box

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
	"unicode/utf8"
)

// Info is what metadata.json holds that a catalog needs. Other members are not looked at.
type Info struct {
	// Provider is the Vagrant provider, such as virtualbox; never empty.
	Provider string
	// Architecture is such as amd64; empty when the box does not say it, as most did before Vagrant 2.4.
	Architecture string
}

// Limits of what is read from a box that somebody else made.
const (
	maxMetadata = 1 << 20   // bytes of metadata.json; real ones have less than a hundred
	maxEntries  = 10_000    // archive members before metadata.json
	maxUnpacked = 256 << 30 // bytes of all members before metadata.json
)

// ReadFile reads the box in a file. Errors of reading the file are those of package os; all others
// say in one sentence what is wrong with the box, without its path.
func ReadFile(name string) (Info, error) {
	f, err := os.Open(name)
	if err != nil {
		return Info{}, err
	}
	defer f.Close()
	if stat, err := f.Stat(); err != nil {
		return Info{}, err
	} else if !stat.Mode().IsRegular() {
		return Info{}, errors.New("it is not a regular file")
	}
	return Read(f)
}

// Read reads the box that r holds, up to the end of its metadata.json. A member that is an
// io.Seeker is skipped without being read where the box is a plain tar archive.
func Read(r io.Reader) (Info, error) {
	var magic [magicSize]byte
	n, err := io.ReadFull(r, magic[:])
	if err != nil && err != io.ErrUnexpectedEOF && err != io.EOF {
		return Info{}, err
	}
	head := magic[:n]
	if err := checkFormat(head); err != nil {
		return Info{}, err
	}
	content, err := rewound(r, head)
	if err != nil {
		return Info{}, err
	}
	if !isGzip(head) {
		return find(tar.NewReader(content), notTar)
	}
	unzipped, err := unzip(content)
	if err != nil {
		return Info{}, err
	}
	return find(tar.NewReader(io.LimitReader(unzipped, maxUnpacked)), notTarInside)
}

const (
	notTar       = "it is not a tar archive, plain or gzipped"
	notTarInside = "it is gzipped, but not a tar archive inside"
)

// magicSize is how many bytes tell the format of a file.
const magicSize = 6

// checkFormat refuses what is no box by its first bytes.
func checkFormat(head []byte) error {
	if other := otherFormat(head); other != "" {
		return fmt.Errorf("it is %s; a box must be a tar archive, plain or gzipped", other)
	}
	return nil
}

func isGzip(head []byte) bool { return bytes.HasPrefix(head, []byte{0x1f, 0x8b}) }

func unzip(content io.Reader) (*gzip.Reader, error) {
	unzipped, err := gzip.NewReader(content)
	if err != nil {
		return nil, fmt.Errorf("its gzip header is broken: %w", plain(err))
	}
	return unzipped, nil
}

// rewound returns a reader over all of r, of which head was read.
func rewound(r io.Reader, head []byte) (io.Reader, error) {
	if s, ok := r.(io.Seeker); ok {
		if _, err := s.Seek(-int64(len(head)), io.SeekCurrent); err == nil {
			return r, nil
		}
	}
	return bufio.NewReader(io.MultiReader(bytes.NewReader(head), r)), nil
}

// otherFormat names archives that Vagrant may unpack and this package does not read, and what is no
// archive at all.
func otherFormat(head []byte) string {
	for _, format := range []struct{ magic, name string }{
		{"PK\x03\x04", "a zip archive"}, {"PK\x05\x06", "a zip archive"},
		{"\xfd7zXZ\x00", "compressed with xz"}, {"\x28\xb5\x2f\xfd", "compressed with zstd"},
		{"BZh", "compressed with bzip2"}, {"7z\xbc\xaf\x27\x1c", "a 7z archive"},
	} {
		if bytes.HasPrefix(head, []byte(format.magic)) {
			return format.name
		}
	}
	if len(head) == 0 {
		return "empty"
	}
	return ""
}

var errNoMetadata = errors.New("it has no metadata.json; a box needs one at its top, such as {\"provider\": \"virtualbox\"}")

// errBoxInside is what becomes of a plain tar that a client of Atlas sends: it packs whatever is not gzip.
var errBoxInside = errors.New("it is an archive with a box in it; send the box itself, compressed with gzip, for clients of Atlas pack a box that is not: " +
	"Packer's post-processor compress does it, and its post-processor vagrant with a compression_level above 0")

// find looks for metadata.json in a tar archive. otherwise is the error for what is none.
func find(t *tar.Reader, otherwise string) (Info, error) {
	first := ""
	for entries := 0; entries < maxEntries; entries++ {
		header, err := t.Next()
		switch {
		case err == io.EOF && entries == 0:
			return Info{}, errors.New(otherwise)
		case err == io.EOF && entries == 1 && (strings.EqualFold(path.Ext(first), ".box") || strings.EqualFold(path.Ext(first), ".tar")):
			return Info{}, errBoxInside
		case err == io.EOF:
			return Info{}, errNoMetadata
		case errors.Is(err, tar.ErrHeader) && entries == 0:
			return Info{}, errors.New(otherwise)
		case err == io.ErrUnexpectedEOF && entries == 0 && otherwise == notTar:
			// Less than one block, and nothing unpacks it, which would have noticed a cut.
			return Info{}, errors.New(notTar + ", or it is cut short in its first 512 bytes")
		case err != nil:
			return Info{}, fmt.Errorf("it is broken or cut short before its metadata.json: %w", plain(err))
		}
		if entries == 0 {
			first = header.Name
		}
		if path.Clean(header.Name) != "metadata.json" {
			continue
		}
		if header.Typeflag != tar.TypeReg {
			return Info{}, errors.New("its metadata.json is not a regular file")
		}
		if header.Size > maxMetadata {
			return Info{}, fmt.Errorf("its metadata.json has %d bytes; at most %d are read", header.Size, maxMetadata)
		}
		content, err := io.ReadAll(io.LimitReader(t, maxMetadata))
		if err != nil {
			return Info{}, fmt.Errorf("it is broken or cut short in its metadata.json: %w", plain(err))
		}
		return parse(content)
	}
	return Info{}, fmt.Errorf("it has no metadata.json among its first %d members", maxEntries)
}

// parse reads the content of metadata.json.
func parse(content []byte) (Info, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(content, &members); err != nil {
		return Info{}, fmt.Errorf("its metadata.json is not a JSON object: %w", err)
	}
	var info Info
	for _, member := range []struct {
		key string
		to  *string
	}{{"provider", &info.Provider}, {"architecture", &info.Architecture}} {
		raw, ok := members[member.key]
		if !ok || string(raw) == "null" {
			continue
		}
		if err := json.Unmarshal(raw, member.to); err != nil {
			return Info{}, fmt.Errorf("the %s in its metadata.json is not a string", member.key)
		}
		*member.to = strings.TrimSpace(*member.to)
		if !utf8.ValidString(*member.to) || len(*member.to) > 255 {
			return Info{}, fmt.Errorf("the %s in its metadata.json is not a name", member.key)
		}
	}
	if info.Provider == "" {
		return Info{}, errors.New("its metadata.json names no provider; it needs one, such as {\"provider\": \"virtualbox\"}")
	}
	return info, nil
}

// plain puts in words that the content ends early, or is not what its checksum says.
func plain(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return errors.New("the file ends too early")
	case errors.Is(err, gzip.ErrChecksum):
		return errors.New("its gzip checksum is wrong")
	}
	return err
}
