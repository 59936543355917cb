package emit_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/internal/tftest"
	"github.com/cargomedia/packer-plugin-almanac/terraform/emit"
)

// running makes a module whose provider, of a major version, has the machines.
func running(t *testing.T, c tftest.Client, instances []emit.Instance, aws int) *tftest.Workspace {
	t.Helper()
	w := c.Workspace(t, aws)
	there := tftest.Instances{}
	providers := "provider \"aws\" {\n  region = \"eu-west-1\"\n}\n"
	for _, i := range instances {
		if there[i.Region] == nil {
			there[i.Region] = map[string]tftest.Instance{}
			if aws == 5 {
				providers += fmt.Sprintf("provider \"aws\" {\n  alias  = %q\n  region = %q\n}\n", strings.ReplaceAll(i.Region, "-", "_"), i.Region)
			}
		}
		tags := map[string]string{}
		for key, value := range i.Tags {
			if !strings.HasPrefix(key, "aws:") { // the provider leaves them out
				tags[key] = value
			}
		}
		there[i.Region][i.ID] = tftest.Instance{AMI: i.ImageID, InstanceType: i.Type, AvailabilityZone: i.Region + "b", Tags: tags}
	}
	w.SetInstances(there)
	w.Write("providers.tf", providers)
	return w
}

func TestTerraformImportsInstances(t *testing.T) { tftest.Each(t, importInstances) }

func importInstances(t *testing.T, c tftest.Client) {
	for _, tc := range []struct {
		name      string
		instances []emit.Instance
		o         emit.ImportOptions
	}{
		{"of one region", europe(), emit.ImportOptions{AWSProvider: 6}},
		{"of one region, AWS provider 5", europe(), emit.ImportOptions{AWSProvider: 5}},
		{"of two regions", machines(), emit.ImportOptions{AWSProvider: 6}},
		{"of two regions, AWS provider 5", machines(), emit.ImportOptions{AWSProvider: 5}},
		{"as fleets of one region", europe(), emit.ImportOptions{AWSProvider: 6, ForEach: true}},
		{"as fleets of two regions", machines(), emit.ImportOptions{AWSProvider: 6, ForEach: true}},
		{"as fleets of two regions, AWS provider 5", machines(), emit.ImportOptions{AWSProvider: 5, ForEach: true}},
	} {
		if tc.o.ForEach && !c.Supports(tftest.ImportForEach) {
			continue
		}
		t.Run(tc.name, func(t *testing.T) {
			w := running(t, c, tc.instances, tc.o.AWSProvider)
			before := w.Instances()
			w.Write("import.tf", imports(t, tc.instances, tc.o))
			w.MustRun("fmt", "-check", "-diff")
			w.MustRun("init")
			nothingElse := fmt.Sprintf("Plan: %d to import, 0 to add, 0 to change, 0 to destroy.", len(tc.instances))
			if tc.o.ForEach {
				wantIn(t, w.MustRun("plan"), nothingElse)
			} else {
				wantIn(t, w.MustRun("plan", "-generate-config-out=generated.tf"), nothingElse, "Config generation is experimental")
			}
			w.MustRun("apply", "-auto-approve")
			wantIn(t, w.MustRun("plan"), "No changes.")
			if diff := cmp.Diff(before, w.Instances()); diff != "" {
				t.Errorf("the machines have changed (-before +after):\n%s", diff)
			}
			if !tc.o.ForEach {
				// What the file says of itself.
				if err := os.Remove(filepath.Join(w.Dir, "import.tf")); err != nil {
					t.Fatal(err)
				}
				wantIn(t, w.MustRun("plan"), "No changes.")
			}
		})
	}
}

func TestANewImageChangesNothingOfAFleet(t *testing.T) {
	tftest.Each(t, changeImageOfAFleet, tftest.ImportForEach)
}

func changeImageOfAFleet(t *testing.T, c tftest.Client) {
	w := running(t, c, europe(), 6)
	content := imports(t, europe(), emit.ImportOptions{ForEach: true})
	w.Write("import.tf", content)
	w.MustRun("init")
	w.MustRun("apply", "-auto-approve")
	w.Write("import.tf", strings.ReplaceAll(content, `"ami-0e3"`, `"ami-0e9"`))
	wantIn(t, w.MustRun("plan"), "No changes.")

	// The stub would replace it otherwise.
	w.Write("import.tf", strings.NewReplacer("ignore_changes = [ami]", "", `"ami-0e3"`, `"ami-0e9"`).Replace(content))
	wantIn(t, w.MustRun("plan"), `aws_instance.cargomedia_app["i-0a02"] must be replaced`)
}

func TestMoreInstancesDestroyNone(t *testing.T) {
	tftest.Each(t, addInstances, tftest.ImportForEach)
}

// addInstances applies a file of one instance, and writes it again when there are more.
func addInstances(t *testing.T, c tftest.Client) {
	first := europe()[0]
	namesake := func(change func(*emit.Instance)) emit.Instance {
		i := first
		i.ID = "i-0b01"
		use := *first.Use
		i.Use = &use
		change(&i)
		return i
	}
	for _, tc := range []struct {
		name string
		more emit.Instance
		aws  []int
	}{
		{"of the same name", namesake(func(*emit.Instance) {}), []int{6, 5}},
		{"of an artifact of the same name in another namespace", namesake(func(i *emit.Instance) { i.Use.Artifact = "third/app" }), []int{6, 5}},
		{"of an artifact whose name is the same to Terraform", namesake(func(i *emit.Instance) { i.Use.Artifact = "cargomedia_app/x" }), []int{6}},
		{"in another region", namesake(func(i *emit.Instance) { i.Region = "us-east-1" }), []int{6, 5}},
	} {
		for _, aws := range tc.aws {
			t.Run(fmt.Sprintf("%s, AWS provider %d", tc.name, aws), func(t *testing.T) {
				first := first
				if tc.more.Use.Artifact == "cargomedia_app/x" {
					use := *first.Use
					use.Artifact = "cargomedia/app_x"
					first.Use = &use
				}
				all := []emit.Instance{first, tc.more}
				o := emit.ImportOptions{AWSProvider: aws, ForEach: true}
				w := running(t, c, all, aws)
				before := w.Instances()
				path := filepath.Join(w.Dir, "import.tf")
				if err := emit.WriteNew(path, []byte(imports(t, all[:1], o)), false); err != nil {
					t.Fatal(err)
				}
				w.MustRun("init")
				w.MustRun("apply", "-auto-approve")
				if err := emit.WriteNew(path, []byte(imports(t, all, o)), true); err != nil {
					t.Fatal(err)
				}
				wantIn(t, w.MustRun("plan"), "Plan: 1 to import, 0 to add, 0 to change, 0 to destroy.")
				w.MustRun("apply", "-auto-approve")
				wantIn(t, w.MustRun("plan"), "No changes.")
				if diff := cmp.Diff(before, w.Instances()); diff != "" {
					t.Errorf("the machines have changed (-before +after):\n%s", diff)
				}
			})
		}
	}
}
