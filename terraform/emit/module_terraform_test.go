package emit_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/internal/tftest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/terraform/emit"
	"github.com/cargomedia/packer-plugin-almanac/terraform/metadata"
)

// moduleCall makes a root module that calls the module of a version, in which no provider can be installed. The
// outputs are those of the module.
func moduleCall(t *testing.T, c tftest.Client, v registry.Version) (w *tftest.Workspace, call func(arguments string)) {
	t.Helper()
	w = c.Workspace(t, tftest.NoAWS)
	w.Write(filepath.Join("app", "main.tf"), module(t, v, emit.ModuleOptions{Address: address}))
	var outputs strings.Builder
	for _, name := range []string{"ami_ids", "ami_id", "version", "number", "name", "type", "component", "architecture", "metadata_full"} {
		fmt.Fprintf(&outputs, "output %q {\n  value = module.app.%s\n}\n", name, name)
	}
	w.Write("outputs.tf", outputs.String())
	call = func(arguments string) {
		w.Write("main.tf", "module \"app\" {\n  source = \"./app\"\n"+arguments+"\n}\n")
	}
	call("")
	w.MustRun("fmt", "-check", "-diff", "app")
	w.MustRun("init")
	w.MustRun("validate")
	return w, call
}

func TestTerraformCallsTheModule(t *testing.T) { tftest.Each(t, callTheModule) }

func callTheModule(t *testing.T, c tftest.Client) {
	w, call := moduleCall(t, c, version())

	t.Run("without a region there are all AMIs", func(t *testing.T) {
		call("")
		wantIn(t, w.MustRun("plan"), `+ eu-west-1 = "ami-0aaa1111bbbb2222c" + us-east-1 = "ami-0ddd3333eeee4444f"`,
			`+ name = "cargomedia/app" + number = 4 + type = "amazon.image" + version = "1.4.0"`,
			`+ architecture = "x86_64" + component = "amazon-ebs.app"`, `+ os = "debian-12"`)
	})
	t.Run("with one there is its AMI too", func(t *testing.T) {
		call("  region = \"us-east-1\"\n  component = \"amazon-ebs.app\"\n  architecture = \"x86_64\"")
		wantIn(t, w.MustRun("plan"), `+ ami_id = "ami-0ddd3333eeee4444f"`)
	})
	t.Run("the names of 2015 stand behind a dot", func(t *testing.T) {
		call("}\noutput \"dotted\" {\n  value = module.app.metadata_full.region-eu-west-1")
		wantIn(t, w.MustRun("plan"), `+ dotted = "ami-0aaa1111bbbb2222c"`)
	})
	for _, tc := range []struct{ name, arguments, want string }{
		{"a region without an AMI, one that cannot be used included", `region = "ap-south-1"`,
			"cargomedia/app version 1.4.0 has no AMI in region ap-south-1; it has: eu-west-1, us-east-1."},
		{"an empty region", `region = ""`, `cargomedia/app version 1.4.0 has no AMI in region ""; it has: eu-west-1, us-east-1.`},
		{"another component", `component = "virtualbox-iso.app"`,
			"cargomedia/app version 1.4.0 has no AMI of component virtualbox-iso.app; it has: amazon-ebs.app."},
		{"another architecture", `architecture = "arm64"`, "cargomedia/app version 1.4.0 has no AMI of architecture arm64; it has: x86_64."},
	} {
		t.Run(tc.name+" is one error at the caller's line", func(t *testing.T) {
			call("  " + tc.arguments)
			wantFailure(t, w, "Invalid value for variable on main.tf line 3, in module \"app\": 3: "+tc.arguments, tc.want)
			if out, _ := w.Run("plan"); strings.Count(out, "Error:") != 1 {
				t.Errorf("there is more than one error:\n%s", out)
			}
		})
	}

	t.Run("an architecture where none was recorded is an error", func(t *testing.T) {
		v := version()
		v.Builds[0].Architecture = ""
		w, call := moduleCall(t, c, v)
		call(`  architecture = "arm64"`)
		wantFailure(t, w, "cargomedia/app version 1.4.0 has no AMI of architecture arm64; it has: none that was recorded.")
		call("")
		if out := w.MustRun("plan"); strings.Contains(out, "architecture") {
			t.Errorf("it is not null:\n%s", out)
		}
	})
}

