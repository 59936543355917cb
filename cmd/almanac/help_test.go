package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"github.com/cargomedia/packer-plugin-almanac/internal/golden"
)

// TestHelp holds the help of every command to its golden file, which -update writes.
func TestHelp(t *testing.T) {
	t.Setenv("COLUMNS", "100")
	var grammar cli
	parser, err := newParser(&grammar, &app{getenv: noenv, stdout: os.Stdout, stderr: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	nodes := append([]*kong.Node{parser.Model.Node}, parser.Model.Leaves(true)...)
	for _, node := range nodes {
		words := strings.Fields(node.FullPath())[1:]
		var commands []string
		for _, word := range words {
			if !strings.HasPrefix(word, "<") && !strings.HasPrefix(word, "[") {
				commands = append(commands, word)
			}
		}
		name := strings.Join(append([]string{"almanac"}, commands...), " ")
		t.Run(name+" --help is as agreed", func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := run(context.Background(), append(commands, "--help"), noenv, strings.NewReader(""), &stdout, &stderr); code != exitOK || stderr.Len() > 0 {
				t.Fatalf("exit code %d, stderr %q", code, stderr.String())
			}
			golden.Equal(t, filepath.Join("testdata", "help", strings.ReplaceAll(name, " ", "-")+".txt"), stdout.String())
		})
	}
}

func noenv(string) string { return "" }
