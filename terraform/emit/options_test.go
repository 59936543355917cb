package emit_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/terraform/emit"
)

func TestIdent(t *testing.T) {
	for in, want := range map[string]string{
		"app": "app", "my-app": "my_app", "My.App": "my_app", "0app": "_0app", "": "_", "-": "_",
		"for": "_for", "in": "_in", "if": "_if", "null": "_null", "True": "_true", "false": "_false",
		"version": "_version", "count": "_count", "for_each": "_for_each", "format": "format",
		"ünï": "_n_", "日本": "__", "a b\n}": "a_b__", "${x}": "__x_", "K": "k", // the Kelvin sign has a lower-case ASCII k
	} {
		if got := emit.Ident(in); got != want {
			t.Errorf("Ident(%q) is %q, want %q", in, got, want)
		}
	}
}

func FuzzIdent(f *testing.F) {
	f.Add("my-app")
	f.Add("0\u212a")
	f.Fuzz(func(t *testing.T, s string) {
		ident := emit.Ident(s)
		if !hclsyntax.ValidIdentifier(ident) || strings.Trim(ident, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
			t.Errorf("Ident(%q) is %q", s, ident)
		}
		if emit.Ident(ident) != ident {
			t.Errorf("Ident(%q) is %q, whose own is %q", s, ident, emit.Ident(ident))
		}
		if err := (emit.Options{Ident: ident}).Validate(""); err != nil {
			t.Errorf("Ident(%q): %v", s, err)
		}
	})
}

func TestValidateReportsEveryProblemWithItsField(t *testing.T) {
	err := emit.Options{
		Address: "registry.example.com:443 secret", Ref: "1.2", Style: "yaml", AWSProvider: 4, Ident: "for", Owners: []string{"self", "12345", "x}"},
	}.Validate(registry.AmazonImage)
	e, ok := errors.AsType[*registry.Error](err)
	if !ok || e.Kind != registry.Invalid {
		t.Fatalf("got %v", err)
	}
	var fields []string
	for _, f := range e.Fields {
		fields = append(fields, f.Field)
	}
	slices.Sort(fields)
	if diff := cmp.Diff([]string{"address", "aws_provider", "ident", "owners[1]", "owners[2]", "ref", "style"}, fields); diff != "" {
		t.Errorf("fields (-want +got):\n%s", diff)
	}
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("the address, which can hold a password, is in the error: %v", err)
	}
}

func TestFileRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		r    registry.Resolution
		o    emit.Options
		want string
	}{
		"data blocks for a box": {box(), emit.Options{Style: emit.StyleData}, "style: data blocks read AMIs back from EC2 and are for amazon.image; for vagrant.box use the style locals, which works for every type"},
		"names that Terraform cannot tell apart": {
			registry.Resolution{Lookup: registry.Lookup{Ref: "1"}, Resolved: registry.Resolved{Artifact: "a/b", Type: registry.Archive, Metadata: registry.Metadata{"e\u0301": "1", "\u00e9": "2"}}},
			emit.Options{}, "Terraform cannot tell them apart",
		},
		"text that is not UTF-8": {
			registry.Resolution{Lookup: registry.Lookup{Ref: "1"}, Resolved: registry.Resolved{Artifact: "a/b", Type: registry.Archive, Metadata: registry.Metadata{"k": "\xff"}}},
			emit.Options{}, `local.b["metadata"]["k"]: is not valid UTF-8`,
		},
		"a region that is none": {
			registry.Resolution{Lookup: registry.Lookup{Ref: "1"}, Resolved: registry.Resolved{Artifact: "a/b", Type: registry.AmazonImage, AMIs: map[string]string{"\"]": "ami-1"}}},
			emit.Options{AWSProvider: 5}, "is not an AWS region",
		},
	} {
		t.Run(name, func(t *testing.T) {
			content, err := emit.File(tc.r, tc.o)
			if registry.KindOf(err) != registry.Invalid || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %q, %v", content, err)
			}
		})
	}
}

func TestTheDefaultStyleFollowsTheType(t *testing.T) {
	for typ, want := range map[registry.Type]emit.Style{
		registry.AmazonImage: emit.StyleData, registry.VagrantBox: emit.StyleLocals, registry.Archive: emit.StyleLocals, "azure.image": emit.StyleLocals,
	} {
		if got := emit.DefaultStyle(typ); got != want {
			t.Errorf("%s: %s, want %s", typ, got, want)
		}
	}
}

func TestTheAddressIsWrittenWithoutSecrets(t *testing.T) {
	for _, style := range []emit.Style{emit.StyleData, emit.StyleLocals, emit.StyleTfvars} {
		content := string(file(t, ami(), emit.Options{Style: style, Address: "https://user:hunter2@registry.example.com/?token=alm_hunter2#hunter2"}))
		if strings.Contains(content, "hunter2") || !strings.Contains(content, "https://registry.example.com/v1/artifacts/") {
			t.Errorf("%s:\n%s", style, content)
		}
	}
}
