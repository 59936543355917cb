package ec2sim

import (
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// rules declares the parameters of an action. List positions are written "#":
// "Filter.#.Value.#". What is not declared is refused, so that no request is
// ever answered as if a part of it had not been there.
type rules map[string]rule

// rule says which values a parameter takes. An empty value counts as none, as
// with EC2: SDKs send empty strings for options that are not set.
type rule struct {
	needed  bool
	accepts func(string) bool
	code    string
}

var (
	text    = rule{accepts: func(string) bool { return true }}
	boolean = rule{accepts: func(v string) bool { return v == "true" || v == "false" }, code: "InvalidParameterValue"}
	number  = rule{accepts: regexp.MustCompile(`^-?[0-9]{1,9}$`).MatchString, code: "InvalidParameterValue"}
	// unset is a parameter that clients send without a value.
	unset = only()
)

// required makes the parameter, or at least one of a list, necessary.
func required(r rule) rule {
	r.needed = true
	return r
}

// only is for parameters of which the stand-in knows no more than these values.
func only(values ...string) rule {
	return rule{accepts: func(v string) bool { return slices.Contains(values, v) }, code: "UnsupportedOperation"}
}

// with returns the rules and more of them.
func (r rules) with(more ...rules) rules {
	all := maps.Clone(r)
	for _, m := range more {
		maps.Copy(all, m)
	}
	return all
}

var (
	filterParams = rules{"Filter.#.Name": text, "Filter.#.Value.#": text}

	tagParams = rules{
		"TagSpecification.#.ResourceType": text,
		"TagSpecification.#.Tag.#.Key":    text,
		"TagSpecification.#.Tag.#.Value":  text,
	}
)

// params are the checked parameters of a call.
type params map[string]string

// checkParams holds the request to what the action declares.
func checkParams(values url.Values, declared rules) (params, error) {
	p := make(params, len(values))
	given := make(map[string]bool, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if name == "Action" || name == "Version" {
			continue
		}
		if len(values[name]) > 1 {
			return nil, fail("InvalidParameterValue", "The parameter %s is given more than once", name)
		}
		value, shape := values.Get(name), shapeOf(name)
		rule, ok := declared[shape]
		switch {
		case !ok && value == "" && declared.hasList(shape):
			continue // An SDK's empty list.
		case !ok:
			return nil, fail("UnknownParameter", "The parameter %s is not recognized", name)
		case value != "" && !rule.accepts(value) && rule.code == "UnsupportedOperation":
			return nil, fail(rule.code, "The value (%s) of parameter %s is not supported by ec2sim", value, name)
		case value != "" && !rule.accepts(value):
			return nil, fail(rule.code, "Value (%s) for parameter %s is invalid", value, name)
		}
		p[name] = value
		given[shape] = given[shape] || value != ""
	}
	for _, shape := range slices.Sorted(maps.Keys(declared)) {
		if declared[shape].needed && !given[shape] {
			return nil, fail("MissingParameter", "The request must contain the parameter %s", strings.TrimSuffix(shape, ".#"))
		}
	}
	return p, nil
}

// shapeOf is the name with its list positions replaced: "Filter.2.Name" is
// "Filter.#.Name".
func shapeOf(name string) string {
	part := strings.Split(name, ".")
	for i, s := range part {
		// Only as SDKs write it: with "01" too, two names would mean one position.
		if n, err := strconv.Atoi(s); i > 0 && err == nil && n > 0 && strconv.Itoa(n) == s {
			part[i] = "#"
		}
	}
	return strings.Join(part, ".")
}

func (r rules) hasList(shape string) bool {
	for declared := range r {
		if strings.HasPrefix(declared, shape+".#") {
			return true
		}
	}
	return false
}

func (p params) bool(name string) bool { return p[name] == "true" }

// int is the value of a parameter declared as a number, or 0.
func (p params) int(name string) int {
	n, _ := strconv.Atoi(p[name])
	return n
}

// positions are the list positions below name, in order: with "Filter.2.Name"
// and "Filter.1.Name", positions("Filter") is "Filter.1", "Filter.2".
func (p params) positions(name string) []string {
	seen := make(map[int]string)
	for key := range p {
		rest, ok := strings.CutPrefix(key, name+".")
		if !ok {
			continue
		}
		position, _, _ := strings.Cut(rest, ".")
		if n, err := strconv.Atoi(position); err == nil {
			seen[n] = name + "." + position
		}
	}
	var list []string
	for _, n := range slices.Sorted(maps.Keys(seen)) {
		list = append(list, seen[n])
	}
	return list
}

// list is the values of a list parameter, without empty ones.
func (p params) list(name string) []string {
	var values []string
	for _, position := range p.positions(name) {
		if value := p[position]; value != "" {
			values = append(values, value)
		}
	}
	return values
}
