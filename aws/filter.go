package aws

import (
	"regexp"
	"slices"
	"strings"

	sdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// Filter narrows what EC2 lists, as the API Reference of DescribeInstances and DescribeImages has it: any
// of the values fits, and they may have the wildcards * and ?.
type Filter struct {
	Name   string
	Values []string
}

// ParseFilter reads NAME=VALUE[,VALUE]. There is no way to write a comma in a value; the wildcard ? fits one.
func ParseFilter(text string) (Filter, error) {
	name, list, ok := strings.Cut(text, "=")
	values := strings.Split(list, ",")
	if name = strings.TrimSpace(name); !ok || name == "" || slices.Contains(values, "") {
		return Filter{}, registry.Errorf(registry.Invalid, "filter %q must be NAME=VALUE or NAME=VALUE,VALUE, such as name=app-* or tag:role=web,db", clean(text, maxQuoted))
	}
	if len(values) > maxFilterValues {
		return Filter{}, registry.Errorf(registry.Invalid, "filter %q has %d values; EC2 takes at most %d", clean(name, maxQuoted), len(values), maxFilterValues)
	}
	return Filter{Name: name, Values: values}, nil
}

// maxQuoted is how many bytes of what a caller gave an error repeats.
const maxQuoted = 80

func sdkFilters(filters []Filter) []types.Filter {
	list := make([]types.Filter, len(filters))
	for i, f := range filters {
		list[i] = types.Filter{Name: sdk.String(f.Name), Values: f.Values}
	}
	return list
}

var (
	regionShape = regexp.MustCompile(`^[a-z]{2,}(-[a-z]+)+-[0-9]+$`)
	zoneShape   = regexp.MustCompile(`^([a-z]{2,}(?:-[a-z]+)+-[0-9]+)([a-z]|-[a-z0-9-]*[a-z0-9])$`)
	ownerShape  = regexp.MustCompile(`^([0-9]{12}|self|amazon|aws-marketplace|aws-backup-vault)$`)
)

// CheckRegion accepts what has the shape of a region's name, such as eu-west-1.
func CheckRegion(region string) error {
	if !regionShape.MatchString(region) {
		return registry.Errorf(registry.Invalid, "%q is not an AWS region, such as eu-west-1", clean(region, maxQuoted))
	}
	return nil
}

// CheckOwner accepts the id of an account, and the words that EC2 has for owners of images.
func CheckOwner(owner string) error {
	if !ownerShape.MatchString(owner) {
		return registry.Errorf(registry.Invalid, "%q is not an owner; give the 12 digits of an account's id, or self", clean(owner, maxQuoted))
	}
	return nil
}

// ZoneRegion returns the region of an availability zone, Local Zone or Wavelength Zone: eu-west-1 for
// eu-west-1a, us-west-2 for us-west-2-lax-1a. It is "" for what is none.
func ZoneRegion(zone string) string {
	if m := zoneShape.FindStringSubmatch(zone); m != nil {
		return m[1]
	}
	return ""
}
