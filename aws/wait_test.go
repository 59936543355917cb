package aws_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"github.com/cargomedia/packer-plugin-almanac/aws"
	"github.com/cargomedia/packer-plugin-almanac/internal/ec2sim"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// deprecate makes the call that an operator would make.
func deprecate(t *testing.T, image registry.Image, at time.Time) {
	t.Helper()
	cfg, err := config.LoadDefaultConfig(t.Context(), config.WithRegion(image.Region))
	if err != nil {
		t.Fatal(err)
	}
	input := &ec2.EnableImageDeprecationInput{ImageId: &image.ID, DeprecateAt: sdk.Time(at)}
	if _, err := ec2.NewFromConfig(cfg).EnableImageDeprecation(t.Context(), input); err != nil {
		t.Fatal(err)
	}
}

func TestPendingImageIsWaitedFor(t *testing.T) {
	var looks atomic.Int32
	sim := simulate(t, ec2sim.WithOnCall(func(ec2sim.Call) { looks.Add(1) }))
	image := add(t, sim, eu, "app")
	inject(t, sim, ec2sim.Fault{State: "pending", Count: 2})
	inject(t, sim, ec2sim.Fault{State: "transient", Count: 1})
	var log []string
	v := verifier(t, aws.Options{Timeout: time.Hour, Log: func(format string, args ...any) { log = append(log, fmt.Sprintf(format, args...)) }})

	got := verify(t, v, image)[0]
	wantOutcome(t, got, "available")
	if looks.Load() != 4 {
		t.Errorf("got %d looks, want 4", looks.Load())
	}
	name := "AMI " + image.ID + " in eu-west-1 "
	if len(log) != 2 || log[0] != name+"is pending; waiting up to 1h0m0s for it" || !strings.HasPrefix(log[1], name+"is available after ") {
		t.Errorf("got log %q, want the beginning and the end of the waiting", log)
	}
}

func TestPendingForEver(t *testing.T) {
	sim := simulate(t)
	stays, other := add(t, sim, eu, "app"), add(t, sim, us, "other")
	inject(t, sim, ec2sim.Fault{Image: "app", State: "pending"})
	tests := []struct {
		name    string
		timeout time.Duration
		want    string
	}{
		{"is pending after the timeout", 30 * time.Millisecond, " is still pending after 30ms of waiting"},
		{"is pending at the only look", 0, " is still pending"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := verify(t, verifier(t, aws.Options{Timeout: test.timeout}), stays, other)
			wantOutcome(t, got[0], "pending: AMI "+stays.ID+" in eu-west-1"+test.want)
			wantOutcome(t, got[1], "available")
			if got[0].Verification.Attributes["name"] != "app" {
				t.Errorf("got attributes %v of the pending image", got[0].Verification.Attributes)
			}
		})
	}
}

func TestEventualConsistency(t *testing.T) {
	t.Run("an image that shows within the grace is available", func(t *testing.T) {
		sim := simulate(t)
		image := add(t, sim, eu, "app")
		// Four looks, each of two questions, and one question of the fifth: there the image shows in the
		// second, among everybody's, with an owner that is the account itself.
		inject(t, sim, ec2sim.Fault{Missing: true, Count: 9})
		got := verify(t, verifier(t, aws.Options{Grace: time.Minute}), image)[0]
		wantOutcome(t, got, "available")
		if faults := sim.Faults(); len(faults) != 1 {
			t.Fatalf("got faults %v", faults)
		}
	})
	t.Run("an image that failed to show is missing after the grace", func(t *testing.T) {
		simulate(t)
		started := time.Now()
		const grace = 50 * time.Millisecond
		got := verify(t, verifier(t, aws.Options{Grace: grace, PollMin: time.Second}), ami(eu, missingID))[0]
		if got.Verification.Status != registry.ImageFailed || time.Since(started) < grace {
			t.Errorf("got %s after %v, want it failed after %v", outcome(got), time.Since(started), grace)
		}
	})
	t.Run("a negative grace is none", func(t *testing.T) {
		var looks atomic.Int32
		simulate(t, ec2sim.WithOnCall(func(ec2sim.Call) { looks.Add(1) }))
		got := verify(t, verifier(t, aws.Options{Grace: -1}), ami(eu, missingID))[0]
		if got.Verification.Status != registry.ImageFailed || looks.Load() != 2 {
			t.Errorf("got %s after %d calls, want it failed after 2", outcome(got), looks.Load())
		}
	})
	t.Run("an image that shows as pending is waited for", func(t *testing.T) {
		sim := simulate(t)
		image := add(t, sim, eu, "app")
		inject(t, sim, ec2sim.Fault{State: "pending", Count: 3})
		inject(t, sim, ec2sim.Fault{Missing: true, Count: 4})
		wantOutcome(t, verify(t, verifier(t, aws.Options{Grace: time.Minute, Timeout: time.Minute}), image)[0], "available")
	})
}

func TestTroubleWhileWaiting(t *testing.T) {
	t.Run("passes", func(t *testing.T) {
		var sim *ec2sim.Server
		var looks atomic.Int32
		sim = simulate(t, ec2sim.WithOnCall(func(ec2sim.Call) {
			if looks.Add(1) == 2 {
				inject(t, sim, ec2sim.Fault{Error: "Unavailable", Count: 1})
			}
		}))
		t.Setenv("AWS_MAX_ATTEMPTS", "1")
		image := add(t, sim, eu, "app")
		inject(t, sim, ec2sim.Fault{State: "pending", Count: 2})
		wantOutcome(t, verify(t, verifier(t, aws.Options{Timeout: time.Minute}), image)[0], "available")
		if looks.Load() != 4 {
			t.Errorf("got %d calls, want pending, unavailable, pending, available", looks.Load())
		}
	})
	t.Run("in another region ends the waiting", func(t *testing.T) {
		sim := simulate(t)
		stays, denied, ok := add(t, sim, eu, "app"), add(t, sim, us, "app"), add(t, sim, ap, "other")
		inject(t, sim, ec2sim.Fault{Image: "app", State: "pending"})
		inject(t, sim, ec2sim.Fault{Region: us, Error: "UnauthorizedOperation"})
		got, err := verifier(t, aws.Options{Timeout: time.Hour}).Verify(t.Context(), []registry.Image{stays, denied, ok})
		if registry.KindOf(err) != registry.Forbidden {
			t.Errorf("got error %v, want it forbidden", err)
		}
		wantOutcome(t, got[0], "nothing")
		wantOutcome(t, got[1], "nothing")
		wantOutcome(t, got[2], "available")
	})
}

func TestCancellation(t *testing.T) {
	tests := []struct {
		name  string
		state string
	}{
		{"stops waiting", "pending"},
		{"stops a call", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			sim := simulate(t, ec2sim.WithOnCall(func(ec2sim.Call) {
				cancel()
				if test.state == "" {
					<-t.Context().Done() // never answers before the test has ended
				}
			}))
			image := add(t, sim, eu, "app")
			if test.state != "" {
				inject(t, sim, ec2sim.Fault{State: test.state})
			}
			got, err := verifier(t, aws.Options{Timeout: time.Hour, PollMin: time.Hour}).Verify(ctx, []registry.Image{image})
			if !errors.Is(err, context.Canceled) || registry.KindOf(err) != registry.Unavailable {
				t.Errorf("got error %v, want it canceled", err)
			}
			wantOutcome(t, got[0], "nothing")
		})
	}
}
