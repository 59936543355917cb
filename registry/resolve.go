package registry

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Question narrows what [Service.Resolve] looks for within a version. All that is set must fit.
type Question struct {
	Type         string
	Region       string
	Provider     string
	Architecture string
	Component    string
	// Metadata is compared with [FullMetadata]; "region" fits each region of an amazon.image.
	Metadata Metadata
}

// Resolution is one build of one version: what a ref stands for.
type Resolution struct {
	Lookup
	Resolved
}

// Lookup is the part of a [Resolution] that depends on how and when it was asked for.
type Lookup struct {
	Ref string `json:"ref" doc:"As it was asked."`
	// Revoked is true once the revocation has taken effect.
	Revoked    bool        `json:"revoked" doc:"Whether the version is revoked now; consumers decide what it means to them."`
	Revocation *Revocation `json:"revocation,omitempty"`
	// ID is set when exactly one image was meant: that of the region, or the only one.
	ID     string  `json:"id,omitempty" doc:"Id of the image, when exactly one was meant."`
	Images []Image `json:"images" doc:"The images of the build, of the provider and region that were asked for."`
}

// Resolved is the part of a [Resolution] that is the same for everybody who finds the build.
type Resolved struct {
	Artifact ArtifactName `json:"artifact"`
	VersionID
	Fingerprint  string `json:"fingerprint"`
	Component    string `json:"component"`
	Type         Type   `json:"type"`
	Provider     string `json:"provider,omitempty" doc:"Vagrant provider of a box."`
	Architecture string `json:"architecture,omitempty"`
	// AMIs maps region to AMI id for an amazon.image.
	AMIs  map[string]string `json:"ami_ids,omitempty" doc:"Region to AMI id."`
	Files []File            `json:"files"`
	// Attachments are documents about the build.
	Attachments []Attachment `json:"attachments,omitempty" doc:"Documents about the build."`
	// Metadata is the [FullMetadata] of the build.
	Metadata    Metadata   `json:"metadata_full"`
	CreatedAt   time.Time  `json:"created_at" doc:"When the version was made."`
	CompletedAt *time.Time `json:"completed_at,omitempty"`
}

// Bare returns the one id that a script wants: the image's, or the sha256 of the only file. Conflict:
// there is more than one; the choices are listed.
func (r Resolution) Bare() (string, error) {
	switch {
	case r.ID != "":
		return r.ID, nil
	case len(r.Images) > 1:
		return "", severalImages(r)
	case len(r.Files) == 1:
		return string(r.Files[0].SHA256), nil
	}
	var names []string
	for _, f := range r.Files {
		names = append(names, f.Name)
	}
	return "", &Error{
		Kind:    Conflict,
		Msg:     fmt.Sprintf("%s %s has no single id but %d files: %s", r.Artifact, r.Version, len(names), strings.Join(names, ", ")),
		Choices: names,
	}
}

// severalImages lists the regions where they tell the images apart, and else the images.
func severalImages(r Resolution) error {
	regions := imageRegions(r.Images)
	if len(regions) == len(r.Images) {
		return &Error{
			Kind:    Conflict,
			Msg:     fmt.Sprintf("%s %s has images in %d regions; say which region: %s", r.Artifact, r.Version, len(regions), strings.Join(regions, ", ")),
			Choices: regions,
		}
	}
	var images []string
	for _, image := range r.Images {
		images = append(images, image.String())
	}
	return &Error{
		Kind:    Conflict,
		Msg:     fmt.Sprintf("%s %s has no single id but %d images: %s", r.Artifact, r.Version, len(images), strings.Join(images, ", ")),
		Choices: images,
	}
}

// Resolve finds the one build that a ref and a question name. NotFound: no such version, an open
// one, or a version without a fitting build or region; the text and the choices list what there is. Conflict: more
// than one build or image fits; the choices list them. It never takes the first of several and never
// falls back to another region or version.
func (s *Service) Resolve(ctx context.Context, name, ref string, q Question) (Resolution, error) {
	n, r, typ, err := s.parseLookup(ctx, name, ref, q)
	if err != nil {
		return Resolution{}, err
	}
	return s.resolve(ctx, n, r, typ, q)
}

