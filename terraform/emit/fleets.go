package emit

import (
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
)

// fleet is the instances that one resource is for.
type fleet struct {
	ident fixed
	// region is "" where the instances may be in several.
	region    fixed
	instances []Instance
}

func (f fleet) recorded() bool { return f.instances[0].Use != nil }

// fleets groups instances by artifact, and those whose image is not recorded by image. A provider alias cannot come
// from for_each, so with aliases each region is a fleet of its own. Two artifacts whose names are one for Terraform are
// one fleet: to tell them apart, the name of each would depend on whether the other is there.
func (w importWriter) fleets(instances []Instance) []fleet {
	var fleets []fleet
	for _, i := range instances {
		name := i.ImageID
		if i.Use != nil {
			name = i.Use.Artifact.Namespace() + "_" + i.Use.Artifact.Name()
		}
		f := fleet{ident: fixed(Ident(name))}
		if w.aliases {
			f.region = fixed(i.Region)
			f.ident += "_" + alias(f.region)
		}
		at := slices.IndexFunc(fleets, func(g fleet) bool { return g.ident == f.ident && g.region == f.region })
		if at < 0 {
			at = len(fleets)
			fleets = append(fleets, f)
		}
		fleets[at].instances = append(fleets[at].instances, i)
	}
	// The recorded ones come first, and of those the order is that of the names.
	slices.SortStableFunc(fleets, func(a, b fleet) int {
		switch {
		case a.recorded() == b.recorded():
			return strings.Compare(string(a.ident), string(b.ident))
		case a.recorded():
			return -1
		}
		return 1
	})
	return fleets
}

func (w importWriter) addFleets(instances []Instance) {
	afterwards := "Once they are applied, they can be deleted; the resources stay."
	if len(instances) == 1 {
		afterwards = "Once it is applied, it can be deleted; the resource stays."
	}
	w.addHead(len(instances), afterwards, "1.7",
		"Next, terraform plan. Where it would change a machine, add what the machine has to the resource, until there is",
		"nothing to add, to change and to destroy. A new AMI changes nothing: it is for machines that are made anew.",
		"",
		"This file is for the first apply. After that do not write it again, but edit it: what was added here would be lost,",
		"and a machine that is no longer in it is destroyed. For machines that come later, write another file without",
		"for_each, or add them here.")
	for _, f := range w.fleets(instances) {
		w.addFleet(f)
	}
}

func (w importWriter) addFleet(f fleet) {
	// The name is another than that of the locals with the artifact's AMI ids.
	local := f.ident + "_instances"
	region := w.several() && !w.aliases
	w.body.AppendNewline()
	w.body.AppendNewBlock("locals", nil).Body().SetAttributeRaw(string(local), w.tokens(f, region))

	w.body.AppendNewline()
	block := w.body.AppendNewBlock("import", nil).Body()
	block.SetAttributeRaw("for_each", expression("local.%s", local))
	block.SetAttributeRaw("to", expression("aws_instance.%s[each.key]", f.ident))
	if region {
		block.SetAttributeRaw("id", expression(`"${each.key}@${each.value.region}"`))
	} else {
		block.SetAttributeRaw("id", expression("each.key"))
	}
	w.addProvider(block, f.region)

	w.body.AppendNewline()
	resource := w.body.AppendNewBlock("resource", []string{"aws_instance", string(f.ident)}).Body()
	resource.SetAttributeRaw("for_each", expression("local.%s", local))
	w.addProvider(resource, f.region)
	resource.AppendNewline()
	if region {
		resource.SetAttributeRaw("region", expression("each.value.region"))
	}
	for _, name := range []fixed{"ami", "instance_type", "tags"} {
		resource.SetAttributeRaw(string(name), expression("each.value.%s", name))
	}
	resource.AppendNewline()
	lifecycle := resource.AppendNewBlock("lifecycle", nil).Body()
	lifecycle.SetAttributeRaw("ignore_changes", expression("[ami]"))
}

// tokens writes the map from the ids of the instances to what they are, with a comment for each. A name would be nicer
// to read than an id, but it can be given to another instance, too.
func (w importWriter) tokens(f fleet, region bool) hclwrite.Tokens {
	newline := &hclwrite.Token{Type: hclsyntax.TokenNewline, Bytes: []byte("\n")}
	tokens := hclwrite.Tokens{{Type: hclsyntax.TokenOBrace, Bytes: []byte("{")}, newline}
	for _, i := range f.instances {
		tokens = append(tokens, &hclwrite.Token{Type: hclsyntax.TokenComment, Bytes: []byte("# " + visible(i.origin(w.now)) + "\n")})
		tokens = append(tokens, stringTokens(i.ID)...)
		tokens = append(tokens, &hclwrite.Token{Type: hclsyntax.TokenEqual, Bytes: []byte("=")})
		tokens = append(tokens, i.describe(region).tokens()...)
		tokens = append(tokens, newline)
	}
	return append(tokens, &hclwrite.Token{Type: hclsyntax.TokenCBrace, Bytes: []byte("}")})
}
