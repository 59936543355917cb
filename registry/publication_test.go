package registry

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var digestA = Digest(strings.Repeat("a", 64))

func goodPublication() Publication {
	return Publication{
		Fingerprint: "run-1",
		Build: Build{
			Component: "amazon-ebs.app", Type: "aws.ami", Metadata: Metadata{"git": "abc"},
			Images: []Image{
				{Provider: "aws", Region: "us-east-1", ID: "ami-0ddd3333eeee4444f"},
				{Provider: "aws", Region: "eu-west-1", ID: "ami-0aaa1111bbbb2222c"},
			},
		},
	}
}

func TestNormalizePublicationCanonicalises(t *testing.T) {
	pub := goodPublication()
	pub.Expect = []string{"b.x", "a.x"}
	pub.Channels = []string{"staging", "canary"}
	got, err := normalizePublication(pub)
	if err != nil {
		t.Fatal(err)
	}
	if got.Build.Type != AmazonImage {
		t.Errorf("type is %q", got.Build.Type)
	}
	if diff := cmp.Diff([]string{"eu-west-1", "us-east-1"}, imageRegions(got.Build.Images)); diff != "" {
		t.Error(diff)
	}
	if got.Expect[0] != "a.x" || got.Channels[0] != "canary" {
		t.Errorf("names are not sorted: %+v", got)
	}
	if pub.Expect[0] != "b.x" {
		t.Error("the caller's slice was changed")
	}
}

func TestNormalizePublicationReportsEveryMistakeAtOnce(t *testing.T) {
	pub := Publication{
		Fingerprint: "a b", Version: "1.4", Expect: []string{"x", "x", ""}, Channels: []string{"latest", "1"},
		VersionMetadata: Metadata{"region.eu-west-1": "ami-1"},
		Build: Build{
			Component: "", Type: "amazon.image", Provider: "virtualbox", Architecture: "x 86",
			Metadata: Metadata{"bad\nkey": "v", "bell": "\a", "utf8": "\xff"},
			Images: []Image{
				{Provider: "aws", Region: "eu-west-1", ID: "ami-1"},
				{Provider: "aws", Region: "eu-west-1", ID: "ami-2"},
				{Provider: "gce", Region: "Europe", ID: ""},
			},
			Files: []File{{Name: "../x", Size: -1, SHA256: "zz"}, {Name: "A", SHA256: digestA}, {Name: "a", SHA256: digestA}},
		},
	}
	_, err := normalizePublication(pub)
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Kind != Invalid {
		t.Fatalf("got %v", err)
	}
	var fields []string
	for _, f := range e.Fields {
		fields = append(fields, f.Field)
	}
	want := []string{
		"fingerprint", "version", "expect[1]", "expect[2]", "channels[0]", "channels[1]", `version_metadata["region.eu-west-1"]`,
		"build.component", "build.architecture", "build.provider",
		"build.metadata[\"bad\\nkey\"]", `build.metadata["bell"]`, `build.metadata["utf8"]`,
		"build.images[1].region", "build.images[2].id", "build.images[2].provider", "build.images[2].region", "build.images[2].id",
		"build.files[0].name", "build.files[0].size", "build.files[0].sha256", "build.files[2].name",
	}
	if diff := cmp.Diff(want, fields); diff != "" {
		t.Error(diff)
	}
}

func TestContentOfTypes(t *testing.T) {
	box := File{Name: "app.box", Size: 1, SHA256: digestA}
	image := Image{Provider: "aws", Region: "eu-west-1", ID: "ami-1"}
	for _, c := range []struct {
		name  string
		build Build
		field string // "" is accepted
	}{
		{"a box with its file", Build{Type: VagrantBox, Provider: "libvirt", Files: []File{box}}, ""},
		{"a box without provider", Build{Type: VagrantBox, Files: []File{box}}, "build.provider"},
		{"a box without file", Build{Type: VagrantBox, Provider: "libvirt"}, "build.files"},
		{"an archive without file", Build{Type: Archive}, "build.files"},
		{"an AMI without image", Build{Type: AmazonImage, Files: []File{box}}, "build.images"},
		{"an AMI with a file, too", Build{Type: AmazonImage, Images: []Image{image}, Files: []File{box}}, ""},
		{"an image type with files only", Build{Type: "qemu.image", Files: []File{box}}, ""},
		{"an image type with nothing", Build{Type: "qemu.image"}, "build.images"},
		{"two volumes in a region", Build{Type: AmazonVolume, Images: []Image{
			{Provider: "aws", Region: "eu-west-1", ID: "vol-1"}, {Provider: "aws", Region: "eu-west-1", ID: "snap-1"}}}, ""},
		{"one image twice", Build{Type: "gce.image", Images: []Image{image, image}}, "build.images[1]"},
		{"a provider of Terraform", Build{Component: "linux_amd64", Type: TerraformProvider, Files: []File{box}}, ""},
		{"a provider of Terraform for no platform", Build{Type: TerraformProvider, Files: []File{box}}, "build.component"},
		{"a provider of Terraform with protocols", Build{Component: "linux_amd64", Type: TerraformProvider, Files: []File{box}, Metadata: Metadata{"protocols": "5.0, 6.0"}}, ""},
		{"a provider of Terraform with a protocol that is none", Build{Component: "linux_amd64", Type: TerraformProvider, Files: []File{box}, Metadata: Metadata{"protocols": "v5"}}, `build.metadata["protocols"]`},
		{"a provider of Terraform without file", Build{Component: "linux_amd64", Type: TerraformProvider, Images: []Image{image}}, "build.files"},
		{"a build of no type", Build{Type: "ami", Images: []Image{image}}, "build.type"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.build.Component == "" {
				c.build.Component = "x.y"
			}
			_, err := normalizePublication(Publication{Fingerprint: "f", Build: c.build})
			if c.field == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			e, ok := errors.AsType[*Error](err)
			if !ok || len(e.Fields) != 1 || e.Fields[0].Field != c.field {
				t.Errorf("got %v; want one problem at %s", err, c.field)
			}
		})
	}
}

