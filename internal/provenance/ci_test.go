package provenance

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func TestCollectFromCI(t *testing.T) {
	const commit = "7c0b1745f513b9162791651582c0044d7b6d2a83"
	for _, test := range []struct {
		name      string
		variables []string
		want      registry.Metadata
	}{
		{"none", []string{"CI", "true", "BUILD_NUMBER", "3", "GITHUB_RUN_ID", "5"}, hostMetadata()},
		{
			"GitHub Actions",
			[]string{
				"GITHUB_ACTIONS", "true", "GITHUB_SERVER_URL", "https://github.com", "GITHUB_REPOSITORY", "octo/app", "GITHUB_RUN_ID", "1658821493",
				"GITHUB_RUN_ATTEMPT", "2", "GITHUB_JOB", "image", "GITHUB_SHA", commit, "GITHUB_REF_NAME", "12/merge", "GITHUB_HEAD_REF", "main",
			},
			hostMetadata("ci", "github-actions", "ci_run", "1658821493", "ci_run_attempt", "2", "ci_job", "image", "git_commit", commit, "git_ref", "12/merge",
				"ci_run_url", "https://github.com/octo/app/actions/runs/1658821493/attempts/2"),
		},
		{
			"GitHub Actions that say little",
			[]string{"GITHUB_ACTIONS", "true", "GITHUB_RUN_ID", "1658821493"},
			hostMetadata("ci", "github-actions", "ci_run", "1658821493"),
		},
		{
			"GitLab",
			[]string{
				"GITLAB_CI", "true", "CI_PIPELINE_ID", "42", "CI_PIPELINE_URL", "https://gitlab.example.com/ops/app/-/pipelines/42", "CI_JOB_NAME", "build: [eu]",
				"CI_JOB_URL", "https://gitlab.example.com/ops/app/-/jobs/77", "CI_COMMIT_SHA", commit, "CI_COMMIT_REF_NAME", "v1.2", "CI_COMMIT_AUTHOR", "Ada <a@b>",
			},
			hostMetadata("ci", "gitlab", "ci_run", "42", "ci_run_url", "https://gitlab.example.com/ops/app/-/pipelines/42", "ci_job", "build: [eu]",
				"ci_job_url", "https://gitlab.example.com/ops/app/-/jobs/77", "git_commit", commit, "git_ref", "v1.2", "git_author", "Ada <a@b>"),
		},
		{
			"Jenkins",
			[]string{
				"JENKINS_URL", "http://ci:8080/", "BUILD_NUMBER", "15", "BUILD_URL", "http://ci:8080/job/app/15/", "BUILD_TAG", "jenkins-app-15", "JOB_NAME", "folder/app",
				"GIT_COMMIT", commit, "GIT_BRANCH", "origin/feature/x",
			},
			hostMetadata("ci", "jenkins", "ci_run", "15", "ci_run_url", "http://ci:8080/job/app/15/", "ci_job", "folder/app", "git_commit", commit, "git_ref", "feature/x"),
		},
		{
			"Jenkins with branches",
			[]string{"JENKINS_URL", "http://ci/", "BUILD_TAG", "jenkins-app-15", "BRANCH_NAME", "PR-24", "GIT_BRANCH", "detached"},
			hostMetadata("ci", "jenkins", "ci_run", "jenkins-app-15", "git_ref", "PR-24"),
		},
		{
			"Jenkins with a detached head",
			[]string{"JENKINS_URL", "http://ci/", "BUILD_NUMBER", "1", "GIT_BRANCH", "detached"},
			hostMetadata("ci", "jenkins", "ci_run", "1"),
		},
		{
			"Bitbucket",
			[]string{
				"BITBUCKET_BUILD_NUMBER", "52", "BITBUCKET_GIT_HTTP_ORIGIN", "http://bitbucket.org/ws/app", "BITBUCKET_REPO_FULL_NAME", "ws/app",
				"BITBUCKET_STEP_UUID", "{19fb8a86-fad3-42a4-ab43-f9e150d7b3ab}", "BITBUCKET_COMMIT", commit, "BITBUCKET_BRANCH", "main",
			},
			hostMetadata("ci", "bitbucket", "ci_run", "52", "ci_run_url", "http://bitbucket.org/ws/app/pipelines/results/52", "git_commit", commit, "git_ref", "main",
				"ci_job_url", "http://bitbucket.org/ws/app/pipelines/results/52/steps/%7B19fb8a86-fad3-42a4-ab43-f9e150d7b3ab%7D"),
		},
		{
			"Bitbucket without an origin",
			[]string{"BITBUCKET_BUILD_NUMBER", "52", "BITBUCKET_REPO_FULL_NAME", "ws/app", "BITBUCKET_TAG", "v1"},
			hostMetadata("ci", "bitbucket", "ci_run", "52", "ci_run_url", "https://bitbucket.org/ws/app/pipelines/results/52", "git_ref", "v1"),
		},
		{
			"addresses with credentials",
			[]string{
				"GITLAB_CI", "true", "CI_PIPELINE_URL", "https://ci:hunter2@gitlab.example.com/p/1?private_token=hunter2#hunter2", "CI_JOB_URL", "ssh://hunter2@example.com/1",
				"CI_COMMIT_REF_NAME", "a\x00b\x1b[31m\nc", "CI_JOB_NAME", "to https://u:hunter2@h/x",
			},
			hostMetadata("ci", "gitlab", "ci_run_url", "https://gitlab.example.com/p/1", "git_ref", "ab[31m c", "ci_job", "to https://h/x"),
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := Collect(t.Context(), Source{Dir: t.TempDir(), Getenv: variables(test.variables...)})
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestCollectLeaksNothing fills the environment with secrets, under the names that CIs use and in the
// values of the variables that are read.
func TestCollectLeaksNothing(t *testing.T) {
	const secret = "hunter2"
	names := []string{
		"GITHUB_TOKEN", "ACTIONS_RUNTIME_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN", "CI_JOB_TOKEN", "CI_REPOSITORY_URL", "CI_REGISTRY_PASSWORD", "CI_DEPLOY_PASSWORD",
		"BITBUCKET_STEP_OIDC_TOKEN", "JENKINS_SECRET", "AWS_SECRET_ACCESS_KEY", "ALMANAC_TOKEN", "PKR_VAR_password", "GIT_ASKPASS", "SSH_AUTH_SOCK", "GIT_CONFIG_PARAMETERS",
	}
	for i := range 5000 {
		names = append(names, fmt.Sprintf("VARIABLE_%d", i))
	}
	r := newRepository(t)
	r.git(t, "remote", "add", "origin", "https://"+secret+"@example.com/x.git")
	r.git(t, "config", "http.extraHeader", "Authorization: "+secret)
	r.write(t, "secret.auto.pkrvars.hcl", secret)
	r.write(t, "app.pkr.hcl", `variable "password" { default = "`+secret+`" }`)
	r.git(t, "checkout", "-q", "--detach")
	for _, ci := range []string{"GITHUB_ACTIONS", "GITLAB_CI", "JENKINS_URL", "BITBUCKET_BUILD_NUMBER"} {
		t.Run(ci, func(t *testing.T) {
			env := map[string]string{}
			for _, name := range names {
				env[name] = secret
				t.Setenv(name, secret)
			}
			asked := map[string]bool{}
			base := variables()
			getenv := func(name string) string {
				asked[name] = true
				switch {
				case env[name] != "":
					return env[name]
				case base(name) != "":
					return base(name)
				case name == ci:
					return "true"
				case strings.HasPrefix(name, "GIT_") && name != "GIT_COMMIT" && name != "GIT_BRANCH", name == "HOME", name == "XDG_CONFIG_HOME", strings.HasPrefix(name, "LD_"):
					return ""
				case strings.HasSuffix(name, "_ACTIONS"), strings.HasSuffix(name, "_CI"), name == "JENKINS_URL", name == "BITBUCKET_BUILD_NUMBER":
					return ""
				}
				// What a CI says could hold credentials in any place that takes them.
				return "https://user:" + secret + "@example.com/path?token=" + secret + "#" + secret
			}
			var log strings.Builder
			got := Collect(t.Context(), Source{
				Dir: r.dir, Template: "app.pkr.hcl", Getenv: getenv,
				Log: func(format string, args ...any) { _, _ = fmt.Fprintf(&log, format+"\n", args...) },
			})
			if got["ci"] == "" || got["git_commit"] == "" || got["template_sha256"] == "" {
				t.Errorf("too little to leak anything: %v", got)
			}
			if text := fmt.Sprint(got); strings.Contains(text, secret) {
				t.Errorf("the result has the secret: %s", text)
			}
			if strings.Contains(log.String(), secret) {
				t.Errorf("the log has the secret: %s", &log)
			}
			for _, name := range names {
				if asked[name] {
					t.Errorf("%s was read", name)
				}
			}
			if problems := registry.CheckMetadata("provenance", got); len(problems) > 0 {
				t.Errorf("cannot be recorded: %v", problems)
			}
		})
	}
}
