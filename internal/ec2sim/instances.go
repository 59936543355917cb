package ec2sim

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxLaunch is how many instances one RunInstances call may ask for.
const maxLaunch = 20

// state is the state of an instance, as DescribeInstances gives it. The states
// between (pending, stopping, shutting-down) are skipped.
type state struct {
	Code int    `xml:"code"`
	Name string `xml:"name"`
}

var (
	running    = state{16, "running"}
	terminated = state{48, "terminated"}
	stopped    = state{80, "stopped"}
)

type instance struct {
	id          string
	reservation string
	image       Image // As it was at the launch; it may be deregistered since.
	kind        string
	key         string
	groups      []*securityGroup
	zone        string
	subnet      string
	vpcID       string
	clientToken string
	launchedAt  time.Time
	state       state
	volumeID    string // Empty once terminated.
	tags        map[string]string
}

type volume struct {
	id         string
	instance   *instance
	snapshotID string
	size       int
	createdAt  time.Time
	tags       map[string]string
}

var instanceFilters = filterable[*instance]{
	attributes: map[string]func(*instance) string{
		"architecture":        func(i *instance) string { return i.image.Architecture },
		"availability-zone":   func(i *instance) string { return i.zone },
		"client-token":        func(i *instance) string { return i.clientToken },
		"image-id":            func(i *instance) string { return i.image.ID },
		"instance-id":         func(i *instance) string { return i.id },
		"instance-state-code": func(i *instance) string { return strconv.Itoa(i.state.Code) },
		"instance-state-name": func(i *instance) string { return i.state.Name },
		"instance-type":       func(i *instance) string { return i.kind },
		"key-name":            func(i *instance) string { return i.key },
		"launch-time":         func(i *instance) string { return i.launchedAt.Format(timeFormat) },
		"owner-id":            func(*instance) string { return AccountID },
		"reservation-id":      func(i *instance) string { return i.reservation },
		"root-device-name":    func(i *instance) string { return i.image.RootDeviceName },
		"root-device-type":    func(i *instance) string { return i.image.RootDeviceType },
		"subnet-id":           func(i *instance) string { return i.subnet },
		"virtualization-type": func(i *instance) string { return i.image.VirtualizationType },
		"vpc-id":              func(i *instance) string { return i.vpcID },
	},
	tags: func(i *instance) map[string]string { return i.tags },
}

type reservationXML struct {
	ID        string        `xml:"reservationId"`
	Owner     string        `xml:"ownerId"`
	Instances []instanceXML `xml:"instancesSet>item"`
}

type instanceXML struct {
	ID                 string              `xml:"instanceId"`
	ImageID            string              `xml:"imageId"`
	State              state               `xml:"instanceState"`
	KeyName            string              `xml:"keyName,omitempty"`
	LaunchIndex        int                 `xml:"amiLaunchIndex"`
	Type               string              `xml:"instanceType"`
	LaunchTime         string              `xml:"launchTime"`
	Zone               string              `xml:"placement>availabilityZone"`
	SubnetID           string              `xml:"subnetId"`
	VPCID              string              `xml:"vpcId"`
	Groups             []groupIDXML        `xml:"groupSet>item"`
	Architecture       string              `xml:"architecture"`
	RootDeviceType     string              `xml:"rootDeviceType"`
	RootDeviceName     string              `xml:"rootDeviceName"`
	Devices            []instanceDeviceXML `xml:"blockDeviceMapping>item"`
	VirtualizationType string              `xml:"virtualizationType"`
	Hypervisor         string              `xml:"hypervisor"`
	ClientToken        string              `xml:"clientToken,omitempty"`
	Tags               []tagXML            `xml:"tagSet>item"`
}

type groupIDXML struct {
	ID   string `xml:"groupId"`
	Name string `xml:"groupName"`
}

type instanceDeviceXML struct {
	Name                string `xml:"deviceName"`
	VolumeID            string `xml:"ebs>volumeId"`
	Status              string `xml:"ebs>status"`
	AttachTime          string `xml:"ebs>attachTime"`
	DeleteOnTermination bool   `xml:"ebs>deleteOnTermination"`
}

