package emit_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2/hclwrite"

	"github.com/cargomedia/packer-plugin-almanac/internal/golden"
	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/terraform/emit"
)

const address = "https://registry.example.com"

// ami is a resolution of an amazon.image in three regions.
func ami() registry.Resolution {
	r := registry.Resolution{Lookup: registry.Lookup{Ref: "production"}, Resolved: registry.Resolved{
		Artifact:    "cargomedia/my-app",
		VersionID:   registry.VersionID{Number: 4, Version: "1.4.0"},
		Fingerprint: "7b6f2c1e-0d8a-4f3b-9a51-3c2d1e0f4a5b", Component: "amazon-ebs.app", Type: registry.AmazonImage,
		Architecture: "x86_64",
		AMIs: map[string]string{
			"us-east-1": "ami-0ddd3333eeee4444f", "eu-west-1": "ami-0aaa1111bbbb2222c", "ap-southeast-2": "ami-0eee5555ffff6666a",
		},
		CreatedAt: time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC),
	}}
	for region, id := range r.AMIs {
		r.Images = append(r.Images, registry.Image{Provider: "aws", Region: region, ID: id})
	}
	r.Metadata = registry.FullMetadata(
		registry.Metadata{"git": "0a1b2c3"},
		registry.Build{Type: registry.AmazonImage, Images: r.Images, Metadata: registry.Metadata{"os": "debian-12"}})
	return r
}

// box is a resolution of a type that is not Amazon's.
func box() registry.Resolution {
	return registry.Resolution{Lookup: registry.Lookup{Ref: "~> 1.2"}, Resolved: registry.Resolved{
		Artifact:    "cargomedia/my-app",
		VersionID:   registry.VersionID{Number: 4, Version: "1.4.0"},
		Fingerprint: "ci-118", Component: "virtualbox-iso.app", Type: registry.VagrantBox,
		Provider: "virtualbox", Architecture: "amd64",
		Files:     []registry.File{{Name: "app.box", Size: 734003200, SHA256: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}},
		Metadata:  registry.Metadata{"git": "0a1b2c3"},
		CreatedAt: time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC),
	}}
}

// google has images of a provider whose ids have slashes, and no files.
func google() registry.Resolution {
	r := box()
	r.Ref, r.Component, r.Type, r.Provider, r.Architecture = "4", "googlecompute.app", "googlecompute.image", "", ""
	r.Files = nil
	r.Images = []registry.Image{
		{Provider: "gce", Region: "europe-west1", ID: "projects/p/global/images/app-4"},
		{Provider: "gce", Region: "us-central1", ID: "projects/p/global/images/app-4"},
	}
	return r
}

// hostile has text that would break out of anything that is not quoted.
func hostile() registry.Resolution {
	r := ami()
	r.Artifact = "cargomedia/0.for-ever"
	r.Component = "amazon-ebs.\u202egnitirw"
	r.Metadata = registry.Metadata{
		"for": "kw", "if": "${1+1}", "null": "%{ if true }x%{ endif }", "${key}": "$${escaped}", "%{key}": "%%{ x }",
		"quote\"d": "a \"quoted\" \\ value\\", "heredoc": "<<EOT\nrm -rf /\nEOT\n", "comment": "*/ # // x\r\n\t}",
		"newline": "3\n}\nresource \"null_resource\" \"x\" {", "ünïcode ☃": "日本語 \U0001F600", "bidi": "\u202e\u2066x",
		"": "empty name", "a.b[0]": "path", "0": "digit", "=": "equals", "checksum": "sha256:0000", "$": "$", "%": "%", "$$": "$$$${{",
	}
	r.Revocation = &registry.Revocation{At: time.Date(2026, 4, 2, 8, 0, 0, 0, time.UTC), By: "ops", Reason: "CVE-2026-1\n}\nlocals { x = \"${file(\"/etc/passwd\")}\" }"}
	return r
}

func TestGoldenFiles(t *testing.T) {
	for _, tc := range []struct {
		file string
		r    registry.Resolution
		o    emit.Options
	}{
		{"data.tf", ami(), emit.Options{Address: address}},
		{"data_aws5.tf", ami(), emit.Options{Address: address, AWSProvider: 5, Owners: []string{"123456789012", "self"}, Ident: "base"}},
		{"locals.tf", ami(), emit.Options{Address: address, Style: emit.StyleLocals}},
		{"app.auto.tfvars.json", ami(), emit.Options{Address: address, Style: emit.StyleTfvars}},
		{"box.tf", box(), emit.Options{}},
		{"google.tf", google(), emit.Options{}},
		{"box.auto.tfvars.json", box(), emit.Options{Style: emit.StyleTfvars}},
		{"hostile.tf", hostile(), emit.Options{Address: "https://user:secret@registry.example.com/base/?token=alm_secret"}},
		{"hostile.auto.tfvars.json", hostile(), emit.Options{Style: emit.StyleTfvars}},
	} {
		t.Run(tc.file, func(t *testing.T) {
			got := file(t, tc.r, tc.o)
			golden.Equal(t, filepath.Join("testdata", "golden", tc.file), string(got))
			if tc.o.Style != emit.StyleTfvars && string(hclwrite.Format(got)) != string(got) {
				t.Error("formatting it again changes it")
			}
		})
	}
}

func file(t testing.TB, r registry.Resolution, o emit.Options) []byte {
	t.Helper()
	content, err := emit.File(r, o)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
