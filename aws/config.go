package aws

import (
	"context"
	"errors"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/middleware"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

const (
	// attemptTimeout ends an attempt that hangs; the SDK then makes another.
	attemptTimeout = 30 * time.Second
	// maxAttempts is for whoever has set no other number. The SDK's own 3 are few for an account that
	// is throttled because it builds in many regions.
	maxAttempts = 6
)

// loadConfig loads the AWS configuration, without asking for credentials. agent is "name/version" of the
// program; without it, almanac.
func loadConfig(ctx context.Context, agent string, more []func(*config.LoadOptions) error) (sdk.Config, error) {
	if agent == "" {
		agent = "almanac"
	}
	name, version, _ := strings.Cut(agent, "/")
	load := []func(*config.LoadOptions) error{
		config.WithRetryMode(sdk.RetryModeAdaptive),
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTimeout(attemptTimeout)),
		// Each call names its own region; this one is for credentials that are got from STS, which
		// would be refused without any.
		config.WithDefaultRegion("us-east-1"),
		config.WithAPIOptions([]func(*middleware.Stack) error{userAgent(name, version)}),
	}
	cfg, err := config.LoadDefaultConfig(ctx, append(load, more...)...)
	if err != nil {
		e := registry.Errorf(registry.Invalid, "the AWS configuration cannot be loaded; check AWS_PROFILE and the files in ~/.aws, or where AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE point")
		e.Err = err
		return sdk.Config{}, e
	}
	if cfg.Credentials != nil {
		cfg.Credentials = withheld{cfg.Credentials}
	}
	if cfg.RetryMaxAttempts == 0 {
		cfg.RetryMaxAttempts = maxAttempts
	}
	return cfg, nil
}

func userAgent(name, version string) func(*middleware.Stack) error {
	if version == "" {
		return awsmiddleware.AddUserAgentKey(name)
	}
	return awsmiddleware.AddUserAgentKeyValue(name, version)
}

// checkCredentials gets credentials before any region is asked, so that there is one error when there
// are none.
func checkCredentials(ctx context.Context, cfg sdk.Config, of subject) error {
	if cfg.Credentials == nil {
		return noCredentials(errors.New("no provider of credentials is configured"))
	}
	_, err := cfg.Credentials.Retrieve(ctx)
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return stopped(ctx, of)
	}
	return err
}
