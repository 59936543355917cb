package registry

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
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
	if v.At = v.At.UTC().Truncate(time.Microsecond); v.At.IsZero() || v.At.After(now) {
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
	n, r, err := publisherTarget(ctx, name, ref)
	if err != nil {
		return Version{}, err
	}
	req.Images = slices.Clone(req.Images)
	if err := checkVerifyRequest(req); err != nil {
		return Version{}, err
	}
	s.stampImages(req.Images)
	return s.changeVersion(ctx, n, r, func(p *publishing) error { return p.verify(ctx, req) })
}

func checkVerifyRequest(req VerifyRequest) error {
	var p problems
	p.check("component", CheckComponent(req.Component))
	if len(req.Images) == 0 || len(req.Images) > maxImages {
		p.add("images", "has %d entries; 1 to %d are allowed", len(req.Images), maxImages)
		return p.err()
	}
	seen := map[string]bool{}
	for i, image := range req.Images {
		field := fmt.Sprintf("images[%d]", i)
		if seen[image.String()] {
			p.add(field, "%s is there twice", clip(image.String()))
		}
		seen[image.String()] = true
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
	changed, err := p.findings(build, req.Images)
	if err != nil {
		return err
	}
	for _, image := range changed {
		detail := Metadata{"component": build.Component, "image": image.String(), "status": string(image.Verification.Status)}
		if image.Verification.Reason != "" {
			detail["reason"] = image.Verification.Reason
		}
		p.events = append(p.events, Event{Action: ActionImageVerify, Detail: detail})
	}
	if len(changed) == 0 {
		return nil
	}
	return p.tx.SetVerifications(ctx, p.name, p.version.Number, build.Component, changed)
}

// findings puts what is new of images into a build, and returns those images. What was found before
// what is recorded is no news, and neither is the same again.
func (p *publishing) findings(build *Build, images []Image) ([]Image, error) {
	v := p.version
	var bad, unknown problems
	var changed []Image
	for i, image := range images {
		field := fmt.Sprintf("images[%d]", i)
		at := slices.IndexFunc(build.Images, func(o Image) bool { return CompareImages(o, image) == 0 })
		if at < 0 {
			unknown.add(field, "%s is none of build %s", clip(image.String()), build.Component)
			continue
		}
		known := &build.Images[at]
		if v.Status == StatusComplete && known.Offered() && image.Verification.Status != ImageAvailable {
			bad.add(field+".verification.status", "is %s, and %s is handed out already; revoke the version to take it back", image.Verification.Status, clip(image.String()))
			continue
		}
		if known.Verification == nil || known.Verification.differs(*image.Verification) && !image.Verification.At.Before(known.Verification.At) {
			known.Verification = image.Verification
			changed = append(changed, *known)
		}
	}
	what := fmt.Sprintf("version %s (number %d) of %s", v.Version, v.Number, p.name)
	switch {
	case len(unknown.fields) > 0:
		return nil, &Error{Kind: NotFound, Msg: what + " has no such image", Fields: unknown.fields}
	case len(bad.fields) > 0:
		return nil, &Error{Kind: Conflict, Msg: what + " is complete", Fields: bad.fields}
	}
	return changed, nil
}

// differs says whether something else was found, at whatever time.
func (v Verification) differs(o Verification) bool {
	return v.Status != o.Status || v.Reason != o.Reason || !maps.Equal(v.Attributes, o.Attributes)
}
