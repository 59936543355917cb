package ec2sim

import (
	"net/netip"
	"slices"
)

type securityGroup struct {
	id          string
	name        string
	description string
	vpcID       string
	rules       []permissionXML
	tags        map[string]string
}

type permissionXML struct {
	Protocol string   `xml:"ipProtocol"`
	FromPort int      `xml:"fromPort"`
	ToPort   int      `xml:"toPort"`
	CIDRs    []string `xml:"ipRanges>item>cidrIp"`
}

type createSecurityGroupReply struct {
	replyHeader
	Return  bool     `xml:"return"`
	GroupID string   `xml:"groupId"`
	Tags    []tagXML `xml:"tagSet>item"`
}

// createSecurityGroup is the action CreateSecurityGroup. The one VPC of a
// region is its default VPC.
func createSecurityGroup(c *call) (answer, error) {
	specified, err := c.params.tagSpecifications("security-group")
	if err != nil {
		return nil, err
	}
	if vpcID := c.params["VpcId"]; vpcID != "" && vpcID != c.region.vpcID {
		return nil, fail("InvalidVpcID.NotFound", "The vpc ID '%s' does not exist", vpcID)
	}
	name := c.params["GroupName"]
	if slices.ContainsFunc(c.region.groups, func(g *securityGroup) bool { return g.name == name }) {
		return nil, fail("InvalidGroup.Duplicate", "The security group '%s' already exists for VPC '%s'", name, c.region.vpcID)
	}
	group := &securityGroup{
		id: c.region.newID(groupKind.prefix), name: name, description: c.params["GroupDescription"],
		vpcID: c.region.vpcID, tags: specified["security-group"],
	}
	c.region.groups = append(c.region.groups, group)
	return &createSecurityGroupReply{Return: true, GroupID: group.id, Tags: tagSet(group.tags)}, nil
}

type describeSecurityGroupsReply struct {
	replyHeader
	Groups []securityGroupXML `xml:"securityGroupInfo>item"`
}

type securityGroupXML struct {
	Owner       string          `xml:"ownerId"`
	ID          string          `xml:"groupId"`
	Name        string          `xml:"groupName"`
	Description string          `xml:"groupDescription"`
	VPCID       string          `xml:"vpcId"`
	Rules       []permissionXML `xml:"ipPermissions>item"`
	Tags        []tagXML        `xml:"tagSet>item"`
}

// describeSecurityGroups is the action DescribeSecurityGroups.
func describeSecurityGroups(c *call) (answer, error) {
	groups, err := findAll(c.params.list("GroupId"), c.region.groups, c.region.group)
	if err != nil {
		return nil, err
	}
	reply := &describeSecurityGroupsReply{}
	for _, g := range groups {
		reply.Groups = append(reply.Groups, securityGroupXML{
			Owner: AccountID, ID: g.id, Name: g.name, Description: g.description, VPCID: g.vpcID,
			Rules: slices.Clone(g.rules), Tags: tagSet(g.tags),
		})
	}
	return reply, nil
}

// authorizeSecurityGroupIngress is the action AuthorizeSecurityGroupIngress,
// for IPv4 ranges. The rules are kept and shown, and let nobody in.
func authorizeSecurityGroupIngress(c *call) (answer, error) {
	group, err := c.region.group(c.params["GroupId"])
	if err != nil {
		return nil, err
	}
	var rules []permissionXML
	for _, position := range c.params.positions("IpPermissions") {
		rule := permissionXML{
			Protocol: c.params[position+".IpProtocol"],
			FromPort: c.params.int(position + ".FromPort"),
			ToPort:   c.params.int(position + ".ToPort"),
		}
		for _, ipRange := range c.params.positions(position + ".IpRanges") {
			cidr := c.params[ipRange+".CidrIp"]
			if prefix, err := netip.ParsePrefix(cidr); err != nil || !prefix.Addr().Is4() {
				return nil, fail("InvalidParameterValue", "CIDR block %s is malformed", cidr)
			}
			rule.CIDRs = append(rule.CIDRs, cidr)
		}
		rules = append(rules, rule)
	}
	group.rules = append(group.rules, rules...)
	return &done{Return: true}, nil
}

// deleteSecurityGroup is the action DeleteSecurityGroup.
func deleteSecurityGroup(c *call) (answer, error) {
	group, err := c.region.group(c.params["GroupId"])
	if err != nil {
		return nil, err
	}
	if group == c.region.groups[0] {
		return nil, fail("CannotDelete", "the specified group: \"%s\" name: \"default\" cannot be deleted by a user", group.id)
	}
	for _, i := range c.region.instances {
		if i.state != terminated && slices.Contains(i.groups, group) {
			return nil, fail("DependencyViolation", "resource %s has a dependent object", group.id)
		}
	}
	c.region.groups = slices.DeleteFunc(c.region.groups, func(g *securityGroup) bool { return g == group })
	return &done{Return: true}, nil
}