// parseLookup reads what is asked for, and checks that the caller may ask.
func (s *Service) parseLookup(ctx context.Context, name, ref string, q Question) (ArtifactName, Ref, Type, error) {
	n, err := ParseArtifactName(name)
	if err != nil {
		return "", Ref{}, "", BadField("artifact", err)
	}
	var p problems
	r, err := ParseRef(ref)
	p.check("ref", err)
	var typ Type
	if q.Type != "" {
		typ, err = ParseType(q.Type)
		p.check("type", err)
	}
	if err := p.err(); err != nil {
		return "", Ref{}, "", err
	}
	return n, r, typ, s.readable(ctx, s.store, n)
}

func (s *Service) resolve(ctx context.Context, n ArtifactName, r Ref, typ Type, q Question) (Resolution, error) {
	v, err := s.find(ctx, s.store, n, r, typ)
	if err != nil {
		return Resolution{}, err
	}
	if v.Held && !PrincipalFrom(ctx).may(RolePublish, n) {
		return Resolution{}, s.explainMissing(ctx, s.store, n, r, typ)
	}
	if v.Status != StatusComplete {
		return Resolution{}, Errorf(NotFound, "%s", v.unfinished())
	}
	build, err := choose(v, typ, q)
	if err != nil {
		return Resolution{}, err
	}
	found, err := resolution(v, r, build, q)
	found.Revoked = v.RevokedAt(s.time())
	return found, err
}

// choose returns the one build of a version that fits.
func choose(v Version, typ Type, q Question) (Build, error) {
	var fitting []Build
	for _, b := range v.Builds {
		if b.offered() && (typ == "" || b.Type == typ) && matches(q.Component, b.Component) && matches(q.Architecture, b.Architecture) &&
			hasProvider(b, q.Provider) && hasMetadata(FullMetadata(v.Metadata, b), q.Metadata) {
			fitting = append(fitting, b)
		}
	}
	if len(fitting) == 0 {
		choices := describeBuilds(slices.DeleteFunc(slices.Clone(v.Builds), func(b Build) bool { return !b.offered() }))
		e := &Error{
			Kind:    NotFound,
			Msg:     fmt.Sprintf("version %s of %s has no build with %s; it has: %s", v.Version, v.Artifact, q.describe(), strings.Join(choices, "; ")),
			Choices: choices,
		}
		for _, i := range v.Waiting() {
			e.Msg += "; " + i.finding()
		}
		return Build{}, e
	}
	if q.Region != "" {
		var regions []string
		inRegion := slices.DeleteFunc(slices.Clone(fitting), func(b Build) bool {
			images := q.images(b)
			regions = append(regions, imageRegions(images)...)
			return !slices.Contains(imageRegions(images), q.Region)
		})
		if len(inRegion) == 0 {
			return Build{}, noRegion(v, q.Region, regions)
		}
		fitting = inRegion
	}
	if len(fitting) > 1 {
		choices := describeBuilds(fitting)
		return Build{}, &Error{
			Kind:    Conflict,
			Msg:     fmt.Sprintf("version %s of %s has %d builds that fit; add type, component, architecture, provider or metadata to mean one: %s", v.Version, v.Artifact, len(fitting), strings.Join(choices, "; ")),
			Choices: choices,
		}
	}
	return fitting[0], nil
}

func noRegion(v Version, region string, regions []string) error {
	slices.Sort(regions)
	regions = slices.Compact(regions)
	there := "it has no images"
	if len(regions) > 0 {
		there = "it has: " + strings.Join(regions, ", ")
	}
	for _, i := range v.Waiting() {
		if i.Region == region {
			there += "; " + i.finding()
		}
	}
	return &Error{
		Kind:    NotFound,
		Msg:     fmt.Sprintf("version %s of %s has no image in region %q; %s", v.Version, v.Artifact, clip(region), there),
		Choices: regions,
	}
}

// images are those of a build that the question's provider leaves: all, unless it names a provider of images.
func (q Question) images(b Build) []Image {
	offered := b.offeredImages()
	if q.Provider == "" || q.Provider == b.Provider {
		return offered
	}
	return slices.DeleteFunc(slices.Clone(offered), func(i Image) bool { return i.Provider != q.Provider })
}

