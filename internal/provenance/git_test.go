package provenance

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func TestCollectFromGit(t *testing.T) {
	const odd = "Zoë \"Z\" O'Neil\u202e $(x)"
	github := func(commit string) func(string) string {
		return variables("GITHUB_ACTIONS", "true", "GITHUB_SHA", commit, "GITHUB_REF_NAME", "12/merge")
	}
	for _, test := range []struct {
		name string
		// make changes a repository of one commit and says what to look at, and what is known then that
		// is not what a clean work tree on main says.
		make func(t *testing.T, r testRepository) (Source, []string)
	}{
		{"a clean work tree", func(t *testing.T, r testRepository) (Source, []string) { return Source{}, nil }},
		{"a changed file", func(t *testing.T, r testRepository) (Source, []string) {
			r.write(t, "README", "second")
			return Source{}, []string{"git_dirty", "true"}
		}},
		{"a staged file", func(t *testing.T, r testRepository) (Source, []string) {
			r.write(t, "other", "second")
			r.git(t, "add", ".")
			return Source{}, []string{"git_dirty", "true"}
		}},
		{"a removed file", func(t *testing.T, r testRepository) (Source, []string) {
			return Source{}, []string{"git_dirty", fmt.Sprint(os.Remove(filepath.Join(r.dir, "README")) == nil)}
		}},
		{"untracked files that are no templates", func(t *testing.T, r testRepository) (Source, []string) {
			r.write(t, "manifest.json", "{}")
			r.write(t, "sub/x.pkr.hcl", "of another build")
			return Source{Template: "README"}, []string{"template_path", "README", "template_sha256", sum("first")}
		}},
		{"an untracked template", func(t *testing.T, r testRepository) (Source, []string) {
			r.write(t, "a[b].pkr.hcl", "x")
			return Source{Template: "a[b].pkr.hcl"}, []string{"git_dirty", "true", "template_path", "a[b].pkr.hcl", "template_sha256", sum("x")}
		}},
		{"an ignored template of a directory", func(t *testing.T, r testRepository) (Source, []string) {
			r.write(t, "a.pkr.hcl", "x")
			r.write(t, ".git/info/exclude", "*.hcl")
			return Source{Template: "."}, []string{"git_dirty", "true", "template_path", ".", "template_sha256", sum(sum("x") + "  a.pkr.hcl\n")}
		}},
		{"a subdirectory", func(t *testing.T, r testRepository) (Source, []string) {
			r.write(t, "images/é b/x.json", "x")
			return Source{Template: filepath.Join("images", "é b", "x.json")}, []string{"git_dirty", "true", "template_path", "images/é b/x.json", "template_sha256", sum("x")}
		}},
		{"a template that is not there", func(t *testing.T, r testRepository) (Source, []string) {
			return Source{Template: "missing.json"}, nil
		}},
		{"a detached head", func(t *testing.T, r testRepository) (Source, []string) {
			r.git(t, "checkout", "-q", "--detach")
			return Source{}, []string{"git_ref", ""}
		}},
		{"a tag", func(t *testing.T, r testRepository) (Source, []string) {
			r.git(t, "tag", "v1.0")
			r.git(t, "checkout", "-q", "v1.0")
			return Source{}, []string{"git_ref", "v1.0"}
		}},
		{"a branch with slashes that has the name of a tag", func(t *testing.T, r testRepository) (Source, []string) {
			r.git(t, "tag", "feature/x")
			r.git(t, "checkout", "-q", "-b", "feature/x")
			return Source{}, []string{"git_ref", "feature/x"}
		}},
		{"a detached head that the CI knows", func(t *testing.T, r testRepository) (Source, []string) {
			r.git(t, "tag", "v1.0")
			r.git(t, "checkout", "-q", "--detach")
			return Source{Getenv: github(r.git(t, "rev-parse", "HEAD"))}, []string{"git_ref", "12/merge", "ci", "github-actions"}
		}},
		{"a detached head that is not what the CI runs for", func(t *testing.T, r testRepository) (Source, []string) {
			r.git(t, "checkout", "-q", "--detach")
			return Source{Getenv: github(strings.Repeat("a", 40))}, []string{"git_ref", "", "ci", "github-actions"}
		}},
		{"a branch, whatever the CI says", func(t *testing.T, r testRepository) (Source, []string) {
			return Source{Getenv: github(r.git(t, "rev-parse", "HEAD"))}, []string{"ci", "github-actions"}
		}},
		{"no commit", func(t *testing.T, r testRepository) (Source, []string) {
			r.git(t, "checkout", "-q", "--orphan", "new")
			return Source{Getenv: github(strings.Repeat("a", 40))},
				[]string{"git_commit", "", "git_ref", "", "git_author", "", "git_dirty", "", "ci", "github-actions"}
		}},
		{"a work tree of its own", func(t *testing.T, r testRepository) (Source, []string) {
			dir := filepath.Join(t.TempDir(), "tree")
			r.git(t, "worktree", "add", "-q", "-b", "side", dir)
			return Source{Dir: dir, Template: "README"}, []string{"git_ref", "side", "template_path", "README", "template_sha256", sum("first")}
		}},
		{"a link to the work tree", func(t *testing.T, r testRepository) (Source, []string) {
			link := filepath.Join(t.TempDir(), "link")
			if err := os.Symlink(r.dir, link); err != nil {
				t.Skip(err)
			}
			return Source{Dir: link, Template: "README"}, []string{"template_path", "README", "template_sha256", sum("first")}
		}},
		{"an author with odd characters", func(t *testing.T, r testRepository) (Source, []string) {
			r.gitAs(t, []string{"GIT_AUTHOR_NAME=" + odd, "GIT_AUTHOR_EMAIL=z@x"}, "commit", "-q", "--allow-empty", "-m", "second")
			return Source{}, []string{"git_commit", r.git(t, "rev-parse", "HEAD"), "git_author", "Zoë \"Z\" O'Neil $(x) <z@x>"}
		}},
		{"an author with credentials", func(t *testing.T, r testRepository) (Source, []string) {
			r.gitAs(t, []string{"GIT_AUTHOR_NAME=bot of https://u:hunter2@example.com/?token=hunter3", "GIT_AUTHOR_EMAIL=bot"}, "commit", "-q", "--allow-empty", "-m", "second")
			return Source{}, []string{"git_commit", r.git(t, "rev-parse", "HEAD"), "git_author", "bot of https://example.com/ <bot>"}
		}},
		{"a long author left out", func(t *testing.T, r testRepository) (Source, []string) {
			r.gitAs(t, []string{"GIT_AUTHOR_NAME=" + strings.Repeat("x", 2000)}, "commit", "-q", "--allow-empty", "-m", "second")
			return Source{}, []string{"git_commit", r.git(t, "rev-parse", "HEAD"), "git_author", ""}
		}},
		{"a value with a known secret left out", func(t *testing.T, r testRepository) (Source, []string) {
			return Source{Secret: func(value string) bool { return strings.Contains(value, "Lovelace") }}, []string{"git_author", ""}
		}},
		{"the right repository in a hook of another", func(t *testing.T, r testRepository) (Source, []string) {
			other := newRepository(t)
			return Source{Getenv: variables("GIT_DIR", filepath.Join(other.dir, ".git"), "GIT_WORK_TREE", other.dir)}, nil
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRepository(t)
			want := with(r.metadata(t), "git_dirty", "false")
			s, pairs := test.make(t, r)
			if s.Dir == "" {
				s.Dir = r.dir
			}
			if s.Getenv == nil {
				s.Getenv = variables()
			}
			s.Log = t.Logf
			if diff := cmp.Diff(with(want, pairs...), Collect(t.Context(), s)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestCollectWithoutGit(t *testing.T) {
	commit := strings.Repeat("0123456789", 4)
	env := variables("GITLAB_CI", "true", "CI_COMMIT_SHA", commit, "CI_COMMIT_REF_NAME", "v2", "CI_COMMIT_AUTHOR", "Ada <ada@example.com>")
	known := hostMetadata("ci", "gitlab", "git_commit", commit, "git_ref", "v2", "git_author", "Ada <ada@example.com>")
	check := func(t *testing.T, s Source, want registry.Metadata) {
		t.Helper()
		var log strings.Builder
		s.Log = func(format string, args ...any) { _, _ = fmt.Fprintf(&log, format+"\n", args...) }
		if diff := cmp.Diff(want, Collect(t.Context(), s)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if !strings.Contains(log.String(), "provenance: git: ") {
			t.Errorf("the log does not say why git knows nothing: %q", log.String())
		}
	}
	t.Run("no repository", func(t *testing.T) {
		check(t, Source{Dir: t.TempDir(), Getenv: variables()}, hostMetadata())
	})
	t.Run("no repository in a CI", func(t *testing.T) {
		dir := t.TempDir()
		testRepository{dir}.write(t, "app.json", "{}")
		check(t, Source{Dir: dir, Template: "app.json", Getenv: env}, with(known, "template_path", "app.json", "template_sha256", sum("{}")))
	})
	t.Run("a directory without its name", func(t *testing.T) {
		dir := t.TempDir()
		testRepository{dir}.write(t, "alice/a.pkr.json", "{}")
		check(t, Source{Dir: dir, Template: "alice", Getenv: variables()},
			hostMetadata("template_path", ".", "template_sha256", sum(sum("{}")+"  a.pkr.json\n")))
	})
	t.Run("what is no commit left out", func(t *testing.T) {
		check(t, Source{Dir: t.TempDir(), Getenv: variables("GITLAB_CI", "true", "CI_COMMIT_SHA", "hunter2")}, hostMetadata("ci", "gitlab"))
	})
	t.Run("git missing", func(t *testing.T) {
		r := newRepository(t)
		t.Setenv("PATH", t.TempDir())
		check(t, Source{Dir: r.dir, Getenv: env}, known)
	})
	t.Run("a repository that git refuses", func(t *testing.T) {
		r := newRepository(t)
		r.write(t, ".git/config", "not a configuration")
		check(t, Source{Dir: r.dir, Getenv: env}, known)
	})
	t.Run("the directory of a repository itself", func(t *testing.T) {
		r := newRepository(t)
		check(t, Source{Dir: filepath.Join(r.dir, ".git"), Getenv: variables()}, hostMetadata())
	})
	t.Run("a git that hangs", func(t *testing.T) {
		if runtime.GOOS == "windows" {
			t.Skip("the stand-in for git is a shell script")
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "git"), []byte("#!/bin/sh\nsleep 60\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
		started := time.Now()
		check(t, Source{Dir: dir, Getenv: env, Timeout: 100 * time.Millisecond}, known)
		if took := time.Since(started); took > 10*time.Second {
			t.Errorf("took %s", took)
		}
	})
}

// TestGitRunsNothingElse plants programs that git would run if it were let.
func TestGitRunsNothingElse(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the planted programs are shell scripts")
	}
	r := newRepository(t)
	ran := filepath.Join(t.TempDir(), "ran")
	want := with(r.metadata(t), "git_dirty", "false", "template_path", "README", "template_sha256", sum("first"))
	program := r.write(t, ".git/planted", "#!/bin/sh\necho \"$0 $*\" >>"+ran+"\n")
	if err := os.Chmod(program, 0o755); err != nil {
		t.Fatal(err)
	}
	r.write(t, ".git/config", "[core]\n\tpager = "+program+"\n\tfsmonitor = "+program+"\n\thooksPath = "+filepath.Join(r.dir, ".git/hooks")+
		"\n[gpg]\n\tprogram = "+program+"\n[log]\n\tshowSignature = true\n[credential]\n\thelper = "+program+"\n")
	if err := os.MkdirAll(filepath.Join(r.dir, ".git/hooks"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(program, filepath.Join(r.dir, ".git/hooks/post-index-change")); err != nil {
		t.Fatal(err)
	}
	index, err := os.ReadFile(filepath.Join(r.dir, ".git/index"))
	if err != nil {
		t.Fatal(err)
	}
	// Git would write this file's new time to the index.
	r.write(t, "README", "first")
	if diff := cmp.Diff(want, Collect(t.Context(), Source{Dir: r.dir, Template: "README", Getenv: variables(), Log: t.Logf})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if output, err := os.ReadFile(ran); err == nil {
		t.Errorf("git ran: %s", output)
	}
	after, err := os.ReadFile(filepath.Join(r.dir, ".git/index"))
	if err != nil {
		t.Fatal(err)
	}
	if string(after) != string(index) {
		t.Error("git wrote to the index")
	}
	// The same without the care that is taken runs what is planted: this test can fail.
	r.git(t, "status")
	if _, err := os.Stat(ran); err != nil {
		t.Errorf("git status runs nothing planted: %v", err)
	}
}

// TestGitRunsNoFiltersOfTheRepository plants filters in its own configuration, and in that of a submodule.
func TestGitRunsNoFiltersOfTheRepository(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the planted program is a shell script")
	}
	ran := filepath.Join(t.TempDir(), "ran")
	program := testRepository{t.TempDir()}.write(t, "planted", "#!/bin/sh\necho \"$0 $*\" >>"+ran+"\ncat\n")
	if err := os.Chmod(program, 0o755); err != nil {
		t.Fatal(err)
	}
	planted := "[filter \"x\"]\n\tclean = " + program + "\n"
	withFilter := func(t *testing.T) testRepository {
		r := newRepository(t)
		r.write(t, ".gitattributes", "* filter=x\n")
		r.git(t, "add", ".")
		r.git(t, "commit", "-q", "-m", "attributes")
		return r
	}
	collect := func(r testRepository, getenv func(string) string) registry.Metadata {
		// Git compares what has another time than in the index.
		r.write(t, "README", "first")
		return Collect(t.Context(), Source{Dir: r.dir, Getenv: getenv, Log: t.Logf})
	}
	wantNone := func(t *testing.T) {
		t.Helper()
		if output, err := os.ReadFile(ran); err == nil {
			t.Errorf("git ran: %s", output)
		}
	}
	t.Run("its own", func(t *testing.T) {
		r := withFilter(t)
		r.git(t, "config", "include.path", "more")
		r.write(t, ".git/more", planted)
		if diff := cmp.Diff(r.metadata(t), collect(r, variables())); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		wantNone(t)
	})
	t.Run("those of a submodule", func(t *testing.T) {
		inner, r := withFilter(t), newRepository(t)
		r.git(t, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", inner.dir, "inner")
		r.git(t, "commit", "-q", "-m", "submodule")
		r.write(t, ".git/modules/inner/config", "[core]\n\tworktree = ../../../inner\n"+planted)
		r.write(t, "inner/README", "first")
		if diff := cmp.Diff(with(r.metadata(t), "git_dirty", "false"), collect(r, variables())); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		wantNone(t)
	})
	// Last, since it leaves what the others must not: the user's own are run, and this test can fail.
	t.Run("but those of the user", func(t *testing.T) {
		r := withFilter(t)
		global := r.write(t, ".git/global", planted)
		if diff := cmp.Diff(with(r.metadata(t), "git_dirty", "false"), collect(r, variables("GIT_CONFIG_GLOBAL", global))); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if _, err := os.Stat(ran); err != nil {
			t.Errorf("git runs nothing planted: %v", err)
		}
	})
}
