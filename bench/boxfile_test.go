package main

import (
	"bytes"
	"io"
	"os"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/registry/box"
)

func TestBoxes(t *testing.T) {
	const size = 1<<20 + 12_345
	c, err := newBox(t.TempDir(), size)
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(c.path)
	if err != nil || int64(len(content)) != c.size {
		t.Fatalf("the file has %d bytes, %v; want %d", len(content), err, c.size)
	}
	t.Run("they are whole", func(t *testing.T) {
		info, err := box.Verify(bytes.NewReader(content))
		if want := (box.Info{Provider: "virtualbox", Architecture: "amd64"}); err != nil || info != want {
			t.Errorf("got %+v, %v; want %+v", info, err, want)
		}
	})
	t.Run("they are stored, not compressed", func(t *testing.T) {
		if c.size < size {
			t.Errorf("a disk image of %d bytes makes a box of %d", size, c.size)
		}
	})
	t.Run("their length is known before they are made", func(t *testing.T) {
		if got, err := boxLength(size); err != nil || got != c.size {
			t.Errorf("got %d, %v; want %d", got, err, c.size)
		}
	})
	t.Run("one that is made while it is read is the same", func(t *testing.T) {
		stream := streamBox(size)
		defer stream.Close()
		if got, err := io.ReadAll(stream); err != nil || !bytes.Equal(got, content) {
			t.Errorf("got %d other bytes, %v", len(got), err)
		}
	})
}

func TestWithoutNginx(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	figures, err := (&bench{ctx: t.Context()}).boxGets(nil)
	if err != nil || len(figures) != 2 {
		t.Fatalf("got %+v, %v", figures, err)
	}
	for _, f := range figures {
		if f.verdict() != "missing" || f.Missing != noNginx {
			t.Errorf("got %+v", f)
		}
	}
}
