// Command terraform-provider-almanac is the Terraform provider of Almanac. Terraform starts it.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/providerserver"

	almanac "github.com/cargomedia/packer-plugin-almanac/terraform/provider"
	"github.com/cargomedia/packer-plugin-almanac/version"
)

// address names the provider in logs and to debuggers alone: users get it from the host of their own registry.
const address = "registry.terraform.io/cargomedia/almanac"

func main() {
	debugger := flag.Bool("debug", false, "run so that a debugger can attach")
	printVersion := flag.Bool("version", false, "print the version")
	flag.Parse()
	if *printVersion {
		fmt.Println("terraform-provider-almanac", version.String())
		return
	}
	prepare()
	err := providerserver.Serve(context.Background(), newProvider, providerserver.ServeOpts{Address: address, Debug: *debugger})
	if err != nil {
		fmt.Fprintln(os.Stderr, "terraform-provider-almanac:", err)
		os.Exit(1)
	}
}

// logVariable begins the names of the environment variables by which Terraform is told to log. It hands them on.
const logVariable = "TF_LOG"

func logs() bool {
	return slices.ContainsFunc(os.Environ(), func(variable string) bool {
		name, value, _ := strings.Cut(variable, "=")
		return strings.HasPrefix(name, logVariable) && value != ""
	})
}

// prepare leaves out what a plan with hundreds of data sources pays for in vain: the plugin framework writes more than a
// hundred lines for each, which Terraform drops unless it logs, and a heap of a few megabytes is collected again and again.
func prepare() {
	if !logs() {
		_ = os.Setenv("TF_LOG_SDK", "off") // it would only be slower
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}

func newProvider() provider.Provider {
	p := almanac.New(version.String())
	if logs() {
		// Terraform takes what a provider writes to stderr for its log, with the level in brackets.
		p.Log = log.New(os.Stderr, "[DEBUG] ", 0).Printf
	}
	return p
}
