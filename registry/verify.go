package registry

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// VerifyRequest tells what was found of images of one build.
type VerifyRequest struct {
	Component string `json:"component" doc:"The build that the images belong to."`
	// Images have provider, region, id and verification; the rest is not looked at.
	Images []Image `json:"images" doc:"Provider, region, id and verification of each image."`
}

func (p *problems) checkVerification(field string, v Verification) {
	switch v.Status {
	case ImageAvailable, ImagePending, ImageFailed:
	default:
		p.add(field+".status", "%q is none; use available, pending or failed", clip(string(v.Status)))
	}
	if err := checkText(v.Reason, 1000, "\t\n\r"); err != nil {
		p.add(field+".reason", "%v", err)
	}
	p.addAll(CheckMetadata(field+".attributes", v.Attributes))
}

// stamped returns a verification with a time that is not in the future.
func (s *Service) stamped(v Verification) *Verification {
	now := s.time()
	if v.At.IsZero() || v.At.After(now) {
		v.At = now
	}
	return &v
}

func (s *Service) stampImages(images []Image) {
	for i := range images {
		if v := images[i].Verification; v != nil {
			images[i].Verification = s.stamped(*v)
		}
	}
}

// Verify records what was found of images at their provider. A version that waited for them becomes
// complete, with all that follows from it, or failed. It needs the role publish. What is handed out
// stays: an image that is offered, or was not looked at when its version became complete, cannot be
// found pending or failed afterwards; that is a Conflict, and revoking the version is the remedy.
// NotFound: the version has no such build or image.
func (s *Service) Verify(ctx context.Context, name, ref string, req VerifyRequest) (Version, error) {
	n, r, err := parseTarget(name, ref)
	if err != nil {
		return Version{}, err
	}
	if err := requireRole(ctx, RolePublish, n); err != nil {
		return Version{}, err
	}
	req.Images = slices.Clone(req.Images)
	if err := checkVerifyRequest(req); err != nil {
		return Version{}, err
	}
	s.stampImages(req.Images)
	var v Version
	err = s.store.Update(ctx, func(tx Tx) error {
		p := publishing{Service: s, tx: tx, name: n, now: s.time(), actor: PrincipalFrom(ctx).Name}
		var err error
		if p.counters, err = tx.LockArtifact(ctx, n, false, p.now); err != nil {
			return notFound(err, "artifact %s does not exist", n)
		}
		if p.version, err = s.findFixed(ctx, tx, n, r); err != nil {
			return err
		}
		if err := p.verify(ctx, req); err != nil {
			return err
		}
		if err := p.complete(ctx, req.Component); err != nil {
			return err
		}
		v = p.version
		return p.recordEvents(ctx)
	})
	return v.withLists(), err
}

func checkVerifyRequest(req VerifyRequest) error {
	var p problems
	p.check("component", CheckComponent(req.Component))
	if len(req.Images) == 0 || len(req.Images) > maxImages {
		p.add("images", "has %d entries; 1 to %d are allowed", len(req.Images), maxImages)
		return p.err()
	}
	for i, image := range req.Images {
		field := fmt.Sprintf("images[%d]", i)
		if image.Verification == nil {
			p.add(field+".verification", "is missing; say whether the image is available, pending or failed")
			continue
		}
		p.checkVerification(field+".verification", *image.Verification)
	}
	return p.err()
}

// verify writes what was found into the version, and what is new into the store.
func (p *publishing) verify(ctx context.Context, req VerifyRequest) error {
	build := p.version.build(req.Component)
	if build == nil {
		components := make([]string, len(p.version.Builds))
		for i, b := range p.version.Builds {
			components[i] = b.Component
		}
		return &Error{
			Kind:    NotFound,
			Msg:     fmt.Sprintf("version %s of %s has no build %q; it has: %s", p.version.Version, p.name, clip(req.Component), strings.Join(components, ", ")),
			Choices: components,
		}
	}
	var bad problems
	var changed []Image
	for i, image := range req.Images {
		at := slices.IndexFunc(build.Images, func(o Image) bool { return compareImages(o, image) == 0 })
		if at < 0 {
			return Errorf(NotFound, "build %s of version %s of %s has no image %s", build.Component, p.version.Version, p.name, clip(image.String()))
		}
		known := &build.Images[at]
		if p.version.Status == StatusComplete && known.Offered() && image.Verification.Status != ImageAvailable {
			bad.add(fmt.Sprintf("images[%d].verification.status", i), "is %s, and %s is handed out already; revoke the version to take it back", image.Verification.Status, clip(image.String()))
			continue
		}
		known.Verification = image.Verification
		changed = append(changed, *known)
	}
	if len(bad.fields) > 0 {
		return &Error{Kind: Conflict, Msg: fmt.Sprintf("version %s (number %d) of %s is complete", p.version.Version, p.version.Number, p.name), Fields: bad.fields}
	}
	for _, image := range changed {
		detail := Metadata{"component": build.Component, "image": image.String(), "status": string(image.Verification.Status)}
		if image.Verification.Reason != "" {
			detail["reason"] = image.Verification.Reason
		}
		p.events = append(p.events, Event{Action: ActionImageVerify, Detail: detail})
	}
	return p.tx.SetVerifications(ctx, p.name, p.version.Number, build.Component, changed)
}
