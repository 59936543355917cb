package ec2sim

import (
	"regexp"
	"slices"
	"time"
)

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
	if err := imagePages.check(c.params); err != nil {
		return nil, err
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
	reply := &describeImagesReply{}
	if images, reply.NextToken, err = page(c, imagePages, images); err != nil {
		return nil, err
	}
	for _, image := range images {
		reply.Images = append(reply.Images, image.xml())
	}
	return reply, nil
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
