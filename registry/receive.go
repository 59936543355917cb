package registry

import (
	"context"
	"errors"
	"io"
	"slices"
	"strconv"
)

// Receive takes the bytes of a build that was announced, with the secret of [Service.AnnounceBuild] or
// [Service.GrantBoxUpload], and makes them the build. A box is verified from its beginning to its end, and has the checksum
// that was announced; its provider and architecture come from the box where nobody said them. size is what the sender
// announced, or -1. It can be called again with the same secret: the same bytes change nothing. It needs no token: the
// secret is enough.
//
// NotFound: the secret is wrong or too old, or the version or the box is gone. Invalid, with nothing kept: a box that is cut
// short, is not gzip or tar, or has no metadata.json; bytes of another checksum, with both in the text; more or less than
// size, or nothing. TooLarge: more than the registry takes. Conflict: another transfer with the
// same secret runs, or has brought other bytes; the build is there with other
// bytes; the provider or architecture that the box itself names is taken. An error of r is returned as it is.
//
// What came is kept even if ctx ends after r has.
func (s *Service) Receive(ctx context.Context, secret string, size int64, r io.Reader) (Arrival, error) {
	id := string(SecretDigest(secret))
	if _, busy := s.receiving.LoadOrStore(id, true); busy {
		return Arrival{}, oneTransfer(Errorf(Conflict, ""))
	}
	defer s.receiving.Delete(id)
	u, v, announced, err := s.expected(ctx, secret)
	if err != nil {
		return Arrival{}, err
	}
	if size > s.maxFile {
		return Arrival{}, s.tooLarge()
	}
	if err := s.beginReceive(ctx, u.ID); err != nil {
		return Arrival{}, oneTransfer(err)
	}
	came, err := s.take(ctx, u, announced, size, r)
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
		return Arrival{}, err
	}
	version, err := s.keep(ctx, u, came)
	if err != nil {
		return Arrival{}, err
	}
	u.Size, u.SHA256 = came.file.Size, came.file.SHA256
	return u.arrival(version), nil
}

// expected returns what the bytes with a secret are for.
func (s *Service) expected(ctx context.Context, secret string) (u Upload, v Version, announced PendingBox, err error) {
	if u, err = s.announcedUpload(ctx, secret); err != nil {
		return
	}
	if s.tooOld(u) {
		err = errNoUpload()
		return
	}
	if v, err = s.store.Version(ctx, u.Artifact, Selector{Number: u.Number}); err != nil {
		err = notFound(err, "the version that the upload was for is gone")
		return
	}
	_, announced, err = u.toCome(v)
	return
}

// toCome returns the build that the bytes of an upload make, without them, and what was said of a box before they came.
func (u Upload) toCome(v Version) (Build, PendingBox, error) {
	switch {
	case u.Draft == nil:
		return v.boxToCome(u.Component)
	case v.build(u.Component) != nil:
		return *v.build(u.Component), PendingBox{}, nil
	}
	b := u.Draft.Build
	return b, PendingBox{Component: b.Component, Provider: b.Provider, Architecture: b.Architecture}, nil
}

// errBusy says that the bytes in the blob store are those of another transfer by now, which must not be disturbed.
var errBusy = errors.New("the upload is in use")

// oneTransfer gives the errors by which the blob store tells of another transfer the words of the domain.
func oneTransfer(err error) error {
	if kind := KindOf(err); kind == Conflict || kind == NotFound {
		return &Error{Kind: Conflict, Msg: "another transfer of this upload is under way; send the file again when it has ended", Err: errBusy}
	}
	return err
}

// beginReceive makes the upload in the blob store anew: what was sent before was not finished.
func (s *Service) beginReceive(ctx context.Context, id string) error {
	if err := s.blobs.Abort(ctx, id); err != nil {
		return err
	}
	return s.blobs.Create(ctx, id)
}

