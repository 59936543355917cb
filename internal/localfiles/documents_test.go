package localfiles_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/internal/localfiles"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func TestPlanDocuments(t *testing.T) {
	t.Chdir(t.TempDir())
	for name, content := range map[string]string{
		"sbom.json": `{"bomFormat":"CycloneDX","specVersion":"1.6","version":1}`, "text": "no bill", "a/text": "another", "b/TEXT": "one more",
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	sbom := func(path string) localfiles.Document {
		return localfiles.Document{Field: "sbom", Path: path, Kind: registry.AttachmentSBOM}
	}
	text := func(path string) localfiles.Document {
		return localfiles.Document{Field: "attach", Path: path, Kind: registry.AttachmentDocument}
	}
	for name, test := range map[string]struct {
		documents []localfiles.Document
		named     []string
		bad       []string // the beginnings
	}{
		"all are named, each once":                 {[]localfiles.Document{sbom("sbom.json"), text("text"), text("text")}, []string{"sbom.json sbom", "text document"}, nil},
		"apart where names collide":                {[]localfiles.Document{text("a/text"), text("b/TEXT")}, []string{"a/text document", "b/TEXT document"}, nil},
		"a bill of materials is read":              {[]localfiles.Document{sbom("text"), text("sbom.json")}, []string{"sbom.json document"}, []string{"sbom text: text is neither CycloneDX nor SPDX"}},
		"all that is wrong is told":                {[]localfiles.Document{text("gone"), text("a"), text("text")}, []string{"text document"}, []string{"attach gone: stat gone", "attach a: a is a directory; attach the files in it"}},
		"the same path in another way counts once": {[]localfiles.Document{text("a/text"), text(strings.Repeat("./", 2) + "a/../a/text"), text("text")}, []string{"a/text document", "text document"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			files, problems := localfiles.PlanDocuments(test.documents)
			var named []string
			for _, f := range files {
				named = append(named, fmt.Sprint(f.Name, " ", f.Kind))
			}
			if diff := cmp.Diff(test.named, named); diff != "" {
				t.Errorf("named (-want +got): %s", diff)
			}
			if len(problems) != len(test.bad) {
				t.Fatalf("got problems %v, want %q", problems, test.bad)
			}
			for i, p := range problems {
				if got := fmt.Sprintf("%s %s: %v", p.Field, p.Path, p.Err); !strings.HasPrefix(got, test.bad[i]) {
					t.Errorf("got %q, want %q", got, test.bad[i])
				}
			}
		})
	}
}
