package aws

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// Provider is the provider of the images that package aws knows.
const Provider = "aws"

const (
	defaultGrace   = 10 * time.Second
	defaultPollMin = 2 * time.Second
	defaultPollMax = 15 * time.Second

	// maxCalls is how many calls are under way at once, over all regions.
	maxCalls = 16
)

// Options say how a Verifier works. The zero value looks once.
type Options struct {
	// Timeout is how long to wait for images that are pending; 0 looks once.
	Timeout time.Duration
	// Grace is how long an image may be missing before it counts as such, whatever Timeout is: EC2 does
	// not show a new image everywhere at once. 0 is 10 seconds; below 0 there is none.
	Grace time.Duration
	// PollMin is the pause after the first look, which doubles up to PollMax; 0 is 2 and 15 seconds.
	PollMin, PollMax time.Duration
	// UserAgent is "name/version" of the program, told to AWS; by default almanac.
	UserAgent string
	// Log is told what is waited for. Calls to it never overlap. nil is silent.
	Log func(format string, args ...any)
	// Load changes how the AWS configuration is loaded, such as another HTTP client.
	Load []func(*config.LoadOptions) error
}

// Verifier looks for AMIs in EC2. It is safe for concurrent use.
type Verifier struct {
	options Options
	config  sdk.Config
	calls   chan struct{} // holds a token for each call under way
	logging sync.Mutex
}

// NewVerifier loads the AWS configuration. It makes no call to EC2 and does not ask for credentials yet.
// Its error is of kind Invalid: a profile that does not exist, a config file that cannot be read.
func NewVerifier(ctx context.Context, o Options) (*Verifier, error) {
	o.Timeout = max(o.Timeout, 0)
	if o.Grace == 0 {
		o.Grace = defaultGrace
	}
	if o.PollMin <= 0 {
		o.PollMin = defaultPollMin
	}
	if o.PollMax <= 0 {
		o.PollMax = defaultPollMax
	}
	o.PollMax = max(o.PollMax, o.PollMin)
	cfg, err := loadConfig(ctx, o.UserAgent, o.Load)
	if err != nil {
		return nil, err
	}
	return &Verifier{options: o, config: cfg, calls: make(chan struct{}, maxCalls)}, nil
}

// Verify returns the images in the order that they are given in, each AMI with a new Verification: what
// EC2 said when it was last asked. Images of other providers, and the volumes and snapshots that
// amazon-ebsvolume makes, are returned as they are. The given images are not changed.
//
// An AMI that is missing, broken or somebody else's is no error but a Verification. The error says that
// it could not be found out, for all regions at once; images of which that is so, or of which the
// outcome was still open, are returned as they were given. It is a [*registry.Error] of kind
//   - Invalid: no credentials, or none that AWS accepts; a region or an endpoint that there is not
//   - Forbidden: the credentials may not describe images
//   - Unavailable: what may pass: the network, throttling beyond all retries, a context that ended
//   - Internal: a defect
//
// What it wraps is for whoever asked, and not to be published; its text never has credentials.
func (v *Verifier) Verify(ctx context.Context, images []registry.Image) ([]registry.Image, error) {
	images = slices.Clone(images)
	wanted, err := byRegion(images)
	if err != nil || len(wanted) == 0 {
		return images, err
	}
	if err := checkCredentials(ctx, v.config, ofImages); err != nil {
		return images, err
	}
	searches, err := v.search(ctx, wanted)
	for i, image := range images {
		s := searches[image.Region]
		if image.Provider != Provider || s == nil {
			continue
		}
		if found, ok := s.concluded[image.ID]; ok {
			found.Attributes = maps.Clone(found.Attributes) // the same image may be there twice
			images[i].Verification = &found
		}
	}
	return images, err
}

var (
	amiID      = regexp.MustCompile(`^ami-[0-9a-f]+$`)
	regionName = regexp.MustCompile(`^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$`)
)

// byRegion returns the AMIs to look for by region, each once. What is no AMI id, and might be a pattern to
// EC2, is concluded at once.
func byRegion(images []registry.Image) (map[string][]string, error) {
	wanted := map[string][]string{}
	var bad []registry.FieldError
	for i, image := range images {
		if image.Provider != Provider || strings.HasPrefix(image.ID, "vol-") || strings.HasPrefix(image.ID, "snap-") {
			continue
		}
		if !regionName.MatchString(image.Region) {
			bad = append(bad, registry.FieldError{
				Field:   fmt.Sprintf("images[%d].region", i),
				Message: fmt.Sprintf("%q is not an AWS region, such as eu-west-1", image.Region),
			})
			continue
		}
		if !amiID.MatchString(image.ID) {
			images[i].Verification = &registry.Verification{
				Status: registry.ImageFailed, At: time.Now().UTC(),
				Reason: clean(fmt.Sprintf("%q in %s is not the id of an AMI, which is ami- and hexadecimal digits", image.ID, image.Region), maxReason),
			}
			continue
		}
		if !slices.Contains(wanted[image.Region], image.ID) {
			wanted[image.Region] = append(wanted[image.Region], image.ID)
		}
	}
	if len(bad) > 0 {
		return nil, &registry.Error{Kind: registry.Invalid, Msg: "the images cannot be looked for in AWS", Fields: bad}
	}
	return wanted, nil
}

// search looks in all regions at once. The error is that of all regions in which it failed.
func (v *Verifier) search(ctx context.Context, wanted map[string][]string) (map[string]*search, error) {
	var (
		deadline = time.Now().Add(v.options.Timeout)
		searches = make(map[string]*search, len(wanted))
		errs     = make(map[string]error)
		lock     sync.Mutex
		group    sync.WaitGroup
	)
	// Nobody waits for pending images any more once it is clear that the whole fails.
	waiting, stopWaiting := context.WithCancel(ctx)
	defer stopWaiting()
	for region, ids := range wanted {
		s := v.newSearch(region, ids, deadline)
		searches[region] = s
		group.Go(func() {
			if err := safely(func() error { return s.run(ctx, waiting) }); err != nil {
				stopWaiting()
				lock.Lock()
				defer lock.Unlock()
				errs[region] = err
			}
		})
	}
	group.Wait()
	if ctx.Err() != nil {
		return searches, stopped(ctx, ofImages)
	}
	return searches, regionErrors(errs, ofImages)
}

func (v *Verifier) log(format string, args ...any) {
	if v.options.Log == nil {
		return
	}
	v.logging.Lock()
	defer v.logging.Unlock()
	v.options.Log(format, args...)
}
