package aws_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/aws"
	"github.com/cargomedia/packer-plugin-almanac/internal/ec2sim"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// wantError checks the kind of an error and that its texts are in its message.
func wantError(t *testing.T, err error, kind registry.Kind, texts ...string) {
	t.Helper()
	if got := registry.KindOf(err); got != kind {
		t.Errorf("got kind %q of %v, want %q", got, err, kind)
	}
	for _, text := range texts {
		if err != nil && !strings.Contains(err.Error(), text) {
			t.Errorf("got %v, want it to have %q", err, text)
		}
	}
}

func TestErrors(t *testing.T) {
	t.Run("denied", func(t *testing.T) {
		sim := simulate(t)
		inject(t, sim, ec2sim.Fault{Error: "UnauthorizedOperation"})
		_, err := verifier(t, aws.Options{}).Verify(t.Context(), []registry.Image{ami(us, missingID), ami(eu, missingID)})
		wantError(t, err, registry.Forbidden, "the AWS credentials may not read images in eu-west-1, us-east-1; allow them ec2:DescribeImages",
			"You are not authorized to perform this operation.")
	})
	t.Run("rejected credentials", func(t *testing.T) {
		sim := simulate(t)
		for _, code := range []string{"AuthFailure", "RequestExpired"} {
			inject(t, sim, ec2sim.Fault{Error: code})
			_, err := verifier(t, aws.Options{}).Verify(t.Context(), []registry.Image{ami(eu, missingID)})
			wantError(t, err, registry.Invalid, "AWS does not accept the credentials in eu-west-1; check that they are right", code)
		}
	})
	t.Run("unknown region", func(t *testing.T) {
		simulate(t)
		_, err := verifier(t, aws.Options{}).Verify(t.Context(), []registry.Image{ami("mars-1", missingID)})
		wantError(t, err, registry.Invalid, "in mars-1", "that the account has the region enabled")
	})
	t.Run("no region", func(t *testing.T) {
		sim := simulate(t)
		ok := add(t, sim, eu, "app")
		_, err := verifier(t, aws.Options{}).Verify(t.Context(), []registry.Image{ok, ami("", missingID), ami("eu-west-1.example.org/", missingID)})
		wantError(t, err, registry.Invalid, `images[1].region: "" is not an AWS region`, `images[2].region: "eu-west-1.example.org/" is not`)
	})
	t.Run("throttled for ever and denied elsewhere", func(t *testing.T) {
		sim := simulate(t)
		t.Setenv("AWS_MAX_ATTEMPTS", "1")
		ok := add(t, sim, ap, "app")
		inject(t, sim, ec2sim.Fault{Region: eu, Error: "RequestLimitExceeded"})
		inject(t, sim, ec2sim.Fault{Region: us, Error: "UnauthorizedOperation"})
		got, err := verifier(t, aws.Options{}).Verify(t.Context(), []registry.Image{ami(eu, missingID), ok, ami(us, missingID)})
		wantError(t, err, registry.Forbidden, "AWS throttles EC2 requests of this account in eu-west-1, and did so at each try; try again later", "RequestLimitExceeded",
			"may not read images in us-east-1;", "eu-west-1: operation error EC2", "us-east-1: operation error EC2")
		for i, want := range []string{"nothing", "available", "nothing"} {
			wantOutcome(t, got[i], want)
		}
	})
	t.Run("no such profile", func(t *testing.T) {
		environment(t, "http://127.0.0.1:1")
		t.Setenv("AWS_PROFILE", "nobody")
		_, err := aws.NewVerifier(t.Context(), aws.Options{})
		wantError(t, err, registry.Invalid, "check AWS_PROFILE", "nobody")
	})
	t.Run("no credentials", func(t *testing.T) {
		environment(t, "http://127.0.0.1:1")
		_, err := verifier(t, aws.Options{}).Verify(t.Context(), []registry.Image{ami(eu, missingID), ami(us, missingID)})
		wantError(t, err, registry.Invalid, "there are no AWS credentials; set AWS_PROFILE, or")
		if n := strings.Count(err.Error(), "there are no AWS credentials"); n != 1 {
			t.Errorf("got it %d times: %v", n, err)
		}
	})
	t.Run("nobody listens", func(t *testing.T) {
		ts := httptest.NewServer(nil)
		ts.Close()
		environment(t, ts.URL)
		t.Setenv("AWS_ACCESS_KEY_ID", "test")
		t.Setenv("AWS_SECRET_ACCESS_KEY", "topsecret")
		t.Setenv("AWS_MAX_ATTEMPTS", "1")
		_, err := verifier(t, aws.Options{}).Verify(t.Context(), []registry.Image{ami(eu, missingID)})
		wantError(t, err, registry.Unavailable, "EC2 did not answer in eu-west-1", "connection refused")
		if strings.Contains(err.Error(), "topsecret") {
			t.Errorf("the error tells the secret: %v", err)
		}
	})
	t.Run("the endpoint is something else", func(t *testing.T) {
		ts := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{\"hello\":1}")) }))
		defer ts.Close()
		environment(t, ts.URL)
		t.Setenv("AWS_ACCESS_KEY_ID", "test")
		t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
		_, err := verifier(t, aws.Options{}).Verify(t.Context(), []registry.Image{ami(eu, missingID)})
		wantError(t, err, registry.Invalid, "EC2 did not describe the images in eu-west-1; check AWS_ENDPOINT_URL_EC2")
	})
}

func TestThrottlingIsRetried(t *testing.T) {
	sim := simulate(t)
	image := add(t, sim, eu, "app")
	inject(t, sim, ec2sim.Fault{Action: "DescribeImages", Error: "RequestLimitExceeded", Count: 2})
	wantOutcome(t, verify(t, verifier(t, aws.Options{}), image)[0], "available")
	if faults := sim.Faults(); len(faults) != 0 {
		t.Errorf("got faults left: %v", faults)
	}
}
