package packertest

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFind(t *testing.T) {
	path := filepath.Join(t.TempDir(), "packer")
	if err := os.WriteFile(path, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("ALMANAC_TEST_PACKER", path)
	if got := find(t, "packer", "ALMANAC_TEST_PACKER"); got != path {
		t.Errorf("got %s, want what the variable names: %s", got, path)
	}
}
