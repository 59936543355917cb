package ec2sim

// service is one AWS API: its version, XML namespace and actions.
type service struct {
	version   string
	namespace string
	actions   map[string]action
}

// action is one operation of the API Reference: what it takes and does.
type action struct {
	run    func(*call) (answer, error)
	params rules
}

// services holds everything that is served, by the service name of the
// credential scope.
var services = map[string]service{
	"ec2": {"2016-11-15", "http://ec2.amazonaws.com/doc/2016-11-15/", ec2Actions},
	"sts": {"2011-06-15", "https://sts.amazonaws.com/doc/2011-06-15/", stsActions},
}

var stsActions = map[string]action{
	"GetCallerIdentity": {getCallerIdentity, rules{}},
}

var ec2Actions = map[string]action{
	"DescribeRegions": {describeRegions, rules{"AllRegions": boolean, "RegionName.#": text}},

	"DescribeImages": {describeImages, filterParams.with(rules{
		"ImageId.#": text, "Owner.#": text, "IncludeDeprecated": boolean,
		"IncludeDisabled": boolean, "MaxResults": number, "NextToken": text,
	})},
	"CreateImage": {createImage, tagParams.with(rules{
		"InstanceId": required(text), "Name": required(text), "Description": text,
	})},
	"CopyImage": {copyImage, rules{
		"SourceRegion": required(text), "SourceImageId": required(text), "Name": required(text), "Description": text,
		"CopyImageTags": boolean, "Encrypted": boolean, "KmsKeyId": unset,
		"ClientToken": text,
	}},
	"EnableImageDeprecation": {enableImageDeprecation, rules{
		"ImageId": required(text), "DeprecateAt": required(text),
	}},
	"DeregisterImage": {deregisterImage, rules{"ImageId": required(text)}},
	"DeleteSnapshot":  {deleteSnapshot, rules{"SnapshotId": required(text)}},

	"CreateTags": {createTags, rules{
		"ResourceId.#": required(text), "Tag.#.Key": required(text), "Tag.#.Value": text,
	}},

	"RunInstances": {runInstances, tagParams.with(rules{
		"ImageId": required(text), "InstanceType": text, "KeyName": text, "SecurityGroupId.#": text,
		"MinCount": required(number), "MaxCount": required(number), "ClientToken": text,
		"Placement.AvailabilityZone": text, "SubnetId": unset, "IamInstanceProfile.Name": unset,
		// What follows changes how an instance runs; these do not run.
		"UserData": text, "EbsOptimized": boolean, "EnclaveOptions.Enabled": boolean,
		"InstanceInitiatedShutdownBehavior":                              only("stop", "terminate"),
		"CreditSpecification.CpuCredits":                                 only("standard", "unlimited"),
		"CapacityReservationSpecification.CapacityReservationPreference": only("none", "open"),
		"MetadataOptions.HttpEndpoint":                                   only("enabled", "disabled"), "MetadataOptions.HttpTokens": only("optional", "required"),
		"MetadataOptions.HttpPutResponseHopLimit": number,
	})},
	"DescribeInstances": {describeInstances, filterParams.with(rules{
		"InstanceId.#": text, "MaxResults": number, "NextToken": text,
	})},
	"StopInstances":      {stopInstances, rules{"InstanceId.#": required(text)}},
	"TerminateInstances": {terminateInstances, rules{"InstanceId.#": required(text)}},
	"DescribeVolumes":    {describeVolumes, filterParams.with(rules{"VolumeId.#": text})},

	"CreateKeyPair": {createKeyPair, tagParams.with(rules{
		"KeyName": required(text), "KeyType": only("rsa", "ed25519"),
	})},
	"DeleteKeyPair": {deleteKeyPair, rules{"KeyName": required(text)}},

	"CreateSecurityGroup": {createSecurityGroup, tagParams.with(rules{
		"GroupName": required(text), "GroupDescription": required(text), "VpcId": text,
	})},
	"DescribeSecurityGroups": {describeSecurityGroups, rules{"GroupId.#": text}},
	"AuthorizeSecurityGroupIngress": {authorizeSecurityGroupIngress, rules{
		"GroupId":                           required(text),
		"IpPermissions.#.IpProtocol":        required(text),
		"IpPermissions.#.FromPort":          required(number),
		"IpPermissions.#.ToPort":            required(number),
		"IpPermissions.#.IpRanges.#.CidrIp": text,
	}},
	"DeleteSecurityGroup": {deleteSecurityGroup, rules{"GroupId": required(text)}},
}