func TestTerraformNeverTakesTheFirstOfSeveralBuilds(t *testing.T) {
	tftest.Each(t, neverTakeTheFirstBuild)
}

func neverTakeTheFirstBuild(t *testing.T, c tftest.Client) {
	w, call := moduleCall(t, c, several())
	for _, tc := range []struct {
		name, arguments string
		want            []string
	}{
		{"a component is enough", "component = \"amazon-ebs.debug\"\nregion = \"eu-central-1\"", []string{`+ ami_id = "ami-0debug"`, `+ architecture = "arm64"`}},
		{"so is an architecture that one has", "architecture = \"x86_64\"", []string{`+ component = "amazon-ebs.app"`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			call(tc.arguments)
			wantIn(t, w.MustRun("plan"), tc.want...)
		})
	}
	for _, tc := range []struct{ name, arguments, want string }{
		{"without a choice", `region = "eu-west-1"`, "cargomedia/app version 1.4.0 has AMIs of several builds that fit; set component, or architecture if that is enough, to mean one of: " +
			"amazon-ebs.app (x86_64), amazon-ebs.arm (arm64), amazon-ebs.debug (arm64)."},
		{"with an architecture that two have", `architecture = "arm64"`, "to mean one of: amazon-ebs.arm (arm64), amazon-ebs.debug (arm64)."},
		{"with two that do not go together", "component = \"amazon-ebs.app\"\narchitecture = \"arm64\"",
			"cargomedia/app version 1.4.0 has no AMI of component amazon-ebs.app with architecture arm64; it has: amazon-ebs.app (x86_64), amazon-ebs.arm (arm64), amazon-ebs.debug (arm64)."},
		{"with a region of another build", "component = \"amazon-ebs.arm\"\nregion = \"us-east-1\"",
			"cargomedia/app version 1.4.0 has no AMI in region us-east-1 of component amazon-ebs.arm; it has: eu-west-1."},
		{"with a region of none", "component = \"amazon-ebs.arm\"\nregion = \"us-east-9\"", "has no AMI in region us-east-9; it has: eu-central-1, eu-west-1, us-east-1."},
	} {
		t.Run(tc.name+" it is an error", func(t *testing.T) {
			call(tc.arguments)
			wantFailure(t, w, tc.want)
			if out, _ := w.Run("plan"); strings.Contains(out, "null value") {
				t.Errorf("it also says what nobody can understand:\n%s", out)
			}
		})
	}
}

func TestTerraformReadsAHostileModule(t *testing.T) { tftest.Each(t, readAHostileModule) }

func readAHostileModule(t *testing.T, c tftest.Client) {
	v := hostileVersion()
	w, call := moduleCall(t, c, v)
	call("  component = \"{$$${x}\"\n  region = \"eu-west-1\"")
	w.MustRun("apply", "-auto-approve")
	got := map[string]string{}
	if err := json.Unmarshal([]byte(w.MustRun("output", "-json", "metadata_full")), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(metadata.Full(registry.FullMetadata(v.Metadata, v.Builds[1])), got); diff != "" {
		t.Errorf("metadata_full (-want +got):\n%s", diff)
	}
	wantIn(t, w.MustRun("output", "-json", "ami_id"), `"ami-${1+1}\"\n"`)
	wantIn(t, w.MustRun("output", "-json", "architecture"), `"%{ if true }x%{ endif }$"`)
	call("")
	wantFailure(t, w, `amazon-ebs.`, `${file("/etc/passwd")}"`)
}
