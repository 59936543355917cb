package main

import (
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// awsVerifyFlags let a publication be held to what EC2 says.
type awsVerifyFlags struct {
	AWSVerify        bool          `name:"aws-verify" help:"Read each AMI back from EC2 first: nothing is recorded if one cannot be used, and one that is pending is not offered before almanac aws verify finds it available."`
	AWSVerifyTimeout time.Duration `name:"aws-verify-timeout" placeholder:"TIME" help:"How long to wait for AMIs that are pending, such as 10m. Default: look once."`
}

func (f awsVerifyFlags) checkVerify(p *problems, typ registry.Type) {
	if f.AWSVerify && typ != "" && typ != registry.AmazonImage {
		p.add("--aws-verify", "is for AMIs, and the type is %s; leave it out", typ)
	}
	if f.AWSVerifyTimeout != 0 && !f.AWSVerify {
		p.add("--aws-verify-timeout", "goes with --aws-verify")
	}
	checkWait(p, "--aws-verify-timeout", f.AWSVerifyTimeout)
}

// verifyImages sets what EC2 says of AMIs that are to be published. One that cannot be used is an error: it
// was given by hand, and a version that failed is there for ever.
func (f awsVerifyFlags) verifyImages(a *app, images []registry.Image) error {
	if !f.AWSVerify {
		return nil
	}
	found := make([]looked, len(images))
	for i, image := range images {
		found[i].Image = image
	}
	if err := lookAt(a, f.AWSVerifyTimeout, found); err != nil {
		return err
	}
	var bad []registry.FieldError
	for i, l := range found {
		images[i] = l.Image
		if !l.Image.Offered() && l.Image.Verification.Status == registry.ImageFailed {
			bad = append(bad, registry.FieldError{Field: "--image " + l.Image.String(), Message: l.Image.Verification.Reason})
		}
	}
	if len(bad) == 0 {
		return nil
	}
	err := &registry.Error{Kind: registry.Conflict, Msg: "nothing was recorded, because there are AMIs that cannot be used", Fields: bad}
	return &cliError{err: err, hint: "another --image, or another AWS account in AWS_PROFILE", code: exitFailed}
}
