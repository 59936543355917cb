package emit

import (
	"slices"
	"testing"
)

// FuzzReadAddresses reads any file that may be there, and expects that it loses nothing to itself.
func FuzzReadAddresses(f *testing.F) {
	for _, code := range []string{
		"\xef\xbb\xbflocals {}\r\n", "x = <<", "\x00", "import {\n}\n", "import {\n  to = \n}\n", "import {\n  to = a . b[\"c\"]\n}\n",
		"locals {\n  x = { (null) = 1, (1) = 2, a = 3, \"${b}\" = 4 }\n}\nresource \"a\" \"b\" {\n  for_each = local.x\n}\n",
		"resource \"a\" {\n  for_each = local.x.y\n}\n", "resource \"a\" \"b\" {\n  for_each = local[0]\n}\n", "resource {\n  for_each = local.x\n}\n",
	} {
		f.Add(code)
	}
	f.Fuzz(func(t *testing.T, code string) {
		list, err := readAddresses([]byte(code))
		if (losesNothing("import.tf", []byte(code), []byte(code)) == nil) != (err == nil) {
			t.Errorf("reading gives %v, but it loses something to itself, or not", err)
		}
		nothing := losesNothing("import.tf", []byte(code), nil) == nil
		if nothing != (err == nil && len(list) == 0) || slices.Contains(list, address{}) {
			t.Errorf("of %v (%v), an empty file loses nothing: %v", list, err, nothing)
		}
	})
}
