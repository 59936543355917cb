package ec2sim

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"time"
)

// timeFormat is how EC2 writes times: UTC, to the millisecond.
const timeFormat = "2006-01-02T15:04:05.000Z"

var imageName = regexp.MustCompile(`^[a-zA-Z0-9()\[\] ./\-'@_]{3,128}$`)

var imageFilters = filterable[*Image]{
	attributes: map[string]func(*Image) string{
		"name":                func(i *Image) string { return i.Name },
		"image-id":            func(i *Image) string { return i.ID },
		"root-device-type":    func(i *Image) string { return i.RootDeviceType },
		"virtualization-type": func(i *Image) string { return i.VirtualizationType },
		"architecture":        func(i *Image) string { return i.Architecture },
		"state":               func(i *Image) string { return i.State },
		"owner-id":            func(i *Image) string { return i.Owner },
		"is-public":           func(i *Image) string { return strconv.FormatBool(i.Public) },
	},
	tags: func(i *Image) map[string]string { return i.Tags },
}

type describeImagesReply struct {
	replyHeader
	Images []imageXML `xml:"imagesSet>item"`
}

type imageXML struct {
	ID                 string      `xml:"imageId"`
	Location           string      `xml:"imageLocation"`
	State              string      `xml:"imageState"`
	Owner              string      `xml:"imageOwnerId"`
	CreationDate       string      `xml:"creationDate"`
	Public             bool        `xml:"isPublic"`
	Architecture       string      `xml:"architecture"`
	Type               string      `xml:"imageType"`
	SRIOV              string      `xml:"sriovNetSupport"`
	ENASupport         bool        `xml:"enaSupport"`
	BootMode           string      `xml:"bootMode"`
	Name               string      `xml:"name"`
	Description        string      `xml:"description,omitempty"`
	RootDeviceType     string      `xml:"rootDeviceType"`
	RootDeviceName     string      `xml:"rootDeviceName"`
	Devices            []deviceXML `xml:"blockDeviceMapping>item"`
	VirtualizationType string      `xml:"virtualizationType"`
	Hypervisor         string      `xml:"hypervisor"`
	PlatformDetails    string      `xml:"platformDetails"`
	UsageOperation     string      `xml:"usageOperation"`
	DeprecationTime    string      `xml:"deprecationTime,omitempty"`
	SourceImageID      string      `xml:"sourceImageId,omitempty"`
	SourceImageRegion  string      `xml:"sourceImageRegion,omitempty"`
	SourceInstanceID   string      `xml:"sourceInstanceId,omitempty"`
	Tags               []tagXML    `xml:"tagSet>item"`
}

type deviceXML struct {
	Name                string `xml:"deviceName"`
	SnapshotID          string `xml:"ebs>snapshotId"`
	VolumeSize          int    `xml:"ebs>volumeSize"`
	DeleteOnTermination bool   `xml:"ebs>deleteOnTermination"`
	VolumeType          string `xml:"ebs>volumeType"`
	Encrypted           bool   `xml:"ebs>encrypted"`
}

func (i *Image) xml() imageXML {
	x := imageXML{
		ID: i.ID, Location: i.Owner + "/" + i.Name, State: i.State, Owner: i.Owner, Public: i.Public,
		CreationDate: i.CreatedAt.Format(timeFormat),
		Architecture: i.Architecture, Type: "machine", SRIOV: "simple", ENASupport: i.ENASupport, BootMode: i.BootMode,
		Name: i.Name, Description: i.Description,
		RootDeviceType: i.RootDeviceType, RootDeviceName: i.RootDeviceName,
		Devices: []deviceXML{{
			Name: i.RootDeviceName, SnapshotID: i.SnapshotID, VolumeSize: i.VolumeSize,
			DeleteOnTermination: true, VolumeType: "gp3", Encrypted: i.Encrypted,
		}},
		VirtualizationType: i.VirtualizationType, Hypervisor: "xen",
		PlatformDetails: "Linux/UNIX", UsageOperation: "RunInstances",
		SourceImageID: i.SourceImageID, SourceImageRegion: i.SourceImageRegion, SourceInstanceID: i.SourceInstanceID,
		Tags: tagSet(i.Tags),
	}
	if !i.DeprecatedAt.IsZero() {
		x.DeprecationTime = i.DeprecatedAt.Format(timeFormat)
	}
	return x
}

// describeImages is the action DescribeImages. Others' deprecated images are
// left out unless they are asked for, by id or with IncludeDeprecated.
func describeImages(c *call) (answer, error) {
	ids := c.params.list("ImageId")
	images, err := findAll(ids, c.region.images, c.region.image)
	if err != nil {
		return nil, err
	}
	if images, err = imageFilters.keep(images, c.params); err != nil {
		return nil, err
	}
	owners := c.params.list("Owner")
	for _, owner := range owners {
		if !ownerName.MatchString(owner) {
			return nil, fail("InvalidUserID.Malformed", "Invalid user id: %q", owner)
		}
	}
	hidesDeprecated := len(ids) == 0 && !c.params.bool("IncludeDeprecated")

	reply := &describeImagesReply{}
	for _, image := range images {
		owned := len(owners) == 0 || slices.Contains(owners, image.Owner) ||
			image.Owner == AccountID && slices.Contains(owners, "self")
		hidden := hidesDeprecated && image.Owner != AccountID && image.deprecated(c.server.now())
		if owned && !hidden {
			reply.Images = append(reply.Images, image.xml())
		}
	}
	return reply, nil
}

