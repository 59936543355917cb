package ec2sim

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// filterable is a kind of resource that a Describe action lists: the filters
// it has, by name, and its tags if it has any.
type filterable[T any] struct {
	attributes map[string]func(T) string
	tags       func(T) map[string]string
}

// keep returns the items that pass all Filter parameters. A filter passes if
// any of its values matches; values may have the wildcards * and ?. A filter
// that the resource does not have is refused even if there are no items.
func (f filterable[T]) keep(items []T, p params) ([]T, error) {
	var tests []func(T) bool
	for _, position := range p.positions("Filter") {
		name, values := p[position+".Name"], p.list(position+".Value")
		read := f.reader(name)
		if read == nil {
			return nil, fail("InvalidParameterValue", "The filter '%s' is invalid", name)
		}
		if len(values) == 0 {
			return nil, fail("InvalidParameterValue", "The filter '%s' has no values", name)
		}
		matches := wildcard(values)
		tests = append(tests, func(item T) bool { return slices.ContainsFunc(read(item), matches) })
	}
	var kept []T
	for _, item := range items {
		if !slices.ContainsFunc(tests, func(test func(T) bool) bool { return !test(item) }) {
			kept = append(kept, item)
		}
	}
	return kept, nil
}

// reader returns what gets an item's values for a filter; nil for an unknown one.
func (f filterable[T]) reader(name string) func(T) []string {
	if read, ok := f.attributes[name]; ok {
		return func(item T) []string { return []string{read(item)} }
	}
	if f.tags == nil {
		return nil
	}
	if name == "tag-key" {
		return func(item T) []string { return slices.Collect(maps.Keys(f.tags(item))) }
	}
	if key, ok := strings.CutPrefix(name, "tag:"); ok && key != "" {
		return func(item T) []string {
			if value, ok := f.tags(item)[key]; ok {
				return []string{value}
			}
			return nil
		}
	}
	return nil
}

// wildcard returns a test whether a string matches any of the filter values:
// * stands for any characters, ? for one, and \ takes the next one as it is.
func wildcard(values []string) func(string) bool {
	var pattern strings.Builder
	for i, value := range values {
		if i > 0 {
			pattern.WriteByte('|')
		}
		escaped := false
		for _, r := range value {
			switch {
			case escaped:
				pattern.WriteString(regexp.QuoteMeta(string(r)))
				escaped = false
			case r == '\\':
				escaped = true
			case r == '*':
				pattern.WriteString(".*")
			case r == '?':
				pattern.WriteByte('.')
			default:
				pattern.WriteString(regexp.QuoteMeta(string(r)))
			}
		}
	}
	// (?s) since a description or tag may have line breaks.
	return regexp.MustCompile(`(?s)^(?:` + pattern.String() + `)$`).MatchString
}
