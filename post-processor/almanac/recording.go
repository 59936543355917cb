package almanac

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"slices"
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
	accepted     accepted
	origin       origin
	stateTimeout time.Duration
	answerTime   time.Duration
	newVerifier  newVerifier

	config  prepared
	product product
	// unread is set when the product is not all that there is to know of it.
	unread    *unreadError
	build     registry.Build
	uploads   []upload
	left      []string // the paths of documents that cannot be recorded
	described bool     // build and uploads are all that there is to record, or all that is known of it
	sent      bool     // the publish call was begun: from here on the build may be recorded
	receipt   registry.Receipt
}

// run records the artifact. The Terraform file comes after that, and its trouble is told here: the
// build is recorded all the same.
func (r *recording) run(ctx context.Context, a packersdk.Artifact) error {
	if err := r.look(ctx, a); err != nil {
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

// look finds out all that is to be recorded.
func (r *recording) look(ctx context.Context, a packersdk.Artifact) error {
	var err error
	r.product, err = readProduct(ctx, a, r.stateTimeout)
	r.unread, _ = errors.AsType[*unreadError](err)
	// Configuration and images are read either way: the report of a failure needs them.
	r.configure()
	box := r.identify()
	if r.unread != nil {
		if ctx.Err() == nil {
			r.describeRest(box)
		}
		return err
	}
	if err := r.config.joined(); err != nil {
		return fmt.Errorf("the configuration has a mistake that shows only now that the build is done: %w", err)
	}
	if err := r.describe(box); err != nil {
		return err
	}
	// What is wrong with documents is told after the images were looked at: that may be wrong, too.
	documents := r.readDocuments()
	if err := r.verify(ctx); err != nil {
		return err
	}
	return documents
}

// describeRest describes what is known of an artifact that could not be read to its end, for a publish
// file. A name that the build filled in may hold a secret that nobody can recognize now.
func (r *recording) describeRest(box foundBox) {
	for _, name := range r.config.names() {
		if !slices.Contains(r.accepted.names, name) {
			return
		}
	}
	if r.config.joined() != nil {
		return
	}
	if err := r.describe(box); err != nil {
		log.Printf("[WARN] what is known of the artifact does not suffice: %v", err)
		return
	}
	if err := r.readDocuments(); err != nil {
		r.ui.fail("%s", r.masked(err.Error()))
	}
}

// configure reads the configuration with the values of the build. Where these make metadata that cannot be
// read, it goes without.
func (r *recording) configure() {
	b := &built{generated: r.product.generated, accepted: r.accepted.names}
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

// patience spreads retries over a time: the pauses double from half a second to 15 seconds, unless the
// registry asks for another within that time.
func patience(total time.Duration) client.Options {
	o := client.Options{RetryWaitMin: 500 * time.Millisecond, RetryWaitMax: 15 * time.Second, RetryAfterMax: total}
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
		if u.kind == "" {
			pub.Build.Files = append(pub.Build.Files, u.sent)
		} else {
			pub.Build.Attachments = append(pub.Build.Attachments, registry.Attachment{File: u.sent, Kind: u.kind})
		}
	}
	return pub
}
