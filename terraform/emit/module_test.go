package emit_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2/hclwrite"

	"github.com/cargomedia/packer-plugin-almanac/internal/golden"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/terraform/emit"
)

// version is a complete version with the AMIs of one build, beside what no module is about.
func version() registry.Version {
	return registry.Version{
		Artifact: "cargomedia/app", VersionID: registry.VersionID{Number: 4, Version: "1.4.0"}, Status: registry.StatusComplete,
		Metadata: registry.Metadata{"git": "0a1b2c3"}, CreatedAt: time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC),
		Builds: []registry.Build{
			{
				Component: "amazon-ebs.app", Type: registry.AmazonImage, Architecture: "x86_64", Metadata: registry.Metadata{"os": "debian-12"},
				Images: []registry.Image{
					{Provider: "aws", Region: "ap-south-1", ID: "ami-0failed", Verification: &registry.Verification{Status: registry.ImageFailed}},
					{Provider: "aws", Region: "eu-west-1", ID: "ami-0aaa1111bbbb2222c"},
					{Provider: "aws", Region: "us-east-1", ID: "ami-0ddd3333eeee4444f", Verification: &registry.Verification{Status: registry.ImageAvailable}},
				},
			},
			{Component: "virtualbox-iso.app", Type: registry.VagrantBox, Provider: "virtualbox", Files: []registry.File{{Name: "app.box"}}},
		},
	}
}

// several is a version with three builds of AMIs, of which two have the same architecture.
func several() registry.Version {
	v := version()
	v.Builds = append(v.Builds[:1:1],
		registry.Build{Component: "amazon-ebs.arm", Type: registry.AmazonImage, Architecture: "arm64", Images: []registry.Image{{Provider: "aws", Region: "eu-west-1", ID: "ami-0arm"}}},
		registry.Build{Component: "amazon-ebs.debug", Type: registry.AmazonImage, Architecture: "arm64", Images: []registry.Image{{Provider: "aws", Region: "eu-central-1", ID: "ami-0debug"}}},
	)
	return v
}

// hostileVersion has text that would break out of anything that is not quoted.
func hostileVersion() registry.Version {
	v := version()
	v.Metadata = hostile().Metadata
	v.Builds = v.Builds[:1]
	v.Builds[0].Component = "amazon-ebs.\u202e${file(\"/etc/passwd\")}\"\n}\nlocals {"
	v.Builds[0].Architecture = "%{ if true }x%{ endif }$"
	v.Builds[0].Images[1].ID = "ami-${1+1}\"\n"
	second := v.Builds[0]
	second.Component = "{$${x}"
	v.Builds = append(v.Builds, second)
	return v
}

func module(t testing.TB, v registry.Version, o emit.ModuleOptions) string {
	t.Helper()
	files, err := emit.Module(v, o)
	if err != nil {
		t.Fatal(err)
	}
	if len(files) != 1 || files["main.tf"] == nil {
		t.Fatalf("the files are %q", files)
	}
	return string(files["main.tf"])
}

func TestGoldenModules(t *testing.T) {
	for _, tc := range []struct {
		file string
		v    registry.Version
		o    emit.ModuleOptions
	}{
		{"module.tf", version(), emit.ModuleOptions{Address: "https://user:secret@registry.example.com/base/?token=alm_secret"}},
		{"module_several.tf", several(), emit.ModuleOptions{}},
		{"module_hostile.tf", hostileVersion(), emit.ModuleOptions{}},
	} {
		t.Run(tc.file, func(t *testing.T) { equalHCL(t, tc.file, module(t, tc.v, tc.o)) })
	}
}

// equalHCL compares HCL with a golden file.
func equalHCL(t *testing.T, name, got string) {
	t.Helper()
	golden.Equal(t, filepath.Join("testdata", "golden", name), got)
	if string(hclwrite.Format([]byte(got))) != got {
		t.Error("formatting it again changes it")
	}
}

func TestModuleIsRefused(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*registry.Version)
		kind   registry.Kind
		want   string
	}{
		{"of a version that is not complete", func(v *registry.Version) { v.Status = registry.StatusOpen }, registry.NotFound,
			`cargomedia/app version 1.4.0 has no module yet: its status is "open", not complete`},
		{"of a version without AMIs", func(v *registry.Version) { v.Builds = append(v.Builds[1:], registry.Build{Type: registry.Archive}) }, registry.NotFound,
			"cargomedia/app version 1.4.0 has no build of type amazon.image, of which modules are made; it has: archive, vagrant.box"},
		{"of a version whose AMIs cannot be used", func(v *registry.Version) { v.Builds[0].Images = v.Builds[0].Images[:1] }, registry.NotFound,
			"cargomedia/app version 1.4.0 has no AMI that can be used; almanac show tells what was found of each"},
		{"of what no registry has", func(v *registry.Version) {
			v.Artifact, v.Version, v.Builds[0].Images[1].Region = "app\n", "1.0.0 }", "eu\"west"
		}, registry.Invalid, `"app\n" 1.0.0 } cannot be written for Terraform`},
		{"of text that is not UTF-8", func(v *registry.Version) { v.Metadata["git"] = "\xff" }, registry.Invalid, "is not valid UTF-8"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			v := version()
			tc.change(&v)
			_, err := emit.Module(v, emit.ModuleOptions{})
			if registry.KindOf(err) != tc.kind || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %s: %s", err, tc.kind, tc.want)
			}
		})
	}
	t.Run("with an address that is none, which is not repeated", func(t *testing.T) {
		_, err := emit.Module(version(), emit.ModuleOptions{Address: "secret:x"})
		if registry.KindOf(err) != registry.Invalid || strings.Contains(err.Error(), "secret") {
			t.Errorf("got %v", err)
		}
	})
}
