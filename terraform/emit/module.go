package emit

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/terraform/metadata"
)

// ModuleOptions say how a module is written.
type ModuleOptions struct {
	// Address is the base URL of the registry, for the header. User, password and query are left out.
	Address string
}

// Module writes the AMIs of a version as a module without providers and resources, for a module registry: file
// name to content. The version is a whole one, with the images of its builds; images that are not offered are left
// out. The same version and options give the same bytes. A revocation is not in them: what a module registry has
// handed out must not change, and does so only when its version gains images or builds.
//
// The module has the variables region, component and architecture, and the outputs ami_ids, ami_id, version, number,
// name, type, component, architecture and metadata_full ([metadata.Full]). It needs Terraform 1.5: what a variable is
// checked against is written into the check, because only 1.9 lets it refer to anything else.
//
// NotFound: the version is not complete, or has no AMI that is offered. Invalid: a version that no registry gives, or
// that Terraform cannot hold.
func Module(v registry.Version, o ModuleOptions) (map[string][]byte, error) {
	if v.Status != registry.StatusComplete {
		return nil, registry.Errorf(registry.NotFound, "%s has no module yet: its status is %q, not complete", moduleSubject(v), v.Status)
	}
	builds := amiBuilds(v)
	if len(builds) == 0 {
		return nil, noAMIs(v)
	}
	problems := unreal(v.Artifact, v.Version, registry.AmazonImage)
	for _, b := range builds {
		problems = append(problems, badRegions(b.amis)...)
		problems = append(problems, b.describe().check(fmt.Sprintf("builds[%q]", b.component))...)
	}
	if o.Address != "" {
		address, err := publicAddress(o.Address)
		if err != nil {
			problems = append(problems, registry.FieldError{Field: "address", Message: err.Error()})
		}
		o.Address = address
	}
	if len(problems) > 0 {
		return nil, cannotWriteFor(v.Artifact, v.Version, problems)
	}
	return map[string][]byte{"main.tf": moduleFile(v, builds, o)}, nil
}

func moduleSubject(v registry.Version) string {
	return comment(string(v.Artifact)) + " version " + comment(v.Version)
}

// amiBuild is a build of a version with at least one AMI that is offered.
type amiBuild struct {
	component, architecture string
	amis                    map[string]string
	metadata                registry.Metadata
}

func amiBuilds(v registry.Version) []amiBuild {
	var builds []amiBuild
	for _, b := range v.Builds {
		amis := map[string]string{}
		for _, image := range b.Images {
			if image.Offered() {
				amis[image.Region] = image.ID
			}
		}
		if b.Type == registry.AmazonImage && len(amis) > 0 {
			builds = append(builds, amiBuild{b.Component, b.Architecture, amis, registry.FullMetadata(v.Metadata, b)})
		}
	}
	return builds
}

func (b amiBuild) describe() object {
	o := object{{"component", b.component}, {"architecture", nil}}
	if b.architecture != "" {
		o[1].value = b.architecture
	}
	return append(o, member{"ami_ids", sortedObject(b.amis)}, member{"metadata_full", sortedObject(metadata.Full(b.metadata))})
}

func noAMIs(v registry.Version) error {
	var types []string
	for _, b := range v.Builds {
		if b.Type == registry.AmazonImage {
			return registry.Errorf(registry.NotFound, "%s has no AMI that can be used; almanac show tells what was found of each", moduleSubject(v))
		}
		types = append(types, string(b.Type))
	}
	slices.Sort(types)
	types = slices.Compact(types)
	return &registry.Error{
		Kind:    registry.NotFound,
		Msg:     fmt.Sprintf("%s has no build of type amazon.image, of which modules are made; it has: %s", moduleSubject(v), strings.Join(types, ", ")),
		Choices: types,
	}
}

func moduleFile(v registry.Version, builds []amiBuild, o ModuleOptions) []byte {
	f := hclwrite.NewEmptyFile()
	body := f.Body()
	entries := []entry{{entryArtifact, string(v.Artifact)}, {entryVersion, describeVersion(v.VersionID)}, {entryType, string(registry.AmazonImage)}}
	if !v.CreatedAt.IsZero() {
		entries = append(entries, entry{entryCreated, v.CreatedAt.UTC().Format(time.RFC3339)})
	}
	if o.Address != "" {
		entries = append(entries, entry{entrySource, o.Address + sourcePath + string(v.Artifact) + "/versions/" + v.Version})
	}
	addText(body, headerText(entries))
	body.AppendNewline()
	body.AppendNewBlock("terraform", nil).Body().SetAttributeValue("required_version", cty.StringVal(">= 1.5"))

	m := module{body, fixed(string(v.Artifact) + " version " + v.Version), len(builds) > 1}
	m.addVariables(builds)
	m.addLocals(builds)
	m.addOutputs(v)
	return hclwrite.Format(f.Bytes())
}

// module is a module that is being written.
type module struct {
	body *hclwrite.Body
	// subject begins the messages of errors.
	subject fixed
	// several is true when there is more than one build, of which the user has to mean one.
	several bool
}

func (m module) addVariables(builds []amiBuild) {
	regions := map[string]bool{}
	var components, architectures []string
	for _, b := range builds {
		for region := range b.amis {
			regions[region] = true
		}
		components = append(components, b.component)
		if b.architecture != "" && !slices.Contains(architectures, b.architecture) {
			architectures = append(architectures, b.architecture)
		}
	}
	// Regions stand in the message as they are; what other text may be is written as a quoted string.
	sorted := slices.Sorted(maps.Keys(regions))
	m.addVariable("region", "Region of the output ami_id, such as "+sorted[0]+".", "in region", sorted, fixed(strings.Join(sorted, ", ")))
	m.addVariable("component", "Packer source of the build, where the version has AMIs of several.", "of component", components, joined(components))
	there := joined(architectures)
	if len(architectures) == 0 {
		there = "none that was recorded"
	}
	m.addVariable("architecture", "Architecture of the build, where the version has AMIs of several.", "of architecture", architectures, there)
}

