package registry

import (
	"context"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"hash"
	"io"

	"github.com/cargomedia/packer-plugin-almanac/registry/box"
)

// arrived is a file whose bytes are there and, for a box, are what was announced.
type arrived struct {
	announced PendingBox
	file      File
	info      box.Info
}

// errRefused ends the transfer of bytes that are no box.
var errRefused = errors.New("the bytes are no box")

// takeBox puts what r has into an upload of the blob store, and verifies it on the way.
func (s *Service) takeBox(ctx context.Context, id string, announced PendingBox, size int64, r io.Reader) (arrived, error) {
	came := arrived{announced: announced}
	sum := newChecksum(announced.ChecksumType)
	pipe, verifier := io.Pipe()
	defer verifier.Close() // also when r panics
	verdict := make(chan error, 1)
	go func() {
		info, err := box.Verify(pipe)
		came.info = info
		_ = pipe.CloseWithError(errRefused)
		verdict <- err
	}()
	to := io.Writer(verifier)
	if sum != nil {
		to = io.MultiWriter(sum, verifier)
	}
	_, err := s.blobs.Append(ctx, id, 0, s.maxFile, io.TeeReader(r, to))
	_ = verifier.CloseWithError(err)
	wrong := <-verdict
	refused := errors.Is(err, errRefused) && wrong != nil
	if err != nil && !refused {
		return arrived{}, s.broken(err)
	}
	var p problems
	p.check("box", wrong)
	if wrong == nil && announced.Component != "" && announced.Provider == "" && !providerName.MatchString(came.info.Provider) {
		p.add("box", "the provider %q in its metadata.json must have only letters, digits and . _ -, at most 64", clip(came.info.Provider))
	}
	if refused { // of the rest nothing is known
		return arrived{}, p.err()
	}
	digest, n, err := s.blobs.Sum(context.WithoutCancel(ctx), id)
	if err != nil {
		return arrived{}, oneTransfer(err)
	}
	if size >= 0 && n != size {
		p.add("size", "%d bytes were announced, and %d came", size, n)
	}
	got := string(digest)
	if sum != nil {
		got = hex.EncodeToString(sum.Sum(nil))
	}
	if announced.Checksum != "" && got != announced.Checksum {
		p.add("checksum", "the %s of the bytes is %s; %s was announced", announced.ChecksumType, got, announced.Checksum)
	}
	came.file = File{Size: n, SHA256: digest}
	return came, p.err()
}

// newChecksum computes a checksum that the blob store does not; nil for one that it does, or none.
func newChecksum(typ string) hash.Hash {
	switch typ {
	case "md5":
		return md5.New()
	case "sha1":
		return sha1.New()
	case "sha384":
		return sha512.New384()
	case "sha512":
		return sha512.New()
	}
	return nil
}
