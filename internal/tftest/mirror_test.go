package tftest

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestKeptMakesADirectoryOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mirrors", "key")
	made := 0
	fill := func(temporary string) error {
		made++
		return os.WriteFile(filepath.Join(temporary, "file"), nil, 0o644)
	}
	for range 2 {
		if got, err := kept(dir, fill); err != nil || got != dir {
			t.Fatalf("got %q, %v", got, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "file")); err != nil || made != 1 {
		t.Errorf("made %d times, %v", made, err)
	}
}

func TestKeptLeavesNothingOfAFailure(t *testing.T) {
	parent := filepath.Join(t.TempDir(), "mirrors")
	broken := errors.New("broken")
	if _, err := kept(filepath.Join(parent, "key"), func(string) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	if entries, err := os.ReadDir(parent); err != nil || len(entries) != 0 {
		t.Errorf("left are %v, %v", entries, err)
	}
}

func TestKeptRemovesWhatIsNotUsed(t *testing.T) {
	parent := t.TempDir()
	fill := func(string) error { return nil }
	for _, name := range []string{"old", "used", "fresh"} {
		if _, err := kept(filepath.Join(parent, name), fill); err != nil {
			t.Fatal(err)
		}
	}
	long := time.Now().Add(-2 * unused)
	for _, name := range []string{"old", "used"} {
		if err := os.Chtimes(filepath.Join(parent, name), long, long); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"used", "new"} {
		if _, err := kept(filepath.Join(parent, name), fill); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]bool{"old": false, "used": true, "fresh": true, "new": true} {
		if _, err := os.Stat(filepath.Join(parent, name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
