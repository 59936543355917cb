package archive_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/internal/archive"
)

const ignoreFile = ".almanacignore"

// kept packs without what is ignored and returns the names that were packed, but not those of directories.
func kept(t *testing.T, dir string, patterns ...string) []string {
	t.Helper()
	var packed bytes.Buffer
	files, err := archive.PackWithout(t.Context(), &packed, dir, archive.Ignore{File: ignoreFile, Patterns: patterns})
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, line := range list(t, packed.Bytes()) {
		if name, _, found := strings.Cut(line, " 644 "); found {
			names = append(names, name)
		}
	}
	if files != len(names) {
		t.Errorf("%d files were packed, and %d were counted", len(names), files)
	}
	return names
}

// touch writes empty files.
func touch(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		write(t, 0o644, "", dir, filepath.FromSlash(name))
	}
}

func TestIgnore(t *testing.T) {
	for _, test := range []struct {
		name     string
		file     string
		patterns []string
		have     []string
		want     []string
	}{
		{"a pattern without a slash holds everywhere", "*.log", nil, []string{"a.log", "b", "c/d/a.log"}, []string{"b"}},
		{"a pattern with a slash holds from the root", "/build\nc/*.txt", nil, []string{"build", "c/a.txt", "c/d/a.txt", "c/build"}, []string{"c/build", "c/d/a.txt"}},
		{"a pattern for directories leaves files", "tmp/", nil, []string{"a/tmp", "tmp/x"}, []string{"a/tmp"}},
		{"the last pattern decides", "*.log\n!keep.log", nil, []string{"a.log", "keep.log"}, []string{"keep.log"}},
		{"what is in a directory that is left out cannot be kept", "tmp\n!tmp/keep", nil, []string{"a", "tmp/keep"}, []string{"a"}},
		{"what is in a directory is left out, and one of it kept", "tmp/**\n!tmp/keep", nil, []string{"tmp/keep", "tmp/x", "tmp/d/x"}, []string{"tmp/keep"}},
		{"a list of what is kept", "*\n!*/\n!*.go\n!" + ignoreFile, nil, []string{"a.go", "a/b.go", "a/b.txt", "c"}, []string{"a.go", "a/b.go"}},
		{"a directory that is kept does not keep what is in it", "*.pem\n!certs/", nil, []string{"certs/key.pem", "certs/x"}, []string{"certs/x"}},
		{"comments, escapes, ends of lines", "\ufeffa\r\n# b\n\n\\#c\n\\!d\ne   \nf\\ \n", nil, []string{"a", "b", "#c", "!d", "e", "f "}, []string{"b"}},
		{"what comes last wins", "!a", []string{"a", "*.x", "!b.x"}, []string{"a", "a.x", "b.x", "c"}, []string{"b.x", "c"}},
		{"git's own", "", nil, []string{".git/config", "sub/.git", ".gitignore"}, []string{".gitignore"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			touch(t, dir, test.have...)
			want := test.want
			if test.file != "" {
				write(t, 0o644, test.file, dir, ignoreFile)
				want = slices.Sorted(slices.Values(append([]string{ignoreFile}, want...)))
			}
			got := kept(t, dir, test.patterns...)
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("packed (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("files in directories hold there, and win over those above", func(t *testing.T) {
		dir := t.TempDir()
		touch(t, dir, "a.log", "sub/a.log", "sub/b", "sub/d/a.log", "sub2/b", "z/b")
		write(t, 0o644, "*.log", dir, ignoreFile)
		write(t, 0o644, "!a.log\n/b", dir, "sub", ignoreFile)
		want := []string{ignoreFile, "sub/" + ignoreFile, "sub/a.log", "sub/d/a.log", "sub2/b", "z/b"}
		if diff := cmp.Diff(want, kept(t, dir)); diff != "" {
			t.Errorf("packed (-want +got):\n%s", diff)
		}
	})
	t.Run("a directory of which nothing is left is left out, and an empty one is not", func(t *testing.T) {
		dir := t.TempDir()
		touch(t, dir, "a/b/x.log", "a/c/x.log", "d/e/x.log", "d/f/y")
		for _, name := range []string{"d/empty", "empty"} {
			if err := os.MkdirAll(filepath.Join(dir, filepath.FromSlash(name)), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		var packed bytes.Buffer
		files, err := archive.PackWithout(t.Context(), &packed, dir, archive.Ignore{Patterns: []string{"*.log"}})
		if err != nil || files != 1 {
			t.Fatalf("%d files, %v", files, err)
		}
		want := []string{"d/ 755 ", "d/empty/ 755 ", "d/f/ 755 ", "d/f/y 644 ", "empty/ 755 "}
		if diff := cmp.Diff(want, list(t, packed.Bytes())); diff != "" {
			t.Errorf("members (-want +got):\n%s", diff)
		}
	})
	t.Run("what is left out is not looked at", func(t *testing.T) {
		dir := t.TempDir()
		link(t, "/etc/passwd", dir, "link")
		touch(t, dir, "a", "secret/x")
		write(t, 0o644, "[", dir, "secret", ignoreFile)
		if got := kept(t, dir, "link", "secret"); !slices.Equal(got, []string{"a"}) {
			t.Errorf("packed %q", got)
		}
	})
}

func TestPackWithoutGivesTheSameBytes(t *testing.T) {
	packed := func(t *testing.T, dir string) []byte {
		t.Helper()
		var b bytes.Buffer
		if _, err := archive.PackWithout(t.Context(), &b, dir, archive.Ignore{File: ignoreFile, Patterns: []string{"*.tmp"}}); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	one, two := tree(t), tree(t)
	for _, dir := range []string{one, two} {
		write(t, 0o600, "*.log\n", dir, ignoreFile)
	}
	touch(t, two, "x.log", "a/x.tmp", ".git/HEAD", "log/old/x.log", "log/x.log")
	// As with another umask, at another time.
	old := time.Date(2001, 2, 3, 4, 5, 6, 0, time.UTC)
	for name, mode := range map[string]os.FileMode{"b.txt": 0o666, "a/tool": 0o777, "a": 0o777, "empty": 0o755, ".": 0o755} {
		at := filepath.Join(two, filepath.FromSlash(name))
		if err := os.Chmod(at, mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(at, old, old); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(packed(t, one), packed(t, two)) {
		t.Error("two trees with the same content gave different archives")
	}
}

func TestIgnoreRefusesPatternsThatMatchNothing(t *testing.T) {
	for pattern, want := range map[string]string{
		"":           "matches nothing, because of its part \"\"",
		"/":          "matches nothing, because of its part \"\"",
		"a//b":       "matches nothing, because of its part \"\"",
		"./a":        "matches nothing, because of its part \".\"",
		"../a":       "matches nothing, because of its part \"..\"",
		"[a":         "is not closed",
		"[]":         "is not closed",
		"[[:abc:]]":  "no class [:abc:]",
		"[z-a]":      "has no characters",
		`a\`:         "nothing follows the backslash",
		"caf\xe9.md": "is not UTF-8",
	} {
		t.Run(fmt.Sprintf("%q", pattern), func(t *testing.T) {
			if err := archive.CheckPattern(pattern); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want an error with %q", err, want)
			}
		})
	}
	t.Run("all lines at once, with their numbers", func(t *testing.T) {
		dir := t.TempDir()
		write(t, 0o644, "fine\n[a\n# [\n./b\n", dir, "sub", ignoreFile)
		_, err := archive.PackWithout(t.Context(), io.Discard, dir, archive.Ignore{File: ignoreFile})
		for _, want := range []string{"sub/.almanacignore:2: ", "sub/.almanacignore:4: "} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want an error with %q", err, want)
			}
		}
	})
	t.Run("a directory in the place of the file", func(t *testing.T) {
		dir := t.TempDir()
		touch(t, dir, ignoreFile+"/x")
		_, err := archive.PackWithout(t.Context(), io.Discard, dir, archive.Ignore{File: ignoreFile})
		if err == nil || !strings.Contains(err.Error(), ignoreFile+" must be a file") {
			t.Errorf("got %v", err)
		}
	})
}

var besideStars = regexp.MustCompile(`[^/!]\*\*|\*\*[^/]|.!\*\*`)

// TestIgnoreIsGits holds what is packed to what git lists, with the same patterns in the same tree.
func TestIgnoreIsGits(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("git is missing: install it")
		}
		t.Skip("git is missing: install it")
	}
	dir := t.TempDir()
	git(t, dir, "init", "-q")
	for _, a := range []string{"a", "b", "ab", "b-a", "a.b"} {
		touch(t, dir, a+"/a/a", a+"/a/b", a+"/b/a/b", a+"/ab", a+"/b/a.b", a+".b/b/a/a", a+"b/a/b")
	}
	touch(t, dir, "x", "a-", "A", "]", "a b", "#", "!", "*")
	random := rand.New(rand.NewPCG(1, 99))
	words := []string{"a", "b", "a", "b", "ab", "*", "*", "?", "/", "/", "/", "**", "**/", "/**", "/**/", ".", "-", "[ab]", "[!a]", "[^b]", "[a-b]", "[]a]", "[[:alpha:]]", "[!-a]", "[a-]", `\a`, `\*`, "#", "x"}
	pattern := func() string {
		for {
			var b strings.Builder
			if random.IntN(3) == 0 {
				b.WriteString("!")
			}
			for range 1 + random.IntN(5) {
				b.WriteString(words[random.IntN(len(words))])
			}
			// Of two stars beside other characters git's manual says that they are one, and git takes them
			// for more after a part without wildcards.
			if p := b.String(); archive.CheckPattern(p) == nil && !besideStars.MatchString(p) {
				return p
			}
		}
	}
	patterns := func() []string {
		some := make([]string, 1+random.IntN(3))
		for i := range some {
			some[i] = pattern()
		}
		return some
	}
	for range 250 {
		root, below, last := strings.Join(patterns(), "\n"), strings.Join(patterns(), "\n"), patterns()
		write(t, 0o644, root, dir, ignoreFile)
		write(t, 0o644, below, dir, "a", ignoreFile)
		args := []string{"ls-files", "-z", "--others", "--exclude-per-directory=" + ignoreFile}
		if random.IntN(2) == 0 {
			last = nil
		}
		for _, p := range last {
			args = append(args, "--exclude="+p)
		}
		want := strings.FieldsFunc(git(t, dir, args...), func(r rune) bool { return r == 0 })
		got := kept(t, dir, last...)
		slices.Sort(want)
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%s:\n%s\na/%s:\n%s\nlast: %q\npacked (-git +packed):\n%s", ignoreFile, root, ignoreFile, below, last, diff)
		}
	}
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git %q: %v", args, err)
	}
	return string(out)
}

// FuzzPattern takes any text for a pattern: one that is accepted can be used, and with "!" before it keeps
// what it left out.
func FuzzPattern(f *testing.F) {
	for _, seed := range []string{"*.log", "/a/**/b", "[!a-z]?", "**", "[[:alpha:]]", `\*`, "[]-a]", "tmp/", "a**/***/b"} {
		f.Add(seed)
	}
	dir := f.TempDir()
	for _, name := range []string{"a/b", "a/x/b", "ab", "x.log"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			f.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, pattern string) {
		if archive.CheckPattern(pattern) != nil || strings.HasPrefix(pattern, "!") {
			return
		}
		if all := kept(t, dir, pattern, "!"+pattern); len(all) != 4 {
			t.Errorf("with %q left out and kept, %q is packed", pattern, all)
		}
		kept(t, dir, pattern)
	})
}
