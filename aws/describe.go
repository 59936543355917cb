package aws

import (
	"context"
	"errors"
	"slices"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

const (
	// maxFilterValues is how many values EC2 takes in a filter.
	maxFilterValues = 200
	// pageSize is the most that EC2 gives in one answer.
	pageSize = 1000
)

// describe returns those images of the owners that are there, by id. It asks with a filter, since a
// call by ImageId fails as a whole when one of them is missing. EC2 may split any answer into pages.
func (s *search) describe(ctx context.Context, ids []string, owners ...string) (map[string]types.Image, error) {
	images := make(map[string]types.Image, len(ids))
	for batch := range slices.Chunk(ids, maxFilterValues) {
		pages := ec2.NewDescribeImagesPaginator(s.client, &ec2.DescribeImagesInput{
			Owners:            owners,
			Filters:           []types.Filter{{Name: sdk.String("image-id"), Values: batch}},
			IncludeDeprecated: sdk.Bool(true),
			IncludeDisabled:   sdk.Bool(true),
			MaxResults:        sdk.Int32(pageSize),
		})
		for pages.HasMorePages() {
			page, err := s.nextPage(ctx, pages)
			if err != nil {
				return nil, err
			}
			for _, image := range page.Images {
				images[sdk.ToString(image.ImageId)] = image
			}
		}
	}
	return images, nil
}

// nextPage makes one call, when not too many are under way.
func (s *search) nextPage(ctx context.Context, pages *ec2.DescribeImagesPaginator) (*ec2.DescribeImagesOutput, error) {
	select {
	case s.calls <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-s.calls }()
	page, err := pages.NextPage(ctx)
	if err != nil {
		return nil, err
	}
	if _, named := awsmiddleware.GetRequestIDMetadata(page.ResultMetadata); !named && len(page.Images) == 0 {
		return nil, errNotEC2
	}
	return page, nil
}

// errNotEC2 is for a success without images and without the request id that EC2 puts in every answer.
// The SDK reads one from anything that is no XML, such as a web page at a wrong endpoint, and images
// must not count as missing because of it.
var errNotEC2 = errors.New("what answered is not EC2")
