package emit

import (
	"regexp"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// keptWords cannot be names: they mean something in an expression, or Terraform refuses a variable
// of that name because it is an argument of every module block.
var keptWords = map[string]bool{
	"for": true, "in": true, "if": true, "else": true, "endif": true, "endfor": true,
	"null": true, "true": true, "false": true,
	"source": true, "version": true, "providers": true, "count": true, "for_each": true,
	"lifecycle": true, "depends_on": true, "locals": true,
}

var identShape = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

// Ident makes a name for Terraform out of any text: lower case, everything but a-z, 0-9 and _
// becomes _, with a _ in front of a digit and of a word that Terraform keeps for itself. Two texts can
// get the same name; [Options.Ident] tells them apart.
func Ident(s string) string {
	ident := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(s))
	if ident == "" || ident[0] >= '0' && ident[0] <= '9' || keptWords[ident] {
		ident = "_" + ident
	}
	return ident
}

func validIdent(s string) bool {
	return identShape.MatchString(s) && hclsyntax.ValidIdentifier(s) && !keptWords[s]
}
