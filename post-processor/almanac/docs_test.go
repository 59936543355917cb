package almanac

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const page = "../../docs/post-processors/almanac.mdx"

// The page holds the generated descriptions of the options, so that it can be read where it lies.
func TestPageDescribesTheOptions(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	partials, err := filepath.Glob("../../docs-partials/post-processor/almanac/*Config*.mdx")
	if err != nil || len(partials) != 6 {
		t.Fatalf("got the partials %v, %v; want 6: run make generate", partials, err)
	}
	for _, name := range partials {
		partial, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(name) != "Config.mdx" && !strings.Contains(string(text), strings.TrimSpace(string(partial))) {
			t.Errorf("%s lacks what %s says now; copy it there", page, name)
		}
	}
}

func TestPageListsTheBuilders(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for id, typ := range builderTypes {
		listed := false
		for line := range strings.Lines(string(text)) {
			listed = listed || strings.Contains(line, "`"+id+"`") && strings.Contains(line, "| `"+string(typ)+"` |")
		}
		if !listed {
			t.Errorf("%s has no row for %s as %s", page, id, typ)
		}
	}
	for value := range recordedValues {
		if !strings.Contains(string(text), "`"+value+"`") {
			t.Errorf("%s does not say that %s is recorded", page, value)
		}
	}
}
