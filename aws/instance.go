package aws

import (
	"context"
	"slices"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go/middleware"
)

// Instance is an EC2 instance.
type Instance struct {
	ID     string `json:"id"`
	Region string `json:"region"`
	// ImageID is the AMI that it was launched from.
	ImageID string `json:"image_id"`
	// Name is its tag Name.
	Name string `json:"name"`
	// State is pending, running, stopping, stopped, shutting-down or terminated.
	State            string    `json:"state"`
	Type             string    `json:"type"`
	AvailabilityZone string    `json:"availability_zone"`
	Architecture     string    `json:"architecture"`
	OwnerID          string    `json:"owner_id"`
	LaunchedAt       time.Time `json:"launched_at,omitzero"`
	// Tags are all its tags, Name included.
	Tags map[string]string `json:"tags,omitempty"`
}

// gone says whether an instance has ended for good, or is about to.
func (i Instance) gone() bool { return i.State == "terminated" || i.State == "shutting-down" }

// CompareInstances orders instances by region, name and id.
func CompareInstances(a, b Instance) int {
	for _, c := range []int{strings.Compare(a.Region, b.Region), strings.Compare(a.Name, b.Name)} {
		if c != 0 {
			return c
		}
	}
	return strings.Compare(a.ID, b.ID)
}

// stateFilter is EC2's filter for the state of instances.
const stateFilter = "instance-state-name"

// Instances lists the instances of regions that fit all filters, in the order of [CompareInstances]. Those
// that are terminated or shutting down are left out, unless a filter is for instance-state-name. When a region
// fails, there are those of the others, and an error as [Verifier.Verify] has them. The permission that is
// needed is ec2:DescribeInstances.
func (r *Reader) Instances(ctx context.Context, regions []string, filters ...Filter) ([]Instance, error) {
	all := slices.ContainsFunc(filters, func(f Filter) bool { return f.Name == stateFilter })
	found, err := inRegions(ctx, r, regions, ofInstances, func(ctx context.Context, client *ec2.Client, region string) ([]Instance, error) {
		return r.instances(ctx, client, region, sdkFilters(filters))
	})
	found = slices.DeleteFunc(found, func(i Instance) bool { return !all && i.gone() })
	slices.SortFunc(found, CompareInstances)
	return found, err
}

func (r *Reader) instances(ctx context.Context, client *ec2.Client, region string, filters []types.Filter) ([]Instance, error) {
	var list []Instance
	// An instance that is launched while the pages are read may be on two of them.
	seen := map[string]bool{}
	paginator := ec2.NewDescribeInstancesPaginator(client, &ec2.DescribeInstancesInput{Filters: filters, MaxResults: sdk.Int32(pageSize)})
	err := eachPage(ctx, r, paginator, func(page *ec2.DescribeInstancesOutput) (middleware.Metadata, int) {
		for _, reservation := range page.Reservations {
			for _, instance := range reservation.Instances {
				if i := newInstance(region, reservation, instance); !seen[i.ID] {
					seen[i.ID] = true
					list = append(list, i)
				}
			}
		}
		return page.ResultMetadata, len(page.Reservations)
	})
	return list, err
}

func newInstance(region string, reservation types.Reservation, i types.Instance) Instance {
	x := Instance{
		ID: sdk.ToString(i.InstanceId), Region: region, ImageID: sdk.ToString(i.ImageId), Type: string(i.InstanceType),
		Architecture: string(i.Architecture), OwnerID: sdk.ToString(reservation.OwnerId),
		LaunchedAt: sdk.ToTime(i.LaunchTime).UTC(), Tags: tagMap(i.Tags),
	}
	if i.State != nil {
		x.State = string(i.State.Name)
	}
	if i.Placement != nil {
		x.AvailabilityZone = sdk.ToString(i.Placement.AvailabilityZone)
	}
	x.Name = x.Tags["Name"]
	return x
}

func tagMap(tags []types.Tag) map[string]string {
	if len(tags) == 0 {
		return nil
	}
	m := make(map[string]string, len(tags))
	for _, tag := range tags {
		m[sdk.ToString(tag.Key)] = sdk.ToString(tag.Value)
	}
	return m
}
