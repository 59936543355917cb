package emit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/zclconf/go-cty/cty"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// object is a value of Terraform with its members in the order in which they are written. A member's
// value is nil, a string, an int64, an object or a []object.
type object []member

type member struct {
	name  string
	value any
}

// describe lays out a resolution: what local.IDENT is in HCL, and the variable in tfvars.
func describe(r registry.Resolution) object {
	o := object{
		{"name", string(r.Artifact)},
		{"type", string(r.Type)},
		{"version", r.Version},
		{"number", r.Number},
		{"fingerprint", r.Fingerprint},
		{"component", r.Component},
	}
	if r.Provider != "" {
		o = append(o, member{"provider", r.Provider})
	}
	if r.Architecture != "" {
		o = append(o, member{"architecture", r.Architecture})
	}
	if r.Revocation != nil {
		o = append(o,
			member{"revoked_at", r.Revocation.At.UTC().Format(time.RFC3339Nano)},
			member{"revocation_message", r.Revocation.Reason})
	}
	if r.Type == registry.AmazonImage {
		o = append(o, member{"ami_ids", sortedObject(r.AMIs)})
	} else {
		o = append(o, member{"images", describeImages(r.Images)})
	}
	if r.Type != registry.AmazonImage || len(r.Files) > 0 {
		o = append(o, member{"files", describeFiles(r.Files)})
	}
	return append(o, member{"metadata", sortedObject(r.Metadata)})
}

func describeImages(images []registry.Image) []object {
	list := make([]object, len(images))
	for i, image := range images {
		list[i] = object{{"provider", image.Provider}, {"region", image.Region}, {"id", image.ID}}
	}
	return list
}

func describeFiles(files []registry.File) []object {
	list := make([]object, len(files))
	for i, f := range files {
		list[i] = object{{"name", f.Name}, {"size", f.Size}, {"sha256", string(f.SHA256)}}
	}
	return list
}

func sortedObject[M ~map[string]string](m M) object {
	o := object{}
	for _, key := range slices.Sorted(maps.Keys(m)) {
		o = append(o, member{key, m[key]})
	}
	return o
}

// check finds what Terraform cannot hold: text that is not UTF-8, and two names of which it would
// drop one. Terraform brings all text into Unicode's normalization form C, so names that look the
// same are the same.
func (o object) check(at string) []registry.FieldError {
	var problems []registry.FieldError
	seen := map[string]bool{}
	for _, m := range o {
		place := fmt.Sprintf("%s[%q]", at, m.name)
		name := cty.NormalizeString(m.name)
		if seen[name] {
			problems = append(problems, registry.FieldError{Field: place, Message: "another name differs from this one only in how Unicode composes it; Terraform cannot tell them apart"})
		}
		seen[name] = true
		if !utf8.ValidString(m.name) {
			problems = append(problems, registry.FieldError{Field: place, Message: "the name is not valid UTF-8"})
		}
		switch v := m.value.(type) {
		case string:
			if !utf8.ValidString(v) {
				problems = append(problems, registry.FieldError{Field: place, Message: "is not valid UTF-8"})
			}
		case object:
			problems = append(problems, v.check(place)...)
		case []object:
			for i, element := range v {
				problems = append(problems, element.check(fmt.Sprintf("%s[%d]", place, i))...)
			}
		}
	}
	return problems
}

// tokens writes the object in HCL. Every name is quoted: a bare one can be a keyword, and hclwrite
// does not look.
func (o object) tokens() hclwrite.Tokens {
	attrs := make([]hclwrite.ObjectAttrTokens, len(o))
	for i, m := range o {
		attrs[i] = hclwrite.ObjectAttrTokens{Name: stringTokens(m.name), Value: valueTokens(m.value)}
	}
	return hclwrite.TokensForObject(attrs)
}

func valueTokens(value any) hclwrite.Tokens {
	switch v := value.(type) {
	case nil:
		return hclwrite.TokensForValue(cty.NullVal(cty.DynamicPseudoType))
	case string:
		return stringTokens(v)
	case int64:
		return hclwrite.TokensForValue(cty.NumberIntVal(v))
	case object:
		return v.tokens()
	case []object:
		list := make([]hclwrite.Tokens, len(v))
		for i, element := range v {
			list[i] = element.tokens()
		}
		return hclwrite.TokensForTuple(list)
	}
	panic(fmt.Sprintf("emit: no tokens for a %T", value))
}

func stringTokens(s string) hclwrite.Tokens { return hclwrite.TokensForValue(cty.StringVal(s)) }

// MarshalJSON writes the members in their order.
func (o object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, m := range o {
		if i > 0 {
			b.WriteByte(',')
		}
		name, err := marshalJSON(m.name)
		if err != nil {
			return nil, err
		}
		value, err := marshalJSON(m.value)
		if err != nil {
			return nil, err
		}
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// marshalJSON leaves <, > and & as they are: the file is for people too.
func marshalJSON(value any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(value)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}
