package archive

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// pattern is one of .gitignore's. It is written here because a pattern that keeps a secret out of an
// archive has to mean what git takes it to mean; the tests hold it to git itself.
type pattern struct {
	// keep is true for one that begins with "!".
	keep bool
	// dirOnly is true for one that ends in "/".
	dirOnly bool
	// parts match one part of a path each; nil is "**", which matches any number of them.
	parts []*regexp.Regexp
}

// CheckPattern says whether text is a pattern of .gitignore that can match something. What git takes and
// never matches is an error, because somebody believes that it leaves something out.
func CheckPattern(text string) error {
	_, err := parsePattern(text)
	return err
}

func parsePattern(text string) (pattern, error) {
	var p pattern
	rest, keep := strings.CutPrefix(text, "!")
	rest, dirOnly := strings.CutSuffix(rest, "/")
	p.keep, p.dirOnly = keep, dirOnly
	// One without a slash matches in every directory, others from the directory of their file.
	if strings.Contains(rest, "/") {
		rest = strings.TrimPrefix(rest, "/")
	} else {
		p.parts = append(p.parts, nil)
	}
	if !utf8.ValidString(rest) {
		return p, fmt.Errorf("the pattern %q is not UTF-8", text)
	}
	for part := range strings.SplitSeq(rest, "/") {
		if len(part) > 1 && strings.Trim(part, "*") == "" { // git takes more than two for two
			p.parts = append(p.parts, nil)
			continue
		}
		if part == "" || part == "." || part == ".." {
			return p, fmt.Errorf("the pattern %q matches nothing, because of its part %q; patterns are like build, /build or docs/*.pdf", text, part)
		}
		expr, err := translate(part)
		if err != nil {
			return p, fmt.Errorf("the pattern %q matches nothing: %w", text, err)
		}
		compiled, err := regexp.Compile(`(?s)\A` + expr + `\z`)
		if err != nil {
			return p, fmt.Errorf("the pattern %q is not understood: %w", text, err)
		}
		p.parts = append(p.parts, compiled)
	}
	if p.parts[len(p.parts)-1] == nil {
		p.parts = append(p.parts, regexp.MustCompile(``)) // all that is in a directory, but not the directory
	}
	return p, nil
}

// matches says whether p matches a path, which is relative to the directory that p is for. After a part
// that fails, the last "**" before it takes one part more.
func (p pattern) matches(names []string, dir bool) bool {
	if p.dirOnly && !dir {
		return false
	}
	part, name := 0, 0
	retryPart, retryName := -1, 0
	for part < len(p.parts) || name < len(names) {
		switch {
		case part < len(p.parts) && p.parts[part] == nil:
			part++
			retryPart, retryName = part, name
		case part < len(p.parts) && name < len(names) && p.parts[part].MatchString(names[name]):
			part++
			name++
		case retryPart >= 0 && retryName < len(names):
			retryName++
			part, name = retryPart, retryName
		default:
			return false
		}
	}
	return true
}

// translate makes a regular expression of one part of a pattern.
func translate(part string) (string, error) {
	var expr strings.Builder
	for rest := []rune(part); len(rest) > 0; {
		n := 1
		switch rest[0] {
		case '*':
			expr.WriteString(".*")
		case '?':
			expr.WriteString(".")
		case '[':
			class, length, err := translateClass(rest)
			if err != nil {
				return "", err
			}
			expr.WriteString(class)
			n = length
		case '\\':
			if len(rest) == 1 {
				return "", fmt.Errorf("nothing follows the backslash at the end of %q", part)
			}
			expr.WriteString(regexp.QuoteMeta(string(rest[1])))
			n = 2
		default:
			expr.WriteString(regexp.QuoteMeta(string(rest[0])))
		}
		rest = rest[n:]
	}
	return expr.String(), nil
}

// classNames are those that git knows within brackets, as in [[:digit:]].
var classNames = []string{
	"alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "xdigit",
}

// translateClass makes a regular expression of the brackets that text begins with, and says how many
// characters they have.
func translateClass(text []rune) (expr string, length int, err error) {
	unclosed := fmt.Errorf("the bracket in %q is not closed", string(text))
	i, negated := 1, false
	if i < len(text) && (text[i] == '!' || text[i] == '^') {
		i, negated = i+1, true
	}
	var ranges strings.Builder
	// A closing bracket at the very beginning is one of the characters.
	for first := i; i < len(text) && (text[i] != ']' || i == first); {
		if name, n, ok := className(text[i:]); ok {
			if !slices.Contains(classNames, name) {
				return "", 0, fmt.Errorf("there is no class [:%s:]", name)
			}
			fmt.Fprintf(&ranges, "[:%s:]", name)
			i += n
			continue
		}
		low, n := literal(text[i:])
		i += n
		high := low
		if i+1 < len(text) && text[i] == '-' && text[i+1] != ']' {
			high, n = literal(text[i+1:])
			i += 1 + n
		}
		if low <= high {
			fmt.Fprintf(&ranges, `\x{%x}-\x{%x}`, low, high)
		}
	}
	switch {
	case i >= len(text):
		return "", 0, unclosed
	case ranges.Len() == 0:
		return "", 0, fmt.Errorf("the range in %q has no characters", string(text[:i+1]))
	case negated:
		return "[^" + ranges.String() + "]", i + 1, nil
	}
	return "[" + ranges.String() + "]", i + 1, nil
}

// className reads "[:NAME:]".
func className(text []rune) (name string, length int, ok bool) {
	inner, found := strings.CutPrefix(string(text), "[:")
	if !found {
		return "", 0, false
	}
	name, _, found = strings.Cut(inner, "]")
	name, colon := strings.CutSuffix(name, ":")
	return name, utf8.RuneCountInString(name) + len("[::]"), found && colon
}

// literal reads one character of a class. A backslash at the end stands for itself, in brackets that are
// not closed.
func literal(text []rune) (r rune, length int) {
	if text[0] == '\\' && len(text) > 1 {
		return text[1], 2
	}
	return text[0], 1
}