func (i *instance) xml(index int) instanceXML {
	x := instanceXML{
		ID: i.id, ImageID: i.image.ID, State: i.state, KeyName: i.key, LaunchIndex: index, Type: i.kind,
		LaunchTime: i.launchedAt.Format(timeFormat), Zone: i.zone, SubnetID: i.subnet, VPCID: i.vpcID,
		Architecture: i.image.Architecture, RootDeviceType: i.image.RootDeviceType, RootDeviceName: i.image.RootDeviceName,
		VirtualizationType: i.image.VirtualizationType, Hypervisor: "xen", ClientToken: i.clientToken,
		Tags: tagSet(i.tags),
	}
	for _, group := range i.groups {
		x.Groups = append(x.Groups, groupIDXML{group.id, group.name})
	}
	if i.volumeID != "" {
		x.Devices = []instanceDeviceXML{{i.image.RootDeviceName, i.volumeID, "attached", x.LaunchTime, true}}
	}
	return x
}

// reservations groups instances by the call that launched them.
func reservations(instances []*instance) []reservationXML {
	var list []reservationXML
	for _, i := range instances {
		at := slices.IndexFunc(list, func(x reservationXML) bool { return x.ID == i.reservation })
		if at < 0 {
			at = len(list)
			list = append(list, reservationXML{ID: i.reservation, Owner: AccountID})
		}
		list[at].Instances = append(list[at].Instances, i.xml(len(list[at].Instances)))
	}
	return list
}

type runInstancesReply struct {
	replyHeader
	reservationXML
}

var instanceType = regexp.MustCompile(`^[a-z][a-z0-9-]*\.[a-z0-9-]+$`)

// runInstances is the action RunInstances: instances run at once. Network
// interfaces are not kept, so their tags have no place to show.
func runInstances(c *call) (answer, error) {
	if reservation, err := c.madeBefore(); err != nil || reservation != "" {
		return c.launched(reservation), err
	}
	template, err := c.instanceTemplate()
	if err != nil {
		return nil, err
	}
	specified, err := c.params.tagSpecifications("instance", "volume", "network-interface")
	if err != nil {
		return nil, err
	}
	least, count := c.params.int("MinCount"), c.params.int("MaxCount")
	if least < 1 || count < least || count > maxLaunch {
		return nil, fail("InvalidParameterValue", "MinCount and MaxCount must be 1 to %d, MaxCount not below MinCount", maxLaunch)
	}
	for range count {
		i := *template
		i.id, i.volumeID = c.region.newID(instanceKind.prefix), c.region.newID(volumeKind.prefix)
		i.tags = maps.Clone(specified["instance"])
		c.region.instances = append(c.region.instances, &i)
		c.region.volumes = append(c.region.volumes, &volume{
			id: i.volumeID, instance: &i, snapshotID: i.image.SnapshotID, size: i.image.VolumeSize,
			createdAt: i.launchedAt, tags: maps.Clone(specified["volume"]),
		})
	}
	c.remember(template.reservation)
	return c.launched(template.reservation), nil
}

// instanceTemplate checks what RunInstances asks for and returns what its
// instances have in common.
func (c *call) instanceTemplate() (*instance, error) {
	image, err := c.region.image(c.params["ImageId"])
	if err != nil {
		return nil, err
	}
	i := &instance{
		image: image.clone(), kind: c.params["InstanceType"], key: c.params["KeyName"], zone: c.params["Placement.AvailabilityZone"],
		subnet: c.region.subnet, vpcID: c.region.vpcID, clientToken: c.params["ClientToken"],
		launchedAt: c.server.now().UTC(), state: running,
	}
	if i.kind == "" {
		i.kind = "m1.small" // EC2's own default.
	}
	if !instanceType.MatchString(i.kind) {
		return nil, fail("InvalidParameterValue", "Invalid value '%s' for InstanceType.", i.kind)
	}
	if i.zone == "" {
		i.zone = c.region.name + "a"
	}
	if zone, ok := strings.CutPrefix(i.zone, c.region.name); !ok || len(zone) != 1 || !strings.Contains("abc", zone) {
		return nil, fail("InvalidParameterValue", "Invalid availability zone: [%s]", i.zone)
	}
	if i.key != "" && !slices.ContainsFunc(c.region.keys, func(k *keyPair) bool { return k.name == i.key }) {
		return nil, fail("InvalidKeyPair.NotFound", "The key pair '%s' does not exist", i.key)
	}
	i.groups = c.region.groups[:1:1]
	if ids := c.params.list("SecurityGroupId"); len(ids) > 0 {
		if i.groups, err = findAll(ids, nil, c.region.group); err != nil {
			return nil, err
		}
	}
	i.reservation = c.region.newID("r-")
	return i, nil
}

