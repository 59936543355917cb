package emit

import (
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"
)

// fleet is the instances that one resource is for.
type fleet struct {
	naming
	// region is "" where the instances may be in several.
	region    fixed
	instances []Instance
}

// fleets groups instances by artifact, and those whose image is not recorded by image. A provider alias cannot come
// from for_each, so with aliases each region is a fleet of its own.
func (w importWriter) fleets(instances []Instance) []fleet {
	byKey := map[string]*fleet{}
	var all []*fleet
	for _, i := range instances {
		n := naming{Ident(i.ImageID), Ident(i.ImageID)}
		key := i.ImageID
		if i.Use != nil {
			name := i.Use.Artifact
			n, key = naming{Ident(name.Name()), Ident(name.Namespace() + "_" + name.Name())}, string(name)
		}
		var region fixed
		if w.several() && w.aliases {
			region = fixed(i.Region)
			suffix := "_" + string(alias(region))
			n, key = naming{n.short + suffix, n.long + suffix}, key+" "+i.Region
		}
		if byKey[key] == nil {
			byKey[key] = &fleet{naming: n, region: region}
			all = append(all, byKey[key])
		}
		byKey[key].instances = append(byKey[key].instances, i)
	}
	// The recorded ones come first, and of those the order is that of the names.
	slices.SortStableFunc(all, func(a, b *fleet) int {
		if a, b := a.instances[0].Use == nil, b.instances[0].Use == nil; a != b {
			if a {
				return 1
			}
			return -1
		}
		return strings.Compare(a.long, b.long)
	})
	var sorted []fleet
	for _, f := range all {
		sorted = append(sorted, *f)
	}
	return sorted
}

func (w importWriter) addFleets(instances []Instance) {
	w.addHead(len(instances), "Once they are applied, they can be deleted; the resources stay.", "1.7",
		"Next, terraform plan. Where it would change a machine, add what the machine has to the resource, until there is",
		"nothing to add, to change and to destroy. A new AMI changes nothing: it is for machines that are made anew.")
	fleets := w.fleets(instances)
	names := make([]naming, len(fleets))
	for i, f := range fleets {
		names[i] = f.naming
	}
	for i, ident := range unique(names) {
		w.addFleet(fleets[i], fixed(ident))
	}
}

func (w importWriter) addFleet(f fleet, ident fixed) {
	// The name is another than that of the locals with the artifact's AMI ids.
	local := ident + "_instances"
	region := w.several() && !w.aliases
	w.body.AppendNewline()
	w.body.AppendNewBlock("locals", nil).Body().SetAttributeRaw(string(local), f.tokens(region))

	w.body.AppendNewline()
	block := w.body.AppendNewBlock("import", nil).Body()
	block.SetAttributeRaw("for_each", expression("local.%s", local))
	block.SetAttributeRaw("to", expression("aws_instance.%s[each.key]", ident))
	if region {
		block.SetAttributeRaw("id", expression(`"${each.value.id}@${each.value.region}"`))
	} else {
		block.SetAttributeRaw("id", expression("each.value.id"))
	}
	w.addProvider(block, f.region)

	w.body.AppendNewline()
	resource := w.body.AppendNewBlock("resource", []string{"aws_instance", string(ident)}).Body()
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

// tokens writes the map from the names of the instances to what they are, with a comment for each.
func (f fleet) tokens(region bool) hclwrite.Tokens {
	newline := &hclwrite.Token{Type: hclsyntax.TokenNewline, Bytes: []byte("\n")}
	tokens := hclwrite.Tokens{{Type: hclsyntax.TokenOBrace, Bytes: []byte("{")}, newline}
	for n, key := range f.keys() {
		i := f.instances[n]
		tokens = append(tokens, &hclwrite.Token{Type: hclsyntax.TokenComment, Bytes: []byte("# " + visible(i.origin()) + "\n")})
		tokens = append(tokens, stringTokens(key)...)
		tokens = append(tokens, &hclwrite.Token{Type: hclsyntax.TokenEqual, Bytes: []byte("=")})
		tokens = append(tokens, i.describe(region).tokens()...)
		tokens = append(tokens, newline)
	}
	return append(tokens, &hclwrite.Token{Type: hclsyntax.TokenCBrace, Bytes: []byte("}")})
}

// keys are the names of the instances, or the ids of those that have none to themselves.
func (f fleet) keys() []string {
	count := map[string]int{}
	for _, i := range f.instances {
		count[cty.NormalizeString(i.Name)]++
	}
	keys := make([]string, len(f.instances))
	for n, i := range f.instances {
		keys[n] = i.Name
		if i.Name == "" || count[cty.NormalizeString(i.Name)] > 1 || instanceShape.MatchString(i.Name) {
			keys[n] = i.ID
		}
	}
	return keys
}
