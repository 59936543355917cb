package aws_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/config"

	"github.com/cargomedia/packer-plugin-almanac/aws"
	"github.com/cargomedia/packer-plugin-almanac/internal/ec2sim"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// reader makes as many attempts as another reader, with hardly a pause between them.
func reader(t *testing.T) *aws.Reader {
	t.Helper()
	r, err := aws.NewReader(t.Context(), "almanac/test", config.WithRetryer(func() sdk.Retryer {
		return retry.AddWithMaxBackoffDelay(retry.AddWithMaxAttempts(retry.NewStandard(), 6), time.Millisecond)
	}))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func seed(t *testing.T, sim *ec2sim.Server, s ec2sim.Seed) ec2sim.Seeded {
	t.Helper()
	made, err := sim.Seed(s)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func instances(t *testing.T, regions []string, filters ...aws.Filter) []aws.Instance {
	t.Helper()
	found, err := reader(t).Instances(t.Context(), regions, filters...)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func filter(t *testing.T, text string) aws.Filter {
	t.Helper()
	f, err := aws.ParseFilter(text)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestInstances(t *testing.T) {
	sim := simulate(t)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	seed(t, sim, ec2sim.Seed{
		Images: []ec2sim.SeedImage{{Region: us, ID: "ami-0000000a", Name: "app", Arch: "arm64"}, {Region: eu, Name: "app"}},
		Instances: []ec2sim.SeedInstances{
			{Region: us, Image: "app", ID: "i-0000000b", Name: "web", Type: "c6g.large", LaunchedAt: at, Tags: map[string]string{"role": "web"}},
			{Region: us, Image: "app", ID: "i-0000000c", Name: "gone", State: "terminated"},
			{Region: eu, Image: "app", ID: "i-0000000d", State: "stopped"},
		},
	})
	t.Run("is everything that has not ended, by region", func(t *testing.T) {
		got := instances(t, []string{us, eu, us})
		if len(got) != 2 || got[0].ID != "i-0000000d" || got[0].State != "stopped" {
			t.Fatalf("got %+v, want the instance of each region once", got)
		}
		want := aws.Instance{
			ID: "i-0000000b", Region: us, ImageID: "ami-0000000a", Name: "web", State: "running", Type: "c6g.large",
			AvailabilityZone: us + "a", Architecture: "arm64", OwnerID: ec2sim.AccountID, LaunchedAt: at,
		}
		tags := got[1].Tags
		if got[1].Tags = nil; fmt.Sprint(got[1]) != fmt.Sprint(want) || len(tags) != 2 || tags["role"] != "web" {
			t.Errorf("got %+v with tags %v, want %+v", got[1], tags, want)
		}
	})
	t.Run("fits the filters", func(t *testing.T) {
		if got := instances(t, []string{us, eu}, filter(t, "tag:role=db,web")); len(got) != 1 || got[0].Name != "web" {
			t.Errorf("got %+v, want web", got)
		}
		if got := instances(t, []string{us, eu}, filter(t, "instance-state-name=terminated")); len(got) != 1 || got[0].Name != "gone" {
			t.Errorf("got %+v, want the one that is gone, since it was asked for", got)
		}
	})
	t.Run("of other regions is there when one fails", func(t *testing.T) {
		inject(t, sim, ec2sim.Fault{Region: us, Error: "UnauthorizedOperation"})
		inject(t, sim, ec2sim.Fault{Region: ap, Error: "UnauthorizedOperation"})
		got, err := reader(t).Instances(t.Context(), []string{us, eu, ap})
		wantError(t, err, registry.Forbidden, "may not read instances in ap-southeast-2, us-east-1; allow them ec2:DescribeInstances")
		if len(got) != 1 || got[0].Region != eu {
			t.Errorf("got %+v, want what is in %s", got, eu)
		}
	})
}

func TestListErrors(t *testing.T) {
	t.Run("a filter that EC2 does not have", func(t *testing.T) {
		simulate(t)
		_, err := reader(t).Instances(t.Context(), []string{eu, us}, filter(t, "nam=x"))
		wantError(t, err, registry.Invalid, "EC2 does not take the question: The filter 'nam' is invalid (asked for in eu-west-1, us-east-1)")
		if strings.Contains(err.Error(), "RequestID") {
			t.Errorf("got %v, want EC2's sentence once", err)
		}
	})
	t.Run("no region and bad regions", func(t *testing.T) {
		simulate(t)
		_, err := reader(t).Instances(t.Context(), nil)
		wantError(t, err, registry.Invalid, "without a region")
		_, err = reader(t).Images(t.Context(), []string{"eu-west-1a", "*"}, nil)
		wantError(t, err, registry.Invalid, `regions[0]: "eu-west-1a" is not an AWS region`, `regions[1]: "*"`)
	})
	t.Run("no credentials", func(t *testing.T) {
		environment(t, "http://127.0.0.1:1")
		_, err := reader(t).Instances(t.Context(), []string{eu})
		wantError(t, err, registry.Invalid, "there are no AWS credentials")
	})
	t.Run("something else than EC2", func(t *testing.T) {
		page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "<html><body>Welcome</body></html>")
		}))
		t.Cleanup(page.Close)
		simulate(t)
		t.Setenv("AWS_ENDPOINT_URL", page.URL)
		_, err := reader(t).Instances(t.Context(), []string{eu})
		wantError(t, err, registry.Invalid, "EC2 did not describe the instances in eu-west-1", "what answered is not EC2")
	})
	t.Run("throttled for ever", func(t *testing.T) {
		sim := simulate(t)
		inject(t, sim, ec2sim.Fault{Region: eu, Error: "Throttling"})
		_, err := reader(t).Images(t.Context(), []string{eu, us}, nil)
		wantError(t, err, registry.Unavailable, "AWS throttles EC2 requests of this account in eu-west-1, and did so at each try; try again later")
	})
	t.Run("stopped", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		simulate(t, ec2sim.WithOnCall(func(ec2sim.Call) { cancel() }))
		_, err := reader(t).Instances(ctx, []string{eu})
		wantError(t, err, registry.Unavailable, "looking for instances was stopped")
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want it canceled", err)
		}
	})
}

func TestParseFilter(t *testing.T) {
	if got := filter(t, "tag:role=a=b,c*"); got.Name != "tag:role" || !slices.Equal(got.Values, []string{"a=b", "c*"}) {
		t.Errorf("got %+v", got)
	}
	for _, text := range []string{"", "name", "=x", "name=", "name=a,", "name=" + strings.Repeat("x,", 200) + "x"} {
		if _, err := aws.ParseFilter(text); registry.KindOf(err) != registry.Invalid {
			t.Errorf("%.20q: got %v, want it invalid", text, err)
		}
	}
}

func TestZoneRegion(t *testing.T) {
	for zone, want := range map[string]string{
		"eu-west-1a": "eu-west-1", "us-west-2-lax-1a": "us-west-2", "us-east-1-wl1-bos-wlz-1": "us-east-1", "ap-southeast-2b": "ap-southeast-2",
		"us-gov-west-1c": "us-gov-west-1", "us-isob-east-1a": "us-isob-east-1", "us-west-2-phx-2a": "us-west-2", "eusc-de-east-1b": "eusc-de-east-1",
		"": "", "eu-west-1": "", "use1-az4": "", "a": "", "eu-west-1A": "", "eu-west-1a\n": "",
	} {
		if got := aws.ZoneRegion(zone); got != want {
			t.Errorf("%q: got %q, want %q", zone, got, want)
		}
	}
}
