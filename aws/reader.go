package aws

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// Reader lists what there is in EC2, in several regions at once. It is safe for concurrent use.
type Reader struct {
	config sdk.Config
	calls  chan struct{} // holds a token for each call under way
}

// NewReader loads the AWS configuration as [NewVerifier] does. agent is "name/version" of the program; load
// changes how the configuration is loaded.
func NewReader(ctx context.Context, agent string, load ...func(*config.LoadOptions) error) (*Reader, error) {
	cfg, err := loadConfig(ctx, agent, load)
	if err != nil {
		return nil, err
	}
	return &Reader{config: cfg, calls: make(chan struct{}, maxCalls)}, nil
}

// inRegions lists in all regions at once, and returns what those have that answered. The error is one for all
// regions that did not, of the kinds that [Verifier.Verify] has.
func inRegions[T any](ctx context.Context, r *Reader, regions []string, of subject, list func(context.Context, *ec2.Client, string) ([]T, error)) ([]T, error) {
	if err := checkRegions(regions); err != nil {
		return nil, err
	}
	if err := checkCredentials(ctx, r.config, of); err != nil {
		return nil, err
	}
	var (
		found = map[string][]T{}
		errs  = map[string]error{}
		lock  sync.Mutex
		group sync.WaitGroup
	)
	for _, region := range slices.Compact(slices.Sorted(slices.Values(regions))) {
		client := ec2.NewFromConfig(r.config, func(o *ec2.Options) { o.Region = region })
		group.Go(func() {
			var things []T
			err := safely(func() (err error) {
				things, err = list(ctx, client, region)
				return err
			})
			lock.Lock()
			defer lock.Unlock()
			if err != nil {
				errs[region] = err
				return
			}
			found[region] = things
		})
	}
	group.Wait()
	if ctx.Err() != nil {
		return nil, stopped(ctx, of)
	}
	all := []T{}
	for _, region := range slices.Sorted(maps.Keys(found)) {
		all = append(all, found[region]...)
	}
	return all, regionErrors(errs, of)
}

func checkRegions(regions []string) error {
	var bad []registry.FieldError
	for i, region := range regions {
		if err := CheckRegion(region); err != nil {
			bad = append(bad, registry.FieldError{Field: fmt.Sprintf("regions[%d]", i), Message: err.Error()})
		}
	}
	switch {
	case len(bad) > 0:
		return &registry.Error{Kind: registry.Invalid, Msg: "AWS cannot be asked", Fields: bad}
	case len(regions) == 0:
		return registry.Errorf(registry.Invalid, "AWS cannot be asked without a region; give at least one, such as eu-west-1")
	}
	return nil
}

// pages is a paginator of the SDK.
type pages[Out any] interface {
	HasMorePages() bool
	NextPage(ctx context.Context, options ...func(*ec2.Options)) (Out, error)
}

// eachPage makes the calls of a list, each when not too many are under way. use returns the metadata of a
// page's answer, and how much was on the page.
func eachPage[Out any](ctx context.Context, r *Reader, p pages[Out], use func(Out) (middleware.Metadata, int)) error {
	for p.HasMorePages() {
		page, err := nextPage(ctx, r, p)
		if err != nil {
			return refusedQuestion(err)
		}
		metadata, n := use(page)
		if _, named := awsmiddleware.GetRequestIDMetadata(metadata); !named && n == 0 {
			return errNotEC2
		}
	}
	return nil
}

func nextPage[Out any](ctx context.Context, r *Reader, p pages[Out]) (page Out, err error) {
	select {
	case r.calls <- struct{}{}:
	case <-ctx.Done():
		return page, ctx.Err()
	}
	defer func() { <-r.calls }()
	return p.NextPage(ctx)
}

// questionCodes are the error codes of EC2 that are about filters and owners.
var questionCodes = []string{
	"FilterLimitExceeded", "InvalidParameterCombination", "InvalidParameterValue", "InvalidUserID.Malformed",
}

// refusedQuestion says what EC2 says of a question that it does not take; other errors stay.
func refusedQuestion(err error) error {
	if api, ok := errors.AsType[smithy.APIError](err); ok && slices.Contains(questionCodes, api.ErrorCode()) {
		return registry.Errorf(registry.Invalid, "EC2 does not take the question: %s", clean(api.ErrorMessage(), maxReason))
	}
	return err
}
