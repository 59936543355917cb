package emit_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/terraform/emit"
)

// machines are instances of two artifacts, and one of an image that is not recorded, in two regions.
func machines() []emit.Instance {
	version := func(number int64) registry.VersionID {
		return registry.VersionID{Number: number, Version: "1." + string('0'+rune(number)) + ".0"}
	}
	use := func(artifact registry.ArtifactName, number int64) *registry.ImageUse {
		return &registry.ImageUse{Artifact: artifact, VersionID: version(number), Component: "amazon-ebs.app", Type: registry.AmazonImage}
	}
	current := version(4)
	revoked := use("cargomedia/app", 2)
	revoked.Revocation = &registry.Revocation{At: time.Date(2026, 4, 2, 8, 0, 0, 0, time.UTC), Reason: "leak"}
	tags := func(name string) map[string]string {
		return map[string]string{"Name": name, "role": "web", "aws:autoscaling:groupName": "web"}
	}
	return []emit.Instance{
		{ID: "i-0a01", Region: "us-east-1", Name: "web", ImageID: "ami-0u4", Type: "t3.micro", Tags: tags("web"), Use: use("cargomedia/app", 4), Ref: "production", Current: &current},
		{ID: "i-0a02", Region: "eu-west-1", Name: "web", ImageID: "ami-0e3", Type: "t3.micro", Tags: tags("web"), Use: use("cargomedia/app", 3), Ref: "production", Current: &current},
		{ID: "i-0a03", Region: "eu-west-1", Name: "1 batch ${x}", ImageID: "ami-0e2", Type: "t3.large", Tags: tags("1 batch ${x}"), Use: revoked, Ref: "production", Current: &current},
		{ID: "i-0a04", Region: "eu-west-1", ImageID: "ami-0d1", Type: "m6g.large", Use: use("other/app", 1), Ref: "production"},
		{ID: "i-0a05", Region: "eu-west-1", Name: "stray", ImageID: "ami-0f0", Type: "t3.micro", Tags: map[string]string{"Name": "stray"}},
	}
}

// written is after the revocation of a version.
var written = time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)

// europe are the machines of one region.
func europe() []emit.Instance {
	return slices.DeleteFunc(machines(), func(i emit.Instance) bool { return i.Region != "eu-west-1" })
}

func imports(t testing.TB, instances []emit.Instance, o emit.ImportOptions) string {
	t.Helper()
	content, err := emit.Imports(instances, o)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

func TestGoldenImports(t *testing.T) {
	for _, tc := range []struct {
		file      string
		instances []emit.Instance
		o         emit.ImportOptions
	}{
		{"imports.tf", europe(), emit.ImportOptions{}},
		{"imports_regions.tf", machines(), emit.ImportOptions{AWSProvider: 6}},
		{"imports_aws5.tf", machines(), emit.ImportOptions{AWSProvider: 5}},
		{"fleets.tf", europe(), emit.ImportOptions{ForEach: true}},
		{"fleets_regions.tf", machines(), emit.ImportOptions{ForEach: true}},
		{"fleets_region_aws5.tf", europe(), emit.ImportOptions{ForEach: true, AWSProvider: 5}},
		{"fleets_aws5.tf", machines(), emit.ImportOptions{ForEach: true, AWSProvider: 5}},
	} {
		t.Run(tc.file, func(t *testing.T) {
			tc.o.Now = written
			got := imports(t, tc.instances, tc.o)
			equalHCL(t, tc.file, got)
			slices.Reverse(tc.instances)
			if imports(t, tc.instances, tc.o) != got {
				t.Error("the order of the instances makes a difference")
			}
		})
	}
}

func TestImportOfOneInstance(t *testing.T) {
	one := machines()[:1]
	for _, tc := range []struct {
		name string
		o    emit.ImportOptions
		want string
	}{
		{"alone", emit.ImportOptions{}, "# Import block for an EC2 instance, written by almanac. Once it is applied, this file can be deleted.\n"},
		{"as a fleet", emit.ImportOptions{ForEach: true}, "# Import block for an EC2 instance, written by almanac. Once it is applied, it can be deleted; the resource stays.\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := imports(t, one, tc.o); !strings.HasPrefix(got, tc.want) {
				t.Errorf("got %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestImportsTellARevocation(t *testing.T) {
	at := time.Date(2026, 4, 2, 8, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		name string
		now  time.Time
		want string
	}{
		{"that is to come", at.Add(-time.Second), "1.2.0 (eu-west-1), which will be revoked on 2026-04-02; production is 1.4.0\n"},
		{"that has come", at, "1.2.0 (eu-west-1), revoked as of 2026-04-02; production is 1.4.0\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := imports(t, europe(), emit.ImportOptions{Now: tc.now}); !strings.Contains(got, tc.want) {
				t.Errorf("got %s\nwant %s", got, tc.want)
			}
		})
	}
	t.Run("that is to come, by the clock", func(t *testing.T) {
		instances := europe()
		for _, i := range instances {
			if i.Use != nil && i.Use.Revocation != nil {
				i.Use.Revocation.At = time.Now().AddDate(1, 0, 0)
			}
		}
		if got := imports(t, instances, emit.ImportOptions{}); !strings.Contains(got, "which will be revoked on") {
			t.Errorf("got %s", got)
		}
	})
}

func TestImportsAreRefused(t *testing.T) {
	for _, tc := range []struct {
		name   string
		change func(*[]emit.Instance, *emit.ImportOptions)
		want   string
	}{
		{"of no instances", func(i *[]emit.Instance, _ *emit.ImportOptions) { *i = nil }, "there is no instance to write an import block for"},
		{"for another provider", func(_ *[]emit.Instance, o *emit.ImportOptions) { o.AWSProvider = 4 }, "4 is not a major version of hashicorp/aws that is written for; use 6, or 5"},
		{"of one instance twice", func(i *[]emit.Instance, _ *emit.ImportOptions) { *i = append(*i, (*i)[0]) }, `instances["i-0a01"]: is there more than once`},
		{"of what is no instance", func(i *[]emit.Instance, _ *emit.ImportOptions) { (*i)[0].ID = "i-0\"\n}" }, `the id is not one of an EC2 instance, such as i-0abc1234`},
		{"of what is in no region", func(i *[]emit.Instance, _ *emit.ImportOptions) { (*i)[0].Region = "eu\"" }, `"eu\"" is not an AWS region such as eu-west-1`},
		{"of tags that are not UTF-8", func(i *[]emit.Instance, _ *emit.ImportOptions) { (*i)[0].Tags["x"] = "\xff" }, `instances["i-0a01"]["tags"]["x"]: is not valid UTF-8`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			instances, o := machines(), emit.ImportOptions{}
			tc.change(&instances, &o)
			_, err := emit.Imports(instances, o)
			if registry.KindOf(err) != registry.Invalid || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
}
