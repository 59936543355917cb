package ec2sim_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/ec2sim"
)

func TestRefusals(t *testing.T) {
	server := ec2sim.New()
	c := newClient(t, server)
	const region = "eu-west-1"
	id := c.image(server, region, "taken")
	instance := c.launch(server, region)
	c.call(region, nil, "CreateKeyPair", "KeyName", "k", "KeyType", "ed25519")
	base := server.BaseImage(region).ID

	tests := []struct {
		name   string
		want   string
		action string
		pairs  []string
	}{
		{"unknown action", "InvalidAction: The action DescribeVpcs is not valid for this web service.",
			"DescribeVpcs", nil},
		{"unknown filter", "InvalidParameterValue: The filter 'nmae' is invalid",
			"DescribeImages", []string{"Filter.1.Name", "nmae", "Filter.1.Value.1", "x"}},
		{"unknown filter without candidates", "InvalidParameterValue: The filter 'tag:app' is invalid",
			"DescribeVolumes", []string{"Filter.1.Name", "tag:app", "Filter.1.Value.1", "x"}},
		{"filter without values", "InvalidParameterValue: The filter 'name' has no values",
			"DescribeImages", []string{"Filter.1.Name", "name"}},
		{"unknown parameter", "UnknownParameter: The parameter ExecutableBy is not recognized",
			"DescribeImages", []string{"ExecutableBy", "self"}},
		{"unknown part of a list", "UnknownParameter: The parameter Filter.1.Colour is not recognized",
			"DescribeImages", []string{"Filter.1.Colour", "red"}},
		{"list position with a leading zero", "UnknownParameter: The parameter ImageId.01 is not recognized",
			"DescribeImages", []string{"ImageId.01", id}},
		{"missing parameter", "MissingParameter: The request must contain the parameter Name",
			"CreateImage", []string{"InstanceId", instance, "Name", ""}},
		{"missing list", "MissingParameter: The request must contain the parameter InstanceId",
			"StopInstances", nil},
		{"bad boolean", "InvalidParameterValue: Value (yes) for parameter IncludeDeprecated is invalid",
			"DescribeImages", []string{"IncludeDeprecated", "yes"}},
		{"what it cannot do", "UnsupportedOperation: The value (alias/x) of parameter KmsKeyId is not supported by ec2sim",
			"CopyImage", []string{"SourceRegion", region, "SourceImageId", id, "Name", "copy", "KmsKeyId", "alias/x"}},
		{"unknown owner", "InvalidUserID.Malformed: Invalid user id: \"me\"",
			"DescribeImages", []string{"Owner.1", "me"}},
		{"malformed image id", "InvalidAMIID.Malformed: Invalid id: \"ami-x\" (expecting \"ami-...\")",
			"DescribeImages", []string{"ImageId.1", "ami-x"}},
		{"unknown image", "InvalidAMIID.NotFound: The image id '[ami-00000000]' does not exist",
			"DescribeImages", []string{"ImageId.1", id, "ImageId.2", "ami-00000000"}},
		{"unknown instance", "InvalidInstanceID.NotFound: The instance ID 'i-00000000' does not exist",
			"TerminateInstances", []string{"InstanceId.1", "i-00000000"}},
		{"unknown key pair", "InvalidKeyPair.NotFound: The key pair 'none' does not exist",
			"RunInstances", []string{"ImageId", base, "MinCount", "1", "MaxCount", "1", "KeyName", "none"}},
		{"unknown group", "InvalidGroup.NotFound: The security group 'sg-00000000' does not exist",
			"RunInstances", []string{"ImageId", base, "MinCount", "1", "MaxCount", "1", "SecurityGroupId.1", "sg-00000000"}},
		{"zone of another region", "InvalidParameterValue: Invalid availability zone: [us-east-1a]",
			"RunInstances", []string{"ImageId", base, "MinCount", "1", "MaxCount", "1", "Placement.AvailabilityZone", "us-east-1a"}},
		{"unknown snapshot", "InvalidSnapshot.NotFound: The snapshot 'snap-00000000' does not exist.",
			"DeleteSnapshot", []string{"SnapshotId", "snap-00000000"}},
		{"tag on nothing", "InvalidID: The ID 'vpc-00000000' is not valid",
			"CreateTags", []string{"ResourceId.1", "vpc-00000000", "Tag.1.Key", "a"}},
		{"reserved tag", "InvalidParameterValue: Tag keys starting with 'aws:' are reserved for internal use",
			"CreateTags", []string{"ResourceId.1", id, "Tag.1.Key", "aws:x"}},
		{"duplicate image name", "InvalidAMIName.Duplicate: AMI name taken is already in use by AMI " + id,
			"CreateImage", []string{"InstanceId", instance, "Name", "taken"}},
		{"duplicate key pair", "InvalidKeyPair.Duplicate: The keypair 'k' already exists.",
			"CreateKeyPair", []string{"KeyName", "k"}},
		{"unknown source region", "InvalidParameterValue: Invalid source region 'mars-1'",
			"CopyImage", []string{"SourceRegion", "mars-1", "SourceImageId", id, "Name", "copy"}},
		{"image of another region", "InvalidAMIID.NotFound: The image id '[" + id + "]' does not exist",
			"CopyImage", []string{"SourceRegion", "us-east-1", "SourceImageId", id, "Name", "copy"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			client{t, c.url}.refused(region, test.want, test.action, test.pairs...)
		})
	}

	t.Run("copied image asked for elsewhere", func(t *testing.T) {
		c := client{t, c.url}
		var copied imageIDReply
		c.call("us-east-1", &copied, "CopyImage", "SourceRegion", region, "SourceImageId", id, "Name", "copy")
		c.refused(region, "InvalidAMIID.NotFound: The image id '["+copied.ID+"]' does not exist",
			"DescribeImages", "ImageId.1", copied.ID)
	})
	t.Run("terminated instance", func(t *testing.T) {
		c := client{t, c.url}
		c.call(region, nil, "TerminateInstances", "InstanceId.1", instance)
		c.refused(region, "IncorrectInstanceState: This instance '"+instance+"' is not in a state from which it can be stopped.",
			"StopInstances", "InstanceId.1", instance)
		c.refused(region, "IncorrectState: Instance is not in state 'running' or 'stopped'.",
			"CreateImage", "InstanceId", instance, "Name", "late")
	})
	t.Run("public image", func(t *testing.T) {
		status, answer := c.post(credential("ec2", region), query("DeregisterImage", "ImageId", base))
		if got, want := refusal(t, answer), "AuthFailure: Not authorized for image:"+base; status != http.StatusForbidden || got != want {
			t.Errorf("got status %d, %q; want 403, %q", status, got, want)
		}
	})
}

