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
		"boot-mode":           func(i *Image) string { return i.BootMode },
		"ena-support":         func(i *Image) string { return strconv.FormatBool(i.ENASupport) },
		"root-device-name":    func(i *Image) string { return i.RootDeviceName },
		"creation-date":       func(i *Image) string { return i.CreatedAt.Format(timeFormat) },
		"architecture":        func(i *Image) string { return i.Architecture },
		"state":               func(i *Image) string { return i.State },
		"owner-id":            func(i *Image) string { return i.Owner },
		"description":         func(i *Image) string { return i.Description },
		"is-public":           func(i *Image) string { return strconv.FormatBool(i.Public) },
	},
	tags: func(i *Image) map[string]string { return i.Tags },
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
	IMDSSupport        string      `xml:"imdsSupport,omitempty"`
	TPMSupport         string      `xml:"tpmSupport,omitempty"`
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
	StateReason        *reasonXML  `xml:"stateReason,omitempty"`
}

type reasonXML struct {
	Code    string `xml:"code"`
	Message string `xml:"message"`
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
		IMDSSupport: i.IMDSSupport, TPMSupport: i.TPMSupport,
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
	if i.StateReason != "" {
		x.StateReason = &reasonXML{"Client.InternalError", i.StateReason}
	}
	return x
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
	return &imageIDReply{ImageID: c.server.register(c.region, image, name, specified["image"], specified["snapshot"])}, nil
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
	id := c.server.register(c.region, image, name, tags, map[string]string{})
	c.remember(id)
	return &imageIDReply{ImageID: id}, nil
}

// register adds the image to the account in a region, with an id and a snapshot
// of its own, and returns the id. The caller holds the lock.
func (s *Server) register(r *region, image Image, name string, tags, snapshotTags map[string]string) string {
	image.ID, image.SnapshotID = r.newID(amiKind.prefix), r.newID(snapshotKind.prefix)
	image.Name, image.Owner, image.Public, image.Tags = name, AccountID, false, tags
	image.CreatedAt, image.DeprecatedAt = s.now().UTC(), time.Time{}
	r.images = append(r.images, &image)
	r.snapshots = append(r.snapshots, &snapshot{id: image.SnapshotID, tags: snapshotTags})
	return image.ID
}

func checkImageName(name string) error {
	if !imageName.MatchString(name) {
		return fail("InvalidAMIName.Malformed", "AMI names must be between 3 and 128 characters long, and may contain "+
			"letters, numbers, spaces, '(', ')', '[', ']', '.', '-', '/', ''', '@' and '_'")
	}
	return nil
}

// ownImage is the image that the parameter ImageId names, if the account may
// change it.
func (c *call) ownImage() (*Image, error) {
	image, err := c.region.image(c.params["ImageId"])
	if err != nil {
		return nil, err
	}
	if image.Owner != AccountID {
		return nil, &apiError{http.StatusForbidden, "AuthFailure", "Not authorized for image:" + image.ID}
	}
	return image, nil
}

// maxDeprecation is how far ahead an image's deprecation may lie.
const maxDeprecation = 10 * 366 * 24 * time.Hour

// enableImageDeprecation is the action EnableImageDeprecation. As EC2 does, it
// rounds the time to the minute.
func enableImageDeprecation(c *call) (answer, error) {
	image, err := c.ownImage()
	if err != nil {
		return nil, err
	}
	at, err := time.Parse(time.RFC3339, c.params["DeprecateAt"])
	if err != nil {
		return nil, fail("InvalidParameterValue", "Value (%s) for parameter DeprecateAt is invalid", c.params["DeprecateAt"])
	}
	if now := c.server.now(); !at.After(now) || at.Sub(now) > maxDeprecation {
		return nil, fail("InvalidParameterValue", "The deprecation time must be in the future and at most 10 years away")
	}
	image.DeprecatedAt = at.UTC().Round(time.Minute)
	return &done{Return: true}, nil
}

// deregisterImage is the action DeregisterImage. The snapshot stays.
func deregisterImage(c *call) (answer, error) {
	image, err := c.ownImage()
	if err != nil {
		return nil, err
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
