package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	file := filepath.Join(t.TempDir(), "addr")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, stdout := io.Pipe()
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, []string{"--addr-file", file, "--fault", `{"missing":true}`}, stdout, io.Discard)
	}()

	line := make([]byte, 100)
	n, err := out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	url := strings.TrimSuffix(string(content), "\n")
	if got, want := string(line[:n]), "ec2sim listening on "+url+"\n"; got != want {
		t.Errorf("got %q on stdout, want %q", got, want)
	}
	response, err := http.Post(url, "application/x-www-form-urlencoded", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := response.Body.Close(); err != nil || response.StatusCode != http.StatusUnauthorized {
		t.Errorf("got status %d, %v; want 401", response.StatusCode, err)
	}
	faults, err := http.Get(url + "/_faults")
	if err != nil {
		t.Fatal(err)
	}
	defer faults.Body.Close()
	if got, err := io.ReadAll(faults.Body); err != nil || string(got) != "[{\"missing\":true}]\n" {
		t.Errorf("got faults %s, %v; want the one of the flag", got, err)
	}
	stop()
	if got := <-code; got != 0 {
		t.Errorf("got exit code %d, want 0", got)
	}
	if files, err := filepath.Glob(file + "*"); err != nil || len(files) != 1 {
		t.Errorf("got files %v, %v; want the address file only", files, err)
	}
}

func TestRunRefusals(t *testing.T) {
	tests := []struct {
		name string
		args []string
		code int
		want string
	}{
		{"every address", []string{"--listen", ":0"}, 2, `":0" is not a loopback address`},
		{"unspecified address", []string{"--listen", "0.0.0.0:0"}, 2, `"0.0.0.0:0" is not a loopback address`},
		{"public address", []string{"--listen", "192.0.2.1:0"}, 2, `"192.0.2.1:0" is not a loopback address`},
		{"no port", []string{"--listen", "127.0.0.1"}, 2, "missing port"},
		{"unknown flag", []string{"--region", "x"}, 2, "flag provided but not defined"},
		{"page size", []string{"--page-size", "0"}, 2, "--page-size: 0 is not between 1 and 1000"},
		{"fault", []string{"--fault", `{"state":"gone"}`}, 2, `state "gone" is not one of available,`},
		{"argument", []string{"start"}, 2, `unexpected argument "start"`},
		{"unwritable file", []string{"--addr-file", filepath.Join(t.TempDir(), "no", "addr")}, 1, "--addr-file: "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			code := run(t.Context(), test.args, &stdout, &stderr)
			if code != test.code || !strings.Contains(stderr.String(), test.want) {
				t.Errorf("got code %d, %q; want %d with %q", code, stderr.String(), test.code, test.want)
			}
			if stdout.Len() > 0 {
				t.Errorf("got %q on stdout, want nothing", stdout.String())
			}
		})
	}
}
