// Package e2e runs the main job from one end to the other with real programs: Packer with the
// unmodified amazon plugin builds the example, a registry records it, and Terraform plans with the file that was written.
package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/cargomedia/packer-plugin-almanac/internal/ec2sim"
	"github.com/cargomedia/packer-plugin-almanac/internal/packertest"
	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
	"github.com/cargomedia/packer-plugin-almanac/internal/tftest"
	"github.com/cargomedia/packer-plugin-almanac/registry"
)

func TestMain(m *testing.M) { os.Exit(packertest.Main(m)) }

func TestWhatPackerBuildsIsWhatTerraformGets(t *testing.T) {
	sim := ec2sim.New()
	ec2 := httptest.NewServer(sim)
	defer ec2.Close()
	server := servertest.New(t)
	packer := packertest.New(t).WithAmazon(t)
	packer.Env = append(packer.Env,
		"ALMANAC_ADDR="+server.URL, "ALMANAC_TOKEN="+server.Token(t, "ci", "promote", "cargomedia/*"),
		"AWS_ENDPOINT_URL="+ec2.URL, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull,
	)
	example, err := filepath.Abs("../../example")
	if err != nil {
		t.Fatal(err)
	}
	build := func(t *testing.T, args ...string) {
		t.Helper()
		if r := packer.Run(t, append(append([]string{"build", "-var", "output=" + packer.Dir}, args...), example)...); r.Code != 0 {
			t.Fatalf("packer build ended with %d:\n%s", r.Code, r.Output)
		}
	}
	build(t)
	c := server.Client(t, server.Token(t, "reader", "read", "cargomedia/*"))

	image, err := c.Resolve(t.Context(), "cargomedia/app", "staging", registry.Question{Type: "aws.ami"})
	if err != nil {
		t.Fatal(err)
	}
	built := map[string]string{}
	for _, region := range []string{"us-east-1", "eu-west-1", "ap-southeast-2"} {
		images := sim.Images(region)
		if len(images) != 1 {
			t.Fatalf("%s has %d images", region, len(images))
		}
		built[region] = images[0].ID
	}
	t.Run("the registry has the AMI of each region", func(t *testing.T) {
		if diff := cmp.Diff(built, image.AMIs); diff != "" {
			t.Error(diff)
		}
	})

	t.Run("both sources of the run have its fingerprint, and the box has its bytes", func(t *testing.T) {
		box, err := c.Resolve(t.Context(), "cargomedia/app-box", "staging", registry.Question{Type: "vagrant.box"})
		if err != nil {
			t.Fatal(err)
		}
		if box.Fingerprint != image.Fingerprint || box.Provider != "virtualbox" || box.Architecture != "amd64" || len(box.Files) != 1 {
			t.Errorf("got %+v", box)
		}
		path := filepath.Join(t.TempDir(), "app.box")
		if err := c.Download(t.Context(), box.Files[0].SHA256, box.Files[0].Size, path, nil); err != nil {
			t.Fatal(err)
		}
		if got, want := digestOf(t, path), digestOf(t, filepath.Join(packer.Dir, "app.box")); got != want {
			t.Errorf("the registry gave bytes with the digest %s, Packer made %s", got, want)
		}
	})

	file, err := os.ReadFile(filepath.Join(packer.Dir, "app.tf"))
	if err != nil {
		t.Fatal(err)
	}
	module := tftest.New(t, 6)
	module.Setenv("STUB_AWS_IMAGES", "")
	module.Setenv("AWS_ENDPOINT_URL", ec2.URL)
	module.Write("app.tf", string(file))
	module.Write("main.tf", `output "amis" {
  value = local.app.ami_ids
}
`)
	t.Run("terraform formats, validates and plans the file", func(t *testing.T) {
		module.MustRun("fmt", "-check", "-diff")
		module.MustRun("init")
		module.MustRun("validate")
		plan := module.MustRun("plan")
		for region, id := range built {
			if !strings.Contains(plan, id) {
				t.Errorf("the plan lacks %s of %s:\n%s", id, region, plan)
			}
		}
	})

	t.Run("a new build moves the channel and not the file", func(t *testing.T) {
		if err := os.Remove(filepath.Join(packer.Dir, "app.tf")); err != nil {
			t.Fatal(err)
		}
		build(t, "-only=amazon-ebs.*")
		next, err := c.Resolve(t.Context(), "cargomedia/app", "staging", registry.Question{Type: "aws.ami", Region: "eu-west-1"})
		if err != nil || next.Number != 2 || next.ID == built["eu-west-1"] {
			t.Fatalf("got %+v, %v", next, err)
		}
		if plan := module.MustRun("plan"); !strings.Contains(plan, built["eu-west-1"]) || strings.Contains(plan, next.ID) {
			t.Errorf("the plan follows the channel:\n%s", plan)
		}
	})
}

func digestOf(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}
