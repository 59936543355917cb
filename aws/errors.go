package aws

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// The error codes of EC2 that are about the caller (API Reference, "Error codes", common client errors).
var (
	deniedCodes = []string{"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"}

	rejectedCodes = []string{
		"AuthFailure", "Blocked", "ExpiredToken", "ExpiredTokenException", "IncompleteSignature", "InvalidClientTokenId",
		"MissingAuthenticationToken", "OptInRequired", "PendingVerification", "RequestExpired", "SignatureDoesNotMatch",
		"UnrecognizedClientException",
	}
)

// subject is what EC2 is asked for, as errors say it.
type subject struct{ sought, things, action string }

var (
	ofImages    = subject{"AMIs", "images", "ec2:DescribeImages"}
	ofInstances = subject{"instances", "instances", "ec2:DescribeInstances"}
)

// diagnose returns the kind of an error of a call in a region, and a sentence with a blank for the names
// of the regions that says what is wrong and what to do.
func diagnose(err error, of subject) (registry.Kind, string) {
	if own, ok := errors.AsType[*registry.Error](err); ok {
		return own.Kind, strings.ReplaceAll(own.Msg, "%", "%%") + " (asked for in %s)"
	}
	if _, ok := errors.AsType[*defect](err); ok {
		return registry.Internal, "looking for " + of.sought + " failed in %s, because almanac has a defect; please report it"
	}
	code := ""
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		code = api.ErrorCode()
	}
	switch {
	case slices.Contains(deniedCodes, code):
		return registry.Forbidden, "the AWS credentials may not read " + of.things + " in %s; allow them " + of.action
	case slices.Contains(rejectedCodes, code):
		return registry.Invalid, "AWS does not accept the credentials in %s; check that they are right and have not expired, that the clock is right, and that the account has the region enabled"
	case noSuchHost(err):
		return registry.Invalid, "no EC2 endpoint is known for %s; check the name of the region, and AWS_ENDPOINT_URL_EC2 and AWS_ENDPOINT_URL if they are set"
	case throttled(err):
		return registry.Unavailable, "AWS throttles EC2 requests of this account in %s, and did so at each try; try again later, ask for fewer regions at once, or set AWS_MAX_ATTEMPTS to more tries"
	case mayPass(err):
		return registry.Unavailable, "EC2 did not answer in %s; check the network (and AWS_ENDPOINT_URL_EC2 and AWS_ENDPOINT_URL if they are set), and try again later"
	}
	return registry.Invalid, "EC2 did not describe the " + of.things + " in %s; check AWS_ENDPOINT_URL_EC2 and AWS_ENDPOINT_URL if they are set"
}

func noSuchHost(err error) bool {
	dns, ok := errors.AsType[*net.DNSError](err)
	return ok && dns.IsNotFound
}

// mayPass says whether the same call may succeed later: the network, throttling, an error of the server.
func mayPass(err error) bool {
	if own, ok := errors.AsType[*registry.Error](err); ok {
		return own.Kind == registry.Unavailable
	}
	return retry.IsErrorRetryables(retry.DefaultRetryables).IsErrorRetryable(err) == sdk.TrueTernary
}

// throttled says whether there were too many calls.
func throttled(err error) bool {
	return retry.IsErrorThrottles(retry.DefaultThrottles).IsErrorThrottle(err) == sdk.TrueTernary
}

