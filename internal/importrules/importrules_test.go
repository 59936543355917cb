// Package importrules holds the project to the import rules of its design: dependencies point to the
// domain, adapters do not know each other, and only programs wire things together.
package importrules

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/cargomedia/packer-plugin-almanac"

// rule says what the packages below some path may import of this module, and which modules of others.
type rule struct {
	name string
	// of are paths below the module; "registry" is the package alone, "registry/server/..." the tree.
	of []string
	// own are the packages of this module that may be imported, in the same notation.
	own []string
	// foreign are prefixes of other modules' packages; nil allows all but the Packer SDK.
	foreign []string
}

var rules = []rule{
	{
		name: "the domain imports the standard library and small value libraries only",
		of:   []string{"registry"}, own: []string{"registry/box", "registry/sbom"}, foreign: []string{"github.com/hashicorp/go-version"},
	},
	{
		name: "the problem format is the domain's errors on the wire, and no more",
		of:   []string{"registry/problem"}, own: []string{"registry"}, foreign: []string{},
	},
	{
		name: "adapters import the domain and never each other",
		of:   []string{"registry/sqlstore", "registry/blob", "registry/registrytest"}, own: []string{"registry"},
	},
	{
		name: "the client and the server share the wire format and do not know each other",
		of:   []string{"registry/client"}, own: []string{"registry", "registry/problem"},
	},
	{
		name: "the server mounts its own sub-packages over the domain",
		of:   []string{"registry/server/..."}, own: []string{"registry", "registry/problem", "registry/box", "registry/server/...", "terraform/emit", "terraform/metadata"},
	},
	{
		name: "a foreign protocol knows the domain, and of the server no more than what they agree on",
		of:   []string{"registry/server/foreign", "registry/server/vagrant", "registry/server/atlas"},
		own:  []string{"registry", "registry/problem", "registry/box", "registry/server/foreign"}, foreign: []string{},
	},
	{
		name:    "what Terraform reads is written by the HCL writer, and signed",
		of:      []string{"registry/server/terraform"},
		own:     []string{"registry", "registry/problem", "registry/server/foreign", "terraform/emit", "terraform/metadata"},
		foreign: []string{"github.com/google/uuid", "github.com/ProtonMail/go-crypto/openpgp"},
	},
	{
		name: "readers of formats stand alone",
		of:   []string{"registry/box", "registry/sbom", "internal/archive"}, own: nil, foreign: []string{},
	},
	{
		name: "what names local files reads the domain's rules and talks to nobody",
		of:   []string{"internal/localfiles"}, own: []string{"registry", "registry/box", "registry/sbom", "internal/archive"}, foreign: []string{},
	},
	{
		name: "the publish file is written by the plugin and sent by the command line, through the client",
		of:   []string{"internal/publishfile"}, own: []string{"registry", "registry/client", "internal/localfiles"}, foreign: []string{},
	},
	{
		name: "the runner takes runs through the client, and unpacks what they are about",
		of:   []string{"internal/runner"}, own: []string{"registry", "registry/client", "internal/archive", "internal/publishfile"}, foreign: []string{},
	},
	{
		name: "the reader of foreign catalogs knows nothing of the registry",
		of:   []string{"internal/vagrantcatalog"}, own: nil, foreign: []string{"github.com/hashicorp/go-retryablehttp"},
	},
	{
		name: "what is learned about the origin of a build comes from git, the environment and the processes",
		of:   []string{"internal/provenance"}, own: []string{"registry"}, foreign: []string{"github.com/shirou/gopsutil/v4/process"},
	},
	{
		name: "the proxy that fails knows nothing of what passes",
		of:   []string{"internal/faultproxy"}, own: nil, foreign: []string{},
	},
	{
		name: "the benchmarks fill a store, and measure from outside",
		of:   []string{"bench"}, own: []string{"registry", "registry/sqlstore", "registry/blob", "registry/client"},
	},
	{
		name: "the HCL writer reads the domain's types and talks to nobody",
		of:   []string{"terraform/emit"}, own: []string{"registry", "terraform/metadata"},
	},
	{
		name: "the names of metadata in Terraform are the domain's in other letters",
		of:   []string{"terraform/metadata"}, own: []string{"registry"}, foreign: []string{},
	},
	{
		name: "the Terraform provider reaches the registry through the client",
		of:   []string{"terraform/provider"}, own: []string{"registry", "registry/client", "terraform/metadata"}, foreign: pluginFramework,
	},
	{
		name: "the provider's main serves it and no more",
		of:   []string{"cmd/terraform-provider-almanac"}, own: []string{"terraform/provider", "version"}, foreign: pluginFramework,
	},
	{
		name: "what talks to AWS knows the domain and AWS's own libraries",
		of:   []string{"aws"}, own: []string{"registry", "registry/client"}, foreign: []string{"github.com/aws"},
	},
	{
		name: "the stand-in for EC2 stands alone",
		of:   []string{"internal/ec2sim/..."}, own: []string{"internal/ec2sim/..."}, foreign: []string{},
	},
	{
		name: "the plugin reaches the registry through the client",
		of:   []string{"post-processor/..."},
		own: []string{
			"registry", "registry/client", "registry/box", "registry/sbom", "aws", "terraform/emit",
			"internal/localfiles", "internal/provenance", "internal/publishfile", "version", "post-processor/...",
		},
	},
	{
		name: "the plugin's main registers components and no more",
		of:   []string{""}, own: []string{"post-processor/...", "version"},
	},
}