func TestMetadataLimits(t *testing.T) {
	many := Metadata{}
	for i := range 257 {
		many["k"+strings.Repeat("x", i%3)+string(rune('a'+i%26))+strings.Repeat("y", i/26)] = "v"
	}
	for name, m := range map[string]Metadata{
		"too many entries": many,
		"long key":         {strings.Repeat("k", 129): "v"},
		"long value":       {"k": strings.Repeat("v", 4097)},
		"empty key":        {"": "v"},
		"spaces around":    {" k": "v"},
		"control in key":   {"k\t": "v"},
		"NUL in value":     {"k": "a\x00b"},
	} {
		if len(CheckMetadata("metadata", m)) == 0 {
			t.Errorf("%s: accepted", name)
		}
	}
	if got := CheckMetadata("metadata", Metadata{"created at": "2026\nline", "${x}": "%{y} \"q\"", "ключ": "значение"}); len(got) != 0 {
		t.Errorf("refused: %v", got)
	}
}

func TestRegionsAreMetadataWhereNothingIsDerived(t *testing.T) {
	pub := goodPublication()
	pub.Build.Metadata = Metadata{"region.eu-west-1": "ami-1"}
	if _, err := normalizePublication(pub); err == nil || !strings.Contains(err.Error(), `build.metadata["region.eu-west-1"]`) {
		t.Errorf("aws.ami: got %v", err)
	}
	for typ, want := range map[Type]bool{"no type": false, "amazon.image": false, Archive: true, "custom.image": true, AmazonVolume: true} {
		b := Build{Component: "x", Type: typ, Metadata: pub.Build.Metadata, Images: pub.Build.Images, Files: []File{{Name: "a", SHA256: digestA}}}
		_, err := normalizePublication(Publication{Fingerprint: "run-1", Build: b})
		if got := err == nil; got != want {
			t.Errorf("%s: got %v", typ, err)
		}
		if full := FullMetadata(nil, b); want && full["region.eu-west-1"] != "ami-1" {
			t.Errorf("%s: got %v back", typ, full)
		}
	}
}

func TestFullMetadata(t *testing.T) {
	b := goodPublication().Build
	b.Type = AmazonImage
	want := Metadata{
		"git": "abc", "team": "web", "ami_id": "ami-0aaa1111bbbb2222c,ami-0ddd3333eeee4444f", "region": "eu-west-1,us-east-1",
		"region.eu-west-1": "ami-0aaa1111bbbb2222c", "region.us-east-1": "ami-0ddd3333eeee4444f",
	}
	if diff := cmp.Diff(want, FullMetadata(Metadata{"git": "other", "team": "web"}, b)); diff != "" {
		t.Error(diff)
	}
	b.Metadata = Metadata{"region": "mine"}
	if got := FullMetadata(Metadata{"ami_id": "ami-evil"}, b); got["region"] != "mine" || got["ami_id"] == "ami-evil" {
		t.Errorf("the build's own region became %q, and ami_id became the version's %q", got["region"], got["ami_id"])
	}
	b.Type = "qemu.image"
	if diff := cmp.Diff(Metadata{"region": "mine"}, FullMetadata(nil, b)); diff != "" {
		t.Error(diff)
	}
}

func FuzzCheckMetadata(f *testing.F) {
	f.Add("git", "abc")
	f.Add("region.x", "ami-1")
	f.Add("k", "\x00")
	f.Fuzz(func(t *testing.T, key, value string) {
		if len(CheckMetadata("m", Metadata{key: value})) == 0 && strings.ContainsRune(key+value, 0) {
			t.Errorf("accepted %q = %q, which PostgreSQL cannot keep", key, value)
		}
	})
}