func TestRequestRefusals(t *testing.T) {
	c := newClient(t, ec2sim.New())
	signed, list := credential("ec2", "eu-west-1"), query("DescribeRegions")
	tests := []struct {
		name          string
		authorization string
		body          string
		status        int
		code          string
	}{
		{"no auth", "", list, http.StatusUnauthorized, "AuthFailure"},
		{"other auth", "Basic dTpw", list, http.StatusUnauthorized, "AuthFailure"},
		{"short scope", "AWS4-HMAC-SHA256 Credential=AKIA/eu-west-1/ec2/aws4_request, Signature=0", list, http.StatusUnauthorized, "AuthFailure"},
		{"unknown region", credential("ec2", "mars-1"), list, http.StatusUnauthorized, "AuthFailure"},
		{"unknown service", credential("ssm", "eu-west-1"), list, http.StatusUnauthorized, "AuthFailure"},
		{"no action", signed, "Version=2016-11-15", http.StatusBadRequest, "MissingAction"},
		{"other version", signed, "Action=DescribeRegions&Version=2014-01-01", http.StatusBadRequest, "NoSuchVersion"},
		{"repeated parameter", signed, list + "&AllRegions=true&AllRegions=false", http.StatusBadRequest, "InvalidParameterValue"},
		{"bad escape", signed, list + "&AllRegions=%", http.StatusBadRequest, "MalformedQueryString"},
		{"large body", signed, list + "&A=" + strings.Repeat("a", 256<<10), http.StatusRequestEntityTooLarge, "RequestEntityTooLarge"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			status, answer := c.post(test.authorization, test.body)
			code, _, _ := strings.Cut(refusal(t, answer), ":")
			if status != test.status || code != test.code {
				t.Errorf("got %d %s, want %d %s: %s", status, code, test.status, test.code, answer)
			}
		})
	}
	t.Run("GET", func(t *testing.T) {
		response, err := http.Get(c.url + "?" + list)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("got status %d, want 405", response.StatusCode)
		}
	})
}

func TestSTS(t *testing.T) {
	c := newClient(t, ec2sim.New())
	t.Run("GetCallerIdentity", func(t *testing.T) {
		status, answer := c.post(credential("sts", "eu-west-1"), "Action=GetCallerIdentity&Version=2011-06-15")
		if want := "<Account>" + ec2sim.AccountID + "</Account>"; status != http.StatusOK || !strings.Contains(answer, want) {
			t.Errorf("got status %d, %s; want 200 with %s", status, answer, want)
		}
	})
	t.Run("EC2 action", func(t *testing.T) {
		status, answer := c.post(credential("sts", "eu-west-1"), "Action=DescribeImages&Version=2011-06-15")
		if status != http.StatusBadRequest || !strings.Contains(answer, "<ErrorResponse xmlns=") || !strings.Contains(answer, "<Code>InvalidAction</Code>") {
			t.Errorf("got status %d, %s; want 400 with InvalidAction", status, answer)
		}
	})
}