// pluginFramework is the Terraform plugin framework, with its validators.
var pluginFramework = []string{
	"github.com/hashicorp/terraform-plugin-framework", "github.com/hashicorp/terraform-plugin-framework-validators",
}

// frameworkUsers are the packages that may import the plugin framework.
var frameworkUsers = []string{"terraform/provider", "cmd/terraform-provider-almanac"}

// sdkUsers are the packages that may import the Packer SDK.
var sdkUsers = []string{"", "version", "post-processor/...", "datasource/..."}

type listed struct {
	ImportPath string
	Imports    []string
	Module     *struct{ Path string }
	Standard   bool
}

func TestImports(t *testing.T) {
	packages := list(t)
	standard := map[string]bool{}
	for _, p := range packages {
		standard[p.ImportPath] = p.Standard
	}
	for _, r := range rules {
		t.Run(r.name, func(t *testing.T) {
			checked := 0
			for _, p := range packages {
				path, ours := below(p)
				if !ours || !within(path, r.of) {
					continue
				}
				checked++
				for _, imported := range p.Imports {
					if standard[imported] || allowed(imported, r) {
						continue
					}
					t.Errorf("%s imports %s", p.ImportPath, imported)
				}
			}
			if checked == 0 {
				t.Errorf("no package is held to this rule; is %v still the right place?", r.of)
			}
		})
	}
	t.Run("the Packer SDK is in the plugin alone", func(t *testing.T) {
		checkUsers(t, packages, "github.com/hashicorp/packer-plugin-sdk/", sdkUsers)
	})
	t.Run("the Terraform plugin framework is in the provider alone", func(t *testing.T) {
		checkUsers(t, packages, pluginFramework[0], frameworkUsers)
	})
}

// checkUsers lets nobody but the users import what begins with a prefix.
func checkUsers(t *testing.T, packages []listed, prefix string, users []string) {
	t.Helper()
	for _, p := range packages {
		path, ours := below(p)
		if !ours || within(path, users) {
			continue
		}
		for _, imported := range p.Imports {
			if strings.HasPrefix(imported, prefix) {
				t.Errorf("%s imports %s", p.ImportPath, imported)
			}
		}
	}
}

func allowed(imported string, r rule) bool {
	if path, ok := strings.CutPrefix(imported, module); ok {
		return within(strings.TrimPrefix(path, "/"), r.own)
	}
	if r.foreign == nil {
		return true
	}
	return slices.ContainsFunc(r.foreign, func(prefix string) bool {
		return imported == prefix || strings.HasPrefix(imported, prefix+"/")
	})
}

// below returns a package's path below the module, and whether it is of this module.
func below(p listed) (string, bool) {
	if p.Module == nil || p.Module.Path != module {
		return "", false
	}
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/"), true
}

func within(path string, patterns []string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		root, tree := strings.CutSuffix(pattern, "/...")
		return path == root || tree && strings.HasPrefix(path, root+"/")
	})
}

func list(t *testing.T) []listed {
	t.Helper()
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Imports,Module,Standard", module+"/...")
	out, err := cmd.Output()
	if err != nil {
		exit, _ := errors.AsType[*exec.ExitError](err)
		if exit != nil {
			t.Fatalf("go list: %v\n%s", err, exit.Stderr)
		}
		t.Fatal(err)
	}
	var packages []listed
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}
