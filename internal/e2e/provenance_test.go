package e2e

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// planted is what must come out nowhere.
const planted = "hunter2-correct-horse"

// repository makes the directory in which Packer runs a git repository with one commit, and returns that one.
func (w *world) repository(t *testing.T) string {
	t.Helper()
	git := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-c", "init.defaultBranch=main", "-c", "commit.gpgsign=false"}, args...)...)
		cmd.Dir = w.packer.Dir
		cmd.Env = []string{
			"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "GIT_CONFIG_NOSYSTEM=1",
			"GIT_AUTHOR_NAME=Ada Lovelace", "GIT_AUTHOR_EMAIL=ada@example.com", "GIT_COMMITTER_NAME=CI", "GIT_COMMITTER_EMAIL=ci@example.com",
		}
		output, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, output)
		}
		return strings.TrimSpace(string(output))
	}
	if _, err := exec.LookPath("git"); err != nil {
		const missing = "git is missing: install it"
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	git("init", "-q")
	git("remote", "add", "origin", "https://ci:"+planted+"@github.com/cargomedia/app.git")
	git("add", "images")
	git("commit", "-q", "-m", "A template")
	return git("rev-parse", "HEAD")
}

// environment is that of a run of GitHub Actions, with secrets where they are and where they should not be.
func environment(commit string) []string {
	return []string{
		"CI=true", "GITHUB_ACTIONS=true", "GITHUB_SERVER_URL=https://ci:" + planted + "@github.com", "GITHUB_REPOSITORY=cargomedia/app",
		"GITHUB_RUN_ID=1658821493", "GITHUB_RUN_ATTEMPT=2", "GITHUB_JOB=image", "GITHUB_SHA=" + commit, "GITHUB_REF_NAME=main",
		"GITHUB_TOKEN=" + planted, "ACTIONS_RUNTIME_TOKEN=" + planted, "AWS_SESSION_TOKEN=" + planted, "DATABASE_URL=postgres://app:" + planted + "@db/app",
		"PKR_VAR_from_environment=" + planted,
	}
}

const variables = `
variable "from_environment" {
  type      = string
  sensitive = true
}
variable "from_command_line" {
  type      = string
  sensitive = true
}
`

// shown is the one build of a version as almanac show gives it as JSON.
func (w *world) shown(t *testing.T, ref string) (registry.Build, string) {
	t.Helper()
	r := w.cli.Run(t, "show", artifact, ref, "--output", "json")
	var v registry.Version
	if err := json.Unmarshal([]byte(r.Output), &v); err != nil || r.Code != 0 || len(v.Builds) != 1 {
		t.Fatalf("almanac show: exit code %d, %v\n%s", r.Code, err, r.Output)
	}
	return v.Builds[0], r.Output
}

func TestHowABuildCameToBeIsKnown(t *testing.T) {
	t.Parallel()
	w := alone(t)
	w.write(t, variables+amiTemplate, artifact)
	commit := w.repository(t)
	w.packer.Env = append(w.packer.Env, environment(commit)...)
	build := func(t *testing.T) {
		t.Helper()
		r := w.packer.Run(t, "build", "-var", "from_command_line="+planted, "images/app.pkr.hcl")
		if r.Code != 0 {
			t.Fatalf("packer build: exit code %d\n%s", r.Code, r.Output)
		}
		if strings.Contains(r.Output, planted) {
			t.Errorf("a secret is in the output:\n%s", r.Output)
		}
	}
	template := func(t *testing.T) string {
		t.Helper()
		content, err := os.ReadFile(filepath.Join(w.packer.Dir, "images", "app.pkr.hcl"))
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%x", sha256.Sum256(content))
	}

	build(t)
	b, text := w.shown(t, "1")
	built := w.amis(t)
	wanted := registry.Metadata{
		"template_path": "images/app.pkr.hcl", "template_sha256": template(t),
		"git_commit": commit, "git_ref": "main", "git_author": "Ada Lovelace <ada@example.com>", "git_dirty": "false",
		"ci": "github-actions", "ci_run": "1658821493", "ci_run_attempt": "2", "ci_job": "image",
		"ci_run_url":     "https://github.com/cargomedia/app/actions/runs/1658821493/attempts/2",
		"packer_version": "1.15.0", "plugin_version": "0.1.0-dev", "builder_id": "mitchellh.amazonebs", "builder_type": "amazon-ebs", "build_name": "app",
		"artifact_id": fmt.Sprintf("ap-southeast-2:%s,eu-west-1:%s,us-east-1:%s", built["ap-southeast-2"], built["eu-west-1"], built["us-east-1"]),
		"source_ami":  b.Images[0].SourceID, "source_ami_owner": "136693071363", "build_region": "us-east-1",
		"host_os": runtime.GOOS, "host_arch": runtime.GOARCH,
	}
	// These are other ones each time, or depend on the images that the stand-in for EC2 has.
	rest := maps.Clone(b.Provenance)
	for _, key := range []string{"packer_run_uuid", "source_ami_name", "source_ami_creation_date"} {
		if rest[key] == "" {
			t.Errorf("%s is missing", key)
		}
		delete(rest, key)
	}
	if diff := cmp.Diff(wanted, rest); diff != "" {
		t.Errorf("provenance (-want +got):\n%s", diff)
	}
	for what, secret := range map[string]string{"a secret": planted, "the token": w.token} {
		if strings.Contains(text, secret) {
			t.Errorf("%s is in what is recorded:\n%s", what, text)
		}
	}
	table := w.cli.Run(t, "show", artifact, "1")
	want(t, table.Output, "git_commit "+commit, "ci_run_url https://github.com/cargomedia/app/actions/runs/1658821493/attempts/2", "packer_version 1.15.0", "template_sha256 "+template(t))

	t.Run("also when the template is not what was committed", func(t *testing.T) {
		// Another name, because that of an AMI is unique.
		w.write(t, strings.Replace(variables+amiTemplate, `"app"`+"\n  deprecate_at", `"app-2"`+"\n  deprecate_at", 1), artifact)
		build(t)
		b, _ := w.shown(t, "2")
		if got := b.Provenance; got["git_dirty"] != "true" || got["git_commit"] != commit || got["template_sha256"] != template(t) {
			t.Errorf("provenance: %v", got)
		}
	})
}