// addVariable adds a variable that is null or one of the choices. there lists them, in a template.
func (m module) addVariable(name, description, which string, choices []string, there fixed) {
	m.body.AppendNewline()
	variable := m.body.AppendNewBlock("variable", []string{name}).Body()
	variable.SetAttributeValue("description", cty.StringVal(description))
	variable.SetAttributeRaw("type", expression("string"))
	variable.SetAttributeRaw("default", expression("null"))
	variable.AppendNewline()
	validation := variable.AppendNewBlock("validation", nil).Body()
	validation.SetAttributeRaw("condition", expression("var.%s == null ? true : contains(%s, var.%s)", fixed(name), literals(choices), fixed(name)))
	validation.SetAttributeRaw("error_message", expression(`"%s has no AMI %s ${coalesce(var.%s, "\"\"")}; it has: %s."`,
		m.subject, fixed(which), fixed(name), there))
}

func (m module) addLocals(builds []amiBuild) {
	m.body.AppendNewline()
	locals := m.body.AppendNewBlock("locals", nil).Body()
	if !m.several {
		locals.SetAttributeRaw("build", builds[0].describe().tokens())
		return
	}
	var described []object
	var choices []string
	for _, b := range builds {
		described = append(described, b.describe())
		choice := b.component
		if b.architecture != "" {
			choice += " (" + b.architecture + ")"
		}
		choices = append(choices, choice)
	}
	locals.SetAttributeRaw("builds", valueTokens(described))
	locals.SetAttributeRaw("fitting", expression("[for build in local.builds : build"+
		" if (var.component == null || build.component == var.component) && (var.architecture == null || build.architecture == var.architecture)]"))
	locals.SetAttributeRaw("build", expression("try(one(local.fitting), null)"))
	locals.SetAttributeRaw("unclear", expression(
		`length(local.fitting) > 1 ? "%s has AMIs of several builds that fit; set component, or architecture if that is enough, to mean one of: ${join(", ", [for build in local.fitting : build.architecture == null ? build.component : "${build.component} (${build.architecture})"])}."`+
			` : "%s has no AMI of component ${coalesce(var.component, "-")} with architecture ${coalesce(var.architecture, "-")}; it has: %s."`,
		m.subject, m.subject, joined(choices)))
}

func (m module) addOutputs(v registry.Version) {
	m.addOutput("ami_ids", "Region to AMI id.", expression("tomap(local.build.ami_ids)"))
	id := m.addOutput("ami_id", "AMI id of the variable region; null without one.", expression("var.region == null ? null : local.build.ami_ids[var.region]"))
	if m.several {
		// Of the regions of all builds, this one may lack some.
		addPrecondition(id, "local.build == null || var.region == null ? true : contains(keys(local.build.ami_ids), var.region)",
			expression(`try("%s has no AMI in region ${var.region} of component ${local.build.component}; it has: ${join(", ", keys(local.build.ami_ids))}.", "-")`, m.subject))
	}
	m.addOutput("metadata_full", "Metadata of the build and its version, with what is derived from its images.", expression("tomap(local.build.metadata_full)"))
	// Where it is not clear which build is meant, the outputs above say so, which is often enough.
	addPlainOutput(m.body, "component", "Packer source of the build.", expression("try(local.build.component, null)"))
	addPlainOutput(m.body, "architecture", "Architecture of the build; null where none was recorded.", expression("try(local.build.architecture, null)"))
	addPlainOutput(m.body, "name", "Artifact.", stringTokens(string(v.Artifact)))
	addPlainOutput(m.body, "version", "Version of the artifact.", stringTokens(v.Version))
	addPlainOutput(m.body, "number", "Number of the version.", valueTokens(v.Number))
	addPlainOutput(m.body, "type", "Type of the build.", stringTokens(string(registry.AmazonImage)))
}

// addOutput adds an output that depends on which build is meant.
func (m module) addOutput(name, description string, value hclwrite.Tokens) *hclwrite.Body {
	output := addPlainOutput(m.body, name, description, value)
	if m.several {
		addPrecondition(output, "length(local.fitting) == 1", expression("local.unclear"))
	}
	return output
}

func addPlainOutput(body *hclwrite.Body, name, description string, value hclwrite.Tokens) *hclwrite.Body {
	body.AppendNewline()
	output := body.AppendNewBlock("output", []string{name}).Body()
	output.SetAttributeValue("description", cty.StringVal(description))
	output.SetAttributeRaw("value", value)
	return output
}

// addPrecondition adds what must hold before an output is evaluated. Terraform evaluates the message in any case.
func addPrecondition(output *hclwrite.Body, condition string, message hclwrite.Tokens) {
	output.AppendNewline()
	pre := output.AppendNewBlock("precondition", nil).Body()
	pre.SetAttributeRaw("condition", expression(condition))
	pre.SetAttributeRaw("error_message", message)
}

// literals is a list of quoted strings, for an expression.
func literals(texts []string) fixed {
	quoted := make([]string, len(texts))
	for i, text := range texts {
		quoted[i] = string(stringTokens(text).Bytes())
	}
	return fixed("[" + strings.Join(quoted, ", ") + "]")
}

// joined is a list of texts with commas, for a template.
func joined(texts []string) fixed { return `${join(", ", ` + literals(texts) + ")}" }
