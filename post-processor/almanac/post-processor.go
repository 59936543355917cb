package almanac

import (
	"context"
	"errors"
	"fmt"
	"log"
	"runtime/debug"
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2/hcldec"
	packersdk "github.com/hashicorp/packer-plugin-sdk/packer"
)

// PostProcessor implements packersdk.PostProcessor. Packer runs each in a process of its own, and
// calls its methods one after the other.
type PostProcessor struct {
	raws []any // as Packer handed them over last
	// started is set when the configuration was accepted, which is before the build starts.
	started  bool
	accepted accepted
	origin   func(context.Context, time.Duration) origin
	// stateTimeout bounds each look at the artifact; 0 is the default. Tests shorten it.
	stateTimeout time.Duration
	// answerTime is how long the registry may take for one answer; 0 is the default. Tests shorten it.
	answerTime time.Duration
	// newVerifier is what aws_verify looks with; nil is EC2. Tests replace it.
	newVerifier newVerifier
}

// accepted is what counts of a configuration as it was found good before the build.
type accepted struct {
	names           []string
	metadata        map[string]string
	onRegistryError string
}

var _ packersdk.PostProcessor = new(PostProcessor)

// ConfigSpec describes the block to HCL2.
func (p *PostProcessor) ConfigSpec() hcldec.ObjectSpec {
	return new(Config).FlatMapstructure().HCL2Spec()
}

// Configure checks the configuration, alone and against the registry. In HCL2 templates Packer calls
// it once more when the build is done, with the build's values; an error would then cost the image,
// so that call only takes the values over.
func (p *PostProcessor) Configure(raws ...any) error {
	p.raws = slices.Clone(raws)
	if p.started {
		return nil
	}
	c := prepare(p.raws, nil)
	if c.undecoded == nil {
		c.preflight()
	}
	if err := c.joined(); err != nil {
		return err
	}
	p.started, p.origin = true, c.findOrigin(p.raws)
	p.accepted = accepted{names: c.names(), metadata: c.Metadata, onRegistryError: c.OnRegistryError}
	return nil
}

// PostProcess records the artifact and hands it on unchanged, to be kept whatever the template says
// of keep_input_artifact: what was just recorded must not be destroyed. An error makes Packer destroy the
// artifact, so there are three alone: Packer was interrupted and nothing was sent to be recorded; an AMI
// is not what aws_verify asks for; the build is not recorded and on_registry_error is fail.
func (p *PostProcessor) PostProcess(ctx context.Context, ui packersdk.Ui, artifact packersdk.Artifact) (packersdk.Artifact, bool, bool, error) {
	r := recording{
		ui: filtered{ui}, raws: p.raws, accepted: p.accepted, stateTimeout: p.stateTimeout, answerTime: p.answerTime, newVerifier: p.newVerifier,
	}
	if r.newVerifier == nil {
		r.newVerifier = newAWSVerifier
	}
	if p.origin != nil {
		r.origin = p.origin(ctx, originTime)
	}
	if err := r.outcome(ctx, safely(func() error { return r.run(ctx, artifact) })); err != nil {
		return nil, false, false, err
	}
	return artifact, true, true, nil
}

// outcome tells what became of the recording that ended with err, and returns what the build fails with.
func (r *recording) outcome(ctx context.Context, err error) error {
	switch {
	case err == nil:
	case errors.Is(err, errNothing):
		r.ui.say("Nothing to record: %v", err)
		return nil
	case r.interrupted(ctx):
		return fmt.Errorf("interrupted; the build is not recorded: %w", ctx.Err())
	case r.receipt.Number > 0:
		r.ui.fail("The build is recorded, but what was to follow failed: %v", err)
	case r.accepted.onRegistryError == onErrorFail:
		return errors.New(r.refusal(err))
	default:
		log.Print("[ERROR] " + r.masked(fmt.Sprint("not recorded: ", err)))
		kept := r.rescue(ctx, err)
		if kept.empty() && r.interrupted(ctx) {
			return fmt.Errorf("interrupted; the build is not recorded: %w", ctx.Err())
		}
		r.ui.fail("%s", r.notRecorded(err, kept))
	}
	if unusable := r.unusable(); unusable != nil {
		return errors.New(r.failure(unusable))
	}
	return nil
}

// interrupted says whether Packer was told to stop when nothing was recorded yet for sure.
func (r *recording) interrupted(ctx context.Context) bool { return ctx.Err() != nil && !r.sent }

// safely runs a part of the recording. A defect of this plugin must not cost the image either.
func safely(part func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			log.Print("[ERROR] " + withoutSecrets(string(debug.Stack())))
			err = fmt.Errorf("the post-processor has a defect; please report it with the log of PACKER_LOG=1: %v", p)
		}
	}()
	return part()
}

// filtered writes to Packer's user interface and keeps the token out.
type filtered struct{ packersdk.Ui }

func (f filtered) say(format string, args ...any) {
	f.Say(withoutSecrets(fmt.Sprintf(format, args...)))
}

func (f filtered) fail(format string, args ...any) {
	f.Error(withoutSecrets(fmt.Sprintf(format, args...)))
}