// take puts what r has into an upload of the blob store, and verifies a box on the way.
func (s *Service) take(ctx context.Context, u Upload, announced PendingBox, size int64, r io.Reader) (arrived, error) {
	if u.Draft == nil || u.Draft.Build.Type == VagrantBox {
		came, err := s.takeBox(ctx, u.ID, announced, size, r)
		came.file.Name = u.fileName()
		return came, err
	}
	if _, err := s.blobs.Append(ctx, u.ID, 0, s.maxFile, r); err != nil {
		return arrived{}, s.broken(err)
	}
	digest, n, err := s.blobs.Sum(context.WithoutCancel(ctx), u.ID)
	if err != nil {
		return arrived{}, oneTransfer(err)
	}
	if n == 0 {
		return arrived{}, BadField("size", Errorf(Invalid, "no byte came; send the file"))
	}
	if size >= 0 && n != size {
		return arrived{}, BadField("size", Errorf(Invalid, "%d bytes were announced, and %d came", size, n))
	}
	return arrived{announced: announced, file: File{Name: u.fileName(), Size: n, SHA256: digest}}, nil
}

// broken is why bytes could not be taken.
func (s *Service) broken(err error) error {
	if KindOf(err) == TooLarge {
		return s.tooLarge()
	}
	return oneTransfer(err)
}

func (s *Service) tooLarge() error {
	return Errorf(TooLarge, "the file has more than %d bytes, which is the most that this registry takes", s.maxFile)
}

// checkOther refuses other bytes where the first ones count. What the upload was announced with was compared with those
// alone.
func (v Version) checkOther(u Upload, file File) error {
	if u.SHA256 != "" && u.SHA256 != file.SHA256 {
		return Errorf(Conflict, "this upload brought other bytes before: their sha256 is %s, and that of these is %s; ask for a new upload", u.SHA256, file.SHA256)
	}
	b := v.build(u.Component)
	if b != nil && !v.Held && !slices.ContainsFunc(b.Files, func(f File) bool { return f.SHA256 == file.SHA256 }) {
		return Errorf(Conflict, "version %s of %s is released with other bytes as its build %s, and what is released does not change; make another version", v.Version, v.Artifact, u.Component)
	}
	return nil
}

// keep makes bytes that are a blob the build that they were sent for.
func (s *Service) keep(ctx context.Context, u Upload, came arrived) (VersionID, error) {
	number := strconv.FormatInt(u.Number, 10)
	v, err := s.changeVersion(ctx, u.Artifact, Ref{Kind: RefNumber, Number: u.Number, Text: number}, func(p *publishing) error {
		b, announced, err := u.toCome(p.version)
		if err != nil {
			return err
		}
		if announced.Component != "" && announced.says() != came.announced.says() {
			return Errorf(Conflict, "box %s was announced anew while its bytes came; send them again", u.Component)
		}
		if err := p.version.checkOther(u, came.file); err != nil {
			return err
		}
		if !slices.ContainsFunc(b.Files, func(f File) bool { return f.SHA256 == came.file.SHA256 }) {
			if b.Type == VagrantBox && len(b.Files) == 0 {
				came.fill(p.version, &b)
			}
			b.Files = []File{came.file}
			p.pub.Build = b
			if err := p.putArrived(ctx); err != nil {
				return err
			}
		}
		if u.Draft != nil && u.Draft.Release && p.version.Held {
			p.version.Held, p.changed = false, true
			p.event(ActionVersionRelease, nil)
		}
		kept := u
		kept.Size, kept.SHA256 = came.file.Size, came.file.SHA256
		return p.tx.PutUpload(ctx, kept)
	})
	return v.VersionID, err
}

// putArrived records the build whose bytes came.
func (p *publishing) putArrived(ctx context.Context) error {
	if p.pub.Build.Type == VagrantBox {
		p.pub.Build.Images = nil // a box that was elsewhere is here now
		return p.putBox(ctx)
	}
	if p.version.build(p.pub.Build.Component) != nil {
		return p.checkRoom(p.pub.Build)
	}
	_, err := p.addBuild(ctx)
	return err
}
