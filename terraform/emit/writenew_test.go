package emit_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/registry"
	"github.com/cargomedia/packer-plugin-almanac/terraform/emit"
)

func TestWriteNew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "import.tf")
	content := imports(t, machines(), emit.ImportOptions{})
	write := func(content string, force bool) error { return emit.WriteNew(path, []byte(content), force) }
	if err := write(content, false); err != nil {
		t.Fatal(err)
	}
	t.Run("again is fine", func(t *testing.T) {
		if err := write(content, false); err != nil {
			t.Error(err)
		}
	})
	t.Run("other content is a conflict, although the file is almanac's", func(t *testing.T) {
		err := write(content+"\n", false)
		if registry.KindOf(err) != registry.Conflict || !strings.Contains(err.Error(), "import.tf is there already") || read(t, path) != content {
			t.Errorf("got %v", err)
		}
	})
	t.Run("unless it is forced", func(t *testing.T) {
		if err := write(content+"\n", true); err != nil || read(t, path) != content+"\n" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("what almanac terraform writes does not go over it", func(t *testing.T) {
		if err := emit.Write(path, file(t, ami(), emit.Options{}), false); registry.KindOf(err) != registry.Conflict {
			t.Errorf("got %v", err)
		}
	})
	for _, name := range []string{"", "import.tf.json", "import.auto.tfvars"} {
		t.Run("a file named "+name+" would be read wrongly", func(t *testing.T) {
			err := emit.WriteNew(name, []byte(content), true)
			if registry.KindOf(err) != registry.Invalid || !strings.Contains(err.Error(), "name a file such as import.tf") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestWriteNewLosesNoAddress(t *testing.T) {
	all, fewer := machines(), machines()[1:]
	fleets := imports(t, all, emit.ImportOptions{ForEach: true})
	blocks := imports(t, all, emit.ImportOptions{})
	for _, tc := range []struct {
		name           string
		existing, next string
		want           string
	}{
		{"of a fleet", fleets, imports(t, fewer, emit.ImportOptions{ForEach: true}), `would lose an address (resource aws_instance.cargomedia_app["i-0a01"]), and Terraform destroys`},
		{"of fleets for another provider", fleets, imports(t, all, emit.ImportOptions{ForEach: true, AWSProvider: 5}), `would lose 5 addresses (resource aws_instance.cargomedia_app["i-0a03"], `},
		{"of fleets for import blocks", fleets, blocks, "would lose 5 addresses ("},
		{"of an import block", blocks, imports(t, fewer, emit.ImportOptions{}), "would lose an address (import aws_instance.web_i_0a01)"},
		{"of a resource that was added", fleets + "\nresource \"aws_eip\" \"a\" {}\n", fleets, "would lose an address (resource aws_eip.a)"},
		{"of a fleet that goes through something else", strings.ReplaceAll(fleets, "= local.cargomedia_app_instances", "= var.machines"), fleets, "would lose an address (resource aws_instance.cargomedia_app)"},
		{"of an instance under another key", strings.Replace(fleets, `"i-0a01" =`, `(var.a) =`, 1), fleets, `would lose an address (resource aws_instance.cargomedia_app["(var.a)"])`},
		{"of what is no HCL", "locals {\n  x =\n", fleets, "cannot be read as HCL to see which machines it has (line 2: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "import.tf")
			if err := emit.WriteNew(path, []byte(tc.existing), false); err != nil {
				t.Fatal(err)
			}
			err := emit.WriteNew(path, []byte(tc.next), true)
			if registry.KindOf(err) != registry.Conflict || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %s", err, tc.want)
			}
			if read(t, path) != tc.existing {
				t.Error("the file has changed")
			}
		})
	}
	t.Run("and is fine with more", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "import.tf")
		for _, o := range []emit.ImportOptions{{}, {ForEach: true, AWSProvider: 5}} {
			for _, instances := range [][]emit.Instance{fewer, all} {
				content := imports(t, instances, o)
				if err := emit.WriteNew(path, []byte(content), true); err != nil || read(t, path) != content {
					t.Fatalf("got %v", err)
				}
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
	})
}
