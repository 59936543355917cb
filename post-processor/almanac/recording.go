package almanac

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/client"
)

// errNothing is the error for an artifact that has no image, no file and no id.
var errNothing = errors.New("the artifact has no image and no file")

// defaultAnswerTime is how long the registry may take for one answer, beside all pauses and
// repetitions.
const defaultAnswerTime = time.Minute

// grace is how long a publish call may still take when Packer is interrupted.
const grace = 10 * time.Second

// recording is the way of one artifact into the registry. Its fields are filled in one after the
// other, so that whatever stops it, what is known by then can be told.
type recording struct {
	ui           filtered
	raws         []any
	before       []string // see [built]
	stateTimeout time.Duration
	answerTime   time.Duration

	config    prepared
	product   product
	build     registry.Build
	uploads   []upload
	described bool // build and uploads are all that there is to record
	sent      bool // the publish call was begun: from here on the build may be recorded
	receipt   registry.Receipt
}

// run records the artifact. The Terraform file comes after that, and its trouble is told here: the
// build is recorded all the same.
func (r *recording) run(ctx context.Context, a packersdk.Artifact) error {
	var err error
	r.product, err = readProduct(ctx, a, r.stateTimeout)
	// Configuration and images are read either way: the report of a failure needs them.
	r.configure()
	box := r.identify()
	if err != nil {
		return err
	}
	if err := r.config.joined(); err != nil {
		return fmt.Errorf("the configuration has a mistake that shows only now that the build is done: %w", err)
	}
	if err := r.describe(box); err != nil {
		return err
	}
	c, err := r.config.client(patience(r.config.RetryTimeout))
	if err != nil {
		return err
	}
	if err := r.upload(ctx, c); err != nil {
		return err
	}
	if err := r.publish(ctx, c); err != nil {
		return err
	}
	r.say()
	if r.config.Terraform != nil {
		r.terraform(ctx, c)
	}
	return nil
}

// configure reads the configuration with the values of the build. Where these make metadata that cannot be
// read, it goes without.
func (r *recording) configure() {
	b := &built{generated: r.product.generated, before: r.before}
	if b.generated == nil {
		b.generated = map[string]any{}
	}
	r.config = prepare(r.raws, b)
	if err := r.config.undecoded; err != nil {
		if without := prepare(withoutMetadata(r.raws), b); without.undecoded == nil {
			r.config = without
			r.ui.fail("All metadata is left out: with the build's values it cannot be read: %v", err)
		}
	}
}

// limit is how long a call, or an upload that gets no further, may take in all.
func (r *recording) limit() time.Duration {
	return r.config.RetryTimeout + cmp.Or(r.answerTime, defaultAnswerTime)
}

// patience spreads retries over a time: the pauses double from half a second to 15 seconds.
func patience(total time.Duration) client.Options {
	o := client.Options{RetryWaitMin: 500 * time.Millisecond, RetryWaitMax: 15 * time.Second}
	pause, waited := o.RetryWaitMin, time.Duration(0)
	for waited < total {
		o.RetryMax++
		waited += pause
		pause = min(2*pause, o.RetryWaitMax)
	}
	return o
}

// publish makes the one call that records the build. An interruption does not cut it off at once:
// Packer destroys the image of a build that it interrupts, so whether it was recorded must be known.
func (r *recording) publish(ctx context.Context, c *client.Client) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	call, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.limit())
	defer cancel()
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })
	defer stop()
	r.sent = true
	var err error
	r.receipt, err = c.Publish(call, string(r.config.artifact), r.publication())
	return err
}

// publication is what the registry is sent.
func (r *recording) publication() registry.Publication {
	pub := registry.Publication{
		Fingerprint: r.config.Fingerprint, Version: r.config.Version,
		Expect: r.config.Expect, Channels: r.config.Channels, Build: r.build,
	}
	for _, u := range r.uploads {
		pub.Build.Files = append(pub.Build.Files, u.sent)
	}
	return pub
}
