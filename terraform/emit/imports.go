package emit

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// Instance is an EC2 instance, and what the registry knows of its image.
type Instance struct {
	ID, Region string
	// Name is the tag Name; "" without one.
	Name    string
	ImageID string
	// Type is such as t3.micro.
	Type string
	// Tags are all tags, Name included. Those of AWS itself (aws:…) are not written.
	Tags map[string]string
	// Use is where the image is recorded; nil when the registry does not know it.
	Use *registry.ImageUse
	// Ref is what was asked for of the image's artifact, such as a channel, and Current what that is now; nil when no
	// version is. They are not used without Use.
	Ref     string
	Current *registry.VersionID
}

// ImportOptions say how import blocks are written.
type ImportOptions struct {
	// ForEach writes one resource for all instances of an artifact, with for_each, instead of import blocks alone.
	ForEach bool
	// AWSProvider is the major version of hashicorp/aws: 6 (also for 0) or 5. It makes a difference for instances in
	// several regions, and for the names of fleets: for 5 each has a region.
	AWSProvider int
	// Now is when they are written: a revocation after it is still to come. Zero is the time of the call.
	Now time.Time
}

// Validate checks the options. Invalid: each problem, with the field.
func (o ImportOptions) Validate() error { return Options{AWSProvider: o.AWSProvider}.Validate("") }

// Imports writes import blocks that bring instances under Terraform, in HCL: one for each, for terraform plan
// -generate-config-out (Terraform 1.5); or, for each artifact and each image that is not recorded, one with for_each
// and the resource that it needs, which ignores new images (1.7). A comment says what each instance was launched from.
// The same instances and options give the same bytes, whatever the order.
//
// An address has the id of its instance. Which other instances there are makes no difference to it, so that a file with
// more of them moves none; see [WriteNew] for one with fewer.
//
// Where instances are in several regions, an id ends in @REGION for hashicorp/aws 6; this was not tried with the real
// provider. For 5, provider aliases are named that a comment lays out. Where all are in one region, it is the
// provider's.
//
// Invalid: options that Validate refuses, no instances, the same twice, an id or region that is none of EC2, text
// that Terraform cannot hold.
func Imports(instances []Instance, o ImportOptions) ([]byte, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	instances = slices.SortedFunc(slices.Values(instances), compareInstances)
	if len(instances) == 0 {
		return nil, registry.Errorf(registry.Invalid, "there is no instance to write an import block for")
	}
	if problems := badInstances(instances); len(problems) > 0 {
		return nil, &registry.Error{Kind: registry.Invalid, Msg: "import blocks cannot be written for these instances", Fields: problems}
	}
	f := hclwrite.NewEmptyFile()
	w := importWriter{body: f.Body(), aliases: o.AWSProvider == aliasAWSProvider, regions: instanceRegions(instances), now: o.Now}
	if w.now.IsZero() {
		w.now = time.Now()
	}
	if o.ForEach {
		w.addFleets(instances)
	} else {
		w.addImports(instances)
	}
	return hclwrite.Format(f.Bytes()), nil
}

func compareInstances(a, b Instance) int {
	for _, c := range []int{strings.Compare(a.Region, b.Region), strings.Compare(a.Name, b.Name)} {
		if c != 0 {
			return c
		}
	}
	return strings.Compare(a.ID, b.ID)
}

func instanceRegions(instances []Instance) []fixed {
	var regions []fixed
	for _, i := range instances {
		regions = append(regions, fixed(i.Region))
	}
	return slices.Compact(regions) // they are sorted
}

var instanceShape = regexp.MustCompile(`^i-[0-9a-f]{1,32}$`)

func badInstances(instances []Instance) []registry.FieldError {
	var problems []registry.FieldError
	seen := map[string]bool{}
	for _, i := range instances {
		field := fmt.Sprintf("instances[%q]", i.ID)
		add := func(message string) {
			problems = append(problems, registry.FieldError{Field: field, Message: message})
		}
		if !instanceShape.MatchString(i.ID) {
			add("the id is not one of an EC2 instance, such as i-0abc1234")
		}
		if !regionShape.MatchString(i.Region) {
			add(fmt.Sprintf("%q is not an AWS region such as eu-west-1", i.Region))
		}
		if seen[i.ID] {
			add("is there more than once")
		}
		seen[i.ID] = true
		problems = append(problems, append(i.describe(true), member{"name", i.Name}).check(field)...)
	}
	return problems
}

