package ec2sim

import "slices"

type describeRegionsReply struct {
	replyHeader
	Regions []regionXML `xml:"regionInfo>item"`
}

type regionXML struct {
	Name     string `xml:"regionName"`
	Endpoint string `xml:"regionEndpoint"`
	OptIn    string `xml:"optInStatus"`
}

// describeRegions is the action DescribeRegions. No region needs opting in, so
// AllRegions makes no difference.
func describeRegions(c *call) (answer, error) {
	wanted := c.params.list("RegionName")
	for _, name := range wanted {
		if !slices.Contains(regionNames, name) {
			return nil, fail("InvalidParameterValue", "Invalid region name: [%s]", name)
		}
	}
	reply := &describeRegionsReply{}
	for _, name := range regionNames {
		if len(wanted) == 0 || slices.Contains(wanted, name) {
			reply.Regions = append(reply.Regions, regionXML{name, "ec2." + name + ".amazonaws.com", "opt-in-not-required"})
		}
	}
	return reply, nil
}

type callerIdentityReply struct {
	replyHeader
	ARN     string `xml:"GetCallerIdentityResult>Arn"`
	UserID  string `xml:"GetCallerIdentityResult>UserId"`
	Account string `xml:"GetCallerIdentityResult>Account"`
}

// getCallerIdentity is the STS action GetCallerIdentity: every key belongs to
// the same user of the one account.
func getCallerIdentity(*call) (answer, error) {
	return &callerIdentityReply{
		ARN: "arn:aws:iam::" + AccountID + ":user/packer", UserID: "AIDAEC2SIMEC2SIMEC2SI", Account: AccountID,
	}, nil
}
