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

// ReceiveBox takes the bytes of a box, verifies that they are a box from beginning to end, and that they have the checksum
// that was announced, and makes them the build. size is what the sender announced, or -1. It can be called again with the
// same secret: the same bytes change nothing. Provider and architecture come from the box where nobody said them. It needs
// no token: the secret is enough.
//
// NotFound: the secret is wrong or too old, or the box is gone. Invalid, with nothing kept: a box that is cut short, is not
// gzip or tar, or has no metadata.json; bytes of another checksum, with both in the text; more or less than size.
// Conflict: another transfer with the same secret runs, or has brought other bytes; the version is released and has other
// bytes; the provider or architecture that the box itself names is taken. An error of r is returned as it is.
//
// What came is kept even if ctx ends after r has.
func (s *Service) ReceiveBox(ctx context.Context, secret string, size int64, r io.Reader) (BoxReceipt, error) {
	id := string(SecretDigest(secret))
	if _, busy := s.receiving.LoadOrStore(id, true); busy {
		return BoxReceipt{}, oneTransfer(Errorf(Conflict, ""))
	}
	defer s.receiving.Delete(id)
	u, err := s.boxUpload(ctx, secret)
	if err != nil {
		return BoxReceipt{}, err
	}
	if s.tooOld(u) {
		return BoxReceipt{}, errNoBoxUpload()
	}
	v, err := s.store.Version(ctx, u.Artifact, Selector{Number: u.Number})
	if err != nil {
		return BoxReceipt{}, notFound(err, "the version that the upload was for is gone")
	}
	_, announced, err := v.boxToCome(u.Component)
	if err != nil {
		return BoxReceipt{}, err
	}
	if err := s.beginBox(ctx, u.ID); err != nil {
		return BoxReceipt{}, oneTransfer(err)
	}
	came, err := s.takeBox(ctx, u.ID, announced, size, r)
	ctx = WithPrincipal(context.WithoutCancel(ctx), Principal{Name: u.CreatedBy})
	if err == nil {
		err = v.checkOther(u, came.file)
	}
	if err == nil {
		err = oneTransfer(s.blobs.Commit(ctx, u.ID, came.file.SHA256, came.file.Size))
	}
	if err != nil {
		if !errors.Is(err, errBusy) {
			_ = s.blobs.Abort(ctx, u.ID) // what stays is swept later
		}
		return BoxReceipt{}, err
	}
	version, err := s.keepBox(ctx, u, came)
	if err != nil {
		return BoxReceipt{}, err
	}
	u.Size, u.SHA256 = came.file.Size, came.file.SHA256
	return u.receipt(version), nil
}

// errBusy says that the bytes in the blob store are those of another transfer by now, which must not be disturbed.
var errBusy = errors.New("the upload is in use")

// oneTransfer gives the errors by which the blob store tells of another transfer the words of the domain.
func oneTransfer(err error) error {
	if kind := KindOf(err); kind == Conflict || kind == NotFound {
		return &Error{Kind: Conflict, Msg: "another transfer of this upload is under way; send the box again when it has ended", Err: errBusy}
	}
	return err
}

// beginBox makes the upload in the blob store anew: what was sent before was not finished.
func (s *Service) beginBox(ctx context.Context, id string) error {
	if err := s.blobs.Abort(ctx, id); err != nil {
		return err
	}
	return s.blobs.Create(ctx, id)
}

// cameBox is a box whose bytes are there and are what was announced.
type cameBox struct {
	announced PendingBox
	file      File
	info      box.Info
}

// errRefused ends the transfer of bytes that are no box.
var errRefused = errors.New("the bytes are no box")

// takeBox puts what r has into an upload of the blob store, and verifies it on the way.
func (s *Service) takeBox(ctx context.Context, id string, announced PendingBox, size int64, r io.Reader) (cameBox, error) {
	came := cameBox{announced: announced}
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
	_, err := s.blobs.Append(ctx, id, 0, maxFileSize, io.TeeReader(r, to))
	_ = verifier.CloseWithError(err)
	wrong := <-verdict
	refused := errors.Is(err, errRefused) && wrong != nil
	if err != nil && !refused {
		return cameBox{}, oneTransfer(err)
	}
	var p problems
	p.check("box", wrong)
	if wrong == nil && announced.Component != "" && announced.Provider == "" && !providerName.MatchString(came.info.Provider) {
		p.add("box", "the provider %q in its metadata.json must have only letters, digits and . _ -, at most 64", clip(came.info.Provider))
	}
	if refused { // of the rest nothing is known
		return cameBox{}, p.err()
	}
	digest, n, err := s.blobs.Sum(context.WithoutCancel(ctx), id)
	if err != nil {
		return cameBox{}, oneTransfer(err)
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
	came.file = File{Name: boxFileName, Size: n, SHA256: digest}
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
