package registry

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"time"
)

// UploadRequest begins the transfer of one blob.
type UploadRequest struct {
	Artifact string `json:"artifact" doc:"Artifact on whose behalf the bytes are sent; needs the role publish for it."`
	Size     int64  `json:"size" doc:"Bytes to expect."`
	SHA256   string `json:"sha256" doc:"Digest of all bytes, 64 hexadecimal digits."`
}

// UploadStatus says how far a transfer is.
type UploadStatus struct {
	Upload
	// Offset is how many bytes are safe: where to go on.
	Offset int64 `json:"offset" doc:"Bytes that are safe; where to go on."`
	// Done is true when the registry has all bytes, verified. ID is empty then.
	Done bool `json:"done" doc:"The registry has all bytes; nothing is to be sent."`
}

// UploadTTL is how long an upload that was begun can be finished.
const UploadTTL = 7 * 24 * time.Hour

// BeginUpload announces the bytes of a file. When the registry has them already, and the caller has
// shown before that it has them too (it may read an artifact that has the file, or uploaded it for this one),
// the answer is Done and there is nothing to send. It needs the role publish for the artifact.
func (s *Service) BeginUpload(ctx context.Context, req UploadRequest) (UploadStatus, error) {
	var p problems
	name, err := ParseArtifactName(req.Artifact)
	p.check("artifact", err)
	digest, err := ParseDigest(req.SHA256)
	p.check("sha256", err)
	if req.Size < 0 || req.Size > maxFileSize {
		p.add("size", "%d bytes is not a possible size", req.Size)
	}
	if err := p.err(); err != nil {
		return UploadStatus{}, err
	}
	if err := requireRole(ctx, RolePublish, name); err != nil {
		return UploadStatus{}, err
	}
	if req.Size > s.maxFile {
		return UploadStatus{}, s.tooLarge()
	}
	if err := s.checkCase(ctx, s.store, name); err != nil {
		return UploadStatus{}, err
	}
	upload := Upload{Artifact: name, Size: req.Size, SHA256: digest, CreatedAt: s.time()}
	known, err := s.knowsBlob(ctx, name, digest, req.Size)
	if err != nil {
		return UploadStatus{}, err
	}
	if known {
		// The artifact that has the file may be gone before this one is published.
		err := s.store.Update(ctx, func(tx Tx) error { return tx.GrantBlob(ctx, name, digest) })
		return UploadStatus{Upload: upload, Offset: req.Size, Done: true}, err
	}
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails (crypto/rand)
	upload.ID = hex.EncodeToString(id[:])
	// The row comes first: bytes without a row would never be swept.
	if err := s.store.Update(ctx, func(tx Tx) error { return tx.PutUpload(ctx, upload) }); err != nil {
		return UploadStatus{}, err
	}
	return UploadStatus{Upload: upload}, s.blobs.Create(ctx, upload.ID)
}

func (s *Service) knowsBlob(ctx context.Context, name ArtifactName, digest Digest, size int64) (bool, error) {
	have, err := s.blobs.Stat(ctx, digest)
	if KindOf(err) == NotFound {
		return false, nil
	}
	if err != nil || have != size {
		return false, err
	}
	visible := PrincipalFrom(ctx).visibility()
	visible.Artifacts = append(slices.Clone(visible.Artifacts), name)
	return s.store.BlobVisible(ctx, digest, visible)
}

// Upload says how far a transfer is. It needs the role publish for the upload's artifact, as the
// other methods of uploads do; NotFound otherwise.
func (s *Service) Upload(ctx context.Context, id string) (UploadStatus, error) {
	upload, err := s.ownUpload(ctx, id)
	if err != nil {
		return UploadStatus{}, err
	}
	offset, err := s.blobs.Offset(ctx, id)
	return UploadStatus{Upload: upload, Offset: offset}, notFound(err, "upload %s does not exist; begin a new one", clip(id))
}

// AppendUpload adds bytes at offset and returns the new offset, also when it fails in the middle.
// Conflict: offset is not where the upload is. TooLarge: more bytes than announced.
func (s *Service) AppendUpload(ctx context.Context, id string, offset int64, r io.Reader) (int64, error) {
	upload, err := s.ownUpload(ctx, id)
	if err != nil {
		return 0, err
	}
	return s.blobs.Append(ctx, id, offset, upload.Size, r)
}

// CommitUpload verifies size and digest and makes the bytes a blob that publications of the
// upload's artifact may refer to. Conflict: bytes are still missing; what is there is kept. Invalid:
// they are not what was announced; nothing is kept.
func (s *Service) CommitUpload(ctx context.Context, id string) (UploadStatus, error) {
	upload, err := s.ownUpload(ctx, id)
	if err != nil {
		return UploadStatus{}, err
	}
	offset, err := s.blobs.Offset(ctx, id)
	if err == nil && offset < upload.Size {
		return UploadStatus{Upload: upload, Offset: offset}, &Error{
			Kind:   Conflict,
			Msg:    "the upload is not complete",
			Fields: []FieldError{{Field: "size", Message: fmt.Sprintf("%d of %d bytes are here; send the rest from offset %d, then finish the upload", offset, upload.Size, offset)}},
		}
	}
	err = s.blobs.Commit(ctx, id, upload.SHA256, upload.Size)
	if kind := KindOf(err); kind == Invalid || kind == NotFound {
		// The bytes are gone, so the upload is.
		if forget := s.forgetUpload(ctx, id); forget != nil {
			return UploadStatus{}, forget
		}
		if e, ok := errors.AsType[*Error](err); ok && kind == Invalid && len(e.Fields) == 0 {
			err = &Error{Kind: Invalid, Msg: e.Msg, Fields: []FieldError{{Field: "sha256", Message: "is not that of the bytes that were sent"}}, Err: e.Err}
		}
		return UploadStatus{}, notFound(err, "upload %s does not exist; begin a new one", clip(id))
	}
	if err != nil {
		return UploadStatus{}, err
	}
	err = s.store.Update(ctx, func(tx Tx) error {
		if err := tx.GrantBlob(ctx, upload.Artifact, upload.SHA256); err != nil {
			return err
		}
		return tx.DeleteUpload(ctx, id)
	})
	upload.ID = ""
	return UploadStatus{Upload: upload, Offset: upload.Size, Done: true}, err
}

