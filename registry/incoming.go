package registry

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// Draft is a build that was announced before its bytes came. Unlike a pending box it is written down with the upload alone,
// and nobody sees it.
type Draft struct {
	// Build has no file yet.
	Build Build `json:"build"`
	// File is the name of the file to come.
	File string `json:"file"`
	// Release says that the version is held for these bytes alone.
	Release bool `json:"release,omitempty"`
}

// Announcement is a build whose one file is sent later.
type Announcement struct {
	// Version is the semantic version; without it that is the next minor after the highest. One that is there already gets
	// the build.
	Version string
	// Description is that of a version that is made.
	Description string
	// Fingerprint is that of a version that is made, if none has it yet. Without it the version has one of its own.
	Fingerprint string
	Build       Build
	// File is the name of the file.
	File string
}

// Announced is a build that is to come.
type Announced struct {
	Version VersionID
	// Secret is what the bytes are sent with: see [Service.Receive].
	Secret string
}

// ownFingerprint begins the fingerprints of versions that are held for the bytes of an announced build.
const ownFingerprint = "upload-"

// AnnounceBuild makes a version whose build has its bytes yet to come, or announces one more build for a version that is
// there. A version that is made is held until the first bytes are there, so that nobody sees it before. The artifact is made
// if it is not there. A box whose provider is left out has the one that it names itself. It needs the role publish. Invalid:
// whatever [Service.Publish] refuses besides that, all at once; a terraform.provider; attachments. Conflict: the version has
// a build of that component, or a box of the same provider and architecture.
func (s *Service) AnnounceBuild(ctx context.Context, name string, a Announcement) (Announced, error) {
	n, err := ParseArtifactName(name)
	if err != nil {
		return Announced{}, BadField("artifact", err)
	}
	if err := requireRole(ctx, RolePublish, n); err != nil {
		return Announced{}, err
	}
	if a, err = normalizeAnnouncement(a); err != nil {
		return Announced{}, err
	}
	s.stampImages(a.Build.Images)
	secret := uploadSecret()
	var v VersionID
	err = s.store.Update(ctx, func(tx Tx) error {
		p := s.newPublishing(ctx, tx, n)
		var err error
		if p.counters, err = p.lock(ctx, tx, n, p.now); err != nil {
			return err
		}
		release, err := p.findOrHold(ctx, a)
		if err != nil {
			return err
		}
		if err := p.checkRoom(a.Build); err != nil {
			return err
		}
		v = p.version.VersionID
		err = tx.PutUpload(ctx, Upload{
			ID: string(SecretDigest(secret)), Artifact: n, Number: v.Number, Component: a.Build.Component, CreatedAt: p.now, CreatedBy: p.actor,
			Draft: &Draft{Build: a.Build, File: a.File, Release: release},
		})
		if err != nil {
			return err
		}
		return p.recordEvents(ctx)
	})
	if err != nil {
		return Announced{}, err
	}
	return Announced{Version: v, Secret: secret}, nil
}

// normalizeAnnouncement checks everything that can be checked without a store.
func normalizeAnnouncement(a Announcement) (Announcement, error) {
	var p problems
	if a.Version != "" {
		p.check("version", CheckSemver(a.Version))
	}
	if a.Fingerprint != "" {
		p.check("fingerprint", CheckFingerprint(a.Fingerprint))
	}
	p.check("description", checkVersionDescription(a.Description))
	// The file stands for the one to come, of which all but the name is known later.
	a.Build.Files = []File{{Name: a.File, SHA256: Digest(strings.Repeat("0", 64))}}
	typ, _ := ParseType(string(a.Build.Type))
	inBox := typ == VagrantBox && a.Build.Provider == ""
	if inBox {
		a.Build.Provider = "box" // stands for the one that the box names
	}
	a.Build = normalizeBuild(&p, a.Build)
	a.Build.Files = nil
	if inBox {
		a.Build.Provider = ""
	}
	if len(a.Build.Attachments) > 0 {
		p.add("build.attachments", "can be published once the bytes of the build are there")
	}
	if a.Build.Type == TerraformProvider {
		p.add("build.type", "a terraform.provider is published with its bytes there already")
	}
	return a, p.err()
}

// findOrHold finds the version that an announcement names, or makes one that is held. It says whether the version is held
// for nothing but such bytes.
func (p *publishing) findOrHold(ctx context.Context, a Announcement) (release bool, err error) {
	if a.Version != "" {
		p.version, err = p.tx.Version(ctx, p.name, Selector{Version: a.Version})
		if err == nil {
			return p.version.Held && heldForBytes(p.version.Fingerprint), nil
		}
		if KindOf(err) != NotFound {
			return false, err
		}
	}
	fingerprint := a.Fingerprint
	if fingerprint != "" {
		_, err := p.tx.Version(ctx, p.name, Selector{Fingerprint: fingerprint})
		if err == nil {
			fingerprint = ""
		} else if KindOf(err) != NotFound {
			return false, err
		}
	}
	if fingerprint == "" {
		var id [16]byte
		_, _ = rand.Read(id[:]) // never fails (crypto/rand)
		fingerprint = ownFingerprint + hex.EncodeToString(id[:])
	}
	err = p.insertVersion(ctx, Version{
		VersionID: VersionID{Version: a.Version}, Fingerprint: fingerprint, Held: true, Description: a.Description, CreatedAt: p.now,
	})
	p.event(ActionVersionOpen, nil)
	return true, err
}

// heldForBytes says whether a version of this fingerprint, while it is held, is so for bytes to come, and not because somebody wants
// to release it.
func heldForBytes(fingerprint string) bool {
	return strings.HasPrefix(fingerprint, ownFingerprint) || strings.HasPrefix(fingerprint, runFingerprint)
}

// checkRoom refuses a build that the version has already.
func (p *publishing) checkRoom(b Build) error {
	if p.version.build(b.Component) != nil {
		return Errorf(Conflict, "version %s of %s has a build %s already, and what is recorded does not change; make another version", p.version.Version, p.name, b.Component)
	}
	if b.Type != VagrantBox {
		return nil
	}
	return p.checkTwin(b.Component, b.Provider, b.Architecture)
}

// uploadSecret is a secret that stands in a URL.
func uploadSecret() string {
	var raw [32]byte
	_, _ = rand.Read(raw[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(raw[:])
}
