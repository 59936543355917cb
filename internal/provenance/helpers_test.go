package provenance

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// testRepository is a real repository, with one commit.
type testRepository struct{ dir string }

// gitVariablesOfTests keep the machine's own configuration out.
var gitVariablesOfTests = []string{
	"GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_CONFIG_NOSYSTEM=1",
	"GIT_AUTHOR_NAME=Ada Lovelace", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_COMMITTER_NAME=CI", "GIT_COMMITTER_EMAIL=ci@example.com",
}

func newRepository(t *testing.T) testRepository {
	t.Helper()
	return repositoryIn(t, t.TempDir())
}

func repositoryIn(t *testing.T, dir string) testRepository {
	t.Helper()
	r := emptyRepository(t, dir)
	r.write(t, "README", "first")
	r.git(t, "add", ".")
	r.git(t, "commit", "-q", "-m", "first")
	return r
}

func emptyRepository(t *testing.T, dir string) testRepository {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("git is missing: install it")
		}
		t.Skip("git is missing: install it")
	}
	r := testRepository{dir}
	r.git(t, "init", "-q", "-b", "main")
	return r
}

func (r testRepository) write(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func (r testRepository) git(t *testing.T, args ...string) string {
	t.Helper()
	return r.gitAs(t, nil, args...)
}

func (r testRepository) gitAs(t *testing.T, env []string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = r.dir
	cmd.Env = append(append(os.Environ(), gitVariablesOfTests...), env...)
	output, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, output)
	}
	return strings.TrimSpace(string(output))
}

// metadata is what is known of the repository's commit on its branch main.
func (r testRepository) metadata(t *testing.T) registry.Metadata {
	t.Helper()
	return hostMetadata("git_commit", r.git(t, "rev-parse", "HEAD"), "git_ref", "main", "git_author", "Ada Lovelace <ada@example.com>")
}

func hostMetadata(pairs ...string) registry.Metadata {
	return with(registry.Metadata{"host_os": runtime.GOOS, "host_arch": runtime.GOARCH}, pairs...)
}

// with returns a copy of m with further keys; those whose value is "" are removed.
func with(m registry.Metadata, pairs ...string) registry.Metadata {
	m = maps.Clone(m)
	for i := 0; i < len(pairs); i += 2 {
		if m[pairs[i]] = pairs[i+1]; pairs[i+1] == "" {
			delete(m, pairs[i])
		}
	}
	return m
}

// variables is an environment with what git needs to run.
func variables(pairs ...string) func(string) string {
	env := map[string]string{"PATH": os.Getenv("PATH"), "GIT_CONFIG_GLOBAL": os.DevNull, "GIT_CONFIG_NOSYSTEM": "1"}
	for i := 0; i < len(pairs); i += 2 {
		env[pairs[i]] = pairs[i+1]
	}
	return func(name string) string { return env[name] }
}

func sum(content string) string {
	digest := sha256.Sum256([]byte(content))
	return hex.EncodeToString(digest[:])
}