// describe lays out an instance: what a fleet's local says of it, under its id.
func (i Instance) describe(region bool) object {
	tags := maps.Clone(i.Tags)
	maps.DeleteFunc(tags, func(key, _ string) bool { return strings.HasPrefix(key, "aws:") })
	var o object
	if region {
		o = append(o, member{"region", i.Region})
	}
	o = append(o, member{"ami", i.ImageID}, member{"instance_type", i.Type}, member{"tags", nil})
	if len(tags) > 0 { // without any, Terraform has null
		o[len(o)-1].value = sortedObject(tags)
	}
	return o
}

// origin says what an instance was launched from, for a comment.
func (i Instance) origin(now time.Time) string {
	if i.Use == nil {
		return fmt.Sprintf("launched from %s (%s), which the registry does not know", i.ImageID, i.Region)
	}
	text := fmt.Sprintf("launched from %s %s (%s)", i.Use.Artifact, i.Use.Version, i.Region)
	if r := i.Use.Revocation; r != nil {
		verb := "revoked as of"
		if r.At.After(now) {
			verb = "which will be revoked on"
		}
		text += ", " + verb + " " + r.At.UTC().Format(time.DateOnly)
	}
	switch {
	case i.Current != nil:
		text += "; " + i.Ref + " is " + i.Current.Version
	case i.Ref != "":
		text += "; no version is " + i.Ref
	}
	return text
}

// importWriter is a file with import blocks that is being written.
type importWriter struct {
	body *hclwrite.Body
	// regions are those of all instances. With aliases, each has a provider of its own if there are several.
	regions []fixed
	aliases bool
	now     time.Time
}

// several says whether the code must say which region an instance is in.
func (w importWriter) several() bool { return len(w.regions) > 1 }

func (w importWriter) addImports(instances []Instance) {
	afterwards := "Once they are applied, this file can be deleted."
	if len(instances) == 1 {
		afterwards = "Once it is applied, this file can be deleted."
	}
	w.addHead(len(instances), afterwards, "1.5",
		"Next, let Terraform write the code of the resources, and read it before it is applied:",
		"",
		"  terraform plan -generate-config-out=generated.tf",
		"",
		"A new AMI replaces an aws_instance; one that must stay gets lifecycle { ignore_changes = [ami] } there.",
		"",
		"This file is for the first apply. For machines that come later, write another one.")
	for _, i := range instances {
		w.body.AppendNewline()
		addComment(w.body, i.origin(w.now))
		block := w.body.AppendNewBlock("import", nil).Body()
		block.SetAttributeRaw("to", expression("aws_instance.%s", i.ident()))
		id := i.ID
		if w.several() && !w.aliases {
			id += "@" + i.Region
		}
		block.SetAttributeValue("id", cty.StringVal(id))
		w.addProvider(block, fixed(i.Region))
	}
}

// ident names the resource of an instance. The id is always in it: a name that is free today may be taken tomorrow.
func (i Instance) ident() fixed {
	if i.Name == "" {
		return fixed(Ident(i.ID))
	}
	return fixed(Ident(i.Name) + "_" + Ident(i.ID))
}

// addHead says what the file is for, and which Terraform it needs.
func (w importWriter) addHead(n int, afterwards, terraform string, next ...string) {
	count := fmt.Sprintf("Import blocks for %d EC2 instances", n)
	if n == 1 {
		count = "Import block for an EC2 instance"
	}
	lines := []string{count + ", written by almanac. " + afterwards, ""}
	switch {
	case !w.several():
		lines = append(lines, fmt.Sprintf("Needs Terraform >= %s, and %s as the region of the provider.", terraform, w.regions[0]))
	case !w.aliases:
		lines = append(lines, fmt.Sprintf("Needs Terraform >= %s and hashicorp/aws >= 6.0, which reads the region from the id.", terraform))
	default:
		lines = append(lines, fmt.Sprintf("Needs Terraform >= %s and hashicorp/aws 5, with these aliases in the module's own configuration:", terraform))
		for _, region := range w.regions {
			lines = append(lines, "", `provider "aws" {`, fmt.Sprintf("  alias  = %q", alias(region)), fmt.Sprintf("  region = %q", region), "}")
		}
		lines = append(lines, "")
	}
	for _, line := range append(lines, next...) {
		if line == "" {
			addText(w.body, "#\n")
		} else {
			addComment(w.body, line)
		}
	}
}

// addProvider names the provider of a region, where that is needed.
func (w importWriter) addProvider(block *hclwrite.Body, region fixed) {
	if w.several() && w.aliases {
		block.SetAttributeRaw("provider", expression("aws.%s", alias(region)))
	}
}
