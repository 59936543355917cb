package main

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/aws"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
	"github.com/cargomedia/packer-plugin-almanac/version"
)

type awsCmd struct {
	Verify    awsVerifyCmd    `cmd:"" help:"Read AMIs back from EC2, and record which can be used."`
	Adopt     awsAdoptCmd     `cmd:"" help:"Record AMIs that exist already."`
	Instances awsInstancesCmd `cmd:"" help:"Show which version each EC2 instance runs, and which are behind."`
}

type awsVerifyCmd struct {
	Artifact string        `arg:"" help:"NAMESPACE/NAME."`
	Ref      string        `arg:"" optional:"" help:"A version: 3, 1.2.0, '~> 1.2', latest, a channel or a fingerprint. Default: all that are open or failed."`
	Timeout  time.Duration `placeholder:"TIME" help:"How long to wait for AMIs that are pending, such as 10m. Default: look once."`
	All      bool          `help:"Look at all AMIs, those that were found available included; without REF of all versions that are not revoked."`
	DryRun   bool          `help:"Look, and record nothing."`
}

func (c *awsVerifyCmd) Help() string {
	return `Without REF it looks at the AMIs that were pending or failed, in the versions that are open or failed; with REF at those of that version that were not found available yet, those included at which nobody has looked. What is new is recorded: a version all of whose AMIs are available is complete, and offered. A version that is complete stays so: an AMI of it that cannot be used any more is told, with the command that revokes the version.

AWS credentials are found where every AWS client finds them; they need the permission ec2:DescribeImages. The token needs the role publish, and read with --dry-run.

Exit codes: 0 all are available, 8 some are still pending, 9 some cannot be used.

Examples:

    almanac aws verify cargomedia/app
    almanac aws verify cargomedia/app 1.4.0 --timeout 10m
    almanac aws verify cargomedia/app production --all --dry-run`
}

// looked is an AMI of a version, and what was found.
type looked struct {
	registry.VersionID
	Component string         `json:"component"`
	Image     registry.Image `json:"image"`
	// Found is false when it could not be looked at; the verification is then the one that was recorded.
	Found    bool `json:"found"`
	Recorded bool `json:"recorded"`
	// HandedOut is true for an AMI that cannot be used and that the registry offers all the same.
	HandedOut bool `json:"handed_out"`

	before  *registry.Verification
	version *registry.Version
}

func (c *awsVerifyCmd) Run(a *app) error {
	var p problems
	checkArtifact(&p, c.Artifact)
	if c.Ref != "" {
		_, err := registry.ParseRef(c.Ref)
		p.check("REF", err)
	}
	checkWait(&p, "--timeout", c.Timeout)
	if err := p.err("aws verify"); err != nil {
		return err
	}
	client, err := a.client()
	if err != nil {
		return err
	}
	if !c.DryRun {
		// Before what can take long.
		if err := mayPublish(a.ctx, client, c.Artifact, nil); err != nil {
			return err
		}
	}
	versions, err := c.versions(a, client)
	if err != nil {
		return err
	}
	images := c.images(versions)
	if len(images) == 0 {
		return a.show(answer(images), func() { a.note("%s", c.nothing()) })
	}
	lookErr := lookAt(a, c.Timeout, images)
	if a.ctx.Err() != nil {
		return lookErr
	}
	for i := range images {
		l := &images[i]
		l.HandedOut = l.Found && l.version.Status == registry.StatusComplete && (registry.Image{Verification: l.before}).Offered() && !l.Image.Offered()
	}
	var recordErr error
	if !c.DryRun {
		recordErr = c.record(a, images)
	}
	if err := a.show(answer(images), func() { c.print(a, images) }); err != nil {
		return err
	}
	// The last one decides the exit code: what nobody may miss.
	pending, failed := c.outcome(images)
	errs := slices.DeleteFunc([]error{pending, recordErr, lookErr, failed}, func(err error) bool { return err == nil })
	if len(errs) == 0 {
		return nil
	}
	for _, err := range errs[:len(errs)-1] {
		a.report(err)
	}
	return errs[len(errs)-1]
}

