// Package provenance finds out how a build came to be, without anybody being asked: from the template,
// its git repository and the variables that a CI documents.
//
//	from := provenance.Source{Template: provenance.PackerTemplate(ctx), Log: log.Printf}
//	build.Provenance = provenance.Collect(ctx, from)
//
// Nothing here fails: what cannot be known is left out and logged. A template and a work tree can change
// while a build runs, so that a caller collects when its build begins.
//
// # Keys
//
// Each is there only where it is known.
//
//	template_path    the template, relative to the root of its git work tree, with slashes; "." is that root.
//	                 Outside a work tree the base name of a file, and "." for a directory: whole paths
//	                 name users and machines
//	template_sha256  sha256 in hex of the template. For a directory that of "HEX  NAME\n" for each file
//	                 that Packer reads as a template there, in the order of the names' bytes:
//	                 LC_ALL=C; sha256sum *.pkr.hcl *.pkr.json | sort -k 2 | sha256sum
//	                 Variable files are no part of it: they may hold secrets
//	git_commit       the full id of the commit that is checked out where the template is
//	git_ref          the branch, or the tag, without refs/heads/ and refs/tags/. For a detached HEAD what
//	                 the CI says that it has checked out, if its commit is this one, else a tag of the commit
//	git_author       who wrote the commit: "Name <email>"
//	git_dirty        "true" if a tracked file, or a file of the template, differs from the commit, else
//	                 "false". Other untracked files do not count: Packer writes such while it builds. Of
//	                 a submodule the commit counts, and not what is changed in it. Not known where the repository's own configuration has filters (git lfs install --local):
//	                 git would run programs that the repository chooses
//	ci               github-actions, gitlab, jenkins or bitbucket
//	ci_run           the run's id there: GitHub's run id, GitLab's pipeline id, the build number of Jenkins
//	                 (without one its build tag) and Bitbucket
//	ci_run_attempt   which attempt of that run it is (GitHub)
//	ci_run_url       the page of the run
//	ci_job           the job's name (GitHub, GitLab, Jenkins)
//	ci_job_url       the page of the job (GitLab), of the step (Bitbucket)
//	host_os          the operating system that the build ran on, as Go names it: linux, darwin, windows …
//	host_arch        its architecture, as Go names it: amd64, arm64 …
//
// Where git is missing, refuses or knows of no repository there, git_commit, git_ref and git_author are
// what the CI says of the commit that its run is for, and git_dirty is not known.
//
// # Secrets
//
// Only the variables that this package names are read, none of which is a credential. All values are
// untrusted text all the same: a URL loses user, password, query and fragment, also within other text;
// control characters are dropped; a value that is longer than 1 KiB, or that Source.Secret says holds a
// secret, is left out. Of the command line of Packer nothing is used but the template. What is left passes
// [registry.CheckMetadata].
//
// # Variables
//
// They are documented at
// docs.github.com/en/actions/reference/workflows-and-actions/variables,
// docs.gitlab.com/ci/variables/predefined_variables,
// www.jenkins.io/doc/book/pipeline/jenkinsfile/#using-environment-variables and
// support.atlassian.com/bitbucket-cloud/docs/variables-and-secrets.
package provenance
