package aws

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func TestRetriesAreAdaptive(t *testing.T) {
	t.Setenv("AWS_CONFIG_FILE", t.TempDir()+"/none")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", t.TempDir()+"/none")
	t.Setenv("AWS_RETRY_MODE", "standard")
	t.Setenv("AWS_MAX_ATTEMPTS", "")
	for _, test := range []struct {
		attempts string
		want     int
	}{{"", maxAttempts}, {"2", 2}} {
		t.Setenv("AWS_MAX_ATTEMPTS", test.attempts)
		v, err := NewVerifier(t.Context(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		client := v.newSearch("eu-west-1", nil, time.Now()).client
		if o := client.Options(); o.RetryMode != sdk.RetryModeAdaptive || o.Retryer.MaxAttempts() != test.want {
			t.Errorf("got mode %s with %d attempts, want adaptive with %d", o.RetryMode, o.Retryer.MaxAttempts(), test.want)
		}
	}
}

func TestDiagnosis(t *testing.T) {
	operation := func(err error) error {
		return &smithy.OperationError{ServiceID: "EC2", OperationName: "DescribeImages", Err: err}
	}
	tests := []struct {
		name string
		err  error
		kind registry.Kind
		text string
	}{
		{"no such host", &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", IsNotFound: true}}, registry.Invalid, "check the name of the region"},
		{"name server away", &net.OpError{Op: "dial", Err: &net.DNSError{Err: "timeout", IsTimeout: true}}, registry.Unavailable, "check the network"},
		{"expired", &smithy.GenericAPIError{Code: "ExpiredToken"}, registry.Invalid, "have not expired"},
		{"unknown", errors.New("odd"), registry.Invalid, "EC2 did not describe"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			kind, text := diagnose(operation(test.err), ofImages)
			if kind != test.kind || !strings.Contains(text, test.text) {
				t.Errorf("got %s %q, want %s with %q", kind, text, test.kind, test.text)
			}
		})
	}
}

func TestMissingCredentialsThatMayCome(t *testing.T) {
	timeout := &net.OpError{Op: "dial", Err: errors.New("i/o timeout")}
	tests := []struct {
		name    string
		service string
		cause   error
		want    registry.Kind
		text    string
	}{
		{"no role of an instance", "ec2imds", timeout, registry.Invalid, "there are no AWS credentials; set"},
		{"STS throttles", "STS", &smithy.GenericAPIError{Code: "Throttling"}, registry.Unavailable, "AWS throttles requests for credentials (STS Throttling); try again later"},
		{"STS away", "STS", timeout, registry.Unavailable, "AWS did not give credentials (STS); check the network"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := noCredentials(fmt.Errorf("refresh: %w", &smithy.OperationError{ServiceID: test.service, Err: test.cause}))
			if err.Kind != test.want || !strings.HasPrefix(err.Error(), test.text) || strings.Contains(err.Error(), "i/o timeout") {
				t.Errorf("got %s: %v; want %s, %q, and no cause", err.Kind, err, test.want, test.text)
			}
		})
	}
}

func TestOddAttributesSatisfyTheRegistry(t *testing.T) {
	image := types.Image{Name: sdk.String("a\x00b\xff" + strings.Repeat("é", 5000)), PlatformDetails: sdk.String(" \t")}
	for i := range 400 {
		id := fmt.Sprintf("snap-%017d", 400-i)
		image.BlockDeviceMappings = append(image.BlockDeviceMappings, types.BlockDeviceMapping{Ebs: &types.EbsBlockDevice{SnapshotId: &id}}, types.BlockDeviceMapping{})
	}
	got := attributes(image)
	if problems := registry.CheckMetadata("attributes", got); len(problems) > 0 {
		t.Errorf("the registry would refuse: %v", problems)
	}
	if len(got) != 2 || len(got["name"]) > maxAttribute || len(got["name"]) < maxAttribute-10 || !utf8.ValidString(got["name"]) || !strings.HasPrefix(got["name"], "a b\uFFFDé") {
		t.Errorf("got %d attributes, name of %d bytes: %.20q", len(got), len(got["name"]), got["name"])
	}
	if !strings.HasPrefix(got["snapshot_ids"], "snap-00000000000000001,snap-00000000000000002,") {
		t.Errorf("got snapshots %.60s…, want them sorted", got["snapshot_ids"])
	}
}

func TestStates(t *testing.T) {
	want := map[types.ImageState]registry.ImageStatus{
		types.ImageStateAvailable: registry.ImageAvailable,
		types.ImageStatePending:   registry.ImagePending, types.ImageStateTransient: registry.ImagePending,
		types.ImageStateFailed: registry.ImageFailed, types.ImageStateError: registry.ImageFailed, types.ImageStateInvalid: registry.ImageFailed,
		types.ImageStateDeregistered: registry.ImageFailed, types.ImageStateDisabled: registry.ImageFailed,
	}
	for _, state := range types.ImageState("").Values() {
		status, reason := judge(types.Image{State: state, StateReason: &types.StateReason{Message: sdk.String("because")}})
		if status != want[state] || (reason == "") != (status == registry.ImageAvailable) {
			t.Errorf("%s: got %q with %q, want %q", state, status, reason, want[state])
		}
		if status == registry.ImageFailed && !strings.HasSuffix(reason, ": because") {
			t.Errorf("%s: got reason %q, want EC2's own in it", state, reason)
		}
	}
}
