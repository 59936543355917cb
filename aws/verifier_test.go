package aws_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/aws"
	"github.com/cargomedia/packer-plugin-almanac/internal/ec2sim"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func TestAvailableImageHasItsAttributes(t *testing.T) {
	sim := simulate(t)
	image := add(t, sim, eu, "app-1.0")
	made := sim.Images(eu)[0]
	before := time.Now()
	got := verify(t, verifier(t, aws.Options{}), image)[0].Verification

	want := &registry.Verification{
		Status: registry.ImageAvailable,
		Attributes: registry.Metadata{
			"name": "app-1.0", "architecture": "x86_64", "root_device_type": "ebs", "root_device_name": "/dev/xvda",
			"virtualization_type": "hvm", "ena_support": "true", "boot_mode": "uefi-preferred", "owner_id": ec2sim.AccountID,
			"creation_date": made.CreatedAt.Format("2006-01-02T15:04:05.000Z"), "snapshot_ids": made.SnapshotID,
			"platform_details": "Linux/UNIX", "imds_support": "v2.0",
		},
		At: got.At,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got.At.Before(before) || got.At.After(time.Now()) || got.At.Location() != time.UTC {
		t.Errorf("got time %v, want now, in UTC", got.At)
	}
	if problems := registry.CheckMetadata("attributes", got.Attributes); len(problems) > 0 {
		t.Errorf("the registry would refuse the attributes: %v", problems)
	}
}

func TestEachImageHasItsOutcome(t *testing.T) {
	sim := simulate(t)
	ok, failed, disabled := add(t, sim, eu, "app"), add(t, sim, eu, "broken"), add(t, sim, us, "off")
	inject(t, sim, ec2sim.Fault{Image: "broken", State: "failed", StateReason: "the snapshot\nis gone"})
	inject(t, sim, ec2sim.Fault{Image: "off", State: "disabled"})
	mine := &registry.Verification{Status: registry.ImagePending, Reason: "as it was"}
	given := []registry.Image{
		ok,
		ami(us, sim.BaseImage(us).ID),
		{Provider: "gce", Region: "europe-west1-b", ID: "app-1", Verification: mine},
		failed,
		ami(us, missingID),
		disabled,
		ami(us, ok.ID), // an id of another region
		{Provider: "aws", Region: eu, ID: "vol-0123456789abcdef0"},
		ami(eu, "ami-*"),
		{Provider: "aws", Region: eu, ID: ok.ID, SourceID: "ami-1", Labels: registry.Metadata{"a": "b"}, Verification: mine},
	}
	before := slices.Clone(given)
	got := verify(t, verifier(t, aws.Options{}), given...)

	const gone = " is missing: it does not exist there, or this account may not see it"
	want := []string{
		"available",
		"failed: AMI " + given[1].ID + " in us-east-1 is owned by account 136693071363, not by this one",
		"pending: as it was",
		"failed: AMI " + failed.ID + " in eu-west-1 cannot be used, since its state is failed: the snapshot is gone",
		"failed: AMI ami-0123456789abcdef0 in us-east-1" + gone,
		"failed: AMI " + disabled.ID + " in us-east-1 is disabled, so that nobody can start it",
		"failed: AMI " + ok.ID + " in us-east-1" + gone,
		"nothing",
		`failed: "ami-*" in eu-west-1 is not the id of an AMI, which is ami- and hexadecimal digits`,
		"available",
	}
	for i, image := range got {
		t.Run(fmt.Sprint(i, " ", image.Provider, " ", image.ID), func(t *testing.T) {
			wantOutcome(t, image, want[i])
			if image.Verification != nil && image.Provider == "aws" && image.Verification.At.IsZero() {
				t.Error("got no time of the verification")
			}
			image.Verification = given[i].Verification
			if diff := cmp.Diff(given[i], image); diff != "" {
				t.Errorf("more than the verification has changed: %s", diff)
			}
		})
	}
	if diff := cmp.Diff(before, given); diff != "" {
		t.Errorf("the given images have changed: %s", diff)
	}
	if id := got[1].Verification.Attributes["owner_id"]; id != ec2sim.BaseImageOwner {
		t.Errorf("got owner_id %q of a foreign image, want %s", id, ec2sim.BaseImageOwner)
	}
}

func TestRegionsAreAskedAtOnceAndNoMoreThanSixteen(t *testing.T) {
	const most = 16
	var arrived, inFlight, highest atomic.Int32
	all := make(chan struct{})
	sim := simulate(t, ec2sim.WithOnCall(func(ec2sim.Call) {
		if arrived.Add(1) == most {
			close(all)
		}
		select {
		case <-all: // every call waits until so many are there
		case <-t.Context().Done():
		}
	}))
	var images []registry.Image
	for _, region := range sim.Regions() {
		images = append(images, add(t, sim, region, "app"))
	}
	if len(images) <= most {
		t.Fatalf("%d regions are too few to show the bound", len(images))
	}
	counted := counter(func(call func() (*http.Response, error)) (*http.Response, error) {
		n := inFlight.Add(1)
		defer inFlight.Add(-1)
		for old := highest.Load(); n > old && !highest.CompareAndSwap(old, n); old = highest.Load() {
		}
		return call()
	})
	got := verify(t, verifier(t, aws.Options{Load: []func(*config.LoadOptions) error{config.WithHTTPClient(counted)}}), images...)
	for _, image := range got {
		wantOutcome(t, image, "available")
	}
	if highest.Load() != most {
		t.Errorf("got %d calls under way at once, want %d", highest.Load(), most)
	}
}

// counter is an HTTP client that lets a function see its calls.
type counter func(call func() (*http.Response, error)) (*http.Response, error)

func (c counter) Do(r *http.Request) (*http.Response, error) {
	return c(func() (*http.Response, error) { return awshttp.NewBuildableClient().Do(r) })
}

func TestManyImagesOfARegionAreAskedForInBatchesAndPages(t *testing.T) {
	var lock sync.Mutex
	var calls []ec2sim.Call
	sim := simulate(t, ec2sim.WithPageSize(90), ec2sim.WithOnCall(func(c ec2sim.Call) {
		lock.Lock()
		defer lock.Unlock()
		calls = append(calls, c)
	}))
	var images []registry.Image
	for i := range 210 {
		images = append(images, add(t, sim, eu, fmt.Sprint("app-", i)))
	}
	for i, image := range verify(t, verifier(t, aws.Options{UserAgent: "packer-plugin-almanac/1.2.3"}), append(images, images...)...) {
		if got := outcome(image); got != "available" || image.Verification.Attributes["name"] != fmt.Sprint("app-", i%210) {
			t.Fatalf("image %d: got %s, %v", i, got, image.Verification.Attributes)
		}
	}
	// 200 and 10 ids; the first 200 in pages of 90.
	var got []int
	for _, c := range calls {
		values := 0
		for name := range c.Params {
			if strings.HasPrefix(name, "Filter.1.Value.") {
				values++
			}
		}
		got = append(got, values)
		if c.Params["Owner.1"] != "self" || c.Params["IncludeDeprecated"] != "true" || c.Params["IncludeDisabled"] != "true" {
			t.Errorf("got a call with %v", c.Params)
		}
		if !strings.Contains(c.Client, "packer-plugin-almanac/1.2.3") {
			t.Errorf("got User-Agent %q, want it to have packer-plugin-almanac/1.2.3", c.Client)
		}
	}
	if !slices.Equal(got, []int{200, 200, 200, 10}) {
		t.Errorf("got calls with %v ids, want 3 pages for 200, and 10", got)
	}
}

func TestNothingToLookForMakesNoCall(t *testing.T) {
	environment(t, "http://127.0.0.1:1")
	given := []registry.Image{{Provider: "gce", ID: "app-1"}}
	if diff := cmp.Diff(given, verify(t, verifier(t, aws.Options{}), given...)); diff != "" {
		t.Error(diff)
	}
}

func TestDeprecationTimeIsRecorded(t *testing.T) {
	sim := simulate(t)
	inject(t, sim, ec2sim.Fault{Action: "DescribeImages", Error: "InternalError", Count: 1}) // and retried
	image := add(t, sim, eu, "app")
	at := time.Now().UTC().AddDate(1, 0, 0).Truncate(time.Minute)
	deprecate(t, image, at)
	got := verify(t, verifier(t, aws.Options{}), image)[0].Verification.Attributes["deprecation_time"]
	if want := at.Format("2006-01-02T15:04:05.000Z"); got != want {
		t.Errorf("got deprecation_time %q, want %q", got, want)
	}
}