// versions are those to look at, with their images.
func (c *awsVerifyCmd) versions(a *app, client *client.Client) ([]*registry.Version, error) {
	if c.Ref != "" {
		v, err := client.Version(a.ctx, c.Artifact, c.Ref)
		return []*registry.Version{&v}, missing(err, c.Artifact)
	}
	statuses := []registry.Status{registry.StatusOpen, registry.StatusFailed}
	if c.All {
		statuses = []registry.Status{""}
	}
	var versions []*registry.Version
	for _, status := range statuses {
		listed, _, err := collect(a.ctx, math.MaxInt, func(ctx context.Context, cursor string, limit int) ([]registry.Version, string, error) {
			page, err := client.Versions(ctx, c.Artifact, registry.VersionFilter{Type: string(registry.AmazonImage), Status: string(status), Cursor: cursor, Limit: limit})
			return page.Versions, page.Next, err
		})
		if err != nil {
			return nil, missing(err, c.Artifact)
		}
		for _, l := range listed {
			if l.RevokedAt(time.Now()) {
				continue
			}
			v, err := client.Version(a.ctx, c.Artifact, strconv.FormatInt(l.Number, 10))
			if err != nil {
				return nil, err
			}
			versions = append(versions, &v)
		}
	}
	return versions, nil
}

// images are those of the versions to look at.
func (c *awsVerifyCmd) images(versions []*registry.Version) []looked {
	images := []looked{}
	for _, v := range versions {
		for _, b := range v.Builds {
			if b.Type != registry.AmazonImage {
				continue
			}
			for _, i := range b.Images {
				if c.All || !i.Offered() || i.Verification == nil && c.Ref != "" {
					images = append(images, looked{VersionID: v.VersionID, Component: b.Component, Image: i, before: i.Verification, version: v})
				}
			}
		}
	}
	return images
}

// nothing says why there is no image to look at.
func (c *awsVerifyCmd) nothing() string {
	switch {
	case c.Ref == "" && c.All:
		return fmt.Sprintf("No version of %s that is not revoked has AMIs.", c.Artifact)
	case c.Ref == "":
		return fmt.Sprintf("No version of %s waits for an AMI.", c.Artifact)
	case c.All:
		return fmt.Sprintf("%s %s has no AMIs.", c.Artifact, c.Ref)
	}
	return fmt.Sprintf("%s %s has no AMIs, or all were found available; --all looks at them again.", c.Artifact, c.Ref)
}

// lookAt asks EC2 for all images at once. When it fails, those that could be looked at have been.
func lookAt(a *app, timeout time.Duration, images []looked) error {
	// The AWS configuration is that of the process.
	verifier, err := aws.NewVerifier(a.ctx, aws.Options{Timeout: timeout, UserAgent: "almanac/" + version.String(), Log: a.note})
	if err != nil {
		return hinted(err, "")
	}
	asked := make([]registry.Image, len(images))
	for i, l := range images {
		asked[i] = l.Image
	}
	found, err := verifier.Verify(a.ctx, asked)
	for i := range found {
		if found[i].Verification != asked[i].Verification {
			images[i].Image, images[i].Found = found[i], true
		}
	}
	// What helps is in the sentence; the hints for errors of this kind are about the registry.
	return hinted(err, "")
}

// record tells the registry what is new, and brings the versions up to date. It goes on after an error, of
// which it returns the first.
func (c *awsVerifyCmd) record(a *app, images []looked) error {
	client, err := a.transferClient()
	if err != nil {
		return err
	}
	for len(images) > 0 {
		first := images[0]
		n := 1
		for n < len(images) && images[n].version == first.version && images[n].Component == first.Component {
			n++
		}
		var news []registry.Image
		for _, l := range images[:n] {
			if l.isNew() {
				news = append(news, l.Image)
			}
		}
		if len(news) > 0 {
			v, recordErr := client.Verify(a.ctx, c.Artifact, strconv.FormatInt(first.Number, 10), registry.VerifyRequest{Component: first.Component, Images: news})
			if recordErr != nil && err == nil {
				err = fmt.Errorf("what was found of %s %s is not recorded: %w", c.Artifact, versionText(first.VersionID), recordErr)
			}
			if recordErr == nil {
				first.version.Status = v.Status
				for i := range images[:n] {
					images[i].Recorded = images[i].isNew()
				}
			}
		}
		images = images[n:]
	}
	return err
}

