package ec2sim

import (
	"encoding/base64"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MaxPageSize is how many images a page of DescribeImages has at most.
const MaxPageSize = 1000

type describeImagesReply struct {
	replyHeader
	Images    []imageXML `xml:"imagesSet>item"`
	NextToken string     `xml:"nextToken,omitempty"`
}

// describeImages is the action DescribeImages. Others' deprecated images are
// left out unless they are asked for, by id or with IncludeDeprecated; disabled
// ones unless they are asked for with IncludeDisabled.
func describeImages(c *call) (answer, error) {
	ids, owners := c.params.list("ImageId"), c.params.list("Owner")
	if len(ids) > 0 && (c.params["MaxResults"] != "" || c.params["NextToken"] != "") {
		return nil, fail("InvalidParameterCombination", "The parameter imagesSet cannot be used with the parameter maxResults")
	}
	for _, owner := range owners {
		if !ownerName.MatchString(owner) {
			return nil, fail("InvalidUserID.Malformed", "Invalid user id: %q", owner)
		}
	}
	images, err := findAll(ids, c.region.images, c.region.image)
	if err != nil {
		return nil, err
	}
	if images, err = imageFilters.keep(images, c.params); err != nil {
		return nil, err
	}
	shown := c.view(images)
	if len(ids) > 0 {
		// As for an id that never was: one that is missing fails the call.
		for _, image := range images {
			if !slices.ContainsFunc(shown, func(i *Image) bool { return i.ID == image.ID }) {
				return nil, amiKind.missing(image.ID)
			}
		}
	}
	// Again, since a fault may have changed what the filters look at.
	if images, err = imageFilters.keep(shown, c.params); err != nil {
		return nil, err
	}
	images = slices.DeleteFunc(images, func(i *Image) bool { return !i.ownedBy(owners) || c.hides(i) })
	return c.page(images)
}

// ownerName is what the parameter Owner takes. No image of the catalogue has
// one of the aliases, so these find nothing.
var ownerName = regexp.MustCompile(`^([0-9]{12}|self|amazon|aws-marketplace|aws-backup-vault)$`)

func (i *Image) ownedBy(owners []string) bool {
	return len(owners) == 0 || slices.Contains(owners, i.Owner) ||
		i.Owner == AccountID && slices.Contains(owners, "self")
}

// hides says whether an image that fits is left out all the same.
func (c *call) hides(i *Image) bool {
	if i.State == "disabled" && !c.params.bool("IncludeDisabled") {
		return true
	}
	byID := len(c.params.list("ImageId")) > 0
	return i.Owner != AccountID && i.deprecated(c.server.now()) && !byID && !c.params.bool("IncludeDeprecated")
}

func (i *Image) deprecated(now time.Time) bool {
	return !i.DeprecatedAt.IsZero() && !now.Before(i.DeprecatedAt)
}

// page is the reply with the part of the images that MaxResults, NextToken and
// the Server's page size leave.
func (c *call) page(images []*Image) (answer, error) {
	size := c.server.pageSize
	if c.params["MaxResults"] != "" {
		n := c.params.int("MaxResults")
		if n < 1 || n > MaxPageSize {
			return nil, fail("InvalidParameterValue", "Value ( %d ) for parameter maxResults is invalid. Expecting a value between 1 and %d.", n, MaxPageSize)
		}
		size = min(size, n)
	}
	start, err := readPageToken(c.params["NextToken"])
	if err != nil {
		return nil, err
	}
	images = images[min(start, len(images)):]
	reply := &describeImagesReply{}
	if len(images) > size && len(c.params.list("ImageId")) == 0 {
		images, reply.NextToken = images[:size], pageToken(start+size)
	}
	for _, image := range images {
		reply.Images = append(reply.Images, image.xml())
	}
	return reply, nil
}

const pageTokenPrefix = "images from "

func pageToken(start int) string {
	return base64.RawURLEncoding.EncodeToString([]byte(pageTokenPrefix + strconv.Itoa(start)))
}

func readPageToken(token string) (start int, err error) {
	if token == "" {
		return 0, nil
	}
	text, err := base64.RawURLEncoding.DecodeString(token)
	position, ok := strings.CutPrefix(string(text), pageTokenPrefix)
	if err == nil && ok {
		if start, err = strconv.Atoi(position); err == nil && start > 0 {
			return start, nil
		}
	}
	return 0, fail("InvalidNextToken", "The token is invalid")
}