// ownerName is what the parameter Owner takes. No image of the catalogue has
// one of the aliases, so these find nothing.
var ownerName = regexp.MustCompile(`^([0-9]{12}|self|amazon|aws-marketplace|aws-backup-vault)$`)

func (i *Image) deprecated(now time.Time) bool {
	return !i.DeprecatedAt.IsZero() && !now.Before(i.DeprecatedAt)
}

type imageIDReply struct {
	replyHeader
	ImageID string `xml:"imageId"`
}

// createImage is the action CreateImage. The image is available at once, since
// clients wait long between two looks at a pending one.
func createImage(c *call) (answer, error) {
	name := c.params["Name"]
	if err := checkImageName(name); err != nil {
		return nil, err
	}
	specified, err := c.params.tagSpecifications("image", "snapshot")
	if err != nil {
		return nil, err
	}
	instance, err := c.region.instance(c.params["InstanceId"])
	if err != nil {
		return nil, err
	}
	if instance.state == terminated {
		return nil, fail("IncorrectState", "Instance is not in state 'running' or 'stopped'.")
	}
	for _, other := range c.region.images {
		if other.Owner == AccountID && other.Name == name {
			return nil, fail("InvalidAMIName.Duplicate", "AMI name %s is already in use by AMI %s", name, other.ID)
		}
	}
	image := instance.image
	image.Description = c.params["Description"]
	image.SourceImageID, image.SourceImageRegion, image.SourceInstanceID = image.ID, c.region.name, instance.id
	return c.register(image, name, specified["image"], specified["snapshot"]), nil
}

// copyImage is the action CopyImage, which is sent to the region to copy to.
// Unlike CreateImage it takes a name that is in use already.
func copyImage(c *call) (answer, error) {
	if id, err := c.madeBefore(); err != nil || id != "" {
		return &imageIDReply{ImageID: id}, err
	}
	name := c.params["Name"]
	if err := checkImageName(name); err != nil {
		return nil, err
	}
	from, ok := c.server.regions[c.params["SourceRegion"]]
	if !ok {
		return nil, fail("InvalidParameterValue", "Invalid source region '%s'", c.params["SourceRegion"])
	}
	source, err := from.image(c.params["SourceImageId"])
	if err != nil {
		return nil, err
	}
	image := source.clone()
	image.Description = c.params["Description"]
	image.Encrypted = source.Encrypted || c.params.bool("Encrypted")
	image.SourceImageID, image.SourceImageRegion, image.SourceInstanceID = source.ID, from.name, ""
	tags := map[string]string{}
	if c.params.bool("CopyImageTags") {
		tags = image.Tags
	}
	reply := c.register(image, name, tags, map[string]string{})
	c.remember(reply.ImageID)
	return reply, nil
}

// register adds the image to the account in the call's region, with an id and
// a snapshot of its own.
func (c *call) register(image Image, name string, tags, snapshotTags map[string]string) *imageIDReply {
	image.ID, image.SnapshotID = c.region.newID(amiKind.prefix), c.region.newID(snapshotKind.prefix)
	image.Name, image.Owner, image.Public, image.Tags = name, AccountID, false, tags
	image.CreatedAt, image.DeprecatedAt = c.server.now().UTC(), time.Time{}
	c.region.images = append(c.region.images, &image)
	c.region.snapshots = append(c.region.snapshots, &snapshot{id: image.SnapshotID, tags: snapshotTags})
	return &imageIDReply{ImageID: image.ID}
}

func checkImageName(name string) error {
	if !imageName.MatchString(name) {
		return fail("InvalidAMIName.Malformed", "AMI names must be between 3 and 128 characters long, and may contain "+
			"letters, numbers, spaces, '(', ')', '[', ']', '.', '-', '/', ''', '@' and '_'")
	}
	return nil
}

// deregisterImage is the action DeregisterImage. The snapshot stays.
func deregisterImage(c *call) (answer, error) {
	image, err := c.region.image(c.params["ImageId"])
	if err != nil {
		return nil, err
	}
	if image.Owner != AccountID {
		return nil, &apiError{http.StatusForbidden, "AuthFailure", "Not authorized for image:" + image.ID}
	}
	c.region.images = slices.DeleteFunc(c.region.images, func(i *Image) bool { return i == image })
	return &done{Return: true}, nil
}

// deleteSnapshot is the action DeleteSnapshot.
func deleteSnapshot(c *call) (answer, error) {
	gone, err := c.region.snapshot(c.params["SnapshotId"])
	if err != nil {
		return nil, err
	}
	if image := c.region.imageOf(gone.id); image != nil {
		return nil, fail("InvalidSnapshot.InUse", "The snapshot %s is currently in use by %s", gone.id, image.ID)
	}
	c.region.snapshots = slices.DeleteFunc(c.region.snapshots, func(s *snapshot) bool { return s == gone })
	return &done{Return: true}, nil
}
