package ec2sim_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/ec2sim"
)

// TestBuild makes the calls of an amazon-ebs build over three regions.
func TestBuild(t *testing.T) {
	const home = "us-east-1"
	away := []string{"eu-west-1", "ap-southeast-2"}
	server := ec2sim.New()
	c := newClient(t, server)

	var found imagesReply
	c.call(home, &found, "DescribeImages", "Owner.1", "self", "Filter.1.Name", "name", "Filter.1.Value.1", "base-1")
	if len(found.Images) != 0 {
		t.Fatalf("got %v before the build, want no images", found.Images)
	}
	c.call(home, &found, "DescribeImages", "Owner.1", ec2sim.BaseImageOwner, "IncludeDeprecated", "false",
		"Filter.1.Name", "name", "Filter.1.Value.1", "debian-12-*",
		"Filter.2.Name", "virtualization-type", "Filter.2.Value.1", "hvm",
		"Filter.3.Name", "root-device-type", "Filter.3.Value.1", "ebs")
	if len(found.Images) != 1 || found.Images[0].ID != server.BaseImage(home).ID {
		t.Fatalf("got source images %v, want %s", found.Images, server.BaseImage(home).ID)
	}

	var key struct {
		Material string `xml:"keyMaterial"`
	}
	c.call(home, &key, "CreateKeyPair", "KeyName", "packer", "KeyType", "ed25519")
	if key.Material == "" {
		t.Error("got no key material")
	}
	var group struct {
		ID string `xml:"groupId"`
	}
	c.call(home, &group, "CreateSecurityGroup", "GroupName", "packer", "GroupDescription", "Temporary group", "VpcId", "")
	c.call(home, nil, "AuthorizeSecurityGroupIngress", "GroupId", group.ID, "IpPermissions.1.IpProtocol", "tcp",
		"IpPermissions.1.FromPort", "0", "IpPermissions.1.ToPort", "0", "IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0")

	var run runReply
	c.call(home, &run, "RunInstances", "ImageId", found.Images[0].ID, "InstanceType", "t3.micro", "MinCount", "1", "MaxCount", "1",
		"KeyName", "packer", "SecurityGroupId.1", group.ID, "SubnetId", "", "ClientToken", "launch-1",
		"TagSpecification.1.ResourceType", "instance", "TagSpecification.1.Tag.1.Key", "run", "TagSpecification.1.Tag.1.Value", "1")
	instance := run.Instances[0]
	if instance.State != "running" || instance.VolumeID == "" {
		t.Errorf("got instance %+v, want it running with a volume", instance)
	}
	c.refused(home, "DependencyViolation: resource "+group.ID+" has a dependent object", "DeleteSecurityGroup", "GroupId", group.ID)
	c.call(home, nil, "StopInstances", "InstanceId.1", instance.ID)

	images := make(map[string]string)
	var made imageIDReply
	c.call(home, &made, "CreateImage", "InstanceId", instance.ID, "Name", "base-1",
		"TagSpecification.1.ResourceType", "image", "TagSpecification.1.Tag.1.Key", "app", "TagSpecification.1.Tag.1.Value", "base")
	images[home] = made.ID
	for _, region := range away {
		c.call(region, &made, "CopyImage", "SourceRegion", home, "SourceImageId", images[home], "Name", "base-1",
			"CopyImageTags", "true", "KmsKeyId", "", "ClientToken", "copy-1")
		images[region] = made.ID
	}
	for region, id := range images {
		var image imagesReply
		c.call(region, &image, "DescribeImages", "ImageId.1", id)
		if got := image.Images[0]; got.State != "available" || got.Name != "base-1" || got.Owner != ec2sim.AccountID || got.SnapshotID == "" {
			t.Errorf("got image %+v in %s", got, region)
		}
		c.call(region, nil, "CreateTags", "ResourceId.1", id, "ResourceId.2", image.Images[0].SnapshotID,
			"Tag.1.Key", "os-version", "Tag.1.Value", "12")
	}

	c.call(home, nil, "TerminateInstances", "InstanceId.1", instance.ID)
	var volumes struct {
		IDs []string `xml:"volumeSet>item>volumeId"`
	}
	c.call(home, &volumes, "DescribeVolumes", "Filter.1.Name", "volume-id", "Filter.1.Value.1", instance.VolumeID)
	if len(volumes.IDs) != 0 {
		t.Errorf("got volumes %v after the termination, want none", volumes.IDs)
	}
	c.call(home, nil, "DeleteSecurityGroup", "GroupId", group.ID)
	c.call(home, nil, "DeleteKeyPair", "KeyName", "packer")

	wantTags := map[string]string{"app": "base", "os-version": "12"}
	for region, id := range images {
		got := server.Images(region)
		if len(got) != 1 || got[0].ID != id || !maps.Equal(got[0].Tags, wantTags) {
			t.Errorf("got images %+v in %s, want %s with %v", got, region, id, wantTags)
		}
		if left := server.Leftovers(region); len(left) != 0 {
			t.Errorf("got leftovers %v in %s, want none", left, region)
		}
	}
	if ids := slices.Compact(slices.Sorted(maps.Values(images))); len(ids) != 3 {
		t.Errorf("got ids %v, want three different ones", ids)
	}
}

