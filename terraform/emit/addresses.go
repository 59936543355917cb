package emit

import (
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// losesNothing is a Conflict if an address of the existing code is not in the new one.
func losesNothing(path string, existing, content []byte) error {
	was, err := readAddresses(existing)
	if err != nil {
		return registry.Errorf(registry.Conflict, "%s is there already, and cannot be read as HCL to see which machines it has (%v); choose another path", path, err)
	}
	now, err := readAddresses(content)
	if err != nil {
		return &registry.Error{Kind: registry.Internal, Msg: "emit.WriteNew got content that is not HCL", Err: err}
	}
	lost := slices.DeleteFunc(was, func(a address) bool { return slices.Contains(now, a) })
	if len(lost) == 0 {
		return nil
	}
	count := "an address"
	if len(lost) > 1 {
		count = fmt.Sprintf("%d addresses", len(lost))
	}
	return registry.Errorf(registry.Conflict, "%s would lose %s (%s), and Terraform destroys a machine that is no longer in the code; edit the file, or choose another path",
		path, count, listAddresses(lost))
}

// listAddresses names a few.
func listAddresses(list []address) string {
	const few = 3
	var names []string
	for _, a := range list[:min(len(list), few)] {
		names = append(names, a.block+" "+visible(a.name))
	}
	if len(list) > few {
		names = append(names, "…")
	}
	return strings.Join(names, ", ")
}

// address is where a block of a file, a resource or an import, puts something.
type address struct{ block, name string }

// readAddresses lists the addresses of HCL code, in its order. A resource with for_each over a local whose keys stand there
// has one for each of them, any other resource has one.
func readAddresses(content []byte) ([]address, error) {
	f, diags := hclsyntax.ParseConfig(content, "", hcl.InitialPos)
	if diags.HasErrors() {
		return nil, fmt.Errorf("line %d: %s", diags[0].Subject.Start.Line, strings.TrimSuffix(diags[0].Summary, "."))
	}
	blocks := f.Body.(*hclsyntax.Body).Blocks
	keys := localKeys(blocks, content)
	var list []address
	for _, block := range blocks {
		forEach := block.Body.Attributes["for_each"]
		switch {
		case block.Type == "resource":
			name := strings.Join(block.Labels, ".")
			if known := keysOf(forEach, keys); known == nil {
				list = append(list, address{block.Type, name})
			} else {
				for _, key := range known {
					list = append(list, address{block.Type, fmt.Sprintf("%s[%q]", name, key)})
				}
			}
		case block.Type == "import" && forEach == nil && block.Body.Attributes["to"] != nil:
			to := block.Body.Attributes["to"].Expr.Range().SliceBytes(content)
			list = append(list, address{block.Type, string(to)})
		}
	}
	return list, nil
}

// localKeys are the keys of the locals that are objects. For one that does not stand there, it is its code.
func localKeys(blocks hclsyntax.Blocks, content []byte) map[string][]string {
	keys := map[string][]string{}
	for _, block := range blocks {
		if block.Type != "locals" {
			continue
		}
		for name, attribute := range block.Body.Attributes {
			object, ok := attribute.Expr.(*hclsyntax.ObjectConsExpr)
			if !ok {
				continue
			}
			keys[name] = []string{}
			for _, item := range object.Items {
				key := string(item.KeyExpr.Range().SliceBytes(content))
				if value, diags := item.KeyExpr.Value(nil); !diags.HasErrors() && value.IsKnown() && !value.IsNull() && value.Type() == cty.String {
					key = value.AsString()
				}
				keys[name] = append(keys[name], key)
			}
		}
	}
	return keys
}

// keysOf are those of the local that for_each goes through; nil when it goes through anything else.
func keysOf(forEach *hclsyntax.Attribute, locals map[string][]string) []string {
	if forEach == nil {
		return nil
	}
	local, ok := forEach.Expr.(*hclsyntax.ScopeTraversalExpr)
	if !ok || len(local.Traversal) != 2 || local.Traversal.RootName() != "local" {
		return nil
	}
	name, ok := local.Traversal[1].(hcl.TraverseAttr)
	if !ok {
		return nil
	}
	return locals[name.Name]
}