// regionErrors is one error for all regions; nil when there is none. Its kind is the one that needs
// somebody to do something, if there is any: Internal before Invalid before Forbidden before Unavailable.
func regionErrors(errs map[string]error, of subject) error {
	if len(errs) == 0 {
		return nil
	}
	var (
		kinds     = map[registry.Kind]bool{}
		sentences []string
		regions   = map[string][]string{} // by sentence
		list      causes
	)
	for _, region := range slices.Sorted(maps.Keys(errs)) {
		kind, sentence := diagnose(errs[region], of)
		kinds[kind] = true
		if regions[sentence] == nil {
			sentences = append(sentences, sentence)
		}
		regions[sentence] = append(regions[sentence], region)
		if _, own := errors.AsType[*registry.Error](errs[region]); !own {
			list = append(list, fmt.Errorf("%s: %w", region, errs[region]))
		}
	}
	for i, sentence := range sentences {
		sentences[i] = fmt.Sprintf(sentence, strings.Join(regions[sentence], ", "))
	}
	e := &registry.Error{Kind: registry.Unavailable, Msg: strings.Join(sentences, "; ")}
	if len(list) > 0 {
		e.Err = list
	}
	for _, kind := range []registry.Kind{registry.Forbidden, registry.Invalid, registry.Internal} {
		if kinds[kind] {
			e.Kind = kind
		}
	}
	return e
}

// causes are errors that are told on one line.
type causes []error

func (c causes) Error() string {
	texts := make([]string, len(c))
	for i, err := range c {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (c causes) Unwrap() []error { return c }

// stopped is the error of a search whose context has ended.
func stopped(ctx context.Context, of subject) error {
	return &registry.Error{Kind: registry.Unavailable, Msg: "looking for " + of.sought + " was stopped", Err: ctx.Err()}
}

// noCredentials is the error of a configuration that gives no credentials, for the reason err. It does not
// have err in its chain: that of a credential_process quotes all that the program wrote, which is the
// credentials themselves where it wrote something else beside them.
func noCredentials(err error) *registry.Error {
	// This is how the SDK's processcreds.ProviderError begins.
	if strings.Contains(err.Error(), "process provider error: ") {
		return registry.Errorf(registry.Invalid, "the credential_process of the AWS profile gave no credentials; run it by hand: it must exit with 0 and write its JSON to stdout and nothing else")
	}
	operation, called := errors.AsType[*smithy.OperationError](err)
	// A machine without a role times out when it is asked for one: that does not pass.
	if called && operation.ServiceID == "ec2imds" {
		return registry.Errorf(registry.Invalid, noneText, "")
	}
	if throttled(err) {
		return registry.Errorf(registry.Unavailable, "AWS throttles requests for credentials%s; try again later", refusedBy(err))
	}
	if mayPass(err) {
		return registry.Errorf(registry.Unavailable, "AWS did not give credentials%s; check the network, and try again later", refusedBy(err))
	}
	return registry.Errorf(registry.Invalid, noneText, refusedBy(err))
}

const noneText = "there are no AWS credentials%s; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or sign in with aws sso login"

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

// refusedBy names the AWS service that was asked for credentials and its error code, as far as there are
// such, and nothing else that it said.
func refusedBy(err error) string {
	var words []string
	if operation, ok := errors.AsType[*smithy.OperationError](err); ok {
		words = append(words, operation.ServiceID, operation.OperationName)
	}
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		words = append(words, api.ErrorCode())
	}
	words = slices.DeleteFunc(words, func(word string) bool { return !plainWord.MatchString(word) })
	if len(words) == 0 {
		return ""
	}
	return " (" + strings.Join(words, " ") + ")"
}

// withheld gives credentials, or an error that can be shown.
type withheld struct{ sdk.CredentialsProvider }

// Retrieve fails with what [noCredentials] says, also in the middle of a call to EC2, for which they are
// renewed.
func (w withheld) Retrieve(ctx context.Context) (sdk.Credentials, error) {
	credentials, err := w.CredentialsProvider.Retrieve(ctx)
	switch {
	case err == nil:
		return credentials, nil
	case ctx.Err() != nil:
		return sdk.Credentials{}, ctx.Err()
	}
	return sdk.Credentials{}, noCredentials(err)
}

// defect is a panic of a search.
type defect struct{ value any }

func (d *defect) Error() string { return fmt.Sprintf("panic: %v", d.value) }

// safely turns a panic into an error: this runs in Packer's plugin, whose end would cost the image.
func safely(run func() error) (err error) {
	defer func() {
		if value := recover(); value != nil {
			err = &defect{value}
		}
	}()
	return run()
}
