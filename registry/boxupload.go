package registry

import (
	"context"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry/box"
)

// AnnouncedTTL is how long after it was granted the upload of a build that was announced can begin.
const AnnouncedTTL = 6 * time.Hour

// boxFileName is what the file of a box is called whose bytes came by such an upload.
const boxFileName = "vagrant.box"

// GrantBoxUpload returns a secret with which the bytes of one box can be sent, by whoever has it, for [AnnouncedTTL]. The
// box is pending, or a build: once its version is released, the bytes that it has can be sent again by a publisher who
// never got the answer, and others are refused when they have come. It needs the role publish. The registry keeps the
// secret's digest only. NotFound: there is no such box.
func (s *Service) GrantBoxUpload(ctx context.Context, name, ref, component string) (secret string, err error) {
	n, r, err := publisherTarget(ctx, name, ref)
	if err != nil {
		return "", err
	}
	secret = uploadSecret()
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

// Arrival says what came of an upload of a build that was announced.
type Arrival struct {
	Artifact  ArtifactName
	Version   VersionID
	Component string
	// File is empty as long as the bytes did not come.
	File File
}

// BoxUpload says what came of the upload with a secret. NotFound: the secret is wrong, or too old, and nothing came; the
// version is gone.
func (s *Service) BoxUpload(ctx context.Context, secret string) (Arrival, error) {
	u, err := s.announcedUpload(ctx, secret)
	if err != nil {
		return Arrival{}, err
	}
	if u.SHA256 == "" && s.tooOld(u) {
		return Arrival{}, errNoUpload()
	}
	v, err := s.store.Version(ctx, u.Artifact, Selector{Number: u.Number})
	if err != nil {
		return Arrival{}, notFound(err, "the version that the upload was for is gone")
	}
	return u.arrival(v.VersionID), nil
}

// announcedUpload finds what was granted with a secret.
func (s *Service) announcedUpload(ctx context.Context, secret string) (Upload, error) {
	u, err := s.store.Upload(ctx, string(SecretDigest(secret)))
	if err == nil && u.Number == 0 || KindOf(err) == NotFound {
		err = errNoUpload()
	}
	return u, err
}

func errNoUpload() error {
	return Errorf(NotFound, "this upload does not exist, or is too old; ask for a new one")
}

// tooOld says whether an upload of a box cannot begin any more.
func (s *Service) tooOld(u Upload) bool { return s.time().After(u.CreatedAt.Add(AnnouncedTTL)) }

func (u Upload) arrival(v VersionID) Arrival {
	r := Arrival{Artifact: u.Artifact, Version: v, Component: u.Component}
	if u.SHA256 != "" {
		r.File = u.file()
	}
	return r
}

func (u Upload) file() File { return File{Name: u.fileName(), Size: u.Size, SHA256: u.SHA256} }

func (u Upload) fileName() string {
	if u.Draft != nil {
		return u.Draft.File
	}
	return boxFileName
}

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

// fill takes provider and architecture from the box where nobody said them. An architecture that another box of the
// version has stays unsaid.
func (c arrived) fill(v Version, b *Build) {
	if b.Provider == "" {
		b.Provider = c.info.Provider
	}
	said := box.Architecture(c.info.Architecture)
	if b.Architecture == "" && architectureName.MatchString(said) && v.twin(b.Component, b.Provider, said) == "" {
		b.Architecture = said
	}
}
