package emit

import (
	"cmp"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// Style says what kind of file is written.
type Style string

// The styles.
const (
	// StyleData is HCL: locals, and a data "aws_ami" that reads each image back. For amazon.image only.
	StyleData Style = "data"
	// StyleLocals is HCL with locals alone; Terraform needs no access to AWS for it.
	StyleLocals Style = "locals"
	// StyleTfvars is JSON for a *.tfvars.json: one variable, named by the identifier.
	StyleTfvars Style = "tfvars"
)

var styles = []Style{StyleData, StyleLocals, StyleTfvars}

// DefaultStyle is the style of a type when nobody asked for one: data for an amazon.image, locals for
// all others.
func DefaultStyle(t registry.Type) Style {
	if t == registry.AmazonImage {
		return StyleData
	}
	return StyleLocals
}

// Options say how a file is written.
type Options struct {
	// Address is the base URL of the registry, for the file's header. User, password and query are
	// left out of the file.
	Address string
	// Ref is what the file follows: what the user asked for, such as a channel or "~> 1.2". "" is
	// the ref of the resolution, or its number if it has none. It may differ from that: who has just published number 4 and wants
	// the file to follow staging resolves 4 and gives staging here.
	Ref string
	// Style is "" for [DefaultStyle].
	Style Style
	// AWSProvider is the major version of hashicorp/aws for which data blocks are written: 6 (also
	// for 0), which has a region argument, or 5, which needs a provider alias for each region.
	AWSProvider int
	// Ident replaces the identifier that is made of the artifact's name: local.IDENT, data.aws_ami.IDENT.
	Ident string
	// Owners are the accounts whose images the data blocks look for; empty is "self".
	Owners []string
}

const (
	newestAWSProvider = 6
	aliasAWSProvider  = 5
)

var (
	ownerShape    = regexp.MustCompile(`^([0-9]{12}|[a-z][a-z-]{0,62})$`)
	defaultOwners = []string{"self"}
)

// Validate checks all that can be checked before there is a resolution, for a template that is
// validated. t may be "" when the type is not known yet. Invalid: every problem, with the field.
func (o Options) Validate(t registry.Type) error {
	var fields []registry.FieldError
	add := func(field, format string, args ...any) {
		fields = append(fields, registry.FieldError{Field: field, Message: fmt.Sprintf(format, args...)})
	}
	if o.Style != "" && !slices.Contains(styles, o.Style) {
		add("style", "%q is unknown; use data, locals or tfvars", o.Style)
	}
	if o.Style == StyleData && t != "" && t != registry.AmazonImage {
		add("style", "data blocks read AMIs back from EC2 and are for amazon.image; for %s use the style locals, which works for every type", t)
	}
	if v := o.AWSProvider; v != 0 && v != aliasAWSProvider && v != newestAWSProvider {
		add("aws_provider", "%d is not a major version of hashicorp/aws that is written for; use 6, or 5", v)
	}
	if o.Ident != "" && !validIdent(o.Ident) {
		add("ident", "%q cannot name a Terraform local or variable; use letters, digits and _, not starting with a digit, and no word that Terraform keeps for itself, such as %s", o.Ident, Ident(o.Ident))
	}
	for i, owner := range o.Owners {
		if !ownerShape.MatchString(owner) {
			add(fmt.Sprintf("owners[%d]", i), "%q is not an owner; use self, an account of 12 digits, or an alias such as amazon", owner)
		}
	}
	if o.Ref != "" {
		if _, err := registry.ParseRef(o.Ref); err != nil {
			add("ref", "%v", err)
		}
	}
	if o.Address != "" {
		if _, err := publicAddress(o.Address); err != nil {
			add("address", "%v", err)
		}
	}
	if len(fields) == 0 {
		return nil
	}
	return &registry.Error{Kind: registry.Invalid, Msg: "the Terraform file cannot be written so", Fields: fields}
}

// complete checks the options against a resolution and fills in the defaults.
func (o Options) complete(r registry.Resolution) (Options, error) {
	o.Ref = strings.TrimSpace(cmp.Or(o.Ref, r.Ref, strconv.FormatInt(r.Number, 10)))
	if o.Style == "" {
		o.Style = DefaultStyle(r.Type)
	}
	if err := o.Validate(r.Type); err != nil {
		return o, err
	}
	if o.Address != "" {
		o.Address, _ = publicAddress(o.Address)
	}
	if o.Ident == "" {
		o.Ident = Ident(r.Artifact.Name())
	}
	if o.Style != StyleData {
		o.AWSProvider, o.Owners = 0, nil
		return o, nil
	}
	if o.AWSProvider == 0 {
		o.AWSProvider = newestAWSProvider
	}
	if len(o.Owners) == 0 {
		o.Owners = defaultOwners
	}
	return o, nil
}

// publicAddress returns the part of a base URL that may be shown to everybody.
func publicAddress(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		// The address is not repeated: it may hold a password.
		return "", fmt.Errorf("is not a URL such as https://registry.example.com")
	}
	public := url.URL{Scheme: u.Scheme, Host: u.Host, Path: strings.TrimRight(u.Path, "/")}
	return public.String(), nil
}
