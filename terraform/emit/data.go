package emit

import (
	"fmt"
	"iter"
	"maps"
	"slices"

	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// ec2Architectures are the names that EC2 has for what people and builders write. An architecture
// that is not among them is not compared: EC2 would never say it.
var ec2Architectures = map[string]fixed{
	"i386": "i386", "386": "i386", "x86": "i386",
	"x86_64": "x86_64", "amd64": "x86_64",
	"arm64": "arm64", "aarch64": "arm64",
	"x86_64_mac": "x86_64_mac", "arm64_mac": "arm64_mac",
}

// addData adds what reads the images back from EC2. An image that is gone or is not what the registry
// recorded stops a plan (postcondition); one past its deprecation time is a warning (check).
//
// The provider leaves out images that are not there, so a deregistered one is the provider's own error
// at this block, before any postcondition.
func addData(body *hclwrite.Body, r registry.Resolution, o Options) {
	body.AppendNewline()
	if o.AWSProvider == aliasAWSProvider {
		addAliasedData(body, r, o)
	} else {
		addRegionalData(body, r, o)
	}
}

func addRegionalData(body *hclwrite.Body, r registry.Resolution, o Options) {
	ident := fixed(o.Ident)
	addComment(body, "Reads each image back from EC2. Needs Terraform >= 1.5 and hashicorp/aws >= 6.0 (argument region).")
	data := body.AppendNewBlock("data", []string{"aws_ami", o.Ident}).Body()
	data.SetAttributeRaw("for_each", expression("local.%s.ami_ids", ident))
	data.AppendNewline()
	data.SetAttributeRaw("region", expression("each.key"))
	addLookup(data, o, expression("[each.value]"))
	addPostcondition(data, r, ident, "each.value", "${each.key}")
	check := addDeprecationCheck(body, ident)
	addDeprecationAssert(check, ident,
		expression("alltrue([for image in data.aws_ami.%s : "+timeLeft+" >= 0])", ident, "image"),
		fixed(fmt.Sprintf(`${join(", ", [for region, image in data.aws_ami.%s : region if `+timeLeft+` < 0])}`, ident, "image")))
}

// addAliasedData adds one block for each region: a reference to a provider's alias cannot come from
// for_each.
func addAliasedData(body *hclwrite.Body, r registry.Resolution, o Options) {
	ident := fixed(o.Ident)
	addComment(body, "Reads each image back from EC2. Needs Terraform >= 1.5 and hashicorp/aws 5, with these aliases in the")
	addComment(body, "module's own configuration:")
	for region := range sortedRegions(r) {
		addText(body, "#\n")
		addComment(body, `provider "aws" {`)
		addComment(body, fmt.Sprintf("  alias  = %q", alias(region)))
		addComment(body, fmt.Sprintf("  region = %q", region))
		addComment(body, "}")
	}
	for region := range sortedRegions(r) {
		label := ident + "_" + alias(region)
		id := fixed(fmt.Sprintf("local.%s.ami_ids[%q]", ident, region))
		body.AppendNewline()
		data := body.AppendNewBlock("data", []string{"aws_ami", string(label)}).Body()
		data.SetAttributeRaw("provider", expression("aws.%s", alias(region)))
		data.AppendNewline()
		addLookup(data, o, expression("[%s]", id))
		addPostcondition(data, r, ident, id, region)
	}
	check := addDeprecationCheck(body, ident)
	for region := range sortedRegions(r) {
		image := fixed("data.aws_ami." + string(ident+"_"+alias(region)))
		addDeprecationAssert(check, ident, expression(timeLeft+" >= 0", image), region)
	}
}

// addLookup adds the arguments that find one image. Deprecated images of other accounts are hidden
// unless they are asked for.
func addLookup(data *hclwrite.Body, o Options, ids hclwrite.Tokens) {
	owners := make([]cty.Value, len(o.Owners))
	for i, owner := range o.Owners {
		owners[i] = cty.StringVal(owner)
	}
	data.SetAttributeValue("owners", cty.TupleVal(owners))
	data.SetAttributeValue("include_deprecated", cty.True)
	data.AppendNewline()
	filter := data.AppendNewBlock("filter", nil).Body()
	filter.SetAttributeValue("name", cty.StringVal("image-id"))
	filter.SetAttributeRaw("values", ids)
}

// addPostcondition compares what was read with the record. region stands in a template.
func addPostcondition(data *hclwrite.Body, r registry.Resolution, ident, id, region fixed) {
	condition := `self.id == %s && self.state == "available"`
	args := []fixed{id}
	recorded := fixed("available")
	if arch, ok := ec2Architectures[r.Architecture]; ok {
		condition += ` && self.architecture == "%s"`
		args = append(args, arch)
		recorded += ", " + arch
	}
	data.AppendNewline()
	post := data.AppendNewBlock("lifecycle", nil).Body().AppendNewBlock("postcondition", nil).Body()
	post.SetAttributeRaw("condition", expression(condition, args...))
	post.SetAttributeRaw("error_message", expression(
		`"${%s} of ${local.%s.name} ${local.%s.version} in %s is ${self.state}, ${self.architecture}; the registry recorded it as %s."`,
		id, ident, ident, region, recorded))
}

// timeLeft compares the deprecation time of an image with the time of the plan: below 0 it is past.
// An image without such a time ("" or null) compares as equal.
const timeLeft = "timecmp(coalesce(%s.deprecation_time, plantimestamp()), plantimestamp())"

func addDeprecationCheck(body *hclwrite.Body, ident fixed) *hclwrite.Body {
	body.AppendNewline()
	return body.AppendNewBlock("check", []string{string(ident) + "_not_deprecated"}).Body()
}

// addDeprecationAssert warns of images past their deprecation time. regions stands in a template.
func addDeprecationAssert(check *hclwrite.Body, ident fixed, condition hclwrite.Tokens, regions fixed) {
	assert := check.AppendNewBlock("assert", nil).Body()
	assert.SetAttributeRaw("condition", condition)
	assert.SetAttributeRaw("error_message", expression(
		`"${local.%s.name} ${local.%s.version} is past its deprecation time in %s; move to a newer version."`, ident, ident, regions))
}

// addRevokedCheck warns in every plan that uses a revoked version.
func addRevokedCheck(body *hclwrite.Body, o Options) {
	ident := fixed(o.Ident)
	body.AppendNewline()
	addComment(body, "Warns in every plan from the time of the revocation on. Needs Terraform >= 1.5.")
	assert := body.AppendNewBlock("check", []string{o.Ident + "_not_revoked"}).Body().AppendNewBlock("assert", nil).Body()
	assert.SetAttributeRaw("condition", expression("timecmp(plantimestamp(), local.%s.revoked_at) < 0", ident))
	assert.SetAttributeRaw("error_message", expression(
		`"${local.%s.name} ${local.%s.version} is revoked: ${local.%s.revocation_message}"`, ident, ident, ident))
}

// alias is the name of a region's provider: eu_west_1.
func alias(region fixed) fixed { return fixed(Ident(string(region))) }

// sortedRegions goes through the regions of the AMIs, which [File] has checked.
func sortedRegions(r registry.Resolution) iter.Seq[fixed] {
	return func(yield func(fixed) bool) {
		for _, region := range slices.Sorted(maps.Keys(r.AMIs)) {
			if !yield(fixed(region)) {
				return
			}
		}
	}
}
