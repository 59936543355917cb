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
	started bool
	// before are the names of the configuration as it was accepted.
	before []string
	// stateTimeout bounds each look at the artifact; 0 is the default. Tests shorten it.
	stateTimeout time.Duration
	// answerTime is how long the registry may take for one answer; 0 is the default. Tests shorten it.
	answerTime time.Duration
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
	p.started, p.before = true, c.names()
	return nil
}

// PostProcess records the artifact and hands it on unchanged, to be kept whatever the template says
// of keep_input_artifact: what was just recorded must not be destroyed. It fails only when Packer was
// interrupted and nothing was sent to be recorded.
func (p *PostProcessor) PostProcess(ctx context.Context, ui packersdk.Ui, artifact packersdk.Artifact) (packersdk.Artifact, bool, bool, error) {
	r := recording{ui: filtered{ui}, raws: p.raws, before: p.before, stateTimeout: p.stateTimeout, answerTime: p.answerTime}
	err := r.safely(ctx, artifact)
	switch {
	case err == nil:
	case errors.Is(err, errNothing):
		r.ui.say("Nothing to record: %v", err)
	case ctx.Err() != nil && !r.sent:
		return nil, false, false, fmt.Errorf("interrupted; the build is not recorded: %w", ctx.Err())
	case r.receipt.Number > 0:
		r.ui.fail("The build is recorded, but what was to follow failed: %v", err)
	default:
		log.Print("[ERROR] " + packersdk.LogSecretFilter.FilterString(fmt.Sprint("not recorded: ", err)))
		r.ui.fail("%s", r.notRecorded(err))
	}
	return artifact, true, true, nil
}

// safely runs the recording. A defect of this plugin must not cost the image either.
func (r *recording) safely(ctx context.Context, artifact packersdk.Artifact) (err error) {
	defer func() {
		if p := recover(); p != nil {
			log.Print("[ERROR] " + packersdk.LogSecretFilter.FilterString(string(debug.Stack())))
			err = fmt.Errorf("the post-processor has a defect; please report it with the log of PACKER_LOG=1: %v", p)
		}
	}()
	return r.run(ctx, artifact)
}

// filtered writes to Packer's user interface and keeps the token out.
type filtered struct{ packersdk.Ui }

func (f filtered) say(format string, args ...any) {
	f.Say(packersdk.LogSecretFilter.FilterString(fmt.Sprintf(format, args...)))
}

func (f filtered) fail(format string, args ...any) {
	f.Error(packersdk.LogSecretFilter.FilterString(fmt.Sprintf(format, args...)))
}
