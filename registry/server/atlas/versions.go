package atlas

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"net/http"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// uploadArtifact makes a version of an artifact: at once, or as soon as the bytes of its file are there.
func (d *door) uploadArtifact(w http.ResponseWriter, r *http.Request) error {
	body, err := d.host.ReadBody(w, r, maxBody)
	if err != nil {
		return err
	}
	u, err := parseUpload(r.PathValue("type"), body)
	if err != nil {
		return err
	}
	n, ctx := name(r), r.Context()
	fingerprint, err := d.runFingerprint(ctx, n, u.buildID)
	if err != nil {
		return err
	}
	var made registry.Announced
	if u.file {
		made, err = d.svc.AnnounceBuild(ctx, n, registry.Announcement{
			Version: u.version, Description: u.description, Fingerprint: fingerprint, Build: u.build, File: u.fileName(n),
		})
	} else {
		made.Version, err = d.publish(ctx, n, fingerprint, u.build)
	}
	if err != nil {
		return d.refused(ctx, n, placed(err, u.places))
	}
	v := version(registry.ArtifactName(n), u.typ, made.Version, u.build)
	if u.file {
		v.File, v.UploadPath, v.UploadToken = true, d.uploadPath(r, made.Secret), made.Secret
	}
	return d.host.SendJSON(w, r, http.StatusOK, v)
}

// publish makes a version of a build that has all that it needs: each call makes one.
func (d *door) publish(ctx context.Context, artifact, fingerprint string, b registry.Build) (registry.VersionID, error) {
	if fingerprint != "" {
		_, err := d.svc.Version(ctx, artifact, "fingerprint:"+fingerprint)
		if err == nil {
			fingerprint = ""
		} else if registry.KindOf(err) != registry.NotFound {
			return registry.VersionID{}, err
		}
	}
	if fingerprint != "" {
		receipt, err := d.svc.Publish(ctx, artifact, registry.Publication{Fingerprint: fingerprint, Build: b})
		if registry.KindOf(err) != registry.Conflict { // another build of the run came first
			return receipt.VersionID, err
		}
	}
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails (crypto/rand)
	receipt, err := d.svc.Publish(ctx, artifact, registry.Publication{Fingerprint: "atlas-" + hex.EncodeToString(id[:]), Build: b})
	return receipt.VersionID, err
}

// runFingerprint is that of the run that a client works for, if there is such a run for the artifact. Build ids of other
// systems are as good, and are no run.
func (d *door) runFingerprint(ctx context.Context, artifact string, buildID int64) (string, error) {
	if buildID <= 0 {
		return "", nil
	}
	run, err := d.svc.Run(ctx, buildID)
	switch registry.KindOf(err) {
	case "":
	case registry.NotFound, registry.Forbidden:
		return "", nil
	default:
		return "", err
	}
	if string(run.Target) != artifact {
		return "", nil
	}
	return run.Fingerprint, nil
}