// resolved is what does not depend on a question.
func resolved(v Version, b Build) Resolved {
	r := Resolved{
		Artifact: v.Artifact, VersionID: v.VersionID, Fingerprint: v.Fingerprint,
		Component: b.Component, Type: b.Type, Provider: b.Provider, Architecture: b.Architecture,
		Files: list(b.Files), Attachments: b.Attachments, Metadata: FullMetadata(v.Metadata, b),
		CreatedAt: v.CreatedAt, CompletedAt: v.Completed,
	}
	if b.Type == AmazonImage {
		r.AMIs = map[string]string{}
		for _, image := range b.offeredImages() {
			r.AMIs[image.Region] = image.ID
		}
	}
	return r
}

func resolution(v Version, ref Ref, b Build, q Question) (Resolution, error) {
	r := Resolution{Lookup{Ref: ref.Text, Images: list(q.images(b)), Revocation: v.Revocation}, resolved(v, b)}
	if q.Region != "" {
		r.Images = slices.DeleteFunc(slices.Clone(r.Images), func(i Image) bool { return i.Region != q.Region })
		if len(r.Images) > 1 {
			var choices []string
			for _, image := range r.Images {
				choices = append(choices, image.String())
			}
			return Resolution{}, &Error{
				Kind:    Conflict,
				Msg:     fmt.Sprintf("version %s of %s has %d images in region %s: %s", v.Version, v.Artifact, len(choices), q.Region, strings.Join(choices, ", ")),
				Choices: choices,
			}
		}
	}
	if len(r.Images) == 1 {
		r.ID = r.Images[0].ID
	}
	return r, nil
}

func matches(want, have string) bool { return want == "" || want == have }

// hasProvider looks at a box's Vagrant provider and at the providers of images.
func hasProvider(b Build, provider string) bool {
	return matches(provider, b.Provider) || slices.ContainsFunc(b.offeredImages(), func(i Image) bool { return i.Provider == provider })
}

func hasMetadata(have, want Metadata) bool {
	for key, value := range want {
		got, ok := have[key]
		if _, region := have[regionPrefix+value]; key == "region" && region {
			continue
		}
		if !ok || got != value {
			return false
		}
	}
	return true
}

func imageRegions(images []Image) []string {
	var regions []string
	for _, i := range images {
		if i.Region != "" {
			regions = append(regions, i.Region)
		}
	}
	slices.Sort(regions)
	return slices.Compact(regions)
}

func (q Question) describe() string {
	var parts []string
	for _, part := range []struct{ name, value string }{
		{"type", q.Type}, {"component", q.Component}, {"architecture", q.Architecture}, {"provider", q.Provider},
	} {
		if part.value != "" {
			parts = append(parts, part.name+" "+clip(part.value))
		}
	}
	for _, key := range slices.Sorted(maps.Keys(q.Metadata)) {
		parts = append(parts, fmt.Sprintf("metadata %s=%s", clip(key), clip(q.Metadata[key])))
	}
	return cmp.Or(strings.Join(parts, ", "), "images or files")
}

func describeBuilds(builds []Build) []string {
	texts := make([]string, len(builds))
	for i, b := range builds {
		texts[i] = "component " + b.Component + ", type " + string(b.Type)
		if b.Provider != "" {
			texts[i] += ", provider " + b.Provider
		}
		if b.Architecture != "" {
			texts[i] += ", architecture " + b.Architecture
		}
	}
	return texts
}

// ImageUses answers which artifact and version an image is: the newest first, at most 100, of
// those that the caller may read. NotFound: none.
func (s *Service) ImageUses(ctx context.Context, provider, region, id string) ([]ImageUse, error) {
	var p problems
	p.check("provider", checkText(provider, 64, ""))
	p.check("region", checkText(region, 255, ""))
	p.check("id", checkText(id, 1024, ""))
	if err := p.err(); err != nil {
		return nil, err
	}
	uses, err := s.store.ImageUses(ctx, provider, region, id, PrincipalFrom(ctx).visibility(), 100)
	if err != nil {
		return nil, err
	}
	if len(uses) == 0 {
		return nil, errHidden(ctx, "no artifact has the image %s", clip(Image{Provider: provider, Region: region, ID: id}.String()))
	}
	for i := range uses {
		uses[i].Channels = list(uses[i].Channels)
	}
	return uses, nil
}
