package provenance

import (
	"cmp"
	"net/url"
	"strings"
)

// run is what a CI says of the run that a build is part of.
type run struct {
	ci, id, attempt, url, job, jobURL string
	// commit, ref and author are what the run is for.
	commit, ref, author string
}

// detectCI returns the run that the variables tell of; the zero run where there is no CI.
func detectCI(getenv func(string) string) run {
	switch {
	case getenv("GITHUB_ACTIONS") == "true":
		return githubRun(getenv)
	case getenv("GITLAB_CI") == "true":
		return gitlabRun(getenv)
	case getenv("BITBUCKET_BUILD_NUMBER") != "":
		return bitbucketRun(getenv)
	case getenv("JENKINS_URL") != "":
		return jenkinsRun(getenv)
	}
	return run{}
}

// githubRun takes GITHUB_REF_NAME, which is NUMBER/merge for a pull request, and not GITHUB_HEAD_REF: a
// fork's branch can be called main.
func githubRun(getenv func(string) string) run {
	r := run{
		ci: "github-actions", id: getenv("GITHUB_RUN_ID"), attempt: getenv("GITHUB_RUN_ATTEMPT"), job: getenv("GITHUB_JOB"),
		commit: getenv("GITHUB_SHA"), ref: getenv("GITHUB_REF_NAME"),
	}
	server, repository := getenv("GITHUB_SERVER_URL"), getenv("GITHUB_REPOSITORY")
	if server == "" || repository == "" || r.id == "" {
		return r
	}
	r.url = strings.TrimSuffix(server, "/") + "/" + repository + "/actions/runs/" + url.PathEscape(r.id)
	if r.attempt != "" {
		r.url += "/attempts/" + url.PathEscape(r.attempt)
	}
	return r
}

func gitlabRun(getenv func(string) string) run {
	return run{
		ci: "gitlab", id: getenv("CI_PIPELINE_ID"), url: getenv("CI_PIPELINE_URL"), job: getenv("CI_JOB_NAME"), jobURL: getenv("CI_JOB_URL"),
		commit: getenv("CI_COMMIT_SHA"), ref: getenv("CI_COMMIT_REF_NAME"), author: getenv("CI_COMMIT_AUTHOR"),
	}
}

// jenkinsRun prefers what a multibranch project says to GIT_BRANCH, which has the remote's name in it.
func jenkinsRun(getenv func(string) string) run {
	branch := getenv("GIT_BRANCH")
	if branch == "detached" {
		branch = ""
	}
	for _, prefix := range []string{"refs/heads/", "refs/tags/", "refs/remotes/origin/", "origin/"} {
		if name, ok := strings.CutPrefix(branch, prefix); ok {
			branch = name
			break
		}
	}
	return run{
		ci: "jenkins", id: cmp.Or(getenv("BUILD_NUMBER"), getenv("BUILD_TAG")), url: getenv("BUILD_URL"), job: getenv("JOB_NAME"),
		commit: getenv("GIT_COMMIT"), ref: cmp.Or(getenv("TAG_NAME"), getenv("BRANCH_NAME"), branch),
	}
}

func bitbucketRun(getenv func(string) string) run {
	r := run{
		ci: "bitbucket", id: getenv("BITBUCKET_BUILD_NUMBER"),
		commit: getenv("BITBUCKET_COMMIT"), ref: cmp.Or(getenv("BITBUCKET_TAG"), getenv("BITBUCKET_BRANCH")),
	}
	origin := strings.TrimSuffix(strings.TrimSuffix(getenv("BITBUCKET_GIT_HTTP_ORIGIN"), "/"), ".git")
	if name := getenv("BITBUCKET_REPO_FULL_NAME"); origin == "" && name != "" {
		origin = "https://bitbucket.org/" + name
	}
	if origin == "" {
		return r
	}
	r.url = origin + "/pipelines/results/" + url.PathEscape(r.id)
	if step := getenv("BITBUCKET_STEP_UUID"); step != "" {
		r.jobURL = r.url + "/steps/" + url.PathEscape(step)
	}
	return r
}

func (r run) describe(values map[string]string) {
	values["ci"] = r.ci
	values["ci_run"] = r.id
	values["ci_run_attempt"] = r.attempt
	values["ci_run_url"] = cleanURL(r.url)
	values["ci_job"] = r.job
	values["ci_job_url"] = cleanURL(r.jobURL)
}
