package almanac

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/cargomedia/packer-plugin-almanac/aws"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// verifier reads images back from their provider: see [aws.Verifier].
type verifier interface {
	Verify(ctx context.Context, images []registry.Image) ([]registry.Image, error)
}

// newVerifier makes the verifier of one recording.
type newVerifier func(context.Context, aws.Options) (verifier, error)

func newAWSVerifier(ctx context.Context, o aws.Options) (verifier, error) {
	return aws.NewVerifier(ctx, o)
}

// checkVerification checks what is said of aws_verify. Credentials are not looked for before the build:
// those of a role expire while it runs, and others may come.
func (p *prepared) checkVerification() {
	if p.AWSVerify && p.typ != "" && p.typ != registry.AmazonImage {
		p.fail("aws_verify", "is true, and the type is %s; only AMIs (%s) can be read back from EC2, so leave one of the two out", p.typ, registry.AmazonImage)
	}
	if p.AWSVerifyTimeout < 0 {
		p.fail("aws_verify_timeout", "is %s; it must be a duration such as 30s or 10m", p.AWSVerifyTimeout)
	}
}

// verify reads the AMIs back. It fails only when Packer was interrupted: an AMI that cannot be used is
// recorded as such and then fails the build (see [recording.unusable]), and one that could not be looked
// at is not the worse for it, so that it is recorded as one that is not offered yet.
func (r *recording) verify(ctx context.Context) error {
	if !r.config.AWSVerify {
		return nil
	}
	if r.build.Type != registry.AmazonImage {
		r.ui.say("aws_verify does nothing here: this is of type %s, and only AMIs can be read back from EC2.", r.build.Type)
		return nil
	}
	r.ui.say("Reading %d AMIs back from EC2", len(r.build.Images))
	err := r.lookUp(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		why := r.masked(withoutCause(err))
		r.postpone("could not be verified: " + why)
		r.ui.fail("Not all AMIs could be read back from EC2: %s\nThose are recorded as pending.", why)
	}
	if unusable := r.unusable(); unusable != nil {
		// Packer destroys the other images of a build that fails.
		for i := range r.build.Images {
			if v := r.build.Images[i].Verification; v != nil && v.Status == registry.ImageAvailable {
				v.Status, v.Reason = registry.ImagePending, "was found, and Packer deregisters it because another AMI of the build failed"
			}
		}
	}
	return nil
}

// missingGrace is how long a new AMI may be missing: one that EC2 shows late must not cost the build.
const missingGrace = 30 * time.Second

// withoutCause is what an error says for those who may read the artifact: its causes quote what AWS, and the
// programs that get credentials for it, have written.
func withoutCause(err error) string {
	e, ok := errors.AsType[*registry.Error](err)
	if !ok {
		return "the look at EC2 failed in a way that is not known"
	}
	return (&registry.Error{Kind: e.Kind, Msg: e.Msg, Fields: e.Fields}).Error()
}

// lookUp sets what EC2 says of the images.
func (r *recording) lookUp(ctx context.Context) error {
	// What is not pending is answered at once; the rest of the time is for a network that is not.
	ctx, cancel := context.WithTimeout(ctx, r.config.AWSVerifyTimeout+2*time.Minute)
	defer cancel()
	v, err := r.newVerifier(ctx, aws.Options{
		Timeout: r.config.AWSVerifyTimeout, Grace: min(r.config.AWSVerifyTimeout, missingGrace), UserAgent: userAgent(), Log: r.ui.say,
	})
	if err != nil {
		return err
	}
	images, err := v.Verify(ctx, r.build.Images)
	if len(images) == len(r.build.Images) {
		r.build.Images = images
	}
	return err
}

// postpone marks the AMIs that nobody has looked at, so that they are not offered before somebody has.
func (r *recording) postpone(why string) {
	const longest = 900 // bytes of the thousand that the registry takes
	why = strings.Join(strings.FieldsFunc(why, unicode.IsControl), " ")
	why = strings.ToValidUTF8(why[:min(len(why), longest)], "")
	for i := range r.build.Images {
		if image := &r.build.Images[i]; image.Verification == nil && image.Provider == aws.Provider {
			image.Verification = &registry.Verification{
				Status: registry.ImagePending, At: time.Now().UTC(), Reason: why,
			}
		}
	}
}

// unusable says which AMIs cannot be used, and why; nil if none is known to be so.
func (r *recording) unusable() error {
	var reasons []string
	for _, image := range r.build.Images {
		if v := image.Verification; v != nil && v.Status == registry.ImageFailed {
			reasons = append(reasons, v.Reason)
		}
	}
	if len(reasons) == 0 {
		return nil
	}
	return fmt.Errorf("aws_verify: %s", strings.Join(reasons, "; "))
}
