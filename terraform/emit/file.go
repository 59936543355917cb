package emit

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/hashicorp/hcl/v2/hclwrite"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

var regionShape = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

// File writes a resolution as a file: HCL, or JSON in the style tfvars. The resolution is one that was
// asked for without a region, so that it has all images. The same resolution and options give the same
// bytes; HCL is in the form of terraform fmt.
//
// Invalid: options that [Options.Validate] refuses, a resolution that no registry gives, the style data for another type than amazon.image,
// metadata that Terraform cannot hold (names that are equal once Unicode is normalized).
func File(r registry.Resolution, o Options) ([]byte, error) {
	o, err := o.complete(r)
	if err != nil {
		return nil, err
	}
	described := describe(r)
	problems := append(unreal(r.Artifact, r.Version, r.Type), described.check("local."+o.Ident)...)
	if r.Type == registry.AmazonImage {
		problems = append(problems, badRegions(r.AMIs)...)
	}
	if len(problems) > 0 {
		return nil, cannotWriteFor(r.Artifact, r.Version, problems)
	}
	if o.Style == StyleTfvars {
		content, err := tfvars(r, o, described)
		if err != nil {
			return nil, &registry.Error{Kind: registry.Internal, Err: err}
		}
		return seal(content), nil
	}
	return seal(hclFile(r, o, described)), nil
}

// unreal finds what the domain would not have recorded: the answer is of a server that is no registry, or
// means harm.
func unreal(artifact registry.ArtifactName, version string, typ registry.Type) []registry.FieldError {
	_, nameErr := registry.ParseArtifactName(string(artifact))
	_, typeErr := registry.ParseType(string(typ))
	var problems []registry.FieldError
	for _, part := range []struct {
		field string
		err   error
	}{{"artifact", nameErr}, {"version", registry.CheckSemver(version)}, {"type", typeErr}} {
		if part.err != nil {
			problems = append(problems, registry.FieldError{Field: part.field, Message: part.err.Error()})
		}
	}
	return problems
}

func badRegions(amis map[string]string) []registry.FieldError {
	var problems []registry.FieldError
	for _, region := range slices.Sorted(maps.Keys(amis)) {
		if !regionShape.MatchString(region) {
			problems = append(problems, registry.FieldError{Field: fmt.Sprintf("ami_ids[%q]", region), Message: "is not an AWS region such as eu-west-1"})
		}
	}
	return problems
}

func cannotWriteFor(artifact registry.ArtifactName, version string, problems []registry.FieldError) error {
	return &registry.Error{Kind: registry.Invalid, Msg: fmt.Sprintf("%s %s cannot be written for Terraform", comment(string(artifact)), comment(version)), Fields: problems}
}

func hclFile(r registry.Resolution, o Options, described object) []byte {
	f := hclwrite.NewEmptyFile()
	body := f.Body()
	addText(body, headerText(header(r, o)))
	body.AppendNewline()
	if r.Revocation != nil {
		addComment(body, fmt.Sprintf("WARNING: %s %s is revoked as of %s: %s", r.Artifact, r.Version,
			r.Revocation.At.UTC().Format("2006-01-02 15:04:05 UTC"), r.Revocation.Reason))
	}
	addUsage(body, r, o)
	body.AppendNewBlock("locals", nil).Body().SetAttributeRaw(o.Ident, described.tokens())
	if o.Style == StyleData {
		addData(body, r, o)
	}
	if r.Revocation != nil {
		addRevokedCheck(body, o)
	}
	return hclwrite.Format(f.Bytes())
}

// addUsage says how the values are read, and what keeps a server from being replaced by them.
func addUsage(body *hclwrite.Body, r registry.Resolution, o Options) {
	if r.Type != registry.AmazonImage {
		return
	}
	for region := range sortedRegions(r) {
		addComment(body, fmt.Sprintf("The AMI of a region is local.%s.ami_ids[%q]. A new AMI replaces an aws_instance; one that must", o.Ident, region))
		addComment(body, "stay gets lifecycle { ignore_changes = [ami] }.")
		return
	}
}

// fixed is text that may stand in an expression as it is: what [Ident] makes, and what a pattern
// without quotes and brackets has accepted.
type fixed string

// expression reads an expression of ours, with fixed text filled in for each %s. Nothing else gets
// into an expression but through stringTokens.
func expression(format string, args ...fixed) hclwrite.Tokens {
	fill := make([]any, len(args))
	for i, arg := range args {
		fill[i] = string(arg)
	}
	f, diags := hclwrite.ParseConfig([]byte("x = "+fmt.Sprintf(format, fill...)+"\n"), "", hcl.InitialPos)
	if diags.HasErrors() {
		panic("emit: " + diags.Error())
	}
	return f.Body().GetAttribute("x").Expr().BuildTokens(nil)
}

// addComment adds one line, whatever the text is.
func addComment(body *hclwrite.Body, text string) { addText(body, "# "+visible(text)+"\n") }

func addText(body *hclwrite.Body, text string) {
	body.AppendUnstructuredTokens(hclwrite.Tokens{{Type: hclsyntax.TokenComment, Bytes: []byte(text)}})
}
