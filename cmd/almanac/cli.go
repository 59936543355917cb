package main

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// cli is the command line. Its order is that of the help.
type cli struct {
	globals `group:"global"`

	Serve      serveCmd      `cmd:"" help:"Run the registry."`
	Token      tokenCmd      `cmd:"" help:"Make, list and revoke tokens."`
	Publish    publishCmd    `cmd:"" help:"Record a build that was made without Packer, or one that the post-processor could not record."`
	Push       pushCmd       `cmd:"" help:"Record a Vagrant box, or a directory as an archive."`
	Vagrant    vagrantCmd    `cmd:"" help:"Move Vagrant boxes in."`
	Artifacts  artifactsCmd  `cmd:"" help:"List artifacts."`
	Show       showCmd       `cmd:"" help:"Show an artifact, or one version of it."`
	Versions   versionsCmd   `cmd:"" help:"List the versions of an artifact."`
	Resolve    resolveCmd    `cmd:"" help:"Print the id of the image that a ref stands for."`
	Pull       pullCmd       `cmd:"" help:"Download the files of a build, or its attachments."`
	Channel    channelCmd    `cmd:"" help:"Show and move channels."`
	Link       linkCmd       `cmd:"" help:"Let each new version of an application ask for a build."`
	Unlink     unlinkCmd     `cmd:"" help:"End a link."`
	Links      linksCmd      `cmd:"" help:"List links."`
	Runs       runsCmd       `cmd:"" help:"List the builds that links ask for, print their logs, repeat them."`
	Runner     runnerCmd     `cmd:"" help:"Do the builds that links ask for."`
	Revoke     revokeCmd     `cmd:"" help:"Take a version out of what is offered."`
	Restore    restoreCmd    `cmd:"" help:"Offer a revoked version again."`
	AWS        awsCmd        `cmd:"" name:"aws" help:"Adopt AMIs, check them, and tell what machines run."`
	Artifact   artifactCmd   `cmd:"" help:"Change and delete artifacts."`
	Terraform  terraformCmd  `cmd:"" help:"Write Terraform code that maps an artifact to its AMI ids."`
	Completion completionCmd `cmd:"" help:"Print the code that completes commands in a shell."`
}

func (*cli) Help() string {
	return `almanac --version prints the version.

Exit codes: 0 done, 1 another error, 2 a mistake in the command or request, 3 not found, 4 refused, 5 conflict, 6 registry not available, 7 terraform --check found a file that is out of date, 8 AMIs are still pending, 9 AMIs cannot be used, 130 interrupted.`
}

// globals are the flags of every command. There is no --version among them, because publish has one
// of its own.
type globals struct {
	Address   string `placeholder:"URL" variable:"ALMANAC_ADDR" help:"Where the registry is. Default: http://127.0.0.1:7480."`
	Token     string `name:"token" placeholder:"SECRET" help:"Token. Others on this machine can see it in the list of processes; better use --token-file or the environment ($$ALMANAC_TOKEN)."`
	TokenFile string `placeholder:"FILE" complete:"file" help:"File that holds the token."`
	Output    string `short:"o" enum:"table,json" default:"table" placeholder:"FORMAT" help:"table for people, json for programs."`
	NoColor   bool   `help:"No colours ($$NO_COLOR)."`
}

// environment fills flags that have a tag `variable` from the environment. Kong's own `env` tag
// would read that of the process.
type environment struct{ getenv func(string) string }

func (environment) Validate(*kong.Application) error { return nil }

func (e environment) Resolve(_ *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
	if name := flag.Tag.Get("variable"); name != "" {
		if value := e.getenv(name); value != "" {
			return value, nil
		}
	}
	return nil, nil
}

func helpWithVariable(value *kong.Value) string {
	name := value.Tag.Get("variable")
	if name == "" {
		return value.Help
	}
	return fmt.Sprintf("%s ($%s).", strings.TrimSuffix(value.Help, "."), name)
}
