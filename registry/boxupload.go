package registry

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"slices"
	"strconv"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry/box"
)

// BoxUploadTTL is how long after it was granted an upload of a box can begin.
const BoxUploadTTL = 6 * time.Hour

// boxFileName is what the file of a box is called whose bytes came by such an upload.
const boxFileName = "vagrant.box"

// GrantBoxUpload returns a secret with which the bytes of one box can be sent, by whoever has it, for [BoxUploadTTL]. The
// box is pending, or a build: once its version is released, the bytes that it has can be sent again by a publisher who
// never got the answer, and others are refused when they have come. It needs the role publish. The registry keeps the
// secret's digest only. NotFound: there is no such box.
func (s *Service) GrantBoxUpload(ctx context.Context, name, ref, component string) (secret string, err error) {
	n, r, err := publisherTarget(ctx, name, ref)
	if err != nil {
		return "", err
	}
	var raw [32]byte
	_, _ = rand.Read(raw[:]) // never fails (crypto/rand)
	secret = base64.RawURLEncoding.EncodeToString(raw[:])
	_, err = s.changeVersion(ctx, n, r, func(p *publishing) error {
		v := p.version
		if v.pending(component) == nil && v.box(component) == nil {
			return v.noBox(component)
		}
		return p.tx.PutUpload(ctx, Upload{
			ID: string(SecretDigest(secret)), Artifact: n, Number: v.Number, Component: component, CreatedAt: p.now, CreatedBy: p.actor,
		})
	})
	if err != nil {
		return "", err
	}
	return secret, nil
}

// BoxReceipt says what came of an upload of a box.
type BoxReceipt struct {
	Artifact  ArtifactName
	Version   VersionID
	Component string
	// File is empty as long as the bytes did not come.
	File File
}

// BoxUpload says what came of the upload with a secret. NotFound: the secret is wrong, or too old, and nothing came; the
// version is gone.
func (s *Service) BoxUpload(ctx context.Context, secret string) (BoxReceipt, error) {
	u, err := s.boxUpload(ctx, secret)
	if err != nil {
		return BoxReceipt{}, err
	}
	if u.SHA256 == "" && s.tooOld(u) {
		return BoxReceipt{}, errNoBoxUpload()
	}
	v, err := s.store.Version(ctx, u.Artifact, Selector{Number: u.Number})
	if err != nil {
		return BoxReceipt{}, notFound(err, "the version that the upload was for is gone")
	}
	return u.receipt(v.VersionID), nil
}

// boxUpload finds what was granted with a secret.
func (s *Service) boxUpload(ctx context.Context, secret string) (Upload, error) {
	u, err := s.store.Upload(ctx, string(SecretDigest(secret)))
	if err == nil && u.Number == 0 || KindOf(err) == NotFound {
		err = errNoBoxUpload()
	}
	return u, err
}

func errNoBoxUpload() error {
	return Errorf(NotFound, "this upload does not exist, or is too old; ask for a new one")
}

// tooOld says whether an upload of a box cannot begin any more.
func (s *Service) tooOld(u Upload) bool { return s.time().After(u.CreatedAt.Add(BoxUploadTTL)) }

func (u Upload) receipt(v VersionID) BoxReceipt {
	r := BoxReceipt{Artifact: u.Artifact, Version: v, Component: u.Component}
	if u.SHA256 != "" {
		r.File = u.file()
	}
	return r
}

func (u Upload) file() File { return File{Name: boxFileName, Size: u.Size, SHA256: u.SHA256} }

// boxToCome returns what is recorded or announced of a box whose bytes are to come, and the announcement, which is empty
// for a box that has a build already.
func (v Version) boxToCome(component string) (Build, PendingBox, error) {
	if p := v.pending(component); p != nil {
		return Build{Component: component, Type: VagrantBox, Provider: p.Provider, Architecture: p.Architecture, Default: p.Default}, *p, nil
	}
	if b := v.box(component); b != nil {
		return *b, PendingBox{}, nil
	}
	return Build{}, PendingBox{}, Errorf(NotFound, "version %s of %s has no box %q any more", v.Version, v.Artifact, clip(component))
}

// says is what bytes were compared with when they came.
func (p PendingBox) says() PendingBox {
	return PendingBox{Component: p.Component, Provider: p.Provider, Checksum: p.Checksum, ChecksumType: p.ChecksumType}
}

// checkOther refuses other bytes where the first ones count. What the upload was announced with was compared with those
// alone.
func (v Version) checkOther(u Upload, file File) error {
	if u.SHA256 != "" && u.SHA256 != file.SHA256 {
		return Errorf(Conflict, "this upload brought other bytes before: their sha256 is %s, and that of these is %s; ask for a new upload", u.SHA256, file.SHA256)
	}
	b := v.box(u.Component)
	if b != nil && !v.Held && !slices.ContainsFunc(b.Files, func(f File) bool { return f.SHA256 == file.SHA256 }) {
		return Errorf(Conflict, "version %s of %s is released with other bytes as its box %s, and what is released does not change; make another version", v.Version, v.Artifact, u.Component)
	}
	return nil
}

// keepBox makes bytes that are a blob the build that they were sent for.
func (s *Service) keepBox(ctx context.Context, u Upload, came cameBox) (VersionID, error) {
	number := strconv.FormatInt(u.Number, 10)
	v, err := s.changeVersion(ctx, u.Artifact, Ref{Kind: RefNumber, Number: u.Number, Text: number}, func(p *publishing) error {
		b, announced, err := p.version.boxToCome(u.Component)
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
			if len(b.Files) == 0 {
				came.fill(p.version, &b)
			}
			b.Images, b.Files = nil, []File{came.file}
			p.pub.Build = b
			if err := p.putBox(ctx); err != nil {
				return err
			}
		}
		kept := u
		kept.Size, kept.SHA256 = came.file.Size, came.file.SHA256
		return p.tx.PutUpload(ctx, kept)
	})
	return v.VersionID, err
}

// fill takes provider and architecture from the box where nobody said them. An architecture that another box of the
// version has stays unsaid.
func (c cameBox) fill(v Version, b *Build) {
	if b.Provider == "" {
		b.Provider = c.info.Provider
	}
	said := box.Architecture(c.info.Architecture)
	if b.Architecture == "" && architectureName.MatchString(said) && v.twin(b.Component, b.Provider, said) == "" {
		b.Architecture = said
	}
}
