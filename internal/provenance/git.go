package provenance

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"time"
)

// repository is what git says of a directory. The zero repository is none.
type repository struct {
	// found is set in a work tree, also in one that has no commit.
	found bool
	// prefix is the directory below the work tree's root, with slashes and one at the end; "" is the root.
	prefix string
	// commit is empty where there is none yet.
	commit, author string
	// branch is empty for a detached HEAD, tag for a commit without one.
	branch, tag string
	// dirty is "true", "false", or empty where it is not known.
	dirty string
}

// gitConfig keeps git from running other programs and from writing. Filters are all that is left, see
// [git.filtered].
var gitConfig = []string{
	"--no-pager", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=" + os.DevNull, "-c", "core.untrackedCache=false",
	"-c", "log.showSignature=false", "-c", "credential.helper=", "-c", "color.ui=false",
}

// gitVariables are what git needs of the environment to start, to find its configuration, and to decide
// whom it trusts. GIT_DIR and its like are not among them: they are those of another repository when a
// git hook runs the build.
var gitVariables = []string{
	"PATH", "HOME", "XDG_CONFIG_HOME", "TMPDIR", "LD_LIBRARY_PATH",
	"SYSTEMROOT", "USERPROFILE", "HOMEDRIVE", "HOMEPATH", "PROGRAMDATA", "TEMP", "TMP",
	"SUDO_UID", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_CEILING_DIRECTORIES",
	"GIT_DISCOVERY_ACROSS_FILESYSTEM", "GIT_EXEC_PATH",
}

var objectID = regexp.MustCompile(`^(?:[0-9a-f]{40}|[0-9a-f]{64})$`)

// git runs git in one directory.
type git struct {
	dir string
	env []string
}

func newGit(dir string, getenv func(string) string) git {
	env := []string{
		"LC_ALL=C", "GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0", "GIT_NO_LAZY_FETCH=1", "GIT_NO_REPLACE_OBJECTS=1",
		"GCM_INTERACTIVE=never", "GIT_ASKPASS=", "SSH_ASKPASS=",
	}
	for _, name := range gitVariables {
		if value := getenv(name); value != "" {
			env = append(env, name+"="+value)
		}
	}
	return git{dir: dir, env: env}
}

// run returns what git writes, without its last newline and without what is beyond 64 KiB.
func (g git) run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", append(append([]string{}, gitConfig...), args...)...)
	var stdout, stderr head
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = g.dir, g.env, &stdout, &stderr
	// A program that git started may hold its output open.
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		err = cmp.Or(ctx.Err(), err)
		line, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n")
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, cleanText(line))
	}
	return strings.TrimSuffix(stdout.String(), "\n"), nil
}

// head keeps the beginning of what is written to it.
type head struct{ bytes.Buffer }

func (h *head) Write(p []byte) (int, error) {
	const most = 64 << 10
	h.Buffer.Write(p[:min(len(p), most-h.Len())])
	return len(p), nil
}

// readRepository returns what git says of a directory, and why it says no more.
func readRepository(ctx context.Context, dir string, t template, s Source) (repository, error) {
	g := newGit(dir, s.Getenv)
	where, err := g.run(ctx, "rev-parse", "--is-inside-work-tree", "--show-prefix")
	if err != nil {
		return repository{}, err
	}
	inside, prefix, _ := strings.Cut(where, "\n")
	if inside != "true" {
		return repository{}, errors.New("the directory is not in a work tree")
	}
	r := repository{found: true, prefix: prefix}
	written, err := g.run(ctx, "log", "-1", "-s", "--no-color", "--no-decorate", "--encoding=UTF-8", "--format=tformat:%H%n%an <%ae>", "HEAD", "--")
	if err != nil {
		return r, err
	}
	commit, author, _ := strings.Cut(written, "\n")
	if !objectID.MatchString(commit) {
		return r, errors.New("git log names no commit")
	}
	r.commit, r.author = commit, author
	if ref, err := g.run(ctx, "symbolic-ref", "--quiet", "HEAD"); err == nil {
		r.branch = strings.TrimPrefix(ref, "refs/heads/")
	} else if tag, err := g.run(ctx, "describe", "--tags", "--exact-match", "HEAD"); err == nil {
		r.tag = tag
	}
	if filtered, err := g.filtered(ctx); filtered || err != nil {
		return r, cmp.Or(err, errFilters)
	}
	r.dirty, err = g.dirty(ctx, t)
	return r, err
}

var errFilters = errors.New("whether the work tree differs from the commit is not looked at, because the repository's own configuration has filters, which git would run")

// filtered says whether the repository's own configuration has filters: programs that git runs to compare a
// file with the commit. Whoever could write there must not have them run by a build; without them every file
// that has one would look changed. Those of the user, such as Git LFS has, are the user's to choose.
func (g git) filtered(ctx context.Context) (bool, error) {
	found, err := g.run(ctx, "config", "--show-scope", "--name-only", "--get-regexp", `^filter\..*\.(clean|smudge|process)$`)
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.ExitCode() == 1 {
		return false, nil // there is none
	}
	if err != nil {
		return false, err
	}
	for line := range strings.Lines(found) {
		if scope, _, _ := strings.Cut(line, "\t"); scope != "global" && scope != "system" {
			return true, nil
		}
	}
	return false, nil
}

// dirty is the value of the key git_dirty.
func (g git) dirty(ctx context.Context, t template) (string, error) {
	// In the work tree of a submodule git would run the filters of that one's configuration.
	changed, err := g.run(ctx, "status", "--porcelain", "-z", "--untracked-files=no", "--ignore-submodules=dirty")
	if err != nil {
		return "", err
	}
	if changed == "" && t.dir != "" {
		// Without an exclude option ignored files are listed, too.
		specs := []string{":(glob)*.pkr.hcl", ":(glob)*.pkr.json"}
		if t.file != "" {
			specs = []string{":(literal)" + t.file}
		}
		changed, err = g.run(ctx, append([]string{"ls-files", "--others", "-z", "--"}, specs...)...)
		if err != nil {
			return "", err
		}
	}
	if changed != "" {
		return "true", nil
	}
	return "false", nil
}

// describe takes from the CI what git does not know.
func (r repository) describe(values map[string]string, ci run) {
	if !r.found {
		r.author, r.branch = ci.author, ci.ref
		if objectID.MatchString(ci.commit) {
			r.commit = ci.commit
		}
	} else if r.branch == "" && r.commit != "" && (ci.commit == "" || ci.commit == r.commit) {
		r.branch = ci.ref
	}
	values["git_commit"] = r.commit
	values["git_ref"] = cmp.Or(r.branch, r.tag)
	values["git_author"] = r.author
	values["git_dirty"] = r.dirty
}
