package localfiles_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/internal/localfiles"
	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/registry/box"
)

func write(t testing.TB, parts ...string) string {
	t.Helper()
	path := filepath.Join(parts...)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(path), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestPlanNamesFiles(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the names are of files that other systems have")
	}
	dir := t.TempDir()
	long := strings.Repeat("x", 200)
	for _, c := range []struct {
		name  string
		paths [][]string
		want  string
	}{
		{"by base name", [][]string{{"a", "x.txt"}, {"b", "y.txt"}}, "x.txt y.txt"},
		{"by path where base names collide", [][]string{{"a", "x.txt"}, {"b", "x.txt"}}, "a/x.txt b/x.txt"},
		{"by path where they collide but for case", [][]string{{"a", "x.txt"}, {"b", "X.txt"}}, "a/x.txt b/X.txt"},
		{"once where a path is there twice", [][]string{{"a", "x.txt"}, {"a", ".", "x.txt"}}, "x.txt"},
		{"without characters that not all systems have", [][]string{{`a:b<c>d"e|f?g*h\i` + "\n\xff"}}, "a-b-c-d-e-f-g-h-i--"},
		{"without parts that not all systems have", [][]string{{"a", "con.txt"}, {"a", "x. ."}, {"b", "Aux"}, {"b", "..."}}, "_con.txt x--- _Aux ---"},
		{"with parts of a path that not all systems have", [][]string{{"nul", "x"}, {"b. ", "x"}}, "_nul/x b--/x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var paths []string
			for _, parts := range c.paths {
				paths = append(paths, write(t, append([]string{dir}, parts...)...))
			}
			files, wrong := localfiles.Plan(paths)
			var got []string
			for _, f := range files {
				got = append(got, f.Name)
			}
			if diff := cmp.Diff(c.want, strings.Join(got, " ")); diff != "" || len(wrong) > 0 {
				t.Errorf("names (-want +got):\n%s\nwrong: %v", diff, wrong)
			}
		})
	}
	t.Run("all that is wrong is told", func(t *testing.T) {
		_, wrong := localfiles.Plan([]string{
			filepath.Join(dir, "gone"), os.DevNull, write(t, dir, "l", "a:b"), write(t, dir, "l", "a-b"),
			write(t, dir, "l", long, long, long, "q", "same"), write(t, dir, "l", long, long, long, "same"),
		})
		got := errors.Join(wrong...).Error()
		for _, want := range []string{"gone: no such file", os.DevNull + " is neither", "would both be named a-b; rename one", "has 609 bytes", "has 607 bytes"} {
			if !strings.Contains(got, want) {
				t.Errorf("got:\n%s\nwant %q in it", got, want)
			}
		}
	})
}

// The limit is the registry's own, and is looked at before the files are.
func TestPlanKnowsTheRegistrysLimit(t *testing.T) {
	many := make([]string, 1001)
	for i := range many {
		many[i] = fmt.Sprint("no-such-file-", i)
	}
	_, wrong := localfiles.Plan(many)
	if len(wrong) != 1 || !strings.Contains(wrong[0].Error(), "at most 1000") {
		t.Errorf("got %v, want the limit alone", wrong)
	}
	if _, wrong := localfiles.Plan(many[:1000]); len(wrong) != 1000 {
		t.Errorf("got %d problems, want one for each file that is not there", len(wrong))
	}
	s := servertest.New(t)
	_, err := s.Client(t, s.AdminToken).Publish(t.Context(), "a/b", registry.Publication{
		Fingerprint: "run-1", Build: registry.Build{Component: "x.y", Type: registry.Archive, Files: make([]registry.File, 1001)},
	})
	if err == nil || !strings.Contains(err.Error(), "build.files: has more than 1000 entries") {
		t.Errorf("the registry: got %v", err)
	}
}

// FuzzPlan names files as the registry takes them, whatever a file system calls them.
func FuzzPlan(f *testing.F) {
	for _, name := range []string{"a.txt", "a:b", "con", "LPT1.x", "x.", " ", "..x", "\xff", "\u202e", "-"} {
		f.Add(name)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, name string) {
		if name == "" || strings.ContainsAny(name, "/\x00") || name == "." || name == ".." || len(name) > 80 {
			t.Skip("no name of a file")
		}
		path := filepath.Join(dir, name)
		if os.WriteFile(path, nil, 0o644) != nil {
			t.Skip("not a name of this file system")
		}
		files, wrong := localfiles.Plan([]string{path})
		if len(wrong) > 0 || registry.CheckFileName(files[0].Name) != nil {
			t.Errorf("%q: got %v, %v", name, files, wrong)
		}
	})
}

func TestUseRemovesWhatItPacked(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "site")
	write(t, dir, "index.html")
	files, wrong := localfiles.Plan([]string{dir})
	if len(wrong) > 0 || files[0].Name != "site.tar.gz" {
		t.Fatalf("got %v, %v", files, wrong)
	}
	var packed string
	refused := errors.New("refused")
	err := files[0].Use(t.Context(), func(path string) error {
		packed = path
		if stat, err := os.Stat(path); err != nil || stat.Size() == 0 {
			t.Errorf("got %v, %v", stat, err)
		}
		return refused
	})
	if !errors.Is(err, refused) {
		t.Errorf("got %v, want the error of its use", err)
	}
	if _, err := os.Stat(packed); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s was left behind", packed)
	}
}

func TestTheBoxKnowsBest(t *testing.T) {
	for _, c := range []struct {
		name  string
		build registry.Build
		info  box.Info
		want  string // provider architecture
		notes []string
	}{
		{"nobody else says anything", registry.Build{}, box.Info{Provider: "libvirt", Architecture: "arm64"}, "libvirt arm64", nil},
		{"the same is said", registry.Build{Provider: "libvirt", Architecture: "arm64"}, box.Info{Provider: "libvirt", Architecture: "arm64"}, "libvirt arm64", nil},
		{"the box is silent", registry.Build{Architecture: "amd64"}, box.Info{Provider: "libvirt"}, "libvirt amd64", nil},
		{"other things are said", registry.Build{Provider: "vmware", Architecture: "amd64"}, box.Info{Provider: "libvirt", Architecture: "arm64"}, "libvirt arm64",
			[]string{"the provider is libvirt, as the box says of itself, and not vmware", "the architecture is arm64, as the box says of itself, and not amd64"}},
		{"what no registry takes", registry.Build{Architecture: "amd64"}, box.Info{Provider: "libvirt", Architecture: "x86 64"}, "libvirt amd64",
			[]string{`what the box says of its architecture is left out: architecture "x86 64" must`}},
	} {
		t.Run(c.name, func(t *testing.T) {
			notes := localfiles.DescribeBox(&c.build, c.info)
			if got := c.build.Provider + " " + c.build.Architecture; got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if !slices.EqualFunc(notes, c.notes, strings.HasPrefix) {
				t.Errorf("got %q, want %q", notes, c.notes)
			}
		})
	}
}
