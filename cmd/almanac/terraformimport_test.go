package main

import (
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/ec2sim"
	"github.com/cargomedia/packer-plugin-almanac/internal/tftest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

// fleet is a registry with two versions, and an EC2 in which machines of both and of another image run.
type fleet struct {
	*shelf
	machines tftest.Instances
	count    int // of the machines whose image is recorded
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	sim := ec2sim.New()
	ts := httptest.NewServer(sim)
	t.Cleanup(ts.Close)
	t.Setenv("AWS_ENDPOINT_URL", ts.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	f := &fleet{shelf: newShelf(t), machines: tftest.Instances{}}
	var seed ec2sim.Seed
	for n, region := range []string{"eu-west-1", "us-east-1"} {
		for version := range 3 {
			id := fmt.Sprintf("ami-%017x", 0xa00+16*n+version)
			seed.Images = append(seed.Images, ec2sim.SeedImage{Region: region, ID: id, Name: fmt.Sprintf("app %d", version)})
			seed.Instances = append(seed.Instances, ec2sim.SeedInstances{Region: region, Image: id, Count: 2, Name: fmt.Sprintf("web %d", version), Tags: map[string]string{"role": "web"}})
		}
	}
	seeded, err := sim.Seed(seed)
	if err != nil {
		t.Fatal(err)
	}
	for n, instances := range seed.Instances {
		if f.machines[instances.Region] == nil {
			f.machines[instances.Region] = map[string]tftest.Instance{}
		}
		for i, id := range seeded.Instances[n] {
			tags := map[string]string{"Name": fmt.Sprintf("%s-%d", instances.Name, i+1), "role": "web"}
			f.machines[instances.Region][id] = tftest.Instance{AMI: instances.Image, InstanceType: "t3.micro", AvailabilityZone: instances.Region + "a", Tags: tags}
		}
	}
	for version := range 2 {
		build := registry.Build{Component: "amazon-ebs.app", Type: registry.AmazonImage, Architecture: "x86_64"}
		for _, image := range seed.Images {
			if image.Name == fmt.Sprintf("app %d", version) {
				build.Images = append(build.Images, registry.Image{Provider: "aws", Region: image.Region, ID: image.ID})
				f.count += 2
			}
		}
		publication := registry.Publication{Fingerprint: fmt.Sprint("run-", version), Build: build}
		if _, err := f.Client(t, f.AdminToken).Publish(t.Context(), "cargomedia/app", publication); err != nil {
			t.Fatal(err)
		}
	}
	f.run(t, exitOK, "channel", "set", "cargomedia/app", "production", "2")
	return f
}

// TestTerraformImport lets Terraform import what the command writes.
func TestTerraformImport(t *testing.T) {
	f := newFleet(t)
	source := []string{"terraform", "import", "--region", "eu-west-1,us-east-1", "--channel", "production"}
	for _, tc := range []struct {
		name    string
		flags   []string
		aws     int
		plan    []string
		imports int
		needs   []tftest.Feature
	}{
		{"as import blocks", nil, 6, []string{"plan", "-generate-config-out=generated.tf"}, f.count, nil},
		{"as import blocks for AWS provider 5", []string{"--aws-provider", "5"}, 5, []string{"plan", "-generate-config-out=generated.tf"}, f.count, nil},
		{"as a fleet", []string{"--for-each"}, 6, []string{"plan"}, f.count, []tftest.Feature{tftest.ImportForEach}},
		{"as fleets, with what is not recorded", []string{"--for-each", "--all"}, 6, []string{"plan"}, f.count + 4, []tftest.Feature{tftest.ImportForEach}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tftest.Each(t, func(t *testing.T, c tftest.Client) {
				w := c.Workspace(t, tc.aws)
				w.SetInstances(f.machines)
				providers := "provider \"aws\" {\n  region = \"eu-central-1\"\n}\n"
				for region := range f.machines {
					if tc.aws == 5 {
						providers += fmt.Sprintf("provider \"aws\" {\n  alias  = %q\n  region = %q\n}\n", strings.ReplaceAll(region, "-", "_"), region)
					}
				}
				w.Write("providers.tf", providers)
				f.run(t, exitOK, append(append(source, "--out", filepath.Join(w.Dir, "import.tf")), tc.flags...)...)
				w.MustRun("fmt", "-check", "-diff", "import.tf")
				w.MustRun("init")
				contains(t, w.MustRun(tc.plan...), fmt.Sprintf("Plan: %d to import, 0 to add, 0 to change, 0 to destroy.", tc.imports))
			}, tc.needs...)
		})
	}

	t.Run("says what each was launched from", func(t *testing.T) {
		stdout, stderr := f.run(t, exitOK, source...)
		contains(t, stdout, "# launched from cargomedia/app 0.1.0 (eu-west-1); production is 0.2.0", "# launched from cargomedia/app 0.2.0 (us-east-1); production is 0.2.0")
		contains(t, stderr, "Left out: 4 instances, of AMIs that the registry does not know; --all writes them, too.")
	})
	t.Run("lists those that fit a filter", func(t *testing.T) {
		stdout, _ := f.run(t, exitOK, append(source, "--filter", "tag:Name=web 0-2")...)
		contains(t, stdout, "Import blocks for 2 EC2 instances")
	})
	t.Run("writes nothing when a region cannot be asked", func(t *testing.T) {
		stdout, _ := f.run(t, exitUsage, "terraform", "import", "--region", "eu-west-1,xx-nowhere-1")
		if stdout != "" {
			t.Errorf("it writes %s", stdout)
		}
	})
}
