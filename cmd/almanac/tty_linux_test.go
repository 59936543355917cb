package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/cargomedia/packer-plugin-almanac/internal/pseudotty"
	"github.com/cargomedia/packer-plugin-almanac/internal/servertest"
)

// terminal opens a pseudo-terminal; read returns what was written to it.
func terminal(t *testing.T) (tty *os.File, read func() string) {
	t.Helper()
	master, tty := pseudotty.Open(t)
	var output bytes.Buffer
	done := make(chan struct{})
	go func() {
		defer close(done)
		// It ends with an error when the last user of the terminal is gone.
		_, _ = output.ReadFrom(master)
	}()
	return tty, func() string {
		_ = tty.Close()
		<-done
		_ = master.Close()
		return output.String()
	}
}

func TestTerminal(t *testing.T) {
	s := servertest.New(t)
	env := func(extra ...string) func(string) string {
		return func(name string) string {
			for _, v := range append(extra, "ALMANAC_ADDR="+s.URL, "ALMANAC_TOKEN="+s.AdminToken) {
				if value, ok := strings.CutPrefix(v, name+"="); ok {
					return value
				}
			}
			return ""
		}
	}
	file := t.TempDir() + "/some.bin"
	if err := os.WriteFile(file, bytes.Repeat([]byte("almanac"), 1<<18), 0o600); err != nil {
		t.Fatal(err)
	}
	publish := []string{"publish", "cargomedia/app", "--type", "archive", "--file", file, "--fingerprint", "run-1"}
	for _, tt := range []struct {
		name  string
		args  []string
		env   func(string) string
		code  int
		want  string
		lacks string
	}{
		{"a transfer shows its progress", publish, env(), exitOK, "some.bin", ""},
		{"a status has its colour", []string{"versions", "cargomedia/app"}, env(), exitOK, "\x1b[32mcomplete\x1b[0m", ""},
		{"an error has its colour", []string{"show", "cargomedia/nothing"}, env(), exitNotFound, "\x1b[31malmanac:\x1b[0m", ""},
		{"--no-color is followed", []string{"versions", "cargomedia/app", "--no-color"}, env(), exitOK, "complete", "\x1b"},
		{"NO_COLOR is followed", []string{"versions", "cargomedia/app"}, env("NO_COLOR=1"), exitOK, "complete", "\x1b"},
		{"a dumb terminal gets no colour", []string{"versions", "cargomedia/app"}, env("TERM=dumb"), exitOK, "complete", "\x1b"},
		{"JSON has no colour", []string{"versions", "cargomedia/app", "-o", "json"}, env(), exitOK, `"complete"`, "\x1b"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tty, read := terminal(t)
			code := run(t.Context(), tt.args, tt.env, strings.NewReader(""), tty, tty)
			got := read()
			if code != tt.code || !strings.Contains(got, tt.want) || tt.lacks != "" && strings.Contains(got, tt.lacks) {
				t.Errorf("exit code %d, output %q; want %d, with %q, without %q", code, got, tt.code, tt.want, tt.lacks)
			}
		})
	}
}
