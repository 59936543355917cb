package almanac

import (
	"context"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/aws"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// SetStateTimeout shortens how long an artifact is waited for.
func SetStateTimeout(p *PostProcessor, limit time.Duration) { p.stateTimeout = limit }

// SetAnswerTime shortens how long the registry is waited for.
func SetAnswerTime(p *PostProcessor, limit time.Duration) { p.answerTime = limit }

// SetVerifier replaces EC2.
func SetVerifier(p *PostProcessor, v Verify) {
	p.newVerifier = func(_ context.Context, o aws.Options) (verifier, error) { return v, nil }
}

// SetVerifierOf replaces EC2 by what is made of the options for it.
func SetVerifierOf(p *PostProcessor, of func(aws.Options) Verify) {
	p.newVerifier = func(_ context.Context, o aws.Options) (verifier, error) { return of(o), nil }
}

// OriginAfter is what is known of an origin after a while.
func OriginAfter(ctx context.Context, limit time.Duration, template string, collect func() registry.Metadata) (string, registry.Metadata) {
	o := inParts(func(tell func(origin)) {
		tell(origin{template: template})
		tell(origin{template: template, values: collect()})
	})(ctx, limit)
	return o.template, o.values
}

// WindowsCommand is a command line of Windows.
func WindowsCommand(words []string) string { return windowsCommand(words) }

// Verify is a verifier of one function.
type Verify func(context.Context, []registry.Image) ([]registry.Image, error)

// Verify calls the function.
func (v Verify) Verify(ctx context.Context, images []registry.Image) ([]registry.Image, error) {
	return v(ctx, images)
}

// WaitForOrigin returns when all is known of how the build came to be.
func WaitForOrigin(p *PostProcessor) { p.origin(context.Background(), time.Minute) }

// OwnProvenance are the keys that this package records, as matches of an expression.
func OwnProvenance() (keys [][]string) {
	for key := range new(recording).ownProvenance() {
		keys = append(keys, []string{"", key})
	}
	for _, key := range recordedValues {
		keys = append(keys, []string{"", key})
	}
	return keys
}

// KeepSecret and WithoutSecrets are what texts are filtered by.
var (
	KeepSecret     = keepSecret
	WithoutSecrets = withoutSecrets
)
