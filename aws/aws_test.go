package aws_test

import (
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/aws"
	"github.com/cargomedia/packer-plugin-almanac/internal/ec2sim"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

const (
	eu = "eu-west-1"
	us = "us-east-1"
	ap = "ap-southeast-2"

	missingID = "ami-0123456789abcdef0"
)

// simulate starts an EC2 that this test's AWS environment points to, and nothing else of the machine's.
func simulate(t *testing.T, options ...ec2sim.Option) *ec2sim.Server {
	t.Helper()
	sim := ec2sim.New(options...)
	environment(t, serve(t, sim))
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	return sim
}

// serve returns the address of a simulated EC2.
func serve(t *testing.T, sim *ec2sim.Server) string {
	t.Helper()
	ts := httptest.NewServer(sim)
	t.Cleanup(ts.Close)
	return ts.URL
}

// environment has an endpoint and no credentials.
func environment(t *testing.T, endpoint string) {
	t.Helper()
	nowhere := filepath.Join(t.TempDir(), "none")
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": endpoint, "AWS_CONFIG_FILE": nowhere, "AWS_SHARED_CREDENTIALS_FILE": nowhere, "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value)
	}
	for _, name := range []string{
		"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_REGION",
		"AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL_EC2", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE",
		"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
		"AWS_CA_BUNDLE", "AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT",
	} {
		t.Setenv(name, "") // so that it is restored
		if err := os.Unsetenv(name); err != nil {
			t.Fatal(err)
		}
	}
}

// verifier looks again at once, where the options do not say otherwise.
func verifier(t *testing.T, o aws.Options) *aws.Verifier {
	t.Helper()
	if o.PollMin == 0 {
		o.PollMin, o.PollMax = time.Millisecond, 5*time.Millisecond
	}
	if o.Grace == 0 {
		o.Grace = 20 * time.Millisecond
	}
	if o.Log == nil {
		o.Log = t.Logf
	}
	v, err := aws.NewVerifier(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func verify(t *testing.T, v *aws.Verifier, images ...registry.Image) []registry.Image {
	t.Helper()
	images, err := v.Verify(t.Context(), images)
	if err != nil {
		t.Fatal(err)
	}
	return images
}

// add makes an AMI of the account.
func add(t *testing.T, sim *ec2sim.Server, region, name string) registry.Image {
	t.Helper()
	id, err := sim.AddImage(region, name)
	if err != nil {
		t.Fatal(err)
	}
	return ami(region, id)
}

func ami(region, id string) registry.Image {
	return registry.Image{Provider: "aws", Region: region, ID: id}
}

func inject(t *testing.T, sim *ec2sim.Server, f ec2sim.Fault) {
	t.Helper()
	if err := sim.Inject(f); err != nil {
		t.Fatal(err)
	}
}

// outcome is the status of an image and the reason for it.
func outcome(image registry.Image) string {
	switch v := image.Verification; {
	case v == nil:
		return "nothing"
	case v.Reason == "":
		return string(v.Status)
	default:
		return fmt.Sprintf("%s: %s", v.Status, v.Reason)
	}
}

func wantOutcome(t *testing.T, image registry.Image, want string) {
	t.Helper()
	if got := outcome(image); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