// AbortUpload ends a transfer; its bytes are gone.
func (s *Service) AbortUpload(ctx context.Context, id string) error {
	if _, err := s.ownUpload(ctx, id); err != nil {
		return err
	}
	if err := s.blobs.Abort(ctx, id); err != nil {
		return err
	}
	return s.forgetUpload(ctx, id)
}

// ExpireUploads drops the transfers that began longer ago than [UploadTTL] and returns how many.
// The server calls it now and then; it needs no caller.
func (s *Service) ExpireUploads(ctx context.Context) (int, error) {
	dropped := 0
	for {
		before := dropped
		uploads, err := s.store.UploadsBefore(ctx, s.time().Add(-UploadTTL), 100)
		if err != nil {
			return dropped, err
		}
		for _, u := range uploads {
			err := s.blobs.Abort(ctx, u.ID)
			if KindOf(err) == Conflict {
				continue // somebody is still sending; the next sweep finds it again
			}
			if err != nil {
				return dropped, err
			}
			if err := s.giveUp(ctx, u); err != nil {
				return dropped, err
			}
			dropped++
		}
		if dropped == before {
			return dropped, nil
		}
	}
}

// giveUp forgets an upload, and the version that was held for it alone, if nothing has come to that.
func (s *Service) giveUp(ctx context.Context, u Upload) error {
	if u.Draft == nil || !u.Draft.Release || u.SHA256 != "" {
		return s.forgetUpload(ctx, u.ID)
	}
	ctx = WithPrincipal(ctx, Principal{Name: u.CreatedBy})
	return s.store.Update(ctx, func(tx Tx) error {
		if err := tx.DeleteUpload(ctx, u.ID); err != nil {
			return err
		}
		p := s.newPublishing(ctx, tx, u.Artifact)
		err := p.lockVersion(ctx, Ref{Kind: RefNumber, Number: u.Number})
		if KindOf(err) == NotFound {
			return nil
		}
		if v := p.version; err != nil || !v.Held || len(v.Builds) > 0 || len(v.Pending) > 0 {
			return err
		}
		if err := tx.DeleteVersion(ctx, u.Artifact, u.Number); err != nil {
			return err
		}
		p.event(ActionVersionDelete, nil)
		return p.recordEvents(ctx)
	})
}

func (s *Service) forgetUpload(ctx context.Context, id string) error {
	return s.store.Update(ctx, func(tx Tx) error { return tx.DeleteUpload(ctx, id) })
}

var uploadID = regexp.MustCompile(`^[0-9a-f]{32}$`)

func (s *Service) ownUpload(ctx context.Context, id string) (Upload, error) {
	if PrincipalFrom(ctx).Anonymous() {
		return Upload{}, NoToken()
	}
	if !uploadID.MatchString(id) {
		return Upload{}, Errorf(NotFound, "upload %q does not exist; begin a new one", clip(id))
	}
	upload, err := s.store.Upload(ctx, id)
	if err == nil && requireRole(ctx, RolePublish, upload.Artifact) != nil {
		err = Errorf(NotFound, "")
	}
	return upload, notFound(err, "upload %q does not exist; begin a new one", clip(id))
}

// Blob is the content of files, to be read by one caller.
type Blob struct {
	// ReadSeekCloser is an *os.File where the bytes are a local file.
	io.ReadSeekCloser
	Digest Digest
	Size   int64
}

// Blob opens the bytes of a digest. The caller closes them. It needs the right to read an artifact
// that has a file with that digest, or for which the bytes were uploaded.
func (s *Service) Blob(ctx context.Context, digest string) (Blob, error) {
	d, err := ParseDigest(digest)
	if err != nil {
		return Blob{}, BadField("digest", err)
	}
	visible, err := s.store.BlobVisible(ctx, d, PrincipalFrom(ctx).visibility())
	if err != nil {
		return Blob{}, err
	}
	if !visible {
		return Blob{}, errHidden(ctx, "no file that this token may read has the digest %s", d)
	}
	return s.openBlob(ctx, d)
}

func (s *Service) openBlob(ctx context.Context, d Digest) (Blob, error) {
	size, err := s.blobs.Stat(ctx, d)
	if err != nil {
		return Blob{}, notFound(err, "the bytes of %s are not in the registry", d)
	}
	content, err := s.blobs.Open(ctx, d)
	if err != nil {
		return Blob{}, notFound(err, "the bytes of %s are not in the registry", d)
	}
	return Blob{ReadSeekCloser: content, Digest: d, Size: size}, nil
}