// isNew says whether there is something to record: the audit log is not for looks that found nothing new.
func (l looked) isNew() bool {
	now := l.Image.Verification
	return l.Found && !l.HandedOut && (l.before == nil || l.before.Status != now.Status || l.before.Reason != now.Reason || !maps.Equal(l.before.Attributes, now.Attributes))
}

// verified is the answer for programs.
type verified struct {
	Images []looked `json:"images"`
	// Versions are those that were looked at, as they are now.
	Versions []versionStatus `json:"versions"`
}

type versionStatus struct {
	registry.VersionID
	Status registry.Status `json:"status"`
}

func answer(images []looked) verified {
	v := verified{Images: images, Versions: []versionStatus{}}
	for _, l := range versionsOf(images) {
		v.Versions = append(v.Versions, versionStatus{l.VersionID, l.Status})
	}
	return v
}

func versionsOf(images []looked) []*registry.Version {
	var versions []*registry.Version
	for _, l := range images {
		if !slices.Contains(versions, l.version) {
			versions = append(versions, l.version)
		}
	}
	return versions
}

func (c *awsVerifyCmd) print(a *app, images []looked) {
	t := newTable("VERSION", "COMPONENT", "REGION", "IMAGE", "STATUS", "REASON")
	for _, l := range images {
		status, reason := cell{"not looked at", yellow}, ""
		if l.Found {
			status, reason = verificationCell(l.Image.Verification), l.Image.Verification.Reason
		}
		t.add(l.Version, l.Component, l.Image.Region, l.Image.ID, status, orDash(reason))
	}
	a.printTable(t, "")
	if c.DryRun {
		a.note("Nothing was recorded.")
		return
	}
	for _, v := range versionsOf(images) {
		status := statusCell(*v, time.Now())
		a.printf("%s %s is %s.\n", clean(c.Artifact), clean(versionText(v.VersionID)), a.paint(status.style, clean(status.text)))
	}
}

// outcome returns an error for the images that are pending, and one for those that cannot be used.
func (c *awsVerifyCmd) outcome(images []looked) (pending, failed error) {
	counts := map[registry.ImageStatus]int{}
	var handedOut []registry.FieldError
	var remedies []string
	for _, l := range images {
		if l.Found && !l.HandedOut {
			counts[l.Image.Verification.Status]++
		}
		if l.HandedOut {
			handedOut = append(handedOut, registry.FieldError{Field: l.Version + " " + l.Image.String(), Message: orDash(l.Image.Verification.Reason)})
			remedy := fmt.Sprintf("almanac revoke %s %d --reason TEXT", c.Artifact, l.Number)
			if !slices.Contains(remedies, remedy) {
				remedies = append(remedies, remedy)
			}
		}
	}
	switch {
	case len(handedOut) > 0:
		err := &registry.Error{
			Kind: registry.Conflict, Fields: handedOut,
			Msg: "these AMIs are handed out and cannot be used; what is recorded of a complete version stays until it is revoked",
		}
		failed = &cliError{err: err, hint: strings.Join(remedies, "; "), code: exitFailed}
	case counts[registry.ImageFailed] > 0:
		err := registry.Errorf(registry.Conflict, "cannot be used: %d of %d AMIs", counts[registry.ImageFailed], len(images))
		failed = &cliError{err: err, hint: "if they are there, the same command with the AWS account that owns them (AWS_PROFILE); if they are gone for good, almanac revoke " + c.Artifact + " NUMBER --reason TEXT, and they are not looked at again", code: exitFailed}
	}
	if n := counts[registry.ImagePending]; n > 0 {
		err := registry.Errorf(registry.Unavailable, "still pending: %d of %d AMIs", n, len(images))
		pending = &cliError{err: err, hint: "the same command again later, or with --timeout 10m", code: exitPending}
	}
	return pending, failed
}

func verificationCell(v *registry.Verification) cell {
	styles := map[registry.ImageStatus]style{registry.ImageAvailable: green, registry.ImagePending: yellow, registry.ImageFailed: red}
	return cell{string(v.Status), styles[v.Status]}
}

func checkWait(p *problems, flag string, wait time.Duration) {
	if wait < 0 {
		p.add(flag, "is %s; give a duration such as 30s or 10m", wait)
	}
}
