package aws

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/aws/smithy-go/middleware"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// AMI is an image as EC2 lists it.
type AMI struct {
	Region       string    `json:"region"`
	ID           string    `json:"id"`
	Name         string    `json:"name"`
	Architecture string    `json:"architecture"`
	OwnerID      string    `json:"owner_id"`
	CreatedAt    time.Time `json:"created_at,omitzero"`
	Description  string    `json:"description,omitempty"`
	// SourceID is the AMI that it was copied from, or that its instance was launched from; SourceRegion is where that is.
	SourceID     string            `json:"source_id,omitempty"`
	SourceRegion string            `json:"source_region,omitempty"`
	Tags         map[string]string `json:"tags,omitempty"`

	kind         types.ImageTypeValues
	verification registry.Verification
}

// CompareAMIs orders AMIs by age, the oldest first, and then by region and id.
func CompareAMIs(a, b AMI) int {
	return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), strings.Compare(a.Region, b.Region), strings.Compare(a.ID, b.ID))
}

// Images lists the AMIs of regions that fit all filters, in whatever state, the oldest first. Without owners
// they are those of the account itself. The permission that is needed is ec2:DescribeImages; errors are as for
// [Reader.Instances].
func (r *Reader) Images(ctx context.Context, regions, owners []string, filters ...Filter) ([]AMI, error) {
	if len(owners) == 0 {
		owners = []string{"self"}
	}
	found, err := inRegions(ctx, r, regions, ofImages, func(ctx context.Context, client *ec2.Client, region string) ([]AMI, error) {
		var list []AMI
		seen := map[string]bool{}
		paginator := ec2.NewDescribeImagesPaginator(client, &ec2.DescribeImagesInput{
			Owners: owners, Filters: sdkFilters(filters), MaxResults: sdk.Int32(pageSize),
			IncludeDeprecated: sdk.Bool(true), IncludeDisabled: sdk.Bool(true),
		})
		err := eachPage(ctx, r, paginator, func(page *ec2.DescribeImagesOutput) (middleware.Metadata, int) {
			for _, image := range page.Images {
				if a := newAMI(region, image); !seen[a.ID] {
					seen[a.ID] = true
					list = append(list, a)
				}
			}
			return page.ResultMetadata, len(page.Images)
		})
		return list, err
	})
	slices.SortFunc(found, CompareAMIs)
	return found, err
}

func newAMI(region string, image types.Image) AMI {
	a := AMI{
		Region: region, ID: sdk.ToString(image.ImageId), Name: sdk.ToString(image.Name), Description: sdk.ToString(image.Description),
		Architecture: string(image.Architecture), OwnerID: sdk.ToString(image.OwnerId), SourceID: sdk.ToString(image.SourceImageId),
		SourceRegion: sdk.ToString(image.SourceImageRegion), Tags: tagMap(image.Tags), kind: image.ImageType,
	}
	// EC2 always writes it so; a date that it did not know would be none.
	a.CreatedAt, _ = time.Parse(time.RFC3339, sdk.ToString(image.CreationDate))
	a.CreatedAt = a.CreatedAt.UTC()
	status, reason := judge(image)
	a.verification = registry.Verification{Status: status, Reason: reason, At: time.Now().UTC(), Attributes: attributes(image)}
	return a
}

func (a AMI) place() place { return place{a.Region, a.ID} }

// image is the AMI as the registry has it.
func (a AMI) image() registry.Image {
	verification := a.verification
	return registry.Image{Provider: Provider, Region: a.Region, ID: a.ID, SourceID: a.SourceID, Verification: &verification}
}

// unusable says why an AMI cannot be recorded; "" when it can.
func (a AMI) unusable() string {
	if a.verification.Status != registry.ImageAvailable {
		return a.verification.Reason
	}
	return a.unfit()
}

// pending says whether an AMI can be recorded later.
func (a AMI) pending() bool {
	return a.verification.Status == registry.ImagePending && a.unfit() == ""
}

// unfit says why an AMI cannot be recorded, whatever becomes of its state.
func (a AMI) unfit() string {
	switch {
	case a.kind != "" && a.kind != types.ImageTypeValuesMachine:
		return "is a " + string(a.kind) + ", not a machine image"
	case a.Name == "":
		return "has no name, by which copies are found"
	case registry.CheckArchitecture(a.Architecture) != nil:
		return "has no architecture"
	}
	return ""
}

// metadata is what an AMI says of itself, as far as the registry takes it, and the tags that it does not take.
func (a AMI) metadata() (m registry.Metadata, left []string) {
	m = registry.Metadata{}
	set := func(key, value string) bool {
		if len(registry.CheckMetadata("", registry.Metadata{key: value})) > 0 {
			return false
		}
		m[key] = value
		return true
	}
	for key, value := range map[string]string{
		"name": a.Name, "description": clean(a.Description, maxAttribute), "owner_id": a.OwnerID,
	} {
		if value != "" {
			set(key, value)
		}
	}
	if !a.CreatedAt.IsZero() {
		set("creation_date", a.CreatedAt.Format(time.RFC3339))
	}
	for key, value := range a.Tags {
		if !set("tag."+key, value) {
			left = append(left, key)
		}
	}
	slices.Sort(left)
	return m, left
}
