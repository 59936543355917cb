package almanac_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/post-processor/almanac"
)

// begun returns a post-processor of another run, for which the first part is recorded: its version has
// a number, and is open.
func begun(t *testing.T, block options, run string) *almanac.PostProcessor {
	t.Helper()
	block = maps.Clone(block) // the post-processor reads it again at the end
	block["fingerprint"] = run
	record(t, block, core("x", "first"), ami())
	pp := new(almanac.PostProcessor)
	if err := pp.Configure(block, core("x", "last")); err != nil {
		t.Fatal(err)
	}
	return pp
}

func finish(t *testing.T, pp *almanac.PostProcessor) string {
	t.Helper()
	u, shown := ui()
	if _, _, _, err := pp.PostProcess(t.Context(), u, ami()); err != nil {
		t.Fatal(err)
	}
	return shown.String()
}

// Runs end in another order than they began in.
func TestTheTerraformFileDoesNotGoBack(t *testing.T) {
	for _, c := range []struct {
		name           string
		channels       []any
		wrote, refused string
		forced         string // what is shown with force
	}{
		{"when its channel stays", []any{"staging", "dev"}, "# channel       staging\n", "is not written: channel staging does not point to 0.1.0 (number 1): points to version 0.2.0 (number 2)",
			"is not written: channel staging does not point to 0.1.0 (number 1): points to version 0.2.0 (number 2)"},
		{"without a channel", nil, "# ref           0.2.0\n", "is not written: it is for 0.2.0 (number 2), which is newer than 0.1.0 (number 1); set force to go back", "wrote "},
	} {
		for _, force := range []bool{false, true} {
			name, want := c.name, c.refused
			if force {
				name, want = c.name+" and with force", c.forced
			}
			t.Run(name, func(t *testing.T) {
				s := servertest.New(t)
				environment(t, s, s.Token(t, "packer", "promote"))
				path := filepath.Join(t.TempDir(), "app.tf")
				block := options{"artifact": "cargomedia/app", "expect": []any{"x.first", "x.last"}, "terraform": decoded{"path": path, "component": "x.first", "force": force}}
				if c.channels != nil {
					block["channels"] = c.channels
				}
				older := begun(t, block, "run-1")
				newer := begun(t, block, "run-2")
				if shown := finish(t, newer); !strings.Contains(shown, "wrote "+path) {
					t.Fatalf("the newer: shown:\n%s\nwant that the file was written", shown)
				}
				before, err := os.ReadFile(path)
				if err != nil || !strings.Contains(string(before), c.wrote) {
					t.Errorf("got %v, %s\nwant %q in it", err, before, c.wrote)
				}
				if shown := finish(t, older); !strings.Contains(shown, want) {
					t.Errorf("the older: shown:\n%s\nwant %q in it", shown, want)
				}
				after, err := os.ReadFile(path)
				if same := string(before) == string(after); err != nil || same == strings.HasPrefix(want, "wrote ") {
					t.Errorf("got error %v and the same file: %t", err, same)
				}
			})
		}
	}
}
