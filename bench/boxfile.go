package main

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
)

// boxMetadata is the metadata.json of every box.
const boxMetadata = `{"provider":"virtualbox","architecture":"amd64"}`

// writeBox writes a box with a disk image of size bytes, and metadata.json behind it. Gzip stores what it gets, as it does with
// an image that is compressed already, so the length of the box follows from size alone.
func writeBox(w io.Writer, image io.Reader, size int64) error {
	buffered := bufio.NewWriterSize(w, block)
	zipped, err := gzip.NewWriterLevel(buffered, gzip.NoCompression)
	if err != nil {
		return err
	}
	archive := tar.NewWriter(zipped)
	if err := archive.WriteHeader(&tar.Header{Name: "box-disk001.vmdk", Mode: 0o644, Size: size}); err != nil {
		return err
	}
	if _, err := io.CopyBuffer(struct{ io.Writer }{archive}, io.LimitReader(image, size), make([]byte, block)); err != nil {
		return err
	}
	if err := archive.WriteHeader(&tar.Header{Name: "metadata.json", Mode: 0o644, Size: int64(len(boxMetadata))}); err != nil {
		return err
	}
	if _, err := io.WriteString(archive, boxMetadata); err != nil {
		return err
	}
	return errors.Join(archive.Close(), zipped.Close(), buffered.Flush())
}

// randomImage gives bytes that cannot be compressed, and never ends.
func randomImage() io.Reader { return rand.NewChaCha8([32]byte{seed % 256}) }

// newBox makes a file that is a box.
func newBox(dir string, size int64) (c *content, err error) {
	file, err := os.Create(filepath.Join(dir, "vagrant.box"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := writeBox(file, randomImage(), size); err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	return &content{path: file.Name(), size: info.Size()}, nil
}

// boxLength is the length of a box with a disk image of size bytes.
func boxLength(size int64) (int64, error) {
	var n counter
	err := writeBox(&n, zeros{}, size)
	return int64(n), err
}

// streamBox gives a box that is made while it is read. Closing it ends the making.
func streamBox(size int64) io.ReadCloser {
	r, w := io.Pipe()
	go func() { _ = w.CloseWithError(writeBox(w, randomImage(), size)) }() // never fails (io.PipeWriter)
	return r
}

type counter int64

func (n *counter) Write(p []byte) (int, error) {
	*n += counter(len(p))
	return len(p), nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