// launched is the RunInstances reply for a reservation.
func (c *call) launched(reservation string) answer {
	var instances []*instance
	for _, i := range c.region.instances {
		if i.reservation == reservation {
			instances = append(instances, i)
		}
	}
	reply := &runInstancesReply{}
	for _, x := range reservations(instances) {
		reply.reservationXML = x
	}
	return reply
}

type describeInstancesReply struct {
	replyHeader
	Reservations []reservationXML `xml:"reservationSet>item"`
	NextToken    string           `xml:"nextToken,omitempty"`
}

// describeInstances is the action DescribeInstances. Terminated instances stay
// visible, for as long as the Server lives. The instances of one reservation can
// be on several pages.
func describeInstances(c *call) (answer, error) {
	if err := instancePages.check(c.params); err != nil {
		return nil, err
	}
	instances, err := findAll(c.params.list("InstanceId"), c.region.instances, c.region.instance)
	if err != nil {
		return nil, err
	}
	if instances, err = instanceFilters.keep(instances, c.params); err != nil {
		return nil, err
	}
	reply := &describeInstancesReply{}
	if instances, reply.NextToken, err = page(c, instancePages, instances); err != nil {
		return nil, err
	}
	reply.Reservations = reservations(instances)
	return reply, nil
}

type stateChangeReply struct {
	replyHeader
	Changes []stateChangeXML `xml:"instancesSet>item"`
}

type stateChangeXML struct {
	ID       string `xml:"instanceId"`
	Current  state  `xml:"currentState"`
	Previous state  `xml:"previousState"`
}

// stopInstances is the action StopInstances.
func stopInstances(c *call) (answer, error) {
	instances, err := findAll(c.params.list("InstanceId"), nil, c.region.instance)
	if err != nil {
		return nil, err
	}
	for _, i := range instances {
		if i.state == terminated {
			return nil, fail("IncorrectInstanceState", "This instance '%s' is not in a state from which it can be stopped.", i.id)
		}
	}
	return changeState(instances, stopped), nil
}

// terminateInstances is the action TerminateInstances. It deletes the volumes.
func terminateInstances(c *call) (answer, error) {
	instances, err := findAll(c.params.list("InstanceId"), nil, c.region.instance)
	if err != nil {
		return nil, err
	}
	for _, i := range instances {
		c.region.volumes = slices.DeleteFunc(c.region.volumes, func(v *volume) bool { return v.id == i.volumeID })
		i.volumeID = ""
	}
	return changeState(instances, terminated), nil
}

func changeState(instances []*instance, to state) answer {
	reply := &stateChangeReply{}
	for _, i := range instances {
		reply.Changes = append(reply.Changes, stateChangeXML{i.id, to, i.state})
		i.state = to
	}
	return reply
}

var volumeFilters = filterable[*volume]{
	attributes: map[string]func(*volume) string{"volume-id": func(v *volume) string { return v.id }},
}

type describeVolumesReply struct {
	replyHeader
	Volumes []volumeXML `xml:"volumeSet>item"`
}

type volumeXML struct {
	ID         string   `xml:"volumeId"`
	Size       int      `xml:"size"`
	SnapshotID string   `xml:"snapshotId"`
	Zone       string   `xml:"availabilityZone"`
	Status     string   `xml:"status"`
	CreateTime string   `xml:"createTime"`
	InstanceID string   `xml:"attachmentSet>item>instanceId"`
	Device     string   `xml:"attachmentSet>item>device"`
	Attachment string   `xml:"attachmentSet>item>status"`
	Tags       []tagXML `xml:"tagSet>item"`
}

// describeVolumes is the action DescribeVolumes. Every volume is the root
// device of an instance that is not terminated.
func describeVolumes(c *call) (answer, error) {
	volumes, err := findAll(c.params.list("VolumeId"), c.region.volumes, c.region.volume)
	if err != nil {
		return nil, err
	}
	if volumes, err = volumeFilters.keep(volumes, c.params); err != nil {
		return nil, err
	}
	reply := &describeVolumesReply{}
	for _, v := range volumes {
		reply.Volumes = append(reply.Volumes, volumeXML{
			ID: v.id, Size: v.size, SnapshotID: v.snapshotID, Zone: v.instance.zone, Status: "in-use",
			CreateTime: v.createdAt.Format(timeFormat), InstanceID: v.instance.id,
			Device: v.instance.image.RootDeviceName, Attachment: "attached", Tags: tagSet(v.tags),
		})
	}
	return reply, nil
}
