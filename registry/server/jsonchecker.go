package server

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// jsonChecker walks through one JSON value. It looks for mistakes of the text and, in the same walk,
// for what is not of the expected shape: huma could do the latter, but loses its place behind a key
// with a dot or a bracket, and would name a field that does not exist. Unlike encoding/json it takes
// "Fingerprint" for another key than "fingerprint".
type jsonChecker struct {
	dec       *json.Decoder
	shape     shape
	path      []pathPart
	values    int
	mistakes  mistakes // of the text
	misshapen mistakes
}

// shape is what a route expects of its body. The zero shape expects nothing.
type shape struct {
	schemas huma.Registry
	schema  *huma.Schema
}

// pathPart is a step into an object, by key, or into an array, by index.
type pathPart struct {
	key   string
	index int // -1 where it is a key
	// free keys are those of a map: callers choose them, and they may have any characters.
	free bool
}

// Limits of a JSON body: far beyond what any request has, and far below what would hurt. What comes
// after this check spends memory on every value of a body, right or wrong.
const (
	maxNesting  = 32
	maxValues   = 100_000
	maxElements = 1000 // of one array; the longest that the registry takes
)

// jsonLimit is a limit of a JSON body that was hit.
type jsonLimit string

func (l jsonLimit) Error() string { return string(l) }

// value checks the next value. schema is nil where nothing is expected of it; what is optional may
// be null.
func (c *jsonChecker) value(depth int, schema *huma.Schema, optional bool) error {
	if c.values++; c.values > maxValues {
		return jsonLimit(fmt.Sprintf("it has more than %d values", maxValues))
	}
	token, err := c.dec.Token()
	if err != nil {
		return err
	}
	schema = c.shape.resolve(schema)
	switch token := token.(type) {
	case json.Number:
		// All numbers of the API are whole. Neither 1e3 nor 1.0 nor 2^64 decodes into an int64.
		n, err := strconv.ParseInt(token.String(), 10, 64)
		if err != nil {
			c.add("%s is not a whole number of at most 64 bits, written in digits", clip(token.String()))
			return nil
		}
		c.scalar(schema, n)
	case json.Delim:
		if depth == maxNesting {
			return jsonLimit(fmt.Sprintf("it is nested more than %d deep", maxNesting))
		}
		if token == '{' {
			err = c.object(depth, c.as(schema, huma.TypeObject, map[string]any{}))
		} else {
			err = c.array(depth, c.as(schema, huma.TypeArray, []any{}))
		}
		if err == nil {
			_, err = c.dec.Token() // the closing delimiter
		}
	default:
		if token != nil || !optional {
			c.scalar(schema, token)
		}
	}
	return err
}

func (c *jsonChecker) object(depth int, schema *huma.Schema) error {
	seen := map[string]bool{}
	for c.dec.More() {
		token, err := c.dec.Token()
		if err != nil {
			return err
		}
		key, _ := token.(string)
		member, known, free := memberOf(schema, key)
		c.path = append(c.path, pathPart{key: key, index: -1, free: free})
		if seen[key] {
			c.add("is there twice")
		}
		seen[key] = true
		if !known {
			c.deviates("is not a field of this object; it has %s", strings.Join(membersOf(schema), ", "))
		}
		optional := !free && schema != nil && !slices.Contains(schema.Required, key)
		if err := c.value(depth+1, member, optional); err != nil {
			return err
		}
		c.path = c.path[:len(c.path)-1]
	}
	if schema == nil {
		return nil
	}
	for _, key := range schema.Required {
		if !seen[key] && !schema.Properties[key].ReadOnly {
			c.path = append(c.path, pathPart{key: key, index: -1})
			c.deviates("is missing")
			c.path = c.path[:len(c.path)-1]
		}
	}
	return nil
}

func (c *jsonChecker) array(depth int, schema *huma.Schema) error {
	var items *huma.Schema
	if schema != nil {
		items = schema.Items
	}
	for i := 0; c.dec.More(); i++ {
		c.path = append(c.path, pathPart{index: i})
		if err := c.value(depth+1, items, false); err != nil {
			return err
		}
		c.path = c.path[:len(c.path)-1]
		if i == maxElements {
			c.add("has more than %d entries", maxElements)
		}
	}
	return nil
}

// as returns the schema if it expects an object or array, as there is one. If not it reports so, and
// returns nil: nothing is expected of what is in there.
func (c *jsonChecker) as(schema *huma.Schema, typ string, empty any) *huma.Schema {
	if schema == nil || schema.Type == typ {
		return schema
	}
	c.scalar(schema, empty)
	return nil
}

// scalar lets huma compare a value that has no members with its schema.
func (c *jsonChecker) scalar(schema *huma.Schema, v any) {
	if schema == nil {
		return
	}
	var found huma.ValidateResult
	huma.Validate(c.shape.schemas, schema, huma.NewPathBuffer(nil, 0), huma.ModeWriteToServer, v, &found)
	for _, err := range found.Errors {
		message := err.Error()
		if detail, ok := err.(*huma.ErrorDetail); ok {
			message = detail.Message
		}
		c.deviates("%s", wordsFor(message))
	}
}

func (s shape) resolve(schema *huma.Schema) *huma.Schema {
	for schema != nil && schema.Ref != "" {
		schema = s.schemas.SchemaFromRef(schema.Ref)
	}
	return schema
}

// memberOf returns what an object's schema, or nil, expects of the member with a key, whether there
// may be one, and whether its key is one of a map.
func memberOf(schema *huma.Schema, key string) (member *huma.Schema, known, free bool) {
	if schema == nil {
		return nil, true, false
	}
	if member, ok := schema.Properties[key]; ok {
		return member, true, false
	}
	if values, ok := schema.AdditionalProperties.(*huma.Schema); ok {
		return values, true, true
	}
	closed, ok := schema.AdditionalProperties.(bool)
	return nil, !ok || closed, false
}

// membersOf lists what a caller may set in an object.
func membersOf(schema *huma.Schema) []string {
	var names []string
	for name, member := range schema.Properties {
		if !member.ReadOnly {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (c *jsonChecker) add(format string, args ...any) { c.report(&c.mistakes, format, args...) }

func (c *jsonChecker) deviates(format string, args ...any) { c.report(&c.misshapen, format, args...) }

func (c *jsonChecker) report(to *mistakes, format string, args ...any) {
	to.add(func() registry.FieldError {
		return registry.FieldError{Field: c.place(), Message: fmt.Sprintf(format, args...)}
	})
}

// place is where the checker is, as the domain names fields.
func (c *jsonChecker) place() string {
	if len(c.path) == 0 {
		return "body"
	}
	var at strings.Builder
	for i, part := range c.path {
		switch {
		case part.index >= 0:
			fmt.Fprintf(&at, "[%d]", part.index)
		case part.free || part.key == "":
			fmt.Fprintf(&at, "[%q]", clip(part.key))
		case i > 0:
			at.WriteString("." + clip(part.key))
		default:
			at.WriteString(clip(part.key))
		}
	}
	return at.String()
}
