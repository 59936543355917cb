package ec2sim

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

const (
	// AccountID is the account that all calls are made for.
	AccountID = "123456789012"
	// BaseImageOwner is the account that the base image belongs to: Debian's.
	BaseImageOwner = "136693071363"
	// BaseImageName is the name of the public image that every region has.
	BaseImageName = "debian-12-amd64-20260101-1"
)

// regionNames are the regions that an account has without opting in.
var regionNames = []string{
	"ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2",
	"ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3",
	"sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2",
}

// Image is an AMI with one EBS device.
type Image struct {
	ID                 string
	Name               string
	Description        string
	State              string // "available", unless a Fault says otherwise.
	StateReason        string // Only with a Fault.
	Owner              string // Account id.
	Public             bool
	Architecture       string
	VirtualizationType string
	RootDeviceType     string
	RootDeviceName     string
	BootMode           string
	IMDSSupport        string // "v2.0" or empty.
	TPMSupport         string // "v2.0" or empty.
	ENASupport         bool
	SnapshotID         string
	VolumeSize         int // GiB.
	Encrypted          bool
	SourceImageID      string // What it was copied from, or its instance was made from.
	SourceImageRegion  string
	SourceInstanceID   string
	CreatedAt          time.Time
	DeprecatedAt       time.Time // Zero if it is not deprecated.
	Tags               map[string]string
}

// region is what one region holds. Lists are in order of creation; resources
// are found by looking through them, which is fast enough for tests.
type region struct {
	name   string
	seed   string
	serial int
	vpcID  string
	subnet string

	images    []*Image
	snapshots []*snapshot
	instances []*instance
	volumes   []*volume
	keys      []*keyPair
	groups    []*securityGroup
	tokens    map[clientToken]made
}

type snapshot struct {
	id   string
	tags map[string]string
}

func newRegion(name, seed string) *region {
	r := &region{name: name, seed: seed, tokens: make(map[clientToken]made)}
	r.vpcID, r.subnet = r.newID("vpc-"), r.newID("subnet-")
	r.groups = []*securityGroup{{
		id: r.newID("sg-"), name: "default", description: "default VPC security group", vpcID: r.vpcID,
		tags: map[string]string{},
	}}
	r.images = []*Image{{
		// As in AWS, the catalogue's ids are the same in every run.
		ID: hashID("ami-", "catalogue", name, BaseImageName), SnapshotID: hashID("snap-", "catalogue", name, BaseImageName),
		Name: BaseImageName, Description: "Debian 12 (20260101-1)",
		State: "available", Owner: BaseImageOwner, Public: true,
		Architecture: "x86_64", VirtualizationType: "hvm", RootDeviceType: "ebs", RootDeviceName: "/dev/xvda",
		BootMode: "uefi-preferred", IMDSSupport: "v2.0", ENASupport: true, VolumeSize: 8,
		CreatedAt: time.Date(2026, time.January, 1, 0, 21, 34, 0, time.UTC),
		Tags:      map[string]string{},
	}}
	return r
}

// newID returns an id that this Server has not given before.
func (r *region) newID(prefix string) string {
	r.serial++
	return hashID(prefix, r.seed, r.name, fmt.Sprint(r.serial))
}

// hashID makes an id of 17 hexadecimal digits, as EC2 does.
func hashID(prefix string, parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return prefix + fmt.Sprintf("%x", sum)[:17]
}

// Regions are the names of the regions there are, sorted.
func (s *Server) Regions() []string { return slices.Clone(regionNames) }

// Images are the images that the account owns in a region, oldest first: what
// was created or copied there and not deregistered. An unknown region has none.
func (s *Server) Images(region string) []Image {
	s.mu.Lock()
	defer s.mu.Unlock()
	var images []Image
	if r, ok := s.regions[region]; ok {
		for _, image := range r.images {
			if image.Owner == AccountID {
				images = append(images, image.clone())
			}
		}
	}
	return images
}

// AddImage gives the account an available image in a region, as if it had been
// made from the base image there, and returns its id; an unknown region is an
// error.
func (s *Server) AddImage(region, name string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.regions[region]
	if !ok {
		return "", fmt.Errorf("ec2sim has no region %q", region)
	}
	if err := checkImageName(name); err != nil {
		return "", err
	}
	image := r.images[0].clone()
	image.SourceImageID, image.SourceImageRegion = image.ID, region
	return s.register(r, image, name, map[string]string{}, map[string]string{}), nil
}

// BaseImage is the public image of a region; the zero Image for an unknown region.
func (s *Server) BaseImage(region string) Image {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r, ok := s.regions[region]; ok {
		return r.images[0].clone()
	}
	return Image{}
}

func (i *Image) clone() Image {
	c := *i
	c.Tags = maps.Clone(i.Tags)
	return c
}

// Leftovers are the ids of what a build should have cleaned up in a region:
// instances that are not terminated, volumes, key pairs (by name), security
// groups but the default one, and snapshots that no image uses.
func (s *Server) Leftovers(region string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.regions[region]
	if !ok {
		return nil
	}
	var ids []string
	for _, i := range r.instances {
		if i.state != terminated {
			ids = append(ids, i.id)
		}
	}
	for _, v := range r.volumes {
		ids = append(ids, v.id)
	}
	for _, k := range r.keys {
		ids = append(ids, k.name)
	}
	for _, g := range r.groups[1:] {
		ids = append(ids, g.id)
	}
	for _, snap := range r.snapshots {
		if r.imageOf(snap.id) == nil {
			ids = append(ids, snap.id)
		}
	}
	return ids
}

// image finds an image; its error is the one that EC2 gives.
func (r *region) image(id string) (*Image, error) {
	return find(amiKind, id, r.images, func(i *Image) string { return i.ID })
}

// imageOf is the image that uses a snapshot, if there is one.
func (r *region) imageOf(snapshotID string) *Image {
	for _, image := range r.images {
		if image.SnapshotID == snapshotID {
			return image
		}
	}
	return nil
}

func (r *region) snapshot(id string) (*snapshot, error) {
	return find(snapshotKind, id, r.snapshots, func(s *snapshot) string { return s.id })
}

func (r *region) instance(id string) (*instance, error) {
	return find(instanceKind, id, r.instances, func(i *instance) string { return i.id })
}

func (r *region) volume(id string) (*volume, error) {
	return find(volumeKind, id, r.volumes, func(v *volume) string { return v.id })
}

func (r *region) group(id string) (*securityGroup, error) {
	return find(groupKind, id, r.groups, func(g *securityGroup) string { return g.id })
}

func find[T any](k kind, id string, items []*T, idOf func(*T) string) (*T, error) {
	for _, item := range items {
		if idOf(item) == id {
			return item, nil
		}
	}
	return nil, k.missing(id)
}

// findAll finds every id, or fails for the first that is not there; without
// ids it returns all items.
func findAll[T any](ids []string, all []*T, one func(string) (*T, error)) ([]*T, error) {
	if len(ids) == 0 {
		return all, nil
	}
	found := make([]*T, 0, len(ids))
	for _, id := range ids {
		item, err := one(id)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(found, item) {
			found = append(found, item)
		}
	}
	return found, nil
}
