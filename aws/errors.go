package aws

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
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

// diagnose returns the kind of an error of a call in a region, and a sentence with a blank for the names
// of the regions that says what is wrong and what to do.
func diagnose(err error) (registry.Kind, string) {
	code := ""
	if api, ok := errors.AsType[smithy.APIError](err); ok {
		code = api.ErrorCode()
	}
	switch {
	case slices.Contains(deniedCodes, code):
		return registry.Forbidden, "the AWS credentials may not read images in %s; allow them ec2:DescribeImages"
	case slices.Contains(rejectedCodes, code):
		return registry.Invalid, "AWS does not accept the credentials in %s; check that they are right and have not expired, that the clock is right, and that the account has the region enabled"
	case noSuchHost(err):
		return registry.Invalid, "no EC2 endpoint is known for %s; check the name of the region, and AWS_ENDPOINT_URL_EC2 and AWS_ENDPOINT_URL if they are set"
	case mayPass(err):
		return registry.Unavailable, "EC2 did not answer in %s; check the network (and AWS_ENDPOINT_URL_EC2 and AWS_ENDPOINT_URL if they are set), and try again later"
	}
	return registry.Invalid, "EC2 did not describe the images in %s; check AWS_ENDPOINT_URL_EC2 and AWS_ENDPOINT_URL if they are set"
}

func noSuchHost(err error) bool {
	dns, ok := errors.AsType[*net.DNSError](err)
	return ok && dns.IsNotFound
}

// mayPass says whether the same call may succeed later: the network, throttling, an error of the server.
func mayPass(err error) bool {
	return retry.IsErrorRetryables(retry.DefaultRetryables).IsErrorRetryable(err) == sdk.TrueTernary
}

// regionErrors is one error for all regions; nil when there is none. Its kind is the one that needs
// somebody to do something, if there is any: Invalid before Forbidden before Unavailable.
func regionErrors(errs map[string]error) error {
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
		kind, sentence := diagnose(errs[region])
		kinds[kind] = true
		if regions[sentence] == nil {
			sentences = append(sentences, sentence)
		}
		regions[sentence] = append(regions[sentence], region)
		list = append(list, fmt.Errorf("%s: %w", region, errs[region]))
	}
	for i, sentence := range sentences {
		sentences[i] = fmt.Sprintf(sentence, strings.Join(regions[sentence], ", "))
	}
	e := &registry.Error{Kind: registry.Unavailable, Msg: strings.Join(sentences, "; "), Err: list}
	for _, kind := range []registry.Kind{registry.Forbidden, registry.Invalid} {
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
func stopped(ctx context.Context) error {
	return &registry.Error{Kind: registry.Unavailable, Msg: "looking for AMIs was stopped", Err: ctx.Err()}
}

// noCredentials is the error of a configuration that gives no credentials, for the reason err.
func noCredentials(err error) error {
	e := &registry.Error{Kind: registry.Invalid, Err: err,
		Msg: "there are no AWS credentials; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or sign in with aws sso login"}
	// A machine without a role times out when it is asked for one: that does not pass.
	operation, ok := errors.AsType[*smithy.OperationError](err)
	if fromInstance := ok && operation.ServiceID == "ec2imds"; !fromInstance && mayPass(err) {
		e.Kind, e.Msg = registry.Unavailable, "AWS did not give credentials; check the network, and try again later"
	}
	return e
}
