package provenance

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTemplateDigest(t *testing.T) {
	inDir := func(t *testing.T, files ...string) string {
		dir := testRepository{t.TempDir()}
		for i := 0; i < len(files); i += 2 {
			dir.write(t, files[i], files[i+1])
		}
		return dir.dir
	}
	digest := func(t *testing.T, dir, name string) (string, error) {
		t.Helper()
		tpl, err := findTemplate(dir, name)
		if err != nil {
			return "", err
		}
		return tpl.digest()
	}
	t.Run("a directory's templates alone, in the order of their names", func(t *testing.T) {
		dir := inDir(t, "b.pkr.json", "1", "a.pkr.hcl", "2", "B.pkr.hcl", "3", "x.pkrvars.hcl", "secret", "y.auto.pkrvars.json", "secret", "z.json", "4", "sub/c.pkr.hcl", "5")
		if err := os.Mkdir(filepath.Join(dir, "dir.pkr.hcl"), 0o755); err != nil {
			t.Fatal(err)
		}
		got, err := digest(t, dir, ".")
		if err != nil {
			t.Fatal(err)
		}
		if want := sum(sum("3") + "  B.pkr.hcl\n" + sum("2") + "  a.pkr.hcl\n" + sum("1") + "  b.pkr.json\n"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
	t.Run("a name is part of it", func(t *testing.T) {
		one, err1 := digest(t, inDir(t, "a.pkr.hcl", "1"), ".")
		two, err2 := digest(t, inDir(t, "b.pkr.hcl", "1"), ".")
		if err1 != nil || err2 != nil || one == two {
			t.Errorf("got %q, %v and %q, %v", one, err1, two, err2)
		}
	})
	t.Run("none for a directory without templates", func(t *testing.T) {
		if got, err := digest(t, inDir(t, "a.json", "1"), "."); err == nil {
			t.Errorf("got %s", got)
		}
	})
	t.Run("none for what is larger than a template", func(t *testing.T) {
		dir := inDir(t, "a.json", "")
		if err := os.Truncate(filepath.Join(dir, "a.json"), maxTemplateBytes); err != nil {
			t.Fatal(err)
		}
		if _, err := digest(t, dir, "a.json"); err != nil {
			t.Errorf("at the limit: %v", err)
		}
		if err := os.Truncate(filepath.Join(dir, "a.json"), maxTemplateBytes+1); err != nil {
			t.Fatal(err)
		}
		if got, err := digest(t, dir, "a.json"); err == nil {
			t.Errorf("above the limit: got %s", got)
		}
	})
	t.Run("none for more files than a template has", func(t *testing.T) {
		dir := testRepository{t.TempDir()}
		for i := range maxTemplateFiles + 1 {
			dir.write(t, fmt.Sprintf("%d.pkr.hcl", i), "")
		}
		if got, err := digest(t, dir.dir, "."); err == nil {
			t.Errorf("got %s", got)
		}
	})
	t.Run("none for a device", func(t *testing.T) {
		if _, err := findTemplate(t.TempDir(), os.DevNull); err == nil || !strings.Contains(err.Error(), "neither") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("none for a device in a directory", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Symlink(os.DevNull, filepath.Join(dir, "a.pkr.hcl")); err != nil {
			t.Skip(err)
		}
		if got, err := digest(t, dir, "."); err == nil {
			t.Errorf("got %s", got)
		}
	})
}