func TestDeregister(t *testing.T) {
	server := ec2sim.New()
	c := newClient(t, server)
	id := c.image(server, "eu-west-1", "base-1")
	snapshotID := server.Images("eu-west-1")[0].SnapshotID

	c.refused("eu-west-1", "InvalidSnapshot.InUse: The snapshot "+snapshotID+" is currently in use by "+id,
		"DeleteSnapshot", "SnapshotId", snapshotID)
	c.call("eu-west-1", nil, "DeregisterImage", "ImageId", id)
	if got := server.Images("eu-west-1"); len(got) != 0 {
		t.Errorf("got images %v, want none", got)
	}
	c.refused("eu-west-1", "InvalidAMIID.NotFound: The image id '["+id+"]' does not exist", "DescribeImages", "ImageId.1", id)
	if !slices.Contains(server.Leftovers("eu-west-1"), snapshotID) {
		t.Errorf("got leftovers %v, want %s among them", server.Leftovers("eu-west-1"), snapshotID)
	}
	c.call("eu-west-1", nil, "DeleteSnapshot", "SnapshotId", snapshotID)
	c.call("eu-west-1", nil, "CreateImage", "InstanceId", c.launch(server, "eu-west-1"), "Name", "base-1")
}

func TestClientToken(t *testing.T) {
	server := ec2sim.New()
	c := newClient(t, server)
	id := c.image(server, "eu-west-1", "base-1")
	copyOf := []string{"SourceRegion", "eu-west-1", "SourceImageId", id, "ClientToken", "t", "Name"}

	var first, again imageIDReply
	c.call("us-east-1", &first, "CopyImage", append(copyOf, "base-1")...)
	c.call("us-east-1", &again, "CopyImage", append(copyOf, "base-1")...)
	if first.ID != again.ID || len(server.Images("us-east-1")) != 1 {
		t.Errorf("got %s and %s, want the same image twice", first.ID, again.ID)
	}
	c.refused("us-east-1", "IdempotentParameterMismatch: The client token 't' was used with other parameters",
		"CopyImage", append(copyOf, "base-2")...)

	launch := []string{"ImageId", id, "MinCount", "1", "MaxCount", "2", "ClientToken", "t"}
	var one, two runReply
	c.call("eu-west-1", &one, "RunInstances", launch...)
	c.call("eu-west-1", &two, "RunInstances", launch...)
	if len(one.Instances) != 2 || !slices.Equal(one.Instances, two.Instances) {
		t.Errorf("got instances %v and %v, want the same two twice", one.Instances, two.Instances)
	}
}

func TestIDs(t *testing.T) {
	build := func(options ...ec2sim.Option) string {
		server := ec2sim.New(options...)
		return newClient(t, server).image(server, "eu-west-1", "base-1")
	}
	t.Run("differ between servers", func(t *testing.T) {
		if a, b := build(), build(); a == b {
			t.Errorf("got %s twice", a)
		}
	})
	t.Run("repeat with a seed", func(t *testing.T) {
		if a, b := build(ec2sim.WithSeed("s")), build(ec2sim.WithSeed("s")); a != b {
			t.Errorf("got %s and %s, want the same", a, b)
		}
	})
	t.Run("never repeat in a server", func(t *testing.T) {
		server := ec2sim.New(ec2sim.WithSeed("s"))
		c := newClient(t, server)
		first := c.image(server, "eu-west-1", "base-1")
		c.call("eu-west-1", nil, "DeregisterImage", "ImageId", first)
		if again := c.image(server, "eu-west-1", "base-1"); again == first {
			t.Errorf("got %s twice", first)
		}
	})
}
