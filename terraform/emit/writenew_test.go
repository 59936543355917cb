package emit_test

import (
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
